/* roar-tracer: starts a command so that every file it opens is recorded.
 *
 *   roar-tracer --log PATH --mode auto|full|seccomp|preload --library PATH --canary PATH --status FD
 *               [--environment NAME:NAME:PREFIX*] --blocked MASK [--alarm MICROSECONDS:INTERVAL] -- COMMAND ARGUMENT...
 *
 * MASK and the alarm are the command's: signals that it is to find blocked, in hexadecimal as in proc(5), and the
 * interval timer that roar inherited. Roar starts this program with every signal blocked.
 *
 * Messages on descriptor FD, one line each:
 *   S pid mode signals reasons   the command is about to start; which of the signals that wait in roar it has been given
 *                        (MASK); why better modes were not taken, or nothing
 *   X errno              it could not be started
 *   L errno              the log cannot be made; nothing has been started
 *   N errno              no process can be had; as above
 *   T                    it has been stopped (job control)
 *   E status rss user system   it has ended: wait status, KiB, microseconds
 *
 * Three processes: the guard (this one) holds the listener and does nothing until the supervisor dies, and then takes
 * its place; the supervisor, its child, records; the command is the supervisor's child. Guard and supervisor share one
 * table of descriptors, so that a listener once received is held by both. */
#define _GNU_SOURCE
#include "arch.h"
#include "events.h"
#include "exec.h"
#include "filter.h"
#include "log.h"
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_NAMES 1024

struct options {
    const char *log, *library, *canary;
    enum log_mode mode;
    int automatic;
    int status;
    const char *names[MOST_NAMES];
    size_t name_count;
    uint64_t blocked;
    struct itimerval alarm;
    char **command;
};

static struct options options = {.mode = LOG_MODE_FULL, .automatic = 1, .status = -1};
static const char *const mode_names[] = {"none", "full", "seccomp", "preload"};
static char reasons[512];

/* What the command is to get back as it was. */
static struct sigaction child_signal_before;
static pid_t process_group_before;

static pid_t roar;

/* Limits that are meant for the command, not for guard and supervisor. */
static struct limit {
    __rlimit_resource_t what;
    struct rlimit before;
} limits[] = {{.what = RLIMIT_FSIZE}, {.what = RLIMIT_CPU}, {.what = RLIMIT_NOFILE}};
#define LIMIT_COUNT (sizeof limits / sizeof limits[0])
#define LEAST_CPU_SECONDS 600u /* below this, guard and supervisor could be killed before the command ends */

/* State of guard and supervisor, filled before the guard has to act. In shared memory: descriptors and the command. */
struct shared {
    int listener;
    pid_t command;
    struct signals {
        uint64_t waiting, ignored; /* in roar */
    } signals;
};
static struct shared *shared;

static int parse_mode(const char *name)
{
    options.automatic = strcmp(name, "auto") == 0;
    if (options.automatic)
        return 0;
    for (int i = LOG_MODE_FULL; i <= LOG_MODE_PRELOAD; i++)
        if (strcmp(name, mode_names[i]) == 0) {
            options.mode = (enum log_mode)i;
            return 0;
        }
    return -1;
}

static void parse_names(char *list)
{
    for (char *name = strtok(list, ":"); name && options.name_count < MOST_NAMES; name = strtok(NULL, ":"))
        options.names[options.name_count++] = name;
}

static void parse_alarm(char *times)
{
    long left = strtol(times, &times, 10), interval = *times ? strtol(times + 1, NULL, 10) : 0;
    options.alarm.it_value = (struct timeval){left / 1000000, left % 1000000};
    options.alarm.it_interval = (struct timeval){interval / 1000000, interval % 1000000};
}

static int parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"log", required_argument, NULL, 'l'},     {"mode", required_argument, NULL, 'm'},
        {"library", required_argument, NULL, 'p'}, {"canary", required_argument, NULL, 'c'},
        {"status", required_argument, NULL, 's'},  {"environment", required_argument, NULL, 'e'},
        {"blocked", required_argument, NULL, 'b'}, {"alarm", required_argument, NULL, 'a'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
        switch (option) {
        case 'l': options.log = optarg; break;
        case 'm':
            if (parse_mode(optarg) < 0)
                return -1;
            break;
        case 'p': options.library = optarg; break;
        case 'c': options.canary = optarg; break;
        case 's': options.status = atoi(optarg); break;
        case 'e': parse_names(optarg); break;
        case 'b': options.blocked = strtoull(optarg, NULL, 16); break;
        case 'a': parse_alarm(optarg); break;
        default: return -1;
        }
    }
    options.command = argv + optind;
    return options.log && options.status >= 0 && *options.command ? 0 : -1;
}

