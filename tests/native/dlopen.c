// expect read */libm.so.6
// build -ldl
// preload misses all
#include "story.h"
int main(void)
{
    CHECK(dlopen("libm.so.6", RTLD_NOW));
}
