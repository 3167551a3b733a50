/*
 * Trades that come late. Such a trade was the price from its own time to the next trade's, where the one before it has been counted:
 *
 *          before          late        next
 *     -------x---------------o-----------x------      sums lose before * (next - late) and gain late * (next - late)
 *
 * The stretch is at most PX_LATE_NS long, so it meets the open bucket of a window and one or two closed ones.
 */
#include "engine/evaluator/windows_private.h"

/* ---- steps ---- */

static struct px_step *at(struct px_steps *steps, uint32_t i)
{
    return &steps->step[(steps->first + i) % PX_STEPS];
}

static void drop_first(struct px_steps *steps)
{
    steps->first = (steps->first + 1) % PX_STEPS;
    steps->count--;
}

/* One step at or before the horizon stays: its price is the one in force there. */
static void forget(struct px_steps *steps, int64_t horizon_ns)
{
    while (steps->count > 1 && at(steps, 1)->time_ns <= horizon_ns)
        drop_first(steps);
}

static void make_room(struct px_steps *steps)
{
    if (steps->count < PX_STEPS)
        return;
    drop_first(steps);
    steps->cut = true;
}

void px_steps_add(struct px_steps *steps, int64_t price, int64_t time_ns)
{
    forget(steps, time_ns - PX_LATE_NS);
    if (steps->count == 0 || at(steps, steps->count - 1)->time_ns != time_ns) {
        make_room(steps);
        steps->count++;
    }
    *at(steps, steps->count - 1) = (struct px_step){time_ns, price};
}

void px_steps_cut(struct px_steps *steps)
{
    steps->count = 0;
    steps->cut = true;
}

/* How many steps are at or before that time. */
static uint32_t steps_until(struct px_steps *steps, int64_t time_ns)
{
    uint32_t count = steps->count;

    while (count > 0 && at(steps, count - 1)->time_ns > time_ns)
        count--;
    return count;
}

static void insert(struct px_steps *steps, uint32_t index, int64_t price, int64_t time_ns)
{
    if (index > 0 && at(steps, index - 1)->time_ns == time_ns) {
        at(steps, index - 1)->price = price;
        return;
    }
    if (steps->count == PX_STEPS && index == 0) { /* the oldest of all, and there is no room for it */
        steps->cut = true;
        return;
    }
    index -= steps->count == PX_STEPS;
    make_room(steps);
    for (uint32_t i = steps->count++; i > index; i--)
        *at(steps, i) = *at(steps, i - 1);
    *at(steps, index) = (struct px_step){time_ns, price};
}

void px_steps_find(struct px_steps *steps, int64_t price, int64_t time_ns)
{
    uint32_t index = steps_until(steps, time_ns);

    if (index == steps->count)
        px_steps_add(steps, price, time_ns);
    else if (time_ns >= at(steps, steps->count - 1)->time_ns - PX_LATE_NS && (index > 0 || !steps->cut))
        insert(steps, index, price, time_ns);
}

/* ---- the correction ---- */

/* The late trade and its neighbours. */
struct late {
    int64_t price, time_ns, next_ns;
    int64_t before, before_ns; /* PX_PRICE_NONE: nothing was known before */
    struct pxi_amount amount;
};

/* What a sum over [from, to) gains. */
static void gain(const struct late *late, int64_t from_ns, int64_t to_ns, __int128 *areap, int64_t *durationp)
{
    int64_t begin = PX_MAX(from_ns, late->time_ns), end = PX_MIN(to_ns, late->next_ns), known = 0;

    *areap = 0;
    *durationp = 0;
    if (end <= begin)
        return;
    if (late->before != PX_PRICE_NONE)
        known = PX_MAX(PX_MIN(end, late->before_ns + PX_CARRY_NS) - begin, 0);
    *areap = (__int128)late->price * (end - begin) - (__int128)(known > 0 ? late->before : 0) * known;
    *durationp = end - begin - known;
}

/* The bucket that starts there: the open one, or a copy in `redo`. */
static struct px_bucket *bucket_at(struct px_series_state *state, const struct px_bucket *closed, enum px_window window,
                                   int64_t start_ns, struct px_redo *redo)
{
    const struct px_bucket *there = &closed[start_ns / pxi_width(window) % PX_WINDOW_BUCKETS];
    struct px_bucket fresh = {.start_ns = start_ns};

    if (state->open[window].start_ns == start_ns)
        return &state->open[window];
    PX_CHECK(redo->count < PX_REDO_BUCKETS);
    redo->at[redo->count].window = window;
    redo->at[redo->count].bucket = there->start_ns == start_ns ? *there : fresh;
    return &redo->at[redo->count++].bucket;
}

