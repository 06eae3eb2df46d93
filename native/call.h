/* One notified system call, with its number already that of x86-64. */
#ifndef ROAR_CALL_H
#define ROAR_CALL_H

#include <stdint.h>

struct call {
    uint32_t tid, group;
    int number;
    unsigned word; /* bytes of a pointer in the calling program */
    uint64_t arguments[6];
};

#endif
