// expect read in.txt
// expect exec cat in.txt
#include "story.h"
int main(void)
{
    int folder = open("/bin", O_PATH | O_DIRECTORY);
    char *arguments[] = {"cat", "in.txt", NULL};
    syscall(SYS_execveat, folder, "cat", arguments, environ, 0);
    return 1;
}