static void correct_window(struct px_series_state *state, const struct px_bucket *closed, enum px_window window,
                           const struct late *late, struct px_redo *redo)
{
    int64_t width = pxi_width(window), first = pxi_floor(late->time_ns, width), duration;
    __int128 area;

    for (int64_t start = first; start < late->next_ns; start += width) {
        struct px_bucket *bucket = bucket_at(state, closed, window, start, redo);

        gain(late, start, start + width, &area, &duration);
        pxi_bucket_area(bucket, area, duration);
        if (start == first)
            pxi_bucket_count(bucket, late->price, &late->amount);
    }
}

/* A minute that had no trade so far, before the open one. */
static void make_before(struct px_series_state *state, const struct late *late)
{
    struct px_candle_pair *candles = &state->candles;
    int64_t start_ns = pxi_floor(late->time_ns, PXI_MINUTE_NS);
    int64_t known = PX_MIN(start_ns + PXI_MINUTE_NS, late->before_ns + PX_CARRY_NS) - start_ns;

    if (start_ns >= candles->open.start_ns || start_ns <= candles->before.start_ns)
        return;
    candles->before = (struct px_candle_value){
        .start_ns = start_ns, .open = late->price, .high = late->price, .low = late->price, .close = late->price};
    if (late->before != PX_PRICE_NONE && known > 0) /* as if it had gone on; the correction comes next */
        pxi_candle_area(&candles->before, (__int128)late->before * known, known);
}

static void correct_candle(struct px_candle_value *candle, const struct late *late)
{
    int64_t end_ns = candle->start_ns + PXI_MINUTE_NS, duration;
    __int128 area;

    if (candle->start_ns == 0) /* there is none */
        return;
    gain(late, candle->start_ns, end_ns, &area, &duration);
    pxi_candle_area(candle, area, duration);
    if (late->time_ns < candle->start_ns || late->time_ns >= end_ns)
        return;
    if (late->before == PX_PRICE_NONE || late->before_ns < candle->start_ns)
        candle->open = late->price;
    if (late->next_ns >= end_ns) {
        candle->close = late->price;
        candle->last_ns = late->time_ns;
    }
    pxi_candle_count(candle, late->price, &late->amount);
}

static void correct_day(struct px_series_state *state, const struct late *late)
{
    if (pxi_floor(late->time_ns, PXI_DAY_NS) != state->day_ns)
        return;
    if (late->before == PX_PRICE_NONE || late->before_ns < state->day_ns)
        state->day_open = late->price;
    state->day_high = PX_MAX(state->day_high, late->price);
    state->day_low = PX_MIN(state->day_low, late->price);
    state->day_volume += late->amount.volume;
    state->day_count += (int64_t)late->amount.count;
}

bool px_series_correct(struct px_series_state *state, const struct px_bucket closed[PX_WINDOWS][PX_WINDOW_BUCKETS],
                       struct px_steps *steps, int64_t price, int64_t size, int64_t time_ns, struct px_redo *redo)
{
    struct late late = {.price = price, .time_ns = time_ns, .before = PX_PRICE_NONE,
                        .amount = {size, 1, (__int128)price * size}};
    uint32_t index = steps_until(steps, time_ns);

    redo->count = 0;
    if (time_ns < state->last_ns - PX_LATE_NS || index == steps->count || (index == 0 && steps->cut))
        return false;
    late.next_ns = at(steps, index)->time_ns;
    if (index > 0) {
        late.before = at(steps, index - 1)->price;
        late.before_ns = at(steps, index - 1)->time_ns;
    }
    for (unsigned w = 0; w < PX_WINDOWS; w++)
        correct_window(state, closed[w], w, &late, redo);
    make_before(state, &late);
    correct_candle(&state->candles.before, &late);
    correct_candle(&state->candles.open, &late);
    correct_day(state, &late);
    state->version++;
    insert(steps, index, price, time_ns);
    return true;
}

void px_redo_apply(struct px_bucket closed[PX_WINDOWS][PX_WINDOW_BUCKETS], const struct px_redo *redo)
{
    for (uint64_t i = 0; i < redo->count; i++) {
        const struct px_bucket *bucket = &redo->at[i].bucket;
        enum px_window window = (enum px_window)redo->at[i].window;

        px_words_store((uint64_t *)(void *)&closed[window][bucket->start_ns / pxi_width(window) % PX_WINDOW_BUCKETS],
                       (const uint64_t *)(const void *)bucket, sizeof(*bucket) / 8);
    }
    px_smp_wmb();
}
