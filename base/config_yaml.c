/* Walks the events of the file along the table of keys. */
#include <stdio.h>
#include <stdlib.h>

#include "base/config_walk_private.h"

static int shown(struct px_text text)
{
    return (int)PX_MIN(text.len, PXI_SHOWN);
}

static void read_scalar(struct pxi_walk *walk, const struct pxi_key *key, void *base)
{
    char why[PXI_WHY_SIZE];
    if (pxi_expect_scalar(walk, key->name) && !pxi_value_read(key, pxi_scalar(walk), base, why))
        PXI_COMPLAIN(walk, "'%s': %s", key->name, why);
}

static void unknown_key(struct pxi_walk *walk, const struct pxi_keys *keys)
{
    struct pxi_guess guess = {.wanted = pxi_scalar(walk)};
    for (size_t i = 0; i < keys->count; i++)
        pxi_guess_add(&guess, keys->list[i].name);
    if (guess.best) {
        PXI_COMPLAIN(walk, "unknown key '%.*s' here; did you mean '%s'?", shown(guess.wanted), guess.wanted.at,
                     guess.best);
        return;
    }
    char known[120];
    size_t len = 0;
    for (size_t i = 0; i < keys->count && len < sizeof known; i++)
        len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", i > 0 ? ", " : "", keys->list[i].name);
    PXI_COMPLAIN(walk, "unknown key '%.*s' here; %s has: %s", shown(guess.wanted), guess.wanted.at, keys->title, known);
}

/* Finds the row of the current key and marks it as seen; complains and gives NULL when it cannot be used. */
static const struct pxi_key *take_key(struct pxi_walk *walk, const struct pxi_keys *keys, struct pxi_place *seen)
{
    if (walk->event.type != YAML_SCALAR_EVENT) {
        if (walk->event.type != YAML_ALIAS_EVENT)
            PXI_COMPLAIN(walk, "a key must be one word");
        pxi_skip(walk);
        return NULL;
    }
    const struct pxi_key *key = pxi_key_find(keys, pxi_scalar(walk));
    if (!key) {
        unknown_key(walk, keys);
        return NULL;
    }
    struct pxi_place *place = &seen[key - keys->list];
    if (place->line > 0) {
        PXI_COMPLAIN(walk, "'%s' stands here a second time; the first is in line %u", key->name, place->line);
        return NULL;
    }
    *place = pxi_here(walk);
    return key;
}

static void read_value(struct pxi_walk *walk, const struct pxi_key *key, void *base);

/* Reads a mapping along a table, presets first. `seen` gets the place of each key that is there. */
static void read_mapping(struct pxi_walk *walk, const struct pxi_keys *keys, void *base, struct pxi_place *seen)
{
    struct pxi_place start = pxi_here(walk);
    pxi_presets(keys, base);
    while (pxi_step(walk) && !pxi_at_end(walk)) {
        const struct pxi_key *key = take_key(walk, keys, seen);
        if (!pxi_step(walk))
            return;
        if (key)
            read_value(walk, key, base);
        else
            pxi_skip(walk);
    }
    for (size_t i = 0; i < keys->count && !walk->stop; i++)
        if (!keys->list[i].preset && seen[i].line == 0)
            pxi_complain(walk->load->errors, start, "'%s' is missing in %s", keys->list[i].name, keys->title);
}

static void read_section(struct pxi_walk *walk, const struct pxi_key *key, void *base)
{
    struct pxi_place seen[PXI_KEYS_MAX] = {{0, 0}};
    const struct pxi_keys *keys = pxi_section(key);
    char example[48];
    snprintf(example, sizeof example, "{%s: …}", keys->list[0].name);
    if (pxi_expect(walk, YAML_MAPPING_START_EVENT, key->name, example))
        read_mapping(walk, keys, (char *)base + key->offset, seen);
}

static void read_cidrs(struct pxi_walk *walk, const struct pxi_key *key)
{
    struct px_config_notify *notify = &walk->load->config->notify;
    if (!pxi_expect(walk, YAML_SEQUENCE_START_EVENT, key->name, "[10.1.0.0/16]"))
        return;
    while (pxi_step(walk) && !pxi_at_end(walk)) {
        if (!pxi_expect_scalar(walk, key->name))
            continue;
        if (notify->allowed_count == PX_ALLOWED_MAX)
            PXI_COMPLAIN(walk, "more than %d ranges; take some away", PX_ALLOWED_MAX);
        else if (pxi_cidr_read(pxi_scalar(walk), &notify->allowed[notify->allowed_count]))
            notify->allowed_count++;
        else
            PXI_COMPLAIN(walk, "'%s': write addresses such as 10.1.0.0/16 or fd00::/8", key->name);
    }
}

