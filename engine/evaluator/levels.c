/* The series of an asset: their values of one moment into shared memory, and those that may reach something to the keeper. */
#include <time.h>

#include "base/error.h"
#include "engine/evaluator/evaluator_private.h"

#define AVERAGE_PPM  900000 /* of its window that an average must have seen before anything is judged by it */
#define MOVE_PPM     500000
#define CLOSE_LATE_NS (2 * PX_NS_PER_S) /* so long after its end a bar is closed by the clock, if no trade has done it */
#define PERCENT      (100 * INT64_C(1000000))

static const int64_t bar_ns[PXI_BARS] = {60 * PX_NS_PER_S,   300 * PX_NS_PER_S,   900 * PX_NS_PER_S,
                                         3600 * PX_NS_PER_S, 14400 * PX_NS_PER_S, 86400 * PX_NS_PER_S};
_Static_assert(PX_SERIES_CLOSE_1D - PX_SERIES_CLOSE_1M + 1 == PXI_BARS, "one series a length of bar");
_Static_assert(PX_WINDOWS == 4 && PX_SERIES_RISE_1H - PX_SERIES_RISE_1M + 1 == PX_WINDOWS, "one series of each kind a window");

void pxi_levels_takeover(struct pxi_evaluator *evaluator, px_asset_id asset)
{
    struct pxi_levels *levels = &evaluator->levels[asset];
    int64_t last_ns = evaluator->state[asset].last_ns;
    px_levels_slot *slot = px_shm_levels(evaluator->shm, asset);

    px_latch_takeover(slot, evaluator->heritage->incarnation);
    px_latch_read(slot, &levels->value);
    for (unsigned s = 0; s < PX_SERIES; s++) {
        if (levels->value.position == 0)
            levels->value.value[s] = PX_PRICE_NONE;
        levels->judged[s] = PX_PRICE_NONE;
        levels->told[s] = px_queue_tail(evaluator->hits); /* a predecessor's hits may not have been heard */
    }
    for (unsigned b = 0; b < PXI_BARS; b++)
        levels->closed_until[b] = last_ns / bar_ns[b] * bar_ns[b];
}

/* ---- values ---- */

