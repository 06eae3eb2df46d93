// expect read in.txt
// expect write out.txt
#include "story.h"
int main(void)
{
    CHECK(syscall(SYS_close_range, 3u, ~0u, 0) == 0);
    take(open("in.txt", O_RDONLY));
    put(open("out.txt", O_WRONLY | O_CREAT, 0644));
}
