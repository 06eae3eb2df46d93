// expect read in.txt
// expect exec cat in.txt
#include "story.h"
int main(void)
{
    char *arguments[] = {"cat", "in.txt", NULL};
    syscall(SYS_execve, "/bin/cat", arguments, environ);
    return 1;
}
