/* Records execve and execveat: the executable, the arguments, the asked-for part of the environment. */
#ifndef ROAR_EXEC_H
#define ROAR_EXEC_H

#include "call.h"

/* path, arguments, environment: addresses in the calling process. flags: of execveat. */
void exec_record(const struct call *call, int folder, uint64_t path, uint64_t arguments, uint64_t environment,
                 int flags);

/* The library that all programs are made to load. */
void exec_preloads(const char *path);

#endif
