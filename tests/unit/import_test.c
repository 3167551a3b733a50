/*
 * Imports against brute force: stretches of trades that come through the feed, between, before and behind them stretches that are
 * imported in any order, twice, with restarts. Afterwards all trades are there once, and candles of every interval are those of
 * one feed that had brought them all.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "store/hist.h"

#define S         PX_NS_PER_S
#define M         PX_MINUTE_NS
#define NOON      (INT64_C(1723118400) * S)
#define STRETCHES 12
#define EACH      900
#define TRADES    (STRETCHES * EACH)

static char data[64];
static struct px_config config;
static struct px_names *names;
static struct px_hist *hist;
static uint64_t random_state;
static struct px_trade trades[TRADES], got[PX_PAGE_MAX];
static struct px_candle oracle[TRADES], answer[PX_PAGE_MAX];
static const struct px_import_bounds everything = {INT64_MIN, INT64_MAX, INT64_MIN};

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static void setup(void)
{
    snprintf(data, sizeof data, "/tmp/px-import-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(data));
    memset(&config, 0, sizeof config);
    config.asset_count = 1;
    config.assets = calloc(1, sizeof *config.assets);
    strcpy(config.assets[0].symbol, "A-USD");
    ck_assert_int_eq(px_names_create(&config, &names), 0);
    ck_assert_int_eq(px_hist_open(data, names, &hist), 0);
}

static void teardown(void)
{
    char command[96];

    px_hist_close(&hist);
    px_names_destroy(&names);
    free(config.assets);
    snprintf(command, sizeof command, "rm -rf %s", data);
    ck_assert_int_eq(system(command), 0);
}

/* Each stretch takes hours, some cross a day; ten minutes of silence at least between them, so that none carries a price
 * into another's minutes. */
static void make_trades(void)
{
    int64_t time_ns = NOON, price = 100000;

    for (unsigned i = 0; i < TRADES; i++) {
        time_ns += i % EACH == 0 ? (10 + (int64_t)random_below(600)) * M
                                 : (int64_t)random_below(random_below(20) == 0 ? 8 * 60000 : 20000) * PX_NS_PER_MS;
        if (i % EACH == 0)
            time_ns -= time_ns % M;
        price += (int64_t)random_below(201) - 100;
        trades[i] = (struct px_trade){.time_ns = time_ns, .recv_ns = time_ns, .sequence = UINT64_C(1) << 48 | i,
                                      .price = price, .size = 1 + (int64_t)random_below(50), .trade_id = i + 1};
    }
}

static int64_t carried(unsigned i, unsigned end)
{
    int64_t until_ns = trades[i].time_ns + PX_CARRY_NS;

    return i + 1 < end ? PX_MIN(until_ns, trades[i + 1].time_ns) : until_ns;
}

/* Candles of trades [from, end), the obvious way. */
static unsigned brute_force(unsigned from, unsigned end, uint32_t interval_s, struct px_candle *candles)
{
    int64_t width_ns = interval_s * S;
    unsigned count = 0;

    for (unsigned i = from; i < end; i++) {
        int64_t start_ns = px_candle_start(trades[i].time_ns, interval_s);
        struct px_candle one = {.open = trades[i].price, .high = trades[i].price, .low = trades[i].price,
                                .close = trades[i].price, .volume = trades[i].size, .count = 1,
                                .last_ns = trades[i].time_ns, .value = (__int128)trades[i].price * trades[i].size};

        if (count == 0 || candles[count - 1].start_ns != start_ns)
            candles[count++] = (struct px_candle){.start_ns = start_ns, .final = true};
        px_candle_add(&candles[count - 1], &one);
    }
    for (unsigned i = from, at = 0; i < end; i++) {
        for (; at < count && candles[at].start_ns + width_ns <= trades[i].time_ns; at++)
            ;
        for (unsigned c = at; c < count && candles[c].start_ns < carried(i, end); c++) {
            int64_t begin = PX_MAX(candles[c].start_ns, trades[i].time_ns);
            int64_t stop = PX_MIN(candles[c].start_ns + width_ns, carried(i, end));

            candles[c].area += (__int128)trades[i].price * (stop - begin);
            candles[c].duration_ns += stop - begin;
        }
    }
    return count;
}

static void commit(void)
{
    ck_assert_int_eq(px_hist_commit(hist), 0);
}

