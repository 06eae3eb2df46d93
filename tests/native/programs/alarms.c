/* SIGALRM at 10 kHz; its handler opens files too, and so does the program. */
#include "../story.h"
static volatile sig_atomic_t ticks;
static void tick(int number)
{
    (void)number;
    int kept = errno;
    if (++ticks % 4 == 0) {
        int fd = open("data/in.txt", O_RDONLY);
        if (fd >= 0)
            close(fd);
    }
    errno = kept;
}
int main(void)
{
    struct itimerval every = {{0, 100}, {0, 100}};
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    char name[32];
    sigaction(SIGALRM, &action, NULL);
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "alarm-%d", i % 100);
        int fd = i % 2 ? open(name, O_WRONLY | O_CREAT, 0644)
                       : (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT, 0644);
        CHECK(fd >= 0 && close(fd) == 0);
    }
    CHECK(ticks > 10);
}
