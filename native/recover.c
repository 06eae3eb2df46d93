#define _GNU_SOURCE
#include "recover.h"

#include "memory.h"
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MOST_WATCHED 64
#define LOOK_EVERY_NS 10000000u
static uint32_t watched[MOST_WATCHED];
static unsigned watched_count;

struct any_handle {
    struct file_handle head;
    unsigned char bytes[MAX_HANDLE_SZ];
};

int recover_handle(const struct call *call, struct path *path)
{
    struct any_handle handle;
    if (memory_read(call->arguments[1], &handle.head, sizeof handle.head) < 0 ||
        handle.head.handle_bytes > MAX_HANDLE_SZ ||
        memory_read(call->arguments[1] + sizeof handle.head, handle.bytes, handle.head.handle_bytes) < 0)
        return -EFAULT;
    char name[64];
    snprintf(name, sizeof name, "/proc/%u/fd/%d", call->tid, (int)call->arguments[0]);
    if ((int)call->arguments[0] == AT_FDCWD)
        snprintf(name, sizeof name, "/proc/%u/cwd", call->tid);
    int mount = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int fd = mount < 0 ? -1 : open_by_handle_at(mount, &handle.head, O_PATH | O_CLOEXEC);
    int failed = fd >= 0 ? 0 : errno == EPERM ? -ENOENT : -errno; /* without the right to it, the call fails, too */
    if (mount >= 0)
        close(mount);
    if (failed)
        return failed;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t got = readlink(name, path->text, PATH_MAX);
    close(fd);
    path->length = got > 0 ? (size_t)got : 0;
    path->text[path->length] = 0;
    path->folder = AT_FDCWD;
    path->tid = call->tid;
    path->given[0] = 0;
    return path->text[0] == '/' ? 0 : -ENOENT;
}

static int is_watched(uint32_t group)
{
    for (unsigned i = 0; i < watched_count; i++)
        if (watched[i] == group)
            return 1;
    return 0;
}

void recover_forget(uint32_t group)
{
    for (unsigned i = watched_count; i-- > 0;)
        if (watched[i] == group)
            watched[i] = watched[--watched_count];
}

static uint32_t flags_of_descriptor(uint32_t group, const char *descriptor)
{
    char name[320], text[256];
    snprintf(name, sizeof name, "/proc/%u/fdinfo/%s", group, descriptor);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return O_RDONLY;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    const char *flags = strstr(text, "flags:");
    return flags ? (uint32_t)strtoul(flags + 6, NULL, 8) : O_RDONLY;
}

/* One record for each path, however often it is seen. Writes are told from reads by a byte before the path. Of what is
 * open for writing only, nothing was read, unless it appends; whether it was there before cannot be known any more.
 * known: it was open before there was a ring, and is only remembered. */
static void record_descriptor(const struct call *call, const char *descriptor, struct path *path, int known)
{
    struct stat status;
    if (path_of_descriptor(call, atoi(descriptor), path) != 0 || path_stat(path, 1, &status) != 0 ||
        !S_ISREG(status.st_mode))
        return;
    uint32_t flags = flags_of_descriptor(call->group, descriptor);
    uint32_t salt = (flags & O_ACCMODE) == O_RDONLY ? 0 : 0x80000000u;
    uint64_t hash;
    struct seen *seen = process_seen(call->group ^ salt, path->text, path->length, &hash);
    if (seen->path == hash)
        return;
    struct log_signature signature = path_signature(&status);
    seen_remember(seen, hash, &signature, __atomic_load_n(&log_header->link_epoch, __ATOMIC_ACQUIRE));
    struct log_text none = {NULL, 0};
    int only_written = (flags & (O_ACCMODE | O_APPEND)) == O_WRONLY;
    if (!known)
        log_append(LOG_OPEN, call->group, atoi(descriptor), flags, 0, only_written ? NULL : &signature,
                   path_as_text(path), none);
}

void recover_now_and_then(const struct call *call)
{
    static uint64_t last_ns;
    if (watched_count == 0 || !is_watched(call->group))
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (now_ns - last_ns < LOOK_EVERY_NS)
        return;
    last_ns = now_ns;
    recover_descriptors(call);
}

static void look_at_descriptors(const struct call *call, int known)
{
    static struct path path;
    char name[64];
    snprintf(name, sizeof name, "/proc/%u/fd", call->group);
    DIR *folder = opendir(name);
    if (!folder)
        return;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        if (entry->d_name[0] != '.')
            record_descriptor(call, entry->d_name, &path, known);
    closedir(folder);
}

/* Whether no ring can come of the call: without room, or where the kernel gives none to anybody. */
static int is_refused(const struct call *call)
{
    char setting = 0;
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC); /* since Linux 6.6 */
    if (fd >= 0) {
        if (read(fd, &setting, 1) != 1)
            setting = 0;
        close(fd);
    }
    return (uint32_t)call->arguments[0] == 0 || setting == '2';
}

void recover_watch(const struct call *call)
{
    if (is_refused(call))
        return;
    log_gap("io_uring");
    if (is_watched(call->group) || watched_count == MOST_WATCHED)
        return;
    watched[watched_count++] = call->group;
    look_at_descriptors(call, 1);
}

void recover_descriptors(const struct call *call)
{
    if (is_watched(call->group))
        look_at_descriptors(call, 0);
}
