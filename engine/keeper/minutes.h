/*
 * The open minutes of one asset. Trades come in order of arrival; the asset's clock is the newest event time among
 * them, so that a replay of an old day and a live feed are told late by the same rule: a minute is final once the clock
 * is PX_LATE_NS past its end.
 *
 *        final             open[0]          open[1]
 *   ...----------|-----------------|---------x-------|
 *             final_ns                    clock_ns            at most two minutes are open
 *
 * A trade that is older than the clock, by PX_LATE_NS at most, cannot be added to sums that have moved on: it asks for a
 * rebuild of the open minutes from the stored trades. Pure: no clock, no disk, no shared memory.
 */
#pragma once

#include "store/candle.h"

#define PX_MINUTES_NONE INT64_MIN

struct px_minutes {
    int64_t clock_ns;        /* PX_MINUTES_NONE before the first trade */
    int64_t final_ns;        /* every minute that starts before it is final; PX_MINUTES_NONE likewise */
    int64_t rebuild_ns;      /* the open minutes are stale from here on; INT64_MAX: they are not */
    struct px_candle before; /* the newest closed candle; count 0 = none. Its close is carried into what follows */
    struct px_candle open[2];
    unsigned opens;
};

void px_minutes_init(struct px_minutes *minutes);

/* Whether a trade of this time still counts: by the rule of the live windows, so that both have the same trades. */
static inline bool px_minutes_takes(const struct px_minutes *minutes, int64_t time_ns)
{
    return time_ns >= minutes->final_ns &&
           (minutes->clock_ns == PX_MINUTES_NONE || time_ns >= minutes->clock_ns - PX_LATE_NS);
}

/* Three steps for each trade that counts: the clock moves on, what has become final is taken out, the trade is added.
 */
void px_minutes_advance(struct px_minutes *minutes, int64_t time_ns);
void px_minutes_add(struct px_minutes *minutes, int64_t time_ns, int64_t price, int64_t size);

/* Everything that starts before final_ns is final from now on, without a trade. Never goes back. */
void px_minutes_finish(struct px_minutes *minutes, int64_t final_ns);

/* Whether px_minutes_close has something; a rebuild comes first where px_minutes_stale. */
bool px_minutes_closes(const struct px_minutes *minutes);
static inline bool px_minutes_stale(const struct px_minutes *minutes)
{
    return minutes->rebuild_ns != INT64_MAX;
}

/* Takes out the oldest open candle if it is final, its price held to its end. False: none. */
bool px_minutes_close(struct px_minutes *minutes, struct px_candle *candlep);

/* An open candle as a reader may see it now: its price held up to the clock. index < opens. */
struct px_candle px_minutes_look(const struct px_minutes *minutes, unsigned index);

/* Forgets the open candles. From the time returned on, the trades that counted are appended again, in order of time and
 * arrival. */
int64_t px_minutes_rebuild(struct px_minutes *minutes);
void px_minutes_append(struct px_minutes *minutes, int64_t time_ns, int64_t price, int64_t size);
