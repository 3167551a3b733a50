#include "shm/symbols.h"

static uint64_t name_hash(struct px_text name)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a, Fowler/Noll/Vo */

    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.at[i]) * 1099511628211u;
    return hash ^ hash >> 32;
}

uint32_t px_symbols_buckets(uint32_t assets)
{
    uint64_t buckets = 64;

    while (buckets < UINT64_C(2) * assets * (1 + PX_ALIASES_MAX) && buckets < UINT32_MAX / 2) /* ends for any number */
        buckets *= 2;
    return (uint32_t)buckets;
}

static void insert(struct px_symbols *symbols, uint32_t block, struct px_text name, px_asset_id asset)
{
    uint32_t *bucket = symbols->bucket + (size_t)block * symbols->buckets;
    uint32_t at = (uint32_t)name_hash(name) & (symbols->buckets - 1);

    while (bucket[at] != 0)
        at = (at + 1) & (symbols->buckets - 1);
    bucket[at] = asset + 1;
}

static void fill(struct px_symbol *symbol, const struct px_config_asset *asset)
{
    memset(symbol, 0, sizeof(*symbol));
    memcpy(symbol->name, asset->symbol, PX_SYMBOL_SIZE);
    memcpy(symbol->alias, asset->aliases, sizeof(symbol->alias));
    symbol->scale = asset->scale;
    symbol->size_scale = asset->size_scale;
    symbol->alias_count = asset->alias_count;
    symbol->source_count = asset->source_count;
    symbol->tick = asset->tick;
    for (unsigned i = 0; i < asset->source_count; i++)
        symbol->venue[i] = asset->sources[i].venue;
}

void px_symbols_publish(struct px_symbols *symbols, const struct px_config *config, uint32_t generation)
{
    uint32_t next = symbols->head->current ^ 1;
    struct px_symbol *list = symbols->symbol + (size_t)next * symbols->capacity;

    PX_CHECK(config->asset_count <= symbols->capacity);
    memset(symbols->bucket + (size_t)next * symbols->buckets, 0, symbols->buckets * sizeof(*symbols->bucket));
    for (px_asset_id i = 0; i < config->asset_count; i++) {
        fill(&list[i], &config->assets[i]);
        insert(symbols, next, px_text_of(list[i].name), i);
        for (unsigned a = 0; a < list[i].alias_count; a++)
            insert(symbols, next, px_text_of(list[i].alias[a]), i);
    }
    symbols->block[next] = (struct px_symbol_block){config->asset_count, generation, symbols->buckets, 0};
    px_store_release(&symbols->head->current, next); /* pairs with px_symbols_get */
}

static bool has_name(const struct px_symbol *symbol, struct px_text name)
{
    if (px_text_is(name, symbol->name))
        return true;
    for (unsigned i = 0; i < symbol->alias_count; i++)
        if (px_text_is(name, symbol->alias[i]))
            return true;
    return false;
}

px_asset_id px_symbols_find(const struct px_symbols *symbols, struct px_text name)
{
    uint32_t current = px_load_acquire(&symbols->head->current);
    const uint32_t *bucket = symbols->bucket + (size_t)current * symbols->buckets;
    uint32_t at = (uint32_t)name_hash(name) & (symbols->buckets - 1);

    for (; bucket[at] != 0; at = (at + 1) & (symbols->buckets - 1))
        if (has_name(&symbols->symbol[(size_t)current * symbols->capacity + bucket[at] - 1], name))
            return bucket[at] - 1;
    return PX_ASSET_NONE;
}
