/* 256 threads open files at once, with absolute and relative paths, some of them as raw system calls. */
#include "../story.h"
static void *work(void *argument)
{
    char name[64];
    int me = (int)(intptr_t)argument;
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "thread-%d-%d", me, i);
        if (i % 4 == 0)
            put((int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT, 0644));
        else
            put(open(name, O_WRONLY | O_CREAT, 0644));
    }
    return NULL;
}
int main(void)
{
    pthread_t threads[256];
    for (intptr_t i = 0; i < 256; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (int i = 0; i < 256; i++)
        pthread_join(threads[i], NULL);
}
