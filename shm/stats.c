#include "shm/stats.h"

#include "shm/roles.h"

const struct px_stat_info px_stat_infos[PX_STATS] = {
#define PX_STAT_ROW(NAME, kind, name, help) {#kind, name, help},
    PX_STAT_TABLE(PX_STAT_ROW)
#undef PX_STAT_ROW
};

const uint32_t px_time_bounds_us[PX_TIME_BOUNDS] = {10,    15,    20,    30,    50,     70,     100,    150,    200,   300,  500,
                                                    700,   1000,  1500,  2000,  3000,   5000,   7000,   10000,  15000, 20000, 30000,
                                                    50000, 70000, 100000, 150000, 200000, 300000, 500000, 700000, 1000000};

void px_time_observe(struct px_stats *stats, enum px_time_stage stage, enum px_time_class class, int64_t took_ns)
{
    struct px_times *times = &stats->times[stage][class];
    unsigned at = 0;

    while (at < PX_TIME_BOUNDS && took_ns > (int64_t)px_time_bounds_us[at] * 1000)
        at++;
    __atomic_fetch_add(&times->count[at], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&times->sum_ns, (uint64_t)PX_MAX(took_ns, 0), __ATOMIC_RELAXED);
}

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