/* Rounded down, so that it reaches a level when the exact percentage does. */
static int64_t percent(int64_t amount, int64_t of)
{
    __int128 value;

    if (amount == PX_PRICE_NONE || of <= 0)
        return PX_PRICE_NONE;
    value = (__int128)amount * PERCENT / of;
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static void set_moves(int64_t *value, unsigned w, const struct px_window_value *window, int64_t last)
{
    bool known = window->coverage_ppm >= MOVE_PPM && window->low != PX_PRICE_NONE && last != PX_PRICE_NONE;
    int64_t rise = known ? last - PX_MIN(window->low, last) : PX_PRICE_NONE;
    int64_t fall = known ? PX_MAX(window->high, last) - last : PX_PRICE_NONE;

    value[PX_SERIES_RISE_1M + w] = rise;
    value[PX_SERIES_FALL_1M + w] = fall;
    value[PX_SERIES_RISE_PCT_1M + w] = percent(rise, known ? PX_MIN(window->low, last) : 0);
    value[PX_SERIES_FALL_PCT_1M + w] = percent(fall, known ? PX_MAX(window->high, last) : 0);
}

static void set_averages(int64_t *value, const struct px_average_value *average)
{
    for (unsigned w = 0; w < PX_WINDOWS; w++) {
        const struct px_window_value *window = &average->window[w];

        if (w <= PX_WINDOW_15M)
            value[PX_SERIES_TWAP_1M + w] = window->coverage_ppm >= AVERAGE_PPM ? window->twap : PX_PRICE_NONE;
        set_moves(value, w, window, average->last);
    }
}

static void set_quote(int64_t *value, int64_t bid, int64_t ask, unsigned scale)
{
    bool both = bid != PX_PRICE_NONE && ask != PX_PRICE_NONE;
    __int128 sum = (__int128)bid + ask;

    value[PX_SERIES_BID] = bid;
    value[PX_SERIES_ASK] = ask;
    value[PX_SERIES_MID] = !both ? PX_PRICE_NONE : (int64_t)(scale < PX_SCALE_MAX ? sum * 5 : (sum - (sum & 1)) / 2);
}

/* A trade begins other bars: `last` is what those before have closed with. */
static void close_bars(struct pxi_levels *levels, int64_t last, int64_t last_ns, int64_t time_ns)
{
    for (unsigned b = 0; b < PXI_BARS && last_ns > 0; b++) {
        int64_t begins = time_ns / bar_ns[b] * bar_ns[b];

        if (begins <= levels->closed_until[b])
            continue;
        if (last_ns >= levels->closed_until[b]) /* there was a trade in a bar that is not closed yet */
            levels->value.value[PX_SERIES_CLOSE_1M + b] = last;
        levels->closed_until[b] = begins;
    }
}

static void close_bars_by_clock(struct pxi_levels *levels, int64_t last, int64_t last_ns, int64_t wall_ns)
{
    for (unsigned b = 0; b < PXI_BARS; b++) {
        int64_t ends = last_ns / bar_ns[b] * bar_ns[b] + bar_ns[b];

        if (ends <= levels->closed_until[b] || wall_ns < ends + CLOSE_LATE_NS)
            continue;
        levels->value.value[PX_SERIES_CLOSE_1M + b] = last;
        levels->closed_until[b] = ends;
    }
}

/* ---- telling ---- */

/* The keeper may be restarting: wait for it, beating on, so that nothing is lost. Ticks wait in their ring meanwhile. */
static bool push_surely(struct pxi_evaluator *evaluator, const struct px_hit *hit)
{
    const struct timespec pause = {0, PX_NS_PER_MS};

    while (px_queue_push(evaluator->hits, hit) == PX_E_FULL) {
        if (px_heritage_terminating(evaluator->heritage)) {
            evaluator->ending = true;
            return false;
        }
        px_queue_wake(evaluator->hits);
        px_heritage_beat(evaluator->heritage);
        nanosleep(&pause, NULL);
    }
    evaluator->told = true;
    px_stat_add(evaluator->stats, PX_STAT_EVAL_HITS, 1);
    return true;
}

static bool tell(struct pxi_evaluator *evaluator, unsigned series, int64_t before, const struct pxi_occasion *occasion)
{
    struct pxi_levels *levels = &evaluator->levels[occasion->asset];
    struct px_hit hit = {.asset = occasion->asset,
                         .venue = occasion->venue,
                         .flags = occasion->flags,
                         .series = series,
                         .value = levels->value.value[series],
                         .prev = before,
                         .last = levels->value.value[PX_SERIES_LAST],
                         .last_prev = occasion->prev,
                         .time_ns = occasion->time_ns,
                         .recv_ns = occasion->recv_ns,
                         .matched_ns = px_wall_now(),
                         .position = levels->value.position,
                         .tick = occasion->tick,
                         .sseq = occasion->sseq};

    if (occasion->flags & PX_HIT_SPAN)
        hit.span = *occasion->span;
    if (!push_surely(evaluator, &hit))
        return false;
    levels->told[series] = px_queue_tail(evaluator->hits);
    return true;
}

static bool judge(struct pxi_evaluator *evaluator, unsigned series, const int64_t *before, const struct pxi_occasion *occasion)
{
    struct pxi_levels *levels = &evaluator->levels[occasion->asset];
    const struct px_near *near = &px_shm_watch(evaluator->shm, occasion->asset)->near[series];
    int64_t value = levels->value.value[series], prev = before[series];
    struct pxi_occasion single = *occasion;
    bool span = series == PX_SERIES_LAST && (occasion->flags & PX_HIT_SPAN), far;

    /* the same again, and looked at: not only what was looked at last, for in between nobody may have waited */
    if (value == PX_PRICE_NONE || (value == levels->judged[series] && value == before[series] && !span))
        return true;
    far = !px_near_reached(near, value, levels->told[series]);
    if (far && span)
        far = !px_near_reached(near, occasion->span->high, 0) && !px_near_reached(near, occasion->span->low, 0);
    levels->judged[series] = value;
    if (far)
        return true;
    if (series == PX_SERIES_LAST)
        prev = occasion->prev;
    else
        single.flags &= (uint16_t)~PX_HIT_SPAN;
    return tell(evaluator, series, prev, &single);
}

/* Averages and moves first, the last price at the end: what is told of one moment is looked at in this order. */
static bool hold_against(struct pxi_evaluator *evaluator, const int64_t *before, const struct pxi_occasion *occasion)
{
    struct pxi_levels *levels = &evaluator->levels[occasion->asset];
    uint32_t interest;

    px_latch_write(px_shm_levels(evaluator->shm, occasion->asset), &levels->value);
    px_smp_mb(); /* pairs with the keeper's, between near and levels */
    interest = px_load_relaxed(&px_shm_watch(evaluator->shm, occasion->asset)->interest);
    for (uint32_t left = interest & ~(1u << PX_SERIES_LAST); left != 0; left &= left - 1)
        if (!judge(evaluator, (unsigned)__builtin_ctz(left), before, occasion))
            return false;
    return !(interest & (1u << PX_SERIES_LAST)) || judge(evaluator, PX_SERIES_LAST, before, occasion);
}

bool pxi_levels_trade(struct pxi_evaluator *evaluator, const struct px_average_value *average, const struct pxi_occasion *occasion)
{
    struct pxi_levels *levels = &evaluator->levels[occasion->asset];
    int64_t before[PX_SERIES];

    memcpy(before, levels->value.value, sizeof(before));
    levels->value.position++;
    levels->value.tick_ns = occasion->recv_ns;
    close_bars(levels, occasion->prev, occasion->prev_ns, occasion->time_ns);
    levels->value.value[PX_SERIES_LAST] = average->last;
    levels->value.value[PX_SERIES_AGE] = 0;
    set_averages(levels->value.value, average);
    return hold_against(evaluator, before, occasion);
}

bool pxi_levels_quote(struct pxi_evaluator *evaluator, int64_t bid, int64_t ask, const struct pxi_occasion *occasion)
{
    struct pxi_levels *levels = &evaluator->levels[occasion->asset];
    int64_t before[PX_SERIES];

    memcpy(before, levels->value.value, sizeof(before));
    levels->value.position++;
    levels->value.tick_ns = occasion->recv_ns;
    levels->value.value[PX_SERIES_AGE] = 0;
    set_quote(levels->value.value, bid, ask, px_symbols_get(&evaluator->shm->directory, occasion->asset)->scale);
    return hold_against(evaluator, before, occasion);
}

bool pxi_levels_time(struct pxi_evaluator *evaluator, px_asset_id asset, const struct px_average_value *average, int64_t wall_ns)
{
    struct pxi_levels *levels = &evaluator->levels[asset];
    const struct px_series_state *state = &evaluator->state[asset];
    struct pxi_occasion occasion = {.asset = asset,
                                    .venue = PX_VENUE_NONE,
                                    .flags = PX_HIT_TIMER,
                                    .time_ns = average->time_ns,
                                    .recv_ns = levels->value.tick_ns,
                                    .tick = state->position,
                                    .prev = levels->value.value[PX_SERIES_LAST]};
    int64_t before[PX_SERIES];

    if (levels->value.position == 0) /* no tick in this region yet */
        return true;
    memcpy(before, levels->value.value, sizeof(before));
    levels->value.position++;
    levels->value.value[PX_SERIES_AGE] = PX_MAX(wall_ns - levels->value.tick_ns, 0) / PX_NS_PER_MS;
    if (state->last_ns > 0) {
        set_averages(levels->value.value, average);
        close_bars_by_clock(levels, state->last, state->last_ns, wall_ns);
    }
    return hold_against(evaluator, before, &occasion);
}
