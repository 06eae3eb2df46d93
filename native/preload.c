/* The functions of libc that name files, replaced by ones that append to the log and then make the system call
 * themselves, with the cookie that lets it pass the filter. Whatever these functions do not understand they pass on as
 * the plain system call, which the supervisor then records. They use the same system call as libc does, so that a
 * program's own sandbox finds nothing new. */
#include "library.h"

#include <asm/errno.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <linux/prctl.h>
#include <linux/uio.h>
#include <stdarg.h>

#define EXPORT __attribute__((visibility("default")))
#define CANARY "/dev/null/roar-canary"

extern int *__errno_location(void) __attribute__((weak));
extern void *fdopen(int fd, const char *mode) __attribute__((weak));
extern void *dlsym(void *handle, const char *name) __attribute__((weak));
extern long __write(int fd, const void *data, size_t size) __attribute__((weak));

#define NEXT ((void *)-1L) /* RTLD_NEXT */

static long finish(long result)
{
    if (LIKELY(!library_failed(result)))
        return result;
    if (__errno_location)
        *__errno_location() = (int)-result;
    return -1;
}

static int same_text(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/* ---- open ---- */

#define REGULAR(signature) (((signature).mode & 0170000) == 0100000)
#define FIFO(signature) (((signature).mode & 0170000) == 0010000)
#define FOLDER(signature) (((signature).mode & 0170000) == 0040000)

static long make_open(int number, int folder, const char *path, int flags, unsigned mode)
{
    if (number == CALL_creat)
        return PASS0(CALL_creat, path, mode, 0, 0, 0);
    return PASS1(CALL_openat, folder, path, flags, mode, 0);
}

static long make_plain_open(int number, int folder, const char *path, int flags, unsigned mode)
{
    if (number == CALL_creat)
        return PLAIN(CALL_creat, path, mode, 0, 0, 0);
    return PLAIN(CALL_openat, folder, path, flags, mode, 0);
}

/* Logged before the call is made: a process killed right after has not done it unseen. */
static long open_to_write(int number, int folder, const char *path, int flags, unsigned mode, struct name *name)
{
    struct log_signature before;
    uint16_t bits = 0;
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
        bits = LOG_EXISTED_KNOWN; /* it fails where there is one */
    } else if (!(flags & O_TRUNC)) { /* what was there may stay, and be read */
        bits = LOG_EXISTED_KNOWN;
        if (library_stat_path(folder, path, 0, &before) == 0)
            bits |= LOG_EXISTED;
    }
    struct log_record *record =
        library_append(LOG_OPEN, (uint32_t)flags, bits, bits & LOG_EXISTED ? &before : NULL, name, NULL);
    library_unlock_names(name, NULL);
    if (UNLIKELY(!record))
        return make_plain_open(number, folder, path, flags, mode);
    int by_descriptor = name->locked;
    long result = make_open(number, folder, path, flags, mode);
    record->result = (int32_t)result;
    if (library_failed(result) || (by_descriptor && !library_name(name, folder, path, 0)))
        return result;
    library_record_led(name, (int)result);
    library_unlock_names(name, NULL);
    return result;
}

/* A call that shows the supervisor an open which has been made already, and itself fails: its size is none. Opening the
 * file anew would not do: it may be gone, and closing a descriptor gives up the process's locks on its file. */
static void tell_supervisor(int folder, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)flags};
    if (!(library_log->options & LOG_NO_FILTER))
        PLAIN(CALL_openat2, folder, path, &how, 0, 0);
}

static long open_to_read(int folder, const char *path, int flags, unsigned mode, struct name *name)
{
    uint64_t hash;
    struct log_signature signature;
    int by_descriptor = name->locked;
    struct seen *seen = library_seen(name, &hash);
    uint32_t epoch = __atomic_load_n(&library_log->link_epoch, __ATOMIC_ACQUIRE);
    int known = seen_just_now(seen, hash, epoch);
    library_unlock_names(name, NULL);
    long result = make_open(CALL_openat, folder, path, flags, mode);
    if (known || library_failed(result) || library_stat_descriptor((int)result, &signature) != 0 ||
        !(REGULAR(signature) || FIFO(signature)) || seen_before(seen, hash, &signature, epoch))
        return result;
    if (by_descriptor && !library_name(name, folder, path, 0))
        name->length = 0;
    struct log_record *record = NULL;
    if (name->length) {
        record = library_append(LOG_OPEN, (uint32_t)flags, LOG_EXISTED_KNOWN | LOG_EXISTED, &signature, name, NULL);
        library_unlock_names(name, NULL);
    }
    if (UNLIKELY(!record)) {
        tell_supervisor(folder, path, flags);
        return result;
    }
    record->result = (int32_t)result;
    seen_remember(seen, hash, &signature, epoch);
    return result;
}

