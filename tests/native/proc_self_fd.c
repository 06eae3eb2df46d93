// expect read in.txt
// expect read data/in.txt
#include "story.h"
int main(void)
{
    char name[64];
    int fd = open("in.txt", O_PATH);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    take(open(name, O_RDONLY));
    CHECK(dup2(open("data/in.txt", O_PATH), 0) == 0);
    take(open("/dev/stdin", O_RDONLY));
}
