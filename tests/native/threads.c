// expect write thread-0
// expect write thread-7
// expect write thread-31
// build -pthread
#include "story.h"
static void *work(void *argument)
{
    char name[32];
    snprintf(name, sizeof name, "thread-%d", (int)(intptr_t)argument);
    put(open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    return NULL;
}
int main(void)
{
    pthread_t threads[32];
    for (intptr_t i = 0; i < 32; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (int i = 0; i < 32; i++)
        pthread_join(threads[i], NULL);
}
