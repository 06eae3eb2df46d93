/* The seccomp filter that raises a notification for the calls of syscalls.h. */
#ifndef ROAR_FILTER_H
#define ROAR_FILTER_H

#include <stdint.h>

/* Installs the filter in the calling thread for itself and all that it starts.
 * with_cookie: let calls pass that carry `cookie`; with_console: see writes to descriptors 1 and 2.
 * Returns the listener descriptor (close-on-exec), or -errno. */
int filter_install(uint64_t cookie, int with_cookie, int with_console);

/* The x86-64 number of an i386 call of the table, or -1. */
int filter_number_from_i386(int number);

#endif
