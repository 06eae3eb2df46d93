// expect read data/in.txt
// expect write data/out.txt
// expect rename data/out.txt data/new.txt
// expect link data/new.txt data/other.txt
// expect symlink other.txt data/link
// expect unlink data/other.txt
#include "story.h"
int main(void)
{
    int folder = open("data", O_RDONLY | O_DIRECTORY);
    take(openat(folder, "in.txt", O_RDONLY));
    put(openat(folder, "out.txt", O_WRONLY | O_CREAT, 0644));
    CHECK(renameat(folder, "out.txt", folder, "new.txt") == 0);
    CHECK(linkat(folder, "new.txt", AT_FDCWD, "data/other.txt", 0) == 0);
    CHECK(symlinkat("other.txt", folder, "link") == 0);
    CHECK(unlinkat(folder, "other.txt", 0) == 0);
}
