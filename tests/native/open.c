// expect read in.txt
// expect write out.txt
#include "story.h"
int main(void)
{
    take(open("in.txt", O_RDONLY));
    put(open("out.txt", O_WRONLY | O_CREAT | O_TRUNC, 0644));
    CHECK(open("missing.txt", O_RDONLY) < 0 && errno == ENOENT);
}
