#include "store/space.h"

#include <sys/statvfs.h>

#define RESERVE_BYTES (UINT64_C(256) << 20)

enum px_space px_space_look(const char *path)
{
    struct statvfs disk;

    if (statvfs(path, &disk) != 0)
        return PX_SPACE_FINE;
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    uint64_t reserve = PX_MAX((uint64_t)disk.f_blocks * disk.f_frsize / 100, RESERVE_BYTES);
    return free_bytes >= reserve ? PX_SPACE_FINE : free_bytes >= reserve / 2 ? PX_SPACE_LOW : PX_SPACE_NONE;
}
