/* A path in memory that another thread fills in when it is looked at (userfaultfd), for which it opens a file first. */
#include "../story.h"
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
static int faults;
static char *page;
static void *fill(void *unused)
{
    static char content[4096] __attribute__((aligned(4096))) = "out.txt";
    for (;;) {
        struct uffd_msg message;
        CHECK(read(faults, &message, sizeof message) == sizeof message);
        take((int)syscall(SYS_openat, AT_FDCWD, "in.txt", O_RDONLY));
        struct uffdio_copy copy = {.dst = (uintptr_t)page, .src = (uintptr_t)content, .len = 4096};
        CHECK(ioctl(faults, UFFDIO_COPY, &copy) == 0 || errno == EEXIST);
    }
    return unused;
}
int main(void)
{
    pthread_t thread;
    faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (faults < 0)
        return 77; /* switched off here */
    struct uffdio_api api = {.api = UFFD_API};
    CHECK(ioctl(faults, UFFDIO_API, &api) == 0);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {.range = {(uintptr_t)page, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    CHECK(ioctl(faults, UFFDIO_REGISTER, &range) == 0);
    CHECK(pthread_create(&thread, NULL, fill, NULL) == 0);
    put((int)syscall(SYS_openat, AT_FDCWD, page, O_WRONLY | O_CREAT, 0644));
    usleep(700000);
    put((int)syscall(SYS_openat, AT_FDCWD, "after.txt", O_WRONLY | O_CREAT, 0644));
}
