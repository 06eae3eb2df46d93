// expect read in.txt
// expect write out.txt
// expect write more.txt
// compiler musl-gcc
#include "story.h"
int main(void)
{
    take(open("in.txt", O_RDONLY));
    put(open("out.txt", O_WRONLY | O_CREAT, 0644));
    FILE *more = fopen("more.txt", "w");
    CHECK(more && fputs("x", more) >= 0 && fclose(more) == 0);
}
