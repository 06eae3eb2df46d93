// expect read in.txt
// expect write out.txt
// expect gap io_uring
// preload misses all
#include "story.h"
#include <linux/io_uring.h>
static int ring;
static struct io_uring_params params;
static char *submissions, *completions;
static struct io_uring_sqe *entries;

static int open_with_ring(const char *path, unsigned flags)
{
    unsigned *tail = (unsigned *)(void *)(submissions + params.sq_off.tail);
    unsigned mask = *(unsigned *)(void *)(submissions + params.sq_off.ring_mask);
    unsigned *array = (unsigned *)(void *)(submissions + params.sq_off.array);
    unsigned index = *tail & mask;
    memset(&entries[index], 0, sizeof entries[index]);
    entries[index].opcode = IORING_OP_OPENAT;
    entries[index].fd = AT_FDCWD;
    entries[index].addr = (uint64_t)(uintptr_t)path;
    entries[index].open_flags = flags;
    entries[index].len = 0644;
    array[index] = index;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    CHECK(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
    unsigned *head = (unsigned *)(void *)(completions + params.cq_off.head);
    struct io_uring_cqe *done = (struct io_uring_cqe *)(void *)(completions + params.cq_off.cqes);
    int result = done[*head & *(unsigned *)(void *)(completions + params.cq_off.ring_mask)].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return result;
}

int main(void)
{
    ring = (int)syscall(SYS_io_uring_setup, 4, &params);
    if (ring < 0)
        return 77; /* switched off here */
    submissions = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    completions = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    entries = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    CHECK(open_with_ring("in.txt", O_RDONLY) >= 0);
    CHECK(open_with_ring("out.txt", O_WRONLY | O_CREAT) >= 0);
}
