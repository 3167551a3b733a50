#include "engine/ingest/filter_private.h"

#include <stdlib.h>

struct source_state {
    uint64_t last_id;  /* highest seen; 0 none */
    uint64_t first_id; /* of this connection; 0 none */
    uint64_t run_id;   /* last of the run of rising ids below last_id */
    uint32_t run;      /* its length */
    bool gap;          /* nothing accepted since the connection was lost */
};

struct asset_state {
    int64_t last;      /* accepted; PX_PRICE_NONE at first */
    int64_t candidate; /* new level under suspicion */
    uint32_t confirmations;
    struct source_state source[PX_SOURCES_MAX];
};

struct pxi_filter {
    const struct px_config *config;
    struct asset_state assets[];
};

int pxi_filter_create(const struct px_config *config, struct pxi_filter **filterp)
{
    struct pxi_filter *filter = calloc(1, sizeof *filter + config->asset_count * sizeof filter->assets[0]);

    if (!filter)
        return PX_E_MEMORY;
    filter->config = config;
    for (uint32_t i = 0; i < config->asset_count; i++) {
        filter->assets[i].last = filter->assets[i].candidate = PX_PRICE_NONE;
        for (unsigned s = 0; s < PX_SOURCES_MAX; s++)
            filter->assets[i].source[s].gap = true;
    }
    *filterp = filter;
    return 0;
}

void pxi_filter_destroy(struct pxi_filter **filterp)
{
    free(*filterp);
    *filterp = NULL;
}

static struct source_state *source_of(struct pxi_filter *filter, const struct pxi_observation *observation)
{
    return &filter->assets[observation->asset].source[observation->source];
}

static bool replays(const struct pxi_filter *filter, px_venue_id venue)
{
    return filter->config->venues[venue].clock == PX_CLOCK_RECEIPT;
}

void pxi_filter_seed(struct pxi_filter *filter, px_asset_id asset, int64_t price, px_venue_id venue, uint64_t trade_id)
{
    const struct px_config_asset *config = &filter->config->assets[asset];

    filter->assets[asset].last = price;
    for (unsigned s = 0; s < config->source_count; s++) {
        if (config->sources[s].venue == venue && !replays(filter, venue))
            filter->assets[asset].source[s].last_id = trade_id;
    }
}

static bool on_tick(const struct px_config_asset *asset, int64_t price)
{
    return asset->tick == 0 || price % asset->tick == 0;
}

static bool valid(const struct px_config_asset *asset, const struct pxi_observation *observation)
{
    if (observation->price <= 0 || observation->size <= 0 || !on_tick(asset, observation->price))
        return false;
    return !observation->quote || on_tick(asset, observation->size);
}

/* An id that is not above the highest: whether it begins, or has by now shown, a new count. */
static bool renumbered(struct source_state *source, const struct pxi_observation *observation)
{
    uint64_t id = observation->trade_id;

    if (observation->replayed)
        return false;
    if (source->first_id != 0 && source->last_id != source->first_id && id <= source->first_id)
        return true;
    if (id != source->run_id)
        source->run = id > source->run_id ? source->run + 1 : 1;
    source->run_id = id;
    return source->run >= PXI_RENUMBERED;
}

static bool seen_before(struct pxi_filter *filter, const struct pxi_observation *observation)
{
    struct source_state *source = source_of(filter, observation);
    uint64_t id = observation->trade_id;

    if (observation->quote || id == 0)
        return false;
    if (id <= source->last_id) {
        if (!renumbered(source, observation))
            return true;
        source->first_id = 0;
    }
    if (source->first_id == 0)
        source->first_id = id;
    source->last_id = id;
    source->run = 0;
    source->run_id = 0;
    return false;
}

enum pxi_verdict pxi_filter_check(struct pxi_filter *filter, const struct pxi_observation *observation)
{
    if (!valid(&filter->config->assets[observation->asset], observation))
        return PXI_BAD;
    return seen_before(filter, observation) ? PXI_DUPLICATE : PXI_ACCEPT;
}

/* |price - level| <= level * bound, in 128 bits because a mantissa may fill 63. */
static bool near(int64_t price, int64_t level, uint32_t bound_bp)
{
    __int128 distance = (__int128)price - level;

    return (distance < 0 ? -distance : distance) * 10000 <= (__int128)level * bound_bp;
}

enum pxi_verdict pxi_filter_jump(struct pxi_filter *filter, const struct pxi_observation *observation)
{
    struct asset_state *asset = &filter->assets[observation->asset];
    uint32_t bound = filter->config->assets[observation->asset].max_jump_bp;
    int64_t price = observation->price;

    if (bound && asset->last != PX_PRICE_NONE && !near(price, asset->last, bound)) {
        bool confirms = asset->candidate != PX_PRICE_NONE && near(price, asset->candidate, bound);
        asset->confirmations = confirms ? asset->confirmations + 1 : 0;
        asset->candidate = price;
        if (asset->confirmations < PXI_CONFIRMATIONS)
            return PXI_QUARANTINE;
    }
    asset->candidate = PX_PRICE_NONE;
    asset->last = price;
    return PXI_ACCEPT;
}

void pxi_filter_lost(struct pxi_filter *filter, px_venue_id venue)
{
    for (uint32_t i = 0; i < filter->config->asset_count; i++) {
        const struct px_config_asset *config = &filter->config->assets[i];
        for (unsigned s = 0; s < config->source_count; s++) {
            struct source_state *source = &filter->assets[i].source[s];
            if (config->sources[s].venue != venue)
                continue;
            source->gap = true;
            source->first_id = 0;
            if (replays(filter, venue))
                source->last_id = 0;
        }
    }
}

bool pxi_filter_gap_ends(struct pxi_filter *filter, const struct pxi_observation *observation)
{
    struct source_state *source = source_of(filter, observation);
    bool ends = source->gap;

    source->gap = false;
    return ends;
}
