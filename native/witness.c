/* roar-witness FD: tells which signals reach a whole process group. It is started in the group of `roar run`, with every
 * signal blocked, and lives as long as somebody reads the pipe FD. For each signal it writes two bytes: the number, and 1
 * if the kernel sent it (the terminal: signalfd(2), ssi_code) or 0 if a process did. A signal that roar gets and the
 * witness does not was sent to roar alone. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Nothing of what the command has open may stay open because of us. */
static void let_all_go(int but)
{
    long most = sysconf(_SC_OPEN_MAX);
    if (but > 0)
        syscall(SYS_close_range, 0u, (unsigned)but - 1, 0u);
    if (syscall(SYS_close_range, (unsigned)but + 1, ~0u, 0u) == 0)
        return;
    for (int fd = 0; fd < most; fd++) /* before Linux 5.9 */
        if (fd != but)
            close(fd);
}

int main(int argc, char **argv)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (argc != 2)
        return 2;
    int out = atoi(argv[1]);
    let_all_go(out);
    fcntl(out, F_SETFL, O_WRONLY | O_NONBLOCK);
    if (chdir("/") < 0)
        return 1;
    struct pollfd both[2] = {{.fd = signalfd(-1, &all, 0), .events = POLLIN}, {.fd = out}};
    while (poll(both, 2, -1) > 0 && !both[1].revents) {
        struct signalfd_siginfo signal;
        if (read(both[0].fd, &signal, sizeof signal) != sizeof signal)
            return 1;
        uint8_t word[2] = {(uint8_t)signal.ssi_signo, signal.ssi_code > 0};
        ssize_t done = write(out, word, sizeof word);
        (void)done; /* nobody reads just now: the next one is told */
    }
    return 0;
}
