/*
 * The configuration: what etc/pxengine.yaml says, checked. Loaded by the supervisor before the fork and inherited by every
 * worker; nobody changes it afterwards.
 */
#pragma once

#include <stdio.h>

#include "base/decimal.h"
#include "base/log.h"
#include "base/types.h"

#define PX_VENUES_MAX 32
#define PX_SOURCES_MAX 4
#define PX_ALIASES_MAX 4
#define PX_SYMBOL_SIZE 32
#define PX_VENUE_SYMBOL_SIZE 32
#define PX_ASSETS_MAX 65536

enum px_clock_source { PX_CLOCK_VENUE, PX_CLOCK_RECEIPT };

struct px_config_venue {
    char name[24];
    char dialect[24];
    char url[256];     /* ws:// or wss:// */
    char ca_file[256]; /* "" = the system's */
    enum px_clock_source clock;
    uint32_t stale_after_ms;
    uint32_t line; /* in the file, for messages */
};

struct px_config_source {
    px_venue_id venue;
    char symbol[PX_VENUE_SYMBOL_SIZE]; /* as the venue writes it */
};

struct px_config_asset {
    char symbol[PX_SYMBOL_SIZE]; /* BASE-QUOTE */
    char aliases[PX_ALIASES_MAX][PX_SYMBOL_SIZE];
    struct px_config_source sources[PX_SOURCES_MAX]; /* in order of preference; the first is the primary */
    uint8_t alias_count, source_count;
    uint8_t scale, size_scale;
    uint16_t max_jump_bp; /* against the last accepted price, in 1/100 of a percent; 0 = no bound */
    int64_t tick;         /* mantissa at scale; 0 = any */
};

struct px_config_limits {
    uint32_t alerts_per_owner, body_bytes, connections, subscriptions_per_connection, requests_per_second, silences_per_owner;
};

#define PX_ALLOWED_MAX 16

/* A range of addresses, "10.0.0.0/8" or "fd00::/8"; IPv4 lies in the first four bytes. */
struct px_cidr {
    uint8_t address[16];
    uint8_t bits;
    bool v6;
};

struct px_config_smtp {
    char url[256]; /* smtp://, smtps://; "" = no mail goes out */
    char from[128];
    char user[128], password_file[256]; /* "" = none */
    char ca_file[256];                  /* "" = the system's */
};

struct px_config_notify {
    uint32_t allowed_count; /* of private addresses that webhooks may reach */
    struct px_cidr allowed[PX_ALLOWED_MAX];
    struct px_config_smtp smtp;
    char vapid_subject[128]; /* whom a push service may write to; "" = no web push */
    char ca_file[256];       /* of receivers; "" = the system's */
    char user[32];           /* whose rights notify has when root starts the engine; "" = root's own */
    uint32_t per_minute;     /* of channels that say none; 0 = no bound */
};

struct px_config_history { /* how long it is kept, in days */
    uint32_t ticks, candles_1s, candles_1m, candles_5m, candles_1h;
};

struct px_config {
    char listen_host[64];
    uint16_t listen_port;
    char data[256];
    enum px_log_level log_level;
    uint32_t web_workers; /* 1..16 */
    uint32_t evaluators;  /* 1..4 */
    struct px_config_limits limits;
    struct px_config_history history;
    struct px_config_notify notify;
    uint32_t venue_count, asset_count;
    struct px_config_venue venues[PX_VENUES_MAX];
    struct px_config_asset *assets; /* asset_count of them, owned by the configuration */
};

#define PX_CONFIG_ERRORS_MAX 16

struct px_config_error {
    uint32_t line, column; /* from 1; 0 = the file as a whole */
    char message[200];     /* a sentence that says what to do */
};

struct px_config_errors {
    uint32_t count; /* may exceed PX_CONFIG_ERRORS_MAX; only so many are kept */
    struct px_config_error list[PX_CONFIG_ERRORS_MAX];
};

/*
 * Reads and checks the file: at most 1 MiB, depth 32, no aliases, anchors or tags, no unknown or repeated key. `overrides` are
 * "key=value" texts for top-level scalars (listen, data, log_level, web_workers, evaluators), NULL-terminated, or NULL. On any mistake
 * PX_E_CONFIG with every mistake in *errorsp and *configp NULL; never a half-read configuration. Blocks on the disk. Supervisor
 * and tools only.
 */
int px_config_load(const char *path, const char *const *overrides, struct px_config **configp,
                   struct px_config_errors *errorsp);
void px_config_destroy(struct px_config **configp);

px_venue_id px_config_venue_find(const struct px_config *config, const char *name); /* PX_VENUE_NONE */

/* "file:line:column: message" into `text`. */
void px_config_error_format(const char *path, const struct px_config_error *error, char *text, size_t size);

/* Writes every key with its default and meaning as Markdown tables, made from the table that the parser uses. */
void px_config_reference(FILE *to);
