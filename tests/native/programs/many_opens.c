/* PROCESSES processes create and read COUNT files each, by turns in the library's way and as raw system calls. Exit status 7. */
#include "../story.h"
int main(int argc, char **argv)
{
    int processes = atoi(argv[1]), count = atoi(argv[2]);
    char name[64], text[8];
    CHECK(argc == 3);
    for (int p = 0; p < processes; p++) {
        if (fork() != 0)
            continue;
        for (int i = 0; i < count; i++) {
            snprintf(name, sizeof name, "p%d-%d", p, i % 500);
            int fd = i % 2 ? open(name, O_RDWR | O_CREAT | O_TRUNC, 0644)
                           : (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CREAT | O_TRUNC, 0644);
            CHECK(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
            fd = open("in.txt", O_RDONLY);
            CHECK(fd >= 0 && read(fd, text, 5) == 5 && close(fd) == 0);
        }
        snprintf(name, sizeof name, "done-%d", p);
        put(open(name, O_WRONLY | O_CREAT, 0644));
        _exit(0);
    }
    int status, bad = 0;
    while (wait(&status) > 0)
        bad += status != 0;
    return bad ? 98 : 7;
}
