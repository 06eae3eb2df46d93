#define _GNU_SOURCE
#include "events.h"

#include "console.h"
#include "exec.h"
#include "log.h"
#include "memory.h"
#include "path.h"
#include "process.h"
#include "recover.h"
#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static struct path first, second;
static const struct log_text no_text = {NULL, 0};

static void append(const struct call *call, enum log_kind kind, uint32_t flags, const struct stat *before,
                   struct log_text text1, struct log_text text2)
{
    uint16_t bits = LOG_EXISTED_KNOWN;
    struct log_signature signature;
    if (before) {
        bits |= LOG_EXISTED;
        signature = path_signature(before);
    }
    log_append(kind, call->group, LOG_RESULT_UNKNOWN, flags, bits, before ? &signature : NULL, text1, text2);
}

static void unreadable(void)
{
    __atomic_fetch_add(&log_header->unreadable, 1, __ATOMIC_RELAXED);
}

/* A path that leads to nothing on disk (a pipe, a socket) is no event; one that cannot be read is a gap. */
static int resolved(int failed)
{
    if (failed == 0)
        return 1;
    if (failed != -ENOENT && failed != -ESRCH)
        unreadable();
    return 0;
}

static int is_write(uint32_t flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
}

/* Whether the making of what is not there can be foreseen to fail. */
static int cannot_be_made(const struct path *path)
{
    struct stat link;
    return !path_folder_allows(path) && path_stat(path, 0, &link) != 0; /* a symlink leads to another folder */
}

/* Whether the open can be foreseen to fail, or concerns no file content. */
static int is_moot(const struct path *path, uint32_t flags, const struct stat *status, int missing)
{
    if (missing)
        return !(flags & O_CREAT) || cannot_be_made(path);
    if (S_ISDIR(status->st_mode))
        return (flags & O_TMPFILE) != O_TMPFILE;
    if (!S_ISREG(status->st_mode) && !S_ISBLK(status->st_mode) && !S_ISFIFO(status->st_mode))
        return 1;
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return 1;
    int wanted = (flags & O_ACCMODE) == O_WRONLY ? W_OK : (flags & O_ACCMODE) == O_RDWR ? R_OK | W_OK : R_OK;
    return geteuid() != 0 && !path_allows(path, wanted);
}

/* Where the file will lie that is opened to be written. */
static void record_led(const struct call *call, const struct path *path, int missing)
{
    static char text[PATH_MAX + 1];
    ssize_t length = path_lies_at(path, missing, text, sizeof text);
    if (length <= 0 || ((size_t)length == path->length && memcmp(text, path->text, path->length) == 0))
        return;
    struct log_text place = {text, (size_t)length};
    log_append(LOG_LED, call->group, LOG_RESULT_UNKNOWN, 0, 0, NULL, path_as_text(path), place);
}

/* Each program that a process executes loads the library, or not: that tells who has seen what it did. */
static int is_library(const struct path *path)
{
    static const char name[] = "/libroar-preload.so";
    size_t length = sizeof name - 1;
    return path->length > length && memcmp(path->text + path->length - length, name, length) == 0;
}

static void record_open(const struct call *call, const struct path *path, uint32_t flags)
{
    if (strcmp(path->text, CANARY_PATH) == 0) {
        __atomic_fetch_or(&log_header->canary, LOG_CANARY_SUPERVISOR, __ATOMIC_SEQ_CST);
        return;
    }
    uint64_t hash;
    struct stat status;
    struct seen *seen = process_seen(call->group, path->text, path->length, &hash);
    uint32_t epoch = __atomic_load_n(&log_header->link_epoch, __ATOMIC_ACQUIRE);
    int may_be_known = !is_write(flags) && !is_library(path);
    if (may_be_known && seen_just_now(seen, hash, epoch))
        return;
    int missing = path_stat(path, !(flags & O_NOFOLLOW), &status);
    if (is_moot(path, flags, &status, missing))
        return;
    if (may_be_known && !missing) {
        struct log_signature signature = path_signature(&status);
        if (seen_before(seen, hash, &signature, epoch))
            return;
        seen_remember(seen, hash, &signature, epoch);
    }
    append(call, LOG_OPEN, flags, missing ? NULL : &status, path_as_text(path), no_text);
    if (is_write(flags) && (flags & O_TMPFILE) != O_TMPFILE)
        record_led(call, path, missing);
}

