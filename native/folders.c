/* Files sorted into their folders; see folders.h. */
#define _GNU_SOURCE
#include "folders.h"

#include <stdlib.h>
#include <string.h>

static void *grown(void *memory, size_t count, size_t size)
{
    void *more = reallocarray(memory, count, size);
    if (more == NULL) {
        fputs("roar-folders: out of memory\n", stderr);
        exit(3);
    }
    return more;
}

/* FNV-1a over words of eight bytes; only the spread matters. */
static uint64_t hash_of(const char *path, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (; length >= sizeof hash; length -= sizeof hash, path += sizeof hash) {
        uint64_t word;
        memcpy(&word, path, sizeof word);
        hash = (hash ^ word) * 0x100000001b3ULL;
        hash ^= hash >> 29;
    }
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)path[i]) * 0x100000001b3ULL;
    return hash ^ (hash >> 32);
}

/* The slot that holds the path, or the empty one where it belongs. */
static size_t slot_of(const struct folders *folders, const char *path, size_t length)
{
    size_t mask = folders->slot_count - 1;
    size_t slot = hash_of(path, length) & mask;
    while (folders->slots[slot] != 0) {
        const struct folder *here = &folders->list[folders->slots[slot] - 1];
        if (here->length == length && memcmp(here->path, path, length) == 0)
            break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static void widen(struct folders *folders)
{
    folders->slot_count = folders->slot_count ? folders->slot_count * 2 : 1024;
    free(folders->slots);
    folders->slots = grown(NULL, folders->slot_count, sizeof *folders->slots);
    memset(folders->slots, 0, folders->slot_count * sizeof *folders->slots);
    for (size_t i = 0; i < folders->used; i++)
        folders->slots[slot_of(folders, folders->list[i].path, folders->list[i].length)] = (uint32_t)i + 1;
}

/* The place of a path in the list, where it is put if it is new. The text is not copied. */
uint32_t folders_at(struct folders *folders, const char *path, size_t length)
{
    if (folders->used * 2 >= folders->slot_count)
        widen(folders);
    size_t slot = slot_of(folders, path, length);
    if (folders->slots[slot] == 0) {
        if (folders->used == folders->room) {
            folders->room = folders->room ? folders->room * 2 : 512;
            folders->list = grown(folders->list, folders->room, sizeof *folders->list);
        }
        folders->list[folders->used++] = (struct folder){.path = path, .length = (uint32_t)length};
        folders->slots[slot] = (uint32_t)folders->used;
    }
    return folders->slots[slot] - 1;
}

struct folder *folders_find(const struct folders *folders, const char *path, size_t length)
{
    if (folders->slot_count == 0)
        return NULL;
    uint32_t place = folders->slots[slot_of(folders, path, length)];
    return place ? &folders->list[place - 1] : NULL;
}

/* Length of the folder's path: all before the last slash, 0 for a file in the root. */
size_t folder_length(const char *path, size_t length)
{
    const char *slash = memrchr(path, '/', length);
    return slash ? (size_t)(slash - path) : 0;
}

/* A file of its folder; the caller fills in time and signature. The text is not copied. */
struct file *folders_add_file(struct folders *folders, const char *path, size_t length)
{
    if (folders->file_count == folders->file_room) {
        folders->file_room = folders->file_room ? folders->file_room * 2 : 4096;
        folders->files = grown(folders->files, folders->file_room, sizeof *folders->files);
    }
    size_t before = folder_length(path, length);
    size_t start = before < length && path[before] == '/' ? before + 1 : before;
    struct file *file = &folders->files[folders->file_count++];
    *file = (struct file){.name = path + start, .length = (uint32_t)(length - start)};
    file->folder = folders_at(folders, path, before);
    folders->list[file->folder].count++;
    return file;
}

void folders_add_other(struct folders *folders, uint64_t offset)
{
    if (folders->other_count == folders->other_room) {
        folders->other_room = folders->other_room ? folders->other_room * 2 : 4096;
        folders->others = grown(folders->others, folders->other_room, sizeof *folders->others);
    }
    folders->others[folders->other_count++] = offset;
}

/* Files of one folder by their place in the folder's list: a stable bucket sort. */
static void sort_into_folders(struct folders *folders)
{
    uint64_t next = 0;
    for (size_t i = 0; i < folders->used; i++) {
        folders->list[i].first = next;
        next += folders->list[i].count;
        folders->list[i].count = 0;
    }
    struct file *sorted = grown(NULL, folders->file_count ? folders->file_count : 1, sizeof *sorted);
    for (size_t i = 0; i < folders->file_count; i++) {
        struct folder *home = &folders->list[folders->files[i].folder];
        sorted[home->first + home->count++] = folders->files[i];
    }
    free(folders->files);
    folders->files = sorted;
    folders->file_room = folders->file_count;
}

static int compare(const void *one, const void *other)
{
    const struct file *a = one, *b = other;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    int order = memcmp(a->name, b->name, a->length < b->length ? a->length : b->length);
    if (order == 0 && a->length != b->length)
        return a->length < b->length ? -1 : 1;
    if (order == 0 && a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return order;
}

/* Names in one folder often begin alike: what differs decides, as a number. */
static void set_keys(struct file *files, uint64_t count)
{
    size_t alike = files[0].length;
    for (uint64_t i = 1; i < count; i++) {
        size_t same = 0;
        while (same < alike && same < files[i].length && files[i].name[same] == files[0].name[same])
            same++;
        alike = same;
    }
    for (uint64_t i = 0; i < count; i++)
        for (size_t at = 0; at < sizeof files[i].key; at++) {
            size_t place = alike + at;
            unsigned char byte = place < files[i].length ? (unsigned char)files[i].name[place] : 0;
            files[i].key = files[i].key << 8 | byte;
        }
}

/* Whether two reads found one content, whatever became of its name and its rights. */
static bool is_same_content(const struct log_signature *one, const struct log_signature *other)
{
    return one->device == other->device && one->inode == other->inode && one->size == other->size
           && one->mtime_ns == other->mtime_ns;
}

/* Sort a folder's files by name and keep the earliest read of each. */
static void sort_folder(struct folders *folders, struct folder *folder)
{
    struct file *files = folders->files + folder->first;
    if (folder->count < 2)
        return;
    set_keys(files, folder->count);
    qsort(files, folder->count, sizeof *files, compare);
    uint64_t kept = 1;
    for (uint64_t i = 1; i < folder->count; i++) {
        const struct file *last = &files[kept - 1];
        if (last->length != files[i].length || memcmp(last->name, files[i].name, last->length) != 0)
            files[kept++] = files[i];
        else if (!is_same_content(&last->signature, &files[i].signature))
            folder->changed = true;
    }
    folder->count = kept;
}

static void write_folder(const struct folders *folders, const struct folder *folder, FILE *out)
{
    const struct file *files = folders->files + folder->first;
    struct folders_folder header = {.count = folder->count, .path_length = folder->length};
    for (uint64_t i = 0; i < folder->count; i++)
        header.names_length += files[i].length + 1;
    fwrite(&header, sizeof header, 1, out);
    fwrite(folder->path, 1, folder->length, out);
    for (uint64_t i = 0; i < folder->count; i++) {
        fwrite(files[i].name, 1, files[i].length, out);
        putc_unlocked('\0', out);
    }
    for (uint64_t at = folder->length + header.names_length; at % 8 != 0; at++)
        putc_unlocked('\0', out);
    for (uint64_t i = 0; i < folder->count; i++)
        fwrite(&files[i].time, sizeof files[i].time, 1, out);
    for (uint64_t i = 0; i < folder->count; i++)
        fwrite(&files[i].signature, sizeof files[i].signature, 1, out);
}

bool folders_sort(struct folders *folders)
{
    bool steady = true;
    sort_into_folders(folders);
    for (size_t i = 0; i < folders->used; i++)
        if (folders->list[i].count > 0) {
            sort_folder(folders, &folders->list[i]);
            steady = steady && !folders->list[i].changed;
        }
    return steady;
}

void folders_clear(struct folders *folders)
{
    folders->file_count = folders->other_count = 0;
    for (size_t i = 0; i < folders->used; i++)
        folders->list[i].count = 0;
}

bool folders_write(const struct folders *folders, FILE *out)
{
    struct folders_header header = {.magic = FOLDERS_MAGIC, .version = FOLDERS_VERSION,
                                    .signature_size = sizeof(struct log_signature), .others = folders->other_count};
    for (size_t i = 0; i < folders->used; i++)
        header.folders += folders->list[i].count > 0;
    fwrite(&header, sizeof header, 1, out);
    if (folders->other_count > 0)
        fwrite(folders->others, sizeof *folders->others, folders->other_count, out);
    for (size_t i = 0; i < folders->used; i++)
        if (folders->list[i].count > 0)
            write_folder(folders, &folders->list[i], out);
    return fflush(out) == 0 && !ferror(out);
}
