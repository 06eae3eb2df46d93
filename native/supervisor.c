#define _GNU_SOURCE
#include "supervisor.h"

#include "events.h"
#include "filter.h"
#include "log.h"
#include "memory.h"
#include "process.h"
#include "recover.h"
#include "watch.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

#define TURN_MS 10

union answer {
    struct seccomp_notif_resp it;
    char room[128];
};

void supervisor_go_on(int listener, uint64_t id)
{
    union answer answer;
    memset(&answer, 0, sizeof answer);
    answer.it.id = id;
    answer.it.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static int as_call(const struct seccomp_notif *from, struct call *call)
{
    call->tid = from->pid;
    call->word = 8;
    call->number = from->data.nr;
    for (unsigned i = 0; i < 6; i++)
        call->arguments[i] = from->data.args[i];
    if (from->data.arch == AUDIT_ARCH_I386) {
        call->word = 4;
        call->number = filter_number_from_i386(from->data.nr);
        for (unsigned i = 0; i < 6; i++)
            call->arguments[i] &= 0xffffffffu;
    }
    return from->pid != 0 && call->number >= 0 ? 0 : -1;
}

static void record(const struct seccomp_notif *from)
{
    struct call call;
    log_header->filtered++;
    if (log_header->closed)
        return;
    if (as_call(from, &call) < 0) {
        log_gap("a process in a pid namespace that cannot be seen from here");
        return;
    }
    memory_start((pid_t)call.tid);
    call.group = process_group_of(call.tid);
    events_record(&call);
    log_extend();
}

/* In memory shared with the guard, which the kernel itself fills: there is no instant at which a call that has been
 * received is known to the supervisor alone. */
static union notification *in_flight(void)
{
    return (union notification *)(void *)((char *)log_header + LOG_IN_FLIGHT_OFFSET);
}

/* Receives one notification, records it, lets the call go on. Returns 0 or -errno. */
int supervisor_answer_one(int listener)
{
    union notification *from = in_flight();
    memset(from, 0, sizeof *from);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, from) < 0)
        return -errno;
    watch_begin(from->it.id);
    record(&from->it);
    watch_end();
    supervisor_go_on(listener, from->it.id);
    return 0;
}

/* Nothing to receive: true once the last process that has the filter is gone. */
static int is_over(int listener)
{
    struct pollfd state = {.fd = listener, .events = POLLIN};
    while (poll(&state, 1, -1) < 0 && errno == EINTR)
        continue;
    return (state.revents & (POLLHUP | POLLERR | POLLNVAL)) && !(state.revents & POLLIN);
}

static void *answer_all(void *argument)
{
    int listener = *(const int *)argument;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    for (;;) {
        int failed = supervisor_answer_one(listener);
        if (failed == -ENOENT && is_over(listener))
            return NULL;
        if (failed && failed != -ENOENT && failed != -EINTR && failed != -EAGAIN)
            return NULL;
    }
}

/* Without a filter nobody tells that the log must grow but the writers themselves. */
static void *extend_when_wanted(void *unused)
{
    const struct timespec second = {1, 0};
    for (;;) {
        log_extend();
        uint32_t want = __atomic_load_n(&log_header->want, __ATOMIC_ACQUIRE);
        syscall(SYS_futex, &log_header->want, FUTEX_WAIT, want, &second, NULL, 0);
    }
    return unused;
}

static void say(int status, const char *text)
{
    ssize_t done = write(status, text, strlen(text));
    (void)done; /* roar may be gone: the command goes on */
}

static uint64_t microseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_usec;
}

/* use: with that of the children it has waited for. */
static void note_death(pid_t pid, int wait_status, const struct rusage *use)
{
    struct log_text none = {NULL, 0};
    struct log_use used = {(uint64_t)use->ru_maxrss, microseconds(use->ru_utime), microseconds(use->ru_stime)};
    struct log_text text = {(const char *)&used, sizeof used};
    if (WIFSIGNALED(wait_status))
        log_append(LOG_EXIT, (uint32_t)pid, 128 + WTERMSIG(wait_status), 0, 0, NULL, text, none);
}

/* Orphans come to the supervisor, their subreaper: whoever is left when the command has ended, and does not end in the
 * next moment, outlives it. */
static int is_outlived(void)
{
    const struct timespec moment = {0, 5000000};
    for (int i = 0; i < 10; i++) {
        int wait_status;
        struct rusage use;
        pid_t pid;
        while ((pid = wait4(-1, &wait_status, __WALL | WNOHANG, &use)) > 0)
            note_death(pid, wait_status, &use);
        if (pid < 0)
            return 0;
        nanosleep(&moment, NULL);
    }
    return 1;
}

static void command_ended(int status, int wait_status, const struct rusage *use)
{
    char text[160];
    struct log_header *h = log_header;
    if (is_outlived())
        log_gap("a process outlived the command");
    process_find_ended(0);
    h->wait_status = wait_status;
    h->max_rss_kib = (uint64_t)use->ru_maxrss;
    h->user_us = microseconds(use->ru_utime);
    h->system_us = microseconds(use->ru_stime);
    log_calibrate();
    __atomic_store_n(&h->ended, 1, __ATOMIC_RELEASE);
    snprintf(text, sizeof text, "E %d %lu %lu %lu\n", wait_status, (unsigned long)h->max_rss_kib,
             (unsigned long)h->user_us, (unsigned long)h->system_us);
    say(status, text);
    close(status);
}

/* how: WNOHANG or 0. Returns 1 for what has happened to a child, 0 where nothing has, -1 where there is no child. */
static int collect_one(pid_t command, int status, int how)
{
    int wait_status;
    struct rusage use;
    pid_t pid = wait4(-1, &wait_status, __WALL | WUNTRACED | how, &use);
    if (pid <= 0)
        return pid < 0 && errno != EINTR ? -1 : 0;
    if (WIFSTOPPED(wait_status)) {
        if (pid == command)
            say(status, "T\n");
        return 1;
    }
    note_death(pid, wait_status, &use);
    if (pid == command)
        command_ended(status, wait_status, &use);
    return 1;
}

static void wait_for_all(pid_t command, int status)
{
    while (collect_one(command, status, 0) >= 0)
        continue;
}

/* Where there is no thread to be had (`ulimit -u`): to answer first would keep the end of the command from roar. */
static void take_turns(int listener, pid_t command, int status)
{
    struct pollfd calls = {.fd = listener, .events = POLLIN};
    for (;;) {
        int collected;
        while ((collected = collect_one(command, status, WNOHANG)) > 0)
            continue;
        if (collected < 0)
            return;
        if (poll(&calls, 1, TURN_MS) <= 0)
            continue;
        if (calls.revents & POLLIN)
            supervisor_answer_one(listener);
        else
            calls.fd = -1; /* no process that has the filter is left: from now on poll only lets time pass */
    }
}

void supervisor_take_over(int listener)
{
    __atomic_store_n(&log_header->supervisor_died, 1, __ATOMIC_SEQ_CST);
    uint64_t id = in_flight()->it.id;
    if (listener >= 0 && id)
        supervisor_go_on(listener, id);
}

void supervisor_run(int listener, pid_t command, int status)
{
    pthread_t answers, extends;
    int have_answers = listener >= 0 && pthread_create(&answers, NULL, answer_all, &listener) == 0;
    if (listener < 0)
        pthread_create(&extends, NULL, extend_when_wanted, NULL);
    if (have_answers)
        watch_start(listener);
    if (listener >= 0 && !have_answers)
        take_turns(listener, command, status);
    else
        wait_for_all(command, status);
    if (have_answers)
        pthread_join(answers, NULL);
    log_calibrate();
}
