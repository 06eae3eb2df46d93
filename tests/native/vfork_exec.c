// expect read in.txt
// expect read data/in.txt
// expect exec cat in.txt
#include "story.h"
int main(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        chdir("data"); /* the child's own folder, in its parent's memory */
        execlp("cat", "cat", "in.txt", (char *)NULL);
        _exit(1);
    }
    wait_for(pid);
    take(open("in.txt", O_RDONLY));
}
