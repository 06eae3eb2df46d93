// expect read in.txt
// expect write out.txt
// expect write more.txt
#include "story.h"
int main(void)
{
    char text[64];
    FILE *in = fopen("in.txt", "r");
    CHECK(in && fgets(text, sizeof text, in) && fclose(in) == 0);
    FILE *out = fopen("out.txt", "w");
    CHECK(out && fputs(text, out) >= 0 && fclose(out) == 0);
    FILE *more = fopen("more.txt", "a+e");
    CHECK(more && fputs(text, more) >= 0 && fclose(more) == 0);
    CHECK(!fopen("no/such/folder", "w") && errno == ENOENT);
}
