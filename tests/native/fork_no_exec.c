// expect read in.txt
// expect write out.txt
// expect write child.txt
#include "story.h"
int main(void)
{
    take(open("in.txt", O_RDONLY));
    pid_t pid = fork();
    if (pid == 0) {
        put(open("child.txt", O_WRONLY | O_CREAT, 0644));
        _exit(0);
    }
    wait_for(pid);
    put(open("out.txt", O_WRONLY | O_CREAT, 0644));
}
