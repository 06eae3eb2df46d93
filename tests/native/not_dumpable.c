// expect read in.txt
// expect write out.txt
// seccomp needs root
#include "story.h"
int main(void)
{
    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
    take(open("in.txt", O_RDONLY));
    put(open("out.txt", O_WRONLY | O_CREAT, 0644));
}
