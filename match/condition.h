/*
 * A condition as its author wrote it: texts, exact and unrounded. What is durable of an alert; a plan (match/plan.h) is made from it for
 * the decimals that the asset has today. Pure.
 */
#pragma once

#include "match/plan.h"
#include "shm/tick.h"

/* number on disk, name in the API */
#define PX_SOURCE_TABLE(X)                                                                                             \
    X(LAST, 1, "last")                                                                                                 \
    X(BID, 2, "bid")                                                                                                   \
    X(ASK, 3, "ask")                                                                                                   \
    X(MID, 4, "mid")                                                                                                   \
    X(TWAP_1M, 5, "twap_1m")                                                                                           \
    X(TWAP_5M, 6, "twap_5m")                                                                                           \
    X(TWAP_15M, 7, "twap_15m")                                                                                         \
    X(CLOSE, 8, "close")

enum px_alert_source {
#define PX_SOURCE_ENUM(NAME, number, name) PX_SOURCE_##NAME = (number),
    PX_SOURCE_TABLE(PX_SOURCE_ENUM)
#undef PX_SOURCE_ENUM
};

const char *px_source_name(unsigned source);
unsigned px_source_find(struct px_text name); /* 0: none */
const char *px_frequency_name(unsigned frequency);
unsigned px_frequency_find(struct px_text name); /* 0: none */

struct px_condition {
    uint8_t op;     /* enum px_alert_op */
    uint8_t source; /* enum px_alert_source; LAST for moving_* and stale */
    uint8_t spare[2];
    uint32_t window_s; /* moving_*: 60, 300, 900 or 3600; stale: 1 .. 86400; else 0 */
    char level[PX_LEVEL_SIZE]; /* "70000.5": the level, the lower one of a channel, or the amount (a percentage of *_pct) */
    char upper[PX_LEVEL_SIZE]; /* of a channel; else "" */
};

/* All that matching needs of an alert. */
struct px_rule {
    struct px_condition condition[PX_LEGS_MAX];
    uint8_t conditions; /* 1 .. PX_LEGS_MAX */
    uint8_t frequency;  /* enum px_alert_frequency */
    uint8_t hysteresis_pct; /* `hysteresis` is a percentage of the level, else an amount */
    uint8_t spare;
    uint32_t bar_s; /* once_per_bar, once_per_bar_close, and source close: 60, 300, 900, 3600, 14400, 86400; else 0 */
    int64_t cooldown_ns, expires_ns;
    uint64_t max_fires;
    char hysteresis[PX_LEVEL_SIZE]; /* "" = none */
};

enum px_rule_part { PX_RULE_FINE, PX_RULE_OP, PX_RULE_SOURCE, PX_RULE_LEVEL, PX_RULE_UPPER, PX_RULE_WINDOW, PX_RULE_HYSTERESIS,
                    PX_RULE_FREQUENCY, PX_RULE_BAR, PX_RULE_COUNT };

/* What is wrong with a rule, for a person: which part of which condition, and a text that says what it must be. */
struct px_rule_fault {
    enum px_rule_part part;
    unsigned condition;
    const char *text; /* static: "must be greater than 0" */
};

/*
 * Makes the plan: zones unknown, nothing fired. Checks everything: 0, or PX_E_INVALID with the first fault in *faultp (NULL: nobody wants to
 * know). once_per_bar_close of `last` becomes the series of closes of that bar.
 */
int px_rule_plan(const struct px_rule *rule, unsigned asset_scale, struct px_plan *planp, struct px_rule_fault *faultp);
