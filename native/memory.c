#define _GNU_SOURCE
#include "memory.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#define PAGE 4096u
#define SLOTS 16u
#define SHORT 192u

static struct {
    uint64_t address; /* 0: empty. A page at address 0 cannot be read anyway. */
    char bytes[PAGE];
} slots[SLOTS];
static pid_t process;

void memory_start(pid_t pid)
{
    process = pid;
    for (unsigned i = 0; i < SLOTS; i++)
        slots[i].address = 0;
}

/* The page that holds `address`, or NULL with errno set. */
static const char *page_of(uint64_t address)
{
    uint64_t start = address & ~(uint64_t)(PAGE - 1);
    if (start == 0) {
        errno = EFAULT;
        return NULL;
    }
    unsigned slot = (unsigned)(start / PAGE) % SLOTS;
    if (slots[slot].address == start)
        return slots[slot].bytes;
    struct iovec local = {slots[slot].bytes, PAGE};
    struct iovec remote = {(void *)(uintptr_t)start, PAGE};
    slots[slot].address = 0;
    ssize_t got = process_vm_readv(process, &local, 1, &remote, 1, 0);
    if (got != (ssize_t)PAGE) {
        if (got >= 0)
            errno = EFAULT;
        return NULL;
    }
    slots[slot].address = start;
    return slots[slot].bytes;
}

int memory_read(uint64_t address, void *to, size_t size)
{
    char *out = to;
    while (size > 0) {
        size_t offset = address & (PAGE - 1);
        size_t part = PAGE - offset < size ? PAGE - offset : size;
        const char *page = page_of(address);
        if (!page)
            return -errno;
        memcpy(out, page + offset, part);
        out += part;
        address += part;
        size -= part;
    }
    return 0;
}

/* Most paths are short: one small copy, not a page. Returns the length, or -1 where that does not do. */
static int read_short_string(uint64_t address, char *to, size_t capacity)
{
    size_t size = PAGE - (address & (PAGE - 1));
    if (size > SHORT)
        size = SHORT;
    if (size > capacity - 1 || address < PAGE)
        return -1;
    struct iovec local = {to, size};
    struct iovec remote = {(void *)(uintptr_t)address, size};
    if (process_vm_readv(process, &local, 1, &remote, 1, 0) != (ssize_t)size)
        return -1;
    const char *end = memchr(to, 0, size);
    return end ? (int)(end - to) : -1;
}

int memory_read_path(uint64_t address, char *to, size_t capacity)
{
    int length = read_short_string(address, to, capacity);
    return length >= 0 ? length : memory_read_string(address, to, capacity);
}

int memory_read_string(uint64_t address, char *to, size_t capacity)
{
    size_t length = 0;
    while (length < capacity - 1) {
        size_t offset = address & (PAGE - 1);
        size_t part = PAGE - offset < capacity - 1 - length ? PAGE - offset : capacity - 1 - length;
        const char *page = page_of(address);
        if (!page)
            return -errno;
        const char *end = memchr(page + offset, 0, part);
        size_t take = end ? (size_t)(end - (page + offset)) : part;
        memcpy(to + length, page + offset, take);
        length += take;
        if (end)
            break;
        address += part;
    }
    to[length] = 0;
    return (int)length;
}

int memory_write(uint64_t address, const void *from, size_t size)
{
    struct iovec local = {(void *)(uintptr_t)from, size};
    struct iovec remote = {(void *)(uintptr_t)address, size};
    for (unsigned i = 0; i < SLOTS; i++)
        slots[i].address = 0;
    return process_vm_writev(process, &local, 1, &remote, 1, 0) == (ssize_t)size ? 0 : -errno;
}
