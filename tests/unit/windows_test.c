/* Windows and candles against a brute-force integral over the same ticks. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "engine/evaluator/windows.h"
#include "tests/recorded_trades.h"

#define TICKS 12000
#define BASE_NS (INT64_C(1723161240) * PX_NS_PER_S) /* a whole minute */

struct trade {
    int64_t price, size, time_ns;
};

struct asset {
    struct px_series_state state;
    struct px_bucket closed[PX_WINDOWS][PX_WINDOW_BUCKETS];
    struct px_window_cache cache;
    struct px_steps steps;
    struct trade trade[TICKS]; /* that counted, in order of time and arrival */
    unsigned count;
    uint64_t seed;
};

static uint64_t dice(struct asset *asset, uint64_t n)
{
    asset->seed = asset->seed * 6364136223846793005u + 1442695040888963407u;
    return (asset->seed >> 33) % n;
}

/* As the evaluator does; a trade that is late is put where it belongs by the model too. False: it was too late. */
static bool add(struct asset *asset, int64_t price, int64_t size, int64_t time_ns)
{
    struct px_redo redo = {0};
    unsigned at = asset->count;

    if (px_series_add(&asset->state, asset->closed, price, size, time_ns)) {
        px_steps_add(&asset->steps, price, time_ns);
    } else if (px_series_correct(&asset->state, asset->closed, &asset->steps, price, size, time_ns, &redo)) {
        px_redo_apply(asset->closed, &redo);
        asset->cache = (struct px_window_cache){0};
    } else {
        return false;
    }
    for (; at > 0 && asset->trade[at - 1].time_ns > time_ns; at--)
        asset->trade[at] = asset->trade[at - 1];
    asset->trade[at] = (struct trade){price, size, time_ns};
    asset->count++;
    return true;
}

/* The price in force over (from, to], held for at most the carry: its integral and for how long it was known. */
static void integrate(const struct asset *asset, int64_t from, int64_t to, __int128 *areap, int64_t *knownp)
{
    *areap = 0;
    *knownp = 0;
    for (unsigned i = 0; i < asset->count; i++) {
        int64_t begin = asset->trade[i].time_ns, end = i + 1 < asset->count ? asset->trade[i + 1].time_ns : to;

        end = PX_MIN(PX_MIN(end, to), begin + PX_CARRY_NS);
        begin = PX_MAX(begin, from);
        if (end > begin) {
            *areap += (__int128)asset->trade[i].price * (end - begin);
            *knownp += end - begin;
        }
    }
}

static int64_t highest(const struct asset *asset, int64_t from)
{
    int64_t high = INT64_MIN;

    for (unsigned i = 0; i < asset->count; i++)
        if (asset->trade[i].time_ns >= from)
            high = PX_MAX(high, asset->trade[i].price);
    return high;
}

static int64_t lowest(const struct asset *asset, int64_t from)
{
    int64_t low = INT64_MAX;

    for (unsigned i = 0; i < asset->count; i++)
        if (asset->trade[i].time_ns >= from)
            low = PX_MIN(low, asset->trade[i].price);
    return low;
}

/* What covers whole buckets, from `whole` on: exact. */
struct sums {
    int64_t high, low, volume;
    __int128 value;
    uint32_t count;
};

static void sum_up(struct sums *sums, const struct trade *trade)
{
    sums->high = sums->count == 0 ? trade->price : PX_MAX(sums->high, trade->price);
    sums->low = sums->count == 0 ? trade->price : PX_MIN(sums->low, trade->price);
    sums->volume += trade->size;
    sums->value += (__int128)trade->price * trade->size;
    sums->count++;
}

static void check_sums(const struct asset *asset, int64_t whole, const struct px_window_value *value)
{
    struct sums sums = {0};

    for (unsigned i = 0; i < asset->count; i++)
        if (asset->trade[i].time_ns >= whole)
            sum_up(&sums, &asset->trade[i]);
    ck_assert_uint_eq(value->count, sums.count);
    ck_assert_int_eq(value->volume, sums.volume);
    ck_assert_int_eq(value->high, sums.count > 0 ? sums.high : PX_PRICE_NONE);
    ck_assert_int_eq(value->low, sums.count > 0 ? sums.low : PX_PRICE_NONE);
    ck_assert_int_eq(value->vwap, sums.volume > 0 ? px_div_round(sums.value * 100, sums.volume) : PX_PRICE_NONE);
}

