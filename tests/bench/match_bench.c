/* The book over an index in memory on one core: ticks and fires a second, with most of the alerts outside of the windows. */
#include <stdio.h>
#include <time.h>

#include "tests/match_ram.h"

#define ASSETS 1000u
#define START  1000000

struct bench {
    struct ram ram;
    struct px_book *book;
    struct {
        int64_t up, down;
    } near[ASSETS];
    uint64_t fires, hits;
};

static uint64_t state = 88172645463325252u;

static uint64_t below(uint64_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int on_fire(void *ctx, const struct px_fired *fired)
{
    (void)fired;
    ((struct bench *)ctx)->fires++;
    return 0;
}

static void on_expired(void *ctx, struct px_alert_id alert)
{
    (void)ctx;
    (void)alert;
}

static void on_near(void *ctx, px_asset_id asset, unsigned series, int64_t up, int64_t down)
{
    struct bench *bench = ctx;

    if (series == PX_SERIES_LAST) {
        bench->near[asset].up = up;
        bench->near[asset].down = down;
    }
}

static void on_committed(void *ctx)
{
    px_book_settled(((struct bench *)ctx)->book);
}

static void fill(struct bench *bench, uint64_t alerts)
{
    for (uint64_t id = 0; id < alerts; id++) {
        bool down = id & 1;
        int64_t away = 1 + (int64_t)below(START / 10), level = down ? START - away : START + away;
        struct px_plan plan = {.frequency = PX_FREQUENCY_ONCE, .legs = 1};
        struct px_leg *leg = &plan.leg[0];

        leg->op = down ? PX_OP_LESS_OR_EQUAL : PX_OP_GREATER_OR_EQUAL;
        leg->series = PX_SERIES_LAST;
        leg->zone = down ? PX_ZONE_ABOVE : PX_ZONE_BELOW;
        leg->a = leg->hold_a = down ? INT64_MIN : level;
        leg->b = leg->hold_b = down ? level : INT64_MAX;
        PX_CHECK(px_book_add(bench->book, (struct px_alert_id){1, id}, (px_asset_id)below(ASSETS), &plan) == 0);
        if (bench->ram.ops >= 4096)
            ram_settle(&bench->ram);
    }
    ram_settle(&bench->ram);
}

static void tick(struct bench *bench, int64_t *price, uint64_t position)
{
    px_asset_id asset = (px_asset_id)below(ASSETS);
    uint32_t stage = 0;

    price[asset] += (int64_t)below(801) - 400;
    if (price[asset] < bench->near[asset].up && price[asset] > bench->near[asset].down)
        return;
    struct px_hit hit = {.asset = asset, .series = PX_SERIES_LAST, .value = price[asset], .position = position};
    PX_CHECK(px_book_apply(bench->book, &hit, 1, &stage) == 0);
    bench->hits++;
    if (bench->ram.ops >= 1000)
        ram_settle(&bench->ram);
}

static void measure(uint64_t alerts, uint32_t width, uint64_t ticks, const char *before)
{
    static int64_t price[ASSETS];
    static struct bench bench;
    struct px_book_stats stats;

    memset(&bench, 0, sizeof bench);
    ram_init(&bench.ram, ASSETS);
    bench.ram.committed = on_committed;
    bench.ram.ctx = &bench;
    struct px_index index = ram_index(&bench.ram);
    struct px_book_out out = {&bench, on_fire, on_expired, on_near};
    PX_CHECK(px_book_create(ASSETS, 96u << 20, &index, &out, &bench.book) == 0);
    px_book_widths(bench.book, width, PX_MAX(width, 4096u));
    double start = now();
    fill(&bench, alerts);
    double filled = now() - start;
    for (px_asset_id asset = 0; asset < ASSETS; asset++) {
        price[asset] = START;
        PX_CHECK(px_book_load(bench.book, asset, PX_SERIES_LAST) == 0);
    }
    px_book_settled(bench.book);
    start = now();
    for (uint64_t i = 0; i < ticks; i++)
        tick(&bench, price, i + 1);
    double spent = now() - start;
    px_book_stats(bench.book, &stats);
    fprintf(stderr, "%9llu alerts, W %3u: %5.2f M adds/s, %6.2f M ticks/s, %5.2f M fires/s (%llu fires, %llu hits, %llu refills, windows %.1f MB)\n",
            (unsigned long long)alerts, width, (double)alerts / filled / 1e6, (double)ticks / spent / 1e6,
            (double)bench.fires / spent / 1e6, (unsigned long long)bench.fires, (unsigned long long)bench.hits,
            (unsigned long long)stats.refills, (double)stats.bytes / 1e6);
    printf("%s{\"alerts\":%llu,\"width\":%u,\"ticks_per_s\":%.0f,\"fires_per_s\":%.0f}", before, (unsigned long long)alerts, width,
           (double)ticks / spent, (double)bench.fires / spent);
    px_book_destroy(&bench.book);
    ram_fini(&bench.ram);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    uint64_t ticks = quick ? 200000 : 1000000;

    printf("{\"bench\":\"match\",\"rows\":[");
    measure(quick ? 100000 : 1000000, 64, ticks, "");
    measure(quick ? 100000 : 1000000, 256, ticks, ",");
    if (!quick) {
        measure(10000000, 64, ticks, ",");
        measure(10000000, 256, ticks, ",");
    }
    printf("]}\n");
    return 0;
}
