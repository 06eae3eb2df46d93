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
static void fails_to_link(const char *from, const char *to)
{
    CHECK(link(from, to) < 0 && linkat(AT_FDCWD, from, AT_FDCWD, to, 0) < 0);
    CHECK(linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) < 0);
}
static void without_rights(void)
{
    CHECK(mkdir("closed", 0755) == 0);
    put(open("closed/in.txt", O_WRONLY | O_CREAT, 0644));
    CHECK(chmod("closed", 0555) == 0);
    if (geteuid() != 0) { /* who may do all */
        fails("closed/in.txt", "out.txt", 0);
        fails("one.txt", "closed/one.txt", 0);
        fails_to_link("one.txt", "closed/one.txt");
    }
    CHECK(chmod("closed", 0755) == 0);
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
    CHECK(mkdir("filled/deep", 0755) == 0 && mkdir("filled/deep/er", 0755) == 0);
    fails("filled", "filled/deep/self", 0);
    fails("filled", "filled/deep/er/self", 0);
    fails("filled", "filled/deep", RENAME_EXCHANGE);
    fails("filled/deep", "filled", RENAME_EXCHANGE);
    fails("filled/in.txt", "filled", RENAME_EXCHANGE);
    fails("filled/deep/er", "filled", RENAME_EXCHANGE);
    fails("filled/in.txt", "filled", 0);
    fails("one.txt", "missing/other.txt", 0);
    fails("one.txt", "other.txt", RENAME_EXCHANGE);
    fails("one.txt", "/proc/other.txt", 0);
    fails("/proc/self/fd/0", "one.txt", 0);
    CHECK(linkat(AT_FDCWD, "/proc/self/exe", AT_FDCWD, "linked", 0) < 0);
    fails_to_link("one.txt", "missing/other.txt");
    fails_to_link("one.txt", "one.txt/other.txt");
    fails_to_link("one.txt", "filled/in.txt");
    fails_to_link("one.txt", "/proc/other.txt");
    fails_to_link("one.txt", "/dev/shm/roar-story.txt");
    fails_to_link("folder", "linked");
    without_rights();
    CHECK(link("one.txt", "two.txt") == 0);
    CHECK(rename("one.txt", "two.txt") == 0); /* which does nothing: both are one file */
    CHECK(rename("one.txt", "moved.txt") == 0);
    CHECK(rename("folder", "moved") == 0);
    CHECK(rename("filled", "empty") == 0);
}
