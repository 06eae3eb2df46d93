// expect write made-*
// expect write other-*.txt
// expect write folder-*/in-it-*
#include "story.h"
int main(void)
{
    char name[] = "made-XXXXXX", other[] = "other-XXXXXX.txt", folder[] = "folder-XXXXXX", inside[40];
    put(mkstemp(name));
    put(mkostemps(other, 4, O_CLOEXEC));
    CHECK(mkdtemp(folder));
    snprintf(inside, sizeof inside, "%s/in-it-XXXXXX", folder);
    put(mkostemp(inside, O_APPEND));
}
