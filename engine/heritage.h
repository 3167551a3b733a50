/*
 * Everything that crosses the fork, in one struct. The supervisor fills it, forks, and the worker's main gets it; nothing else of
 * the supervisor is the worker's business. A worker returns from its main to end its process.
 */
#pragma once

#include "base/config.h"
#include "shm/region.h"

#define PX_RCU_SLOT_LIVE 32 /* + worker: the RCU reader slot of a web worker's live thread, besides its role's */

struct px_heritage {
    const struct px_config *config; /* constant for the worker's life */
    struct px_shm *shm;             /* the worker's own mapping, attached after the fork */
    unsigned slot;                  /* in shm->roles, shm->stats, ring yards and RCU readers */
    unsigned worker;                /* 0..n-1 among those of the same role */
    uint32_t incarnation;           /* of this slot, from 1 */
    uint64_t generation;            /* of the data folder: the epoch "k<generation>" */
    int terminate_fd;               /* a signalfd for SIGTERM: readable when the worker shall drain and return */
    int listen_fd;                  /* web: the public socket, shared by all of its workers; the others: -1 */
};

/* The workers. Each returns 0 after a drain, or a negative PX_E_* when it could not start. */
int px_ingest_main(const struct px_heritage *heritage);
int px_evaluator_main(const struct px_heritage *heritage);
int px_keeper_main(const struct px_heritage *heritage);
int px_notify_main(const struct px_heritage *heritage);
int px_web_main(const struct px_heritage *heritage);

static inline struct px_role_slot *px_heritage_role(const struct px_heritage *heritage)
{
    return &heritage->shm->roles[heritage->slot];
}

static inline struct px_stats *px_heritage_stats(const struct px_heritage *heritage)
{
    return &heritage->shm->stats[heritage->slot];
}

/* The worker says that it serves; the supervisor and /readyz wait for it. */
static inline void px_heritage_ready(const struct px_heritage *heritage)
{
    px_store_release(&px_heritage_role(heritage)->state, PX_STATE_READY);
}

/* From the work loop itself, at least every 100 ms, never from a helper thread. */
void px_heritage_beat(const struct px_heritage *heritage);

/* True once SIGTERM has come. Never blocks. */
bool px_heritage_terminating(const struct px_heritage *heritage);
