#define _GNU_SOURCE
#include "process.h"

#include "log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Linux 6.13: one call instead of parsing /proc. From linux/pidfd.h, which older headers do not have. */
struct pidfd_facts {
    uint64_t mask, cgroup;
    uint32_t pid, tgid, ppid;
    uint32_t users[8];
    int32_t wait_status;
};
_Static_assert(sizeof(struct pidfd_facts) == 64, "PIDFD_INFO_SIZE_VER0");
#define PIDFD_FACTS_PID 1u
#define PIDFD_FACTS_END 8u /* Linux 6.15: of a process that has been waited for */
#define PIDFD_GET_FACTS _IOWR(0xFF, 11, struct pidfd_facts)
#define PIDFD_OF_THREAD O_EXCL /* Linux 6.9 */

struct entry {
    uint32_t tid, group;
    uint32_t stamp; /* of the group's own entry when this one was made: tells a reused number */
};

#define ENTRIES 16384u
static struct entry entries[ENTRIES];
static uint32_t last_stamp;

/* Processes that have not told their end yet, as descriptors: one that a signal ends never will. */
#define MOST_HELD 512u
static struct held {
    uint32_t group, parent;
    int fd;
} held[MOST_HELD];
static unsigned held_count;
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;

#define READS 65536u
static struct seen reads[READS];

/* Fills `facts`, and *fd with a descriptor of the thread or -1. */
static int facts_from_pidfd(uint32_t tid, uint32_t *group, uint32_t *parent, int *fd)
{
    static int unavailable;
    *fd = -1;
    if (unavailable)
        return -1;
    *fd = (int)syscall(SYS_pidfd_open, tid, PIDFD_OF_THREAD);
    struct pidfd_facts facts = {.mask = PIDFD_FACTS_PID};
    if (*fd >= 0 && ioctl(*fd, PIDFD_GET_FACTS, &facts) == 0 && (facts.mask & PIDFD_FACTS_PID)) {
        *group = facts.tgid;
        *parent = facts.ppid;
        return 0;
    }
    if (*fd >= 0) {
        close(*fd);
        unavailable = 1;
    }
    *fd = -1;
    return -1;
}

static int facts_from_proc(uint32_t tid, uint32_t *group, uint32_t *parent)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%u/status", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    const char *tgid = strstr(text, "\nTgid:");
    const char *ppid = strstr(text, "\nPPid:");
    if (!tgid || !ppid)
        return -1;
    *group = (uint32_t)strtoul(tgid + 6, NULL, 10);
    *parent = (uint32_t)strtoul(ppid + 6, NULL, 10);
    return 0;
}

static void find_facts(uint32_t tid, uint32_t *group, uint32_t *parent, int *fd)
{
    if (facts_from_pidfd(tid, group, parent, fd) != 0)
        facts_from_proc(tid, group, parent);
}

/* Whether the process has ended without saying so; then its end is appended to the log. */
static int has_ended(const struct held *process)
{
    struct pidfd_facts facts = {.mask = PIDFD_FACTS_END};
    struct log_text none = {NULL, 0};
    if (ioctl(process->fd, PIDFD_GET_FACTS, &facts) < 0 || !(facts.mask & PIDFD_FACTS_END))
        return 0;
    int code = WIFSIGNALED(facts.wait_status) ? 128 + WTERMSIG(facts.wait_status) : WEXITSTATUS(facts.wait_status);
    log_append(LOG_EXIT, process->group, code, 0, 0, NULL, none, none);
    return 1;
}

static void let_go(unsigned index)
{
    close(held[index].fd);
    held[index] = held[--held_count];
}

/* With the lock held. parent: only its children; 0: all. */
static void find_ended(uint32_t parent)
{
    for (unsigned i = held_count; i-- > 0;)
        if ((parent == 0 || held[i].parent == parent) && has_ended(&held[i]))
            let_go(i);
}

void process_find_ended(uint32_t parent)
{
    pthread_mutex_lock(&held_lock);
    find_ended(parent);
    pthread_mutex_unlock(&held_lock);
}

/* Descriptors are needed for other things, too. */
static unsigned most_held(void)
{
    static unsigned most;
    struct rlimit limit;
    if (most == 0)
        most = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 4 * MOST_HELD ? (unsigned)limit.rlim_cur / 4
                                                                                      : MOST_HELD;
    return most;
}

