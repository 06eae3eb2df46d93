#define _GNU_SOURCE
#include "exec.h"

#include "log.h"
#include "memory.h"
#include "path.h"
#include "process.h"
#include "secrets.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define BODY_LIMIT 12000u     /* with the longest path still below one record's limit */
#define ARGUMENTS_LIMIT 9000u /* the rest is for the environment */
#define MOST_POINTERS 65536u

struct body {
    char text[BODY_LIMIT];
    size_t length;
    int cut;
};

/* Appends one string of the calling process while it fits below `limit`. */
static int add_string(struct body *body, uint64_t address, size_t limit)
{
    if (body->length + 2 > limit)
        return -1;
    size_t room = limit - body->length;
    int length = memory_read_string(address, body->text + body->length, room);
    if (length < 0)
        return -1;
    if ((size_t)length == room - 1)
        body->cut = 1;
    body->length += (size_t)length + 1;
    return 0;
}

static uint64_t pointer_at(const struct call *call, uint64_t array, unsigned index)
{
    uint64_t value = 0;
    if (array == 0 || memory_read(array + (uint64_t)index * call->word, &value, call->word) < 0)
        return 0;
    return value;
}

/* Returns the number of arguments that fitted. */
static uint32_t add_arguments(const struct call *call, struct body *body, uint64_t array)
{
    for (unsigned i = 0; i < MOST_POINTERS; i++) {
        uint64_t address = pointer_at(call, array, i);
        if (!address)
            return i;
        if (add_string(body, address, ARGUMENTS_LIMIT) < 0) {
            body->cut = 1;
            return i;
        }
    }
    return MOST_POINTERS;
}

static const char *library;

void exec_preloads(const char *path)
{
    library = path;
}

/* The position behind our library's path in the value of LD_PRELOAD, 0 where it is not in it. */
static size_t find_library(const char *text, size_t size)
{
    const char *found = strncmp(text, "LD_PRELOAD=", 11) == 0 ? strstr(text, library) : NULL;
    return found ? (size_t)(found - text) + size : 0;
}

/* A program with another root or other mounts, in which our library is not to be found: its loader would say so on the
 * user's terminal. Our part of LD_PRELOAD, which we put there, becomes separators, or nothing at the end. */
static void withdraw_library(const struct call *call, uint64_t array)
{
    static char text[PATH_MAX];
    if (!library || path_reaches(call, library))
        return;
    size_t size = strlen(library);
    for (unsigned i = 0; i < MOST_POINTERS; i++) {
        uint64_t address = pointer_at(call, array, i);
        if (!address || memory_read_string(address, text, sizeof text) + 1 >= (int)sizeof text)
            return;
        size_t end = find_library(text, size);
        if (end == 0)
            continue;
        memset(text + end - size, text[end] ? ':' : 0, size);
        if (!text[end] && text[end - size - 1] == ':')
            text[end - size - 1] = 0;
        memory_write(address + end - size - 1, text + end - size - 1, size + 1);
        return;
    }
}

static void add_environment(const struct call *call, struct body *body, uint64_t array)
{
    for (unsigned i = 0; i < MOST_POINTERS; i++) {
        char name[160];
        uint64_t address = pointer_at(call, array, i);
        if (!address || memory_read_string(address, name, sizeof name) < 0)
            return;
        if (!log_keeps_name(name))
            continue;
        size_t start = body->length;
        if (add_string(body, address, BODY_LIMIT) < 0) {
            body->cut = 1;
            return;
        }
        secrets_hide(body->text + start, body->length - start - 1);
    }
}

static int find_executable(const struct call *call, int folder, uint64_t address, int flags, struct path *path,
                           struct stat *status)
{
    char empty[1] = {1};
    if ((flags & AT_EMPTY_PATH) && memory_read(address, empty, 1) == 0 && empty[0] == 0) {
        if (path_of_descriptor(call, folder, path) != 0)
            return -1;
        return path_stat(path, 1, status) == 0 || strstr(path->text, " (deleted)") ? 0 : -1;
    }
    if (path_read(call, folder, address, path) != 0)
        return -1;
    if (strncmp(path->text, "/memfd:", 7) == 0) /* /proc/self/fd/N of a file without a name */
        return 0;
    if (path_stat(path, 1, status) != 0 || !S_ISREG(status->st_mode) || !path_allows(path, X_OK))
        return -1; /* will fail, as most steps along PATH do */
    return 0;
}

void exec_record(const struct call *call, int folder, uint64_t path, uint64_t arguments, uint64_t environment,
                 int flags)
{
    static struct path executable, working_folder;
    static struct body body;
    struct stat status = {0};
    if (find_executable(call, folder, path, flags, &executable, &status) < 0)
        return;
    if (status.st_mode & (S_ISUID | S_ISGID) && geteuid() != 0)
        log_gap("a set-uid program ran without its privileges");
    body.length = 0;
    body.cut = 0;
    if (path_of_descriptor(call, AT_FDCWD, &working_folder) == 0 && working_folder.length < PATH_MAX) {
        memcpy(body.text, working_folder.text, working_folder.length);
        body.length = working_folder.length;
    }
    body.text[body.length++] = 0;
    size_t start = body.length;
    uint32_t count = add_arguments(call, &body, arguments);
    secrets_hide_arguments(body.text + start, body.length - start);
    add_environment(call, &body, environment);
    withdraw_library(call, environment);
    struct log_signature signature = path_signature(&status);
    struct log_text text2 = {body.text, body.length};
    log_append(LOG_EXEC, call->group, (int32_t)process_parent_of(call->group), count, body.cut ? LOG_CUT : 0,
               status.st_ino ? &signature : NULL, path_as_text(&executable), text2);
}
