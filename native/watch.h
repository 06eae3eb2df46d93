/* Law: the command never waits for the tracer. Looking at a file can hang where the command itself would not have: a
 * network disk that does not answer, a file system that a process of the command serves (FUSE), memory that another of
 * its threads fills in (userfaultfd). While the supervisor hangs, a second thread lets all calls go on, unseen but
 * counted. */
#ifndef ROAR_WATCH_H
#define ROAR_WATCH_H

#include <stdint.h>

/* Starts the second thread. Without it (no thread to be had) the supervisor works all the same. */
void watch_start(int listener);

/* Around the recording of one notification; `id` is the kernel's for it. */
void watch_begin(uint64_t id);
void watch_end(void);

#endif
