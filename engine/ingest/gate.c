#include "engine/ingest/gate_private.h"

#define CLOSED_MAX_NS PX_NS_PER_S

static bool keeper_alive(const struct px_shm *shm)
{
    return px_load_acquire(&shm->roles[PX_ROLE_SLOT_KEEPER].state) == PX_STATE_READY;
}

static uint64_t keeper_lag(const struct px_shm *shm)
{
    return px_ring_tail(shm->ticks) - px_load_acquire(&shm->ticks_yard->cursor[PX_ROLE_SLOT_KEEPER].position);
}

bool pxi_gate_closed(struct pxi_gate *gate, px_mono now, bool *beganp)
{
    uint64_t capacity = gate->shm->ticks->capacity, lag = keeper_lag(gate->shm);

    *beganp = false;
    if (!keeper_alive(gate->shm) || lag < capacity / 2) {
        gate->episode = false;
        return false;
    }
    if (!gate->episode && lag > capacity / 4 * 3) {
        gate->episode = *beganp = true;
        gate->since = now;
    }
    return gate->episode && px_mono_since(now, gate->since) < CLOSED_MAX_NS;
}