static void on_open(const struct call *call, int folder, uint64_t address, uint64_t flags)
{
    if (resolved(path_read(call, folder, address, &first)))
        record_open(call, &first, (uint32_t)flags);
}

static void on_openat2(const struct call *call)
{
    struct open_how how = {0};
    if (memory_read(call->arguments[2], &how, sizeof how) < 0) {
        unreadable();
        return;
    }
    if ((how.flags & O_PATH) || (how.flags & O_TMPFILE) == O_DIRECTORY)
        return;
    int folder = (int)call->arguments[0];
    int failed = how.resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH)
                     ? path_read_in_root(call, folder, call->arguments[1], &first)
                     : path_read(call, folder, call->arguments[1], &first);
    if (resolved(failed))
        record_open(call, &first, (uint32_t)how.flags);
}

static void links_change(void)
{
    __atomic_fetch_add(&log_header->link_epoch, 1, __ATOMIC_SEQ_CST);
}

/* Where a symlink led that is about to be removed, moved, or replaced: afterwards nobody can tell. */
static void record_lost_link(const struct call *call, const struct path *path)
{
    static char text[PATH_MAX + 1];
    ssize_t length = path_link(path, text, sizeof text);
    if (length <= 0)
        return;
    struct log_text text1 = {text, (size_t)length};
    links_change();
    append(call, LOG_SYMLINK, LOG_LINK_WAS_THERE, NULL, text1, path_as_text(path));
}

/* unlink, rmdir, mknod, mkdir: one path. */
static void on_one_path(const struct call *call, enum log_kind kind, int folder, uint64_t address, uint64_t flags)
{
    if (!resolved(path_read(call, folder, address, &first)))
        return;
    struct stat status;
    int missing = path_stat(&first, 0, &status);
    int makes = kind == LOG_MKNOD || kind == LOG_MKDIR;
    if (makes != (missing != 0) || !path_folder_allows(&first))
        return; /* will fail */
    if (kind == LOG_UNLINK && S_ISLNK(status.st_mode))
        record_lost_link(call, &first);
    append(call, kind, (uint32_t)flags, missing ? NULL : &status, path_as_text(&first), no_text);
}

/* Whether the length in a call is nothing. In i386 it may go on in the next argument. */
static int to_nothing(const struct call *call)
{
    return call->arguments[1] == 0 && (call->word == 8 || call->arguments[2] == 0);
}

static void on_truncate(const struct call *call)
{
    struct stat status;
    if (!resolved(path_read(call, AT_FDCWD, call->arguments[0], &first)) || path_stat(&first, 1, &status) != 0)
        return;
    if (!S_ISREG(status.st_mode) || !path_allows(&first, W_OK))
        return; /* will fail */
    append(call, LOG_TRUNCATE, to_nothing(call) ? LOG_TO_NOTHING : 0, &status, path_as_text(&first), no_text);
}

static void on_ftruncate(const struct call *call)
{
    char name[64];
    struct stat status;
    snprintf(name, sizeof name, "/proc/%u/fd/%d", call->tid, (int)call->arguments[0]);
    if (to_nothing(call) && stat(name, &status) == 0 && S_ISREG(status.st_mode))
        append(call, LOG_EMPTY, 0, &status, no_text, no_text);
}

static int is_on_another_disk(void)
{
    struct stat from_folder, to_folder;
    return path_stat_folder(&second, &to_folder) == 0 && path_stat_folder(&first, &from_folder) == 0 &&
           from_folder.st_dev != to_folder.st_dev;
}

