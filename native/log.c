#define _GNU_SOURCE
#include "log.h"

#include "arch.h"
#include "environment.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FIRST_CHUNKS 64u   /* 1 MiB */
#define MORE_CHUNKS 256u   /* 4 MiB at a time */
#define MARGIN_CHUNKS 48u  /* grow when fewer are left */
#define MARGIN_WITHOUT_FILTER 96u /* the library's own: it wakes us when fewer are left */
#define KEEP_FREE_BYTES (64ull << 20) /* of the user's disk */
#define RECORD_LIMIT (LOG_CHUNK_SIZE - sizeof(struct log_chunk))

struct log_header *log_header;
static int log_fd = -1;
static char *names_chunk;
static struct log_chunk *my_chunk;

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The kernel gives the counter up as a clock where it differs between processors. */
static int ticks_are_trusted(void)
{
    if (!arch_ticks_are_ordered())
        return 0;
    char name[32] = "";
    int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 1;
    ssize_t got = read(fd, name, sizeof name - 1);
    close(fd);
    return got <= 0 || !(strncmp(name, "hpet", 4) == 0 || strncmp(name, "acpi", 4) == 0 ||
                         strncmp(name, "jiff", 4) == 0 || strncmp(name, "refi", 4) == 0);
}

uint64_t log_now(void)
{
    return log_header->clock == LOG_CLOCK_TICKS ? arch_ticks() : monotonic_ns();
}

void log_calibrate(void)
{
    log_header->last_ticks = log_now();
    log_header->last_ns = monotonic_ns();
}

static off_t chunk_offset(uint64_t index)
{
    return (off_t)(LOG_HEADER_SIZE + index * LOG_CHUNK_SIZE);
}

/* Gives [from, to) real blocks, by writing zeros where the file system knows no fallocate. Returns 0 or -errno. */
static int back(off_t from, off_t to)
{
    static const char zeros[65536];
    if (fallocate(log_fd, 0, from, to - from) == 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return -errno;
    while (from < to) {
        size_t part = to - from < (off_t)sizeof zeros ? (size_t)(to - from) : sizeof zeros;
        ssize_t done = pwrite(log_fd, zeros, part, from);
        if (done <= 0)
            return done < 0 ? -errno : -ENOSPC;
        from += done;
    }
    return 0;
}

static void write_settings(const char *const *names, size_t count)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        if (length == 0 || used + length + 2 > LOG_CHUNK_SIZE)
            continue;
        memcpy(names_chunk + used, names[i], length);
        used += length + 1;
    }
}

int log_create(const char *path, const char *const *names, size_t count)
{
    log_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (log_fd < 0)
        return -errno;
    int failed = back(0, chunk_offset(FIRST_CHUNKS));
    if (failed)
        return failed;
    size_t size = LOG_HEADER_SIZE + LOG_CHUNK_SIZE;
    char *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, log_fd, 0);
    if (mapped == MAP_FAILED)
        return -errno;
    log_header = (struct log_header *)(void *)mapped;
    names_chunk = mapped + LOG_HEADER_SIZE;
    write_settings(names, count);
    log_header->version = LOG_VERSION;
    log_header->chunk_size = LOG_CHUNK_SIZE;
    log_header->clock = ticks_are_trusted() ? LOG_CLOCK_TICKS : LOG_CLOCK_MONOTONIC;
    log_header->first_ticks = log_now();
    log_header->first_ns = monotonic_ns();
    log_calibrate();
    log_header->next = 1;
    log_header->limit = FIRST_CHUNKS;
    if (getrandom(&log_header->cookie, sizeof log_header->cookie, GRND_NONBLOCK) != sizeof log_header->cookie)
        log_header->cookie = log_header->first_ticks * 0x9e3779b97f4a7c15u ^ (uintptr_t)&size;
    log_header->cookie |= 1; /* never 0: a sixth argument equal to the path pointer must not pass */
    log_header->magic = LOG_MAGIC;
    return 0;
}

