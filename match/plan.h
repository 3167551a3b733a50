/*
 * What an alert waits for, as a small machine of numbers. Pure: no clock, no memory but the caller's, no input but its arguments.
 *
 * A leg is one condition. It cuts the values of its series into three zones,
 *
 *            BELOW          MIDDLE           ABOVE
 *      ───────────────┼───────────────┼───────────────►  value
 *                     a             b                     BELOW: c < a   MIDDLE: a <= c <= b   ABOVE: c > b
 *
 * and looks at how the value moves between them. Levels are mantissas at the series' scale, rounded so that comparing with them is the same
 * as comparing with the exact level. Where nothing lies above (below), b is INT64_MAX (a is INT64_MIN); a level between two mantissas
 * leaves the middle of `crossing` empty, a = b + 1.
 *
 *   op                  a, b          true in         fires
 *   >=  >               L, MAX        MIDDLE          when true
 *   <=  <               MIN, L        MIDDLE          when true
 *   inside, outside     lo, hi        MIDDLE; others  when true
 *   crossing_up         L, MAX                        BELOW -> MIDDLE
 *   crossing_down       MIN, L                        ABOVE -> MIDDLE
 *   crossing            L, L                          BELOW -> MIDDLE, ABOVE;  ABOVE -> MIDDLE, BELOW
 *   entering, exiting   lo, hi                        others -> MIDDLE;  MIDDLE -> others
 *   moving_*            amount, MAX   MIDDLE          when true; the series is RISE_*, FALL_* or their percentages
 *   stale               window, MAX                   BELOW -> MIDDLE; the series is AGE
 *
 * A single leg that has fired and may fire again WAITS: it is armed again by a value outside of the hold zone [hold_a, hold_b] (of which
 * hysteresis is a part), or, of outside and exiting, by one inside of it. `crossing` without hysteresis does not wait. An alert of several
 * legs fires when all are true at once, a crossing being true at the very tick that makes it; it waits until one of them is not.
 *
 * Where a leg wants to hear of its series are its places: at most one level above the value and one below. The value reaches
 * a place of an alert only if that changes the plan, and when it has been applied no place on that series is reached any more.
 */
#pragma once

#include "shm/levels.h"

#define PX_LEGS_MAX   5
#define PX_PLACES_MAX (2 * PX_LEGS_MAX)

/* name in the API, other spelling or NULL, number on disk */
#define PX_OP_TABLE(X)                                                                                                 \
    X(GREATER_OR_EQUAL, "greater_or_equal", ">=", 1)                                                                   \
    X(LESS_OR_EQUAL, "less_or_equal", "<=", 2)                                                                         \
    X(CROSSING_UP, "crossing_up", NULL, 3)                                                                             \
    X(CROSSING_DOWN, "crossing_down", NULL, 4)                                                                         \
    X(GREATER_THAN, "greater_than", ">", 5)                                                                            \
    X(LESS_THAN, "less_than", "<", 6)                                                                                  \
    X(CROSSING, "crossing", NULL, 7)                                                                                   \
    X(ENTERING_CHANNEL, "entering_channel", NULL, 8)                                                                   \
    X(EXITING_CHANNEL, "exiting_channel", NULL, 9)                                                                     \
    X(INSIDE_CHANNEL, "inside_channel", NULL, 10)                                                                      \
    X(OUTSIDE_CHANNEL, "outside_channel", NULL, 11)                                                                    \
    X(MOVING_UP, "moving_up", NULL, 12)                                                                                \
    X(MOVING_DOWN, "moving_down", NULL, 13)                                                                            \
    X(MOVING_UP_PCT, "moving_up_pct", NULL, 14)                                                                        \
    X(MOVING_DOWN_PCT, "moving_down_pct", NULL, 15)                                                                    \
    X(STALE, "stale", NULL, 16)

enum px_alert_op {
#define PX_OP_ENUM(NAME, name, other, number) PX_OP_##NAME = (number),
    PX_OP_TABLE(PX_OP_ENUM)
#undef PX_OP_ENUM
};

const char *px_op_name(unsigned op);          /* "crossing_up"; "unknown" */
unsigned px_op_find(struct px_text name);     /* by either spelling; 0: none */
bool px_op_has_two_levels(unsigned op);       /* channels */
bool px_op_is_level(unsigned op);             /* true or false of a value alone, so already true when created fires at once */

/* number on disk, name in the API */
#define PX_FREQUENCY_TABLE(X)                                                                                          \
    X(ONCE, 1, "once")                                                                                                 \
    X(EVERY_TIME, 2, "every_time")                                                                                     \
    X(ONCE_PER_MINUTE, 3, "once_per_minute")                                                                           \
    X(ONCE_PER_BAR, 4, "once_per_bar")                                                                                 \
    X(ONCE_PER_BAR_CLOSE, 5, "once_per_bar_close")

