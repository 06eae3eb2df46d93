#define _GNU_SOURCE
#include "process.h"

#include "log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux 6.13: one call instead of parsing /proc. From linux/pidfd.h, which older headers do not have. */
struct pidfd_facts {
    uint64_t mask, cgroup;
    uint32_t pid, tgid, ppid;
    uint32_t rest[9];
};
_Static_assert(sizeof(struct pidfd_facts) == 64, "PIDFD_INFO_SIZE_VER0");
#define PIDFD_FACTS_PID 1u
#define PIDFD_GET_FACTS _IOWR(0xFF, 11, struct pidfd_facts)
#define PIDFD_OF_THREAD O_EXCL /* Linux 6.9 */

struct entry {
    uint32_t tid, group;
    uint32_t stamp; /* of the group's own entry when this one was made: tells a reused number */
};

#define ENTRIES 16384u
static struct entry entries[ENTRIES];
static uint32_t last_stamp;

#define READS 65536u
static uint64_t reads[READS];

static int facts_from_pidfd(uint32_t tid, uint32_t *group, uint32_t *parent)
{
    static int unavailable;
    if (unavailable)
        return -1;
    int fd = (int)syscall(SYS_pidfd_open, tid, PIDFD_OF_THREAD);
    struct pidfd_facts facts = {.mask = PIDFD_FACTS_PID};
    int failed = fd < 0 || ioctl(fd, PIDFD_GET_FACTS, &facts) < 0 || !(facts.mask & PIDFD_FACTS_PID);
    if (fd >= 0)
        close(fd);
    if (failed) {
        unavailable = fd >= 0;
        return -1;
    }
    *group = facts.tgid;
    *parent = facts.ppid;
    return 0;
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

static int find_facts(uint32_t tid, uint32_t *group, uint32_t *parent)
{
    return facts_from_pidfd(tid, group, parent) == 0 ? 0 : facts_from_proc(tid, group, parent);
}

static struct entry *slot_of(uint32_t tid)
{
    return &entries[tid % ENTRIES];
}

static void note_group(uint32_t group, uint32_t parent)
{
    struct entry *own = slot_of(group);
    if (own->tid == group && own->group == group)
        return;
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
    find_facts(tid, &group, &parent);
    note_group(group, parent);
    if (group != tid)
        *entry = (struct entry){tid, group, slot_of(group)->stamp};
    return group;
}

uint32_t process_parent_of(uint32_t group)
{
    uint32_t self = group, parent = 0;
    find_facts(group, &self, &parent);
    return parent;
}

void process_forget(uint32_t group)
{
    struct entry *own = slot_of(group);
    if (own->tid == group)
        own->tid = 0;
}

static uint64_t hash_of_read(uint32_t group, const char *path, uint64_t length)
{
    uint64_t hash = 0xcbf29ce484222325u ^ group;
    for (uint64_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)path[i]) * 0x100000001b3u;
    return (hash ^ hash >> 29) | 1;
}

int process_has_read(uint32_t group, const char *path, uint64_t length)
{
    uint64_t hash = hash_of_read(group, path, length);
    uint64_t *slot = &reads[hash >> 48];
    if (*slot == hash)
        return 1;
    *slot = hash;
    return 0;
}

void process_forget_read(uint32_t group, const char *path, uint64_t length)
{
    uint64_t hash = hash_of_read(group, path, length);
    if (reads[hash >> 48] == hash)
        reads[hash >> 48] = 0;
}
