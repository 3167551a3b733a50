/* What travels through the rings: ticks, seeds, alert events. Fixed sizes, no pointers, 64-bit words. */
#pragma once

#include "base/types.h"

enum px_tick_flags {
    PX_TICK_QUOTE = 1,       /* price is the bid, size the ask; else a trade */
    PX_TICK_QUARANTINED = 2, /* held back by the filter: history keeps it, nothing else looks at it */
    PX_TICK_AFTER_GAP = 4,   /* the first of its symbol after a lost connection: a crossing by it is late */
    PX_TICK_BUYER = 8,       /* the aggressor bought, where the venue says */
};

/* A trade or a quote that ingest has accepted. Writer: ingest. */
struct px_tick {
    px_asset_id asset;
    px_venue_id venue;
    uint16_t flags;    /* enum px_tick_flags */
    int64_t price;     /* mantissa at the asset's scale; of a quote the bid */
    int64_t size;      /* mantissa at the asset's size scale; of a quote the ask, at the price scale */
    int64_t time_ns;   /* event time: the venue's clock, or receipt where the configuration says so */
    int64_t recv_ns;   /* wall clock when the bytes were read */
    uint64_t trade_id; /* the venue's, 0 if it has none */
    uint64_t sseq;     /* counts the symbol's accepted trades and quotes, from 1, for the life of the region */
    int64_t newest_ns; /* highest time_ns among the symbol's accepted trades up to this one; a trade below it is late */
};
_Static_assert(sizeof(struct px_tick) == 64, "a tick is one cache line");

/* An alert's name: a ULID, "al_" + 26 characters in text. */
struct px_alert_id {
    uint64_t hi, lo;
};

enum px_seed_action {
    PX_SEED_RESET = 1, /* value = incarnation of the evaluator that is meant: what stands before in the queue was for another */
    PX_SEED_PRICE,     /* value = last price that is on disk: the price before a restart */
    PX_SEED_FIELD,     /* field, value, and start of its day or minute */
    PX_SEED_READY,     /* value = incarnation: everything has been sent, evaluate */
};

/* The day so far and the open minute as the disk has them; taken while the evaluator has no ticks of its own. */
enum px_seed_field {
    PX_SEED_DAY_OPEN = 1,
    PX_SEED_DAY_HIGH,
    PX_SEED_DAY_LOW,
    PX_SEED_DAY_VOLUME,
    PX_SEED_DAY_COUNT,
    PX_SEED_MINUTE_OPEN,
    PX_SEED_MINUTE_HIGH,
    PX_SEED_MINUTE_LOW,
    PX_SEED_MINUTE_CLOSE,
    PX_SEED_MINUTE_VOLUME,
    PX_SEED_MINUTE_COUNT,
    PX_SEED_MINUTE_AREA_HI,
    PX_SEED_MINUTE_AREA_LO,
    PX_SEED_MINUTE_DURATION,
    PX_SEED_MINUTE_LAST_NS,
    PX_SEED_MINUTE_VALUE_HI,
    PX_SEED_MINUTE_VALUE_LO,
    PX_SEED_FIELDS = PX_SEED_MINUTE_VALUE_LO
};

/* What a new evaluator has to know from before. Writer: keeper; reader: evaluator. */
struct px_seed {
    int64_t value;
    int64_t start_ns;
    px_asset_id asset;
    uint16_t field;  /* enum px_seed_field */
    uint16_t action; /* enum px_seed_action */
};
_Static_assert(sizeof(struct px_seed) == 24, "a seed record");

enum px_fire_flags {
    PX_FIRE_LATE = 1,      /* compared with a price from before a gap or a restart */
    PX_FIRE_AT_CREATE = 2, /* was already true when it was armed */
};

/* One crossing of one alert, as the keeper has judged it. */
struct px_fire {
    struct px_alert_id alert;
    px_asset_id asset;
    px_venue_id venue;
    uint16_t flags; /* enum px_fire_flags */
    int64_t price;  /* that fired */
    int64_t prev;   /* the accepted price before it, PX_PRICE_NONE if there was none */
    int64_t time_ns, recv_ns, matched_ns;
    uint64_t position; /* of the tick in the tick ring */
    uint64_t sseq;
};
_Static_assert(sizeof(struct px_fire) == 80, "a fire record");

#define PX_OWNER_SIZE 24
#define PX_LEVEL_SIZE 40
#define PX_ALERT_NAME_SIZE 64
#define PX_ALERT_MESSAGE_SIZE 256

/*
 * A durable fire, ready to be told: all that a client's frame needs, so that nobody asks the keeper in the hurry. Writer: keeper,
 * after the sync; readers: every web worker, notify.
 */
struct px_alert_event {
    uint64_t eseq; /* counts the durable fires for ever, from 1 */
    struct px_fire fire;
    uint32_t fire_number; /* of this alert, from 1 */
    uint16_t op;
    uint16_t deliveries; /* that it has made: channels to be told by notify */
    uint32_t count;      /* of fires that it stands for; 1 */
    uint16_t series;     /* enum px_series of what reached the level */
    uint8_t scale;       /* decimals of fire.price and fire.prev: the series' own */
    uint8_t spare;
    char owner[PX_OWNER_SIZE];
    char level[PX_LEVEL_SIZE];
    char name[PX_ALERT_NAME_SIZE];
    char message[PX_ALERT_MESSAGE_SIZE];
};
_Static_assert(sizeof(struct px_alert_event) == 488 && sizeof(struct px_alert_event) % 8 == 0, "an alert event");
