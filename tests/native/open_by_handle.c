// expect read in.txt
// needs root
// preload misses all
#include "story.h"
int main(void)
{
    struct file_handle *handle = calloc(1, sizeof *handle + MAX_HANDLE_SZ);
    int mount_id, folder = open(".", O_RDONLY | O_DIRECTORY);
    handle->handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(AT_FDCWD, "in.txt", handle, &mount_id, 0) < 0)
        return 77;
    take(open_by_handle_at(folder, handle, O_RDONLY));
}
