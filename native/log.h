/* The supervisor's side of the event log: making it, growing it, appending to it. */
#ifndef ROAR_LOG_H
#define ROAR_LOG_H

#include "event_log.h"

#include <stddef.h>
#include <stdint.h>

/* The mapped first page; NULL before log_create. Shared by guard, supervisor and all libraries. */
extern struct log_header *log_header;

/* Makes the log, backs its first megabyte and writes the settings chunk. Returns 0 or -errno.
 * names: `count` environment variable names. */
int log_create(const char *path, const char *const *names, size_t count);

/* Backs more of the log with disk blocks when the writers near the limit. Cheap when there is nothing to do. */
void log_extend(void);

/* Empties the log again, while nothing writes to it: the trial run of the canary is no part of the job. */
void log_reset(void);

/* Notes one moment on both clocks. */
void log_calibrate(void);

/* Nanoseconds or ticks of header.clock. */
uint64_t log_now(void);

/* Whether the value of the environment variable NAME[=VALUE] is to be kept. */
int log_keeps_name(const char *text);

struct log_text {
    const char *start;
    size_t length;
};

/* Appends one record. `signature` may be NULL. Counts a dropped event when there is no room. */
void log_append(enum log_kind kind, uint32_t pid, int32_t result, uint32_t flags, uint16_t bits,
                const struct log_signature *signature, struct log_text text1, struct log_text text2);

/* Records, once for each phrase, what could have been missed. */
void log_gap(const char *phrase);

#endif
