/* Asks whether there is io_uring, as some libraries do, without making a ring. */
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
    return syscall(SYS_io_uring_setup, 0, (void *)0) == -1 ? 0 : 1;
}
