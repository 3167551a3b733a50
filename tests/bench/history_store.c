/*
 * What history.sh measures inside the process: a file of ticks into the store as the keeper puts them there, with journal, candles and a
 * sync every 100 ms; bytes on disk once everything is sealed and compacted; charts. The folder stays, for an engine to serve.
 *
 * Usage: history_store DATA TICKS TICK-ASSETS MINUTES MINUTE-ASSETS SCALE
 *        history_store DATA TICKS TICK-ASSETS SCALE     no charts, nothing compacted: for tests that need a history
 *        history_store DATA TICKS TICK-ASSETS SCALE bulk     only what an import of them takes
 *        history_store DATA     everything that there is into files, compacted
 *   TICKS    records {int64 time in us, int64 price, uint32 asset, uint32 0} in order of time
 *   MINUTES  records {int64 start in us, int64 open, high, low, close, uint32 asset, uint32 0}, likewise
 * Assets are named T00000-USD and M00000-USD onwards. Prints one line of JSON.
 */
#include <fcntl.h>
#include <pthread.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/keeper/minutes.h"
#include "store/hist.h"

#define BATCH   1000
#ifndef ROUNDS
#define ROUNDS 1000
#endif
#define TEND_NS (PX_NS_PER_S / 2) /* the keeper tends an asset every second */
#define DAY_NS  (86400 * PX_NS_PER_S)

struct tick {
    int64_t time_us, price;
    uint32_t asset, zero;
};

struct minute {
    int64_t start_us, open, high, low, close;
    uint32_t asset, zero;
};

static unsigned tick_assets, minute_assets;
static bool stopping;
static double began_cpu_s;

/* ---- files and names ---- */

static const void *map(const char *path, size_t record, size_t *countp)
{
    int fd = open(path, O_RDONLY);
    struct stat stat;

    PX_CHECK(fd >= 0 && fstat(fd, &stat) == 0);
    *countp = (size_t)stat.st_size / record;
    const void *at = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    PX_CHECK(at != MAP_FAILED);
    close(fd);
    return at;
}

static struct px_names *names_of(struct px_config *config, unsigned assets, unsigned scale)
{
    struct px_names *names;

    config->asset_count = assets;
    config->assets = calloc(assets + 1, sizeof *config->assets);
    for (unsigned i = 0; i < assets; i++) {
        bool ticks = i < tick_assets;
        snprintf(config->assets[i].symbol, sizeof config->assets[i].symbol, "%c%05u-USD", ticks ? 'T' : 'M',
                 ticks ? i : i - tick_assets);
        config->assets[i].scale = (uint8_t)scale;
    }
    PX_CHECK(px_names_create(config, &names) == 0);
    return names;
}

