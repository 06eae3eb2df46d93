// expect read in.txt
// expect write out.txt
// preload misses all
#include "story.h"
int main(void)
{
    CHECK(freopen("in.txt", "r", stdin));
    CHECK(getchar() != EOF);
    CHECK(freopen("out.txt", "w", stdout));
    CHECK(putchar('x') == 'x');
}
