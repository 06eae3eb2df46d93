// expect link * out.txt
#include "story.h"
int main(void)
{
    char name[64];
    int fd = open(".", O_TMPFILE | O_WRONLY, 0644);
    CHECK(fd >= 0 && write(fd, "made\n", 5) == 5);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    CHECK(linkat(AT_FDCWD, name, AT_FDCWD, "out.txt", AT_SYMLINK_FOLLOW) == 0);
}
