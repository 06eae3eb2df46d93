/* roar-folders: many files at once, folder by folder, where a loop in Python would take ten times as long. */
#include "folders.h"

#include <string.h>

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return read_log_folders(argv[2], stdout);
    if (argc == 3 && strcmp(argv[1], "stat") == 0)
        return stat_folder(argv[2], stdin, stdout);
    fputs("usage: roar-folders read LOG | roar-folders stat FOLDER < NAMES\n", stderr);
    return 2;
}