/* Whether a rename of what is there can be foreseen to fail, or to do nothing: rename(2). */
static int rename_is_moot(uint32_t flags, const struct stat *from)
{
    struct stat to;
    if (!path_folder_allows(&second) || !path_folder_allows(&first) || is_on_another_disk())
        return 1;
    if (S_ISDIR(from->st_mode) && path_is_inside(&second, from))
        return 1;
    if (path_stat(&second, 0, &to) != 0)
        return (flags & RENAME_EXCHANGE) != 0;
    if (to.st_dev == from->st_dev && to.st_ino == from->st_ino)
        return 1; /* two names of one file: both stay */
    if (flags & RENAME_EXCHANGE)
        return S_ISDIR(to.st_mode) && path_is_inside(&first, &to);
    if ((flags & RENAME_NOREPLACE) || S_ISDIR(from->st_mode) != S_ISDIR(to.st_mode))
        return 1;
    return S_ISDIR(to.st_mode) && path_is_filled_folder(&second);
}

/* Whether a second name for what is there can be foreseen to fail: link(2). */
static int link_is_moot(uint32_t flags, const struct stat *from)
{
    struct stat to, named;
    if (S_ISDIR(from->st_mode) || !path_folder_allows(&second) || path_stat(&second, 0, &to) == 0)
        return 1;
    if ((flags & AT_SYMLINK_FOLLOW) && path_stat(&first, 0, &named) == 0 && S_ISLNK(named.st_mode))
        return 0; /* what it leads to may be on any disk */
    return is_on_another_disk();
}

/* The link below /proc itself, which is in no other folder's file system, not what it leads to. */
static int is_of_proc(enum log_kind kind, uint32_t flags)
{
    if (kind == LOG_LINK && (flags & (AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)))
        return 0;
    return strncmp(first.given, "/proc/", 6) == 0 || strncmp(first.given, "/dev/fd/", 8) == 0;
}

/* What the kernel calls a file of O_TMPFILE, which alone can get a name later: "#1234 (deleted)". */
static int is_of_tmpfile(const char *path)
{
    const char *name = strrchr(path, '/');
    size_t digits = name ? strspn(name + 1 + (name[1] == '#'), "0123456789") : 0;
    return digits && name[1] == '#' && strcmp(name + 2 + digits, " (deleted)") == 0;
}

static void on_two_paths(const struct call *call, enum log_kind kind, uint32_t flags)
{
    struct stat status;
    if (is_of_proc(kind, flags))
        return; /* will fail */
    if (path_stat(&first, kind == LOG_LINK && (flags & (AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)), &status) != 0) {
        if (!is_of_tmpfile(first.text) || !path_folder_allows(&second) || path_stat(&second, 0, &status) == 0)
            return; /* not O_TMPFILE, then linkat of its descriptor */
        append(call, kind, flags, NULL, path_as_text(&first), path_as_text(&second));
        return;
    }
    struct stat other;
    if (kind == LOG_LINK ? link_is_moot(flags, &status) : rename_is_moot(flags, &status))
        return; /* will fail: mv(1) tries so first */
    if (kind == LOG_RENAME && (flags & RENAME_EXCHANGE) && path_stat(&second, 0, &other) == 0 &&
        S_ISREG(other.st_mode))
        append(call, LOG_OPEN, O_RDONLY, &other, path_as_text(&second), no_text); /* as if it were read */
    if (kind == LOG_RENAME) {
        if (S_ISLNK(status.st_mode))
            record_lost_link(call, &first);
        record_lost_link(call, &second);
        if (S_ISDIR(status.st_mode)) {
            links_change();
            path_working_folder_changes(call); /* of those in the folder */
        }
    }
    append(call, kind, flags, &status, path_as_text(&first), path_as_text(&second));
}

static void on_rename(const struct call *call, enum log_kind kind, int folder1, uint64_t address1, int folder2,
                      uint64_t address2, uint64_t flags)
{
    int failed = kind == LOG_LINK && (flags & AT_EMPTY_PATH) ? path_of_descriptor(call, folder1, &first)
                                                             : path_read(call, folder1, address1, &first);
    if (resolved(failed) && resolved(path_read(call, folder2, address2, &second)))
        on_two_paths(call, kind, (uint32_t)flags);
}

