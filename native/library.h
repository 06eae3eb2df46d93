/* The preload library's own state, and how it records. Freestanding: no libc, no thread-local storage, no allocation,
 * little stack; nothing here may set errno, block, or leave a descriptor open. */
#ifndef ROAR_LIBRARY_H
#define ROAR_LIBRARY_H

#include "arch.h"
#include "console.h"
#include "event_log.h"
#include "seen.h"
#include "syscalls.h"

#include <linux/fcntl.h>
#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

#ifndef AT_FDCWD
#define AT_FDCWD (-100)
#endif
#define PATH_LIMIT 4096u
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define SEEN_SLOTS 1024u

/* A working folder as of two epochs. It is written once and then only read, without a lock; a new one takes the next
 * place in turn, so that a thread still copying the old one is not disturbed. */
struct working_folder {
    uint32_t epoch, own_epoch, length;
    char text[PATH_LIMIT];
};
#define WORKING_FOLDERS 4u

/* One process's state, in a mapping that a fork child gets zeroed (MADV_WIPEONFORK). */
struct library_state {
    uint32_t pid; /* 0: not yet used in this process */
    uint32_t chunk_lock; /* locks: 0, or the holder: its thread id in mode `preload`, else 1 */
    struct log_chunk *chunk;
    uint32_t folder_lock;
    uint32_t own_epoch;       /* raised by the library's own chdir hooks */
    uint32_t current_folder;  /* index + 1 into working_folders, 0 while not known */
    int64_t memory_at_start;   /* KiB: what the kernel counts from before exec; 0 in a fork */
    struct seen seen[SEEN_SLOTS];
    struct working_folder working_folders[WORKING_FOLDERS];
    char folders[2][PATH_LIMIT]; /* of descriptors, while folder_lock is held */
    uint32_t impatient; /* a lock was waited for in vain: not for long again */
    uint32_t console_lock;
    struct console consoles[2];
};

extern struct library_state *library_state; /* NULL: the library only passes calls on */
extern struct log_header *library_log;
extern uint64_t library_cookie;

/* A path as it will stand in the log. */
struct name {
    const char *folder; /* NULL for an absolute path */
    uint32_t folder_length;
    uint32_t length;
    const char *path;
    int locked; /* the folder lock is held for it */
};

/* Whether anything may be recorded from this process now. */
int library_ready(void);

/* From now on this process's calls are only passed on, and the supervisor records them. */
void library_shut(void);

/* The process is about to end. Records it where no supervisor does, else tells the supervisor what it will ask. */
void library_end(int status);

/* Fills `name`, and takes the folder lock for a path relative to a descriptor. slot: 0, or 1 where the lock is held already, by the
 * first name of the same call. Returns 0 where the supervisor must resolve the path; then nothing new is locked. */
int library_name(struct name *name, int folder, const char *path, unsigned slot);
void library_unlock_names(const struct name *first, const struct name *second);

/* Where it is remembered what was read under a name. *path: the name's hash. */
struct seen *library_seen(const struct name *name, uint64_t *path);

/* Appends a record that the reader already counts, result not known. Returns NULL when there is no room. */
struct log_record *library_append(enum log_kind kind, uint32_t flags, uint16_t bits,
                                  const struct log_signature *signature, const struct name *name1,
                                  const struct name *name2);

/* What a name leads to may be something else from now on. */
void library_links_change(void);

/* Records where a symlink leads that is about to be removed, moved, or replaced; nothing where it is none. */
void library_record_lost_link(const struct name *name, int folder, const char *path);

/* Records where a name led that a file was opened by; nothing where the file lies where it was named. */
void library_record_led(const struct name *name, int fd);

/* The working folder may have changed. */
void library_forget_working_folder(void);

/* A system call of ours that passes the filter. argument 0 or 1 is the one that syscalls.h names. */
#define PASS0(number, a, b, c, d, e) \
    arch_call_with_cookie(library_cookie, (uint64_t)(a), number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))
#define PASS1(number, a, b, c, d, e) \
    arch_call_with_cookie(library_cookie, (uint64_t)(b), number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))
#define PLAIN(number, a, b, c, d, e) \
    arch_call6(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

/* The kernel's struct stat, as a signature. Returns the call's result. */
long library_stat_descriptor(int fd, struct log_signature *to);
long library_stat_path(int folder, const char *path, int flags, struct log_signature *to);

static inline int library_failed(long result)
{
    return (unsigned long)result > -4096UL;
}

#endif