static double clock_s(clockid_t id)
{
    struct timespec time;

    clock_gettime(id, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- ticks ---- */

static void *sync_all(void *hist)
{
    const struct timespec period = {0, 100 * PX_NS_PER_MS};

    while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
        PX_CHECK(px_hist_sync(hist) == 0);
        nanosleep(&period, NULL);
    }
    return NULL;
}

static void commit(struct px_hist *hist, uint64_t position)
{
    px_hist_put_checkpoint(hist, 1, position);
    PX_CHECK(px_hist_commit(hist) == 0);
}

/* Whether there was something to do. */
static bool tend(struct px_hist *hist, unsigned assets)
{
    bool any = false;

    for (px_asset_id asset = 0; asset < assets; asset++) {
        int done = px_hist_tend(hist, asset);
        PX_CHECK(done >= 0);
        any |= done > 0;
    }
    PX_CHECK(px_hist_trim(hist) >= 0);
    PX_CHECK(px_hist_commit(hist) == 0);
    return any;
}

static void put_tick(struct px_hist *hist, struct px_minutes *minutes, uint32_t *sseq, const struct tick *tick)
{
    struct px_candle closed;
    int64_t time_ns = tick->time_us * 1000;
    struct px_trade trade = {.time_ns = time_ns,
                             .recv_ns = time_ns,
                             .price = tick->price,
                             .sseq = ++*sseq};

    trade.sequence = UINT64_C(1) << 48 | trade.sseq; /* as the keeper numbers them */
    px_minutes_advance(minutes, time_ns);
    while (px_minutes_closes(minutes) && px_minutes_close(minutes, &closed))
        px_hist_put_candle(hist, tick->asset, &closed);
    px_hist_put_trade(hist, tick->asset, &trade);
    px_minutes_add(minutes, time_ns, trade.price, 0);
}

static void put_all(struct px_hist *hist, const struct tick *ticks, size_t count)
{
    struct px_minutes *minutes = calloc(tick_assets, sizeof *minutes);
    uint32_t *sseq = calloc(tick_assets, sizeof *sseq);
    px_mono tended = px_mono_now();
    struct px_candle closed;

    for (unsigned i = 0; i < tick_assets; i++)
        px_minutes_init(&minutes[i]);
    for (size_t i = 0; i < count; i++) {
        put_tick(hist, &minutes[ticks[i].asset], &sseq[ticks[i].asset], &ticks[i]);
        if (i % BATCH != BATCH - 1)
            continue;
        commit(hist, i + 1);
        if (px_mono_since(px_mono_now(), tended) > TEND_NS) {
            tend(hist, tick_assets);
            tended = px_mono_now();
        }
    }
    for (unsigned i = 0; i < tick_assets; i++) {
        px_minutes_finish(&minutes[i], px_candle_start(ticks[count - 1].time_us * 1000, 86400) + DAY_NS);
        while (px_minutes_closes(&minutes[i]) && px_minutes_close(&minutes[i], &closed))
            px_hist_put_candle(hist, i, &closed);
    }
    commit(hist, count);
    while (tend(hist, tick_assets))
        ;
    PX_CHECK(px_hist_sync(hist) == 0);
    free(minutes);
    free(sseq);
}

static void ingest(const char *data, const struct px_names *names, const struct tick *ticks, size_t count)
{
    struct px_hist *hist;
    pthread_t thread;

    PX_CHECK(px_hist_open(data, names, &hist) == 0);
    stopping = false;
    double wall = clock_s(CLOCK_MONOTONIC), cpu = began_cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    PX_CHECK(pthread_create(&thread, NULL, sync_all, hist) == 0);
    put_all(hist, ticks, count);
    wall = clock_s(CLOCK_MONOTONIC) - wall;
    cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    px_hist_close(&hist);
    printf(",\"ticks\":%zu,\"ingest_wall_s\":%.3f,\"ingest_cpu_s\":%.3f", count, wall, cpu);
}

/* ---- what it takes on disk ---- */

static const char *const families[] = {"default", "ticks", "aside", "journal", "candles", "meta", "imported"};

/* Bytes of all tables once everything is flushed and compacted; those of family i in sizes[i]. */
static uint64_t compact(const char *data, uint64_t sizes[PX_COUNT_OF(families)])
{
    rocksdb_options_t *options = rocksdb_options_create();
    const rocksdb_options_t *all[] = {options, options, options, options, options, options, options};
    rocksdb_column_family_handle_t *handles[PX_COUNT_OF(families)];
    rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
    char path[300], *message = NULL;
    uint64_t sum = 0;

    rocksdb_options_set_compression(options, rocksdb_no_compression); /* as blocks and candles have it */
    snprintf(path, sizeof path, "%s/hist", data);
    rocksdb_t *db =
        rocksdb_open_column_families(options, path, PX_COUNT_OF(families), families, all, handles, &message);
    PX_CHECK(!message);
    for (unsigned i = 0; i < PX_COUNT_OF(families); i++) {
        sizes[i] = 0;
        rocksdb_flush_cf(db, flush, handles[i], &message);
        rocksdb_compact_range_cf(db, handles[i], NULL, 0, NULL, 0);
        rocksdb_property_int_cf(db, handles[i], "rocksdb.total-sst-files-size", &sizes[i]);
        sum += sizes[i];
        rocksdb_column_family_handle_destroy(handles[i]);
    }
    rocksdb_close(db);
    rocksdb_flushoptions_destroy(flush);
    rocksdb_options_destroy(options);
    return sum;
}

/* ---- all at once ---- */

#define SLICE PX_IMPORT_MAX
#define AHEAD 12 /* ticks of an asset lie far apart */

/* Rows in memory before the clock starts, in the order of time, in large pages as the peers' arrays are; assets apart from the rest. */
struct columns {
    uint32_t *asset;
    struct at {
        int64_t time_us, price;
    } *at;
};

static void *large(size_t size)
{
    void *at = mmap(NULL, size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    PX_CHECK(at != MAP_FAILED);
    madvise(at, size + 1, MADV_HUGEPAGE);
    return at;
}

static struct columns columns_of(const struct tick *ticks, size_t count)
{
    struct columns columns = {large(count * sizeof *columns.asset), large(count * sizeof *columns.at)};

    for (size_t i = 0; i < count; i++) {
        columns.asset[i] = ticks[i].asset;
        columns.at[i] = (struct at){ticks[i].time_us, ticks[i].price};
    }
    return columns;
}

/* Numbers of the ticks, those of each asset one behind the other; *endsp: where each ends. */
static uint32_t *sort_by_asset(const uint32_t *assets, size_t count, size_t **endsp)
{
    uint32_t *order = large(count * sizeof *order);
    size_t *ends = calloc(tick_assets + 1, sizeof *ends);

    PX_CHECK(ends && count < UINT32_MAX);
    for (size_t i = 0; i < count; i++)
        ends[assets[i] + 1]++;
    for (unsigned i = 1; i <= tick_assets; i++)
        ends[i] += ends[i - 1];
    for (size_t i = 0; i < count; i++)
        order[ends[assets[i]]++] = (uint32_t)i;
    *endsp = ends;
    return order;
}

/* Whole minutes, at most SLICE trades unless a minute has more. */
static size_t slice_end(const struct at *ticks, const uint32_t *order, size_t from, size_t to)
{
#define MINUTE(i) (ticks[order[i]].time_us / 60000000)
    size_t end = PX_MIN(from + SLICE, to);

    if (end == to)
        return to;
    while (end > from && MINUTE(end) == MINUTE(end - 1))
        end--;
    for (; end == from || (end < to && MINUTE(end) == MINUTE(from)); end++)
        ;
    return end;
#undef MINUTE
}

static void load_asset(struct px_hist *hist, px_asset_id asset, const struct at *ticks, const uint32_t *order, size_t count,
                       struct px_trade *trades)
{
    const struct px_import_bounds bounds = {INT64_MIN, INT64_MAX, INT64_MIN};
    struct px_import_report report = {.newest_ns = INT64_MIN};

    for (size_t from = 0, end; from < count; from = end) {
        unsigned n = 0, done;

        end = slice_end(ticks, order, from, count);
        for (size_t i = from; i < end; i++, n++) {
            const struct at *tick = &ticks[order[i]];

            __builtin_prefetch(&ticks[order[PX_MIN(i + AHEAD, count - 1)]]);
            trades[n] = (struct px_trade){.time_ns = tick->time_us * 1000, .recv_ns = tick->time_us * 1000, .price = tick->price};
        }
        for (unsigned at = 0; at < n; at += done) {
            unsigned day = px_import_day(&trades[at].time_ns, sizeof *trades, n - at);
            PX_CHECK(px_hist_import_trades(hist, asset, trades + at, day, &bounds, &report, &done) == 0);
            PX_CHECK(px_hist_commit(hist) == 0);
        }
    }
    PX_CHECK(report.taken == count);
}

/* As an import brings them: what lies in memory in the order of time, sorted by asset, into blocks and candles, flushed to the disk. */
static void load(const char *data, const struct px_names *names, const struct tick *ticks, size_t count)
{
    struct px_trade *trades = malloc((count + 1) * sizeof *trades); /* only as much of it as a slice needs is ever touched */
    struct px_hist *hist;
    char path[256];
    size_t *ends;

    snprintf(path, sizeof path, "%s/bulk", data);
    mkdir(path, 0700);
    PX_CHECK(px_hist_open(path, names, &hist) == 0);
    struct columns columns = columns_of(ticks, count);
    double wall = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    uint32_t *order = sort_by_asset(columns.asset, count, &ends);
    for (unsigned asset = 0; asset < tick_assets; asset++) {
        size_t from = asset == 0 ? 0 : ends[asset - 1];
        load_asset(hist, asset, columns.at, order + from, ends[asset] - from, trades);
    }
    while (tend(hist, tick_assets))
        ;
    PX_CHECK(px_hist_sync(hist) == 0);
    printf("{\"bulk_wall_s\":%.3f,\"bulk_cpu_s\":%.3f", clock_s(CLOCK_MONOTONIC) - wall, clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    px_hist_close(&hist);
    uint64_t sizes[PX_COUNT_OF(families)], sum = compact(path, sizes);
    printf(",\"bulk_settled_cpu_s\":%.3f,\"bulk_bytes_per_tick\":%.4f", clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu, (double)(sum - sizes[4]) / (double)count);
    munmap(columns.asset, count * sizeof *columns.asset + 1);
    munmap(columns.at, count * sizeof *columns.at + 1);
    munmap(order, count * sizeof *order + 1);
    free(ends);
    free(trades);
}

/* What no configuration names is sealed when the store is opened. */
static void seal_all(const char *data)
{
    struct px_config nothing = {0};
    struct px_names *names = names_of(&nothing, 0, 0);
    struct px_hist *hist;

    PX_CHECK(px_hist_open(data, names, &hist) == 0);
    for (unsigned i = 0; i < 2; i++) { /* the journal goes one trim later than its rows */
        PX_CHECK(px_hist_trim(hist) >= 0);
        PX_CHECK(px_hist_commit(hist) == 0);
    }
    px_hist_close(&hist);
    px_names_destroy(&names);
    free(nothing.assets);
}

static void tell_sizes(const char *data, size_t count)
{
    uint64_t sizes[PX_COUNT_OF(families)], sum = compact(data, sizes);

    for (unsigned i = 0; i < PX_COUNT_OF(families); i++)
        printf(",\"bytes_%s\":%.4f", families[i], (double)sizes[i] / (double)count);
    printf(",\"bytes_per_tick\":%.4f,\"settled_cpu_s\":%.3f", (double)sum / (double)count,
           clock_s(CLOCK_PROCESS_CPUTIME_ID) - began_cpu_s);
}

/* ---- minutes ---- */

static void put_minutes(struct px_hist *hist, const struct minute *minutes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct minute *m = &minutes[i];
        struct px_candle candle = {.start_ns = m->start_us * 1000,
                                   .open = m->open,
                                   .high = m->high,
                                   .low = m->low,
                                   .close = m->close,
                                   .count = 60,
                                   .duration_ns = PX_MINUTE_NS,
                                   .last_ns = m->start_us * 1000 + 59 * PX_NS_PER_S,
                                   .area = (__int128)m->open * PX_MINUTE_NS,
                                   .final = true};

        px_hist_put_candle(hist, tick_assets + m->asset, &candle);
        if (i % minute_assets == minute_assets - 1)
            PX_CHECK(px_hist_commit(hist) == 0);
        if (i % (60 * minute_assets) == 60 * minute_assets - 1)
            tend(hist, tick_assets + minute_assets);
    }
    while (tend(hist, tick_assets + minute_assets))
        ;
}

/* ---- charts ---- */

struct bar {
    int64_t open, high, low, close;
    uint64_t count;
};

struct bars {
    int64_t from_ns;
    struct bar bar[1440];
};

static void into_bar(void *context, const struct px_trade *trade)
{
    struct bars *bars = context;
    struct bar *bar = &bars->bar[(trade->time_ns - bars->from_ns) / PX_MINUTE_NS % 1440];

    if (bar->count++ == 0)
        bar->open = bar->high = bar->low = trade->price;
    bar->high = PX_MAX(bar->high, trade->price);
    bar->low = PX_MIN(bar->low, trade->price);
    bar->close = trade->price;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static void tell(const char *name, double *ms, unsigned n)
{
    qsort(ms, n, sizeof *ms, by_value);
    printf(",\"%s_p50_ms\":%.4f,\"%s_p99_ms\":%.4f", name, ms[n / 2], name, ms[n * 99 / 100]);
}

static void chart(struct px_hist *hist, const char *name, px_asset_id first, unsigned assets, uint32_t interval_s, int64_t from,
                  int64_t to, uint32_t limit)
{
    static struct px_candle candles[PX_PAGE_MAX];
    static double ms[ROUNDS];
    struct px_range range = {.start_ns = from, .end_ns = to, .limit = limit};
    struct px_page page = {0};
    int64_t prior;

    for (unsigned i = 0; i < ROUNDS; i++) {
        double start = clock_s(CLOCK_MONOTONIC);
        PX_CHECK(px_hist_candles(hist, first + i * 7919 % assets, interval_s, false, to, &range, candles, &page, &prior) == 0);
        ms[i] = (clock_s(CLOCK_MONOTONIC) - start) * 1e3;
        PX_CHECK(page.count > 0);
    }
    tell(name, ms, ROUNDS);
}

static void chart_of_ticks(struct px_hist *hist, int64_t from)
{
    static struct bars bars;
    static double ms[ROUNDS / 5];

    for (unsigned i = 0; i < PX_COUNT_OF(ms); i++) {
        double start = clock_s(CLOCK_MONOTONIC);
        bars = (struct bars){.from_ns = from};
        PX_CHECK(px_hist_each_trade(hist, i * 7919 % tick_assets, from, from + DAY_NS, into_bar, &bars) == 0);
        ms[i] = (clock_s(CLOCK_MONOTONIC) - start) * 1e3;
    }
    tell("day_of_ticks", ms, PX_COUNT_OF(ms));
}

static void make(const char *data, struct px_names *names, const struct tick *ticks, size_t count, bool bulk)
{
    if (bulk)
        load(data, names, ticks, count);
    else {
        printf("{\"made\":1");
        ingest(data, names, ticks, count);
    }
    printf("}\n");
    px_names_destroy(&names);
}

int main(int argc, char **argv)
{
    struct px_config config = {0};
    struct px_hist *hist;
    size_t tick_count, minute_count;

    if (argc == 2) {
        uint64_t sizes[PX_COUNT_OF(families)];
        return compact(argv[1], sizes) == 0;
    }
    PX_CHECK(argc >= 5 && argc <= 7);
    const struct tick *ticks = map(argv[2], sizeof *ticks, &tick_count);
    tick_assets = (unsigned)atoi(argv[3]);
    if (argc < 7) {
        make(argv[1], names_of(&config, tick_assets, (unsigned)atoi(argv[4])), ticks, tick_count, argc == 6);
        free(config.assets);
        return 0;
    }
    const struct minute *minutes = map(argv[4], sizeof *minutes, &minute_count);
    minute_assets = (unsigned)atoi(argv[5]);
    struct px_names *names = names_of(&config, tick_assets + minute_assets, (unsigned)atoi(argv[6]));
    load(argv[1], names, ticks, tick_count);
    ingest(argv[1], names, ticks, tick_count);
    seal_all(argv[1]);
    tell_sizes(argv[1], tick_count);
    PX_CHECK(px_hist_open(argv[1], names, &hist) == 0);
    put_minutes(hist, minutes, minute_count);
    int64_t day = px_candle_start(ticks[tick_count - 1].time_us * 1000, 86400);
    chart(hist, "day", 0, tick_assets, 60, day, day + DAY_NS, 1440);
    chart_of_ticks(hist, day);
    int64_t month = minutes[0].start_us * 1000, end = minutes[minute_count - 1].start_us * 1000 + PX_MINUTE_NS;
    chart(hist, "month", tick_assets, minute_assets, 3600, month, end, 500);
    printf("}\n");
    px_hist_close(&hist);
    px_names_destroy(&names);
    free(config.assets);
    return 0;
}
