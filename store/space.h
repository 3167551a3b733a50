/* How much room the disk under a folder has, and where to stop: RocksDB aborts on a full disk, so the store stops
 * before it is full. */
#pragma once

#include "base/types.h"

enum px_space {
    PX_SPACE_FINE,
    PX_SPACE_LOW,  /* under 1 % or 256 MiB, whichever is more: no new alerts */
    PX_SPACE_NONE, /* under half of that: no ticks either; fires and deletes go on */
};

/* One system call. What cannot be found out counts as fine. */
enum px_space px_space_look(const char *path);
