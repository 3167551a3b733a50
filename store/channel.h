/*
 * A channel is where an owner wants fires to be told: a webhook, an address for mail, a browser's push service. Web fills the record
 * for a create or a change; the keeper owns it; notify reads it. Secrets lie in it in clear, since they sign: it never leaves the
 * machine but for the one answer that makes a secret known.
 */
#pragma once

#include "store/alert.h"

/* number, name in the API */
#define PX_CHANNEL_TYPE_TABLE(X)                                                                                       \
    X(WEBHOOK, 1, "webhook")                                                                                           \
    X(EMAIL, 2, "email")                                                                                               \
    X(WEBPUSH, 3, "webpush")

#define PX_CHANNEL_STATE_TABLE(X)                                                                                      \
    X(ACTIVE, 1, "active")                                                                                             \
    X(PAUSED, 2, "paused") /* by its owner */                                                                          \
    X(GONE, 3, "gone")     /* the receiver said 410: it wants no more */

enum px_channel_type {
#define PX_CHANNEL_ENUM(NAME, number, name) PX_CHANNEL_##NAME = (number),
    PX_CHANNEL_TYPE_TABLE(PX_CHANNEL_ENUM)
};
enum px_channel_state {
    PX_CHANNEL_STATE_TABLE(PX_CHANNEL_ENUM)
#undef PX_CHANNEL_ENUM
};

enum px_channel_format { PX_FORMAT_STANDARD = 1, PX_FORMAT_RAW };

#define PX_CHANNELS_PER_OWNER 100
#define PX_TARGET_SIZE        512
#define PX_SECRET_SIZE        64 /* "whsec_" and 24 to 42 bytes in base64 */
#define PX_CHANNEL_TTL_S      900
#define PX_CHANNEL_TTL_MAX_S  86400
#define PX_CHANNEL_RATE_MAX   6000
#define PX_CHANNEL_GROUP_MAX_S 3600
#define PX_CODE_SIZE          8 /* six digits */
#define PX_CODE_TRIES         5
#define PX_CODE_NS            INT64_C(3600000000000)
#define PX_SECRET_OVERLAP_NS  INT64_C(86400000000000) /* so long after a change both secrets sign */

struct px_channel {
    struct px_alert_id id; /* a ULID as alerts have them; "ch_" in text */
    char owner[PX_OWNER_SIZE];
    uint8_t type, format, state, spare;
    uint32_t version;    /* from 1; the ETag */
    uint32_t ttl_s;      /* an attempt is made again for so long after the fire */
    uint32_t per_minute; /* notifications at most; 0 = what the configuration says */
    uint32_t code_tries;               /* guesses that are left */
    int64_t code_ns, verified_ns;      /* when the code was made; when somebody at the target has read one: 0 = never */
    char code[PX_CODE_SIZE];           /* "" = none is on its way */
    uint32_t group_s;    /* fires within so long are told together; 0 = each by itself */
    int64_t created_ns, rotated_ns;
    char name[PX_ALERT_NAME_SIZE];
    char target[PX_TARGET_SIZE]; /* URL, mail address, or push endpoint */
    char secret[PX_SECRET_SIZE]; /* webhook */
    char before[PX_SECRET_SIZE]; /* the secret until rotated_ns */
    char p256dh[96], auth[32];   /* webpush: the browser's keys in base64url */
};

void px_channel_id_format(struct px_alert_id id, char text[PX_ALERT_ID_SIZE]); /* "ch_…" */
int px_channel_id_parse(struct px_text text, struct px_alert_id *idp);         /* PX_E_FORMAT */

const char *px_channel_type_name(unsigned type);   /* "webhook"; "unknown" */
const char *px_channel_state_name(unsigned state); /* "active"; "unknown" */

/* What a put must fulfil whoever asks. PX_E_INVALID. */
int px_channel_check(const struct px_channel *channel);

#define PX_CHANNEL_ENCODED_MAX 1024

size_t px_channel_encode(const struct px_channel *channel, uint8_t bytes[PX_CHANNEL_ENCODED_MAX]);
int px_channel_decode(const void *bytes, size_t n, struct px_channel *channelp); /* PX_E_FORMAT */
