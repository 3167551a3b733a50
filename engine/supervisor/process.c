/* Processes that may not be our children: pids are used again, so a pid alone says nothing. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/supervisor/supervisor_private.h"

#define FIELDS_TO_START 20 /* from the state, field 3 of proc(5)'s stat, to starttime, field 22 */

uint64_t pxi_start_time(pid_t pid)
{
    char path[40], text[512];
    const char *at;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    at = strrchr(text, ')'); /* the name before it may hold anything */
    for (unsigned field = 0; at != NULL && field < FIELDS_TO_START; field++)
        at = strchr(at + 1, ' ');
    return at == NULL ? 0 : strtoull(at, NULL, 10);
}

bool pxi_process_ended(pid_t pid, uint64_t start_time, int timeout_ms)
{
    struct pollfd fd = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    bool ended;

    if (fd.fd < 0) /* none of this pid */
        return true;
    ended = pxi_start_time(pid) != start_time || poll(&fd, 1, timeout_ms) > 0;
    close(fd.fd);
    return ended;
}
