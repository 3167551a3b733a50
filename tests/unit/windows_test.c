/* Windows and candles against a brute-force integral over the same ticks. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "engine/evaluator/windows.h"

#define TICKS 3000
#define BASE_NS (INT64_C(1723161240) * PX_NS_PER_S) /* a whole minute */

struct trade {
    int64_t price, size, time_ns;
};

struct asset {
    struct px_series_state state;
    struct px_bucket closed[PX_WINDOWS][PX_WINDOW_BUCKETS];
    struct px_window_cache cache;
    struct trade trade[TICKS];
    unsigned count;
    uint64_t seed;
};

static uint64_t dice(struct asset *asset, uint64_t n)
{
    asset->seed = asset->seed * 6364136223846793005u + 1442695040888963407u;
    return (asset->seed >> 33) % n;
}

static void add(struct asset *asset, int64_t price, int64_t size, int64_t time_ns)
{
    asset->trade[asset->count++] = (struct trade){price, size, time_ns};
    ck_assert(px_series_add(&asset->state, asset->closed, price, size, time_ns));
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

static void check_window(struct asset *asset, enum px_window w, int64_t now_ns)
{
    int64_t width = px_window_ns[w] / PX_WINDOW_BUCKETS, from = now_ns - px_window_ns[w], known;
    int64_t whole = now_ns - now_ns % width - (PX_WINDOW_BUCKETS - 1) * width, high = 0, low = 0, bound;
    int64_t edge_high = INT64_MIN, edge_low = INT64_MAX, before = PX_PRICE_NONE;
    struct px_window_value value;
    uint32_t count = 0;
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
        if (t->time_ns < whole)
            continue;
        high = count == 0 ? t->price : PX_MAX(high, t->price);
        low = count == 0 ? t->price : PX_MIN(low, t->price);
        count++;
    }
    ck_assert_uint_eq(value.count, count);
    if (count > 0) {
        ck_assert_int_eq(value.high, high);
        ck_assert_int_eq(value.low, low);
    }
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
    ck_assert_int_eq(asset->state.candle.start_ns, BASE_NS + 60 * PX_NS_PER_S);
    ck_assert_int_eq(asset->state.candle.open, 120);
    ck_assert_int_eq(asset->state.candle.high, 120);
    ck_assert_int_eq(asset->state.candle.low, 90);
    ck_assert_int_eq(asset->state.candle.close, 90);
    ck_assert_int_eq(asset->state.candle.volume, 5);
    ck_assert_uint_eq(asset->state.candle.count, 2);
    ck_assert_int_eq(asset->state.candle.duration_ns, 20 * PX_NS_PER_S);
    ck_assert_int_eq(asset->state.candle.area_lo, (100 * 10 + 120 * 10) * PX_NS_PER_S);
    ck_assert(!px_series_add(&asset->state, asset->closed, 300, 1, BASE_NS + 75 * PX_NS_PER_S)); /* late */
    ck_assert_int_eq(asset->state.candle.high, 300);
    ck_assert_int_eq(asset->state.candle.close, 90);
    ck_assert_int_eq(asset->state.last, 90);
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
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
