/* `roar-folders read LOG`: the files of a job's event log that were only read, folder by folder.
 *
 * A folder is simple where nothing but successful reads of regular files happened to any file in it, all reads of a file
 * found the same content, and nothing at all happened to the folder itself or one above it: then the order of its events
 * among all others does not matter, and one entry stands for all of them. Every record that is not such a read is listed
 * by its place in the log. */
#define _GNU_SOURCE
#include "folders.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct log {
    const unsigned char *bytes;
    size_t size;
    const struct log_header *header;
    double scale; /* nanoseconds for a tick */
};

/* One record where it lies. */
struct found {
    const struct log_record *record;
    const struct log_signature *signature; /* or NULL */
    const char *text1, *text2;
    uint64_t offset;
};

typedef void visitor(const struct found *found, struct folders *folders, const struct log *log);

static bool open_log(const char *path, struct log *log)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) < 0 || status.st_size < (off_t)LOG_HEADER_SIZE)
        return false;
    log->size = (size_t)status.st_size;
    void *bytes = mmap(NULL, log->size, PROT_READ, MAP_SHARED | MAP_POPULATE, descriptor, 0);
    close(descriptor);
    if (bytes == MAP_FAILED)
        return false;
    log->bytes = bytes;
    log->header = bytes;
    uint64_t ticks = log->header->last_ticks - log->header->first_ticks;
    bool forward = log->header->last_ticks > log->header->first_ticks;
    log->scale = forward ? (double)(int64_t)(log->header->last_ns - log->header->first_ns) / (double)ticks : 1.0;
    return log->header->magic == LOG_MAGIC && log->header->version >= LOG_OLDEST_VERSION
           && log->header->version <= LOG_VERSION
           && log->header->chunk_size > sizeof(struct log_chunk);
}

static void visit_chunk(const struct log *log, size_t at, size_t end, visitor *visit, struct folders *folders)
{
    while (at + sizeof(struct log_record) <= end) {
        const struct log_record *record = (const void *)(log->bytes + at);
        size_t size = record->header >> 16;
        if ((record->header & 0xff) != LOG_RECORD_MARK || size < sizeof *record || (size & 7) || at + size > end) {
            at += 8; /* room reserved by a writer that was killed before it could say how much */
            continue;
        }
        struct found found = {.record = record, .offset = at};
        size_t body = at + sizeof *record;
        if (record->bits & LOG_HAS_SIGNATURE) {
            found.signature = (const void *)(log->bytes + body);
            body += sizeof(struct log_signature);
        }
        found.text1 = (const char *)(log->bytes + body);
        found.text2 = found.text1 + record->length1;
        at += size;
        if ((record->header >> 8 & 0xff) != LOG_NONE && body + record->length1 + record->length2 <= at)
            visit(&found, folders, log);
    }
}

static void visit_records(const struct log *log, visitor *visit, struct folders *folders)
{
    const size_t chunk_size = log->header->chunk_size;
    for (uint64_t index = 1; index < log->header->next; index++) {
        size_t start = LOG_HEADER_SIZE + index * chunk_size;
        if (start + sizeof(struct log_chunk) > log->size)
            return;
        const struct log_chunk *chunk = (const void *)(log->bytes + start);
        size_t first = start + sizeof *chunk;
        size_t end = first + chunk->used;
        if (end > start + chunk_size)
            end = start + chunk_size;
        visit_chunk(log, first, end < log->size ? end : log->size, visit, folders);
    }
}

/* Whether log.py would take a path as it is. */
static bool is_plain(const char *path, size_t length)
{
    if (length < 2 || path[0] != '/' || path[length - 1] == '/')
        return false;
    for (const char *at = path, *end = path + length; (at = memchr(at, '/', (size_t)(end - at))) != NULL; at++)
        if (at + 1 < end && (at[1] == '/' || (at[1] == '.' && (at + 2 == end || at[2] == '/' || at[2] == '.'))))
            return false;
    return true;
}

/* The path without `.`, `..` and double slashes, taken out of the text as os.path.normpath(3) does; 0 if relative. */
static size_t normalise(const char *path, size_t length, char normal[PATH_MAX])
{
    size_t used = 0;
    if (length == 0 || path[0] != '/' || length >= PATH_MAX)
        return 0;
    for (size_t at = 0; at < length;) {
        while (at < length && path[at] == '/')
            at++;
        size_t start = at;
        while (at < length && path[at] != '/')
            at++;
        size_t part = at - start;
        if (part == 0 || (part == 1 && path[start] == '.'))
            continue;
        if (part == 2 && path[start] == '.' && path[start + 1] == '.') {
            used = folder_length(normal, used);
            continue;
        }
        normal[used++] = '/';
        memcpy(normal + used, path + start, part);
        used += part;
    }
    return used;
}

