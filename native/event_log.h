/* The event log: what the preload library and the supervisor write while a command runs, and what
 * src/roar/observe/log.py reads. All numbers are in the machine's own byte order; the log never leaves the machine.
 *
 *   offset 0       struct log_header, padded to LOG_HEADER_SIZE
 *   then           chunks of LOG_CHUNK_SIZE bytes, each claimed by one writer with an atomic add to header.next
 *   chunk          struct log_chunk, then records one after the other
 *   record         struct log_record, then (if LOG_HAS_SIGNATURE) struct log_signature, then text 1 and text 2 without
 *                  any terminator, padded to 8 bytes
 *
 * Chunk 0 holds no records: it is the settings chunk, the NUL separated names of the environment variables to keep
 * (a trailing '*' makes a prefix), ended by an empty name.
 *
 * How a record survives SIGKILL at any instant: room is reserved with an atomic add to chunk.used; the header word is
 * stored at once with kind LOG_NONE, which tells the reader how far to skip; it is stored again with the kind, with
 * release order, when the rest is in place. Room that was reserved and never given a header is zero; the reader looks
 * for the next plausible header in steps of 8 bytes.
 *
 * The log is backed by real disk blocks before it is offered: header.limit counts the chunks a writer may claim.
 * Raise LOG_VERSION with every change of layout or meaning, here and in log.py. */
#ifndef ROAR_EVENT_LOG_H
#define ROAR_EVENT_LOG_H

#include <stddef.h>
#include <stdint.h>

#define LOG_MAGIC 0x474f4c2d52414f52ULL /* "ROAR-LOG" */
#define LOG_VERSION 4u
#define LOG_OLDEST_VERSION 1u /* that can still be read: the end of a process had no text; in 1 and 2 nothing told
                                 of a file that was emptied; before 4 nothing told where a name led */
#define LOG_HEADER_SIZE 4096u
#define LOG_CHUNK_SIZE 16384u
#define LOG_RECORD_MARK 0xa5u /* lowest byte of every record header */
#define LOG_RESULT_UNKNOWN INT32_MIN

enum log_kind {
    LOG_NONE = 0,    /* reserved, not (or never) completed */
    LOG_OPEN = 1,    /* text 1: path; flags: of open(2) */
    LOG_UNLINK = 2,  /* text 1: path */
    LOG_RENAME = 3,  /* text 1: old path; text 2: new path; flags: of renameat2(2) */
    LOG_LINK = 4,    /* text 1: old path; text 2: new path; flags: of linkat(2) */
    LOG_SYMLINK = 5, /* text 1: the link's text; text 2: path of the link; flags: 0, or LOG_LINK_WAS_THERE */
    LOG_TRUNCATE = 6, /* flags: 0, or LOG_TO_NOTHING */
    LOG_MKNOD = 7, /* flags: mode */
    LOG_MKDIR = 8,
    LOG_RMDIR = 9,
    LOG_EMPTY = 10,   /* an open file was cut to nothing (ftruncate); no path: the signature tells which file it is */
    LOG_LED = 11,     /* text 1: path of a file that was opened to be written; text 2: where it really lay then. Only where
                         these differ: a symlink is on the way */
    LOG_EXEC = 32,    /* result: parent pid; flags: number of arguments; text 1: executable; text 2: working folder,
                         arguments, then NAME=VALUE of the environment, each ended by NUL */
    LOG_FORK = 33,    /* first sign of a process that has not called exec; result: parent pid */
    LOG_EXIT = 34,    /* result: exit code, 128 + N for signal N; text 1: struct log_use, or nothing where not known */
    LOG_CONSOLE = 35, /* flags: descriptor; text 1: the line without its end */
    LOG_GAP = 36,     /* text 1: what could have been missed, in words */
};

/* struct log_record.flags of LOG_SYMLINK: no link was made; one was there, and is about to be removed or moved. */
#define LOG_LINK_WAS_THERE 1u

/* struct log_record.flags of LOG_TRUNCATE: no byte is left. */
#define LOG_TO_NOTHING 1u

/* struct log_record.bits */
#define LOG_HAS_SIGNATURE 1u   /* struct log_signature follows the record */
#define LOG_EXISTED_KNOWN 2u   /* the path was looked at just before the call */
#define LOG_EXISTED 4u         /* and was there */
#define LOG_BY_SUPERVISOR 8u   /* recorded before the call was made; result is not known */
#define LOG_CUT 16u            /* text 2 did not fit whole */

