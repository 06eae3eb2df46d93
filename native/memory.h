/* Reading another process's memory, a page at a time, for the length of one notification. */
#ifndef ROAR_MEMORY_H
#define ROAR_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Forgets what was read: call before each notification. */
void memory_start(pid_t pid);

/* Copies `size` bytes from `address`. Returns 0 or -errno. */
int memory_read(uint64_t address, void *to, size_t size);

/* Copies a string with its NUL, cut to `capacity` - 1 bytes. Returns its length, or -errno. */
int memory_read_string(uint64_t address, char *to, size_t capacity);

/* The same, at less cost for a single short string. */
int memory_read_path(uint64_t address, char *to, size_t capacity);

/* Returns 0 or -errno. Nothing is written to memory that the process itself may only read. */
int memory_write(uint64_t address, const void *from, size_t size);

#endif
