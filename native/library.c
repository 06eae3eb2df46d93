#include "library.h"

#include "environment.h"
#include "proc_link.h"
#include "secrets.h"

#include <linux/mman.h>
#include <asm/errno.h>
#include <asm/stat.h>
#include <linux/futex.h>
#include <linux/resource.h>
#include <linux/time.h>

#define WINDOW_CHUNKS 512u /* 8 MiB of the log are mapped at a time: a small share of any address space limit */
#define MARGIN_CHUNKS 96u
#define WAIT_NS 100000000 /* for room in the log, at a time */
#define WAITS 20
#define MEMORY_SMALL_KIB 65536u
#define RECORD_LIMIT (LOG_CHUNK_SIZE - (uint32_t)sizeof(struct log_chunk))
#define SPINS 200
#define YIELDS 500 /* without a supervisor to fall back on, a lock's holder is given the processor */
#define NAPS 200   /* and time */

struct library_state *library_state;
struct log_header *library_log;
uint64_t library_cookie;

static const char *log_path; /* in the environment block */
static char *window;         /* the mapped part of the log */
static uint64_t window_first;

static int shut; /* set in this process image by library_shut, inherited by fork */

extern char **environ __attribute__((weak));
extern int on_exit(void (*function)(int status, void *argument), void *argument) __attribute__((weak)); /* not in musl */

/* The compiler may call these; hidden, so that nothing outside sees them. */
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);

void *memcpy(void *to, const void *from, size_t size)
{
    void *start = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return start;
}

void *memset(void *to, int byte, size_t size)
{
    void *start = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
    return start;
}

static uint32_t length_of(const char *text)
{
    const char *end = text;
    while (*end)
        end++;
    return (uint32_t)(end - text);
}