/* A stretch as the feed brings it. */
static void live(unsigned stretch)
{
    unsigned from = stretch * EACH, count = brute_force(from, from + EACH, 60, oracle);

    for (unsigned i = from, next = 0; i < from + EACH; i++) {
        for (; next < count && oracle[next].start_ns + M <= trades[i].time_ns; next++)
            px_hist_put_candle(hist, 0, &oracle[next]);
        px_hist_put_trade(hist, 0, &trades[i]);
        if (i % 100 == 99)
            commit();
        if (i + 1 == from + EACH)
            px_hist_put_candle(hist, 0, &oracle[count - 1]);
    }
    commit();
    for (int turn = 0; turn < 6; turn++)
        if (px_hist_tend(hist, 0) > 0)
            commit();
}

static struct px_import_report import(unsigned stretch)
{
    struct px_import_report report = {.newest_ns = INT64_MIN};
    unsigned from = stretch * EACH, end = from + EACH, done;

    while (from < end) {
        unsigned day = px_import_day(&trades[from].time_ns, sizeof *trades, end - from);

        ck_assert_int_eq(px_hist_import_trades(hist, 0, trades + from, day, &everything, &report, &done), 0);
        ck_assert_uint_gt(done, 0);
        commit();
        if (px_hist_tend(hist, 0) > 0)
            commit();
        from += done;
    }
    return report;
}

static void import_once(unsigned stretch)
{
    struct px_import_report report = import(stretch);

    ck_assert_uint_eq(report.taken, EACH);
    ck_assert_uint_eq(report.present + report.too_old + report.too_new, 0);
    report = import(stretch);
    ck_assert_uint_eq(report.taken, 0);
    ck_assert_uint_eq(report.present, EACH);
}

static void check_candles(uint32_t interval_s, unsigned end)
{
    unsigned count = brute_force(0, end, interval_s, oracle), seen = 0;
    struct px_range range = {.start_ns = 0, .end_ns = PX_TIME_NONE, .limit = PX_PAGE_MAX};
    struct px_page page;
    int64_t prior;

    do {
        ck_assert_int_eq(px_hist_candles(hist, 0, interval_s, true, INT64_MAX / 4, &range, answer, &page, &prior), 0);
        for (unsigned i = 0; i < page.count; i++, seen++) {
            const struct px_candle *a = &answer[i], *b = &oracle[seen];

            ck_assert_uint_lt(seen, count);
            ck_assert_int_eq(a->start_ns, b->start_ns);
            ck_assert(a->open == b->open && a->high == b->high && a->low == b->low && a->close == b->close);
            ck_assert(a->volume == b->volume && a->count == b->count && a->value == b->value);
            ck_assert_msg(a->area == b->area && a->duration_ns == b->duration_ns, "%u s, candle %u of %u: %lld, not %lld", interval_s,
                          seen, count, (long long)a->duration_ns, (long long)b->duration_ns);
        }
        range.cursor = page.next;
    } while (page.more);
    ck_assert_uint_eq(seen, count);
}

static void check_trades(unsigned end)
{
    struct px_range range = {.start_ns = 0, .end_ns = PX_TIME_NONE, .limit = PX_PAGE_MAX};
    struct px_page page;
    unsigned seen = 0;

    do {
        ck_assert_int_eq(px_hist_ticks(hist, 0, true, &range, got, &page), 0);
        for (unsigned i = 0; i < page.count; i++, seen++) {
            ck_assert_uint_eq(got[i].trade_id, trades[seen].trade_id);
            ck_assert(got[i].time_ns == trades[seen].time_ns && got[i].price == trades[seen].price);
        }
        range.cursor = page.next;
    } while (page.more);
    ck_assert_uint_eq(seen, end);
}

static void check_all(unsigned stretches)
{
    static const uint32_t intervals[] = {60, 180, 300, 900, 3600, 14400, 86400, 604800, 5};

    for (unsigned i = 0; i < PX_COUNT_OF(intervals); i++)
        check_candles(intervals[i], stretches * EACH);
    check_trades(stretches * EACH);
}

static void restart(void)
{
    px_hist_close(&hist);
    ck_assert_int_eq(px_hist_open(data, names, &hist), 0);
    if (px_hist_tend(hist, 0) > 0)
        commit();
}

/* Every other stretch is live; the rest is imported in a random order, and the last two behind all. */
START_TEST(imports_equal_brute_force)
{
    unsigned order[STRETCHES / 2 - 1];

    random_state = 88172645463325252u + (uint64_t)_i;
    make_trades();
    for (unsigned i = 0; i + 2 < STRETCHES; i++) {
        if (i % 2 == (unsigned)_i % 2)
            live(i);
        else
            order[i / 2] = i;
    }
    for (unsigned n = STRETCHES / 2 - 1; n > 0; n--) {
        unsigned pick = (unsigned)random_below(n), stretch = order[pick];

        order[pick] = order[n - 1];
        import_once(stretch);
        if (n % 2)
            restart();
    }
    check_all(STRETCHES - 2);
    import_once(STRETCHES - 2);
    check_all(STRETCHES - 1);
    live(STRETCHES - 1);
    check_all(STRETCHES);
    restart();
    check_all(STRETCHES);
}
END_TEST

