/*
 * History on one core: trades a second into the store with its journal and a sync every 100 ms, bytes a trade once
 * compacted, and how long charts take.
 *
 * Usage: history_bench [--quick] [--assets N] [--seconds N] [--days N]
 *        history_bench --memory [--assets N] [--seconds N]    as fast as it can what the keeper does in as many seconds: memory and bytes
 *                                                             written, each minute of them
 */
#include <pthread.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "store/hist.h"

#define ROUNDS 2000
#define START  (INT64_C(1723118400) * PX_NS_PER_S)

static unsigned batch = 1000, assets = 10000, seconds = 1200, days = 31, chart_assets = 20;
static char data[64];
static struct px_config config;
static struct px_names *names;
static uint64_t random_state = 88172645463325252u;
static bool stopping;

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static double clock_s(clockid_t id)
{
    struct timespec time;

    clock_gettime(id, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void *sync_all(void *hist)
{
    const struct timespec period = {0, 100 * PX_NS_PER_MS};

    while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
        px_hist_sync(hist);
        nanosleep(&period, NULL);
    }
    return NULL;
}

static struct px_hist *begin(void)
{
    struct px_hist *hist;

    snprintf(data, sizeof data, "/tmp/px-history-bench-XXXXXX");
    PX_CHECK(mkdtemp(data));
    PX_CHECK(px_hist_open(data, names, &hist) == 0);
    return hist;
}

static void end(struct px_hist *hist)
{
    char command[96];

    px_hist_close(&hist);
    snprintf(command, sizeof command, "rm -rf %s", data);
    PX_CHECK(system(command) == 0);
}

/* ---- bytes on disk, family by family ---- */

static const char *const families[] = {"default", "ticks", "aside", "journal", "candles", "meta", "imported"};

/* Trades that are in blocks: the open ones are in the journal. */
static double in_blocks(rocksdb_t *db, rocksdb_column_family_handle_t *ticks)
{
    rocksdb_readoptions_t *read = rocksdb_readoptions_create();
    rocksdb_iterator_t *scan = rocksdb_create_iterator_cf(db, read, ticks);
    uint64_t count = 0;
    uint16_t one;
    size_t len;

    for (rocksdb_iter_seek_to_first(scan); rocksdb_iter_valid(scan); rocksdb_iter_next(scan)) {
        memcpy(&one, rocksdb_iter_value(scan, &len) + 2, sizeof one);
        count += one;
    }
    rocksdb_iter_destroy(scan);
    rocksdb_readoptions_destroy(read);
    return (double)count;
}

static void show_sizes(double rows, const char *what)
{
    rocksdb_options_t *options = rocksdb_options_create();
    const rocksdb_options_t *all[] = {options, options, options, options, options, options, options};
    rocksdb_column_family_handle_t *handles[PX_COUNT_OF(families)];
    rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
    char path[96], *message = NULL;

    rocksdb_options_set_compression(options, rocksdb_no_compression); /* as those of blocks are */
    snprintf(path, sizeof path, "%s/hist", data);
    rocksdb_t *db =
        rocksdb_open_column_families(options, path, PX_COUNT_OF(families), families, all, handles, &message);
    PX_CHECK(!message);
    rows = rows > 0 ? rows : in_blocks(db, handles[1]);
    printf("  %.2f M, bytes a %s on disk:", rows / 1e6, what);
    for (unsigned i = 0; i < PX_COUNT_OF(families); i++) {
        uint64_t size = 0;

        rocksdb_flush_cf(db, flush, handles[i], &message);
        rocksdb_compact_range_cf(db, handles[i], NULL, 0, NULL, 0);
        rocksdb_property_int_cf(db, handles[i], "rocksdb.total-sst-files-size", &size);
        printf(" %s %.3f", families[i], (double)size / rows);
        rocksdb_column_family_handle_destroy(handles[i]);
    }
    printf("\n");
    rocksdb_close(db);
    rocksdb_flushoptions_destroy(flush);
    rocksdb_options_destroy(options);
}

/* ---- trades ---- */

static void tend_all(struct px_hist *hist)
{
    for (px_asset_id asset = 0; asset < assets; asset++)
        PX_CHECK(px_hist_tend(hist, asset) >= 0);
    PX_CHECK(px_hist_trim(hist) >= 0);
    PX_CHECK(px_hist_commit(hist) == 0);
}

static uint64_t put_second(struct px_hist *hist, unsigned second, int64_t *price, bool full, uint64_t sequence)
{
    for (px_asset_id asset = 0; asset < assets; asset++) {
        price[asset] += random_below(100) < 35 ? 0 : (int64_t)random_below(5) - 2;
        struct px_trade trade = {
            .time_ns = START + second * PX_NS_PER_S, .price = price[asset], .sequence = ++sequence, .sseq = second};

        trade.recv_ns = trade.time_ns + (full ? (int64_t)random_below(PX_NS_PER_MS) : 0);
        trade.size = full ? (int64_t)random_below(1000) * 100000 : 0;
        trade.trade_id = full ? second : 0;
        px_hist_put_trade(hist, asset, &trade);
        if (sequence % batch == 0) {
            px_hist_put_checkpoint(hist, 1, sequence);
            PX_CHECK(px_hist_commit(hist) == 0);
        }
    }
    return sequence;
}

static void measure_trades(bool full)
{
    int64_t *price = calloc(assets, sizeof *price);
    struct px_hist *hist = begin();
    pthread_t thread;
    uint64_t sequence = 0;

    for (px_asset_id asset = 0; asset < assets; asset++)
        price[asset] = 5000000;
    stopping = false;
    PX_CHECK(pthread_create(&thread, NULL, sync_all, hist) == 0);
    double wall = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_THREAD_CPUTIME_ID),
           all = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned second = 0; second < seconds; second++) {
        sequence = put_second(hist, second, price, full, sequence);
        if (second % 10 == 9)
            tend_all(hist);
    }
    PX_CHECK(px_hist_commit(hist) == 0);
    wall = clock_s(CLOCK_MONOTONIC) - wall;
    cpu = clock_s(CLOCK_THREAD_CPUTIME_ID) - cpu;
    all = clock_s(CLOCK_PROCESS_CPUTIME_ID) - all;
    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    printf(
        "%u assets x %u s, %s: %.2f M trades/s by the clock, %.2f M/s of the writing thread, %.2f M/s of all threads\n",
        assets, seconds, full ? "all columns random" : "time and price", (double)sequence / wall / 1e6,
        (double)sequence / cpu / 1e6, (double)sequence / all / 1e6);
    px_hist_close(&hist);
    wall = clock_s(CLOCK_MONOTONIC);
    PX_CHECK(px_hist_open(data, names, &hist) == 0);
    printf("  opened again in %.2f s\n", clock_s(CLOCK_MONOTONIC) - wall);
    px_hist_close(&hist);
    show_sizes(0, "trade in a block");
    PX_CHECK(px_hist_open(data, names, &hist) == 0);
    end(hist);
    free(price);
}

