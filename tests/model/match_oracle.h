/*
 * A slow and obvious oracle of alerts: every alert in an array, every definition of the contract looked up per value with p and c. No zones,
 * no places, no windows. Levels are kept in halves, so that those between two mantissas are exact.
 */
#pragma once

#include "match/condition.h"

#define ORACLE_ASSETS 2
#define ORACLE_ALERTS 24
#define ORACLE_FIRES  8192

struct oracle_alert {
    bool there, waiting, ended;
    px_asset_id asset;
    struct px_rule rule;
    int64_t lo2[PX_LEGS_MAX], hi2[PX_LEGS_MAX], h2; /* halves of a unit; h2 = 0: no hysteresis */
    uint8_t series[PX_LEGS_MAX];
    uint64_t crossed[PX_LEGS_MAX];
    int64_t factor[PX_LEGS_MAX]; /* mantissas a unit */
    uint64_t fires;
    int64_t fired_ns;
};

struct oracle_fire {
    uint32_t alert;
    uint32_t number;
    uint64_t position;
};

struct oracle {
    struct oracle_alert alert[ORACLE_ALERTS];
    int64_t value[ORACLE_ASSETS][PX_SERIES];
    struct oracle_fire fire[ORACLE_FIRES];
    unsigned fires;
};

struct oracle_moment {
    uint64_t position;
    int64_t time_ns; /* of the value */
    int64_t wall_ns; /* at which it is looked at: expiry */
};

/* A value of a series: p is what oracle->value says, which becomes c. */
void oracle_value(struct oracle *oracle, px_asset_id asset, unsigned series, int64_t c, const struct oracle_moment *moment);

/*
 * Several values of which only bounds are known, `last` the last of them: the two ends in the order of their times, then the crossings that the
 * steps between allow and the ends do not show, then the last.
 */
struct oracle_span {
    struct px_span bounds;
    int64_t last;
};
void oracle_several(struct oracle *oracle, px_asset_id asset, unsigned series, const struct oracle_span *span,
                    const struct oracle_moment *moment);

/* The alert is armed anew by the present values; fires stay. */
void oracle_arm(struct oracle *oracle, unsigned alert, const struct oracle_moment *moment);
