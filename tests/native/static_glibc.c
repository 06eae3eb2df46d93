// expect read in.txt
// expect write out.txt
// build -static
// preload misses all
#include "story.h"
int main(void)
{
    take(open("in.txt", O_RDONLY));
    put(open("out.txt", O_WRONLY | O_CREAT, 0644));
}
