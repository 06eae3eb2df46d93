#define _GNU_SOURCE
#include "path.h"

#include "memory.h"
#include "proc_link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int roots_differ;

void path_roots_differ(void)
{
    roots_differ = 1;
}

static int namespaces_differ;

void path_namespaces_differ(void)
{
    namespaces_differ = 1;
}

/* Where a process's root, or its mounts, are not ours: its own way to the path. Returns 0 where there is none. */
static int own_way(const struct path *path, char *to, size_t capacity)
{
    if (!namespaces_differ || path->text[0] != '/')
        return 0;
    return snprintf(to, capacity, "/proc/%u/root%s", path->tid, path->text) < (int)capacity;
}

/* Reads a link of /proc/TID into path->text. Returns 0 or -errno; -ENOENT where it leads to no path. */
static int read_link(struct path *path, const char *name)
{
    ssize_t got = readlink(name, path->text, PATH_MAX);
    if (got <= 0)
        return got < 0 ? -errno : -ENOENT;
    path->length = (size_t)got;
    path->text[got] = 0;
    return path->text[0] == '/' ? 0 : -ENOENT;
}

/* The working folders of processes, as of one epoch. While one thread's chdir is on its way (`changing`), its
 * process is not cached: another thread may still meet the old folder. */
struct working_folder {
    uint32_t group, epoch, changing;
    size_t length;
    char text[256]; /* longer ones are not kept */
};
#define WORKING_FOLDERS 256u
static struct working_folder working_folders[WORKING_FOLDERS];

int path_reaches(const struct call *call, const char *file)
{
    char name[PATH_MAX];
    if (!roots_differ && !namespaces_differ)
        return 1;
    return snprintf(name, sizeof name, "/proc/%u/root%s", call->tid, file) >= (int)sizeof name ||
           faccessat(AT_FDCWD, name, R_OK, AT_EACCESS) == 0;
}

void path_working_folder_changes(const struct call *call)
{
    struct working_folder *known = &working_folders[call->group % WORKING_FOLDERS];
    known->group = call->group;
    known->changing = call->tid;
    known->length = 0;
    __atomic_fetch_add(&log_header->working_folder_epoch, 1, __ATOMIC_SEQ_CST); /* for the library, too */
}

static int read_working_folder(const struct call *call, struct path *path)
{
    char name[64];
    struct working_folder *known = &working_folders[call->group % WORKING_FOLDERS];
    uint32_t epoch = __atomic_load_n(&log_header->working_folder_epoch, __ATOMIC_ACQUIRE);
    if (known->group == call->group && known->changing == call->tid)
        known->changing = 0; /* its next call: the change has been made */
    if (known->group == call->group && known->epoch == epoch && known->length) {
        memcpy(path->text, known->text, known->length + 1);
        path->length = known->length;
        return 0;
    }
    snprintf(name, sizeof name, "/proc/%u/cwd", call->tid);
    int failed = read_link(path, name);
    if (failed || path->length >= sizeof known->text || (known->group == call->group && known->changing))
        return failed;
    known->group = call->group;
    known->epoch = epoch;
    known->changing = 0;
    known->length = path->length;
    memcpy(known->text, path->text, path->length + 1);
    return 0;
}

static int read_folder(const struct call *call, int folder, struct path *path)
{
    char name[64];
    if (folder == AT_FDCWD)
        return read_working_folder(call, path);
    snprintf(name, sizeof name, "/proc/%u/fd/%d", call->tid, folder);
    return read_link(path, name);
}

int path_of_descriptor(const struct call *call, int descriptor, struct path *path)
{
    path->folder = AT_FDCWD;
    path->tid = call->tid;
    path->given[0] = 0;
    return read_folder(call, descriptor, path);
}

static void append(struct path *path, const char *text, size_t length)
{
    size_t room = sizeof path->text - 1 - path->length;
    if (length > room)
        length = room;
    memcpy(path->text + path->length, text, length);
    path->length += length;
    path->text[path->length] = 0;
}

/* Takes `name`, a path below /proc/PID, by where its link leads. Returns 0 or -errno. */
static int follow_link(struct path *path, char *name)
{
    const char *found = proc_link_end(name);
    if (!found)
        return -ENOENT;
    char *end = name + (found - name);
    char slash = *end;
    *end = 0;
    int failed = read_link(path, name);
    *end = slash;
    if (!failed)
        append(path, end, strlen(end));
    return failed;
}

