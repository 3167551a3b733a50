/* Walks the events of the file along the table of keys. */
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/config_private.h"

/* libyaml's own time grows with the square of the depth: 64 KB of '[' took it 6.6 s. */
#define DEPTH_MAX 32

#define SHOWN 40 /* bytes of the file's own words in a message */

struct walk {
    struct pxi_load *load;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    unsigned depth;
    bool stop; /* nothing more can be read */
};

static struct pxi_place place_of(yaml_mark_t mark)
{
    return (struct pxi_place){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

static struct pxi_place place_here(const struct walk *walk)
{
    return place_of(walk->event.start_mark);
}

#define COMPLAIN(walk, ...) pxi_complain((walk)->load->errors, place_here(walk), __VA_ARGS__)

static struct px_text scalar(const struct walk *walk)
{
    return (struct px_text){(const char *)walk->event.data.scalar.value, walk->event.data.scalar.length};
}

static int shown(struct px_text text)
{
    return (int)PX_MIN(text.len, SHOWN);
}

static void stop_at_syntax(struct walk *walk)
{
    const yaml_parser_t *parser = &walk->parser;
    walk->stop = true;
    if (parser->error == YAML_READER_ERROR)
        pxi_complain(walk->load->errors, (struct pxi_place){0, 0}, "byte %zu is not UTF-8 text: %s",
                     parser->problem_offset, parser->problem);
    else if (parser->error == YAML_MEMORY_ERROR)
        pxi_complain(walk->load->errors, (struct pxi_place){0, 0}, "out of memory");
    else
        pxi_complain(walk->load->errors, place_of(parser->problem_mark), "not YAML: %s",
                     parser->problem ? parser->problem : "unknown problem");
    if (parser->context && parser->context_mark.line != parser->problem_mark.line)
        pxi_complain(walk->load->errors, place_of(parser->context_mark), "%s that begins here", parser->context);
}

/* What YAML can say and a configuration should not: each makes a file mean more than one sees. */
static void refuse_extras(struct walk *walk)
{
    const yaml_event_t *event = &walk->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        COMPLAIN(walk, "no aliases here; write the value out");
        break;
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor)
        COMPLAIN(walk, "no anchors here; take away the '&%.*s'", SHOWN, (const char *)anchor);
    if (tag)
        COMPLAIN(walk, "no tags here; take away the '!'");
}

static bool is_start(const struct walk *walk)
{
    return walk->event.type == YAML_SEQUENCE_START_EVENT || walk->event.type == YAML_MAPPING_START_EVENT;
}

static bool is_end(const struct walk *walk)
{
    return walk->event.type == YAML_SEQUENCE_END_EVENT || walk->event.type == YAML_MAPPING_END_EVENT;
}

/* Makes the next event the current one. False: stop. */
static bool step(struct walk *walk)
{
    if (walk->stop)
        return false;
    yaml_event_delete(&walk->event);
    if (!yaml_parser_parse(&walk->parser, &walk->event)) {
        stop_at_syntax(walk);
        return false;
    }
    refuse_extras(walk);
    walk->depth += is_start(walk);
    walk->depth -= is_end(walk);
    if (walk->depth > DEPTH_MAX) {
        COMPLAIN(walk, "nested deeper than %d levels; this cannot be a configuration", DEPTH_MAX);
        walk->stop = true;
    }
    return !walk->stop;
}

/* Passes over the value that begins with the current event. */
static void skip(struct walk *walk)
{
    if (!is_start(walk))
        return;
    unsigned outside = walk->depth - 1;
    while (step(walk) && walk->depth > outside)
        ;
}

/* Is the current event a list? Complains and passes over it when not. */
static bool expect(struct walk *walk, yaml_event_type_t type, const char *name, const char *example)
{
    if (walk->event.type == type)
        return true;
    if (walk->event.type != YAML_ALIAS_EVENT)
        COMPLAIN(walk, "'%s' must be a %s such as %s", name, type == YAML_SEQUENCE_START_EVENT ? "list" : "mapping",
                 example);
    skip(walk);
    return false;
}

/* Is it a single value? */
static bool expect_scalar(struct walk *walk, const char *name)
{
    if (walk->event.type == YAML_SCALAR_EVENT)
        return true;
    if (walk->event.type != YAML_ALIAS_EVENT)
        COMPLAIN(walk, "'%s' takes one value, not a list or mapping", name);
    skip(walk);
    return false;
}

static void read_scalar(struct walk *walk, const struct pxi_key *key, void *base)
{
    char why[PXI_WHY_SIZE];
    if (expect_scalar(walk, key->name) && !pxi_value_read(key, scalar(walk), base, why))
        COMPLAIN(walk, "'%s': %s", key->name, why);
}

static void unknown_key(struct walk *walk, const struct pxi_keys *keys)
{
    struct pxi_guess guess = {.wanted = scalar(walk)};
    for (size_t i = 0; i < keys->count; i++)
        pxi_guess_add(&guess, keys->list[i].name);
    if (guess.best) {
        COMPLAIN(walk, "unknown key '%.*s' here; did you mean '%s'?", shown(guess.wanted), guess.wanted.at, guess.best);
        return;
    }
    char known[120];
    size_t len = 0;
    for (size_t i = 0; i < keys->count && len < sizeof known; i++)
        len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", i > 0 ? ", " : "", keys->list[i].name);
    COMPLAIN(walk, "unknown key '%.*s' here; %s has: %s", shown(guess.wanted), guess.wanted.at, keys->title, known);
}

/* Finds the row of the current key and marks it as seen; complains and gives NULL when it cannot be used. */
static const struct pxi_key *take_key(struct walk *walk, const struct pxi_keys *keys, struct pxi_place *seen)
{
    if (walk->event.type != YAML_SCALAR_EVENT) {
        if (walk->event.type != YAML_ALIAS_EVENT)
            COMPLAIN(walk, "a key must be one word");
        skip(walk);
        return NULL;
    }
    const struct pxi_key *key = pxi_key_find(keys, scalar(walk));
    if (!key) {
        unknown_key(walk, keys);
        return NULL;
    }
    struct pxi_place *place = &seen[key - keys->list];
    if (place->line > 0) {
        COMPLAIN(walk, "'%s' stands here a second time; the first is in line %u", key->name, place->line);
        return NULL;
    }
    *place = place_here(walk);
    return key;
}

static void read_value(struct walk *walk, const struct pxi_key *key, void *base);

/* Reads a mapping along a table, presets first. `seen` gets the place of each key that is there. */
static void read_mapping(struct walk *walk, const struct pxi_keys *keys, void *base, struct pxi_place *seen)
{
    struct pxi_place start = place_here(walk);
    pxi_presets(keys, base);
    while (step(walk) && !is_end(walk)) {
        const struct pxi_key *key = take_key(walk, keys, seen);
        if (!step(walk))
            return;
        if (key)
            read_value(walk, key, base);
        else
            skip(walk);
    }
    for (size_t i = 0; i < keys->count && !walk->stop; i++)
        if (!keys->list[i].preset && seen[i].line == 0)
            pxi_complain(walk->load->errors, start, "'%s' is missing in %s", keys->list[i].name, keys->title);
}

static void read_limits(struct walk *walk, const struct pxi_key *key)
{
    struct pxi_place seen[PXI_KEYS_MAX] = {{0, 0}};
    if (expect(walk, YAML_MAPPING_START_EVENT, key->name, "{connections: 10000}"))
        read_mapping(walk, &pxi_keys_limits, &walk->load->config->limits, seen);
}

static void read_venue(struct walk *walk)
{
    struct px_config *config = walk->load->config;
    struct pxi_place seen[PXI_KEYS_MAX] = {{0, 0}};
    if (!expect(walk, YAML_MAPPING_START_EVENT, "venues", "- {name: coinbase, dialect: coinbase, url: wss://…}"))
        return;
    if (config->venue_count == PX_VENUES_MAX) {
        COMPLAIN(walk, "more than %d venues; take some away", PX_VENUES_MAX);
        walk->stop = true;
        return;
    }
    walk->load->venue_places[config->venue_count] = place_here(walk);
    struct px_config_venue *venue = &config->venues[config->venue_count++];
    venue->line = place_here(walk).line;
    read_mapping(walk, &pxi_keys_venue, venue, seen);
}

/* Room for one more asset and its notes. */
static bool grow_assets(struct walk *walk)
{
    struct pxi_load *load = walk->load;
    if (load->config->asset_count == PX_ASSETS_MAX) {
        COMPLAIN(walk, "more than %d assets; take some away", PX_ASSETS_MAX);
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
        COMPLAIN(walk, "out of memory");
        return false;
    }
    load->asset_room = room;
    return true;
}

static void read_asset(struct walk *walk)
{
    struct px_config *config = walk->load->config;
    struct pxi_place seen[PXI_KEYS_MAX] = {{0, 0}};
    if (!expect(walk, YAML_MAPPING_START_EVENT, "assets", "- {symbol: BTC-USD, decimals: 2, sources: {…}}"))
        return;
    if (!grow_assets(walk)) {
        walk->stop = true;
        return;
    }
    struct px_config_asset *asset = &config->assets[config->asset_count];
    struct pxi_asset_notes *notes = &walk->load->notes[config->asset_count++];
    *asset = (struct px_config_asset){.symbol = ""};
    *notes = (struct pxi_asset_notes){.place = place_here(walk)};
    read_mapping(walk, &pxi_keys_asset, asset, seen);
    const struct pxi_key *symbol = pxi_key_find(&pxi_keys_asset, PX_TEXT("symbol"));
    notes->symbol = seen[symbol - pxi_keys_asset.list];
}

static void read_list(struct walk *walk, const struct pxi_key *key, void (*read_one)(struct walk *))
{
    const char *example = "'- {…}' lines";
    if (!expect(walk, YAML_SEQUENCE_START_EVENT, key->name, example))
        return;
    struct pxi_place start = place_here(walk);
    uint32_t count = 0;
    for (; step(walk) && !is_end(walk); count++)
        read_one(walk);
    if (count == 0 && !walk->stop)
        pxi_complain(walk->load->errors, start, "'%s' is empty; there is nothing to do without at least one",
                     key->name);
}

static struct pxi_asset_notes *notes_of(struct walk *walk)
{
    return &walk->load->notes[walk->load->config->asset_count - 1];
}

static void read_price(struct walk *walk, const struct pxi_key *key)
{
    struct pxi_asset_notes *notes = notes_of(walk);
    if (!expect_scalar(walk, key->name))
        return;
    notes->tick = place_here(walk);
    if (!px_text_copy(notes->tick_text, sizeof notes->tick_text, scalar(walk)))
        COMPLAIN(walk, "'%s': too many digits", key->name);
}

/* The fields of aliases and sources as rows, so that they are checked like any other text. */
static const struct pxi_key alias_key = {"aliases", PXI_TEXT, 0, PX_SYMBOL_SIZE, 1, PX_SYMBOL_SIZE - 1, NULL, ""};
static const struct pxi_key source_key = {"sources", PXI_TEXT, 0, PX_VENUE_SYMBOL_SIZE, 1, PX_VENUE_SYMBOL_SIZE - 1,
                                          NULL,      ""};

static void read_aliases(struct walk *walk, const struct pxi_key *key, struct px_config_asset *asset)
{
    if (!expect(walk, YAML_SEQUENCE_START_EVENT, key->name, "[BTC/USD, BTCUSD]"))
        return;
    while (step(walk) && !is_end(walk)) {
        if (asset->alias_count == PX_ALIASES_MAX) {
            COMPLAIN(walk, "more than %d aliases; take some away", PX_ALIASES_MAX);
            skip(walk);
            continue;
        }
        notes_of(walk)->aliases[asset->alias_count] = place_here(walk);
        read_scalar(walk, &alias_key, asset->aliases[asset->alias_count++]);
    }
}

/* The venue's name is the current event; its number is looked up once all venues are read. */
static bool take_source(struct walk *walk, struct px_config_asset *asset)
{
    struct pxi_asset_notes *notes = notes_of(walk);
    if (!expect_scalar(walk, "sources"))
        return false;
    if (asset->source_count == PX_SOURCES_MAX) {
        COMPLAIN(walk, "more than %d sources; take some away", PX_SOURCES_MAX);
        return false;
    }
    notes->sources[asset->source_count] = place_here(walk);
    px_text_copy(notes->venues[asset->source_count], sizeof notes->venues[0], scalar(walk));
    asset->source_count++;
    return true;
}

static void read_sources(struct walk *walk, const struct pxi_key *key, struct px_config_asset *asset)
{
    if (!expect(walk, YAML_MAPPING_START_EVENT, key->name, "{coinbase: BTC-USD}"))
        return;
    struct pxi_place start = place_here(walk);
    while (step(walk) && !is_end(walk)) {
        bool taken = take_source(walk, asset);
        if (!step(walk))
            return;
        if (taken)
            read_scalar(walk, &source_key, asset->sources[asset->source_count - 1].symbol);
        else
            skip(walk);
    }
    if (asset->source_count == 0 && !walk->stop)
        pxi_complain(walk->load->errors, start, "'sources' is empty; name a venue and its symbol");
}

static void read_value(struct walk *walk, const struct pxi_key *key, void *base)
{
    switch (key->type) {
    case PXI_SECTION:
        read_limits(walk, key);
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
static void read_file(struct walk *walk)
{
    struct pxi_place seen[PXI_KEYS_MAX] = {{0, 0}};
    if (!step(walk) || !step(walk))
        return;
    if (walk->event.type == YAML_STREAM_END_EVENT) {
        pxi_complain(walk->load->errors, (struct pxi_place){0, 0}, "the file is empty; it needs 'venues' and 'assets'");
        walk->stop = true;
        return;
    }
    if (!step(walk))
        return;
    if (!expect(walk, YAML_MAPPING_START_EVENT, "the file", "'listen: 127.0.0.1:8080'")) {
        walk->stop = true;
        return;
    }
    read_mapping(walk, &pxi_keys_top, walk->load->config, seen);
    if (step(walk) && step(walk) && walk->event.type != YAML_STREAM_END_EVENT) /* after the document's end */
        COMPLAIN(walk, "one document only; take away what follows the '---'");
}

bool pxi_yaml_read(struct pxi_load *load, struct px_text yaml)
{
    struct walk walk = {.load = load};
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