/* All of it into an empty history. */
START_TEST(an_empty_history_is_filled)
{
    random_state = 4711;
    make_trades();
    for (unsigned i = 0; i < STRETCHES; i++)
        import_once(i);
    check_all(STRETCHES);
    restart();
    check_all(STRETCHES);
}
END_TEST

/* Days that somebody else has recorded, before the first minute; they are not touched by what lies in them afterwards. */
START_TEST(longer_candles_come_before_the_first_minute)
{
    struct px_import_report report = {.newest_ns = INT64_MIN};
    struct px_candle days[40];
    struct px_range range = {.start_ns = 0, .end_ns = PX_TIME_NONE, .limit = 100};
    struct px_page page;
    int64_t prior, first_ns;
    unsigned done;

    random_state = 99;
    make_trades();
    live(0);
    first_ns = px_candle_start(trades[0].time_ns, 86400) - 30 * 86400 * S;
    for (unsigned i = 0; i < 40; i++)
        days[i] = (struct px_candle){.start_ns = first_ns + i * 86400 * S, .open = 5 + i, .high = 9 + i, .low = 1, .close = 6,
                                     .volume = 10, .count = 1000, .duration_ns = 86400 * S, .area = 6 * (__int128)86400 * S,
                                     .last_ns = first_ns + (i + 1) * 86400 * S - 1, .value = 60, .final = true};
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 40; i += done) {
            ck_assert_int_eq(px_hist_import_candles(hist, 0, 86400, days + i, 1, &everything, &report, &done), 0);
            commit();
            if (px_hist_tend(hist, 0) > 0)
                commit();
        }
        ck_assert_uint_eq(report.taken, 30);
        if (round == 0)
            ck_assert_uint_eq(report.too_new, 10);
        else
            ck_assert_uint_eq(report.present, 30);
        restart();
    }
    ck_assert_int_eq(px_hist_candles(hist, 0, 86400, true, INT64_MAX / 4, &range, answer, &page, &prior), 0);
    ck_assert_uint_ge(page.count, 31);
    for (unsigned i = 0; i < 30; i++) {
        ck_assert_int_eq(answer[i].start_ns, days[i].start_ns);
        ck_assert(answer[i].open == days[i].open && answer[i].high == days[i].high && answer[i].area == days[i].area);
    }
    ck_assert_int_eq(answer[30].start_ns, px_candle_start(trades[0].time_ns, 86400));
    ck_assert_int_eq(px_hist_import_candles(hist, 0, 7, days, 1, &everything, &report, &done), PX_E_INVALID);
}
END_TEST

/* What is too old, too new, or older than trades are kept. */
START_TEST(bounds_hold)
{
    struct px_import_report report = {.newest_ns = INT64_MIN};
    int64_t minute_ns;
    unsigned done;

    random_state = 5;
    make_trades();
    minute_ns = px_candle_start(trades[300].time_ns, 60);
    struct px_import_bounds bounds = {px_candle_start(trades[100].time_ns, 60), minute_ns, minute_ns - 10 * M};
    ck_assert_int_eq(px_hist_import_trades(hist, 0, trades, px_import_day(&trades[0].time_ns, sizeof *trades, EACH), &bounds,
                                           &report, &done), 0);
    commit();
    ck_assert_uint_gt(report.too_old, 80);
    ck_assert_uint_gt(report.too_new, 0);
    ck_assert_uint_gt(report.taken, 150);
    ck_assert_int_le(report.newest_ns, minute_ns);
    struct px_range range = {.start_ns = 0, .end_ns = PX_TIME_NONE, .limit = PX_PAGE_MAX};
    struct px_page page;
    ck_assert_int_eq(px_hist_ticks(hist, 0, true, &range, got, &page), 0);
    ck_assert_uint_gt(page.count, 0);
    ck_assert_int_ge(got[0].time_ns, bounds.ticks_ns);
    ck_assert_int_lt(got[page.count - 1].time_ns, minute_ns);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("import");
    TCase *tcase = tcase_create("import");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, imports_equal_brute_force, 0, 6);
    tcase_add_test(tcase, an_empty_history_is_filled);
    tcase_add_test(tcase, longer_candles_come_before_the_first_minute);
    tcase_add_test(tcase, bounds_hold);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