/* What /proc/self, /proc/thread-self and /dev/fd mean to the calling process. Returns 1 if `given` was such a path. */
static int read_self(const struct call *call, struct path *path)
{
    static const char *const standard[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
    const char *given = path->given;
    char name[PATH_MAX + 32];
    name[0] = 0;
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(given, standard[i]) == 0)
            snprintf(name, sizeof name, "/proc/%u/fd/%u", call->tid, i);
    if (strncmp(given, "/dev/fd/", 8) == 0)
        snprintf(name, sizeof name, "/proc/%u/fd/%s", call->tid, given + 8);
    else if (strncmp(given, "/proc/self/", 11) == 0)
        snprintf(name, sizeof name, "/proc/%u/%s", call->group, given + 11);
    else if (strncmp(given, "/proc/thread-self/", 18) == 0)
        snprintf(name, sizeof name, "/proc/%u/task/%u/%s", call->group, call->tid, given + 18);
    else if (strncmp(given, "/proc/", 6) == 0)
        snprintf(name, sizeof name, "%s", given);
    if (!name[0])
        return 0;
    if (follow_link(path, name) == 0)
        return 1;
    path->length = 0;
    append(path, name, strlen(name));
    return 1;
}

static void prefix_root(const struct call *call, struct path *path)
{
    char name[64], root[PATH_MAX + 1];
    snprintf(name, sizeof name, "/proc/%u/root", call->tid);
    ssize_t got = readlink(name, root, PATH_MAX);
    path->length = 0;
    if (got > 1 && root[0] == '/')
        append(path, root, (size_t)got);
}

static int read_given(const struct call *call, int folder, uint64_t address, struct path *path)
{
    path->folder = folder;
    path->tid = call->tid;
    path->length = 0;
    int length = memory_read_path(address, path->given, sizeof path->given);
    if (length < 0)
        path->given[0] = 0;
    return length;
}

static int join_folder(const struct call *call, int folder, struct path *path, size_t length)
{
    int failed = read_folder(call, folder, path);
    if (failed)
        return failed;
    if (length > 0) {
        append(path, "/", 1);
        append(path, path->given, length);
    }
    return 0;
}

int path_read(const struct call *call, int folder, uint64_t address, struct path *path)
{
    int length = read_given(call, folder, address, path);
    if (length < 0)
        return length;
    if (path->given[0] != '/')
        return join_folder(call, folder, path, (size_t)length);
    path->folder = AT_FDCWD;
    if (read_self(call, path))
        return 0;
    if (roots_differ)
        prefix_root(call, path);
    append(path, path->given, (size_t)length);
    return 0;
}

int path_read_in_root(const struct call *call, int folder, uint64_t address, struct path *path)
{
    int length = read_given(call, folder, address, path);
    if (length < 0)
        return length;
    return join_folder(call, folder, path, (size_t)length);
}

