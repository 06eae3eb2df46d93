// expect read-write in.txt
// expect write old.txt
// expect write new.txt
#include "story.h"
int main(void)
{
    int fd = open("in.txt", O_RDWR | O_CREAT, 0644);
    put(fd);
    put(open("old.txt", O_WRONLY | O_APPEND));
    put(open("new.txt", O_RDWR | O_CREAT | O_EXCL, 0644));
    CHECK(open("old.txt", O_RDWR | O_CREAT | O_EXCL, 0644) < 0 && errno == EEXIST);
}
