// expect read in.txt
// expect exec cat in.txt
#include "story.h"
int main(void)
{
    int cat = open("/bin/cat", O_RDONLY), copy = memfd_create("copy", MFD_CLOEXEC);
    struct stat status;
    CHECK(fstat(cat, &status) == 0 && sendfile(copy, cat, NULL, (size_t)status.st_size) == status.st_size);
    char *arguments[] = {"cat", "in.txt", NULL};
    fexecve(copy, arguments, environ);
    return 1;
}
