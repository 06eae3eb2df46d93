// expect read in.txt
// expect exec cat in.txt
// preload misses all
#include "story.h"
int main(void)
{
    char *arguments[] = {"cat", "in.txt", NULL}, *nothing[] = {NULL};
    execve("/bin/cat", arguments, nothing);
    return 1;
}
