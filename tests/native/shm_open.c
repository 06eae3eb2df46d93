// expect write /dev/shm/roar-story
// expect unlink /dev/shm/roar-story
// preload misses all
#include "story.h"
int main(void)
{
    int fd = shm_open("/roar-story", O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && shm_unlink("/roar-story") == 0);
}
