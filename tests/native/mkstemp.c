// expect write made-*
// preload misses all
#include "story.h"
int main(void)
{
    char name[] = "made-XXXXXX";
    put(mkstemp(name));
}
