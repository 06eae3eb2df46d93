// expect read data/in.txt
// expect write data/out.txt
// expect rename data/out.txt data/new.txt
// needs root
// preload misses all
#include "story.h"
int main(void)
{
    CHECK(chroot("data") == 0 && chdir("/") == 0);
    take(open("/in.txt", O_RDONLY));
    put(open("out.txt", O_WRONLY | O_CREAT, 0644));
    CHECK(rename("/out.txt", "/new.txt") == 0);
}
