// expect write na\xefve.txt
// expect write spaced\x20name.txt
#include "story.h"
int main(void)
{
    put(open("na\xefve.txt", O_WRONLY | O_CREAT, 0644));
    put(open("./data//../spaced name.txt", O_WRONLY | O_CREAT, 0644));
}
