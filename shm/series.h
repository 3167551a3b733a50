/*
 * Prices and averages as they stand in shared memory. Each slot is a latch (shm/latch.h) with one writing process; index = asset.
 */
#pragma once

#include "base/types.h"
#include "shm/latch.h"

/* Writer: ingest. The last accepted trade; one cache line, for whoever scans them all. */
struct px_price_value {
    int64_t price; /* PX_PRICE_NONE until the first trade: check seq or sseq == 0 as well */
    int64_t time_ns;
    uint64_t sseq; /* 0: no trade or quote yet */
};
typedef PX_LATCH_OF(struct px_price_value, 64) px_price_slot;
_Static_assert(sizeof(px_price_slot) == 64, "a price slot is one cache line");

/* Writer: ingest. Everything that a price answer needs, consistent in itself. */
struct px_detail_value {
    int64_t price, size, bid, ask; /* PX_PRICE_NONE where unknown; all mean something only when sseq > 0 */
    int64_t time_ns, recv_ns;      /* of the last trade or quote */
    uint64_t sseq;                 /* accepted trades and quotes of the symbol */
    uint64_t position;             /* tick ring position of the last one */
    uint64_t trade_id;             /* highest seen from `venue` */
    uint32_t venue;
    uint32_t fresh_sources;
};
typedef PX_LATCH_OF(struct px_detail_value, 192) px_detail_slot;
_Static_assert(sizeof(px_detail_slot) == 192, "a detail slot is three cache lines");

enum px_window { PX_WINDOW_1M, PX_WINDOW_5M, PX_WINDOW_15M, PX_WINDOW_1H, PX_WINDOWS };

struct px_window_value {
    int64_t twap, vwap; /* mantissa at px_average_scale(asset's scale); PX_PRICE_NONE where nothing is known */
    int64_t high, low;  /* at the asset's scale; PX_PRICE_NONE likewise */
    int64_t volume;     /* at the asset's size scale */
    uint32_t count;
    uint32_t coverage_ppm; /* of the window had a known price, in millionths */
};

/* Writer: evaluator. Windows, the day so far (UTC), and how far the evaluator has got with this asset. */
struct px_average_value {
    struct px_window_value window[PX_WINDOWS];
    int64_t time_ns;                        /* the windows end here */
    int64_t last;                           /* last trade evaluated, PX_PRICE_NONE if none */
    int64_t last_ns;                        /* its event time; 0 if it comes from before a restart */
    uint64_t position;                      /* ring position after the last tick evaluated; 0 = none */
    int64_t day_ns;                         /* start of the UTC day that the next five describe; 0 = none */
    int64_t open, high, low, volume, count;
    uint64_t version;                       /* +1 with every write */
};
typedef PX_LATCH_OF(struct px_average_value, 576) px_average_slot;
_Static_assert(sizeof(px_average_slot) == 576, "an average slot");

/* Averages carry two more decimals than prices. */
static inline unsigned px_average_scale(unsigned price_scale)
{
    return price_scale <= 16 ? price_scale + 2 : price_scale;
}

/* A one-minute candle. */
struct px_candle_value {
    int64_t start_ns; /* 0: none yet */
    int64_t open, high, low, close;
    int64_t volume;
    int64_t area_hi, area_lo; /* integral of price over time up to last_ns in price * ns, 128 bit */
    int64_t duration_ns;      /* of the candle, up to last_ns, in which a price was known */
    int64_t last_ns;          /* `close` has held since then */
    uint64_t count;
    int64_t value_hi, value_lo; /* sum of price * size, 128 bit */
};

/*
 * Writer: evaluator. The open minute, and the last one before it that had a trade, its price held to its end. Trades that come up to two
 * seconds late still change both, so that readers need the store only for what is older.
 */
struct px_candle_pair {
    struct px_candle_value open, before; /* start_ns 0: none */
};
typedef PX_LATCH_OF(struct px_candle_pair, 448) px_candle_slot;

/*
 * What the evaluator knows of an asset, in shared memory so that its successor goes on where it died. Private to the evaluator: nobody
 * else may read it.
 *
 *   state (latch)   last price, position in the tick ring, open candle, day, and the open bucket of each window
 *   closed          per window a ring of 60 buckets of window/60 each, index = (start / width) % 60
 *
 * One tick is one latch write: it counts as a whole or not at all, and `position` in the same value says which. A bucket is copied
 * to `closed` before the state moves on to the next; a successor that finds the copy half made still has the whole bucket in the
 * state, and ignores what stands in `closed` under the open bucket's own start or under one that is a whole window old.
 *
 * A late trade changes closed buckets too, which no single write covers: their new contents are written to `redo` first, with the
 * position that the state is about to have, then the state, then the buckets. A successor that finds the two positions equal writes the
 * buckets again; what is there does not matter, since the contents are whole.
 */
#define PX_WINDOW_BUCKETS 60

struct px_bucket {
    int64_t start_ns;           /* 0: empty */
    int64_t area_hi, area_lo;   /* price * ns */
    int64_t duration_ns;        /* in which a price was known */
    int64_t value_hi, value_lo; /* sum of price * size */
    int64_t volume;
    int64_t high, low;          /* meaningful when count > 0 */
    uint64_t count;
};

struct px_series_state {
    int64_t last, last_ns; /* price in force, and up to when it is accounted for in the open buckets; last_ns 0: from disk */
    uint64_t position;     /* ring position after the last tick that is in here; 0 = none */
    uint64_t version;
    int64_t day_ns, day_open, day_high, day_low, day_volume, day_count;
    struct px_candle_pair candles;
    struct px_bucket open[PX_WINDOWS];
};

#define PX_REDO_BUCKETS 6 /* 2 s back: two of a second, and one each of 5, 15 and 60 s; one to spare */

struct px_redo {
    uint64_t position; /* of the state that they belong to; 0: nothing */
    uint64_t asset, count;
    struct {
        uint64_t window;
        struct px_bucket bucket;
    } at[PX_REDO_BUCKETS];
};
/* Writer: evaluator, one a role slot; nobody else reads it. */
typedef PX_LATCH_OF(struct px_redo, 1152) px_redo_slot;

struct px_window_set {
    PX_LATCH_OF(struct px_series_state, 1280) state;
    struct px_bucket closed[PX_WINDOWS][PX_WINDOW_BUCKETS];
};
