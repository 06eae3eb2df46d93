/* Closes every descriptor and maps over nothing; prints what it had open before. */
#include "../story.h"
int main(void)
{
    for (int fd = 3; fd < 4096; fd++)
        if (close(fd) == 0)
            dprintf(1, "had %d\n", fd);
    put(open("out.txt", O_WRONLY | O_CREAT, 0644));
    take(open("in.txt", O_RDONLY));
}