/* ---- memory ---- */

static struct px_candle candle_of(unsigned minute, int64_t *price)
{
    struct px_candle candle = {.start_ns = START + minute * PX_MINUTE_NS,
                               .open = *price,
                               .count = 60,
                               .duration_ns = PX_MINUTE_NS,
                               .final = true};

    candle.close = *price += (int64_t)random_below(41) - 20;
    candle.high = PX_MAX(candle.open, candle.close) + (int64_t)random_below(10);
    candle.low = PX_MIN(candle.open, candle.close) - (int64_t)random_below(10);
    candle.volume = (int64_t)random_below(1000000);
    candle.last_ns = candle.start_ns + PX_MINUTE_NS - (1 + (int64_t)random_below(1000)) * PX_NS_PER_MS;
    candle.area = (__int128)candle.open * PX_MINUTE_NS + (int64_t)random_below(20) * PX_NS_PER_S;
    candle.value = (__int128)candle.open * candle.volume + (int64_t)random_below(1000000);
    return candle;
}

/* The number behind `name` in a file of /proc, in its unit. */
static double proc_number(const char *path, const char *name)
{
    char line[256];
    double value = 0;
    FILE *file = fopen(path, "re");

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            value = atof(line + strlen(name));
    if (file)
        fclose(file);
    return value;
}

static void put_minutes_of(struct px_hist *hist, unsigned minute, int64_t *price)
{
    for (px_asset_id asset = 0; asset < assets; asset++) {
        struct px_candle candle = candle_of(minute, &price[asset]);

        px_hist_put_candle(hist, asset, &candle);
        if (asset % 100 == 99)
            PX_CHECK(px_hist_commit(hist) == 0);
    }
    PX_CHECK(px_hist_commit(hist) == 0);
}

static void measure_memory(void)
{
    int64_t *price = calloc(assets, sizeof *price);
    struct px_hist *hist = begin();
    uint64_t sequence = 0;
    pthread_t thread;

    for (px_asset_id asset = 0; asset < assets; asset++)
        price[asset] = 5000000;
    stopping = false;
    PX_CHECK(pthread_create(&thread, NULL, sync_all, hist) == 0);
    for (unsigned second = 0; second < seconds; second++) {
        sequence = put_second(hist, second, price, true, sequence);
        tend_all(hist);
        if (second % 60 != 59)
            continue;
        put_minutes_of(hist, second / 60, price);
        printf("minute %3u: %6.1f MB of its own, %5.1f bytes a trade written\n", second / 60 + 1,
               proc_number("/proc/self/status", "RssAnon:") / 1024, proc_number("/proc/self/io", "write_bytes:") / (double)sequence);
        fflush(stdout);
    }
    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    end(hist);
    free(price);
}

