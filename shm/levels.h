/*
 * Where levels are watched: the series of every asset, their present values, and how far each may go before the keeper has to look.
 *
 *      evaluator                                              keeper
 *      levels (latch): values, position      ───────────►     arms an alert against them
 *      value >= near.up  or  <= near.down,
 *      or what was told is not heard yet     ── hit queue ──► looks into the index, fires, moves, commits
 *      near, heard, interest                 ◄───────────     lowers before a commit, raises after it
 *
 * A series is a sequence of numbers of one asset on which conditions are told: its last price, a TWAP, the rise within a window, the age
 * of its last tick. Every condition waits for a series to reach a level from below or from above (match/plan.h).
 *
 * Guarantees
 *   1. A value that some waiting level is reached by is told to the keeper, in order, whatever dies. near.up is never above the nearest
 *      level that waits for the series to rise, near.down never below the nearest that waits for it to fall: the keeper lowers before
 *      the commit that adds a level, and raises after the one that takes it away. Both may be too near: a hit that finds nothing does no harm.
 *   2. Between a hit and the moment when the keeper has heard it, every value of that series is told, since the hit may bring
 *      levels nearer. `heard` is a position of the hit queue.
 *   3. An alert is armed against a value that stands before all values that it is compared with.
 *        evaluator: levels (latch) · full barrier · near, heard, interest         keeper: near, interest · full barrier · levels
 *      Either the evaluator sees the nearer level, or the keeper sees the newer value. Hits that are older than the position in the
 *      latch do not concern the alert; one of the same position has the same value and changes nothing.
 *
 * Death of the evaluator: its successor evaluates the tick that was not committed again: the same latch, the same hits once more, and
 * what is told twice in a row changes nothing. Death of the keeper: `near` stands, too near at worst; its successor goes on in the
 * queue behind its durable checkpoint.
 */
#pragma once

#include "base/types.h"
#include "shm/latch.h"

/* name, text in last words and metrics */
#define PX_SERIES_TABLE(X)                                                                                             \
    X(LAST, last)                                                                                                      \
    X(BID, bid)                                                                                                        \
    X(ASK, ask)                                                                                                        \
    X(MID, mid)                                                                                                        \
    X(TWAP_1M, twap_1m)                                                                                                \
    X(TWAP_5M, twap_5m)                                                                                                \
    X(TWAP_15M, twap_15m)                                                                                              \
    X(CLOSE_1M, close_1m)                                                                                              \
    X(CLOSE_5M, close_5m)                                                                                              \
    X(CLOSE_15M, close_15m)                                                                                            \
    X(CLOSE_1H, close_1h)                                                                                              \
    X(CLOSE_4H, close_4h)                                                                                              \
    X(CLOSE_1D, close_1d)                                                                                              \
    X(RISE_1M, rise_1m)                                                                                                \
    X(RISE_5M, rise_5m)                                                                                                \
    X(RISE_15M, rise_15m)                                                                                              \
    X(RISE_1H, rise_1h)                                                                                                \
    X(FALL_1M, fall_1m)                                                                                                \
    X(FALL_5M, fall_5m)                                                                                                \
    X(FALL_15M, fall_15m)                                                                                              \
    X(FALL_1H, fall_1h)                                                                                                \
    X(RISE_PCT_1M, rise_pct_1m)                                                                                        \
    X(RISE_PCT_5M, rise_pct_5m)                                                                                        \
    X(RISE_PCT_15M, rise_pct_15m)                                                                                      \
    X(RISE_PCT_1H, rise_pct_1h)                                                                                        \
    X(FALL_PCT_1M, fall_pct_1m)                                                                                        \
    X(FALL_PCT_5M, fall_pct_5m)                                                                                        \
    X(FALL_PCT_15M, fall_pct_15m)                                                                                      \
    X(FALL_PCT_1H, fall_pct_1h)                                                                                        \
    X(AGE, age)

