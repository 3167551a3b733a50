#include "store/names.h"

#include <stdlib.h>

#include "base/error.h"

struct px_names {
    const struct px_config *config;
    const struct px_config_asset **sorted; /* asset_count, by symbol */
};

static int by_symbol(const void *a, const void *b)
{
    const struct px_config_asset *const *left = a, *const *right = b;

    return strcmp((*left)->symbol, (*right)->symbol);
}

int px_names_create(const struct px_config *config, struct px_names **namesp)
{
    struct px_names *names = calloc(1, sizeof *names);

    *namesp = NULL;
    if (!names)
        return PX_E_MEMORY;
    names->config = config;
    names->sorted = calloc(config->asset_count + 1, sizeof(*names->sorted));
    if (!names->sorted) {
        free(names);
        return PX_E_MEMORY;
    }
    for (uint32_t i = 0; i < config->asset_count; i++)
        names->sorted[i] = &config->assets[i];
    qsort(names->sorted, config->asset_count, sizeof(*names->sorted), by_symbol);
    *namesp = names;
    return 0;
}

void px_names_destroy(struct px_names **namesp)
{
    if (!*namesp)
        return;
    free((*namesp)->sorted);
    free(*namesp);
    *namesp = NULL;
}

px_asset_id px_names_asset(const struct px_names *names, const char *symbol)
{
    struct px_config_asset wanted;
    const struct px_config_asset *key = &wanted, **found;

    if (!px_text_copy(wanted.symbol, sizeof wanted.symbol, px_text_of(symbol)))
        return PX_ASSET_NONE;
    found = bsearch(&key, names->sorted, names->config->asset_count, sizeof(*names->sorted), by_symbol);
    return found ? (px_asset_id)(*found - names->config->assets) : PX_ASSET_NONE;
}

px_venue_id px_names_venue(const struct px_names *names, const char *name)
{
    return px_config_venue_find(names->config, name);
}

const char *px_names_venue_text(const struct px_names *names, px_venue_id venue)
{
    return venue < names->config->venue_count ? names->config->venues[venue].name : "";
}

const struct px_config *px_names_config(const struct px_names *names)
{
    return names->config;
}
