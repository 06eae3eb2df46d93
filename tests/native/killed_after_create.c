// expect write out.txt
// exit 137
#include "story.h"
int main(void)
{
    CHECK(open("out.txt", O_WRONLY | O_CREAT, 0644) >= 0);
    kill(getpid(), SIGKILL);
}
