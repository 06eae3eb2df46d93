// expect read-write in.txt
#include "story.h"
int main(void)
{
    int fd = open("in.txt", O_RDWR);
    char *text = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(fd >= 0 && text != MAP_FAILED);
    text[0] = 'X';
}
