/* Seccomp's strict mode: read, write and exit only. */
#include "../story.h"
#include <linux/seccomp.h>
int main(void)
{
    take(open("in.txt", O_RDONLY));
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    for (int i = 0; i < 200; i++)
        write(1, "see http://example.org/x\n", 25);
    syscall(SYS_exit, 0);
}
