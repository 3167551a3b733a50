/*
 * The symbol directory: which assets there are, under which names, with how many decimals. Written by the supervisor, published
 * as a whole under RCU: a block is filled, then one 32-bit index is stored. Assets keep their number over a reload.
 */
#pragma once

#include "base/config.h"
#include "shm/atomic.h"

struct px_symbol {
    char name[PX_SYMBOL_SIZE]; /* BASE-QUOTE, terminated */
    char alias[PX_ALIASES_MAX][PX_SYMBOL_SIZE];
    uint8_t scale, size_scale, alias_count, source_count;
    uint16_t venue[PX_SOURCES_MAX];
    uint32_t spare;
    int64_t tick;
};

struct px_symbol_block {
    uint32_t count;      /* assets */
    uint32_t generation; /* of the configuration */
    uint32_t buckets;    /* power of two */
    uint32_t spare;
};

struct px_symbol_head {
    _Alignas(PX_FALSE_SHARING) uint32_t current; /* block index, 0 or 1; supervisor, store-release */
};

/* The directory as one process sees it. */
struct px_symbols {
    struct px_symbol_head *head;
    struct px_symbol_block *block; /* two */
    struct px_symbol *symbol;      /* 2 x capacity */
    uint32_t *bucket;              /* 2 x buckets; asset + 1, 0 = empty */
    uint32_t capacity, buckets;
};

/* Power of two with room for every name and alias at half load. */
uint32_t px_symbols_buckets(uint32_t assets);

/* Supervisor: fills the block that is not current and publishes it. */
void px_symbols_publish(struct px_symbols *symbols, const struct px_config *config, uint32_t generation);

/*
 * Readers: valid until their next RCU quiesce or offline. A name or an alias, any case of letters as configured (exact match).
 * PX_ASSET_NONE if there is none.
 */
px_asset_id px_symbols_find(const struct px_symbols *symbols, struct px_text name);

static inline uint32_t px_symbols_count(const struct px_symbols *symbols)
{
    return symbols->block[px_load_acquire(&symbols->head->current)].count;
}

/* asset < px_symbols_count. */
static inline const struct px_symbol *px_symbols_get(const struct px_symbols *symbols, px_asset_id asset)
{
    uint32_t current = px_load_acquire(&symbols->head->current); /* pairs with px_symbols_publish */

    PX_CHECK(asset < symbols->block[current].count);
    return &symbols->symbol[(size_t)current * symbols->capacity + asset];
}
