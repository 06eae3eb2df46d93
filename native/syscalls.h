/* The system calls that concern file lineage: the one table from which the filter is built and calls are named.
 *
 * SYSCALLS(X) lists X(name, number on x86-64, number on i386 or -1, rule, argument):
 *   RULE_OPEN     `argument` is the index of the open flags; O_PATH and pure O_DIRECTORY opens pass free
 *   RULE_PLAIN    every such call is seen
 *   RULE_EMPTY    only where the second argument, a length, is 0
 *   RULE_PRCTL    only where the first argument is PR_SET_SECCOMP
 *   RULE_CONSOLE  only in mode `seccomp`, writes to descriptors 1 and 2
 * The last column is the argument that is mixed with the cookie on the library's own calls (-1: never passes free).
 *
 * Known and deliberately not handled:
 *   chmod, chown, utime*, *xattr      change no content
 *   mkdir below is kept (an output folder); bind(2) of Unix sockets is not
 *   fallocate, write, mmap, ftruncate to a length act on a descriptor whose open was seen
 *   memfd_create, pipe, socket        have no path
 *   name_to_handle_at                 opens nothing (open_by_handle_at does and is seen)
 *   io_uring_enter                    cannot be filtered by operation; io_uring_setup marks the process
 *   uselib, acct, swapon, quotactl    not lineage
 *   exit                              ends a thread, not a process
 *   x32 numbers                       the ABI is switched off in all current distributions */
#ifndef ROAR_SYSCALLS_H
#define ROAR_SYSCALLS_H

enum syscall_rule { RULE_OPEN, RULE_PLAIN, RULE_EMPTY, RULE_PRCTL, RULE_CONSOLE };

/*        name               x86-64 i386  rule        flags  cookie */
#define SYSCALLS(X)                                        \
    X(openat,                257,  295, RULE_OPEN,     2,  1) \
    X(open,                    2,    5, RULE_OPEN,     1,  0) \
    X(creat,                  85,    8, RULE_PLAIN,    0,  0) \
    X(openat2,               437,  437, RULE_PLAIN,    0, -1) \
    X(open_by_handle_at,     304,  342, RULE_PLAIN,    0, -1) \
    X(unlink,                 87,   10, RULE_PLAIN,    0,  0) \
    X(unlinkat,              263,  301, RULE_PLAIN,    0,  1) \
    X(rename,                 82,   38, RULE_PLAIN,    0,  0) \
    X(renameat,              264,  302, RULE_PLAIN,    0,  1) \
    X(renameat2,             316,  353, RULE_PLAIN,    0,  1) \
    X(link,                   86,    9, RULE_PLAIN,    0,  0) \
    X(linkat,                265,  303, RULE_PLAIN,    0,  1) \
    X(symlink,                88,   83, RULE_PLAIN,    0,  0) \
    X(symlinkat,             266,  304, RULE_PLAIN,    0,  0) \
    X(truncate,               76,   92, RULE_PLAIN,    0,  0) \
    X(ftruncate,              77,   93, RULE_EMPTY,    0,  0) \
    X(mknod,                 133,   14, RULE_PLAIN,    0, -1) \
    X(mknodat,               259,  297, RULE_PLAIN,    0, -1) \
    X(mkdir,                  83,   39, RULE_PLAIN,    0,  0) \
    X(mkdirat,               258,  296, RULE_PLAIN,    0,  1) \
    X(rmdir,                  84,   40, RULE_PLAIN,    0,  0) \
    X(chdir,                  80,   12, RULE_PLAIN,    0,  0) \
    X(fchdir,                 81,  133, RULE_PLAIN,    0,  0) \
    X(chroot,                161,   61, RULE_PLAIN,    0, -1) \
    X(pivot_root,            155,  217, RULE_PLAIN,    0, -1) \
    X(mount,                 165,   21, RULE_PLAIN,    0, -1) \
    X(move_mount,            429,  429, RULE_PLAIN,    0, -1) \
    X(setns,                 308,  346, RULE_PLAIN,    0, -1) \
    X(execve,                 59,   11, RULE_PLAIN,    0, -1) \
    X(execveat,              322,  358, RULE_PLAIN,    0, -1) \
    X(exit_group,            231,  252, RULE_PLAIN,    0, -1) \
    X(io_uring_setup,        425,  425, RULE_PLAIN,    0, -1) \
    X(seccomp,               317,  354, RULE_PLAIN,    0, -1) \
    X(prctl,                 157,  172, RULE_PRCTL,    0, -1) \
    X(write,                   1,    4, RULE_CONSOLE,  0, -1) \
    X(writev,                 20,  146, RULE_CONSOLE,  0, -1)

/* i386 only: they have their path, or descriptor, in the same place as the others; the length is in two arguments. */
#define SYSCALL32_TRUNCATE64 193
#define SYSCALL32_FTRUNCATE64 194

#define SYSCALL_NAME(name, n64, n32, rule, flags, cookie) CALL_##name = n64,
enum syscall_name { SYSCALLS(SYSCALL_NAME) };
#undef SYSCALL_NAME

#endif
