// expect link in.txt hard.txt
// expect symlink in.txt soft.txt
// expect unlink old.txt
// expect truncate in.txt
// expect mkdir folder
// expect rmdir folder
// expect mknod node
// preload misses mknod node
#include "story.h"
int main(void)
{
    CHECK(link("in.txt", "hard.txt") == 0);
    CHECK(symlink("in.txt", "soft.txt") == 0);
    CHECK(unlink("old.txt") == 0);
    CHECK(truncate("in.txt", 2) == 0);
    CHECK(mkdir("folder", 0755) == 0);
    CHECK(rmdir("folder") == 0);
    CHECK(mknod("node", S_IFREG | 0644, 0) == 0);
    CHECK(unlink("missing") < 0 && errno == ENOENT);
}
