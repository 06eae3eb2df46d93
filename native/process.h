/* Which process a thread belongs to, and who started it. */
#ifndef ROAR_PROCESS_H
#define ROAR_PROCESS_H

#include "event_log.h"
#include "seen.h"

#include <stdint.h>

/* The thread group of `tid`. The first call for a group appends its LOG_FORK record. */
uint32_t process_group_of(uint32_t tid);

/* The parent of the group as it is now, 0 if unknown. */
uint32_t process_parent_of(uint32_t group);

/* Forgets a group that is about to end, so that its number can be used again. */
void process_forget(uint32_t group);

/* What the group has used so far, its children not counted. */
struct log_use process_use(uint32_t group);

/* Appends the ends of those children of `parent` (0: of all processes) that a signal has ended and that have been waited
 * for. Needs Linux 6.15; does nothing before it. For any thread. */
void process_find_ended(uint32_t parent);

/* Where it is remembered what a process read under a path. *hash: of both. */
struct seen *process_seen(uint32_t group, const char *path, uint64_t length, uint64_t *hash);

#endif
