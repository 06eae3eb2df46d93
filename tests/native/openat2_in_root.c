// expect read data/in.txt
// preload misses all
#include "story.h"
#include <linux/openat2.h>
int main(void)
{
    int folder = open("data", O_PATH | O_DIRECTORY);
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_IN_ROOT};
    take((int)syscall(SYS_openat2, folder, "/in.txt", &how, sizeof how));
}