static long open_file(int number, int folder, const char *path, int flags, unsigned mode)
{
    struct name name;
    if (UNLIKELY((flags & (O_DIRECTORY | O_PATH)) || !library_ready() || !library_name(&name, folder, path, 0)))
        return finish(make_plain_open(number, folder, path, flags, mode));
    if (UNLIKELY(path[0] == '/' && path[1] == 'd' && path[2] == 'e' && path[3] == 'v')) {
        if (same_text(path, CANARY))
            __atomic_fetch_or(&library_log->canary, LOG_CANARY_LIBRARY, __ATOMIC_SEQ_CST);
        if (same_text(path, CANARY) || same_text(path, "/dev/null"))
            return finish(make_open(number, folder, path, flags, mode));
    }
    if ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)))
        return finish(open_to_write(number, folder, path, flags, mode, &name));
    return finish(open_to_read(folder, path, flags, mode, &name));
}

#define MODE_ARGUMENT(flags)                                    \
    unsigned mode = 0;                                          \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                      \
        va_list more;                                           \
        va_start(more, flags);                                  \
        mode = va_arg(more, unsigned);                          \
        va_end(more);                                           \
    }

#define OPEN(name)                                              \
    EXPORT int name(const char *path, int flags, ...)           \
    {                                                           \
        MODE_ARGUMENT(flags)                                    \
        return (int)open_file(CALL_openat, AT_FDCWD, path, flags, mode); \
    }
#define OPENAT(name)                                            \
    EXPORT int name(int folder, const char *path, int flags, ...) \
    {                                                           \
        MODE_ARGUMENT(flags)                                    \
        return (int)open_file(CALL_openat, folder, path, flags, mode); \
    }
#define OPEN_2(name)                                            \
    EXPORT int name(const char *path, int flags)                \
    {                                                           \
        return (int)open_file(CALL_openat, AT_FDCWD, path, flags, 0); \
    }
#define OPENAT_2(name)                                          \
    EXPORT int name(int folder, const char *path, int flags)    \
    {                                                           \
        return (int)open_file(CALL_openat, folder, path, flags, 0); \
    }
