/* Opens that no path argument tells: by file handle, and by io_uring. */
#ifndef ROAR_RECOVER_H
#define ROAR_RECOVER_H

#include "call.h"
#include "path.h"

/* open_by_handle_at: opens the handle itself and asks the descriptor for its path. Returns 0 or -errno. */
int recover_handle(const struct call *call, struct path *path);

/* The process sets up an io_uring: marks the gap, and looks at its descriptors from now on. */
void recover_watch(const struct call *call);

/* Records what a watched process has open; to be called at its exit. Cheap for all others. */
void recover_descriptors(const struct call *call);

/* The process is about to end. */
void recover_forget(uint32_t group);

/* The same as recover_descriptors at any other call, a hundred times a second at most. */
void recover_now_and_then(const struct call *call);

#endif
