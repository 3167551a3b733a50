/* What only the whole configuration can tell. */
#include <stdlib.h>

#include "base/config_private.h"
#include "base/error.h"

static void check_venue_names(struct pxi_load *load)
{
    const struct px_config *config = load->config;
    for (uint32_t i = 0; i < config->venue_count; i++)
        for (uint32_t j = 0; j < i && config->venues[i].name[0]; j++)
            if (strcmp(config->venues[i].name, config->venues[j].name) == 0) {
                pxi_complain(load->errors, load->venue_places[i],
                             "venue '%s' stands here a second time; the first is in line %u", config->venues[i].name,
                             config->venues[j].line);
                break;
            }
}

static void unknown_venue(struct pxi_load *load, struct pxi_place place, const char *name)
{
    struct pxi_guess guess = {.wanted = px_text_of(name)};
    for (uint32_t i = 0; i < load->config->venue_count; i++)
        pxi_guess_add(&guess, load->config->venues[i].name);
    if (guess.best)
        pxi_complain(load->errors, place, "unknown venue '%s' in sources; did you mean '%s'?", name, guess.best);
    else
        pxi_complain(load->errors, place, "unknown venue '%s' in sources; add it under 'venues'", name);
}

static void check_sources(struct pxi_load *load, struct px_config_asset *asset, const struct pxi_asset_notes *notes)
{
    for (unsigned i = 0; i < asset->source_count; i++) {
        asset->sources[i].venue = px_config_venue_find(load->config, notes->venues[i]);
        if (asset->sources[i].venue == PX_VENUE_NONE)
            unknown_venue(load, notes->sources[i], notes->venues[i]);
        for (unsigned j = 0; j < i; j++)
            if (strcmp(notes->venues[i], notes->venues[j]) == 0)
                pxi_complain(load->errors, notes->sources[i], "venue '%s' stands twice in sources of one asset",
                             notes->venues[i]);
    }
}

static void check_tick(struct pxi_load *load, struct px_config_asset *asset, const struct pxi_asset_notes *notes)
{
    if (notes->tick_text[0] == '\0')
        return;
    int error = px_decimal_parse(px_text_of(notes->tick_text), asset->scale, PX_ROUND_EXACT, &asset->tick);
    if (error == PX_E_DIGITS)
        pxi_complain(load->errors, notes->tick, "'tick': %s has more digits after the point than 'decimals: %u' allows",
                     notes->tick_text, asset->scale);
    else if (error || asset->tick < 0)
        pxi_complain(load->errors, notes->tick, "'tick': write a positive decimal such as \"0.01\"");
}

/* One name that must be unique, and where it stands. */
struct named {
    const char *text;
    px_venue_id venue; /* of a source; else PX_VENUE_NONE */
    struct pxi_place place;
};

static int place_order(struct pxi_place a, struct pxi_place b)
{
    if (a.line != b.line)
        return a.line < b.line ? -1 : 1;
    return (a.column > b.column) - (a.column < b.column);
}

static int same_name_order(const struct named *a, const struct named *b)
{
    if (a->venue != b->venue)
        return a->venue < b->venue ? -1 : 1;
    return strcmp(a->text, b->text);
}

static int named_order(const void *a, const void *b)
{
    int order = same_name_order(a, b);
    return order ? order : place_order(((const struct named *)a)->place, ((const struct named *)b)->place);
}

/* Sorts, so that equal names stand side by side in the order of the file; complains of each but the first. */
static void check_unique(struct pxi_load *load, struct named *list, size_t count)
{
    qsort(list, count, sizeof *list, named_order);
    for (size_t i = 1, first = 0; i < count; i++) {
        if (same_name_order(&list[first], &list[i]) != 0) {
            first = i;
            continue;
        }
        if (list[i].venue == PX_VENUE_NONE)
            pxi_complain(load->errors, list[i].place,
                         "'%s' already names the asset in line %u; every symbol and alias stands once", list[i].text,
                         list[first].place.line);
        else
            pxi_complain(load->errors, list[i].place, "'%s' of venue '%s' already feeds the asset in line %u",
                         list[i].text, load->config->venues[list[i].venue].name, list[first].place.line);
    }
}

static size_t add_named(struct named *list, size_t count, struct named name)
{
    if (name.text[0] != '\0') /* an empty one was complained of where it stands */
        list[count++] = name;
    return count;
}

static void check_symbols(struct pxi_load *load, struct named *list)
{
    size_t count = 0;
    for (uint32_t i = 0; i < load->config->asset_count; i++) {
        const struct px_config_asset *asset = &load->config->assets[i];
        const struct pxi_asset_notes *notes = &load->notes[i];
        count = add_named(list, count, (struct named){asset->symbol, PX_VENUE_NONE, notes->symbol});
        for (unsigned j = 0; j < asset->alias_count; j++)
            count = add_named(list, count, (struct named){asset->aliases[j], PX_VENUE_NONE, notes->aliases[j]});
    }
    check_unique(load, list, count);
}

static void check_feeds(struct pxi_load *load, struct named *list)
{
    size_t count = 0;
    for (uint32_t i = 0; i < load->config->asset_count; i++) {
        const struct px_config_asset *asset = &load->config->assets[i];
        for (unsigned j = 0; j < asset->source_count; j++)
            if (asset->sources[j].venue != PX_VENUE_NONE)
                count = add_named(
                    list, count,
                    (struct named){asset->sources[j].symbol, asset->sources[j].venue, load->notes[i].sources[j]});
    }
    check_unique(load, list, count);
}

void pxi_check(struct pxi_load *load)
{
    struct px_config *config = load->config;
    check_venue_names(load);
    for (uint32_t i = 0; i < config->asset_count; i++) {
        check_sources(load, &config->assets[i], &load->notes[i]);
        check_tick(load, &config->assets[i], &load->notes[i]);
    }
    size_t most = (size_t)config->asset_count * (1 + PX_MAX(PX_ALIASES_MAX, PX_SOURCES_MAX));
    struct named *list = calloc(most + 1, sizeof *list);
    if (!list) {
        pxi_complain(load->errors, (struct pxi_place){0, 0}, "out of memory");
        return;
    }
    check_symbols(load, list);
    check_feeds(load, list);
    free(list);
}