static uint64_t now(void)
{
    if (LIKELY(library_log->clock == LOG_CLOCK_TICKS))
        return arch_ticks();
    struct __kernel_timespec time = {0, 0};
    PLAIN(__NR_clock_gettime, CLOCK_MONOTONIC, &time, 0, 0, 0);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Counts an event that the supervisor does not record in our place. */
static void lost(uint64_t *counter)
{
    if (library_log->options & LOG_NO_FILTER)
        __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static uint32_t lock_holder(void)
{
    return library_log->options & LOG_NO_FILTER ? (uint32_t)PLAIN(__NR_gettid, 0, 0, 0, 0, 0) : 1;
}

/* Returns 0 where it is held already. */
static int try_lock(uint32_t *lock)
{
    uint32_t expected = 0;
    return __atomic_compare_exchange_n(lock, &expected, lock_holder(), 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void unlock(uint32_t *lock)
{
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

/* Waits a little for another thread to release the lock. Returns 0 when it is time to give up: the supervisor then
 * records, and the holder may be the very thread that a signal handler has interrupted. Without a supervisor the
 * patience is longer, since giving up loses the event: the holder may just not have a processor. */
static int wait_a_little(uint32_t *lock, int spin)
{
    struct __kernel_timespec moment = {0, 1000000};
    if (spin < SPINS) {
        arch_pause();
        return 1;
    }
    uint32_t holder = __atomic_load_n(lock, __ATOMIC_RELAXED);
    if (!(library_log->options & LOG_NO_FILTER) || library_state->impatient || holder == lock_holder())
        return 0;
    if (spin < SPINS + YIELDS) {
        PLAIN(__NR_sched_yield, 0, 0, 0, 0, 0);
        return 1;
    }
    if (spin < SPINS + YIELDS + NAPS) {
        PLAIN(__NR_nanosleep, &moment, 0, 0, 0, 0);
        return 1;
    }
    library_state->impatient = 1;
    return 0;
}

/* ---- room in the log ---- */

/* Maps the part of the log that holds chunk `index`; older parts stay, another thread may be writing there. */
static int map_window(uint64_t index)
{
    uint64_t first = index / WINDOW_CHUNKS * WINDOW_CHUNKS;
    long fd = PASS1(__NR_openat, AT_FDCWD, log_path, O_RDWR | O_CLOEXEC, 0, 0);
    if (library_failed(fd))
        return 0;
    long at = arch_call6(__NR_mmap, 0, (long)WINDOW_CHUNKS * LOG_CHUNK_SIZE, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_NORESERVE, fd, (long)(LOG_HEADER_SIZE + first * LOG_CHUNK_SIZE));
    PLAIN(__NR_close, fd, 0, 0, 0, 0);
    if (library_failed(at))
        return 0;
    window = (char *)at;
    window_first = first;
    return 1;
}

static int is_stuck(void)
{
    return (int)__atomic_load_n(&library_log->stuck, __ATOMIC_ACQUIRE);
}

static void want_more(uint64_t index)
{
    if ((library_log->options & LOG_NO_FILTER) && !is_stuck() &&
        index + MARGIN_CHUNKS > __atomic_load_n(&library_log->limit, __ATOMIC_RELAXED)) {
        __atomic_fetch_add(&library_log->want, 1, __ATOMIC_RELEASE);
        PLAIN(__NR_futex, &library_log->want, FUTEX_WAKE, 1, 0, 0);
    }
}

/* Without a supervisor to fall back on, an event that finds no room waits until the log has grown: on a busy machine
 * the processes that write may be many and quick, and the one that makes room not yet on a processor. Returns 0 where
 * there is nothing to wait for: the disk is full, or nobody answers, which then nobody waits for again.
 * limit: what has been found too small. */
static int wait_for_room(uint64_t limit)
{
    struct __kernel_timespec moment = {0, WAIT_NS};
    if (limit == 0 || !(library_log->options & LOG_NO_FILTER))
        return 0;
    for (int i = 0; i < WAITS && !is_stuck(); i++) {
        if (__atomic_load_n(&library_log->limit, __ATOMIC_ACQUIRE) != limit)
            return 1;
        want_more(limit);
        arch_call6(__NR_futex, (long)&library_log->limit, FUTEX_WAIT, (uint32_t)limit, (long)&moment, 0, 0);
    }
    __atomic_store_n(&library_log->stuck, 1, __ATOMIC_RELEASE);
    return 0;
}

/* Returns NULL, with the limit where that is the reason in *limit. The window is mapped before the chunk is claimed: a
 * process that cannot map it (`ulimit -v`, `ulimit -n`, another user) must not use the log up. */
static struct log_chunk *claim_chunk(uint64_t *limit)
{
    uint64_t index = __atomic_load_n(&library_log->next, __ATOMIC_RELAXED);
    *limit = 0;
    do {
        uint64_t end = __atomic_load_n(&library_log->limit, __ATOMIC_ACQUIRE);
        if (index >= end) {
            want_more(index);
            *limit = end;
            return NULL;
        }
        if ((!window || index - window_first >= WINDOW_CHUNKS) && !map_window(index))
            return NULL;
    } while (!__atomic_compare_exchange_n(&library_log->next, &index, index + 1, 0, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    want_more(index);
    char *at = window + (index - window_first) * LOG_CHUNK_SIZE;
    struct log_chunk *chunk = (struct log_chunk *)(void *)at;
    chunk->pid = library_state->pid;
    return chunk;
}

/* Room in the process's current chunk, or NULL. */
static char *take_room(struct log_chunk *chunk, uint32_t size)
{
    if (!chunk)
        return NULL;
    uint32_t offset = __atomic_fetch_add(&chunk->used, size, __ATOMIC_RELAXED);
    if (LIKELY(offset + size <= RECORD_LIMIT))
        return (char *)(chunk + 1) + offset;
    if (offset > RECORD_LIMIT) /* far from wrapping round */
        __atomic_store_n(&chunk->used, RECORD_LIMIT + 1, __ATOMIC_RELAXED);
    return NULL;
}

static struct log_record *reserve(uint32_t size)
{
    struct library_state *state = library_state;
    for (int spin = 0; spin == 0 || wait_a_little(&state->chunk_lock, spin); spin++) {
        char *room = take_room(__atomic_load_n(&state->chunk, __ATOMIC_ACQUIRE), size);
        if (LIKELY(room != NULL))
            return (struct log_record *)(void *)room;
        if (try_lock(&state->chunk_lock)) {
            uint64_t limit;
            struct log_chunk *chunk = claim_chunk(&limit);
            if (chunk)
                __atomic_store_n(&state->chunk, chunk, __ATOMIC_RELEASE);
            unlock(&state->chunk_lock);
            if (!chunk && !wait_for_room(limit))
                break;
        }
    }
    lost(&library_log->dropped);
    return NULL; /* the supervisor records it */
}

static uint32_t name_size(const struct name *name)
{
    return name->folder ? name->folder_length + 1 + name->length : name->length;
}

static char *put_name(char *to, const struct name *name)
{
    if (name->folder) {
        __builtin_memcpy(to, name->folder, name->folder_length);
        to += name->folder_length;
        *to++ = '/';
    }
    __builtin_memcpy(to, name->path, name->length);
    return to + name->length;
}

struct log_record *library_append(enum log_kind kind, uint32_t flags, uint16_t bits,
                                  const struct log_signature *signature, const struct name *name1,
                                  const struct name *name2)
{
    uint32_t length1 = name_size(name1);
    uint32_t length2 = name2 ? name_size(name2) : 0;
    uint32_t size = (uint32_t)sizeof(struct log_record) + length1 + length2;
    if (signature)
        size += (uint32_t)sizeof *signature;
    size = (size + 7) & ~7u;
    struct log_record *record = size <= RECORD_LIMIT ? reserve(size) : NULL;
    if (UNLIKELY(!record))
        return NULL;
    uint32_t header = size << 16 | LOG_RECORD_MARK;
    __atomic_store_n(&record->header, header, __ATOMIC_RELEASE);
    record->pid = library_state->pid;
    record->ticks = now();
    record->result = LOG_RESULT_UNKNOWN;
    record->flags = flags;
    record->length1 = (uint16_t)length1;
    record->length2 = (uint16_t)length2;
    record->bits = bits;
    char *end = (char *)(record + 1);
    if (signature) {
        record->bits = (uint16_t)(bits | LOG_HAS_SIGNATURE);
        __builtin_memcpy(end, signature, sizeof *signature);
        end += sizeof *signature;
    }
    end = put_name(end, name1);
    if (name2)
        put_name(end, name2);
    __atomic_store_n(&record->header, header | (uint32_t)kind << 8, __ATOMIC_RELEASE);
    return record;
}

void library_links_change(void)
{
    __atomic_fetch_add(&library_log->link_epoch, 1, __ATOMIC_SEQ_CST);
}

void library_record_lost_link(const struct name *name, int folder, const char *path)
{
    char text[1024];
    long length = PLAIN(__NR_readlinkat, folder, path, text, sizeof text, 0);
    if (LIKELY(library_failed(length)) || length >= (long)sizeof text)
        return;
    struct name target = {NULL, 0, (uint32_t)length, text, 0};
    library_links_change();
    library_append(LOG_SYMLINK, LOG_LINK_WAS_THERE, 0, NULL, &target, name);
}

/* Writes /proc/self/fd/N. */
static void write_descriptor_name(char *to, int fd)
{
    static const char head[] = "/proc/self/fd/";
    char digits[12];
    unsigned count = 0, value = (unsigned)fd;
    __builtin_memcpy(to, head, sizeof head - 1);
    to += sizeof head - 1;
    do
        digits[count++] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    while (count > 0)
        *to++ = digits[--count];
    *to = 0;
}

/* ---- names ---- */

void library_forget_working_folder(void)
{
    if (!library_state)
        return;
    __atomic_fetch_add(&library_state->own_epoch, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&library_log->working_folder_epoch, 1, __ATOMIC_SEQ_CST); /* for the supervisor */
}

static int lock_folders(void)
{
    for (int spin = 0; !try_lock(&library_state->folder_lock); spin++)
        if (!wait_a_little(&library_state->folder_lock, spin)) {
            lost(&library_log->dropped);
            return 0;
        }
    return 1;
}

static void unlock_folders(void)
{
    unlock(&library_state->folder_lock);
}

static struct working_folder *known_working_folder(void)
{
    struct library_state *state = library_state;
    uint32_t index = __atomic_load_n(&state->current_folder, __ATOMIC_ACQUIRE);
    if (index == 0)
        return NULL;
    struct working_folder *known = &state->working_folders[index - 1];
    int current = known->epoch == __atomic_load_n(&library_log->working_folder_epoch, __ATOMIC_ACQUIRE) &&
                  known->own_epoch == __atomic_load_n(&state->own_epoch, __ATOMIC_ACQUIRE);
    return current ? known : NULL;
}

/* With the lock held. A vfork child has its own folder but this very memory: nothing is kept for it. */
static struct working_folder *ask_working_folder(void)
{
    struct library_state *state = library_state;
    uint32_t index = state->current_folder % WORKING_FOLDERS;
    struct working_folder *next = &state->working_folders[index];
    next->epoch = __atomic_load_n(&library_log->working_folder_epoch, __ATOMIC_ACQUIRE);
    next->own_epoch = __atomic_load_n(&state->own_epoch, __ATOMIC_ACQUIRE);
    if ((uint32_t)PLAIN(__NR_getpid, 0, 0, 0, 0, 0) != state->pid)
        return NULL;
    long got = PLAIN(__NR_getcwd, next->text, PATH_LIMIT, 0, 0, 0);
    if (got == -ERANGE || got == -ENAMETOOLONG)
        lost(&library_log->unreadable);
    if (library_failed(got) || next->text[0] != '/')
        return NULL;
    next->length = (uint32_t)got - 1;
    __atomic_store_n(&state->current_folder, index + 1, __ATOMIC_RELEASE);
    return next;
}

/* locked: the caller holds the folder lock. */
static int find_working_folder(struct name *name, int locked)
{
    struct working_folder *folder = known_working_folder();
    if (UNLIKELY(!folder)) {
        if (!locked && !lock_folders())
            return 0;
        folder = known_working_folder();
        if (!folder)
            folder = ask_working_folder();
        if (!locked)
            unlock_folders();
        if (!folder)
            return 0;
    }
    name->folder = folder->text;
    name->folder_length = folder->length;
    return 1;
}

/* With the lock held. */
static int find_folder(struct name *name, int folder, unsigned slot)
{
    char link[32];
    char *to = library_state->folders[slot];
    if (folder < 0)
        return 0;
    write_descriptor_name(link, folder);
    long got = PLAIN(__NR_readlink, link, to, PATH_LIMIT, 0, 0);
    if (got == -ENAMETOOLONG || got >= (long)PATH_LIMIT)
        lost(&library_log->unreadable);
    if (library_failed(got) || got >= (long)PATH_LIMIT || to[0] != '/')
        return 0;
    name->folder = to;
    name->folder_length = (uint32_t)got;
    return 1;
}

/* /proc/self, /dev/fd, /dev/stdin and the like mean something else to every process: the supervisor resolves them, or
 * where there is none, find_magic. */
static int is_magic(const char *path)
{
    return begins_with(path, "/proc/") || begins_with(path, "/dev/fd/") || begins_with(path, "/dev/std");
}

/* The file behind a link such as /proc/self/fd/3, or behind one to that (/dev/stdin). With the lock held. */
static int follow_magic(struct name *name, unsigned slot)
{
    char *to = library_state->folders[slot];
    for (int i = 0; i < 3; i++) {
        long got = PLAIN(__NR_readlink, name->path, to, PATH_LIMIT - 1, 0, 0);
        if (library_failed(got) || got >= (long)PATH_LIMIT - 1 || to[0] != '/')
            return 0;
        to[got] = 0;
        name->path = to;
        name->length = (uint32_t)got;
        if (!is_magic(to))
            return 1;
    }
    return 0;
}

/* Where in a path a link ends that leads to a folder, with a name in that folder behind it. NULL where it is none. */
static const char *find_link_to_folder(const char *path)
{
    const char *end = begins_with(path, "/dev/fd/") ? behind_component(path + 8)
                      : begins_with(path, "/proc/") ? proc_link_end(path)
                                                    : NULL;
    return end && end[0] == '/' && end[1] ? end : NULL;
}

/* A file in the folder behind a link such as /proc/self/cwd. With the lock held. */
static int find_in_folder_behind(struct name *name, unsigned slot, const char *end)
{
    char link[64];
    char *to = library_state->folders[slot];
    size_t length = (size_t)(end - name->path);
    if (length >= sizeof link)
        return 0;
    __builtin_memcpy(link, name->path, length);
    link[length] = 0;
    long got = PLAIN(__NR_readlink, link, to, PATH_LIMIT, 0, 0);
    if (library_failed(got) || got >= (long)PATH_LIMIT || to[0] != '/')
        return 0;
    name->folder = to;
    name->folder_length = (uint32_t)got;
    name->path = end + 1;
    name->length -= (uint32_t)length + 1;
    return 1;
}

static int find_magic(struct name *name, unsigned slot)
{
    if (!(library_log->options & LOG_NO_FILTER) || (slot == 0 && !lock_folders()))
        return 0;
    name->locked = slot == 0;
    const char *end = find_link_to_folder(name->path);
    if (end ? find_in_folder_behind(name, slot, end) : follow_magic(name, slot))
        return 1;
    if (slot == 0)
        unlock_folders();
    return 0;
}

int library_name(struct name *name, int folder, const char *path, unsigned slot)
{
    if ((uintptr_t)path < PATH_LIMIT) /* a bad address: the kernel says EFAULT */
        return 0;
    name->path = path;
    name->folder = NULL;
    name->folder_length = 0;
    name->locked = 0;
    name->length = length_of(path);
    if (name->length == 0 || name->length >= PATH_LIMIT)
        return 0;
    if (LIKELY(path[0] == '/'))
        return !is_magic(path) || find_magic(name, slot);
    if (LIKELY(folder == AT_FDCWD))
        return find_working_folder(name, slot != 0);
    if (slot == 0 && !lock_folders())
        return 0;
    name->locked = slot == 0;
    if (find_folder(name, folder, slot))
        return 1;
    if (slot == 0)
        unlock_folders();
    return 0;
}

void library_unlock_names(const struct name *first, const struct name *second)
{
    if (first->locked || (second && second->locked))
        unlock_folders();
}

/* ---- what has been read ---- */

static uint64_t hash_text(uint64_t hash, const char *text, uint32_t length)
{
    uint64_t word;
    for (; length >= 8; length -= 8, text += 8) {
        __builtin_memcpy(&word, text, 8);
        hash = seen_mix(hash ^ word, 0xa0761d6478bd642fULL);
    }
    for (word = 1; length > 0; length--, text++)
        word = word << 8 | (unsigned char)*text;
    return seen_mix(hash ^ word, 0xe7037ed1a0b428dbULL);
}

/* length: how much of the path counts. */
static uint64_t hash_name(uint64_t hash, const struct name *name, uint32_t length)
{
    if (name->folder)
        hash = hash_text(hash, name->folder, name->folder_length);
    return hash_text(hash, name->path, length) | 1;
}

struct seen *library_seen(const struct name *name, uint64_t *path)
{
    *path = hash_name(0x9e3779b97f4a7c15ULL, name, name->length);
    return &library_state->seen[*path >> 54];
}

/* ---- where names lead ---- */

/* Whether a name stands for this very path, as far as its text tells. */
static int is_named(const struct name *name, const char *path, uint32_t length)
{
    if (length != name_size(name))
        return 0;
    for (uint32_t i = 0; i < name->length; i++)
        if (path[length - name->length + i] != name->path[i])
            return 0;
    for (uint32_t i = 0; name->folder && i < name->folder_length; i++)
        if (path[i] != name->folder[i])
            return 0;
    return 1;
}

/* Whether an open file was made by its open. One that was there, and was cut to nothing, was read or made before that. */
static int is_new(int fd)
{
    struct stat status;
    return PLAIN(__NR_fstat, fd, &status, 0, 0, 0) == 0 && status.st_size == 0 &&
           status.st_mtime == status.st_ctime && status.st_mtime_nsec == status.st_ctime_nsec &&
           status.st_mtime == status.st_atime && status.st_mtime_nsec == status.st_atime_nsec;
}

/* What was opened to be written, by a name in a folder that was found where it is named: to ask again for each new file
 * in it would cost as much as to make one. */
void library_record_led(const struct name *name, int fd)
{
    static const char gone[] = " (deleted)";
    char link[32], text[1024];
    uint32_t end = name->length, epoch = __atomic_load_n(&library_log->link_epoch, __ATOMIC_ACQUIRE);
    while (end > 0 && name->path[end - 1] != '/')
        end--;
    uint64_t hash = hash_name(0x8ebc6af09c88c6e3ULL, name, end);
    struct seen *seen = &library_state->seen[hash >> 54];
    if (((name->folder && end == 0) || seen_just_now(seen, hash, epoch)) && is_new(fd))
        return;
    write_descriptor_name(link, fd);
    long length = PLAIN(__NR_readlink, link, text, sizeof text, 0, 0);
    if (library_failed(length) || length >= (long)sizeof text || text[0] != '/')
        return;
    if (is_named(name, text, (uint32_t)length)) {
        *seen = (struct seen){hash, 0, arch_ticks(), epoch};
        return;
    }
    if (length >= (long)sizeof gone && begins_with(text + length - (sizeof gone - 1), gone))
        return; /* it has no name, or another one by now */
    struct name place = {NULL, 0, (uint32_t)length, text, 0};
    library_append(LOG_LED, 0, 0, NULL, name, &place);
}

static void as_signature(const struct stat *from, struct log_signature *to)
{
    to->device = from->st_dev;
    to->inode = from->st_ino;
    to->size = from->st_size;
    to->mtime_ns = (int64_t)((uint64_t)from->st_mtime * 1000000000u + (uint64_t)from->st_mtime_nsec);
    to->ctime_ns = (int64_t)((uint64_t)from->st_ctime * 1000000000u + (uint64_t)from->st_ctime_nsec);
    to->mode = from->st_mode;
    to->padding = 0;
}

long library_stat_descriptor(int fd, struct log_signature *to)
{
    struct stat status;
    long failed = PLAIN(__NR_fstat, fd, &status, 0, 0, 0);
    if (!failed)
        as_signature(&status, to);
    return failed;
}

long library_stat_path(int folder, const char *path, int flags, struct log_signature *to)
{
    struct stat status;
    long failed = PLAIN(__NR_newfstatat, folder, path, &status, flags, 0);
    if (!failed)
        as_signature(&status, to);
    return failed;
}

/* ---- start ---- */

static const char *variable(char **environment, const char *name)
{
    for (; environment && *environment; environment++) {
        const char *a = *environment, *b = name;
        while (*b && *a == *b)
            a++, b++;
        if (!*b && *a == '=')
            return a + 1;
    }
    return NULL;
}

static const char *parse_cookie(const char *text)
{
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        char digit = *text++;
        if (digit >= '0' && digit <= '9')
            value = value << 4 | (uint64_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            value = value << 4 | (uint64_t)(digit - 'a' + 10);
        else
            return NULL;
    }
    library_cookie = value;
    return *text == ':' ? text + 1 : NULL;
}

static struct log_header *map_header(void)
{
    long fd = PASS1(__NR_openat, AT_FDCWD, log_path, O_RDWR | O_CLOEXEC, 0, 0);
    if (library_failed(fd))
        return NULL;
    long at = arch_call6(__NR_mmap, 0, LOG_HEADER_SIZE + LOG_CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    PLAIN(__NR_close, fd, 0, 0, 0, 0);
    if (library_failed(at))
        return NULL;
    struct log_header *header = (struct log_header *)at;
    return header->magic == LOG_MAGIC && header->version == LOG_VERSION ? header : NULL;
}

static struct library_state *map_state(void)
{
    long at = arch_call6(__NR_mmap, 0, sizeof(struct library_state), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (library_failed(at) || PLAIN(__NR_madvise, at, sizeof(struct library_state), MADV_WIPEONFORK, 0, 0) != 0)
        return NULL;
    return (struct library_state *)at;
}

static int32_t parent(void)
{
    return (int32_t)PLAIN(__NR_getppid, 0, 0, 0, 0, 0);
}

static const struct name no_name = {NULL, 0, 0, "", 0};

/* The supervisor notes a process when it sees one of its calls; a fork that only ever takes the library's way shows it
 * one that does nothing. */
static void show_to_supervisor(void)
{
    PLAIN(__NR_execve, 0, 0, 0, 0, 0); /* EFAULT */
}

static void first_sign(void)
{
    library_state->pid = (uint32_t)PLAIN(__NR_getpid, 0, 0, 0, 0, 0);
    struct log_record *record = library_append(LOG_FORK, 0, 0, NULL, &no_name, NULL);
    if (record)
        record->result = parent();
    if (!(library_log->options & LOG_NO_FILTER))
        show_to_supervisor();
}

/* An end that no supervisor sees. A vfork child has an end of its own, but its parent's memory. */
static void record_end(int status)
{
    struct rusage use;
    struct log_use used = {0, 0, 0};
    struct name text = {NULL, 0, sizeof used, (const char *)&used, 0};
    if (!library_ready() || PLAIN(__NR_getrusage, RUSAGE_SELF, &use, 0, 0, 0) != 0)
        return;
    used.max_rss_kib = (uint64_t)use.ru_maxrss;
    used.user_us = (uint64_t)use.ru_utime.tv_sec * 1000000u + (uint64_t)use.ru_utime.tv_usec;
    used.system_us = (uint64_t)use.ru_stime.tv_sec * 1000000u + (uint64_t)use.ru_stime.tv_usec;
    struct log_record *record = library_append(LOG_EXIT, 0, 0, NULL, &text, NULL);
    if (record) {
        record->result = status & 0xff;
        record->pid = (uint32_t)PLAIN(__NR_getpid, 0, 0, 0, 0, 0);
    }
}

/* The kernel's count goes on over exec: below what it was at the start, and not small, it may be another program's. */
static void tell_memory(void)
{
    struct rusage use;
    if (shut || library_log->quiet || PLAIN(__NR_getrusage, RUSAGE_SELF, &use, 0, 0, 0) != 0)
        return;
    uint64_t most = (uint64_t)use.ru_maxrss;
    if (most >> 32 || (use.ru_maxrss <= library_state->memory_at_start && most >= MEMORY_SMALL_KIB))
        return;
    uint64_t pid = (uint64_t)PLAIN(__NR_getpid, 0, 0, 0, 0, 0);
    uint64_t *slots = (uint64_t *)(void *)((char *)library_log + LOG_MEMORY_OFFSET);
    __atomic_store_n(&slots[pid % LOG_MEMORY_SLOTS], pid << 32 | most, __ATOMIC_RELAXED);
}

void library_end(int status)
{
    if (!library_state)
        return;
    if (library_log->options & LOG_NO_FILTER)
        record_end(status);
    else
        tell_memory();
}

static void at_exit(int status, void *unused)
{
    (void)unused;
    library_end(status);
}

/* Reads /proc/self/cmdline to `to`. Returns its length; *count: the arguments that fitted. */
static size_t read_arguments(char *to, size_t room, uint32_t *count)
{
    size_t length = 0;
    *count = 0;
    long fd = PLAIN(__NR_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0, 0);
    if (library_failed(fd))
        return 0;
    for (;;) {
        long got = PLAIN(__NR_read, fd, to + length, room - length, 0, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    PLAIN(__NR_close, fd, 0, 0, 0, 0);
    if (length == room)
        to[length - 1] = 0;
    for (size_t i = 0; i < length; i++)
        *count += to[i] == 0;
    return length;
}

static size_t copy_environment(char *to, size_t room, char **environment)
{
    const char *names = (const char *)library_log + LOG_HEADER_SIZE;
    size_t used = 0;
    for (; environment && *environment; environment++) {
        uint32_t length = length_of(*environment);
        if (!environment_keeps(names, *environment) || used + length + 1 > room)
            continue;
        __builtin_memcpy(to + used, *environment, length + 1);
        secrets_hide(to + used, length);
        used += length + 1;
    }
    return used;
}

/* Without a filter the library itself tells of the exec that loaded it. The buffers are free: nothing else runs yet. */
static void record_exec(char **environment)
{
    struct library_state *state = library_state;
    char *body = (char *)state->folders;
    size_t room = sizeof state->folders, used;
    uint32_t count;
    long length = PLAIN(__NR_readlink, "/proc/self/exe", state->working_folders[0].text, PATH_LIMIT, 0, 0);
    struct name executable = {NULL, 0, library_failed(length) ? 0 : (uint32_t)length, state->working_folders[0].text, 0};
    long folder = PLAIN(__NR_getcwd, body, PATH_LIMIT, 0, 0, 0);
    if (library_failed(folder)) {
        body[0] = 0;
        folder = 1;
    }
    used = (size_t)folder;
    size_t arguments = read_arguments(body + used, room - used - 2048, &count);
    secrets_hide_arguments(body + used, arguments);
    used += arguments;
    used += copy_environment(body + used, room - used, environment);
    struct name text = {NULL, 0, (uint32_t)used, body, 0};
    struct log_signature signature;
    long missing = library_stat_path(AT_FDCWD, "/proc/self/exe", 0, &signature);
    struct log_record *record = library_append(LOG_EXEC, count, 0, missing ? NULL : &signature, &executable, &text);
    if (record)
        record->result = parent();
}

void library_shut(void)
{
    shut = 1;
}

int library_ready(void)
{
    if (UNLIKELY(!library_state || shut || library_log->quiet))
        return 0;
    if (UNLIKELY(!library_state->pid))
        first_sign();
    return 1;
}

/* glibc passes these three arguments to a constructor; musl does not, but has `environ` by then. */
__attribute__((constructor)) static void start(int count, char **arguments, char **environment)
{
    (void)count;
    (void)arguments;
    char **variables = environ ? environ : environment;
    const char *trace = variable(variables, "ROAR_TRACE");
    log_path = trace ? parse_cookie(trace) : NULL;
    if (!log_path)
        return;
    library_log = map_header();
    if (library_log)
        library_state = map_state();
    if (!library_state)
        return;
    library_state->pid = (uint32_t)PLAIN(__NR_getpid, 0, 0, 0, 0, 0);
    if (on_exit)
        on_exit(at_exit, NULL);
    struct rusage use;
    if (library_log->options & LOG_NO_FILTER)
        record_exec(variables);
    else if (PLAIN(__NR_getrusage, RUSAGE_SELF, &use, 0, 0, 0) == 0)
        library_state->memory_at_start = use.ru_maxrss;
}
