/*
 * How many alerts wait at which distance: the nearest levels of every list of the windowed index, in blocks that the keeper makes and everybody reads.
 *
 *      root[asset][series][down] ──► block: levels, nearest first, and how many wait at each
 *
 * A block never changes: the keeper fills another one, links it, retires the old one (shm/pool.h). Readers stay inside a section of
 * shm/rcu. Root 0: nothing waits, or there was no room for a block. Blocks show what is durable, at most a few hundred ms old.
 *
 * Death of the keeper: before the link the new block belongs to nobody, and its successor retires it; after it the old one likewise.
 */
#pragma once

#include "shm/levels.h"
#include "shm/pool.h"

#define PX_DEPTH_LEVELS 31

struct px_depth_level {
    int64_t level;  /* at the series' scale */
    uint64_t count; /* alerts that wait for it */
};

struct px_depth_block {
    uint32_t levels; /* in use */
    uint32_t more;   /* 1: further levels wait beyond the last one */
    uint64_t spare;
    struct px_depth_level level[PX_DEPTH_LEVELS];
};
_Static_assert(sizeof(struct px_depth_block) == 512, "a depth block");

PX_POOL_TYPE(px_depth_pool, struct px_depth_block);

/* Two for the last price, two for whatever else is popular, and some that wait for their grace period. */
static inline uint32_t px_depth_blocks(uint32_t assets)
{
    return 4 * assets + 256;
}

static inline size_t px_depth_root_at(px_asset_id asset, unsigned series, bool down)
{
    return ((size_t)asset * PX_SERIES + series) * 2 + down;
}

struct px_shm;

/*
 * Inside a section: copies up to `most` levels of the list, nearest first; returns how many. *morep: there are further ones. Never blocks; any
 * process.
 */
unsigned px_depth_read(const struct px_shm *shm, px_asset_id asset, unsigned series, bool down, struct px_depth_level *out,
                       unsigned most, bool *morep);
