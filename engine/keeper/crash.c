#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/keeper/keeper_private.h"

/* Main thread only. Killed as an operator or the kernel would do it: nothing is flushed, nobody is told. */
void pxi_crash_point(const char *name)
{
    static const char *wanted;
    static size_t wanted_len;
    static long left = -1;

    if (!wanted) {
        wanted = getenv("PX_CRASH_AT");
        wanted = wanted ? wanted : "";
        wanted_len = strcspn(wanted, ":");
        left = wanted[wanted_len] ? strtol(wanted + wanted_len + 1, NULL, 10) : 1;
    }
    if (wanted_len == 0 || strlen(name) != wanted_len || strncmp(name, wanted, wanted_len) != 0)
        return;
    if (--left == 0)
        kill(getpid(), SIGKILL);
}
