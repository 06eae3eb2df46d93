/* Shared by the stories: what all of them include, and CHECK, which ends a story that cannot do what it tells. */
#ifndef STORY_H
#define STORY_H

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                     \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            dprintf(2, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, strerror(errno));  \
            _exit(99);                                                                       \
        }                                                                                    \
    } while (0)

static inline void put(int fd)
{
    CHECK(fd >= 0);
    CHECK(write(fd, "made\n", 5) == 5);
    CHECK(close(fd) == 0);
}

static inline void take(int fd)
{
    char text[64];
    CHECK(fd >= 0);
    CHECK(read(fd, text, sizeof text) > 0);
    CHECK(close(fd) == 0);
}

static inline void wait_for(pid_t pid)
{
    int status;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#endif
