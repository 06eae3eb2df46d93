/* Opens the path it is given, as any program would: roar-tracer looks whether the preload library saw it. */
#include <fcntl.h>

int main(int argc, char **argv)
{
    return argc == 2 && open(argv[1], O_RDONLY) >= 0;
}
