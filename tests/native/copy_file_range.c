// expect read in.txt
// expect write out.txt
// expect write sent.txt
#include "story.h"
int main(void)
{
    int in = open("in.txt", O_RDONLY), out = open("out.txt", O_WRONLY | O_CREAT, 0644);
    CHECK(copy_file_range(in, NULL, out, NULL, 6, 0) == 6);
    off_t start = 0;
    int sent = open("sent.txt", O_WRONLY | O_CREAT, 0644);
    CHECK(sendfile(sent, in, &start, 6) == 6);
}
