// expect read data/in.txt
// expect write out.txt
#include "story.h"
int main(void)
{
    CHECK(access("in.txt", R_OK) == 0);
    CHECK(chdir("data") == 0);
    take(open("in.txt", O_RDONLY));
    CHECK(chdir("..") == 0);
    put(open("out.txt", O_WRONLY | O_CREAT, 0644));
}
