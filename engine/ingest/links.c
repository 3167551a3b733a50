/* The connections: which venues, which symbols, and what they have counted. */
#include "engine/ingest/ingest_private.h"

#include "feed/url.h"

#include <stdlib.h>

static void on_lost(void *context)
{
    struct pxi_link *link = context;

    pxi_filter_lost(link->ingest->filter, link->venue);
}

/* The dialect by its name, or by the URL's host where the configuration names none. */
static int dialect_of(const struct px_config_venue *venue, const struct px_dialect **dialectp)
{
    struct px_url url;

    if (venue->dialect[0])
        return px_dialect_find(venue->dialect, dialectp);
    if (px_url_parse(px_text_of(venue->url), &url))
        return PX_E_UNKNOWN_VENUE;
    return px_dialect_for_host(px_text_of(url.host), dialectp);
}

static void open_link(struct pxi_ingest *ingest, px_venue_id venue, const struct px_dialect *dialect,
                      const struct px_text *symbols, uint32_t count)
{
    const struct px_config_venue *config = &ingest->config->venues[venue];
    struct pxi_link *link = &ingest->links[ingest->link_count];
    struct px_connector_options options = {
        .name = config->name,
        .dialect = dialect,
        .url = config->url,
        .ca_file = config->ca_file,
        .symbols = symbols,
        .symbol_count = count,
        .epoll_fd = ingest->epoll_fd,
        .sink = pxi_ingest_event,
        .lost = on_lost,
        .context = link,
    };
    int error = ingest->link_count == PXI_LINKS_MAX ? PX_E_FULL : 0;

    if (!error) {
        *link = (struct pxi_link){.ingest = ingest, .venue = venue};
        error = px_connector_create(&options, &link->connector);
    }
    if (error)
        px_log(PX_LOG_ERROR, "venue_unusable venue=%s symbols=%u why=\"%s\"", config->name, count,
               px_error_text(error));
    else
        ingest->link_count++;
}

static bool listed(const struct px_text *symbols, uint32_t count, struct px_text symbol)
{
    for (uint32_t i = count; i-- > 0 && count - i <= PX_SOURCES_MAX;) {
        if (px_text_eq(symbols[i], symbol))
            return true;
    }
    return false;
}

/* All symbols that assets take from the venue; an asset that names one twice asks for it once. */
static uint32_t symbols_of(const struct px_config *config, px_venue_id venue, struct px_text *symbols)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < config->asset_count; i++) {
        const struct px_config_asset *asset = &config->assets[i];
        for (unsigned s = 0; s < asset->source_count; s++) {
            struct px_text symbol = px_text_of(asset->sources[s].symbol);
            if (asset->sources[s].venue == venue && !listed(symbols, count, symbol))
                symbols[count++] = symbol;
        }
    }
    return count;
}

static void open_venue(struct pxi_ingest *ingest, px_venue_id venue, struct px_text *symbols)
{
    const struct px_config_venue *config = &ingest->config->venues[venue];
    uint32_t count = symbols_of(ingest->config, venue, symbols);
    const struct px_dialect *dialect;
    char refusal[160];

    if (dialect_of(config, &dialect)) {
        px_dialect_refusal(px_text_of(config->dialect[0] ? config->dialect : config->url), refusal, sizeof refusal);
        px_log(PX_LOG_ERROR, "venue_unusable venue=%s why=\"%s\"", config->name, refusal);
        return;
    }
    if (count == 0)
        px_log(PX_LOG_WARN, "venue_unused venue=%s why=\"no asset has it as a source\"", config->name);
    for (uint32_t first = 0; first < count; first += dialect->symbols_max)
        open_link(ingest, venue, dialect, symbols + first, PX_MIN(count - first, dialect->symbols_max));
}

int pxi_links_open(struct pxi_ingest *ingest)
{
    size_t most = (size_t)ingest->config->asset_count * PX_SOURCES_MAX + 1;
    struct px_text *symbols = calloc(most, sizeof *symbols);

    if (!symbols)
        return PX_E_MEMORY;
    for (uint32_t venue = 0; venue < ingest->config->venue_count; venue++)
        open_venue(ingest, (px_venue_id)venue, symbols);
    free(symbols);
    return 0;
}

void pxi_links_close(struct pxi_ingest *ingest)
{
    for (uint32_t i = 0; i < ingest->link_count; i++)
        px_connector_destroy(&ingest->links[i].connector);
    ingest->link_count = 0;
}

static void count_link(struct px_stats *stats, struct pxi_link *link)
{
    struct px_connector_counters now = *px_connector_counters(link->connector), *told = &link->told;

    px_stat_add(stats, PX_STAT_FEED_FRAMES, now.frames - told->frames);
    px_stat_add(stats, PX_STAT_FEED_BYTES, now.bytes - told->bytes);
    px_stat_add(stats, PX_STAT_FEED_ERRORS, now.errors - told->errors);
    px_stat_add(stats, PX_STAT_FEED_IGNORED, now.events[PX_FEED_IGNORED] - told->events[PX_FEED_IGNORED]);
    px_stat_add(stats, PX_STAT_FEED_RECONNECTS, now.reconnects - told->reconnects);
    *told = now;
}

void pxi_links_count(struct pxi_ingest *ingest)
{
    uint64_t live = 0;

    for (uint32_t i = 0; i < ingest->link_count; i++) {
        count_link(ingest->stats, &ingest->links[i]);
        live += px_connector_state(ingest->links[i].connector) == PX_CONNECTOR_LIVE;
    }
    px_stat_set(ingest->stats, PX_STAT_FEED_CONNECTED, live);
}
