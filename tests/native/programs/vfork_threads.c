/* vfork and exec from 16 threads, while others open files. */
#include "../story.h"
static void *spawn(void *unused)
{
    for (int i = 0; i < 40; i++) {
        pid_t pid = vfork();
        if (pid == 0) {
            execl("/bin/cat", "cat", "data/in.txt", (char *)NULL);
            _exit(1);
        }
        wait_for(pid);
    }
    return unused;
}
static void *opens(void *argument)
{
    char name[32];
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "vfork-%d-%d", (int)(intptr_t)argument, i);
        put(open(name, O_WRONLY | O_CREAT, 0644));
    }
    return NULL;
}
int main(void)
{
    pthread_t threads[20];
    for (intptr_t i = 0; i < 20; i++)
        CHECK(pthread_create(&threads[i], NULL, i < 16 ? spawn : opens, (void *)i) == 0);
    for (int i = 0; i < 20; i++)
        pthread_join(threads[i], NULL);
}