static void because(enum log_mode mode, const char *why)
{
    size_t used = strlen(reasons);
    snprintf(reasons + used, sizeof reasons - used, "%s%s: %s", used ? "; " : "", mode_names[mode], why);
}

/* ---- the command's side ---- */

static int set_environment(void)
{
    static char trace[PATH_MAX + 32], preload[16384];
    snprintf(trace, sizeof trace, "%016lx:%s", (unsigned long)log_header->cookie, options.log);
    const char *before = getenv("LD_PRELOAD");
    if (!before)
        before = "";
    size_t room = sizeof preload - strlen(options.library) - 2;
    if (strlen(before) > room)
        return -1;
    strcpy(preload, before);
    if (!strstr(before, options.library)) { /* it is there already in a roar run inside a roar run */
        if (*before)
            strcat(preload, ":");
        strcat(preload, options.library);
    }
    return setenv("ROAR_TRACE", trace, 1) || setenv("LD_PRELOAD", preload, 1) ? -1 : 0;
}

static uint64_t bit_of(int signal)
{
    return (uint64_t)1 << (signal - 1);
}

/* posix_spawn, with which roar started us, has set the two signals that glibc keeps for itself to be ignored. Its own
 * sigaction refuses them. */
static void restore_internal_signals(void)
{
    for (int signal = 32; signal < 34; signal++) {
        struct {
            unsigned long handler, flags, restorer, mask;
        } action = {.handler = shared->signals.ignored & bit_of(signal) ? 1 : 0}; /* SIG_IGN, SIG_DFL */
        syscall(SYS_rt_sigaction, signal, &action, NULL, sizeof action.mask);
    }
}

/* The signals that have waited until now come at the end. */
static void restore_process(void)
{
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        setrlimit(limits[i].what, &limits[i].before);
    restore_internal_signals();
    sigaction(SIGCHLD, &child_signal_before, NULL);
    if (timerisset(&options.alarm.it_value))
        setitimer(ITIMER_REAL, &options.alarm, NULL);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &options.blocked, NULL, sizeof options.blocked);
}