static void on_symlink(const struct call *call, uint64_t target, int folder, uint64_t address)
{
    static char text[PATH_MAX + 1];
    struct stat status;
    int length = memory_read_string(target, text, sizeof text);
    if (!resolved(length < 0 ? length : 0) || !resolved(path_read(call, folder, address, &second)))
        return;
    if (path_stat(&second, 0, &status) == 0 || !path_folder_allows(&second))
        return; /* will fail */
    struct log_text text1 = {text, (size_t)length};
    links_change();
    append(call, LOG_SYMLINK, 0, NULL, text1, path_as_text(&second));
}

static void on_new_root(const struct call *call)
{
    path_roots_differ();
    path_working_folder_changes(call);
    __atomic_store_n(&log_header->quiet, 1, __ATOMIC_SEQ_CST);
}

/* Two processes with the same mounts, ours and the calling one. */
static int has_our_mounts(const struct call *call)
{
    char name[64];
    struct stat own, its;
    snprintf(name, sizeof name, "/proc/%u/ns/mnt", call->tid);
    return stat("/proc/self/ns/mnt", &own) == 0 && stat(name, &its) == 0 && own.st_ino == its.st_ino;
}

static void mounts_differ(const struct call *call)
{
    if (has_our_mounts(call))
        return;
    path_namespaces_differ();
    log_gap("mounts of the command's own: some paths may lead elsewhere outside it");
}

static void on_mount(const struct call *call)
{
    static const char *const without_files[] = {"proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"};
    const uint64_t changes_only = MS_REMOUNT | MS_PRIVATE | MS_SLAVE | MS_SHARED | MS_UNBINDABLE;
    char type[16] = "";
    if (call->arguments[3] & changes_only)
        return;
    if (!(call->arguments[3] & (MS_BIND | MS_MOVE)) && call->arguments[2])
        memory_read_string(call->arguments[2], type, sizeof type);
    for (size_t i = 0; i < sizeof without_files / sizeof without_files[0]; i++)
        if (strcmp(type, without_files[i]) == 0)
            return;
    mounts_differ(call);
}

/* The namespace is another after the call only; asked for by kind, or by a descriptor of any kind (0). */
static void on_setns(const struct call *call)
{
    if (call->arguments[1] != 0 && !(call->arguments[1] & CLONE_NEWNS))
        return;
    path_namespaces_differ();
    log_gap("mounts of the command's own: some paths may lead elsewhere outside it");
}

static void on_exit(const struct call *call)
{
    recover_descriptors(call);
    recover_forget(call->group);
    process_find_ended(call->group);
    struct log_use use = process_use(call->group);
    struct log_text text = {(const char *)&use, sizeof use};
    log_append(LOG_EXIT, call->group, (int32_t)(call->arguments[0] & 0xff), 0, 0, NULL, text, no_text);
    process_forget(call->group);
}

struct console_of_process {
    uint32_t group;
    struct console streams[2];
};

static void give_line(void *context, const char *line, size_t length)
{
    const struct call *call = context;
    struct log_text text = {line, length};
    log_append(LOG_CONSOLE, call->group, 0, (uint32_t)call->arguments[0], 0, NULL, text, no_text);
}

static void take_console(struct call *call, struct console *console, uint64_t address, uint64_t size)
{
    static char text[CONSOLE_MOST_BYTES];
    if (size > sizeof text)
        size = sizeof text;
    if (memory_read(address, text, size) == 0)
        console_take(console, text, size, give_line, call);
}

static void on_console(const struct call *call)
{
    static struct console_of_process processes[64];
    struct console_of_process *of = &processes[call->group % 64];
    if (of->group != call->group) {
        memset(of, 0, sizeof *of);
        of->group = call->group;
    }
    struct console *console = &of->streams[call->arguments[0] == 2];
    struct call copy = *call;
    if (console_is_done(console))
        return;
    if (call->number == CALL_write) {
        take_console(&copy, console, call->arguments[1], call->arguments[2]);
        return;
    }
    for (uint64_t i = 0; i < call->arguments[2] && i < 64; i++) {
        uint64_t part[2] = {0, 0};
        uint64_t at = call->arguments[1] + i * 2 * call->word;
        if (memory_read(at, &part[0], call->word) < 0 || memory_read(at + call->word, &part[1], call->word) < 0)
            return;
        take_console(&copy, console, part[0], part[1]);
    }
}