/* struct log_header.options */
#define LOG_NO_FILTER 1u /* mode `preload`: what the library does not record is not recorded at all */

/* struct log_header.clock */
#define LOG_CLOCK_TICKS 0u     /* the processor's invariant counter, see first_ and last_ pairs */
#define LOG_CLOCK_MONOTONIC 1u /* nanoseconds of CLOCK_MONOTONIC */

/* struct log_header.mode */
enum log_mode { LOG_MODE_NONE = 0, LOG_MODE_FULL = 1, LOG_MODE_SECCOMP = 2, LOG_MODE_PRELOAD = 3 };

/* struct log_header.canary: recording paths that have proved that they see */
#define LOG_CANARY_SUPERVISOR 1u
#define LOG_CANARY_LIBRARY 2u

struct log_header {
    uint64_t magic;
    uint32_t version;
    uint32_t chunk_size;
    uint64_t cookie; /* the secret that lets the library's own calls pass the filter */
    uint32_t options;
    uint32_t clock;
    uint64_t first_ticks, first_ns; /* one moment on both clocks, at the start */
    uint64_t last_ticks, last_ns;   /* and the latest such moment */
    uint32_t mode;
    int32_t command_pid;
    uint32_t ended; /* 1 when the next four are set */
    int32_t wait_status;
    uint64_t max_rss_kib, user_us, system_us; /* of the command and its waited-for children */
    uint64_t filtered;                        /* calls the supervisor handled */
    uint32_t stuck; /* mode `preload`: the log cannot grow now, so that no writer need wait for it */
    uint32_t padding0[3];
    /* offset 128: shared by all writers */
    uint64_t next;  /* next chunk to claim */
    uint64_t limit; /* chunks that have disk blocks; in mode `preload` its lower half is a futex, woken when raised */
    uint32_t want;  /* futex: raised by a writer that nears the limit (mode `preload`) */
    uint32_t quiet; /* the library must make no call of its own: a sandbox or chroot is in play */
    uint32_t closed; /* nothing more is to be recorded */
    uint32_t working_folder_epoch; /* raised whenever a process may have changed its working folder */
    uint64_t dropped;    /* events lost because the log could not grow */
    uint64_t unreadable; /* calls whose arguments could not be read */
    uint32_t canary;
    uint32_t supervisor_died;
    uint32_t link_epoch; /* raised whenever a symlink or a folder gets or loses a name: others lead elsewhere then */
};

/* Also in the first page, after the header: the notification being handled, for the guard to finish should the
 * supervisor be killed with it. */
#define LOG_IN_FLIGHT_OFFSET 1024u

/* And the most memory that processes say they have held, just before they end: the number of the process << 32 | KiB, in
 * the slot of its number. Cheaper for the supervisor than to ask; whoever is not found here is asked for. */
#define LOG_MEMORY_OFFSET 2048u
#define LOG_MEMORY_SLOTS 128u

struct log_chunk {
    uint32_t pid;
    uint32_t used; /* bytes reserved after this header; may run past the end, by writers that found it full */
    uint64_t padding;
};

struct log_record {
    uint32_t header; /* whole size in bytes << 16 | kind << 8 | LOG_RECORD_MARK */
    uint32_t pid;    /* thread group */
    uint64_t ticks;
    int32_t result; /* the call's result or -errno; LOG_RESULT_UNKNOWN where recorded before the call */
    uint32_t flags;
    uint16_t length1, length2;
    uint16_t bits;
    uint16_t padding;
};

struct log_use {
    uint64_t max_rss_kib, user_us, system_us;
};

struct log_signature {
    uint64_t device, inode;
    int64_t size, mtime_ns, ctime_ns;
    uint32_t mode, padding;
};

_Static_assert(sizeof(struct log_header) <= LOG_HEADER_SIZE, "the header has a page of its own");
_Static_assert(offsetof(struct log_header, next) == 128, "log.py reads it there");
_Static_assert(sizeof(struct log_chunk) == 16, "log.py skips it");
_Static_assert(sizeof(struct log_record) == 32, "log.py unpacks it");
_Static_assert(offsetof(struct log_record, length1) == 24, "log.py unpacks it");
_Static_assert(sizeof(struct log_signature) == 48, "log.py unpacks it");
_Static_assert(sizeof(struct log_use) == 24, "log.py unpacks it");

#endif