static bool is_file_event(unsigned kind)
{
    return kind >= LOG_OPEN && kind <= LOG_RMDIR;
}

/* An open of a regular file that can only have read it, and that went well as far as is known. */
static bool is_read(const struct found *found)
{
    const struct log_record *record = found->record;
    const unsigned other = O_ACCMODE | O_CREAT | O_TRUNC | O_PATH | O_DIRECTORY | (O_TMPFILE & ~O_DIRECTORY);
    return (record->header >> 8 & 0xff) == LOG_OPEN && (record->flags & other) == O_RDONLY
           && found->signature != NULL && S_ISREG(found->signature->mode)
           && (record->result >= 0 || record->result == LOG_RESULT_UNKNOWN)
           && (record->bits & (LOG_EXISTED_KNOWN | LOG_EXISTED)) != LOG_EXISTED_KNOWN && found->record->length2 == 0
           && is_plain(found->text1, record->length1);
}

/* Opening a folder for its list changes nothing. */
static bool is_folder_open(const struct found *found)
{
    return (found->record->header >> 8 & 0xff) == LOG_OPEN
           && ((found->record->flags & (O_DIRECTORY | O_CREAT | O_TRUNC)) == O_DIRECTORY
               || (found->signature != NULL && S_ISDIR(found->signature->mode)));
}

/* Something happened to this path: its folder is not simple, and nothing below it is. */
static void disturb(struct folders *folders, const char *path, size_t length)
{
    char normal[PATH_MAX];
    if (!is_plain(path, length)) {
        length = normalise(path, length, normal);
        if (length == 0)
            return;
        path = strndup(normal, length);
        if (path == NULL)
            exit(3);
    }
    uint32_t own = folders_at(folders, path, length);
    uint32_t folder = folders_at(folders, path, folder_length(path, length));
    folders->list[own].named = true;
    folders->list[folder].changed = true;
}

static void note_changes(const struct found *found, struct folders *folders, const struct log *log)
{
    (void)log;
    const struct log_record *record = found->record;
    unsigned kind = record->header >> 8 & 0xff;
    bool failed = record->result < 0 && record->result != LOG_RESULT_UNKNOWN;
    if (kind == LOG_EXEC) {
        disturb(folders, found->text1, record->length1);
        return;
    }
    if (!is_file_event(kind) || failed || is_read(found) || is_folder_open(found))
        return;
    if (kind != LOG_SYMLINK)
        disturb(folders, found->text1, record->length1);
    if (record->length2 > 0)
        disturb(folders, found->text2, record->length2);
}

static bool is_simple(const struct folders *folders, const char *folder, size_t length)
{
    const struct folder *here = folders_find(folders, folder, length);
    if (here != NULL && here->changed)
        return false;
    while (here == NULL || !here->named) {
        if (length == 0)
            return true;
        length = folder_length(folder, length);
        here = folders_find(folders, folder, length);
    }
    return false;
}

static void sort_out(const struct found *found, struct folders *folders, const struct log *log)
{
    const struct log_record *record = found->record;
    if (!is_read(found) || !is_simple(folders, found->text1, folder_length(found->text1, record->length1))) {
        folders_add_other(folders, found->offset);
        return;
    }
    struct file *file = folders_add_file(folders, found->text1, record->length1);
    file->signature = *found->signature;
    file->signature.padding = 0;
    file->time = log->header->first_ns
                 + (uint64_t)(int64_t)((double)(int64_t)(record->ticks - log->header->first_ticks) * log->scale);
}

int read_log_folders(const char *path, FILE *out)
{
    struct log log;
    struct folders folders = {0};
    if (!open_log(path, &log))
        return 1;
    visit_records(&log, note_changes, &folders);
    visit_records(&log, sort_out, &folders);
    if (!folders_sort(&folders)) {
        folders_clear(&folders);
        visit_records(&log, sort_out, &folders);
        folders_sort(&folders);
    }
    return folders_write(&folders, out) ? 0 : 1;
}
