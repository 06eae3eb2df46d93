/* COUNT short-lived children, eight at a time, each making a file. */
#include "../story.h"
int main(int argc, char **argv)
{
    char name[64];
    int running = 0, status;
    CHECK(argc == 2);
    for (int i = 0; i < atoi(argv[1]); i++) {
        if (running == 8) {
            CHECK(wait(&status) > 0 && status == 0);
            running--;
        }
        if (fork() == 0) {
            snprintf(name, sizeof name, "child-%d", i);
            put(open(name, O_WRONLY | O_CREAT, 0644));
            _exit(0);
        }
        running++;
    }
    while (wait(&status) > 0)
        CHECK(status == 0);
}
