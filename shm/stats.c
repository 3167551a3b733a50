#include "shm/stats.h"

#include "shm/roles.h"

const struct px_stat_info px_stat_infos[PX_STATS] = {
#define PX_STAT_ROW(NAME, kind, name, help) {#kind, name, help},
    PX_STAT_TABLE(PX_STAT_ROW)
#undef PX_STAT_ROW
};

const char *px_role_name(enum px_role role)
{
    static const char *const names[] = {
#define PX_ROLE_NAME(NAME, name, slots) #name,
        PX_ROLE_TABLE(PX_ROLE_NAME)
#undef PX_ROLE_NAME
    };

    return (unsigned)role < PX_ROLES ? names[role] : "unknown";
}

const char *px_role_state_name(uint32_t state)
{
    static const char *const names[] = {"unused", "starting", "ready", "draining", "dead", "degraded"};

    return state < PX_COUNT_OF(names) ? names[state] : "unknown";
}
