/* What depends on the processor: the clock and raw system calls. Numbers of system calls are in syscalls.h. */
#ifndef ROAR_ARCH_H
#define ROAR_ARCH_H

#include <stdint.h>

#if !defined(__x86_64__) || defined(__ILP32__)
#error "roar's tracer knows x86-64 only (see docs/tracer.md for what another processor needs)"
#endif

/* The processor's counter. Only ordered across processors where `arch_ticks_are_ordered` says so. */
static inline uint64_t arch_ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* CPUID 0x80000007, EDX bit 8: the counter runs at one rate in all power states. */
static inline int arch_ticks_are_ordered(void)
{
    uint32_t a = 0x80000000u, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (a < 0x80000007u)
        return 0;
    a = 0x80000007u;
    c = 0;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (d >> 8) & 1;
}

static inline __attribute__((always_inline)) long arch_call6(long number, long a, long b, long c, long d, long e,
                                                             long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* A call of at most five arguments that carries `cookie ^ key` in the unused sixth argument register, wiped right
 * after, so that no stale cookie can leak into a later call of the program's own. */
static inline __attribute__((always_inline)) long arch_call_with_cookie(uint64_t cookie, uint64_t key, long number,
                                                                        long a, long b, long c, long d, long e)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = (long)(cookie ^ key);
    __asm__ volatile("syscall\n\txor %%r9d, %%r9d"
                     : "=a"(result), "+r"(r9)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

static inline void arch_pause(void)
{
    __asm__ volatile("pause");
}

#endif
