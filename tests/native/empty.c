// expect write in.txt
// expect empty *
// expect truncate old.txt
#include "story.h"
int main(void)
{
    int fd = open("in.txt", O_WRONLY | O_CREAT, 0644);
    CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
    put(fd);
    CHECK(truncate("old.txt", 0) == 0);
    CHECK(ftruncate(-1, 0) < 0 && errno == EBADF);
}