static int send_descriptor(int socket, int fd)
{
    char byte = 'l', room[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(control), &fd, sizeof fd);
    return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int send_error(int socket, int error)
{
    char text[16];
    int length = snprintf(text, sizeof text, "e%d", -error);
    return send(socket, text, (size_t)length + 1, MSG_NOSIGNAL) > 0 ? 0 : -1;
}

/* Installs the filter, hands the listener over, and opens the canary through it. */
static int join_filter(int socket, enum log_mode mode)
{
    int listener = filter_install(log_header->cookie, mode == LOG_MODE_FULL, mode == LOG_MODE_SECCOMP);
    if (listener < 0) {
        send_error(socket, listener);
        return -1;
    }
    int failed = send_descriptor(socket, listener);
    close(listener);
    if (failed)
        return -1; /* nobody listens: opening a file would fail */
    char go;
    if (read(socket, &go, 1) != 1)
        return -1;
    arch_call6(SYS_openat, AT_FDCWD, (long)CANARY_PATH, O_RDONLY, 0, 0, 0);
    if (!(__atomic_load_n(&log_header->canary, __ATOMIC_SEQ_CST) & LOG_CANARY_SUPERVISOR)) {
        send_error(socket, -ENODATA);
        return -1;
    }
    return 0;
}

static void become_command(int socket, enum log_mode mode)
{
    char text[640], go;
    setpgid(0, process_group_before); /* what the group is sent from now on waits for the command */
    int library = mode == LOG_MODE_FULL || mode == LOG_MODE_PRELOAD;
    if (mode != LOG_MODE_PRELOAD && mode != LOG_MODE_NONE && join_filter(socket, mode) < 0)
        _exit(125);
    if (library && set_environment() < 0)
        _exit(125);
    if (send(socket, "r", 2, MSG_NOSIGNAL) != 2 || read(socket, &go, 1) != 1)
        _exit(125);
    int length = snprintf(text, sizeof text, "S %d %s %lx %s\n", getpid(), mode_names[mode],
                          (unsigned long)shared->signals.waiting, reasons);
    if (write(options.status, text, (size_t)length) < 0)
        _exit(125); /* roar is gone before the command began */
    restore_process();
    execvp(options.command[0], options.command);
    length = snprintf(text, sizeof text, "X %d\n", errno);
    ssize_t done = write(options.status, text, (size_t)length);
    (void)done;
    _exit(127);
}

/* ---- the supervisor's side ---- */

/* Receives a message: 'l' with the listener in *fd, 'e' with the error in *error, 'r' for ready; 0 at the end. */
static char receive(int socket, int *fd, int *error)
{
    char text[16] = "", room[CMSG_SPACE(sizeof *fd)] = {0};
    struct iovec data = {text, sizeof text - 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0)
        return 0;
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    if (control && control->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(control), sizeof *fd);
    if (text[0] == 'e')
        *error = -atoi(text + 1);
    return text[0];
}

static const char *explain(int error)
{
    switch (-error) {
    case EBUSY: return "another program already listens to the system calls made here";
    case ENOSYS:
    case EINVAL: return "this kernel has no seccomp user notification";
    case EACCES:
    case EPERM: return "a security policy forbids seccomp filters";
    case ENODATA: return "a call that should have been seen was not";
    default: return strerror(-error);
    }
}

/* The supervisor proves that it sees: it answers until the canary has been opened. */
static int see_canary(int listener, int socket)
{
    struct pollfd both[2] = {{.fd = listener, .events = POLLIN}, {.fd = socket, .events = POLLIN}};
    while (poll(both, 2, 5000) > 0) {
        if (both[0].revents & POLLIN)
            supervisor_answer_one(listener);
        if (both[1].revents)
            return 0;
    }
    return -1;
}

/* Starts a process that prepares itself for the mode. Returns 0 with shared->command waiting for "go" on *socket. */
static int prepare(enum log_mode mode, int *socket)
{
    int pair[2], error = -ECHILD, listener = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        become_command(pair[1], mode);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return -errno;
    }
    char what = receive(pair[0], &listener, &error);
    if (what == 'l' && write(pair[0], "g", 1) == 1) {
        see_canary(listener, pair[0]);
        what = receive(pair[0], &listener, &error);
    }
    if (what == 'r') {
        shared->listener = listener;
        shared->command = pid;
        *socket = pair[0];
        return 0;
    }
    kill(pid, SIGKILL);
    close(pair[0]);
    if (listener >= 0)
        close(listener);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return error;
}

/* Runs a program of ours under the library alone and asks the log whether it was seen. */
static int library_sees(void)
{
    if (!options.canary)
        return 0;
    pid_t pid = fork();
    if (pid == 0) {
        set_environment();
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execl(options.canary, options.canary, CANARY_PATH, (char *)NULL);
        _exit(127);
    }
    if (pid < 0)
        return 0;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    log_reset();
    return (__atomic_load_n(&log_header->canary, __ATOMIC_SEQ_CST) & LOG_CANARY_LIBRARY) != 0;
}

static const char *library_problem(void)
{
    if (!options.library)
        return "the preload library is missing";
    if (strpbrk(options.library, " :;"))
        return "the preload library's path holds a space, colon or semicolon";
    if (access(options.library, R_OK) < 0)
        return "the preload library is missing";
    return NULL;
}

/* What would leave the command without a supervisor. */
static const char *filter_problem(void)
{
    struct rlimit cpu;
    if (getrlimit(RLIMIT_CPU, &cpu) == 0 && cpu.rlim_max < LEAST_CPU_SECONDS)
        return "the limit on processor time (ulimit -t) could end the tracer before the command";
    return NULL;
}

/* Tries one mode. Returns 0 with the command waiting. */
static int try_mode(enum log_mode mode, int *socket)
{
    int with_library = mode == LOG_MODE_FULL || mode == LOG_MODE_PRELOAD;
    const char *problem = with_library ? library_problem() : NULL;
    log_header->options = mode == LOG_MODE_PRELOAD ? LOG_NO_FILTER : 0;
    if (!problem && mode == LOG_MODE_PRELOAD && !library_sees())
        problem = "a call that should have been seen was not";
    if (!problem && (mode == LOG_MODE_FULL || mode == LOG_MODE_SECCOMP))
        problem = filter_problem();
    if (problem) {
        because(mode, problem);
        return -1;
    }
    exec_preloads(mode == LOG_MODE_FULL ? options.library : NULL);
    log_header->mode = (uint32_t)mode;
    int error = prepare(mode, socket);
    if (error)
        because(mode, explain(error));
    return error;
}

