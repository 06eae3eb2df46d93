/* Tells its effective user; to be installed set-uid. */
#include "../story.h"
int main(void)
{
    printf("%d\n", (int)geteuid());
    take(open("in.txt", O_RDONLY));
}
