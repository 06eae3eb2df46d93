// expect read in.txt
// expect write out.txt
// preload misses all
#include "story.h"
#include <linux/openat2.h>
int main(void)
{
    struct open_how how = {.flags = O_RDONLY};
    take((int)syscall(SYS_openat2, AT_FDCWD, "in.txt", &how, sizeof how));
    how = (struct open_how){.flags = O_WRONLY | O_CREAT, .mode = 0644};
    put((int)syscall(SYS_openat2, AT_FDCWD, "out.txt", &how, sizeof how));
}
