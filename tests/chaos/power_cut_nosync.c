/* The control of power_cut.py: a machine that says that it has synced, and has not. LD_PRELOADed into the engine. */
#include <sys/types.h>

int fsync(int fd);
int fdatasync(int fd);
int sync_file_range(int fd, off_t offset, off_t count, unsigned flags);
int syncfs(int fd);
void sync(void);

int fsync(int fd)
{
    (void)fd;
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

int sync_file_range(int fd, off_t offset, off_t count, unsigned flags)
{
    (void)fd, (void)offset, (void)count, (void)flags;
    return 0;
}

int syncfs(int fd)
{
    (void)fd;
    return 0;
}

void sync(void)
{
}
