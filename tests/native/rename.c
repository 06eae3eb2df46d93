// expect rename in.txt new.txt
// expect rename data moved
// expect read moved/in.txt
// expect rename old.txt new.txt
#include "story.h"
int main(void)
{
    CHECK(rename("in.txt", "new.txt") == 0);
    CHECK(rename("data", "moved") == 0);
    take(open("moved/in.txt", O_RDONLY));
    CHECK(renameat2(AT_FDCWD, "old.txt", AT_FDCWD, "new.txt", RENAME_EXCHANGE) == 0);
    CHECK(rename("missing", "never") < 0);
}