/* fd: of the group's leader. */
static void hold(uint32_t group, uint32_t parent, int fd)
{
    pthread_mutex_lock(&held_lock);
    if (held_count == most_held())
        find_ended(0);
    for (unsigned i = held_count; i-- > 0;)
        if (held[i].group == group) { /* an earlier process of this number */
            has_ended(&held[i]);
            let_go(i);
        }
    if (held_count < most_held())
        held[held_count++] = (struct held){group, parent, fd};
    else
        close(fd);
    pthread_mutex_unlock(&held_lock);
}

static void hold_no_longer(uint32_t group)
{
    pthread_mutex_lock(&held_lock);
    for (unsigned i = held_count; i-- > 0;)
        if (held[i].group == group)
            let_go(i);
    pthread_mutex_unlock(&held_lock);
}

static struct entry *slot_of(uint32_t tid)
{
    return &entries[tid % ENTRIES];
}

/* fd: of the group's leader, or -1. */
static void note_group(uint32_t group, uint32_t parent, int fd)
{
    struct entry *own = slot_of(group);
    if (own->tid == group && own->group == group) {
        if (fd >= 0)
            close(fd);
        return;
    }
    if (fd >= 0)
        hold(group, parent, fd);
    *own = (struct entry){group, group, ++last_stamp};
    struct log_text none = {NULL, 0};
    log_append(LOG_FORK, group, (int32_t)parent, 0, 0, NULL, none, none);
}

uint32_t process_group_of(uint32_t tid)
{
    struct entry *entry = slot_of(tid);
    if (entry->tid == tid) {
        const struct entry *own = slot_of(entry->group);
        if (own->tid == entry->group && own->stamp == entry->stamp)
            return entry->group;
    }
    uint32_t group = tid, parent = 0;
    int fd;
    find_facts(tid, &group, &parent, &fd);
    if (group != tid && fd >= 0) { /* the leader has been quiet so far */
        close(fd);
        fd = (int)syscall(SYS_pidfd_open, group, 0);
    }
    note_group(group, parent, fd);
    if (group != tid)
        *entry = (struct entry){tid, group, slot_of(group)->stamp};
    return group;
}

uint32_t process_parent_of(uint32_t group)
{
    uint32_t self = group, parent = 0;
    int fd;
    find_facts(group, &self, &parent, &fd);
    if (fd >= 0)
        close(fd);
    return parent;
}

void process_forget(uint32_t group)
{
    struct entry *own = slot_of(group);
    if (own->tid == group)
        own->tid = 0;
    hold_no_longer(group);
}

/* The kernel's clocks of another process: linux/posix-timers.h. */
static uint64_t clock_us(uint32_t group, unsigned which)
{
    struct timespec time = {0, 0};
    syscall(SYS_clock_gettime, (clockid_t)(~group << 3 | which), &time);
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

/* Looking into /proc costs as much as all the rest of a process's end. */
static uint64_t most_memory_kib(uint32_t group)
{
    char path[32], text[2048];
    uint64_t *slots = (uint64_t *)(void *)((char *)log_header + LOG_MEMORY_OFFSET);
    uint64_t told = __atomic_exchange_n(&slots[group % LOG_MEMORY_SLOTS], 0, __ATOMIC_RELAXED);
    if (told >> 32 == group)
        return told & 0xffffffffu;
    snprintf(path, sizeof path, "/proc/%u/status", group);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    const char *most = strstr(text, "\nVmHWM:");
    return most ? strtoull(most + 7, NULL, 10) : 0;
}

/* As getrusage(2) gives it: the time on a processor is exact, its division comes from samples. */
struct log_use process_use(uint32_t group)
{
    uint64_t sampled = clock_us(group, 0 /* CPUCLOCK_PROF */), user = clock_us(group, 1 /* CPUCLOCK_VIRT */);
    uint64_t exact = clock_us(group, 2 /* CPUCLOCK_SCHED */);
    uint64_t user_us = sampled > 0 && user <= sampled ? (uint64_t)((double)exact * (double)user / (double)sampled) : exact;
    return (struct log_use){most_memory_kib(group), user_us, exact - user_us};
}

struct seen *process_seen(uint32_t group, const char *path, uint64_t length, uint64_t *hash)
{
    uint64_t value = 0xcbf29ce484222325u ^ group;
    for (uint64_t i = 0; i < length; i++)
        value = (value ^ (unsigned char)path[i]) * 0x100000001b3u;
    *hash = (value ^ value >> 29) | 1;
    return &reads[*hash >> 48];
}