#define CREAT(name)                                             \
    EXPORT int name(const char *path, unsigned mode)            \
    {                                                           \
        return (int)open_file(CALL_creat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
OPEN_2(__open_2)
OPEN_2(__open64_2)
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)
CREAT(creat)
CREAT(creat64)

/* ---- fopen ---- */

/* The open flags of an fopen mode, or -1 for one that is left to libc. */
static int flags_of_mode(const char *mode)
{
    int flags;
    switch (*mode) {
    case 'r': flags = O_RDONLY; break;
    case 'w': flags = O_WRONLY | O_CREAT | O_TRUNC; break;
    case 'a': flags = O_WRONLY | O_CREAT | O_APPEND; break;
    default: return -1;
    }
    while (*++mode) {
        switch (*mode) {
        case '+': flags = (flags & ~O_ACCMODE) | O_RDWR; break;
        case 'x': flags |= O_EXCL; break;
        case 'e': flags |= O_CLOEXEC; break;
        case 'b': break;
        default: return -1;
        }
    }
    return flags;
}

typedef void *fopen_function(const char *path, const char *mode);

static void *open_stream(const char *path, const char *mode, const char *name)
{
    int flags = library_state && fdopen ? flags_of_mode(mode) : -1;
    if (flags < 0) {
        fopen_function *real = dlsym ? (fopen_function *)dlsym(NEXT, name) : NULL;
        if (real)
            return real(path, mode);
        finish(-ENOSYS);
        return NULL;
    }
    int fd = (int)open_file(CALL_openat, AT_FDCWD, path, flags, 0666);
    if (fd < 0)
        return NULL;
    void *stream = fdopen(fd, mode);
    if (!stream)
        PLAIN(__NR_close, fd, 0, 0, 0, 0);
    return stream;
}

EXPORT void *fopen(const char *path, const char *mode)
{
    return open_stream(path, mode, "fopen");
}

EXPORT void *fopen64(const char *path, const char *mode)
{
    return open_stream(path, mode, "fopen64");
}

/* ---- opens that libc makes inside itself ---- */

/* The supervisor sees them; where there is none, they are noted by hand. */
static int is_unseen(void)
{
    return library_state && (library_log->options & LOG_NO_FILTER) && library_ready();
}

static void note_new(enum log_kind kind, const char *path, int flags, int result)
{
    struct name name;
    if (result < 0 || !is_unseen() || !library_name(&name, AT_FDCWD, path, 0))
        return;
    struct log_record *record = library_append(kind, (uint32_t)flags, LOG_EXISTED_KNOWN, NULL, &name, NULL);
    library_unlock_names(&name, NULL);
    if (record)
        record->result = result;
}

typedef int mkostemps_function(char *path, int suffix, int flags);
typedef char *mkdtemp_function(char *path);

static int make_temporary(char *path, int suffix, int flags)
{
    static mkostemps_function *real;
    if (!real && dlsym)
        real = (mkostemps_function *)dlsym(NEXT, "mkostemps");
    if (!real)
        return (int)finish(-ENOSYS);
    int fd = real(path, suffix, flags);
    note_new(LOG_OPEN, path, flags | O_RDWR | O_CREAT | O_EXCL, fd);
    return fd;
}

#define MKSTEMP(name)                                           \
    EXPORT int name(char *path)                                 \
    {                                                           \
        return make_temporary(path, 0, 0);                      \
    }
#define MKOSTEMP(name)                                          \
    EXPORT int name(char *path, int flags)                      \
    {                                                           \
        return make_temporary(path, 0, flags);                  \
    }
#define MKSTEMPS(name)                                          \
    EXPORT int name(char *path, int suffix)                     \
    {                                                           \
        return make_temporary(path, suffix, 0);                 \
    }
#define MKOSTEMPS(name)                                         \
    EXPORT int name(char *path, int suffix, int flags)          \
    {                                                           \
        return make_temporary(path, suffix, flags);             \
    }

MKSTEMP(mkstemp)
MKSTEMP(mkstemp64)
MKOSTEMP(mkostemp)
MKOSTEMP(mkostemp64)
MKSTEMPS(mkstemps)
MKSTEMPS(mkstemps64)
MKOSTEMPS(mkostemps)
MKOSTEMPS(mkostemps64)

EXPORT char *mkdtemp(char *path)
{
    static mkdtemp_function *real;
    if (!real && dlsym)
        real = (mkdtemp_function *)dlsym(NEXT, "mkdtemp");
    if (!real) {
        finish(-ENOSYS);
        return NULL;
    }
    char *made = real(path);
    note_new(LOG_MKDIR, path, 0700, made ? 0 : -1);
    return made;
}

/* Noted before the call is made, as any open. */
static struct log_record *record_reopening(const char *path, const char *mode)
{
    struct name name;
    struct log_signature before;
    int flags = flags_of_mode(mode);
    if (!path || flags < 0 || !is_unseen() || !library_name(&name, AT_FDCWD, path, 0))
        return NULL;
    int there = !(flags & O_TRUNC) && library_stat_path(AT_FDCWD, path, 0, &before) == 0;
    uint16_t bits = flags & O_TRUNC ? 0 : there ? LOG_EXISTED_KNOWN | LOG_EXISTED : LOG_EXISTED_KNOWN;
    struct log_record *record = library_append(LOG_OPEN, (uint32_t)flags, bits, there ? &before : NULL, &name, NULL);
    library_unlock_names(&name, NULL);
    return record;
}

typedef void *freopen_function(const char *path, const char *mode, void *stream);

static void *reopen_stream(const char *path, const char *mode, void *stream, const char *name)
{
    freopen_function *real = dlsym ? (freopen_function *)dlsym(NEXT, name) : NULL;
    if (!real) {
        finish(-ENOSYS);
        return NULL;
    }
    struct log_record *record = record_reopening(path, mode);
    void *reopened = real(path, mode, stream);
    if (record)
        record->result = reopened ? 0 : -1;
    return reopened;
}

EXPORT void *freopen(const char *path, const char *mode, void *stream)
{
    return reopen_stream(path, mode, stream, "freopen");
}

EXPORT void *freopen64(const char *path, const char *mode, void *stream)
{
    return reopen_stream(path, mode, stream, "freopen64");
}

/* ---- calls with one path ---- */

/* at: the path is the second argument, after a folder. rest: the argument after the path. */
static long one_path(enum log_kind kind, int number, int at, int folder, const char *path, long rest, uint32_t flags)
{
    struct name name;
    struct log_record *record = NULL;
    struct log_signature signature;
    if (library_ready() && library_name(&name, folder, path, 0)) {
        int keeps_content = kind == LOG_TRUNCATE && !library_failed(library_stat_path(folder, path, 0, &signature));
        if (kind == LOG_UNLINK)
            library_record_lost_link(&name, folder, path);
        record = library_append(kind, flags, 0, keeps_content ? &signature : NULL, &name, NULL);
        library_unlock_names(&name, NULL);
    }
    if (UNLIKELY(!record))
        return at ? PLAIN(number, folder, path, rest, 0, 0) : PLAIN(number, path, rest, 0, 0, 0);
    long result = at ? PASS1(number, folder, path, rest, 0, 0) : PASS0(number, path, rest, 0, 0, 0);
    record->result = (int32_t)result;
    return result;
}

EXPORT int unlink(const char *path)
{
    return (int)finish(one_path(LOG_UNLINK, CALL_unlink, 0, AT_FDCWD, path, 0, 0));
}

EXPORT int unlinkat(int folder, const char *path, int flags)
{
    enum log_kind kind = flags & 0x200 /* AT_REMOVEDIR */ ? LOG_RMDIR : LOG_UNLINK;
    return (int)finish(one_path(kind, CALL_unlinkat, 1, folder, path, flags, (uint32_t)flags));
}

EXPORT int rmdir(const char *path)
{
    return (int)finish(one_path(LOG_RMDIR, CALL_rmdir, 0, AT_FDCWD, path, 0, 0));
}

EXPORT int remove(const char *path)
{
    long result = one_path(LOG_UNLINK, CALL_unlink, 0, AT_FDCWD, path, 0, 0);
    if (result == -EISDIR)
        result = one_path(LOG_RMDIR, CALL_rmdir, 0, AT_FDCWD, path, 0, 0);
    return (int)finish(result);
}

static int truncate_path(const char *path, long size)
{
    return (int)finish(one_path(LOG_TRUNCATE, CALL_truncate, 0, AT_FDCWD, path, size, size ? 0 : LOG_TO_NOTHING));
}

EXPORT int truncate(const char *path, long size)
{
    return truncate_path(path, size);
}

EXPORT int truncate64(const char *path, long size)
{
    return truncate_path(path, size);
}

/* That it was emptied tells that nothing of it was kept; cut to any other length, it is the file whose open was seen. */
static int truncate_open(int fd, long size)
{
    static const struct name none = {NULL, 0, 0, "", 0};
    struct log_signature signature;
    struct log_record *record = NULL;
    if (size == 0 && library_ready() && library_stat_descriptor(fd, &signature) == 0 && REGULAR(signature))
        record = library_append(LOG_EMPTY, 0, 0, &signature, &none, NULL);
    if (!record)
        return (int)finish(PLAIN(CALL_ftruncate, fd, size, 0, 0, 0));
    long result = PASS0(CALL_ftruncate, (long)fd, size, 0, 0, 0);
    record->result = (int32_t)result;
    return (int)finish(result);
}

EXPORT int ftruncate(int fd, long size)
{
    return truncate_open(fd, size);
}

EXPORT int ftruncate64(int fd, long size)
{
    return truncate_open(fd, size);
}

EXPORT int mkdir(const char *path, unsigned mode)
{
    return (int)finish(one_path(LOG_MKDIR, CALL_mkdir, 0, AT_FDCWD, path, (long)mode, mode));
}

EXPORT int mkdirat(int folder, const char *path, unsigned mode)
{
    return (int)finish(one_path(LOG_MKDIR, CALL_mkdirat, 1, folder, path, (long)mode, mode));
}

/* ---- calls with two paths ---- */

struct pair {
    int folder1;
    const char *path1;
    int folder2;
    const char *path2;
};

/* With the signature of what is given another name. An exchange is of two, so that the other is noted as if it were
 * read. */
static struct log_record *record_pair(enum log_kind kind, const struct pair *pair, uint32_t flags)
{
    struct name first, second;
    if (!library_ready() || !library_name(&first, pair->folder1, pair->path1, 0))
        return NULL;
    if (!library_name(&second, pair->folder2, pair->path2, (unsigned)first.locked)) {
        library_unlock_names(&first, NULL);
        return NULL;
    }
    struct log_signature from, to;
    int follow = kind == LOG_LINK && (flags & AT_SYMLINK_FOLLOW);
    int there = library_stat_path(pair->folder1, pair->path1, follow ? 0 : AT_SYMLINK_NOFOLLOW, &from) == 0;
    if (there && kind == LOG_RENAME && (flags & RENAME_EXCHANGE) &&
        library_stat_path(pair->folder2, pair->path2, AT_SYMLINK_NOFOLLOW, &to) == 0 && REGULAR(to))
        library_append(LOG_OPEN, O_RDONLY, LOG_EXISTED_KNOWN | LOG_EXISTED, &to, &second, NULL);
    if (there && kind == LOG_RENAME) {
        if (FOLDER(from))
            library_links_change(); /* and once more when it is done */
        if ((from.mode & 0170000) == 0120000)
            library_record_lost_link(&first, pair->folder1, pair->path1);
        library_record_lost_link(&second, pair->folder2, pair->path2);
    }
    struct log_record *record = library_append(kind, flags, 0, there ? &from : NULL, &first, &second);
    library_unlock_names(&first, &second);
    return record;
}

/* Working folders in a folder that has got another name have got another one, too. */
static int after_rename(const struct log_record *record, long result)
{
    if (record && !library_failed(result) && (record->bits & LOG_HAS_SIGNATURE)) {
        const struct log_signature *signature = (const struct log_signature *)(const void *)(record + 1);
        if (FOLDER(*signature)) {
            library_links_change();
            library_forget_working_folder();
        }
    }
    return (int)finish(result);
}

EXPORT int rename(const char *from, const char *to)
{
    struct pair pair = {AT_FDCWD, from, AT_FDCWD, to};
    struct log_record *record = record_pair(LOG_RENAME, &pair, 0);
    long result = record ? PASS0(CALL_rename, from, to, 0, 0, 0) : PLAIN(CALL_rename, from, to, 0, 0, 0);
    if (record)
        record->result = (int32_t)result;
    return after_rename(record, result);
}

EXPORT int renameat(int folder1, const char *from, int folder2, const char *to)
{
    struct pair pair = {folder1, from, folder2, to};
    struct log_record *record = record_pair(LOG_RENAME, &pair, 0);
    long result = record ? PASS1(CALL_renameat, folder1, from, folder2, to, 0)
                         : PLAIN(CALL_renameat, folder1, from, folder2, to, 0);
    if (record)
        record->result = (int32_t)result;
    return after_rename(record, result);
}

EXPORT int renameat2(int folder1, const char *from, int folder2, const char *to, unsigned flags)
{
    struct pair pair = {folder1, from, folder2, to};
    struct log_record *record = record_pair(LOG_RENAME, &pair, flags);
    long result = record ? PASS1(CALL_renameat2, folder1, from, folder2, to, flags)
                         : PLAIN(CALL_renameat2, folder1, from, folder2, to, flags);
    if (record)
        record->result = (int32_t)result;
    return after_rename(record, result);
}

EXPORT int link(const char *from, const char *to)
{
    struct pair pair = {AT_FDCWD, from, AT_FDCWD, to};
    struct log_record *record = record_pair(LOG_LINK, &pair, 0);
    long result = record ? PASS0(CALL_link, from, to, 0, 0, 0) : PLAIN(CALL_link, from, to, 0, 0, 0);
    if (record)
        record->result = (int32_t)result;
    return (int)finish(result);
}

EXPORT int linkat(int folder1, const char *from, int folder2, const char *to, int flags)
{
    struct pair pair = {folder1, from, folder2, to};
    struct log_record *record = record_pair(LOG_LINK, &pair, (uint32_t)flags);
    long result = record ? PASS1(CALL_linkat, folder1, from, folder2, to, flags)
                         : PLAIN(CALL_linkat, folder1, from, folder2, to, flags);
    if (record)
        record->result = (int32_t)result;
    return (int)finish(result);
}

/* The link's text goes first into the log, as it stands; only the link's own path is resolved. */
static struct log_record *record_symlink(const char *target, int folder, const char *path)
{
    struct name first = {NULL, 0, 0, target, 0}, second;
    if (!library_ready() || (uintptr_t)target < PATH_LIMIT || !library_name(&second, folder, path, 0))
        return NULL;
    while (first.length < PATH_LIMIT && target[first.length])
        first.length++;
    library_links_change();
    struct log_record *record = library_append(LOG_SYMLINK, 0, 0, NULL, &first, &second);
    library_unlock_names(&second, NULL);
    return record;
}

EXPORT int symlink(const char *target, const char *path)
{
    struct log_record *record = record_symlink(target, AT_FDCWD, path);
    long result = record ? PASS0(CALL_symlink, target, path, 0, 0, 0) : PLAIN(CALL_symlink, target, path, 0, 0, 0);
    if (record)
        record->result = (int32_t)result;
    return (int)finish(result);
}

EXPORT int symlinkat(const char *target, int folder, const char *path)
{
    struct log_record *record = record_symlink(target, folder, path);
    long result = record ? PASS0(CALL_symlinkat, target, folder, path, 0, 0)
                         : PLAIN(CALL_symlinkat, target, folder, path, 0, 0);
    if (record)
        record->result = (int32_t)result;
    return (int)finish(result);
}

/* ---- the working folder ---- */

EXPORT int chdir(const char *path)
{
    long result = library_state ? PASS0(CALL_chdir, path, 0, 0, 0, 0) : PLAIN(CALL_chdir, path, 0, 0, 0, 0);
    library_forget_working_folder();
    return (int)finish(result);
}

EXPORT int fchdir(int fd)
{
    long result = library_state ? PASS0(CALL_fchdir, (long)fd, 0, 0, 0, 0) : PLAIN(CALL_fchdir, fd, 0, 0, 0, 0);
    library_forget_working_folder();
    return (int)finish(result);
}

/* ---- the end ---- */

/* exit() of glibc ends in neither of these: see on_exit in library.c. */
static __attribute__((noreturn)) void end(int status)
{
    library_end(status);
    for (;;)
        PLAIN(CALL_exit_group, status, 0, 0, 0, 0);
}

EXPORT __attribute__((noreturn)) void _exit(int status)
{
    end(status);
}

EXPORT __attribute__((noreturn)) void _Exit(int status)
{
    end(status);
}

/* ---- sandboxes ---- */

/* What the program forbids itself would hit the library, too: system calls, or reading the processor's counter. */
EXPORT int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    if (option == PR_SET_SECCOMP || option == PR_SET_TSC)
        library_shut();
    return (int)finish(PLAIN(CALL_prctl, option, a, b, c, d));
}