static void read_venue(struct pxi_walk *walk)
{
    struct px_config *config = walk->load->config;
    struct pxi_place seen[PXI_KEYS_MAX] = {{0, 0}};
    if (!pxi_expect(walk, YAML_MAPPING_START_EVENT, "venues", "- {name: coinbase, dialect: coinbase, url: wss://…}"))
        return;
    if (config->venue_count == PX_VENUES_MAX) {
        PXI_COMPLAIN(walk, "more than %d venues; take some away", PX_VENUES_MAX);
        walk->stop = true;
        return;
    }
    walk->load->venue_places[config->venue_count] = pxi_here(walk);
    struct px_config_venue *venue = &config->venues[config->venue_count++];
    venue->line = pxi_here(walk).line;
    read_mapping(walk, &pxi_keys_venue, venue, seen);
}

/* Room for one more asset and its notes. */
static bool grow_assets(struct pxi_walk *walk)
{
    struct pxi_load *load = walk->load;
    if (load->config->asset_count == PX_ASSETS_MAX) {
        PXI_COMPLAIN(walk, "more than %d assets; take some away", PX_ASSETS_MAX);
        return false;
    }
    if (load->config->asset_count < load->asset_room)
        return true;
    uint32_t room = PX_MAX(64, load->asset_room * 2);
    struct px_config_asset *assets = realloc(load->config->assets, room * sizeof *assets);
    if (assets)
        load->config->assets = assets;
    struct pxi_asset_notes *notes = realloc(load->notes, room * sizeof *notes);
    if (notes)
        load->notes = notes;
    if (!assets || !notes) {
        PXI_COMPLAIN(walk, "out of memory");
        return false;
    }
    load->asset_room = room;
    return true;
}

static void read_asset(struct pxi_walk *walk)
{
    struct px_config *config = walk->load->config;
    struct pxi_place seen[PXI_KEYS_MAX] = {{0, 0}};
    if (!pxi_expect(walk, YAML_MAPPING_START_EVENT, "assets", "- {symbol: BTC-USD, decimals: 2, sources: {…}}"))
        return;
    if (!grow_assets(walk)) {
        walk->stop = true;
        return;
    }
    struct px_config_asset *asset = &config->assets[config->asset_count];
    struct pxi_asset_notes *notes = &walk->load->notes[config->asset_count++];
    *asset = (struct px_config_asset){.symbol = ""};
    *notes = (struct pxi_asset_notes){.place = pxi_here(walk)};
    read_mapping(walk, &pxi_keys_asset, asset, seen);
    const struct pxi_key *symbol = pxi_key_find(&pxi_keys_asset, PX_TEXT("symbol"));
    notes->symbol = seen[symbol - pxi_keys_asset.list];
}

static void read_list(struct pxi_walk *walk, const struct pxi_key *key, void (*read_one)(struct pxi_walk *))
{
    const char *example = "'- {…}' lines";
    if (!pxi_expect(walk, YAML_SEQUENCE_START_EVENT, key->name, example))
        return;
    struct pxi_place start = pxi_here(walk);
    uint32_t count = 0;
    for (; pxi_step(walk) && !pxi_at_end(walk); count++)
        read_one(walk);
    if (count == 0 && !walk->stop)
        pxi_complain(walk->load->errors, start, "'%s' is empty; there is nothing to do without at least one",
                     key->name);
}

static struct pxi_asset_notes *notes_of(struct pxi_walk *walk)
{
    return &walk->load->notes[walk->load->config->asset_count - 1];
}

static void read_price(struct pxi_walk *walk, const struct pxi_key *key)
{
    struct pxi_asset_notes *notes = notes_of(walk);
    if (!pxi_expect_scalar(walk, key->name))
        return;
    notes->tick = pxi_here(walk);
    if (!px_text_copy(notes->tick_text, sizeof notes->tick_text, pxi_scalar(walk)))
        PXI_COMPLAIN(walk, "'%s': too many digits", key->name);
}

/* The fields of aliases and sources as rows, so that they are checked like any other text. */
static const struct pxi_key alias_key = {"aliases", PXI_TEXT, 0, PX_SYMBOL_SIZE, 1, PX_SYMBOL_SIZE - 1, NULL, ""};
static const struct pxi_key source_key = {"sources", PXI_TEXT, 0, PX_VENUE_SYMBOL_SIZE, 1, PX_VENUE_SYMBOL_SIZE - 1,
                                          NULL,      ""};

