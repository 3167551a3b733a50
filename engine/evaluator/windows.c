#include "engine/evaluator/windows.h"

#include "engine/evaluator/windows_private.h"

const int64_t px_window_ns[PX_WINDOWS] = {60 * PX_NS_PER_S, 300 * PX_NS_PER_S, 900 * PX_NS_PER_S, 3600 * PX_NS_PER_S};

static void open_bucket(struct px_bucket *bucket, int64_t start_ns)
{
    memset(bucket, 0, sizeof(*bucket));
    bucket->start_ns = start_ns;
}

/* Its start first: a copy that was cut off then has the start of the open bucket, which says that it does not count. */
static void close_bucket(struct px_bucket *to, const struct px_bucket *open)
{
    const uint64_t *words = (const uint64_t *)(const void *)open;

    px_words_store((uint64_t *)(void *)to, words, 1);
    px_smp_wmb();
    px_words_store((uint64_t *)(void *)to + 1, words + 1, sizeof(*open) / 8 - 1);
    px_smp_wmb();
}

/* Holds `last` from `from` to `to` in the open bucket, closing buckets on the way; stops accounting at `known_until`. */
static void hold(struct px_bucket *open, struct px_bucket *closed, int64_t width, int64_t last, int64_t from, int64_t to,
                 int64_t known_until)
{
    while (open->start_ns + width <= to) {
        int64_t end = open->start_ns + width, known = PX_MIN(end, known_until) - PX_MAX(from, open->start_ns);

        if (known > 0)
            pxi_bucket_area(open, (__int128)last * known, known);
        close_bucket(&closed[open->start_ns / width % PX_WINDOW_BUCKETS], open);
        /* After a silence longer than a window the buckets in between are all out of it: jump. */
        end = PX_MAX(end, pxi_floor(to, width) - PX_WINDOW_BUCKETS * width);
        open_bucket(open, end);
        from = PX_MAX(from, end);
    }
    int64_t known = PX_MIN(to, known_until) - PX_MAX(from, open->start_ns);
    if (known > 0)
        pxi_bucket_area(open, (__int128)last * known, known);
}

static void add_to_window(struct px_series_state *state, struct px_bucket *closed, enum px_window window, int64_t price,
                          int64_t time_ns, const struct pxi_amount *amount)
{
    struct px_bucket *open = &state->open[window];
    int64_t width = pxi_width(window);

    if (open->start_ns == 0)
        open_bucket(open, pxi_floor(time_ns, width));
    else if (time_ns > state->last_ns)
        hold(open, closed, width, state->last, state->last_ns, time_ns, state->last_ns + PX_CARRY_NS);
    if (time_ns >= open->start_ns)
        pxi_bucket_count(open, price, amount);
}

/* Its price goes on being the price until `to`, for a while. */
static void candle_hold(struct px_candle_value *candle, int64_t to)
{
    int64_t known = PX_MIN(to, candle->last_ns + PX_CARRY_NS) - candle->last_ns;

    if (known > 0)
        pxi_candle_area(candle, (__int128)candle->close * known, known);
}

/* The price before the candle's first trade is the one that the last candle ended with, if that is recent enough. */
static void candle_begin(struct px_candle_value *candle, int64_t start_ns, int64_t before, int64_t before_ns,
                         int64_t price, int64_t time_ns)
{
    struct px_candle_value fresh = {.start_ns = start_ns, .open = price, .high = price, .low = price, .close = price,
                                    .last_ns = time_ns};
    int64_t known = PX_MIN(time_ns, before_ns + PX_CARRY_NS) - start_ns;

    if (before_ns > 0 && known > 0)
        pxi_candle_area(&fresh, (__int128)before * known, known);
    *candle = fresh;
}

/* After a restart the price before is only known from the candle. */
static void next_candle(struct px_series_state *state, int64_t start_ns, int64_t price, int64_t time_ns)
{
    struct px_candle_pair *candles = &state->candles;
    bool seeded = state->last_ns <= 0;
    int64_t before_ns = seeded ? candles->open.last_ns : state->last_ns;

    if (candles->open.start_ns > 0) {
        candle_hold(&candles->open, candles->open.start_ns + PXI_MINUTE_NS);
        candles->before = candles->open;
    }
    candle_begin(&candles->open, start_ns, state->last, before_ns, price, time_ns);
}

