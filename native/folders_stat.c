/* `roar-folders stat FOLDER < NAMES`: what stat(2) says now of files below a folder.
 *
 * NAMES are paths relative to FOLDER, each ended by NUL. The answer has the same form as that of `read`, the folders
 * relative to FOLDER; exit status 4 and no answer where one of them is not there or not a regular file. */
#define _GNU_SOURCE
#include "folders.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PER_THREAD 4096u /* files from which on another thread is worth its start */
#define THREADS 8u

struct share {
    struct file *files;
    const char *const *paths;
    size_t count;
    int folder;
    bool missing;
    pthread_t thread;
};

static char *read_all(FILE *names, size_t *length)
{
    size_t room = 1 << 16;
    char *text = malloc(room);
    *length = 0;
    while (text != NULL) {
        *length += fread(text + *length, 1, room - *length - 1, names);
        if (*length < room - 1)
            break;
        room *= 2;
        text = realloc(text, room);
    }
    return text;
}

static void *stat_share(void *argument)
{
    struct share *share = argument;
    for (size_t i = 0; i < share->count && !share->missing; i++) {
        struct stat status;
        if (fstatat(share->folder, share->paths[i], &status, 0) < 0 || !S_ISREG(status.st_mode)) {
            share->missing = true;
            break;
        }
        share->files[i].signature = (struct log_signature){
            .device = status.st_dev,
            .inode = status.st_ino,
            .size = status.st_size,
            .mtime_ns = (int64_t)((uint64_t)status.st_mtim.tv_sec * 1000000000u + (uint64_t)status.st_mtim.tv_nsec),
            .ctime_ns = (int64_t)((uint64_t)status.st_ctim.tv_sec * 1000000000u + (uint64_t)status.st_ctim.tv_nsec),
            .mode = status.st_mode,
        };
    }
    return NULL;
}

/* Look at all files, by several threads where there are many. Returns whether all are there. */
static bool stat_all(struct folders *folders, const char *const *paths, int folder)
{
    struct share shares[THREADS];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = folders->file_count;
    size_t threads = count / PER_THREAD + 1;
    if (threads > (size_t)(processors > 0 ? processors : 1))
        threads = (size_t)(processors > 0 ? processors : 1);
    if (threads > THREADS)
        threads = THREADS;
    bool missing = false;
    for (size_t i = 0; i < threads; i++) {
        size_t first = count * i / threads;
        shares[i] = (struct share){.files = folders->files + first, .paths = paths + first,
                                   .count = count * (i + 1) / threads - first, .folder = folder};
        if (i > 0 && pthread_create(&shares[i].thread, NULL, stat_share, &shares[i]) != 0) {
            stat_share(&shares[i]);
            shares[i].thread = 0;
        }
    }
    stat_share(&shares[0]);
    for (size_t i = 0; i < threads; i++) {
        if (i > 0 && shares[i].thread != 0)
            pthread_join(shares[i].thread, NULL);
        missing |= shares[i].missing;
    }
    return !missing;
}

int stat_folder(const char *path, FILE *names, FILE *out)
{
    struct folders folders = {0};
    size_t length, count = 0;
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return 4;
    char *text = read_all(names, &length);
    const char **paths = NULL;
    for (size_t at = 0; text != NULL && at < length; at++)
        count += text[at] == '\0';
    paths = text == NULL ? NULL : calloc(count ? count : 1, sizeof *paths);
    if (paths == NULL)
        return 3;
    count = 0;
    for (size_t at = 0; at < length; at += strlen(text + at) + 1) {
        folders_add_file(&folders, text + at, strlen(text + at));
        paths[count++] = text + at;
    }
    if (!stat_all(&folders, paths, folder))
        return 4;
    folders_sort(&folders);
    return folders_write(&folders, out) ? 0 : 1;
}
