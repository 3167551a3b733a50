/*
 * An alert as it is kept: one fixed-size record in memory, one compact versioned encoding on disk. Web fills it for a
 * create; the keeper owns it from then on.
 */
#pragma once

#include "base/config.h"
#include "base/decimal.h"
#include "match/condition.h"

#define PX_ALERT_TAGS_MAX 8
#define PX_ALERT_TAG_SIZE 32
#define PX_ALERT_CHANNELS_MAX 8

/* number, name in API answers. Waiting (fired, not armed again yet) and cooling are armed on disk, and found out when read. */
#define PX_ALERT_STATE_TABLE(X)                                                                                        \
    X(ARMED, 1, "armed")                                                                                               \
    X(PAUSED, 2, "paused")                                                                                             \
    X(FIRED, 3, "fired")                                                                                               \
    X(EXPIRED, 4, "expired")                                                                                           \
    X(WAITING, 5, "waiting")                                                                                           \
    X(COOLING, 6, "cooling")

enum px_alert_state {
    PX_ALERT_ANY = 0, /* in filters */
#define PX_ALERT_STATE_ENUM(NAME, number, name) PX_ALERT_##NAME = (number),
    PX_ALERT_STATE_TABLE(PX_ALERT_STATE_ENUM)
#undef PX_ALERT_STATE_ENUM
};

/* All texts are terminated UTF-8; the record has no padding that matters and may be copied as a whole. */
struct px_alert {
    struct px_alert_id id;       /* made by the client of the keeper, so that a repeated create is one create */
    struct px_alert_id token;    /* of a create: a day long the same token gets what the first got; {0, 0}: none. Not durable */
    char owner[PX_OWNER_SIZE];   /* key id */
    char symbol[PX_SYMBOL_SIZE]; /* canonical; the durable name of the asset */
    px_asset_id asset; /* in the running configuration, found by `symbol`; PX_ASSET_NONE if it has gone. Not durable */
    uint8_t state; /* enum px_alert_state */
    uint8_t tag_count;
    uint8_t channel_count;
    uint8_t spare;
    uint32_t version;                  /* from 1; the ETag */
    int64_t created_ns, last_fired_ns; /* wall; that of the price that made it fire, 0 = never */
    uint64_t fires;
    uint64_t rearmed_fires; /* of them, before it was last armed by hand: max_fires counts from there */
    struct px_rule rule; /* as the client wrote it */
    char name[PX_ALERT_NAME_SIZE];
    char message[PX_ALERT_MESSAGE_SIZE];
    char tags[PX_ALERT_TAGS_MAX][PX_ALERT_TAG_SIZE];
    struct px_alert_id channels[PX_ALERT_CHANNELS_MAX]; /* that are told of a fire */
};

#define PX_ALERT_ID_SIZE 30 /* "al_", 26 characters, terminator */

/* "al_" and 26 characters of Crockford's base 32, lower case; sorts like the number. */
void px_alert_id_format(struct px_alert_id id, char text[PX_ALERT_ID_SIZE]);

/* PX_E_FORMAT on anything that px_alert_id_format does not write (capital letters are taken too). */
int px_alert_id_parse(struct px_text text, struct px_alert_id *idp);

/* "armed"; "unknown". PX_ALERT_ANY for a name that is none. */
const char *px_alert_state_name(unsigned state);
enum px_alert_state px_alert_state_find(struct px_text name);

/* What a create must fulfil whoever asks: known operators, sources and frequency, terminated texts, owner, symbol, levels
 * where there must be some. Whether they make sense together px_rule_plan knows. PX_E_INVALID. */
int px_alert_check(const struct px_alert *alert);

#define PX_ALERT_ENCODED_MAX 1536

/* Version byte, then fields in a fixed order, texts with their length before them, and as many conditions as there are. Returns the bytes written. */
size_t px_alert_encode(const struct px_alert *alert, uint8_t bytes[PX_ALERT_ENCODED_MAX]);

/* PX_E_FORMAT for another version, a length that leads outside, or bytes left over. `asset` becomes PX_ASSET_NONE. */
int px_alert_decode(const void *bytes, size_t n, struct px_alert *alertp);