static void add_to_candle(struct px_series_state *state, int64_t price, int64_t time_ns, const struct pxi_amount *amount)
{
    struct px_candle_value *candle = &state->candles.open;
    int64_t start_ns = pxi_floor(time_ns, PXI_MINUTE_NS);

    if (start_ns < candle->start_ns) /* the clock went back over a restart */
        return;
    if (start_ns > candle->start_ns) {
        next_candle(state, start_ns, price, time_ns);
    } else {
        candle_hold(candle, time_ns);
        candle->last_ns = PX_MAX(candle->last_ns, time_ns);
    }
    pxi_candle_count(candle, price, amount);
    candle->close = price;
}

static void add_to_day(struct px_series_state *state, int64_t price, int64_t time_ns, const struct pxi_amount *amount)
{
    int64_t day_ns = pxi_floor(time_ns, PXI_DAY_NS);

    if (day_ns < state->day_ns)
        return;
    if (day_ns > state->day_ns) {
        state->day_ns = day_ns;
        state->day_open = state->day_high = state->day_low = price;
        state->day_volume = state->day_count = 0;
    }
    state->day_high = PX_MAX(state->day_high, price);
    state->day_low = PX_MIN(state->day_low, price);
    state->day_volume += amount->volume;
    state->day_count += (int64_t)amount->count;
}

static bool add(struct px_series_state *state, struct px_bucket closed[PX_WINDOWS][PX_WINDOW_BUCKETS], int64_t price,
                int64_t time_ns, const struct pxi_amount *amount)
{
    if (state->last_ns > 0 && time_ns < state->last_ns)
        return false;
    for (unsigned w = 0; w < PX_WINDOWS; w++)
        add_to_window(state, closed[w], w, price, time_ns, amount);
    add_to_candle(state, price, time_ns, amount);
    add_to_day(state, price, time_ns, amount);
    state->last = price;
    state->last_ns = time_ns;
    state->version++;
    return true;
}

bool px_series_add(struct px_series_state *state, struct px_bucket closed[PX_WINDOWS][PX_WINDOW_BUCKETS],
                   int64_t price, int64_t size, int64_t time_ns)
{
    struct pxi_amount amount = {size, 1, (__int128)price * size};

    return add(state, closed, price, time_ns, &amount);
}

void px_series_add_lump(struct px_series_state *state, struct px_bucket closed[PX_WINDOWS][PX_WINDOW_BUCKETS],
                        const struct px_lump *lump)
{
    struct pxi_amount one = {0, 1, 0}, rest = {lump->volume, lump->count, lump->value};

    for (unsigned i = 0; i + 1 < lump->points; i++, rest.count--)
        add(state, closed, lump->point[i].price, lump->point[i].time_ns, &one);
    if (lump->points > 0)
        add(state, closed, lump->point[lump->points - 1].price, lump->point[lump->points - 1].time_ns, &rest);
}

static void merge(struct px_bucket *sum, const struct px_bucket *bucket)
{
    pxi_bucket_area(sum, pxi_join(bucket->area_hi, bucket->area_lo), bucket->duration_ns);
    pxi_split(pxi_join(sum->value_hi, sum->value_lo) + pxi_join(bucket->value_hi, bucket->value_lo), &sum->value_hi, &sum->value_lo);
    if (bucket->count > 0) {
        sum->high = sum->count == 0 ? bucket->high : PX_MAX(sum->high, bucket->high);
        sum->low = sum->count == 0 ? bucket->low : PX_MIN(sum->low, bucket->low);
    }
    sum->volume += bucket->volume;
    sum->count += bucket->count;
}

/* Sums the closed buckets that start in [from, to), and keeps the area of the one before `from`, which the far edge cuts. */
static void refresh(const struct px_bucket *closed, int64_t width, int64_t from, int64_t to, struct px_window_cache *cache,
                    enum px_window window)
{
    __typeof__(&cache->window[window]) c = &cache->window[window];

