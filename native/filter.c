#define _GNU_SOURCE
#include "filter.h"

#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define NUMBER_OFFSET ((uint32_t)offsetof(struct seccomp_data, nr))
#define ARCH_OFFSET ((uint32_t)offsetof(struct seccomp_data, arch))

struct syscall_row {
    int number, number32;
    enum syscall_rule rule;
    int flags_argument, cookie_argument;
};

static const struct syscall_row rows[] = {
#define ROW(name, n64, n32, rule, flags, cookie) {n64, n32, rule, flags, cookie},
    SYSCALLS(ROW)
#undef ROW
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

struct program {
    struct sock_filter code[BPF_MAXINSNS];
    unsigned short length;
    uint64_t cookie;
    int with_cookie, with_console;
};

static uint32_t argument_offset(int index)
{
    return (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (size_t)index);
}

static void add(struct program *p, unsigned code, uint32_t k, unsigned if_true, unsigned if_false)
{
    p->code[p->length++] =
        (struct sock_filter){(unsigned short)code, (unsigned char)if_true, (unsigned char)if_false, k};
}

static void load(struct program *p, uint32_t offset)
{
    add(p, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void give(struct program *p, uint32_t action)
{
    add(p, BPF_RET | BPF_K, action, 0, 0);
}

/* Allows the call when its sixth argument is cookie ^ argument; falls through when not. */
static void allow_cookie(struct program *p, int argument)
{
    for (unsigned half = 0; half < 2; half++) {
        uint32_t part = (uint32_t)(p->cookie >> (32 * half));
        load(p, argument_offset(5) + 4 * half);
        add(p, BPF_MISC | BPF_TAX, 0, 0, 0);
        load(p, argument_offset(argument) + 4 * half);
        add(p, BPF_ALU | BPF_XOR | BPF_X, 0, 0, 0);
        add(p, BPF_JMP | BPF_JEQ | BPF_K, part, 0, half ? 1 : 6);
    }
    give(p, SECCOMP_RET_ALLOW);
}

/* Opens without content (O_PATH, a folder and nothing else) pass free. */
static void open_rule(struct program *p, int flags_argument)
{
    load(p, argument_offset(flags_argument));
    add(p, BPF_JMP | BPF_JSET | BPF_K, O_PATH, 3, 0);
    add(p, BPF_ALU | BPF_AND | BPF_K, O_TMPFILE, 0, 0);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, O_DIRECTORY, 1, 0);
    give(p, SECCOMP_RET_USER_NOTIF);
    give(p, SECCOMP_RET_ALLOW);
}

/* The upper half of an i386 program's argument is 0. */
static void empty_rule(struct program *p)
{
    load(p, argument_offset(1));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
    load(p, argument_offset(1) + 4);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
    give(p, SECCOMP_RET_USER_NOTIF);
    give(p, SECCOMP_RET_ALLOW);
}

static void prctl_rule(struct program *p)
{
    load(p, argument_offset(0));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SECCOMP, 0, 1);
    give(p, SECCOMP_RET_USER_NOTIF);
    give(p, SECCOMP_RET_ALLOW);
}

/* All of them, short ones too: a line that is put together without some of its pieces would tell a wrong link. */
static void console_rule(struct program *p)
{
    load(p, argument_offset(0));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 0);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 1);
    give(p, SECCOMP_RET_USER_NOTIF);
    give(p, SECCOMP_RET_ALLOW);
}

/* One row: compares the loaded number; where it differs the number stays loaded for the next row. */
static void add_row(struct program *p, const struct syscall_row *row, int number, int with_cookie)
{
    if (number < 0 || (row->rule == RULE_CONSOLE && !p->with_console))
        return;
    unsigned short at = p->length;
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 0);
    if (with_cookie && row->cookie_argument >= 0)
        allow_cookie(p, row->cookie_argument);
    switch (row->rule) {
    case RULE_OPEN:
        open_rule(p, row->flags_argument);
        break;
    case RULE_EMPTY:
        empty_rule(p);
        break;
    case RULE_PRCTL:
        prctl_rule(p);
        break;
    case RULE_CONSOLE:
        console_rule(p);
        break;
    case RULE_PLAIN:
        give(p, SECCOMP_RET_USER_NOTIF);
        break;
    }
    p->code[at].jf = (unsigned char)(p->length - at - 1);
}

static void build(struct program *p)
{
    load(p, ARCH_OFFSET);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    unsigned short to_i386 = p->length;
    add(p, BPF_JMP | BPF_JA, 0, 0, 0);
    load(p, NUMBER_OFFSET);
    for (size_t i = 0; i < ROW_COUNT; i++)
        add_row(p, &rows[i], rows[i].number, p->with_cookie);
    give(p, SECCOMP_RET_ALLOW);

    p->code[to_i386].k = (uint32_t)(p->length - to_i386 - 1);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 1, 0);
    give(p, SECCOMP_RET_ALLOW);
    load(p, NUMBER_OFFSET);
    for (size_t i = 0; i < ROW_COUNT; i++)
        add_row(p, &rows[i], rows[i].number32, 0);
    const struct syscall_row truncate64 = {CALL_truncate, SYSCALL32_TRUNCATE64, RULE_PLAIN, 0, -1};
    add_row(p, &truncate64, SYSCALL32_TRUNCATE64, 0);
    const struct syscall_row ftruncate64 = {CALL_ftruncate, SYSCALL32_FTRUNCATE64, RULE_EMPTY, 0, -1};
    add_row(p, &ftruncate64, SYSCALL32_FTRUNCATE64, 0);
    give(p, SECCOMP_RET_ALLOW);
}

int filter_number_from_i386(int number)
{
    if (number == SYSCALL32_TRUNCATE64)
        return CALL_truncate;
    if (number == SYSCALL32_FTRUNCATE64)
        return CALL_ftruncate;
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].number32 == number)
            return rows[i].number;
    return -1;
}

int filter_install(uint64_t cookie, int with_cookie, int with_console)
{
    static struct program p;
    p.length = 0;
    p.cookie = cookie;
    p.with_cookie = with_cookie;
    p.with_console = with_console;
    build(&p);
    struct sock_fprog program = {p.length, p.code};
    unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
    if (fd < 0 && errno == EINVAL) /* before Linux 5.19 */
        fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (fd < 0 && errno == EACCES && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        return filter_install(cookie, with_cookie, with_console);
    return fd < 0 ? -errno : (int)fd;
}
