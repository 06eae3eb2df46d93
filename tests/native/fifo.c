// preload misses mknod pipe
// expect mknod pipe
// expect write pipe
// expect read pipe
#include "story.h"
int main(void)
{
    CHECK(mkfifo("pipe", 0644) == 0);
    pid_t writer = fork();
    if (writer == 0) {
        put(open("pipe", O_WRONLY));
        _exit(0);
    }
    take(open("pipe", O_RDONLY));
    wait_for(writer);
}
