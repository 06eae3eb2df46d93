// expect long
#include "story.h"
/* A path of 4,095 bytes, relative to a folder that makes it longer still. */
int main(void)
{
    static char path[4096];
    size_t length = 0;
    while (length + 2 < 4096 - 12) {
        memcpy(path + length, "./", 2);
        length += 2;
    }
    snprintf(path + length, sizeof path - length, "%0*d", (int)(4095 - length), 7);
    CHECK(strlen(path) == 4095);
    put(open(path, O_WRONLY | O_CREAT, 0644));
}
