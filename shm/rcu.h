/*
 * Grace periods between processes. liburcu's readers are known only inside their own process; this domain lives in the region,
 * so that a writer in one process can tell when every reader of every other process has let go of what it unlinked.
 *
 * The algorithm is quiescent-state based: a 64-bit epoch that only grows, and one slot a reader that holds the epoch at which
 * the reader was last seen without references, or 0 while it is offline.
 *
 *   online    slot = epoch (exchange: full barrier)          references may be taken
 *   quiesce   slot = epoch                                   references taken before are given up
 *   offline   slot = 0 (release)                             before anything that may block
 *   retire    unlink · e = ++epoch · remember (thing, e)     the writer, thing stays readable
 *   reclaim   m = min over online slots (else epoch)         everything with e <= m may be reused
 *
 * Guarantees
 *   1. What a reader reached while online stays valid until its next quiesce or offline.
 *   2. The epoch never decreases and does not wrap (64 bit).
 *   3. A slot is cleared by its owner, or after its process has been reaped. Never because a heartbeat is late: a process that is
 *      merely slow still holds references. A stuck reader is killed first, reaped, then cleared.
 *   4. Retire takes the epoch after the unlink.
 *   5. Reading costs two stores and no loop. A reader never waits.
 */
#pragma once

#include "base/types.h"
#include "shm/atomic.h"

#define PX_RCU_READERS 64

struct px_rcu_reader {
    _Alignas(PX_FALSE_SHARING) uint64_t seen; /* its thread; the supervisor after the reap. 0 = offline */
    int32_t pid;                              /* supervisor, before the fork; 0 = free */
    uint32_t incarnation;                     /* supervisor */
    uint64_t start_time;                      /* supervisor: of that process, in the kernel's ticks; pids are used again */
};

/* The slots lie where readers may write, the epoch where only the writer of the domain does. */
struct px_rcu_slots {
    struct px_rcu_reader reader[PX_RCU_READERS];
};

struct px_rcu {
    _Alignas(PX_FALSE_SHARING) uint64_t epoch; /* from 1 */
};

/* A domain as one process sees it. */
struct px_rcu_view {
    struct px_rcu *rcu;
    struct px_rcu_slots *slots;
};

void px_rcu_init(struct px_rcu *rcu, struct px_rcu_slots *slots, uint64_t first_epoch);

/*
 * Supervisor: gives a slot to a process about to be forked, with its own pid until the other is known; says who it has become; clears
 * the slot of one that has been reaped.
 */
void px_rcu_assign(struct px_rcu_view view, unsigned slot, int32_t pid, uint32_t incarnation);
void px_rcu_forked(struct px_rcu_view view, unsigned slot, int32_t pid, uint64_t start_time);
void px_rcu_reaped(struct px_rcu_view view, unsigned slot);

/* The reader. Wait-free. */
static inline void px_rcu_online(struct px_rcu_view view, unsigned slot)
{
    px_xchg(&view.slots->reader[slot].seen, px_load_relaxed(&view.rcu->epoch)); /* full barrier: before any reference is taken */
}

static inline void px_rcu_offline(struct px_rcu_view view, unsigned slot)
{
    px_store_release(&view.slots->reader[slot].seen, 0); /* after the last use of any reference */
}

static inline void px_rcu_quiesce(struct px_rcu_view view, unsigned slot)
{
    uint64_t epoch = px_load_relaxed(&view.rcu->epoch);

    if (epoch != px_load_relaxed(&view.slots->reader[slot].seen))
        px_xchg(&view.slots->reader[slot].seen, epoch);
}

/* Does a grace period wait for this reader? For readers whose quiesce costs something, and for the watch over all. */
static inline bool px_rcu_behind(struct px_rcu_view view, unsigned slot)
{
    uint64_t seen = px_load_relaxed(&view.slots->reader[slot].seen);

    return seen != 0 && seen != px_load_relaxed(&view.rcu->epoch);
}

/* The writer, after it has unlinked a thing: the epoch under which to remember it. */
uint64_t px_rcu_retire(struct px_rcu_view view);

/* The writer: things retired at this epoch or before have no reader left. Scans the slots; never blocks. */
uint64_t px_rcu_reclaimable(struct px_rcu_view view);

/* Waits for a grace period, at most timeout_ns. PX_E_TIMEOUT. For the rare writer (configuration), not for a hot loop. */
int px_rcu_synchronize(struct px_rcu_view view, int64_t timeout_ns);