/* Returns 0 where the log has grown, or has room enough; -1 where it cannot grow now. */
static int extend(uint64_t limit)
{
    struct stat log;
    if (fstat(log_fd, &log) == 0 && log.st_nlink == 0) { /* nobody will read what is added */
        log_header->closed = 1;
        return -1;
    }
    struct statvfs disk;
    if (fstatvfs(log_fd, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < KEEP_FREE_BYTES)
        return -1;
    if (back(chunk_offset(limit), chunk_offset(limit + MORE_CHUNKS)) != 0)
        return -1;
    __atomic_store_n(&log_header->limit, limit + MORE_CHUNKS, __ATOMIC_RELEASE);
    return 0;
}

void log_extend(void)
{
    int without_filter = (log_header->options & LOG_NO_FILTER) != 0;
    uint64_t margin = without_filter ? MARGIN_WITHOUT_FILTER : MARGIN_CHUNKS;
    uint64_t limit = __atomic_load_n(&log_header->limit, __ATOMIC_RELAXED);
    if (__atomic_load_n(&log_header->next, __ATOMIC_RELAXED) + margin < limit)
        return;
    int failed = extend(limit);
    if (!without_filter)
        return;
    __atomic_store_n(&log_header->stuck, failed != 0, __ATOMIC_RELEASE);
    syscall(SYS_futex, &log_header->limit, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void log_reset(void)
{
    static const char zeros[LOG_CHUNK_SIZE];
    for (uint64_t index = 1; index < log_header->next && index < FIRST_CHUNKS; index++)
        if (pwrite(log_fd, zeros, sizeof zeros, chunk_offset(index)) != (ssize_t)sizeof zeros)
            return;
    log_header->next = 1;
}

static int claim_chunk(void)
{
    log_extend();
    uint64_t index = __atomic_load_n(&log_header->next, __ATOMIC_RELAXED);
    do {
        if (index >= __atomic_load_n(&log_header->limit, __ATOMIC_ACQUIRE))
            return 0;
    } while (!__atomic_compare_exchange_n(&log_header->next, &index, index + 1, 0, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    char *mapped = mmap(NULL, LOG_CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, log_fd, chunk_offset(index));
    if (mapped == MAP_FAILED)
        return 0;
    if (my_chunk)
        munmap(my_chunk, LOG_CHUNK_SIZE);
    my_chunk = (struct log_chunk *)(void *)mapped;
    my_chunk->pid = (uint32_t)getpid();
    log_calibrate();
    return 1;
}

static struct log_record *reserve(uint32_t size)
{
    if (!my_chunk || my_chunk->used + size > RECORD_LIMIT) {
        if (!claim_chunk()) {
            __atomic_fetch_add(&log_header->dropped, 1, __ATOMIC_RELAXED);
            return NULL;
        }
    }
    char *room = (char *)(my_chunk + 1) + my_chunk->used;
    my_chunk->used += size;
    return (struct log_record *)(void *)room;
}

void log_append(enum log_kind kind, uint32_t pid, int32_t result, uint32_t flags, uint16_t bits,
                const struct log_signature *signature, struct log_text text1, struct log_text text2)
{
    size_t size = sizeof(struct log_record) + (signature ? sizeof *signature : 0) + text1.length + text2.length;
    size = (size + 7) & ~(size_t)7;
    if (log_header->closed || size > RECORD_LIMIT)
        return;
    static pthread_mutex_t one_writer = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&one_writer);
    struct log_record *record = reserve((uint32_t)size);
    pthread_mutex_unlock(&one_writer);
    if (!record)
        return;
    uint32_t header = (uint32_t)size << 16 | LOG_RECORD_MARK;
    __atomic_store_n(&record->header, header, __ATOMIC_RELEASE);
    record->pid = pid;
    record->ticks = log_now();
    record->result = result;
    record->flags = flags;
    record->length1 = (uint16_t)text1.length;
    record->length2 = (uint16_t)text2.length;
    record->bits = (uint16_t)(bits | LOG_BY_SUPERVISOR | (signature ? LOG_HAS_SIGNATURE : 0));
    char *end = (char *)(record + 1);
    if (signature) {
        memcpy(end, signature, sizeof *signature);
        end += sizeof *signature;
    }
    if (text1.length)
        memcpy(end, text1.start, text1.length);
    if (text2.length)
        memcpy(end + text1.length, text2.start, text2.length);
    __atomic_store_n(&record->header, header | (uint32_t)kind << 8, __ATOMIC_RELEASE);
}

void log_gap(const char *phrase)
{
    static const char *said[16];
    static size_t count;
    for (size_t i = 0; i < count; i++)
        if (strcmp(said[i], phrase) == 0)
            return;
    if (count < sizeof said / sizeof said[0])
        said[count++] = phrase;
    struct log_text none = {NULL, 0};
    struct log_text text = {phrase, strlen(phrase)};
    log_append(LOG_GAP, (uint32_t)getpid(), 0, 0, 0, NULL, text, none);
}

int log_keeps_name(const char *text)
{
    return environment_keeps(names_chunk, text);
}
