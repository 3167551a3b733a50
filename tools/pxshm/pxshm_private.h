/* What the viewer sees in one moment, and the two ways to show it. */
#pragma once

#include "shm/region.h"

#define PXI_ROLE_NAME_SIZE 24
#define PXI_HOLD_LOOK_NS   (50 * INT64_C(1000000))

struct pxi_role_row {
    char name[PXI_ROLE_NAME_SIZE]; /* "keeper", "web-2"; "" for a slot that was never used */
    struct px_role_slot slot;
    bool alive; /* the process exists */
    int64_t beat_age_ns, age_ns;
    char last_words[PX_LAST_WORDS_SIZE];
};

struct pxi_ring_row {
    const char *name;
    uint64_t intent, tail, capacity;
    bool sleepers;
    uint64_t position[PX_ROLE_SLOTS]; /* 0: no consumer */
};

struct pxi_pool_row { /* as its owner has last written */
    uint32_t nodes, node_bytes, owner;
    uint64_t free, live, retired, reclaimed;
};

struct pxi_queue_row {
    const char *name, *from, *to;
    uint64_t head, tail, capacity;
    bool sleeper;
};

struct pxi_reader_row {
    int32_t pid;
    uint32_t incarnation;
    uint64_t seen;       /* 0: offline */
    bool alive, holding; /* holding: the same old epoch over two looks, PXI_HOLD_LOOK_NS apart */
};

struct pxi_snapshot {
    struct px_shm_header header;
    bool supervisor_alive;
    uint32_t assets, directory_generation;
    struct pxi_role_row role[PX_ROLE_SLOTS];
    struct pxi_ring_row ring[2];
    struct pxi_queue_row queue[2 * PX_EVALUATORS_MAX];
    unsigned queues;
    struct pxi_pool_row pool; /* of depth blocks */
    uint64_t epoch, reclaimable;
    struct pxi_reader_row reader[PX_RCU_READERS];
    uint64_t stat[PX_STATS]; /* over all slots */
    uint64_t longest_hold;   /* epochs */
};

/*
 * Opens the region that process `pid` holds, or, with 0, that of the only engine that runs here. 0, or -1 after a
 * message on standard error. `data` and `yard` instead name the two files, such as /proc/PID/fd/N. All of the mapping
 * is read-only.
 */
int pxi_open(int pid, const char *data, const char *yard, struct px_shm *shm);

/* Takes PXI_HOLD_LOOK_NS. */
void pxi_look(const struct px_shm *shm, struct pxi_snapshot *snapshot);

/* Events that the consumer has still to read; more than the ring holds means that it has been overtaken. */
static inline uint64_t pxi_lag(const struct pxi_ring_row *ring, unsigned consumer)
{
    uint64_t position = ring->position[consumer];

    return ring->tail > position ? ring->tail - position : 0;
}

void pxi_show_text(const struct pxi_snapshot *snapshot, bool zeroes);
void pxi_show_json(const struct pxi_snapshot *snapshot);
