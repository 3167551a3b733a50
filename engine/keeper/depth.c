/* What waits where, out of the book's windows into blocks that everybody may read (shm/depth.h). A few times a second, for what has changed. */
#include <stdlib.h>

#include "base/error.h"
#include "engine/keeper/keeper_private.h"

#define PUBLISH_NS (200 * PX_NS_PER_MS)
#define PUBLISH_MAX 512 /* series at once */

int pxi_depth_init(struct pxi_keeper *keeper)
{
    struct pxi_depth *depth = &keeper->depth;
    size_t series = (size_t)keeper->history.assets * PX_SERIES;

    depth->dirty_size = (uint32_t)series;
    depth->dirty = calloc(series + 1, sizeof *depth->dirty);
    depth->queued = calloc(series + 1, sizeof *depth->queued);
    if (!depth->dirty || !depth->queued)
        return PX_E_MEMORY;
    for (size_t i = 0; i < 2 * series; i++) /* a predecessor's windows were its own */
        px_link_store(&keeper->shm->depth_root[i], 0);
    int error = px_pool_own(&depth->pool, keeper->shm->depth, keeper->shm->domain, keeper->heritage->incarnation, false);
    if (error)
        return error;
    px_pool_owned(&depth->pool);
    depth->owned = true;
    return 0;
}

void pxi_depth_fini(struct pxi_keeper *keeper)
{
    struct pxi_depth *depth = &keeper->depth;

    if (depth->owned)
        px_pool_disown(&depth->pool);
    free(depth->dirty);
    free(depth->queued);
}

void pxi_depth_touch(struct pxi_keeper *keeper, px_asset_id asset, unsigned series)
{
    struct pxi_depth *depth = &keeper->depth;
    uint32_t at = asset * PX_SERIES + series;

    if (depth->queued[at])
        return;
    depth->queued[at] = true;
    depth->dirty[depth->dirty_count++] = at;
}

/* False: all blocks are taken, or wait for their grace period; what stood there stands on, and it is tried again. */
static bool publish(struct pxi_keeper *keeper, px_asset_id asset, unsigned series, bool down)
{
    struct pxi_depth *depth = &keeper->depth;
    uint32_t *root = &keeper->shm->depth_root[px_depth_root_at(asset, series, down)], index = 0, old = *root;
    struct px_depth_level level[PX_DEPTH_LEVELS];
    bool more;
    unsigned count = px_book_depth(keeper->judge.book, asset, series, down, level, PX_DEPTH_LEVELS, &more);

    if (count > 0) {
        struct px_depth_block *block = px_depth_pool_alloc(&depth->pool, &index);

        if (!block)
            return false;
        *block = (struct px_depth_block){.levels = count, .more = more};
        memcpy(block->level, level, count * sizeof *level);
    }
    px_link_store(root, index);
    if (old != 0)
        px_pool_retire(&depth->pool, old);
    return true;
}

int pxi_depth_turn(struct pxi_keeper *keeper)
{
    struct pxi_depth *depth = &keeper->depth;
    px_mono now = px_mono_now();

    if (depth->dirty_count == 0 || px_mono_since(now, depth->published) < PUBLISH_NS)
        return 0;
    px_pool_reclaim(&depth->pool);
    for (unsigned i = 0; i < PUBLISH_MAX && depth->dirty_count > 0; i++) {
        uint32_t at = depth->dirty[depth->dirty_count - 1];

        if (!publish(keeper, at / PX_SERIES, at % PX_SERIES, false) || !publish(keeper, at / PX_SERIES, at % PX_SERIES, true))
            break;
        depth->queued[at] = false;
        depth->dirty_count--;
    }
    depth->published = now;
    return 0;
}
