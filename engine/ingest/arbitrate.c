#include "engine/ingest/arbitrate_private.h"

#include <stdlib.h>

struct heard {
    px_mono at[PX_SOURCES_MAX];
};

struct pxi_arbiter {
    const struct px_config *config;
    struct heard assets[];
};

int pxi_arbiter_create(const struct px_config *config, px_mono now, struct pxi_arbiter **arbiterp)
{
    struct pxi_arbiter *arbiter = calloc(1, sizeof *arbiter + config->asset_count * sizeof arbiter->assets[0]);

    if (!arbiter)
        return PX_E_MEMORY;
    arbiter->config = config;
    for (uint32_t i = 0; i < config->asset_count; i++) {
        for (unsigned s = 0; s < PX_SOURCES_MAX; s++)
            arbiter->assets[i].at[s] = now;
    }
    *arbiterp = arbiter;
    return 0;
}

void pxi_arbiter_destroy(struct pxi_arbiter **arbiterp)
{
    free(*arbiterp);
    *arbiterp = NULL;
}

static bool fresh(const struct pxi_arbiter *arbiter, px_asset_id asset, unsigned source, px_mono now)
{
    px_venue_id venue = arbiter->config->assets[asset].sources[source].venue;
    int64_t bound = arbiter->config->venues[venue].stale_after_ms * PX_NS_PER_MS;

    return px_mono_since(now, arbiter->assets[asset].at[source]) <= bound;
}

bool pxi_arbitrate(struct pxi_arbiter *arbiter, const struct pxi_observation *observation, px_mono now,
                   uint32_t *freshp)
{
    unsigned count = arbiter->config->assets[observation->asset].source_count;
    unsigned speaker = observation->source;

    arbiter->assets[observation->asset].at[observation->source] = now;
    *freshp = 0;
    for (unsigned s = count; s-- > 0;) {
        if (fresh(arbiter, observation->asset, s, now)) {
            speaker = s;
            ++*freshp;
        }
    }
    return speaker == observation->source;
}
