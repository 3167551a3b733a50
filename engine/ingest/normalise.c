#include "engine/ingest/normalise_private.h"

#include "base/log.h"

#include <ctype.h>
#include <stdlib.h>

struct entry {
    px_asset_id asset; /* PX_ASSET_NONE: free */
    px_venue_id venue;
    uint16_t source;
};

struct pxi_normaliser {
    const struct px_config *config;
    uint32_t mask; /* entries - 1, a power of two at no more than half load */
    struct entry entries[];
};

static unsigned char folded(char c)
{
    return (unsigned char)toupper((unsigned char)c);
}

static uint32_t hash(px_venue_id venue, struct px_text symbol)
{
    uint64_t h = 14695981039346656037u ^ venue; /* FNV-1a */

    for (size_t i = 0; i < symbol.len; i++)
        h = (h ^ folded(symbol.at[i])) * 1099511628211u;
    return (uint32_t)(h ^ h >> 32);
}

static bool same_symbol(const char *configured, struct px_text symbol)
{
    size_t i;

    for (i = 0; i < symbol.len && configured[i]; i++) {
        if (folded(configured[i]) != folded(symbol.at[i]))
            return false;
    }
    return i == symbol.len && !configured[i];
}

/* The entry of that source, or the free one where it belongs. */
static uint32_t find(const struct pxi_normaliser *normaliser, px_venue_id venue, struct px_text symbol)
{
    uint32_t at = hash(venue, symbol) & normaliser->mask;

    for (;; at = (at + 1) & normaliser->mask) {
        const struct entry *entry = &normaliser->entries[at];
        if (entry->asset == PX_ASSET_NONE)
            return at;
        if (entry->venue == venue &&
            same_symbol(normaliser->config->assets[entry->asset].sources[entry->source].symbol, symbol))
            return at;
    }
}

static void add_asset(struct pxi_normaliser *normaliser, px_asset_id asset)
{
    const struct px_config_asset *config = &normaliser->config->assets[asset];

    for (uint16_t source = 0; source < config->source_count; source++) {
        const struct px_config_source *from = &config->sources[source];
        struct entry *entry = &normaliser->entries[find(normaliser, from->venue, px_text_of(from->symbol))];

        if (entry->asset == PX_ASSET_NONE)
            *entry = (struct entry){asset, from->venue, source};
        else
            px_log(PX_LOG_WARN, "source_claimed_twice symbol=%s asset=%s used_for=%s", from->symbol, config->symbol,
                   normaliser->config->assets[entry->asset].symbol);
    }
}

int pxi_normaliser_create(const struct px_config *config, struct pxi_normaliser **normaliserp)
{
    struct pxi_normaliser *normaliser;
    uint32_t size = 64, sources = 0;

    for (uint32_t i = 0; i < config->asset_count; i++)
        sources += config->assets[i].source_count;
    while (size < 2 * sources)
        size *= 2;
    normaliser = calloc(1, sizeof *normaliser + size * sizeof normaliser->entries[0]);
    if (!normaliser)
        return PX_E_MEMORY;
    normaliser->config = config;
    normaliser->mask = size - 1;
    for (uint32_t i = 0; i < size; i++)
        normaliser->entries[i].asset = PX_ASSET_NONE;
    for (px_asset_id asset = 0; asset < config->asset_count; asset++)
        add_asset(normaliser, asset);
    *normaliserp = normaliser;
    return 0;
}

void pxi_normaliser_destroy(struct pxi_normaliser **normaliserp)
{
    free(*normaliserp);
    *normaliserp = NULL;
}

static int read_numbers(const struct px_config_asset *asset, const struct px_feed_event *event,
                        struct pxi_observation *observation)
{
    struct px_text first = observation->quote ? event->bid : event->price;
    struct px_text second = observation->quote ? event->ask : event->size;
    unsigned second_scale = observation->quote ? asset->scale : asset->size_scale;
    int error = px_decimal_parse(first, asset->scale, PX_ROUND_EXACT, &observation->price);

    return error ? error : px_decimal_parse(second, second_scale, PX_ROUND_EXACT, &observation->size);
}

int pxi_normalise(const struct pxi_normaliser *normaliser, px_venue_id venue, const struct px_feed_event *event,
                  int64_t recv_ns, struct pxi_observation *observationp)
{
    const struct entry *entry = &normaliser->entries[find(normaliser, venue, event->symbol)];
    bool by_venue = normaliser->config->venues[venue].clock == PX_CLOCK_VENUE && event->venue_ns != 0;

    if (entry->asset == PX_ASSET_NONE)
        return PX_E_NOT_FOUND;
    *observationp = (struct pxi_observation){
        .asset = entry->asset,
        .venue = venue,
        .source = entry->source,
        .quote = event->kind == PX_FEED_QUOTE,
        .replayed = event->replayed,
        .side = event->side,
        .time_ns = by_venue ? event->venue_ns : recv_ns,
        .recv_ns = recv_ns,
        .trade_id = event->id,
    };
    return read_numbers(&normaliser->config->assets[entry->asset], event, observationp);
}
