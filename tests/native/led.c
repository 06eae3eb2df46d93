// expect led by/new.txt data/new.txt
// expect led by/in.txt data/in.txt
// expect led soft.txt old.txt
// expect led by/at.txt data/at.txt
// expect led by/raw.txt data/raw.txt
// expect write by/new.txt
// preload misses led by/raw.txt data/raw.txt
#include "story.h"
int main(void)
{
    CHECK(symlink("data", "by") == 0);
    CHECK(symlink("old.txt", "soft.txt") == 0);
    put(open("by/new.txt", O_WRONLY | O_CREAT | O_EXCL, 0644));
    put(open("by/in.txt", O_WRONLY | O_TRUNC));
    put(open("soft.txt", O_RDWR));
    int folder = open(".", O_RDONLY | O_DIRECTORY);
    put(openat(folder, "by/at.txt", O_WRONLY | O_CREAT, 0644));
    put((int)syscall(SYS_openat, AT_FDCWD, "by/raw.txt", O_WRONLY | O_CREAT | O_TRUNC, 0644));
}
