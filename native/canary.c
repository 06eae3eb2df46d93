/* Opens the path it is given, as any program would: roar-tracer looks whether the preload library saw it. Started
 * without libc's start-up code, whose symbol version would tie this program to a libc as new as the build's. */
#include <fcntl.h>
#include <unistd.h>

void canary(const long *stack);

/* stack: the number of arguments, then the arguments. */
void canary(const long *stack)
{
    const char *const *arguments = (const char *const *)(const void *)(stack + 1);
    _exit(stack[0] == 2 && open(arguments[1], O_RDONLY) >= 0);
}

__asm__(".globl _start\n"
        "_start:\n"
        "\txor %ebp, %ebp\n"
        "\tmov %rsp, %rdi\n"
        "\tand $-16, %rsp\n"
        "\tcall canary\n");
