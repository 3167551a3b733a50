/*
 * A delivery: one fire on its way to one channel, with what became of every attempt.
 *
 *                claim                 report: 2xx
 *   pending ─────────────► delivering ─────────────► delivered
 *      ▲                     │    │ ▲
 *      │ report: not now     │    │ └──── claim, when due ──── failed
 *      └─────────────────────┘    ├──── report: try again ───────▲
 *      ▲                          └──── report: 410, or its time is up ───► dead
 *      └────────────────────────────────── replay ───────────────────────────┘
 *
 * A fire that a silence keeps back makes one too, `silenced` from its birth, so that the log shows what was not told; a replay tells it.
 * One that gathers, for a storm or for a channel that groups, stays pending until its time has come, and counts the fires that join.
 *
 * Made by the keeper in the batch that makes the fire durable, so neither is there without the other. `delivering` is a lease: when
 * notify dies, the keeper gives it out again. So a receiver may hear a fire twice, and under one id: `ev_<alert>_<fire>`.
 */
#pragma once

#include "store/channel.h"

/* number, name in the API */
#define PX_DELIVERY_STATE_TABLE(X)                                                                                     \
    X(PENDING, 1, "pending")                                                                                           \
    X(DELIVERING, 2, "delivering")                                                                                     \
    X(DELIVERED, 3, "delivered")                                                                                       \
    X(FAILED, 4, "failed")                                                                                             \
    X(DEAD, 5, "dead")                                                                                                 \
    X(SILENCED, 6, "silenced")

enum px_delivery_state {
    PX_DELIVERY_ANY = 0,
#define PX_DELIVERY_ENUM(NAME, number, name) PX_DELIVERY_##NAME = (number),
    PX_DELIVERY_STATE_TABLE(PX_DELIVERY_ENUM)
#undef PX_DELIVERY_ENUM
};

#define PX_ATTEMPTS_KEPT      16
#define PX_ATTEMPT_ERROR_SIZE 56
#define PX_JOINED_MAX         16 /* fires that are listed beside the first; `count` has them all */

struct px_attempt {
    int64_t time_ns; /* wall, when it began */
    uint32_t latency_us;
    int32_t status; /* HTTP's or SMTP's; 0: there was none */
    char error[PX_ATTEMPT_ERROR_SIZE];
};

struct px_delivery {
    uint64_t number;                   /* counts deliveries for ever, from 1; "dl_<number>" in text */
    uint64_t eseq;                     /* the fire; 0: a test, nothing has fired */
    struct px_alert_id alert, channel; /* the test of a channel has no alert */
    uint32_t fire_number;
    uint32_t attempts; /* all of them; the last PX_ATTEMPTS_KEPT are kept */
    uint32_t tries;    /* those since it was made or replayed: each life has at least one, however long it had to wait */
    uint32_t count;    /* fires that it tells of */
    uint32_t state;    /* enum px_delivery_state */
    uint32_t joined_count;
    int64_t created_ns, due_ns, expires_ns;
    uint64_t joined[PX_JOINED_MAX];    /* eseqs of the fires that have joined the first */
    struct px_alert_id silence;        /* that keeps it back; {0, 0} = none */
    char owner[PX_OWNER_SIZE];
    struct px_attempt attempt[PX_ATTEMPTS_KEPT]; /* attempt i, from 0, at i % PX_ATTEMPTS_KEPT */
};

#define PX_DELIVERY_ID_SIZE  24
#define PX_DELIVERY_NAME_SIZE 48

void px_delivery_id_format(uint64_t number, char text[PX_DELIVERY_ID_SIZE]); /* "dl_17" */
int px_delivery_id_parse(struct px_text text, uint64_t *numberp);            /* PX_E_FORMAT */

/* What a receiver knows it by, the same over retries and restarts: "ev_<alert>_<fire>"; "ev_test_<number>". */
void px_delivery_name(const struct px_delivery *delivery, char text[PX_DELIVERY_NAME_SIZE]);

const char *px_delivery_state_name(unsigned state); /* "pending"; "unknown" */
enum px_delivery_state px_delivery_state_find(struct px_text name); /* PX_DELIVERY_ANY for one that is none */

#define PX_DELIVERY_ENCODED_MAX 1664

/* Neither delivered, nor dead, nor silenced. */
static inline bool px_delivery_is_open(const struct px_delivery *delivery)
{
    return delivery->state != PX_DELIVERY_DELIVERED && delivery->state != PX_DELIVERY_DEAD &&
           delivery->state != PX_DELIVERY_SILENCED;
}

size_t px_delivery_encode(const struct px_delivery *delivery, uint8_t bytes[PX_DELIVERY_ENCODED_MAX]);
int px_delivery_decode(const void *bytes, size_t n, struct px_delivery *deliveryp); /* PX_E_FORMAT */

/* ---- between notify and the keeper ---- */

/* One more fire of a notification that tells of several. */
struct px_told {
    struct px_fire fire;
    uint32_t fire_number;
    uint16_t op;
    uint8_t scale; /* of the fire's prices */
    char level[PX_LEVEL_SIZE], name[PX_ALERT_NAME_SIZE];
};

/* What notify gets to send. */
struct px_job {
    struct px_delivery delivery;
    struct px_alert_event event; /* all zero for the test of a channel; of that of an alert, what a fire would tell */
    struct px_channel channel;
    uint32_t told_count;
    struct px_told told[PX_JOINED_MAX];
};

enum px_outcome {
    PX_OUTCOME_DELIVERED = 1,
    PX_OUTCOME_AGAIN, /* failed, to be tried at due_ns */
    PX_OUTCOME_DEAD,
    PX_OUTCOME_DEFER, /* no attempt was made: not before due_ns */
};

struct px_report {
    uint64_t number;
    uint32_t attempt; /* which it was, from 1, so that a repeated report changes nothing */
    uint16_t outcome;
    bool gone; /* the receiver wants no more: its channel ends */
    int64_t due_ns;
    struct px_attempt what;
};

/* So many that a keeper that gets to an exchange twenty times a second only, on a busy disk, does not set the pace. */
#define PX_REPORTS_MAX 128
#define PX_JOBS_MAX    256

/* One exchange: what has become of some, and room for more. */
struct px_turn {
    uint32_t count;   /* of reports */
    uint32_t want;    /* jobs, 0 .. PX_JOBS_MAX */
    uint32_t wait_ms; /* when nothing is due, the answer may take so long, and comes as soon as something is */
    bool fresh;       /* notify holds no lease that it knows of */
    struct px_report report[PX_REPORTS_MAX];
};
