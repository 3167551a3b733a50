/*
 * A candle of one asset over [start, start + interval), made of accepted trades only, and a trade as history keeps it.
 * A candle carries sums from which longer ones are composed exactly; averages are divided out at the end and never
 * averaged again.
 */
#pragma once

#include "base/clock.h"
#include "base/decimal.h"
#include "base/types.h"
#include "shm/tick.h"

#define PX_MINUTE_NS (60 * PX_NS_PER_S)
#define PX_CARRY_NS  (300 * PX_NS_PER_S) /* how long a price counts without a new trade */
#define PX_LATE_NS   (2 * PX_NS_PER_S)  /* a minute is final when its asset's clock is this far past its end */

struct px_candle {
    int64_t start_ns;
    int64_t open, high, low, close; /* at the asset's scale */
    int64_t volume;                 /* at the size scale; saturates */
    uint64_t count;                 /* trades */
    int64_t duration_ns;            /* in which a price was known */
    int64_t last_ns;                /* event time of the newest trade in it */
    bool final;                     /* never changes again */
    __int128 area;                  /* integral of the price over duration_ns, price * ns */
    __int128 value;                 /* sum of price * size */
};

/* Start of the candle that time_ns falls into. Aligned to the epoch, weeks to Monday. interval_s > 0. */
static inline int64_t px_candle_start(int64_t time_ns, uint32_t interval_s)
{
    int64_t width = (int64_t)interval_s * PX_NS_PER_S, shift = interval_s == 604800 ? 4 * 86400 * PX_NS_PER_S : 0;
    int64_t offset = (time_ns - shift) % width;

    return time_ns - (offset < 0 ? offset + width : offset);
}

/*
 * Averages with `more` decimals than the asset's scale (0..2; px_average_scale(scale) - scale for what clients see).
 * PX_PRICE_NONE where there is no price or no volume.
 */
static inline int64_t px_candle_twap(const struct px_candle *candle, unsigned more)
{
    return candle->duration_ns > 0 ? px_div_round(candle->area * px_pow10(more), candle->duration_ns) : PX_PRICE_NONE;
}

static inline int64_t px_candle_vwap(const struct px_candle *candle, unsigned more)
{
    return candle->volume > 0 ? px_div_round(candle->value * px_pow10(more), candle->volume) : PX_PRICE_NONE;
}

/* `from`'s price goes on being the price from its end until `until_ns`, for a while; the part that lies in `to`, which is
 * width_ns wide. */
static inline void px_candle_carry(struct px_candle *to, int64_t width_ns, const struct px_candle *from,
                                   int64_t from_end_ns, int64_t until_ns)
{
    int64_t begin_ns = PX_MAX(from_end_ns, to->start_ns);
    int64_t end_ns = PX_MIN(PX_MIN(until_ns, to->start_ns + width_ns), from->last_ns + PX_CARRY_NS);

    if (from->count == 0 || end_ns <= begin_ns)
        return;
    to->area += (__int128)from->close * (end_ns - begin_ns);
    to->duration_ns += end_ns - begin_ns;
}

/* Adds what comes next in time. */
static inline void px_candle_add(struct px_candle *to, const struct px_candle *finer)
{
    if (to->count == 0) {
        to->open = finer->open;
        to->high = finer->high;
        to->low = finer->low;
    }
    to->high = PX_MAX(to->high, finer->high);
    to->low = PX_MIN(to->low, finer->low);
    to->close = finer->close;
    if (__builtin_add_overflow(to->volume, finer->volume, &to->volume))
        to->volume = INT64_MAX;
    to->count += finer->count;
    to->duration_ns += finer->duration_ns;
    to->last_ns = finer->last_ns;
    to->area += finer->area;
    to->value += finer->value;
}

/* A trade in history. */
struct px_trade {
    int64_t time_ns, recv_ns;
    uint64_t sequence; /* of arrival; orders trades of the same time */
    int64_t price, size;
    uint64_t trade_id; /* the venue's, 0 if none */
    uint64_t sseq;     /* of its region */
    px_venue_id venue;
    uint16_t flags; /* enum px_tick_flags */
    uint32_t spare;
};

#define PX_TRADE_LATE 0x4000 /* in px_trade.flags: it came too late, and is in no candle */

/*
 * px_trade.sequence of a tick of a region, which is 0 for imported trades. It is the symbol's own count: that rises by one, where differences
 * of ring positions would be noise, and a byte of each trade on disk. What was quarantined has no count of its own and comes behind, by
 * its position in the ring.
 */
#define PX_SEQUENCE_UNCOUNTED (UINT64_C(1) << 47)

static inline uint64_t px_trade_sequence(uint64_t generation, const struct px_tick *tick, uint64_t position)
{
    bool counted = !(tick->flags & PX_TICK_QUARANTINED);
    uint64_t number = (counted ? tick->sseq : position) & (PX_SEQUENCE_UNCOUNTED - 1);

    return generation << 48 | (counted ? number : PX_SEQUENCE_UNCOUNTED | number);
}
