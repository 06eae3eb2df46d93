/* A file whose absolute path has 4,095 bytes, the most there is, in three ways; then one further down, which has none. */
#include "../story.h"
int main(void)
{
    static char path[8192], name[256];
    CHECK(getcwd(path, sizeof path));
    memset(name, 'd', 200);
    while (strlen(path) + 201 < 4095 - 10) {
        CHECK(mkdir(name, 0755) == 0 && chdir(name) == 0);
        strcat(strcat(path, "/"), name);
    }
    size_t rest = 4095 - strlen(path) - 1;
    memset(name, 0, sizeof name);
    memset(name, 'f', rest);
    strcat(strcat(path, "/"), name);
    CHECK(strlen(path) == 4095);
    put(open(path, O_WRONLY | O_CREAT, 0644));
    take((int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
    put(open(name, O_WRONLY | O_APPEND));
    memset(name, 0, sizeof name);
    memset(name, 'd', 200);
    CHECK(mkdir(name, 0755) == 0 && chdir(name) == 0);
    put(open("deeper.txt", O_WRONLY | O_CREAT, 0644));
    CHECK(unlink("deeper.txt") == 0 && chdir("..") == 0 && rmdir(name) == 0);
}