static void check_window(struct asset *asset, enum px_window w, int64_t now_ns)
{
    int64_t width = px_window_ns[w] / PX_WINDOW_BUCKETS, from = now_ns - px_window_ns[w], known;
    int64_t whole = now_ns - now_ns % width - (PX_WINDOW_BUCKETS - 1) * width, bound;
    int64_t edge_high = INT64_MIN, edge_low = INT64_MAX, before = PX_PRICE_NONE;
    struct px_window_value value;
    __int128 area, edge_area;
    int64_t edge_known;

    px_window_compute(&asset->state, asset->closed[w], w, now_ns, 2, &asset->cache, &value);
    integrate(asset, from, now_ns, &area, &known);
    for (unsigned i = 0; i < asset->count; i++) {
        const struct trade *t = &asset->trade[i];

        if (t->time_ns >= whole - width && t->time_ns < whole) {
            edge_high = PX_MAX(edge_high, PX_MAX(t->price, before));
            edge_low = PX_MIN(edge_low, before == PX_PRICE_NONE ? t->price : PX_MIN(t->price, before));
        }
        before = t->price;
    }
    check_sums(asset, whole, &value);
    /* Two more decimals. Where something was unknown, the cut of what was known may be off by a bucket's width as well. */
    integrate(asset, whole - width, whole, &edge_area, &edge_known);
    if (known < px_window_ns[w] || edge_known < width) {
        edge_high = PX_MAX(edge_high, highest(asset, from - PX_CARRY_NS));
        edge_low = PX_MIN(edge_low, lowest(asset, from - PX_CARRY_NS));
    }
    bound = edge_high > edge_low ? (int64_t)((__int128)(edge_high - edge_low) * 100 * width / PX_MAX(known, width)) + 1 : 1;
    if (known > width && known * 2 > px_window_ns[w]) {
        int64_t exact = px_div_round(area * 100, known);

        ck_assert_msg(llabs(value.twap - exact) <= bound, "window %u: %lld, brute force %lld, bound %lld, seed %llu", w,
                      (long long)value.twap, (long long)exact, (long long)bound, (unsigned long long)asset->seed);
        ck_assert_int_le(llabs((int64_t)value.coverage_ppm - known * 1000000 / px_window_ns[w]), 1000000 / PX_WINDOW_BUCKETS);
    }
}

START_TEST(equal_brute_force)
{
    struct asset *asset = malloc(sizeof(*asset));

    for (uint64_t seed = 1; seed <= 20; seed++) {
        int64_t now_ns = BASE_NS + (int64_t)seed * 777777, price = 6000000;

        memset(asset, 0, sizeof(*asset));
        asset->seed = seed;
        asset->state.last = PX_PRICE_NONE;
        for (unsigned i = 0; i < 1500; i++) {
            uint64_t pace = dice(asset, 100);
            int64_t step = pace < 30 ? 0 : pace < 90 ? (int64_t)dice(asset, 3000) : (int64_t)dice(asset, 60000);

            if (pace == 99)
                step = (int64_t)dice(asset, 5000000); /* a silence longer than any window */
            now_ns += step * PX_NS_PER_MS;
            price += (int64_t)dice(asset, 2001) - 1000;
            add(asset, price, (int64_t)dice(asset, 1000), now_ns);
            if (i % 7 == 0)
                for (unsigned w = 0; w < PX_WINDOWS; w++)
                    check_window(asset, w, now_ns + (int64_t)dice(asset, 3) * 900 * PX_NS_PER_MS);
        }
    }
    free(asset);
}
END_TEST

START_TEST(constant_price_is_exact)
{
    struct asset *asset = calloc(1, sizeof(*asset));
    struct px_window_value value;

    asset->state.last = PX_PRICE_NONE;
    for (int i = 0; i < 200; i++)
        add(asset, 4200, 3, BASE_NS + i * PX_NS_PER_S);
    px_window_compute(&asset->state, asset->closed[0], PX_WINDOW_1M, BASE_NS + 200 * PX_NS_PER_S, 2, &asset->cache, &value);
    ck_assert_int_eq(value.twap, 420000);
    ck_assert_int_eq(value.vwap, 420000);
    ck_assert_uint_eq(value.coverage_ppm, 1000000);
    ck_assert_int_eq(value.volume, 59 * 3);
    px_window_compute(&asset->state, asset->closed[0], PX_WINDOW_1M, BASE_NS + 900 * PX_NS_PER_S, 2, &asset->cache, &value);
    ck_assert_int_eq(value.twap, PX_PRICE_NONE); /* the carry ended long ago */
    ck_assert_uint_eq(value.coverage_ppm, 0);
    free(asset);
}
END_TEST

