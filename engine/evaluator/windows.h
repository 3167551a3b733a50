/*
 * Live windows of one asset: TWAP, VWAP, high, low, volume over the last 1, 5, 15 and 60 minutes, and the open candle.
 *
 *   TWAP over W at t   integral of the last known price over (t-W, t] / the part of W in which a price was known
 *   VWAP               sum(price * size) / sum(size) over the same window
 *
 * A window is 60 buckets. The integral's far edge cuts a bucket in proportion: exact where the price did not move inside that one
 * bucket, off by at most (its high - its low) / 60 where it did and all of it was covered. Volume, VWAP, high, low and count cover whole buckets, so they
 * reach back between 59/60 W and W. A price is held for at most PX_CARRY_NS; after that nothing is known.
 *
 * All arithmetic is exact integers up to the one division at the end. Evaluator only; nothing here blocks or allocates.
 */
#pragma once

#include "base/clock.h"
#include "shm/series.h"
#include "shm/tick.h"

#define PX_CARRY_NS (300 * PX_NS_PER_S)
#define PX_LATE_NS  (2 * PX_NS_PER_S)
#define PX_FUTURE_NS (60 * PX_NS_PER_S) /* a time so far ahead of its receipt would stop the series */

extern const int64_t px_window_ns[PX_WINDOWS]; /* 1, 5, 15, 60 minutes */

/* Where the sums over closed buckets are remembered: private memory, one an asset, zeroed at start. */
struct px_window_cache {
    struct {
        int64_t from_ns, to_ns; /* the sums cover closed buckets that start in [from, to); 0,0 = nothing */
        struct px_bucket sum;
        int64_t edge_area_hi, edge_area_lo, edge_duration; /* of the bucket that the far edge cuts */
    } window[PX_WINDOWS];
};

/*
 * Adds a trade at event time `time_ns` to the state (a private copy; the caller writes the latch) and moves buckets that it closes into
 * `closed`. A trade older than the newest changes nothing here and is answered with false.
 */
bool px_series_add(struct px_series_state *state, struct px_bucket closed[PX_WINDOWS][PX_WINDOW_BUCKETS],
                   int64_t price, int64_t size, int64_t time_ns);

/*
 * The prices of the last PX_LATE_NS, so that a late trade finds its place among them: late.c. Private memory, one an asset, zeroed at
 * start. Trades of one time are one step, the last of them.
 */
#define PX_STEPS 256

struct px_steps {
    uint32_t first, count; /* a ring, ascending in time */
    bool cut;              /* what was before the first is not known */
    struct px_step {
        int64_t time_ns, price;
    } step[PX_STEPS];
};

/* After each trade that px_series_add has taken. */
void px_steps_add(struct px_steps *steps, int64_t price, int64_t time_ns);

/* Puts a trade of the past in its place, in order of arrival; late ones as they were counted. */
void px_steps_find(struct px_steps *steps, int64_t price, int64_t time_ns);

/* After trades that were not seen one by one: nothing before them can be corrected. */
void px_steps_cut(struct px_steps *steps);

/*
 * Corrects everything by a trade that is at most PX_LATE_NS older than the newest: the price from its time to the next trade's, in every
 * window, in the two candles and in the day. What `closed` has to become stands in `redo` (position and asset are the caller's). False,
 * and nothing changes: it is older, or there were more than PX_STEPS times since.
 */
bool px_series_correct(struct px_series_state *state, const struct px_bucket closed[PX_WINDOWS][PX_WINDOW_BUCKETS],
                       struct px_steps *steps, int64_t price, int64_t size, int64_t time_ns, struct px_redo *redo);

/* Writes the buckets of a redo; writing them again does no harm. */
void px_redo_apply(struct px_bucket closed[PX_WINDOWS][PX_WINDOW_BUCKETS], const struct px_redo *redo);

/* What is known of trades that were not seen one by one. */
struct px_lump {
    struct {
        int64_t price, time_ns;
    } point[4];     /* some of the trades, in order of time; none late */
    unsigned points;
    int64_t volume; /* of all of them, at the last point's time */
    uint64_t count; /* >= points, or points = 0 and all were late */
    __int128 value;
};

/* Adds them: price and time of the points, volume, count and value of all. */
void px_series_add_lump(struct px_series_state *state, struct px_bucket closed[PX_WINDOWS][PX_WINDOW_BUCKETS],
                        const struct px_lump *lump);

/* The window as it stands at `now_ns` >= the newest trade's time; `now_ns` may be long after it. */
void px_window_compute(const struct px_series_state *state, const struct px_bucket closed[PX_WINDOW_BUCKETS],
                       enum px_window window, int64_t now_ns, unsigned price_scale, struct px_window_cache *cache,
                       struct px_window_value *valuep);
