// expect write made.txt
// expect mkdir folder
// build -static
// preload misses all
#include "story.h"
static void fails_below(const char *folder)
{
    char name[64];
    snprintf(name, sizeof name, "%s/none.txt", folder);
    CHECK(open(name, O_WRONLY | O_CREAT, 0644) < 0);
    CHECK(open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644) < 0);
    CHECK(mknod(name, S_IFREG | 0644, 0) < 0);
    CHECK(mkdir(name, 0755) < 0);
    CHECK(symlink("made.txt", name) < 0);
}
int main(void)
{
    put(open("made.txt", O_WRONLY | O_CREAT, 0644));
    CHECK(mkdir("folder", 0755) == 0 && symlink("../made.txt", "folder/link") == 0);
    fails_below("missing");
    fails_below("made.txt");
    CHECK(chmod("folder", 0555) == 0);
    if (geteuid() != 0) {
        fails_below("folder");
        CHECK(unlink("folder/link") < 0);
    }
    put(open("folder/link", O_WRONLY | O_CREAT | O_TRUNC, 0644)); /* leads to where a file can be made */
    CHECK(unlink("made.txt") == 0);
    put(open("folder/link", O_WRONLY | O_CREAT, 0644));
    CHECK(chmod("folder", 0755) == 0);
}
