/* Files by the folder that they lie in, and the form in which they are handed on.
 *
 * Output, in the machine's own byte order:
 *   struct folders_header
 *   others         the offset in the log of each record that is not part of a folder, 8 bytes each
 *   folders        struct folders_folder, then the folder's path, then the names, each ended by NUL and sorted by
 *                  their bytes, padding to 8 bytes, then `count` times (8 bytes each), then `count` signatures
 *
 * src/roar/observe/folders.py reads it. Raise FOLDERS_VERSION with every change, here and there. */
#ifndef ROAR_FOLDERS_H
#define ROAR_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "event_log.h"

#define FOLDERS_MAGIC 0x46524f4c44524f52ULL
#define FOLDERS_VERSION 1u

struct folders_header {
    uint64_t magic;
    uint32_t version;
    uint32_t signature_size;
    uint64_t others, folders;
};

struct folders_folder {
    uint64_t count, path_length, names_length;
};

/* A folder, or any path that may turn out to be one. */
struct folder {
    const char *path;
    uint32_t length;
    bool changed; /* a file in it was found with two contents, or something other than a read happened to one */
    bool named;   /* something happened to the path itself, as to a folder that is moved or made */
    uint64_t count;
    uint64_t first; /* place of its first file, once they are sorted */
};

struct file {
    const char *name;
    uint32_t length;
    uint32_t folder;
    uint64_t time; /* of the first read, CLOCK_MONOTONIC-like nanoseconds */
    uint64_t key;  /* eight bytes of the name, to sort by */
    struct log_signature signature;
};

struct folders {
    struct folder *list;
    size_t used, room;
    uint32_t *slots; /* hash table: place in `list` plus one */
    size_t slot_count;
    struct file *files;
    size_t file_count, file_room;
    uint64_t *others;
    size_t other_count, other_room;
};

/* All of these end the program where memory runs out. */
uint32_t folders_at(struct folders *folders, const char *path, size_t length);
struct folder *folders_find(const struct folders *folders, const char *path, size_t length);
struct file *folders_add_file(struct folders *folders, const char *path, size_t length);
void folders_add_other(struct folders *folders, uint64_t offset);
size_t folder_length(const char *path, size_t length);

/* Sort the files, each path once with its earliest read. Returns whether all reads of each file found one content; the
 * other folders are marked as changed. */
bool folders_sort(struct folders *folders);

/* Forget all files and places in the log, but not what is known of the folders. */
void folders_clear(struct folders *folders);

/* Write all that was sorted. Returns whether that went well. */
bool folders_write(const struct folders *folders, FILE *out);

/* The two things that can be asked; each returns the program's exit status. */
int read_log_folders(const char *log, FILE *out);
int stat_folder(const char *folder, FILE *names, FILE *out);

#endif
