/*
 * Inside base/config*.c. The file is read as a stream of YAML events, never as a tree: depth and size stay bounded and
 * every mistake has its line. config_keys.c holds the one table of keys; config_values.c turns a text into a field;
 * config_events.c reads events, config_yaml.c walks the events along the table; config_check.c looks at the whole once
 * everything is read.
 */
#pragma once

#include "base/config.h"

struct pxi_place {
    uint32_t line, column; /* from 1 */
};

enum pxi_type {
    PXI_ADDRESS,  /* host:port */
    PXI_PATH,     /* a directory */
    PXI_LEVEL,    /* enum px_log_level */
    PXI_COUNT,    /* uint32_t */
    PXI_KIB,      /* uint32_t, bytes */
    PXI_DURATION, /* uint32_t, milliseconds */
    PXI_DAYS,     /* uint32_t */
    PXI_PERCENT,  /* uint16_t, hundredths */
    PXI_DECIMALS, /* uint8_t */
    PXI_NAME,     /* char[size]: a-z 0-9 _ - */
    PXI_TEXT,     /* char[size]: printable, no blanks */
    PXI_DIALECT,  /* char[size] */
    PXI_URL,      /* char[size] */
    PXI_CLOCK,    /* enum px_clock_source */
    PXI_SYMBOL,   /* char[size] */
    PXI_PRICE,    /* kept as text until the asset's decimals are known */
    PXI_MAIL,     /* char[size]: one address */
    PXI_SMTP_URL, /* char[size] */
    PXI_SUBJECT,  /* char[size]: mailto: or https: */
    PXI_SECTION,  /* a mapping along another table (pxi_section); the rest is not scalar either */
    PXI_CIDRS,
    PXI_VENUES,
    PXI_ASSETS,
    PXI_ALIASES,
    PXI_SOURCES,
};

struct pxi_key {
    const char *name;
    enum pxi_type type;
    uint16_t offset, size; /* of the field in its struct */
    int64_t least, most;   /* in the field's unit */
    const char *preset;    /* as one would write it; NULL: must be given; "": none */
    const char *help;
};

#define PXI_KEYS_MAX 16

struct pxi_keys {
    const char *title; /* "a venue" */
    const struct pxi_key *list;
    size_t count;
};

extern const struct pxi_keys pxi_keys_top, pxi_keys_limits, pxi_keys_history, pxi_keys_notify, pxi_keys_smtp,
    pxi_keys_vapid, pxi_keys_venue, pxi_keys_asset;

/* What an asset says of things that may stand further down in the file. */
struct pxi_asset_notes {
    struct pxi_place place, symbol, tick, aliases[PX_ALIASES_MAX], sources[PX_SOURCES_MAX];
    char tick_text[32];
    char venues[PX_SOURCES_MAX][sizeof((struct px_config_venue *)0)->name];
};

struct pxi_load {
    struct px_config *config;
    struct pxi_asset_notes *notes; /* one per asset */
    struct pxi_place venue_places[PX_VENUES_MAX];
    uint32_t asset_room;
    struct px_config_errors *errors;
};

/* Notes one mistake. Any text may come in: what is not printable is shown as '?'. */
void pxi_complain(struct px_config_errors *errors, struct pxi_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define PXI_WHY_SIZE 160

/*
 * Writes the field of `key` in the struct at `base`. False when the text does not do, with the rest of the sentence
 * "'key': …" in `why`; the field is untouched then.
 */
bool pxi_value_read(const struct pxi_key *key, struct px_text text, void *base, char why[PXI_WHY_SIZE]);

/* "10.0.0.0/8", "::1/128", or an address alone. */
bool pxi_cidr_read(struct px_text text, struct px_cidr *cidrp);

/* Sets every field that has a preset, those of sections too. */
void pxi_presets(const struct pxi_keys *keys, void *base);

/* The table of a key of type PXI_SECTION, whose struct lies at the key's offset. */
const struct pxi_keys *pxi_section(const struct pxi_key *key);

const struct pxi_key *pxi_key_find(const struct pxi_keys *keys, struct px_text name);

/* The closest of the names, if it is close enough to have been meant; else NULL. */
struct pxi_guess {
    struct px_text wanted;
    const char *best;
    size_t distance;
};
void pxi_guess_add(struct pxi_guess *guess, const char *name);

extern const char *const pxi_dialects[]; /* NULL-terminated */

/* Reads the whole text. False: it stopped in the middle, and what is missing says nothing. */
bool pxi_yaml_read(struct pxi_load *load, struct px_text yaml);

/* What only the whole can tell: unknown venues, repeated names, ticks at the asset's decimals. */
void pxi_check(struct pxi_load *load);
