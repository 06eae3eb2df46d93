// expect write out.txt
#include "story.h"
int main(void)
{
    put(creat("out.txt", 0644));
}