enum px_alert_frequency {
#define PX_FREQUENCY_ENUM(NAME, number, name) PX_FREQUENCY_##NAME = (number),
    PX_FREQUENCY_TABLE(PX_FREQUENCY_ENUM)
#undef PX_FREQUENCY_ENUM
};

enum px_zone { PX_ZONE_UNKNOWN, PX_ZONE_BELOW, PX_ZONE_MIDDLE, PX_ZONE_ABOVE };

struct px_leg {
    uint8_t op;     /* enum px_alert_op */
    uint8_t series; /* enum px_series */
    uint8_t zone;   /* enum px_zone: where the last value lay; of a plan that waits, in the hold zone. UNKNOWN: no value yet */
    uint8_t spare[5];
    int64_t a, b;
    int64_t hold_a, hold_b; /* of a single leg that waits; a, b (or what waits without hysteresis) */
    uint64_t crossed;       /* several legs: 1 + position of the moment at which a crossing has last been made; 0 = never */
};

struct px_plan {
    uint8_t waiting; /* has fired, and not been armed again */
    uint8_t frequency; /* enum px_alert_frequency */
    uint8_t legs;      /* 1 .. PX_LEGS_MAX */
    uint8_t spare;
    uint32_t bar_s;       /* once_per_bar: its length; else 0 */
    int64_t cooldown_ns;  /* no fire within it after a fire; 0 = none */
    int64_t expires_ns;   /* wall; 0 = never */
    uint64_t max_fires;   /* 0 = no end */
    uint64_t fires;       /* so far */
    int64_t fired_ns;     /* event time of the last fire; meaningful when fires > 0 */
    uint64_t young_generation, young_position; /* hits of this generation at positions below this one are older than the alert; 0, 0 */
    struct px_leg leg[PX_LEGS_MAX];
};

/* A level at which the plan wants to hear of a series. */
struct px_place {
    int64_t level;
    uint8_t series; /* enum px_series */
    uint8_t down;   /* 0: when the value is >= level; 1: <= */
    uint8_t leg;
    uint8_t spare[5];
};

enum px_verdict {
    PX_VERDICT_NOTHING, /* the plan may have moved; nothing to tell */
    PX_VERDICT_FIRES,   /* plan->fires has been counted, and it goes on: it has places */
    PX_VERDICT_LAST,    /* fires, for the last time: no places any more */
    PX_VERDICT_EXPIRED, /* its time was up before it could fire: no places any more */
};

/* A moment: what a value is compared at. */
struct px_moment {
    uint64_t position; /* of struct px_levels_value: grows from moment to moment of an asset */
    int64_t time_ns;   /* event time: frequency and cooldown */
    int64_t wall_ns;   /* expiry */
};

/*
 * Places all legs by the present values of their series (PX_PRICE_NONE: unknown), as if for the first time: not waiting. Level
 * conditions that are already true fire at once; crossings do not. fires, fired_ns stay as they are.
 */
enum px_verdict px_plan_arm(struct px_plan *plan, const int64_t value[PX_SERIES], const struct px_moment *moment);

/* The next value of leg `leg`'s series; the other legs of that series hear it too. */
enum px_verdict px_plan_value(struct px_plan *plan, unsigned leg, int64_t value, const struct px_moment *moment);

/* Where the plan waits now. Returns how many. */
unsigned px_plan_places(const struct px_plan *plan, struct px_place place[PX_PLACES_MAX]);

/* Is the value at the place? */
static inline bool px_place_reached(int64_t level, bool down, int64_t value)
{
    return down ? value <= level : value >= level;
}

#define PX_CANDIDATES_MAX (8 * PX_LEGS_MAX)

/* Everywhere where this plan may wait in any of its states: whoever looks for it without knowing its state looks there. */
unsigned px_plan_candidates(const struct px_plan *plan, struct px_place place[PX_CANDIDATES_MAX]);

/* Of a single leg that crosses back within a span of values of which the order is not known (struct px_span): did it cross? */
bool px_plan_crossed_within(const struct px_plan *plan, const struct px_span *span);

/*
 * The plan in few bytes, relative to one of its places (the row's key tells that). A one-shot alert of one level takes 5 or 6 bytes.
 * Returns the bytes written.
 */
#define PX_PLAN_BYTES_MAX 320
size_t px_plan_encode(const struct px_plan *plan, const struct px_place *at, uint8_t bytes[PX_PLAN_BYTES_MAX]);
int px_plan_decode(const void *bytes, size_t n, const struct px_place *at, struct px_plan *planp); /* PX_E_FORMAT */