START_TEST(candles_by_hand)
{
    struct asset *asset = calloc(1, sizeof(*asset));

    asset->state.last = PX_PRICE_NONE;
    add(asset, 100, 1, BASE_NS + 50 * PX_NS_PER_S);
    add(asset, 120, 2, BASE_NS + 70 * PX_NS_PER_S); /* the next minute: 100 held for its first ten seconds */
    add(asset, 90, 3, BASE_NS + 80 * PX_NS_PER_S);
    ck_assert_int_eq(asset->state.candles.open.start_ns, BASE_NS + 60 * PX_NS_PER_S);
    ck_assert_int_eq(asset->state.candles.open.open, 120);
    ck_assert_int_eq(asset->state.candles.open.high, 120);
    ck_assert_int_eq(asset->state.candles.open.low, 90);
    ck_assert_int_eq(asset->state.candles.open.close, 90);
    ck_assert_int_eq(asset->state.candles.open.volume, 5);
    ck_assert_uint_eq(asset->state.candles.open.count, 2);
    ck_assert_int_eq(asset->state.candles.open.duration_ns, 20 * PX_NS_PER_S);
    ck_assert_int_eq(asset->state.candles.open.area_lo, (100 * 10 + 120 * 10) * PX_NS_PER_S);
    ck_assert(add(asset, 300, 1, BASE_NS + 79 * PX_NS_PER_S)); /* a second late, for one second */
    ck_assert_int_eq(asset->state.candles.open.high, 300);
    ck_assert_int_eq(asset->state.candles.open.close, 90);
    ck_assert_int_eq(asset->state.candles.open.volume, 6);
    ck_assert_int_eq(asset->state.candles.open.area_lo, (100 * 10 + 120 * 9 + 300) * PX_NS_PER_S);
    ck_assert_int_eq(asset->state.last, 90);
    ck_assert(!add(asset, 400, 1, BASE_NS + 77 * PX_NS_PER_S)); /* too late */
    ck_assert_int_eq(asset->state.candles.open.high, 300);
    ck_assert_uint_eq(asset->state.candles.open.count, 3);
    free(asset);
}
END_TEST

/* ---- late trades ---- */

/* The minute as brute force makes it of the model's trades, its price held up to `until`. */
static struct px_candle_value minute_of(const struct asset *asset, int64_t start_ns, int64_t until)
{
    struct px_candle_value candle = {.start_ns = start_ns};
    int64_t end_ns = PX_MIN(start_ns + 60 * PX_NS_PER_S, until);
    __int128 area, value = 0;

    for (unsigned i = 0; i < asset->count; i++) {
        const struct trade *t = &asset->trade[i];

        if (t->time_ns < start_ns || t->time_ns >= start_ns + 60 * PX_NS_PER_S)
            continue;
        candle.open = candle.count == 0 ? t->price : candle.open;
        candle.high = candle.count == 0 ? t->price : PX_MAX(candle.high, t->price);
        candle.low = candle.count == 0 ? t->price : PX_MIN(candle.low, t->price);
        candle.close = t->price;
        candle.last_ns = t->time_ns;
        candle.volume += t->size;
        candle.count++;
        value += (__int128)t->price * t->size;
    }
    integrate(asset, start_ns, end_ns, &area, &candle.duration_ns);
    candle.area_hi = (int64_t)(area >> 64);
    candle.area_lo = (int64_t)area;
    candle.value_hi = (int64_t)(value >> 64);
    candle.value_lo = (int64_t)value;
    return candle;
}

static void check_candles(const struct asset *asset)
{
    const struct px_candle_pair *candles = &asset->state.candles;
    struct px_candle_value open = minute_of(asset, candles->open.start_ns, asset->state.last_ns);
    struct px_candle_value before = minute_of(asset, candles->before.start_ns, INT64_MAX);

    ck_assert_mem_eq(&candles->open, &open, sizeof(open));
    if (candles->before.start_ns > 0)
        ck_assert_mem_eq(&candles->before, &before, sizeof(before));
    for (unsigned i = 0; i < asset->count; i++) /* and no minute with a trade lies between the two */
        ck_assert(asset->trade[i].time_ns >= candles->open.start_ns ||
                  asset->trade[i].time_ns < candles->before.start_ns + 60 * PX_NS_PER_S);
}

static void check_day(const struct asset *asset)
{
    int64_t volume = 0, high = INT64_MIN, low = INT64_MAX, first = PX_PRICE_NONE, count = 0;

    for (unsigned i = 0; i < asset->count; i++) {
        const struct trade *t = &asset->trade[i];

        if (t->time_ns < asset->state.day_ns)
            continue;
        first = count++ == 0 ? t->price : first;
        volume += t->size;
        high = PX_MAX(high, t->price);
        low = PX_MIN(low, t->price);
    }
    ck_assert_int_eq(asset->state.day_open, first);
    ck_assert_int_eq(asset->state.day_high, high);
    ck_assert_int_eq(asset->state.day_low, low);
    ck_assert_int_eq(asset->state.day_volume, volume);
    ck_assert_int_eq(asset->state.day_count, count);
}