static void read_aliases(struct pxi_walk *walk, const struct pxi_key *key, struct px_config_asset *asset)
{
    if (!pxi_expect(walk, YAML_SEQUENCE_START_EVENT, key->name, "[BTC/USD, BTCUSD]"))
        return;
    while (pxi_step(walk) && !pxi_at_end(walk)) {
        if (asset->alias_count == PX_ALIASES_MAX) {
            PXI_COMPLAIN(walk, "more than %d aliases; take some away", PX_ALIASES_MAX);
            pxi_skip(walk);
            continue;
        }
        notes_of(walk)->aliases[asset->alias_count] = pxi_here(walk);
        read_scalar(walk, &alias_key, asset->aliases[asset->alias_count++]);
    }
}

/* The venue's name is the current event; its number is looked up once all venues are read. */
static bool take_source(struct pxi_walk *walk, struct px_config_asset *asset)
{
    struct pxi_asset_notes *notes = notes_of(walk);
    if (!pxi_expect_scalar(walk, "sources"))
        return false;
    if (asset->source_count == PX_SOURCES_MAX) {
        PXI_COMPLAIN(walk, "more than %d sources; take some away", PX_SOURCES_MAX);
        return false;
    }
    notes->sources[asset->source_count] = pxi_here(walk);
    px_text_copy(notes->venues[asset->source_count], sizeof notes->venues[0], pxi_scalar(walk));
    asset->source_count++;
    return true;
}

static void read_sources(struct pxi_walk *walk, const struct pxi_key *key, struct px_config_asset *asset)
{
    if (!pxi_expect(walk, YAML_MAPPING_START_EVENT, key->name, "{coinbase: BTC-USD}"))
        return;
    struct pxi_place start = pxi_here(walk);
    while (pxi_step(walk) && !pxi_at_end(walk)) {
        bool taken = take_source(walk, asset);
        if (!pxi_step(walk))
            return;
        if (taken)
            read_scalar(walk, &source_key, asset->sources[asset->source_count - 1].symbol);
        else
            pxi_skip(walk);
    }
    if (asset->source_count == 0 && !walk->stop)
        pxi_complain(walk->load->errors, start, "'sources' is empty; name a venue and its symbol");
}

static void read_value(struct pxi_walk *walk, const struct pxi_key *key, void *base)
{
    switch (key->type) {
    case PXI_SECTION:
        read_section(walk, key, base);
        break;
    case PXI_CIDRS:
        read_cidrs(walk, key);
        break;
    case PXI_VENUES:
        read_list(walk, key, read_venue);
        break;
    case PXI_ASSETS:
        read_list(walk, key, read_asset);
        break;
    case PXI_PRICE:
        read_price(walk, key);
        break;
    case PXI_ALIASES:
        read_aliases(walk, key, base);
        break;
    case PXI_SOURCES:
        read_sources(walk, key, base);
        break;
    default:
        read_scalar(walk, key, base);
    }
}

/* Stream, one document, one mapping. */
static void read_file(struct pxi_walk *walk)
{
    struct pxi_place seen[PXI_KEYS_MAX] = {{0, 0}};
    if (!pxi_step(walk) || !pxi_step(walk))
        return;
    if (walk->event.type == YAML_STREAM_END_EVENT) {
        pxi_complain(walk->load->errors, (struct pxi_place){0, 0}, "the file is empty; it needs 'venues' and 'assets'");
        walk->stop = true;
        return;
    }
    if (!pxi_step(walk))
        return;
    if (!pxi_expect(walk, YAML_MAPPING_START_EVENT, "the file", "'listen: 127.0.0.1:8080'")) {
        walk->stop = true;
        return;
    }
    read_mapping(walk, &pxi_keys_top, walk->load->config, seen);
    if (pxi_step(walk) && pxi_step(walk) && walk->event.type != YAML_STREAM_END_EVENT) /* after the document's end */
        PXI_COMPLAIN(walk, "one document only; take away what follows the '---'");
}

bool pxi_yaml_read(struct pxi_load *load, struct px_text yaml)
{
    struct pxi_walk walk = {.load = load};
    if (!yaml_parser_initialize(&walk.parser)) {
        pxi_complain(load->errors, (struct pxi_place){0, 0}, "out of memory");
        return false;
    }
    yaml_parser_set_input_string(&walk.parser, (const unsigned char *)yaml.at, yaml.len);
    read_file(&walk);
    yaml_event_delete(&walk.event);
    yaml_parser_delete(&walk.parser);
    return !walk.stop;
}
