// expect read in.txt
// expect read data/in.txt
// expect write out.txt
// expect write data/out.txt
#include "story.h"
int main(void)
{
    char name[4200], here[4096];
    CHECK(getcwd(here, sizeof here));
    take(open("/proc/self/cwd/in.txt", O_RDONLY));
    snprintf(name, sizeof name, "/proc/%d/task/%d/root%s/out.txt", getpid(), getpid(), here);
    put(open(name, O_WRONLY | O_CREAT, 0600));
    int folder = open("data", O_PATH | O_DIRECTORY);
    snprintf(name, sizeof name, "/dev/fd/%d/in.txt", folder);
    take(open(name, O_RDONLY));
    snprintf(name, sizeof name, "/proc/self/fd/%d/../data/out.txt", folder);
    put(open(name, O_WRONLY | O_CREAT, 0600));
}
