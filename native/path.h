/* The path that a notified call names, as seen from outside the calling process. */
#ifndef ROAR_PATH_H
#define ROAR_PATH_H

#include "call.h"
#include "log.h"

#include <limits.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct path {
    size_t length;
    char text[2 * PATH_MAX]; /* absolute, NUL terminated; not normalised */
    int folder;              /* the descriptor that `given` is relative to, or AT_FDCWD */
    uint32_t tid;
    char given[PATH_MAX + 1]; /* as the program gave it; empty where the text comes from a descriptor */
};

/* Tells that a process has its own root folder: from now on roots are looked at. */
void path_roots_differ(void);

/* From now on a process may have mounts of its own. */
void path_namespaces_differ(void);

/* Whether the calling process can read `file`, an absolute path of ours, as its own. */
int path_reaches(const struct call *call, const char *file);

/* The calling thread is about to change its process's working folder. */
void path_working_folder_changes(const struct call *call);

/* Reads and resolves the path at `address`, relative to `folder`. Returns 0 or -errno. */
int path_read(const struct call *call, int folder, uint64_t address, struct path *path);

/* The same without the special meaning of /proc/self and without leaving `folder` for an absolute path:
 * openat2(RESOLVE_IN_ROOT). */
int path_read_in_root(const struct call *call, int folder, uint64_t address, struct path *path);

/* The path of an open descriptor, or of the working folder for AT_FDCWD. Returns 0 or -errno. */
int path_of_descriptor(const struct call *call, int descriptor, struct path *path);

/* stat(2) or lstat(2) of the path. Returns 0 or -errno. */
int path_stat(const struct path *path, int follow, struct stat *to);

/* stat(2) of the folder that the path's last name is in. Returns 0 or -errno. */
int path_stat_folder(const struct path *path, struct stat *to);

/* Whether a name can be put into the folder that the path's last name is in, or taken out of it. */
int path_folder_allows(const struct path *path);

/* Whether the path's last name is in a folder, or in one below it. */
int path_is_inside(const struct path *path, const struct stat *folder);

/* Whether the path is a folder with something in it, as far as that can be seen. */
int path_is_filled_folder(const struct path *path);

/* The text of the symlink that the path is, without NUL. Returns its length, or -1: it is none, or too long. */
ssize_t path_link(const struct path *path, char *to, size_t capacity);

/* Where a file really lies, or will once it is made: its path without symlinks. Returns the length; -1: nobody can tell.
 * missing: there is none yet. */
ssize_t path_lies_at(const struct path *path, int missing, char *to, size_t capacity);

/* Whether this process may do that (R_OK, W_OK, X_OK) with the path. */
int path_allows(const struct path *path, int access_mode);

struct log_text path_as_text(const struct path *path);

struct log_signature path_signature(const struct stat *from);

#endif