static void record_names(const struct call *call)
{
    const uint64_t *a = call->arguments;
    int folder = (int)a[0];
    switch (call->number) {
    case CALL_unlink: on_one_path(call, LOG_UNLINK, AT_FDCWD, a[0], 0); break;
    case CALL_unlinkat: on_one_path(call, a[2] & AT_REMOVEDIR ? LOG_RMDIR : LOG_UNLINK, folder, a[1], a[2]); break;
    case CALL_rmdir: on_one_path(call, LOG_RMDIR, AT_FDCWD, a[0], 0); break;
    case CALL_mkdir: on_one_path(call, LOG_MKDIR, AT_FDCWD, a[0], a[1]); break;
    case CALL_mkdirat: on_one_path(call, LOG_MKDIR, folder, a[1], a[2]); break;
    case CALL_mknod: on_one_path(call, LOG_MKNOD, AT_FDCWD, a[0], a[1]); break;
    case CALL_mknodat: on_one_path(call, LOG_MKNOD, folder, a[1], a[2]); break;
    case CALL_truncate: on_truncate(call); break;
    case CALL_ftruncate: on_ftruncate(call); break;
    case CALL_rename: on_rename(call, LOG_RENAME, AT_FDCWD, a[0], AT_FDCWD, a[1], 0); break;
    case CALL_renameat: on_rename(call, LOG_RENAME, folder, a[1], (int)a[2], a[3], 0); break;
    case CALL_renameat2: on_rename(call, LOG_RENAME, folder, a[1], (int)a[2], a[3], a[4]); break;
    case CALL_link: on_rename(call, LOG_LINK, AT_FDCWD, a[0], AT_FDCWD, a[1], 0); break;
    case CALL_linkat: on_rename(call, LOG_LINK, folder, a[1], (int)a[2], a[3], a[4]); break;
    case CALL_symlink: on_symlink(call, a[0], AT_FDCWD, a[1]); break;
    case CALL_symlinkat: on_symlink(call, a[0], (int)a[1], a[2]); break;
    default: break;
    }
}

void events_record(const struct call *call)
{
    const uint64_t *a = call->arguments;
    recover_now_and_then(call);
    switch (call->number) {
    case CALL_open: on_open(call, AT_FDCWD, a[0], a[1]); break;
    case CALL_openat: on_open(call, (int)a[0], a[1], a[2]); break;
    case CALL_creat: on_open(call, AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC); break;
    case CALL_openat2: on_openat2(call); break;
    case CALL_open_by_handle_at:
        if (resolved(recover_handle(call, &first)))
            record_open(call, &first, (uint32_t)a[2]);
        break;
    case CALL_chdir:
    case CALL_fchdir: path_working_folder_changes(call); break;
    case CALL_chroot:
    case CALL_pivot_root: on_new_root(call); break;
    case CALL_mount: on_mount(call); break;
    case CALL_move_mount: mounts_differ(call); break;
    case CALL_setns: on_setns(call); break;
    case CALL_execve: exec_record(call, AT_FDCWD, a[0], a[1], a[2], 0); break;
    case CALL_execveat: exec_record(call, (int)a[0], a[1], a[2], a[3], (int)a[4]); break;
    case CALL_exit_group: on_exit(call); break;
    case CALL_io_uring_setup: recover_watch(call); break;
    case CALL_seccomp:
    case CALL_prctl: /* the program builds a sandbox: the library must not make calls that it may forbid */
        __atomic_store_n(&log_header->quiet, 1, __ATOMIC_SEQ_CST);
        break;
    case CALL_write:
    case CALL_writev: on_console(call); break;
    default: record_names(call); break;
    }
}
