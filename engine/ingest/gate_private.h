/*
 * The soft gate: when the keeper has fallen three quarters of the tick ring behind, reading sockets pauses, and TCP
 * holds the venues back for us. At most one second an episode: a keeper that needs longer loses ticks of history, and
 * live prices go on. Private to engine/ingest.
 */
#pragma once

#include "base/clock.h"
#include "shm/region.h"

struct pxi_gate {
    const struct px_shm *shm;
    bool episode;  /* from three quarters full until half full */
    px_mono since; /* the episode's begin */
};

/* Whether sockets should rest now; *beganp: an episode has just begun. Never blocks. */
bool pxi_gate_closed(struct pxi_gate *gate, px_mono now, bool *beganp);