    if (c->from_ns == from && c->to_ns == to)
        return;
    memset(c, 0, sizeof(*c));
    c->from_ns = from;
    c->to_ns = to;
    for (unsigned i = 0; i < PX_WINDOW_BUCKETS; i++) {
        if (closed[i].start_ns >= from && closed[i].start_ns < to) {
            merge(&c->sum, &closed[i]);
        } else if (closed[i].start_ns != 0 && closed[i].start_ns == from - width && closed[i].start_ns < to) {
            c->edge_area_hi = closed[i].area_hi;
            c->edge_area_lo = closed[i].area_lo;
            c->edge_duration = closed[i].duration_ns;
        }
    }
}

static void fill_value(const struct px_bucket *sum, int64_t window_ns, unsigned price_scale, struct px_window_value *valuep)
{
    int64_t more = px_pow10(px_average_scale(price_scale) - price_scale);
    __int128 area = pxi_join(sum->area_hi, sum->area_lo), value = pxi_join(sum->value_hi, sum->value_lo);

    valuep->twap = sum->duration_ns > 0 ? px_div_round(area * more, sum->duration_ns) : PX_PRICE_NONE;
    valuep->vwap = sum->volume > 0 ? px_div_round(value * more, sum->volume) : PX_PRICE_NONE;
    valuep->high = sum->count > 0 ? sum->high : PX_PRICE_NONE;
    valuep->low = sum->count > 0 ? sum->low : PX_PRICE_NONE;
    valuep->volume = sum->volume;
    valuep->count = (uint32_t)PX_MIN(sum->count, UINT32_MAX);
    valuep->coverage_ppm = (uint32_t)((__int128)PX_MIN(sum->duration_ns, window_ns) * 1000000 / window_ns);
}

/* The price in force since the newest trade, as far as it lies in the window and is known. */
static void hold_to_now(const struct px_series_state *state, int64_t begin_ns, int64_t now_ns, struct px_bucket *sum)
{
    int64_t known = PX_MIN(now_ns, state->last_ns + PX_CARRY_NS) - PX_MAX(state->last_ns, begin_ns);

    if (state->last_ns > 0 && known > 0)
        pxi_bucket_area(sum, (__int128)state->last * known, known);
}

void px_window_compute(const struct px_series_state *state, const struct px_bucket closed[PX_WINDOW_BUCKETS],
                       enum px_window window, int64_t now_ns, unsigned price_scale, struct px_window_cache *cache,
                       struct px_window_value *valuep)
{
    const struct px_bucket *open = &state->open[window];
    int64_t width = pxi_width(window), now_start = pxi_floor(now_ns, width);
    int64_t from = now_start - (PX_WINDOW_BUCKETS - 1) * width; /* the first bucket that lies wholly inside */
    int64_t cut = width - (now_ns - now_start);                 /* of the bucket before it: the part inside */
    int64_t edge_width = width, edge_duration;
    struct px_bucket sum;
    __int128 edge_area;

    refresh(closed, width, from, open->start_ns, cache, window);
    sum = cache->window[window].sum;
    edge_area = pxi_join(cache->window[window].edge_area_hi, cache->window[window].edge_area_lo);
    edge_duration = cache->window[window].edge_duration;
    if (open->start_ns >= from) {
        merge(&sum, open);
    } else if (open->start_ns == from - width) {
        edge_area = pxi_join(open->area_hi, open->area_lo);
        edge_duration = open->duration_ns;
        edge_width = PX_MAX(state->last_ns - open->start_ns, 1); /* it is accounted for up to there; the rest is held below */
        cut = PX_MAX(cut - (width - edge_width), 0);
    }
    pxi_bucket_area(&sum, edge_area * cut / edge_width, (int64_t)((__int128)edge_duration * cut / edge_width));
    hold_to_now(state, now_ns - px_window_ns[window], now_ns, &sum);
    fill_value(&sum, px_window_ns[window], price_scale, valuep);
}
