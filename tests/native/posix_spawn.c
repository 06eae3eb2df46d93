// expect read in.txt
// expect write out.txt
// preload misses write out.txt
#include "story.h"
int main(void)
{
    pid_t pid;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "out.txt", O_WRONLY | O_CREAT, 0644);
    char *arguments[] = {"cat", "in.txt", NULL};
    CHECK(posix_spawnp(&pid, "cat", &actions, NULL, arguments, environ) == 0);
    wait_for(pid);
}