static int start_command(int *socket)
{
    enum log_mode mode = options.mode;
    for (; mode <= LOG_MODE_PRELOAD; mode++)
        if (try_mode(mode, socket) == 0)
            return 0;
    return try_mode(LOG_MODE_NONE, socket);
}

/* Ends this process as one that has started nothing. ECHILD: a process was started, and did not get ready. */
static void give_up(int error)
{
    if (error != ECHILD)
        dprintf(options.status, "N %d\n", error);
    _exit(125);
}

/* A pipe behind the command's output must close when the command ends, though a daemon keeps the supervisor alive.
 * Guard and supervisor share their descriptors: this is for both. */
static void let_streams_go(void)
{
    int null = open("/dev/null", O_RDWR);
    if (null < 0)
        return;
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
        if (stream != options.status)
            dup2(null, stream);
    if (null > STDERR_FILENO)
        close(null);
}

/* Guard and supervisor must not be found by the command's own words: `pkill -9 -f train.py` is not meant for them. */
static void hide_command(void)
{
    for (char **word = options.command; *word; word++)
        memset(*word, 0, strlen(*word));
}

/* Signals that roar got before the command was in its group, or that are meant for roar alone, wait in roar. The command
 * has them blocked still: one that it got itself is not doubled. */
static void hand_over_signals(void)
{
    char path[32], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", roar);
    FILE *status = fopen(path, "re");
    if (!status)
        return;
    while (fgets(line, sizeof line, status)) {
        sscanf(line, "ShdPnd: %lx", &shared->signals.waiting);
        sscanf(line, "SigIgn: %lx", &shared->signals.ignored);
    }
    fclose(status);
    shared->signals.waiting &= ~bit_of(SIGCHLD);
    for (int signal = 1; signal < _NSIG; signal++)
        if (shared->signals.waiting & bit_of(signal))
            kill(shared->command, signal);
}

static void supervise(void)
{
    int socket = -1;
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    int error = start_command(&socket);
    if (error < 0)
        give_up(-error);
    setsid(); /* a parent in the command's session, but not in its group, would make the kernel stop it at Ctrl-Z
               * where there is no shell above that could let it go on */
    hide_command();
    log_header->command_pid = shared->command;
    hand_over_signals();
    if (write(socket, "g", 1) != 1)
        _exit(125);
    close(socket);
    let_streams_go();
    supervisor_run(shared->listener, shared->command, options.status);
    _exit(0);
}

/* ---- the guard's side ---- */

static void leave_terminal_signals(void)
{
    sigset_t all;
    struct sigaction plain = {.sa_handler = SIG_DFL};
    process_group_before = getpgrp();
    setpgid(0, 0);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigaction(SIGCHLD, &plain, &child_signal_before);
}

/* As far as is allowed: root may go beyond the hard limits. */
static void raise_limits(void)
{
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        getrlimit(limits[i].what, &limits[i].before);
        rlim_t hard = limits[i].before.rlim_max;
        struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY}, most = {hard, hard};
        if (limits[i].what == RLIMIT_NOFILE || setrlimit(limits[i].what, &none) < 0)
            setrlimit(limits[i].what, &most);
    }
}

static void guard(pid_t supervisor)
{
    hide_command();
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid == supervisor && WIFEXITED(status))
            _exit(WEXITSTATUS(status));
        if (pid == supervisor)
            break;
        if (pid < 0)
            _exit(125);
    }
    if (shared->command == 0)
        _exit(125); /* it died before the command began */
    supervisor_take_over(shared->listener);
    supervisor_run(shared->listener, shared->command, options.status);
    _exit(0);
}

/* Where a standard stream is closed, our own descriptors must not take its place; the command finds it closed. */
static void occupy_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    occupy_streams();
    if (parse(argc, argv) < 0) {
        fputs("roar-tracer: to be started by roar run\n", stderr);
        return 2;
    }
    fcntl(options.status, F_SETFD, FD_CLOEXEC);
    roar = getppid();
    leave_terminal_signals();
    raise_limits();
    int error = log_create(options.log, options.names, options.name_count);
    if (error) {
        dprintf(options.status, "L %d\n", -error);
        return 2;
    }
    shared = (struct shared *)(void *)((char *)log_header + LOG_HEADER_SIZE - 64);
    shared->listener = -1;
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    pid_t supervisor = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (supervisor < 0)
        give_up(errno);
    if (supervisor == 0)
        supervise();
    guard(supervisor);
}
