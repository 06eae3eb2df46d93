// expect rename one.txt moved.txt
// expect rename folder moved
// expect rename filled empty
// build -static
// preload misses all
#include "story.h"
static void fails(const char *from, const char *to, unsigned flags)
{
    CHECK(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags) < 0);
}
int main(void)
{
    CHECK(mkdir("folder", 0755) == 0 && mkdir("filled", 0755) == 0 && mkdir("empty", 0755) == 0);
    put(open("one.txt", O_WRONLY | O_CREAT, 0644));
    put(open("filled/in.txt", O_WRONLY | O_CREAT, 0644));
    fails("folder", "filled", 0);
    fails("folder", "one.txt", 0);
    fails("one.txt", "folder", 0);
    fails("filled", "filled/self", 0);
    fails("filled/in.txt", "filled", 0);
    fails("one.txt", "missing/other.txt", 0);
    fails("one.txt", "other.txt", RENAME_EXCHANGE);
    fails("one.txt", "/proc/other.txt", 0);
    fails("/proc/self/fd/0", "one.txt", 0);
    CHECK(linkat(AT_FDCWD, "/proc/self/exe", AT_FDCWD, "linked", 0) < 0);
    CHECK(rename("one.txt", "moved.txt") == 0);
    CHECK(rename("folder", "moved") == 0);
    CHECK(rename("filled", "empty") == 0);
}
