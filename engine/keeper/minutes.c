#include "engine/keeper/minutes.h"

void px_minutes_init(struct px_minutes *minutes)
{
    memset(minutes, 0, sizeof *minutes);
    minutes->clock_ns = minutes->final_ns = PX_MINUTES_NONE;
    minutes->rebuild_ns = INT64_MAX;
}

/* The price of `from` from `begin` to `end`, as long as it may be carried. */
static void hold(struct px_candle *to, const struct px_candle *from, int64_t begin_ns, int64_t end_ns)
{
    end_ns = PX_MIN(end_ns, from->last_ns + PX_CARRY_NS);
    if (from->count == 0 || end_ns <= begin_ns)
        return;
    to->area += (__int128)from->close * (end_ns - begin_ns);
    to->duration_ns += end_ns - begin_ns;
}

static struct px_candle *open_candle(struct px_minutes *minutes, int64_t time_ns, int64_t price)
{
    const struct px_candle *previous = minutes->opens > 0 ? &minutes->open[minutes->opens - 1] : &minutes->before;
    struct px_candle candle = {.start_ns = px_candle_start(time_ns, 60), .open = price, .high = price, .low = price};

    hold(&candle, previous, candle.start_ns, time_ns);
    PX_CHECK(minutes->opens < PX_COUNT_OF(minutes->open)); /* what is older than two minutes has been closed */
    minutes->open[minutes->opens] = candle;
    return &minutes->open[minutes->opens++];
}

void px_minutes_append(struct px_minutes *minutes, int64_t time_ns, int64_t price, int64_t size)
{
    struct px_candle *last = minutes->opens > 0 ? &minutes->open[minutes->opens - 1] : NULL;

    if (!last || last->start_ns != px_candle_start(time_ns, 60))
        last = open_candle(minutes, time_ns, price);
    else
        hold(last, last, last->last_ns, time_ns);
    last->high = PX_MAX(last->high, price);
    last->low = PX_MIN(last->low, price);
    last->close = price;
    last->last_ns = time_ns;
    last->count++;
    last->value += (__int128)price * size;
    if (__builtin_add_overflow(last->volume, size, &last->volume))
        last->volume = INT64_MAX;
}

void px_minutes_advance(struct px_minutes *minutes, int64_t time_ns)
{
    if (time_ns <= minutes->clock_ns)
        return;
    minutes->clock_ns = time_ns;
    px_minutes_finish(minutes, px_candle_start(time_ns - PX_LATE_NS, 60));
}

void px_minutes_add(struct px_minutes *minutes, int64_t time_ns, int64_t price, int64_t size)
{
    if (!px_minutes_stale(minutes) && time_ns >= minutes->clock_ns) {
        px_minutes_append(minutes, time_ns, price, size);
        return;
    }
    minutes->rebuild_ns = PX_MIN(minutes->rebuild_ns, px_candle_start(time_ns, 60));
    if (minutes->opens > 0)
        minutes->rebuild_ns = PX_MIN(minutes->rebuild_ns, minutes->open[0].start_ns);
}

void px_minutes_finish(struct px_minutes *minutes, int64_t final_ns)
{
    minutes->final_ns = PX_MAX(minutes->final_ns, final_ns);
}

/* A stale candle may stand before the first open one, so staleness closes too. */
bool px_minutes_closes(const struct px_minutes *minutes)
{
    if (px_minutes_stale(minutes))
        return minutes->rebuild_ns < minutes->final_ns;
    return minutes->opens > 0 && minutes->open[0].start_ns < minutes->final_ns;
}

bool px_minutes_close(struct px_minutes *minutes, struct px_candle *candlep)
{
    PX_CHECK(!px_minutes_stale(minutes));
    if (!px_minutes_closes(minutes))
        return false;
    struct px_candle *oldest = &minutes->open[0];
    hold(oldest, oldest, oldest->last_ns, oldest->start_ns + PX_MINUTE_NS);
    oldest->final = true;
    *candlep = minutes->before = *oldest;
    minutes->open[0] = minutes->open[1];
    minutes->opens--;
    return true;
}

struct px_candle px_minutes_look(const struct px_minutes *minutes, unsigned index)
{
    PX_CHECK(index < minutes->opens);
    struct px_candle candle = minutes->open[index];
    hold(&candle, &candle, candle.last_ns, PX_MIN(minutes->clock_ns, candle.start_ns + PX_MINUTE_NS));
    return candle;
}

int64_t px_minutes_rebuild(struct px_minutes *minutes)
{
    int64_t from_ns = minutes->rebuild_ns;

    minutes->opens = 0;
    minutes->rebuild_ns = INT64_MAX;
    return from_ns;
}
