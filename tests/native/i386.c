// expect read in.txt
// expect write out.txt
// expect empty *
// build -m32 -nostdlib -static -fno-stack-protector -fno-pic
// preload misses all
static int call(int number, const void *a, int b, int c)
{
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return result;
}
void _start(void)
{
    int in = call(5 /* open */, "in.txt", 0, 0);
    int out = call(5, "out.txt", 0101, 0644);
    int emptied = call(194 /* ftruncate64 */, (const void *)out, 0, 0);
    call(252 /* exit_group */, (const void *)(in < 0 || out < 0 || emptied < 0), 0, 0);
}
