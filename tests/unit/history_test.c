/* History against the obvious way: random trades and minutes, written by processes that are killed, read in every way.
 */
#include <check.h>
#include <rocksdb/c.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "store/hist.h"

#define S      PX_NS_PER_S
#define M      PX_MINUTE_NS
#define DAY    (86400 * S)
#define NOON   (INT64_C(1723118400) * S)
#define ASSETS 3
#define TRADES 20000

#ifdef PX_TSAN
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:librocksdb.so\ncalled_from_lib:libstdc++.so\nrace:librocksdb.so\nrace:libstdc++.so\n";
}
#endif

static char data[64];
static struct px_config config;
static struct px_names *names;
static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static void setup(void)
{
    snprintf(data, sizeof data, "/tmp/px-history-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(data));
    memset(&config, 0, sizeof config);
    config.asset_count = ASSETS;
    config.venue_count = 2;
    config.assets = calloc(ASSETS, sizeof *config.assets);
    strcpy(config.venues[0].name, "alpha");
    strcpy(config.venues[1].name, "beta");
    for (unsigned i = 0; i < ASSETS; i++)
        snprintf(config.assets[i].symbol, sizeof config.assets[i].symbol, "A%u-USD", i);
    ck_assert_int_eq(px_names_create(&config, &names), 0);
}

static void teardown(void)
{
    char command[96];

    px_names_destroy(&names);
    free(config.assets);
    snprintf(command, sizeof command, "rm -rf %s", data);
    ck_assert_int_eq(system(command), 0);
}

static struct px_hist *open_hist(void)
{
    struct px_hist *hist;

    ck_assert_int_eq(px_hist_open(data, names, &hist), 0);
    return hist;
}

/* ---- trades ---- */

struct sample {
    px_asset_id asset;
    struct px_trade trade;
};

static struct sample samples[TRADES];

/* Days with bursts inside a millisecond, gaps of hours, some late by less and by more than a block, some quarantined.
 */
static void make_samples(void)
{
    int64_t clock_ns[ASSETS] = {NOON, NOON + 5 * S, NOON - 3 * M}, price[ASSETS] = {100, 200, 300};

    for (unsigned i = 0; i < TRADES; i++) {
        px_asset_id asset = (px_asset_id)(random_below(20) ? random_below(2) : 2);
        uint64_t dice = random_below(1000);
        int64_t step = dice < 500   ? 0
                       : dice < 900 ? (int64_t)random_below(20) * PX_NS_PER_MS
                                    : (int64_t)random_below(40 * S);

        if (dice == 999)
            step = (int64_t)random_below(9 * 3600) * S;
        clock_ns[asset] += step;
        price[asset] += (int64_t)random_below(7) - 3;
        struct px_trade trade = {.time_ns = clock_ns[asset],
                                 .recv_ns = clock_ns[asset] + (int64_t)random_below(5 * PX_NS_PER_MS),
                                 .sequence = UINT64_C(3) << 48 | i,
                                 .price = price[asset],
                                 .size = (int64_t)random_below(4) * 1000,
                                 .trade_id = 5000 + i + random_below(2),
                                 .sseq = i,
                                 .venue = (px_venue_id)(i / 50 % 2)};
        if (dice >= 950)
            trade.time_ns -= (int64_t)random_below(dice >= 990 ? 20 * M : 2 * S);
        if (dice == 700)
            trade.flags = PX_TICK_QUARANTINED;
        if (dice == 701)
            trade.time_ns = (int64_t)random_below(INT64_MAX / 2), trade.flags = PX_TRADE_LATE;
        samples[i] = (struct sample){asset, trade};
    }
}

/* One life: from the checkpoint on, in batches of any size, until it kills itself before or behind a commit. */
static void live(uint64_t *committed)
{
    struct px_hist *hist;
    uint64_t generation = 0, at = 0;

    if (px_hist_open(data, names, &hist) != 0)
        _exit(1);
    if (px_hist_checkpoint(hist, &generation, &at) == 0 && at < *committed)
        _exit(2); /* acknowledged and lost */
    uint64_t batches = 1 + random_below(12);
    while (at < TRADES) {
        uint64_t end = at + 1 + random_below(random_below(3) ? 60 : 1500);

        end = PX_MIN(end, TRADES);
        for (; at < end; at++)
            px_hist_put_trade(hist, samples[at].asset, &samples[at].trade);
        px_hist_put_checkpoint(hist, 1, at);
        if (--batches == 0 && random_below(2))
            kill(getpid(), SIGKILL);
        if (px_hist_commit(hist) != 0)
            _exit(3);
        *committed = at;
        if (batches == 0)
            kill(getpid(), SIGKILL);
        for (px_asset_id asset = 0; asset < ASSETS; asset++)
            if (px_hist_tend(hist, asset) < 0)
                _exit(4);
        if (px_hist_trim(hist) < 0)
            _exit(5);
    }
    px_hist_commit(hist);
    px_hist_close(&hist);
    _exit(0);
}

static int by_time(const void *a, const void *b)
{
    const struct px_trade *x = a, *y = b;

    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return x->sequence < y->sequence ? -1 : 1;
}

static struct px_trade wanted[TRADES], got[PX_PAGE_MAX];
static unsigned wanted_count;

static void want(px_asset_id asset)
{
    wanted_count = 0;
    for (unsigned i = 0; i < TRADES; i++)
        if (samples[i].asset == asset)
            wanted[wanted_count++] = samples[i].trade;
    qsort(wanted, wanted_count, sizeof *wanted, by_time);
}

/* Pages of one range, one way, against the list. */
static void check_range(struct px_hist *hist, px_asset_id asset, int64_t from, int64_t to, bool quarantined, bool down,
                        uint32_t limit)
{
    struct px_range range = {from, to, limit, down, {false, 0, 0}, 0};
    struct px_page page;
    unsigned first = 0, end = wanted_count, at;

    while (first < end && wanted[first].time_ns < from)
        first++;
    while (end > first && wanted[end - 1].time_ns >= to)
        end--;
    at = down ? end : first;
    do {
        ck_assert_int_eq(px_hist_ticks(hist, asset, quarantined, &range, got, &page), 0);
        for (uint32_t i = 0; i < page.count; i++) {
            at -= down;
            while (!quarantined && (wanted[at].flags & PX_TICK_QUARANTINED))
                at = down ? at - 1 : at + 1;
            ck_assert_mem_eq(&got[i], &wanted[at], sizeof got[i]);
            at += !down;
        }
        range.cursor = page.next;
    } while (page.more);
    while (!quarantined && (down ? at > first : at < end)) {
        ck_assert(wanted[down ? at - 1 : at].flags & PX_TICK_QUARANTINED);
        at = down ? at - 1 : at + 1;
    }
    ck_assert_uint_eq(at, down ? first : end);
}

START_TEST(trades_equal_brute_force_over_kills)
{
    uint64_t *committed = mmap(NULL, sizeof *committed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned lives = 0;
    int status;

    make_samples();
    do {
        uint64_t before = random_below(1000); /* every life draws its own numbers */
        pid_t child = fork();
        if (child == 0) {
            random_state += before + ++lives;
            live(committed);
        }
        lives++;
        waitpid(child, &status, 0);
        ck_assert_msg(!WIFEXITED(status) || WEXITSTATUS(status) == 0, "a life ended with %d", WEXITSTATUS(status));
    } while (!WIFEXITED(status));
    ck_assert_uint_gt(lives, 5);
    struct px_hist *hist = open_hist();
    for (px_asset_id asset = 0; asset < ASSETS; asset++) {
        want(asset);
        check_range(hist, asset, 0, INT64_MAX, true, false, PX_PAGE_MAX);
        check_range(hist, asset, 0, INT64_MAX, true, true, 777);
        for (unsigned i = 0; i < 60; i++) {
            int64_t from = wanted[random_below(wanted_count)].time_ns + (int64_t)random_below(2);
            int64_t to = from + (int64_t)random_below(random_below(2) ? 100 * S : 30 * 3600 * S);

            check_range(hist, asset, from, to, i % 2, i % 3 == 0, 1 + (uint32_t)random_below(i % 5 ? 900 : 7));
        }
    }
    ck_assert_uint_eq(px_hist_damages(hist), 0);
    px_hist_close(&hist);
    munmap(committed, sizeof *committed);
}
END_TEST

START_TEST(a_read_after_a_commit_sees_it)
{
    struct px_range newest = {PX_TIME_NONE, PX_TIME_NONE, 1, false, {false, 0, 0}, 0};
    struct px_hist *hist = open_hist();
    struct px_page page;

    for (unsigned i = 0; i < 2000; i++) {
        struct px_trade trade = {.time_ns = NOON + i * S, .sequence = i, .price = i};

        px_hist_put_trade(hist, 0, &trade);
        ck_assert_int_eq(px_hist_ticks(hist, 0, true, &newest, got, &page), 0);
        ck_assert(i == 0 ? page.count == 0 : got[0].price == i - 1);
        ck_assert_int_eq(px_hist_commit(hist), 0);
        ck_assert_int_eq(px_hist_ticks(hist, 0, true, &newest, got, &page), 0);
        ck_assert(page.count == 1 && got[0].price == i);
    }
    px_hist_close(&hist);
}
END_TEST

/* ---- candles ---- */

#define MINUTES 30000

static struct px_candle minutes[MINUTES], oracle[MINUTES], answer[PX_PAGE_MAX];

/* Some weeks with gaps of minutes, hours and days. */
static void make_minutes(void)
{
    int64_t at = NOON - 40 * DAY, price = 100000;

    for (unsigned i = 0; i < MINUTES; i++) {
        uint64_t dice = random_below(10000);
        struct px_candle *minute = &minutes[i];

        at += M * (dice < 9000 ? 1 : dice < 9950 ? 1 + (int64_t)random_below(9) : (int64_t)random_below(300));
        at += dice == 9999 ? 2 * DAY : dice < 9000 || dice >= 9950 ? (dice >= 9950) * M : 0;
        price += (int64_t)random_below(2001) - 1000;
        *minute = (struct px_candle){.start_ns = at / M * M,
                                     .open = price,
                                     .high = price + (int64_t)random_below(50),
                                     .low = price - (int64_t)random_below(50),
                                     .close = price + (int64_t)random_below(11) - 5,
                                     .volume = (int64_t)random_below(100000),
                                     .count = 1 + random_below(100),
                                     .duration_ns = M - (int64_t)random_below(2) * 7 * S,
                                     .last_ns = at / M * M + (int64_t)random_below(60) * S,
                                     .final = true,
                                     .area = (__int128)price * M + (int64_t)random_below(1u << 30),
                                     .value = (__int128)price * 1000 + (int64_t)random_below(999)};
    }
}

/* Minute by minute; what a price holds between two of them belongs to the intervals that have a minute. */
static unsigned compose(uint32_t interval_s, int64_t final_ns)
{
    int64_t width = interval_s * S;
    unsigned count = 0;

    for (unsigned i = 0; i < MINUTES; i++) {
        const struct px_candle *minute = &minutes[i], *last = i > 0 ? minute - 1 : NULL;
        int64_t start = px_candle_start(minute->start_ns, interval_s);
        int64_t held_from = last ? last->start_ns + M : 0,
                held_to = last ? PX_MIN(minute->start_ns, last->last_ns + PX_CARRY_NS) : 0;
        struct px_candle *to = count > 0 ? &oracle[count - 1] : NULL;

        if (to && PX_MIN(held_to, to->start_ns + width) > held_from) {
            to->area += (__int128)last->close * (PX_MIN(held_to, to->start_ns + width) - held_from);
            to->duration_ns += PX_MIN(held_to, to->start_ns + width) - held_from;
        }
        if (!to || to->start_ns != start) {
            to = &oracle[count++];
            *to = (struct px_candle){.start_ns = start,
                                     .open = minute->open,
                                     .high = minute->high,
                                     .low = minute->low,
                                     .final = start + width <= final_ns};
            if (held_to > PX_MAX(held_from, start)) {
                to->area += (__int128)last->close * (held_to - PX_MAX(held_from, start));
                to->duration_ns += held_to - PX_MAX(held_from, start);
            }
        }
        to->high = PX_MAX(to->high, minute->high);
        to->low = PX_MIN(to->low, minute->low);
        to->close = minute->close;
        to->volume += minute->volume;
        to->count += minute->count;
        to->duration_ns += minute->duration_ns;
        to->last_ns = minute->last_ns;
        to->area += minute->area;
        to->value += minute->value;
    }
    return count;
}

static void equal(const struct px_candle *a, const struct px_candle *b)
{
    ck_assert_int_eq(a->start_ns, b->start_ns);
    ck_assert(a->open == b->open && a->high == b->high && a->low == b->low && a->close == b->close);
    ck_assert(a->volume == b->volume && a->count == b->count && a->value == b->value && a->last_ns == b->last_ns);
    ck_assert_int_eq(a->duration_ns, b->duration_ns);
    ck_assert(a->area == b->area && a->final == b->final);
}

static void check_candles(struct px_hist *hist, uint32_t interval_s, int64_t final_ns)
{
    unsigned count = compose(interval_s, final_ns);
    struct px_range range = {0, PX_TIME_NONE, 1 + (uint32_t)random_below(PX_PAGE_MAX), false, {false, 0, 0}, 0};
    struct px_page page;
    unsigned at = 0;
    int64_t prior;

    do { /* all of it, from the oldest on */
        ck_assert_int_eq(px_hist_candles(hist, 0, interval_s, true, final_ns, &range, answer, &page, &prior), 0);
        for (uint32_t i = 0; i < page.count; i++)
            equal(&answer[i], &oracle[at++]);
        range.cursor = page.next;
    } while (page.more);
    ck_assert_uint_eq(at, count);
    range = (struct px_range){PX_TIME_NONE, PX_TIME_NONE, 1 + (uint32_t)random_below(900), false, {false, 0, 0}, 0};
    do { /* and from the newest back */
        ck_assert_int_eq(px_hist_candles(hist, 0, interval_s, true, final_ns, &range, answer, &page, &prior), 0);
        for (uint32_t i = page.count; i-- > 0;)
            equal(&answer[i], &oracle[--at]);
        range.cursor = page.next;
    } while (page.more);
    ck_assert_uint_eq(at, 0);
}

START_TEST(candles_of_every_interval_equal_brute_force)
{
    static const uint32_t intervals[] = {60,    180,   300,   900,   1800,  3600,  7200,
                                         14400, 21600, 28800, 43200, 86400, 604800};
    struct px_hist *hist = open_hist();
    struct px_candle open;
    int64_t final_ns;

    make_minutes();
    for (unsigned i = 0; i < MINUTES - 1; i++) {
        px_hist_put_candle(hist, 0, &minutes[i]);
        px_hist_put_candle(hist, 1, &minutes[i]);
        if (random_below(20) == 0) {
            ck_assert_int_eq(px_hist_commit(hist), 0);
            if (i < MINUTES / 3 * 2) /* then a part stays in rows of one */
                ck_assert_int_ge(px_hist_tend(hist, 0), 0);
        }
        if (i % 5000 == 4999) {
            ck_assert_int_eq(px_hist_commit(hist), 0);
            px_hist_close(&hist);
            hist = open_hist();
        }
    }
    ck_assert_int_eq(px_hist_commit(hist), 0);
    open = minutes[MINUTES - 1];
    open.final = false;
    px_hist_show_open(hist, 0, &minutes[MINUTES - 2], 1); /* is a row meanwhile */
    px_hist_show_open(hist, 0, &open, 1);
    final_ns = minutes[MINUTES - 2].start_ns + M;
    for (unsigned i = 0; i < PX_COUNT_OF(intervals); i++)
        check_candles(hist, intervals[i], final_ns);
    struct px_candle changed = minutes[100];
    changed.close++;
    px_hist_put_candle(hist, 0, &changed); /* final is final */
    px_hist_put_candle(hist, 0, &minutes[MINUTES - 1]);
    ck_assert_int_eq(px_hist_commit(hist), 0);
    for (unsigned i = 0; i < PX_COUNT_OF(intervals); i++)
        check_candles(hist, intervals[i], final_ns);
    px_hist_close(&hist);
}
END_TEST

START_TEST(seconds_are_made_of_trades)
{
    struct px_hist *hist = open_hist();
    struct px_range range = {NOON, PX_TIME_NONE, 5, false, {false, 0, 0}, 0};
    struct px_page page;
    int64_t prior;

    for (unsigned i = 0; i < 40; i++) { /* at 0, 0.4, 0.8 .. seconds, and nothing in seconds 4 and 5 */
        int64_t time_ns = NOON + i * 400 * PX_NS_PER_MS;
        struct px_trade trade = {.time_ns = time_ns, .sequence = i, .price = 100 + i, .size = 2};

        if (time_ns / S % 10 != 4 && time_ns / S % 10 != 5)
            px_hist_put_trade(hist, 0, &trade);
    }
    ck_assert_int_eq(px_hist_commit(hist), 0);
    ck_assert_int_eq(px_hist_candles(hist, 0, 1, true, NOON + 10 * S, &range, answer, &page, &prior), 0);
    ck_assert(page.count == 5 && page.more && prior == PX_PRICE_NONE);
    ck_assert(answer[0].open == 100 && answer[0].close == 102 && answer[0].count == 3 && answer[0].volume == 6);
    ck_assert(answer[0].duration_ns == S && answer[0].final && answer[0].value == 2 * (100 + 101 + 102));
    ck_assert(answer[0].area == (__int128)(100 * 400 + 101 * 400 + 102 * 200) * PX_NS_PER_MS);
    ck_assert(answer[1].open == 103 && answer[1].area == (__int128)(102 * 200 + 103 * 400 + 104 * 400) * PX_NS_PER_MS);
    ck_assert(answer[4].start_ns == NOON + 6 * S && answer[4].open == 115);
    range.cursor = page.next;
    ck_assert_int_eq(px_hist_candles(hist, 0, 1, true, NOON + 10 * S, &range, answer, &page, &prior), 0);
    ck_assert(page.count == 5 && answer[0].start_ns == NOON + 7 * S && prior == 117 && !answer[4].final);
    range = (struct px_range){PX_TIME_NONE, PX_TIME_NONE, 2, false, {false, 0, 0}, 0};
    ck_assert_int_eq(px_hist_candles(hist, 0, 5, true, NOON + 10 * S, &range, answer, &page, &prior), 0);
    ck_assert(page.count == 2 && page.more && answer[0].start_ns == NOON + 5 * S &&
              answer[1].start_ns == NOON + 10 * S);
    ck_assert_int_eq(px_hist_candles(hist, 0, 5, false, NOON + 10 * S, &range, answer, &page, &prior), 0);
    ck_assert(page.count == 2 && !page.more && answer[1].start_ns == NOON + 5 * S && answer[1].count == 10);
    px_hist_close(&hist);
}
END_TEST

/* ---- damage, and what is let go ---- */

enum { DEFAULT, TICKS, ASIDE, JOURNAL, CANDLES, META, IMPORTED, FAMILIES };

/* Turns a bit in the value of the row number `row` of a family. */
static void flip(unsigned family, unsigned row)
{
    static const char *const list[] = {"default", "ticks", "aside", "journal", "candles", "meta", "imported"};
    rocksdb_options_t *options = rocksdb_options_create();
    const rocksdb_options_t *all[] = {options, options, options, options, options, options, options};
    rocksdb_column_family_handle_t *handles[FAMILIES];
    rocksdb_readoptions_t *read = rocksdb_readoptions_create();
    rocksdb_writeoptions_t *write = rocksdb_writeoptions_create();
    char path[96], bytes[65536], *message = NULL;
    size_t key_len, len;

    snprintf(path, sizeof path, "%s/hist", data);
    rocksdb_t *db = rocksdb_open_column_families(options, path, FAMILIES, list, all, handles, &message);
    ck_assert_ptr_null(message);
    rocksdb_iterator_t *scan = rocksdb_create_iterator_cf(db, read, handles[family]);
    rocksdb_iter_seek_to_first(scan);
    for (; row > 0; row--)
        rocksdb_iter_next(scan);
    ck_assert(rocksdb_iter_valid(scan));
    const char *key = rocksdb_iter_key(scan, &key_len), *value = rocksdb_iter_value(scan, &len);
    ck_assert_uint_lt(len, sizeof bytes);
    memcpy(bytes, value, len);
    bytes[len / 2] ^= 0x10;
    rocksdb_put_cf(db, write, handles[family], key, key_len, bytes, len, &message);
    ck_assert_ptr_null(message);
    rocksdb_iter_destroy(scan);
    for (unsigned i = 0; i < FAMILIES; i++)
        rocksdb_column_family_handle_destroy(handles[i]);
    rocksdb_close(db);
    rocksdb_readoptions_destroy(read);
    rocksdb_writeoptions_destroy(write);
    rocksdb_options_destroy(options);
}

static uint32_t count_trades(struct px_hist *hist, px_asset_id asset)
{
    struct px_range range = {0, PX_TIME_NONE, PX_PAGE_MAX, false, {false, 0, 0}, 0};
    struct px_page page;

    ck_assert_int_eq(px_hist_ticks(hist, asset, true, &range, got, &page), 0);
    ck_assert(!page.more);
    return page.count;
}

static void put_trades(struct px_hist *hist, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        struct px_trade trade = {.time_ns = NOON + i * S, .sequence = i, .price = i, .sseq = i};

        px_hist_put_trade(hist, 0, &trade);
        if (i % 100 == 99)
            ck_assert_int_eq(px_hist_commit(hist), 0);
    }
    ck_assert_int_eq(px_hist_commit(hist), 0);
}

START_TEST(damage_costs_what_is_in_the_row)
{
    struct px_hist *hist = open_hist();

    put_trades(hist, 0, 2500);
    make_minutes();
    for (unsigned i = 0; i < 3000; i++) {
        px_hist_put_candle(hist, 1, &minutes[i]);
        if (i % 50 == 49) {
            ck_assert_int_eq(px_hist_commit(hist), 0);
            px_hist_tend(hist, 1);
        }
    }
    ck_assert_int_eq(px_hist_commit(hist), 0);
    ck_assert_uint_eq(count_trades(hist, 0), 2500);
    px_hist_close(&hist);
    flip(TICKS, 1);
    flip(CANDLES, 3);
    hist = open_hist();
    ck_assert_uint_eq(count_trades(hist, 0), 1900);
    ck_assert_uint_eq(px_hist_damages(hist), 1);
    struct px_range range = {0, PX_TIME_NONE, PX_PAGE_MAX, false, {false, 0, 0}, 0};
    struct px_page page;
    int64_t prior;
    ck_assert_int_eq(px_hist_candles(hist, 1, 60, false, INT64_MAX, &range, answer, &page, &prior), 0);
    ck_assert(page.count < 3000 && page.count >= 2940);
    ck_assert_uint_eq(px_hist_damages(hist), 2);
    ck_assert_int_eq(px_hist_commit(hist), 0);
    px_hist_close(&hist);
    flip(JOURNAL, 24); /* 2460..2499 are in it and in no block yet */
    hist = open_hist();
    uint32_t left = count_trades(hist, 0);
    ck_assert_uint_eq(left, 1860);
    ck_assert_uint_eq(px_hist_damages(hist), 1 + 1);
    put_trades(hist, 2500, 3300);
    ck_assert_uint_eq(count_trades(hist, 0), left + 800);
    px_hist_close(&hist);
    hist = open_hist();
    ck_assert_uint_eq(count_trades(hist, 0), left + 800);
    px_hist_close(&hist);
}
END_TEST

START_TEST(what_is_old_is_let_go)
{
    struct px_hist *hist = open_hist();
    struct px_range range = {0, PX_TIME_NONE, PX_PAGE_MAX, false, {false, 0, 0}, 0};
    struct px_page page;
    int64_t prior;

    config.history = (struct px_config_history){.ticks = 2, .candles_1s = 1, .candles_1m = 64, .candles_5m = 100, .candles_1h = 150};
    for (unsigned i = 0; i < 1000; i++) {
        struct px_trade trade = {.time_ns = NOON + i * 600 * S, .sequence = i, .price = i};

        px_hist_put_trade(hist, 0, &trade);
    }
    for (unsigned i = 0; i < 200 * 24; i++) {
        struct px_candle minute = {.start_ns = NOON + ((int64_t)i - 190 * 24) * 60 * M,
                                   .open = 5,
                                   .high = 5,
                                   .low = 5,
                                   .close = 5,
                                   .count = 1,
                                   .duration_ns = M,
                                   .final = true};

        minute.last_ns = minute.start_ns;
        px_hist_put_candle(hist, 0, &minute);
        ck_assert_int_eq(px_hist_commit(hist), 0);
        ck_assert_int_ge(px_hist_tend(hist, 0), 0);
    }
    ck_assert_int_eq(px_hist_commit(hist), 0);
    ck_assert_int_eq(px_hist_retain(hist, INT64_MAX), 1);
    ck_assert_int_eq(px_hist_commit(hist), 0);
    ck_assert_int_eq(px_hist_retain(hist, INT64_MAX), 0);
    uint32_t left = count_trades(hist, 0);
    ck_assert(left >= 288 && left <= 3 * 144 && got[left - 1].price == 999);
    ck_assert_int_eq(px_hist_candles(hist, 0, 60, false, INT64_MAX, &range, answer, &page, &prior), 0);
    ck_assert(page.count >= 64 * 24 && page.count <= 110 * 24);
    ck_assert_int_eq(px_hist_candles(hist, 0, 300, false, INT64_MAX, &range, answer, &page, &prior), 0);
    ck_assert(page.count >= 100 * 24 && page.count <= 105 * 24);
    ck_assert_int_eq(px_hist_candles(hist, 0, 3600, false, INT64_MAX, &range, answer, &page, &prior), 0);
    ck_assert(page.count >= 150 * 24 && page.count <= 162 * 24);
    ck_assert_int_eq(px_hist_candles(hist, 0, 86400, false, INT64_MAX, &range, answer, &page, &prior), 0);
    ck_assert_uint_ge(page.count, 199);
    ck_assert_int_eq(px_hist_candles(hist, 0, 1, false, NOON + 8 * DAY, &range, answer, &page, &prior), 0);
    ck_assert_uint_eq(page.count, 0);
    px_hist_close(&hist);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history");
    TCase *tcase = tcase_create("history");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, trades_equal_brute_force_over_kills);
    tcase_add_test(tcase, a_read_after_a_commit_sees_it);
    tcase_add_test(tcase, candles_of_every_interval_equal_brute_force);
    tcase_add_test(tcase, seconds_are_made_of_trades);
    tcase_add_test(tcase, damage_costs_what_is_in_the_row);
    tcase_add_test(tcase, what_is_old_is_let_go);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
