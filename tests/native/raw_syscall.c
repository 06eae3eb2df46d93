// expect read in.txt
// expect write out.txt
// expect unlink old.txt
// preload misses all
#include "story.h"
int main(void)
{
    take((int)syscall(SYS_open, "in.txt", O_RDONLY));
    put((int)syscall(SYS_openat, AT_FDCWD, "out.txt", O_WRONLY | O_CREAT, 0644));
    CHECK(syscall(SYS_unlink, "old.txt") == 0);
}
