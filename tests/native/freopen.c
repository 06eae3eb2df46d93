// expect read in.txt
// expect write out.txt
// expect write log.txt
#include "story.h"
int main(void)
{
    CHECK(freopen("in.txt", "r", stdin));
    CHECK(getchar() != EOF);
    CHECK(!freopen("missing.txt", "r", stdin));
    CHECK(freopen("out.txt", "w", stdout));
    CHECK(putchar('x') == 'x');
    CHECK(freopen("log.txt", "a", stdout));
    CHECK(putchar('y') == 'y');
}