/* ---- charts ---- */

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static void ask(struct px_hist *hist, const char *what, uint32_t interval_s, int64_t span_ns, uint32_t limit)
{
    static struct px_candle candles[PX_PAGE_MAX];
    static double us[ROUNDS];
    int64_t total_ns = (int64_t)days * 86400 * PX_NS_PER_S, prior;
    struct px_page page = {0};

    for (unsigned i = 0; i < ROUNDS; i++) {
        int64_t room_min = (total_ns - span_ns) / PX_MINUTE_NS / 1440;
        int64_t from = START + (room_min > 0 ? (int64_t)random_below((uint64_t)room_min) * 1440 * PX_MINUTE_NS : 0);
        struct px_range range = {from, from + span_ns, limit, false, {false, 0, 0}, 0};
        double start = clock_s(CLOCK_MONOTONIC);

        PX_CHECK(px_hist_candles(hist, (px_asset_id)random_below(chart_assets), interval_s, false, START + total_ns,
                                 &range, candles, &page, &prior) == 0);
        us[i] = (clock_s(CLOCK_MONOTONIC) - start) * 1e6;
    }
    qsort(us, ROUNDS, sizeof *us, by_value);
    printf("%s: %u candles, p50 %.0f us, p99 %.0f us\n", what, page.count, us[ROUNDS / 2], us[ROUNDS * 99 / 100]);
}

static void measure_charts(void)
{
    int64_t *price = calloc(chart_assets, sizeof *price);
    struct px_hist *hist = begin();
    double cpu = clock_s(CLOCK_THREAD_CPUTIME_ID);

    for (unsigned minute = 0; minute < days * 1440; minute++) {
        for (px_asset_id asset = 0; asset < chart_assets; asset++) {
            struct px_candle candle = candle_of(minute, &price[asset]);

            px_hist_put_candle(hist, asset, &candle);
        }
        PX_CHECK(px_hist_commit(hist) == 0);
        for (px_asset_id asset = 0; asset < chart_assets; asset++)
            PX_CHECK(px_hist_tend(hist, asset) >= 0);
    }
    PX_CHECK(px_hist_commit(hist) == 0);
    double rows = (double)days * 1440 * chart_assets;
    printf("%.2f M minutes of %u assets: %.2f M/s\n", rows / 1e6, chart_assets,
           rows / 1e6 / (clock_s(CLOCK_THREAD_CPUTIME_ID) - cpu));
    ask(hist, "a day of minutes", 60, 86400 * PX_NS_PER_S, 1440);
    ask(hist, "500 points over a month, hours", 3600, (int64_t)days * 86400 * PX_NS_PER_S, 500);
    ask(hist, "a month of 2 hours", 7200, (int64_t)days * 86400 * PX_NS_PER_S, 500);
    ask(hist, "a month of days", 86400, (int64_t)days * 86400 * PX_NS_PER_S, 500);
    px_hist_close(&hist);
    show_sizes(rows, "minute, with all levels");
    PX_CHECK(px_hist_open(data, names, &hist) == 0);
    end(hist);
    free(price);
}

int main(int argc, char **argv)
{
    bool memory = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--memory") == 0)
            memory = true, batch = 100, seconds = 1800;
        else if (strcmp(argv[i], "--quick") == 0)
            assets = 500, seconds = 700, days = 4, chart_assets = 4;
        else if (strcmp(argv[i], "--assets") == 0 && i + 1 < argc)
            assets = (unsigned)atoi(argv[++i]);
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = (unsigned)atoi(argv[++i]);
        else if (strcmp(argv[i], "--days") == 0 && i + 1 < argc)
            days = (unsigned)atoi(argv[++i]);
    }
    chart_assets = PX_MIN(chart_assets, assets);
    config.asset_count = assets;
    config.assets = calloc(assets, sizeof *config.assets);
    for (unsigned i = 0; i < assets; i++)
        snprintf(config.assets[i].symbol, sizeof config.assets[i].symbol, "A%05u-USD", i);
    PX_CHECK(px_names_create(&config, &names) == 0);
    if (memory) {
        measure_memory();
    } else {
        measure_trades(false);
        measure_trades(true);
        measure_charts();
    }
    px_names_destroy(&names);
    free(config.assets);
    return 0;
}