enum px_series {
#define PX_SERIES_ENUM(NAME, name) PX_SERIES_##NAME,
    PX_SERIES_TABLE(PX_SERIES_ENUM)
#undef PX_SERIES_ENUM
        PX_SERIES
};
_Static_assert(PX_SERIES <= 32, "one bit a series in `interest`");

#define PX_PERCENT_SCALE 6 /* decimals of a percentage, rounded down: reached exactly when the exact one is */

/*
 * Decimals of a series' values, given the asset's: prices as the asset, MID one more (at most 18, rounded down), TWAPs as
 * px_average_scale, percentages PX_PERCENT_SCALE, AGE 3 (seconds, in ms).
 */
unsigned px_series_scale(enum px_series series, unsigned asset_scale);

/* Moves and the age are about the last price: a fire by them is told with it, not with how far it has come. */
static inline bool px_series_is_about_last(unsigned series)
{
    return series >= PX_SERIES_RISE_1M;
}

const char *px_series_name(unsigned series); /* "last"; "unknown" */

/* Writer: evaluator. The values of one moment; PX_PRICE_NONE where there is none (yet, or not enough coverage). */
struct px_levels_value {
    uint64_t position; /* counts the asset's moments, from 1; 0 = none yet, and no value means anything */
    int64_t tick_ns;   /* wall clock when the asset's last tick came: AGE counts from there */
    int64_t value[PX_SERIES];
};
typedef PX_LATCH_OF(struct px_levels_value, 576) px_levels_slot;
_Static_assert(sizeof(px_levels_slot) == 576, "a levels slot");

/* Writer: keeper; one a series of an asset. */
struct px_near {
    int64_t up, down; /* the nearest levels; INT64_MAX, INT64_MIN: nothing waits */
    uint64_t heard;   /* hit queue position behind the last hit of this series that is durable */
};

/* Writer: keeper; one an asset. Zeroed memory watches nothing. */
struct px_watch {
    _Alignas(PX_FALSE_SHARING) uint32_t interest; /* bit a series: something waits on it */
    uint32_t spare;
    struct px_near near[PX_SERIES];
};

enum px_hit_flags {
    PX_HIT_LATE = 1, /* compared with a value from before a gap or a restart */
    PX_HIT_SPAN = 2, /* several values of which only bounds are known; `value` is the last one. LAST only */
    PX_HIT_TIMER = 4, /* no tick came: time itself has moved the series */
};

/* Several values at once: they lay within [low, high], and rose within [rise_from, rise_to] and fell within [fall_to, fall_from]. */
struct px_span {
    int64_t low, high; /* include the last value */
    int64_t low_ns, high_ns;
    int64_t rise_from, rise_to; /* lowest begin and highest end of a step up, that from before included; from >= to: none */
    int64_t fall_from, fall_to; /* highest begin and lowest end of a step down; from <= to: none */
};

/* A value that may reach something. Writer: evaluator; reader: keeper. */
struct px_hit {
    px_asset_id asset;
    px_venue_id venue;
    uint16_t flags; /* enum px_hit_flags */
    uint64_t series; /* enum px_series */
    int64_t value;
    int64_t prev;    /* the value before, PX_PRICE_NONE if there was none */
    int64_t last, last_prev; /* the asset's last price then, and before: what a move or a silence is told with */
    int64_t time_ns, recv_ns, matched_ns;
    uint64_t position; /* of px_levels_value: hits of one moment have one position, later ones of the asset a higher one */
    uint64_t tick;     /* the tick's position in the tick ring; of a timer's, behind the last one */
    uint64_t sseq;
    struct px_span span; /* with PX_HIT_SPAN */
};
_Static_assert(sizeof(struct px_hit) == 160, "a hit record");

/* Any process: would the keeper have to see this value? `told`: hit queue position behind the last hit told of the series. */
static inline bool px_near_reached(const struct px_near *near, int64_t value, uint64_t told)
{
    return value >= px_load_relaxed(&near->up) || value <= px_load_relaxed(&near->down) || px_load_acquire(&near->heard) < told;
}
