/* Leaves a daemon behind that opens files for SECONDS seconds, then makes daemon-done (or daemon-failed). */
#include "../story.h"
int main(int argc, char **argv)
{
    CHECK(argc == 2);
    time_t end = time(NULL) + atoi(argv[1]);
    if (fork() != 0)
        return 0;
    setsid();
    if (fork() != 0)
        _exit(0);
    int failed = 0;
    for (int i = 0; time(NULL) < end; i++) {
        int fd = i % 2 ? open("in.txt", O_RDONLY) : (int)syscall(SYS_open, "in.txt", O_RDONLY);
        failed += fd < 0;
        close(fd);
        if (i % 500 == 0) {
            pid_t pid = fork();
            if (pid == 0) {
                execl("/bin/cat", "cat", "data/in.txt", (char *)NULL);
                _exit(1);
            }
            int status;
            failed += waitpid(pid, &status, 0) != pid || status != 0;
            usleep(1000);
        }
    }
    creat(failed ? "daemon-failed" : "daemon-done", 0644);
}