/* AddressSanitizer refuses to run with any library before its own, unless told: it asks this function for defaults. */
EXPORT const char *__asan_default_options(void)
{
    return "verify_asan_link_order=0";
}

/* ---- what is printed ---- */

static void give_line(void *context, const char *line, size_t length)
{
    const int *fd = context;
    struct name text = {NULL, 0, (uint32_t)length, line, 0};
    if (library_append(LOG_CONSOLE, (uint32_t)*fd, 0, NULL, &text, NULL) || (library_log->options & LOG_NO_FILTER))
        return;
    PLAIN(CALL_fchdir, -1, 0, 0, 0, 0); /* fails, but is seen by the supervisor, which makes room in the log */
    if (!library_append(LOG_CONSOLE, (uint32_t)*fd, 0, NULL, &text, NULL))
        __atomic_fetch_add(&library_log->dropped, 1, __ATOMIC_RELAXED);
}

static void look_at(int fd, const char *text, size_t size)
{
    struct library_state *state = library_state;
    if (!library_ready() || console_is_done(&state->consoles[fd - 1]))
        return;
    if (__atomic_exchange_n(&state->console_lock, 1, __ATOMIC_ACQUIRE) != 0)
        return; /* another thread, or the one that a signal handler interrupted: its line counts */
    console_take(&state->consoles[fd - 1], text, size, give_line, &fd);
    __atomic_store_n(&state->console_lock, 0, __ATOMIC_RELEASE);
}

EXPORT long write(int fd, const void *data, size_t size)
{
    if (__write == NULL)
        return finish(PLAIN(__NR_write, fd, data, size, 0, 0));
    long result = __write(fd, data, size); /* libc's, which is a cancellation point */
    if (UNLIKELY(fd == 1 || fd == 2) && result > 0 && library_state)
        look_at(fd, data, (size_t)result);
    return result;
}

typedef long writev_function(int fd, const struct iovec *parts, int count);

EXPORT long writev(int fd, const struct iovec *parts, int count)
{
    static writev_function *real;
    if (!real && dlsym)
        real = (writev_function *)dlsym(NEXT, "writev");
    long result = real ? real(fd, parts, count) : finish(PLAIN(__NR_writev, fd, parts, count, 0, 0));
    if (UNLIKELY(fd == 1 || fd == 2) && result > 0 && library_state)
        for (int i = 0; i < count; i++)
            look_at(fd, parts[i].iov_base, parts[i].iov_len);
    return result;
}
