#include "shm/rcu.h"

#include <time.h>

#include "base/clock.h"
#include "base/error.h"

void px_rcu_init(struct px_rcu *rcu, struct px_rcu_slots *slots, uint64_t first_epoch)
{
    PX_CHECK(first_epoch > 0); /* 0 means offline */
    memset(slots, 0, sizeof(*slots));
    rcu->epoch = first_epoch;
}

void px_rcu_assign(struct px_rcu_view view, unsigned slot, int32_t pid, uint32_t incarnation)
{
    struct px_rcu_reader *reader = &view.slots->reader[slot];

    PX_CHECK(slot < PX_RCU_READERS && px_load_relaxed(&reader->seen) == 0);
    px_store_relaxed(&reader->incarnation, incarnation);
    px_store_release(&reader->pid, pid);
}

void px_rcu_forked(struct px_rcu_view view, unsigned slot, int32_t pid, uint64_t start_time)
{
    px_store_relaxed(&view.slots->reader[slot].start_time, start_time);
    px_store_release(&view.slots->reader[slot].pid, pid);
}

void px_rcu_reaped(struct px_rcu_view view, unsigned slot)
{
    struct px_rcu_reader *reader = &view.slots->reader[slot];

    px_store_release(&reader->seen, 0);
    px_store_relaxed(&reader->start_time, 0);
    px_store_release(&reader->pid, 0);
}

uint64_t px_rcu_retire(struct px_rcu_view view)
{
    return px_add_return(&view.rcu->epoch, 1); /* full barrier: the unlink comes before the new epoch */
}

uint64_t px_rcu_reclaimable(struct px_rcu_view view)
{
    uint64_t oldest = px_load_relaxed(&view.rcu->epoch);

    px_smp_mb(); /* pairs with the exchange in px_rcu_online */
    for (unsigned i = 0; i < PX_RCU_READERS; i++) {
        uint64_t seen = px_load_relaxed(&view.slots->reader[i].seen);

        if (seen != 0 && seen < oldest)
            oldest = seen;
    }
    px_smp_mb(); /* nothing is reused before the scan is complete */
    return oldest;
}

int px_rcu_synchronize(struct px_rcu_view view, int64_t timeout_ns)
{
    uint64_t epoch = px_rcu_retire(view);
    int64_t until = px_mono_now().ns + timeout_ns;
    const struct timespec pause = {0, 100 * PX_NS_PER_US};

    while (px_rcu_reclaimable(view) < epoch) {
        if (px_mono_now().ns > until)
            return PX_E_TIMEOUT;
        nanosleep(&pause, NULL);
    }
    return 0;
}