/* Trades of a feed whose clock goes back now and then, with trades of the same time, pauses, silences, over midnight. */
START_TEST(late_trades_equal_brute_force)
{
    struct asset *asset = malloc(sizeof(*asset));
    unsigned late = 0, too_late = 0, midnights = 0;

    for (uint64_t seed = 1; seed <= 10; seed++) {
        int64_t day_ns = 86400 * PX_NS_PER_S, midnight = BASE_NS - BASE_NS % day_ns + day_ns, price = 6000000;
        int64_t now_ns = midnight - (int64_t)(seed % 7) * 60 * PX_NS_PER_S - 1;

        memset(asset, 0, sizeof(*asset));
        asset->seed = seed;
        asset->state.last = PX_PRICE_NONE;
        for (unsigned i = 0; i < 1200; i++) {
            uint64_t pace = dice(asset, 100), kind = dice(asset, 10);
            int64_t step = pace < 30 ? 0 : pace < 90 ? (int64_t)dice(asset, 900) : (int64_t)dice(asset, 40000), time_ns;

            if (pace == 99)
                step = (int64_t)dice(asset, 500000);
            now_ns += step * PX_NS_PER_MS;
            midnights += asset->count > 0 && asset->state.last_ns < midnight && now_ns >= midnight;
            price += (int64_t)dice(asset, 2001) - 1000;
            time_ns = kind < 3 && i > 0 ? now_ns - (int64_t)dice(asset, 2300) * PX_NS_PER_MS : now_ns;
            if (kind == 3 && asset->count > 3) /* at the very time of another */
                time_ns = asset->trade[asset->count - 3].time_ns;
            bool behind = asset->state.last_ns > 0 && time_ns < asset->state.last_ns;
            bool beyond = behind && time_ns < asset->state.last_ns - PX_LATE_NS;
            bool counted = add(asset, price, (int64_t)dice(asset, 1000), time_ns);

            ck_assert_int_eq(counted, !beyond);
            late += behind && !beyond;
            too_late += beyond;
            check_candles(asset);
            check_day(asset);
            if (i % 3 == 0)
                for (unsigned w = 0; w < PX_WINDOWS; w++)
                    check_window(asset, w, asset->state.last_ns + (int64_t)dice(asset, 3) * 900 * PX_NS_PER_MS);
        }
    }
    ck_assert_uint_gt(late, 1200);
    ck_assert_uint_gt(too_late, 120);
    ck_assert_uint_gt(midnights, 5);
    free(asset);
}
END_TEST

static void check_recording(const char *symbol)
{
    struct px_trade *trades = malloc(TICKS * sizeof *trades);
    struct asset *asset = calloc(1, sizeof(*asset));
    unsigned count = recorded_trades(symbol, trades, TICKS);

    asset->state.last = PX_PRICE_NONE;
    if (count == 0)
        printf("no recording of %s: random trades only\n", symbol);
    for (unsigned i = 0; i < count; i++) {
        add(asset, trades[i].price, trades[i].size, trades[i].time_ns);
        if (i % 31 == 0)
            for (unsigned w = 0; w < PX_WINDOWS; w++)
                check_window(asset, w, asset->state.last_ns + (int64_t)dice(asset, 3) * 900 * PX_NS_PER_MS);
    }
    free(trades);
    free(asset);
}

START_TEST(recordings_equal_brute_force)
{
    check_recording("btcusdt");
    check_recording("ethusdt");
}
END_TEST

/* More different times within two seconds than are remembered: what is older is too late, nothing is counted wrongly. */
START_TEST(a_crowd_is_cut)
{
    struct asset *asset = calloc(1, sizeof(*asset));

    asset->state.last = PX_PRICE_NONE;
    for (int i = 0; i < 600; i++)
        ck_assert(add(asset, 1000 + i % 7, 1, BASE_NS + i * PX_NS_PER_MS));
    ck_assert(!add(asset, 2000, 1, BASE_NS + 100 * PX_NS_PER_MS + 1));
    ck_assert(add(asset, 2000, 1, BASE_NS + 500 * PX_NS_PER_MS + 1));
    check_candles(asset);
    px_steps_cut(&asset->steps); /* and after trades that nobody saw one by one, none */
    px_steps_add(&asset->steps, asset->state.last, asset->state.last_ns);
    ck_assert(!add(asset, 2000, 1, BASE_NS + 500 * PX_NS_PER_MS + 2));
    check_candles(asset);
    free(asset);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("windows");
    TCase *tcase = tcase_create("windows");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, equal_brute_force);
    tcase_add_test(tcase, constant_price_is_exact);
    tcase_add_test(tcase, candles_by_hand);
    tcase_add_test(tcase, late_trades_equal_brute_force);
    tcase_add_test(tcase, a_crowd_is_cut);
    tcase_add_test(tcase, recordings_equal_brute_force);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
