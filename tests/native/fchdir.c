// expect read in.txt
// expect read data/in.txt
// expect write out.txt
// preload misses write out.txt
#include "story.h"
int main(void)
{
    int here = open(".", O_RDONLY | O_DIRECTORY), folder = open("data", O_PATH);
    take(open("in.txt", O_RDONLY));
    CHECK(fchdir(folder) == 0);
    take(open("in.txt", O_RDONLY));
    CHECK(syscall(SYS_fchdir, here) == 0);
    put(open("out.txt", O_WRONLY | O_CREAT, 0644));
}
