/* A sandbox: after its filter only some calls are allowed, all others kill; it goes on opening files. */
#include "../story.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
int main(int argc, char **argv)
{
    take(open("in.txt", O_RDONLY));
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_openat), ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_close), ALLOW(SYS_exit_group), ALLOW(SYS_unlink),
        ALLOW(SYS_rename),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (argc > 1)
        CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    else
        CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
    take(open("data/in.txt", O_RDONLY));
    put(open("out.txt", O_WRONLY | O_CREAT, 0644));
    CHECK(rename("out.txt", "new.txt") == 0);
    CHECK(write(1, "see http://example.org/x\n", 25) == 25);
    for (int i = 0; i < 20000; i++)
        put(open("many.txt", O_WRONLY | O_CREAT | O_TRUNC, 0644));
}
