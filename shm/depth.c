#include "shm/depth.h"

#include "shm/region.h"

unsigned px_depth_read(const struct px_shm *shm, px_asset_id asset, unsigned series, bool down, struct px_depth_level *out,
                       unsigned most, bool *morep)
{
    *morep = false;
    PX_CHECK(asset < shm->header->params.assets && series < PX_SERIES);
    const struct px_depth_block *block =
        px_depth_pool_at(&shm->depth, px_link_load(&shm->depth_root[px_depth_root_at(asset, series, down)]));
    if (!block)
        return 0;
    unsigned count = PX_MIN(PX_MIN(block->levels, PX_DEPTH_LEVELS), most);
    memcpy(out, block->level, count * sizeof *out);
    *morep = block->more || count < block->levels;
    return count;
}