/* Longer than PATH_MAX when joined: go through the folder's descriptor. */
static int open_folder(const struct path *path)
{
    char name[64];
    if (path->folder == AT_FDCWD)
        snprintf(name, sizeof name, "/proc/%u/cwd", path->tid);
    else
        snprintf(name, sizeof name, "/proc/%u/fd/%d", path->tid, path->folder);
    return open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int path_stat(const struct path *path, int follow, struct stat *to)
{
    int flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
    char own[PATH_MAX];
    if (own_way(path, own, sizeof own) && fstatat(AT_FDCWD, own, to, flags) == 0)
        return 0;
    if (fstatat(AT_FDCWD, path->text, to, flags) == 0)
        return 0;
    if (errno != ENAMETOOLONG || !path->given[0])
        return -errno;
    int folder = open_folder(path);
    if (folder < 0)
        return -errno;
    const char *given = path->given;
    while (*given == '/')
        given++;
    int failed = fstatat(folder, given, to, flags) < 0 ? -errno : 0;
    close(folder);
    return failed;
}

/* The folder that the path's last name is in. Valid until the next call. */
static const struct path *folder_of(const struct path *path)
{
    static struct path folder;
    size_t length = path->length;
    while (length > 1 && path->text[length - 1] == '/')
        length--;
    while (length > 0 && path->text[length - 1] != '/')
        length--;
    memcpy(folder.text, path->text, length);
    folder.length = length;
    folder.text[length] = 0;
    folder.tid = path->tid;
    return &folder;
}

int path_stat_folder(const struct path *path, struct stat *to)
{
    return path_stat(folder_of(path), 1, to);
}

int path_folder_allows(const struct path *path)
{
    return path_allows(folder_of(path), W_OK | X_OK);
}

int path_is_inside(const struct path *path, const struct stat *folder)
{
    char own[PATH_MAX];
    const struct path *above = folder_of(path);
    const char *name = own_way(above, own, sizeof own) ? own : above->text;
    struct stat status, before = {0};
    int found = 0;
    int descriptor = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (descriptor >= 0 && fstat(descriptor, &status) == 0) {
        found = status.st_dev == folder->st_dev && status.st_ino == folder->st_ino;
        if (found || (status.st_dev == before.st_dev && status.st_ino == before.st_ino))
            break; /* the root is in itself */
        before = status;
        int next = openat(descriptor, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(descriptor);
        descriptor = next;
    }
    if (descriptor >= 0)
        close(descriptor);
    return found;
}

int path_is_filled_folder(const struct path *path)
{
    char own[PATH_MAX];
    DIR *folder = opendir(own_way(path, own, sizeof own) ? own : path->text);
    if (!folder)
        return 0;
    int filled = 0;
    for (struct dirent *entry = readdir(folder); entry && !filled; entry = readdir(folder))
        filled = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(folder);
    return filled;
}

ssize_t path_link(const struct path *path, char *to, size_t capacity)
{
    char own[PATH_MAX];
    const char *name = own_way(path, own, sizeof own) ? own : path->text;
    ssize_t length = readlink(name, to, capacity);
    return length < (ssize_t)capacity ? length : -1;
}

ssize_t path_lies_at(const struct path *path, int missing, char *to, size_t capacity)
{
    static struct path folder;
    char name[64];
    const char *last = missing ? strrchr(path->text, '/') : NULL;
    struct stat status;
    if (roots_differ || namespaces_differ || (missing && (!last || !last[1] || path_stat(path, 0, &status) == 0)))
        return -1; /* the last: a symlink to what is not there yet */
    folder.length = last ? (size_t)(last - path->text) : path->length;
    memcpy(folder.text, path->text, folder.length);
    folder.text[folder.length] = 0;
    int descriptor = open(folder.length ? folder.text : "/", O_PATH | O_CLOEXEC);
    if (descriptor < 0)
        return -1;
    snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(name, to, capacity);
    close(descriptor);
    size_t more = last ? strlen(last) : 0;
    if (length <= 0 || (size_t)length + more >= capacity || to[0] != '/')
        return -1;
    if (length == 1)
        length = last ? 0 : 1;
    if (last)
        memcpy(to + length, last, more);
    return length + (ssize_t)more;
}

/* In a user namespace of its own a process may do what we may not: user_namespaces(7). */
static int has_own_rights(const struct path *path)
{
    char name[64];
    struct stat ours, its;
    snprintf(name, sizeof name, "/proc/%u/ns/user", path->tid);
    return stat("/proc/self/ns/user", &ours) == 0 && stat(name, &its) == 0 && ours.st_ino != its.st_ino;
}

int path_allows(const struct path *path, int access_mode)
{
    char own[PATH_MAX];
    if (own_way(path, own, sizeof own) && faccessat(AT_FDCWD, own, access_mode, AT_EACCESS) == 0)
        return 1;
    if (faccessat(AT_FDCWD, path->text, access_mode, AT_EACCESS) == 0 || errno == ENAMETOOLONG)
        return 1;
    return errno == EACCES && has_own_rights(path);
}

struct log_text path_as_text(const struct path *path)
{
    return (struct log_text){path->text, path->length};
}

struct log_signature path_signature(const struct stat *from)
{
    return (struct log_signature){
        .device = from->st_dev,
        .inode = from->st_ino,
        .size = from->st_size,
        .mtime_ns = (int64_t)((uint64_t)from->st_mtim.tv_sec * 1000000000u + (uint64_t)from->st_mtim.tv_nsec),
        .ctime_ns = (int64_t)((uint64_t)from->st_ctim.tv_sec * 1000000000u + (uint64_t)from->st_ctim.tv_nsec),
        .mode = from->st_mode,
    };
}
