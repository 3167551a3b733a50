/*
 * Alerts, durable: the keeper's own book and store, in this process and on this disk, with as many alerts and ticks as asked for; and the same
 * on Redis if a socket is given. The seed is the same, so the numbers of fires must be equal.
 *
 *   alerts_bench DIR [--alerts N] [--ticks N] [--assets N] [--group N] [--seed N] [--redis SOCKET] [--jump N] [--index-only] [--leave | --again]
 *
 *   load      alerts are created as the keeper creates them, a thousand a batch; the first hundred batches are synced, and timed
 *   run       per group one synced batch {index, outbox, checkpoint}, as engine/keeper/judge.c does: what waits, up to 4,096 hits; ticks that
 *             reach nothing are none. With --group N a group is N ticks instead. Redis gets PIPELINE or N ticks before its answers are read; it gains
 *             nothing by more. Ours and theirs in turns, once both are done with what the load has left; the ratio is the median of the rounds
 *             All that a hit reaches is judged in its group; the keeper stores a hit that moves more than two alerts, and works it off as fast as it tells
 *   tell      what is in the outbox becomes events
 *   start     everything is closed and opened again, until values are judged; and until every window stands
 *   jump      one tick that reaches `jump` alerts of one asset, told to a keeper in a process of its own (tests/bench/alerts_jump.h)
 *
 *   What opens the store runs in a process of its own: threads of RocksDB do not survive a fork, and the keeper of the jump is forked.
 *
 *   --leave: ends before the start, and DIR stays; --again: goes on there, from the start
 *   --index-only: rows of the index alone, for numbers of alerts that would take hours to create
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/armed.h"
#include "store/heap.h"
#include "tests/bench/alerts_jump.h"
#include "tests/bench/alerts_redis.h"

#define BOOK_BYTES  (96u << 20)
#define BATCH       1000
#define SYNCED      100
#define TELL        512
#define HITS        4096 /* PXI_HITS of the keeper */
#define PIPELINE    500
#define OWNERS      1000
#define SETTLE_S    120 /* at most */

#define ROUNDS 5 /* of ticks, ours and theirs in turns: a machine gets faster and slower */

struct figures {
    double creates_per_s, load_s, run_s, redis_s, tell_s, open_s, start_s, windows_s, rss_mb; /* open_s: of the start, the store alone */
    double ratio[ROUNDS]; /* their time by ours */
    struct redis_figures redis;
    uint64_t told, fires, groups;
    struct px_book_stats stats;
    struct jump_plan jump;
};

struct bench {
    const char *dir, *redis;
    uint64_t alerts, ticks, seed, jump;
    unsigned group, hits; /* 0: by hits; those of the group under way */
    bool index_only, leave, again;
    struct world world;
    struct px_config config;
    struct px_names *names;
    struct px_alerts *store;
    struct px_book *book;
    struct {
        int64_t up, down;
    } *near; /* per asset */
    uint64_t fires, position, next_id, groups;
    double open_s;
    struct px_alert_event events[TELL];
};

static double seconds(px_mono since)
{
    return (double)px_mono_since(px_mono_now(), since) / 1e9;
}

static void must(int error, const char *what)
{
    if (error == 0)
        return;
    fprintf(stderr, "alerts_bench: %s: %s\n", what, px_error_text(error));
    exit(1);
}

/* ---- the keeper's part ---- */

static int on_fire(void *ctx, const struct px_fired *fired)
{
    struct bench *bench = ctx;
    struct px_judged judged = {.fire = {.alert = fired->alert,
                                        .asset = fired->hit->asset,
                                        .price = fired->value,
                                        .prev = fired->prev,
                                        .time_ns = fired->time_ns,
                                        .matched_ns = fired->time_ns,
                                        .position = fired->hit->tick},
                               .fire_number = fired->fire_number,
                               .op = fired->op,
                               .level = fired->level,
                               .last = fired->last};

    if (!px_alerts_fires_room(bench->store))
        return PX_E_AGAIN;
    px_alerts_fire(bench->store, &judged);
    bench->fires++;
    return 0;
}

static void on_near(void *ctx, px_asset_id asset, unsigned series, int64_t up, int64_t down)
{
    struct bench *bench = ctx;

    if (series != PX_SERIES_LAST)
        return;
    bench->near[asset].up = up;
    bench->near[asset].down = down;
}

static int commit(void *ctx)
{
    struct bench *bench = ctx;
    struct px_alerts_checkpoint checkpoint = {.generation = 1, .position = {bench->position}};

    if (px_alerts_dirty(bench->store)) {
        px_alerts_checkpoint_put(bench->store, &checkpoint);
        must(px_alerts_commit(bench->store, true), "commit");
    }
    px_book_settled(bench->book);
    return 0;
}

static double open_all(struct bench *bench)
{
    struct px_book_out out = {.ctx = bench, .fire = on_fire, .near = on_near};
    px_mono began = px_mono_now();
    struct px_index index;

    for (uint32_t i = 0; i < bench->world.assets; i++) {
        bench->near[i].up = INT64_MAX;
        bench->near[i].down = INT64_MIN;
    }
    must(px_alerts_open(bench->dir, bench->names, &bench->store), "open");
    bench->open_s = seconds(began);
    px_alerts_indexed(bench->store);
    px_armed_index(bench->store, commit, bench, &index);
    must(px_book_create(bench->world.assets, BOOK_BYTES, &index, &out, &bench->book), "book");
    must(px_armed_load(bench->store, bench->book, NULL, NULL), "windows");
    return seconds(began);
}

static void close_all(struct bench *bench)
{
    px_book_destroy(&bench->book);
    px_alerts_close(&bench->store);
}

/* ---- load ---- */

static struct px_alert record_of(const struct bench *bench, const struct world_alert *made, uint64_t number)
{
    struct px_alert alert;

    memset(&alert, 0, sizeof alert);
    alert.id = (struct px_alert_id){1, number + 1};
    snprintf(alert.owner, sizeof alert.owner, "user%03llu", (unsigned long long)(number % OWNERS));
    snprintf(alert.symbol, sizeof alert.symbol, "%s", bench->config.assets[made->asset].symbol);
    alert.rule.conditions = 1;
    alert.rule.frequency = PX_FREQUENCY_ONCE;
    alert.rule.condition[0].op = made->down ? PX_OP_LESS_OR_EQUAL : PX_OP_GREATER_OR_EQUAL;
    alert.rule.condition[0].source = PX_SOURCE_LAST;
    snprintf(alert.rule.condition[0].level, PX_LEVEL_SIZE, "%lld.%02d", (long long)(made->level / 100), (int)(made->level % 100));
    return alert;
}

static void arm(struct bench *bench, struct px_alert_id id, px_asset_id asset, struct px_plan *plan, int64_t price)
{
    struct px_moment moment = {1, 1, 1};
    int64_t value[PX_SERIES];

    for (unsigned s = 0; s < PX_SERIES; s++)
        value[s] = PX_PRICE_NONE;
    value[PX_SERIES_LAST] = price;
    if (px_plan_arm(plan, value, &moment) == PX_VERDICT_NOTHING)
        must(px_book_add(bench->book, id, asset, plan), "add");
}

static void create(struct bench *bench, const struct world_alert *made)
{
    struct px_alert alert = record_of(bench, made, bench->next_id), stored;
    struct px_plan plan;
    int error = 0;

    if (bench->index_only) {
        must(px_rule_plan(&alert.rule, 2, &plan, NULL), "plan");
    } else {
        error = px_alerts_create(bench->store, &alert, UINT32_MAX, &stored);
        if (error == PX_E_AGAIN) { /* the group has too many owners */
            commit(bench);
            error = px_alerts_create(bench->store, &alert, UINT32_MAX, &stored);
        }
        must(error, "create");
        must(px_alerts_plan(bench->store, &stored, &plan), "plan");
    }
    arm(bench, alert.id, made->asset, &plan, WORLD_PRICE);
    bench->next_id++;
}

static void load(struct bench *bench, double *creates_per_sp, double *load_sp)
{
    px_mono began = px_mono_now();
    uint64_t synced = PX_MIN(bench->alerts / 2, SYNCED * BATCH);

    world_start(&bench->world, bench->seed);
    for (uint64_t i = 0; i < bench->alerts; i++) {
        struct world_alert made = world_alert(&bench->world);

        create(bench, &made);
        if ((i + 1) % BATCH != 0)
            continue;
        if (i < synced)
            commit(bench);
        else
            must(px_alerts_commit(bench->store, false), "commit");
        px_book_settled(bench->book);
        if (i + 1 == synced)
            *creates_per_sp = (double)synced / seconds(began);
        if ((i + 1) % 1000000 == 0)
            fprintf(stderr, "  %llu M alerts after %.0f s\n", (unsigned long long)(i + 1) / 1000000, seconds(began));
    }
    commit(bench);
    while (px_book_tend(bench->book) > 0)
        ;
    *load_sp = seconds(began);
}

/* ---- run ---- */

static void judge(struct bench *bench, uint32_t asset, int64_t price)
{
    struct px_hit hit = {.asset = asset,
                         .series = PX_SERIES_LAST,
                         .value = price,
                         .prev = price,
                         .time_ns = (int64_t)bench->position,
                         .matched_ns = 1,
                         .position = bench->position + 2,
                         .tick = bench->position};
    uint32_t stage = 0;

    if (price >= bench->near[asset].up || price <= bench->near[asset].down) {
        must(px_book_apply(bench->book, &hit, 1, &stage), "apply");
        bench->hits++;
    }
    bench->position++;
}

static void end_group(struct bench *bench)
{
    commit(bench);
    bench->hits = 0;
    bench->groups++;
}

static double run(struct bench *bench, uint64_t ticks)
{
    px_mono began = px_mono_now();

    for (uint64_t i = 0; i < ticks; i++) {
        int64_t price;
        uint32_t asset = world_tick(&bench->world, &price);

        judge(bench, asset, price);
        if (bench->group == 0 ? bench->hits == HITS : (i + 1) % bench->group == 0)
            end_group(bench);
    }
    end_group(bench);
    return seconds(began);
}

/* Until the store's own threads are done with what the load has left: neither side judges beside its housework. */
static void settle(void)
{
    double busy = 1;

    for (unsigned i = 0; i < SETTLE_S && busy > 0.05; i++) {
        clock_t before = clock();

        sleep(1);
        busy = (double)(clock() - before) / CLOCKS_PER_SEC;
    }
}

static void run_rounds(struct bench *bench, struct redis *redis, struct figures *figures)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t ticks = bench->ticks / ROUNDS + (i == 0 ? bench->ticks % ROUNDS : 0);
        double own = run(bench, ticks), other = redis ? redis_run(redis, ticks, bench->group ? bench->group : PIPELINE, &figures->redis) : 0;

        figures->run_s += own;
        figures->redis_s += other;
        figures->ratio[i] = other / own;
    }
}

static double tell(struct bench *bench, uint64_t *toldp)
{
    px_mono began = px_mono_now();
    unsigned count;
    bool more = true;

    for (*toldp = 0; more; *toldp += count) {
        must(px_alerts_tell(bench->store, TELL, bench->events, &count, &more), "tell");
        must(px_alerts_commit(bench->store, false), "commit");
    }
    return seconds(began);
}

/* ---- the jump ---- */

/* Alerts of one asset close above each other, and of another one as far apart; the keeper's own process does the rest. */
static void add_above(struct bench *bench, uint32_t asset, int64_t price, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct world_alert made = {.asset = asset, .level = price + (int64_t)i};

        create(bench, &made);
        if ((i + 1) % BATCH == 0)
            must(px_alerts_commit(bench->store, false), "commit");
    }
    commit(bench);
}

static void prepare_jump(struct bench *bench, struct jump_plan *planp)
{
    int64_t price = bench->world.price[0] * 3;
    uint64_t told;

    *planp = (struct jump_plan){.config = &bench->config, .alerts = bench->jump, .other = bench->world.price[1] * 3};
    planp->value = price + (int64_t)bench->jump;
    add_above(bench, 0, price, bench->jump);
    planp->other_id = bench->next_id + 1;
    add_above(bench, 1, planp->other, JUMP_OTHERS);
    tell(bench, &told);
}

/* ---- figures ---- */

static double anonymous_mb(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    unsigned long kb = 0;
    char line[128];

    while (file && fgets(line, sizeof line, file))
        sscanf(line, "RssAnon: %lu", &kb);
    if (file)
        fclose(file);
    return (double)kb / 1024;
}

static void options(struct bench *bench, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        const char *name = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(name, "--index-only") == 0) {
            bench->index_only = true;
            continue;
        }
        if (strcmp(name, "--leave") == 0 || strcmp(name, "--again") == 0) {
            *(name[2] == 'l' ? &bench->leave : &bench->again) = true;
            continue;
        }
        i++;
        if (strcmp(name, "--alerts") == 0)
            bench->alerts = strtoull(value, NULL, 10);
        else if (strcmp(name, "--ticks") == 0)
            bench->ticks = strtoull(value, NULL, 10);
        else if (strcmp(name, "--assets") == 0)
            bench->world.assets = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(name, "--group") == 0)
            bench->group = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(name, "--seed") == 0)
            bench->seed = strtoull(value, NULL, 10);
        else if (strcmp(name, "--jump") == 0)
            bench->jump = strtoull(value, NULL, 10);
        else if (strcmp(name, "--redis") == 0)
            bench->redis = value;
    }
}

static void make_assets(struct bench *bench)
{
    bench->config.asset_count = bench->world.assets;
    bench->config.assets = calloc(bench->world.assets, sizeof *bench->config.assets);
    bench->world.price = calloc(bench->world.assets, sizeof *bench->world.price);
    bench->near = calloc(bench->world.assets, sizeof *bench->near);
    if (!bench->config.assets || !bench->world.price || !bench->near)
        must(PX_E_MEMORY, "assets");
    for (uint32_t i = 0; i < bench->world.assets; i++) {
        snprintf(bench->config.assets[i].symbol, sizeof bench->config.assets[i].symbol, "A%u-USD", i);
        bench->config.assets[i].scale = 2;
    }
    must(px_names_create(&bench->config, &bench->names), "names");
}

static void make(struct bench *bench, struct figures *figures)
{
    open_all(bench);
    load(bench, &figures->creates_per_s, &figures->load_s);
    struct redis *redis = redis_begin(bench->redis, bench->world.assets, bench->seed, bench->alerts, &figures->redis);
    settle();
    run_rounds(bench, redis, figures);
    redis_end(redis);
    figures->fires = bench->fires;
    figures->groups = bench->groups;
    figures->rss_mb = anonymous_mb();
    px_book_stats(bench->book, &figures->stats);
    if (!bench->index_only)
        figures->tell_s = tell(bench, &figures->told);
    close_all(bench);
}

static void start_again(struct bench *bench, struct figures *figures)
{
    figures->start_s = open_all(bench);
    figures->open_s = bench->open_s;
    px_mono opened = px_mono_now();
    while (px_book_tend(bench->book) > 0)
        ;
    figures->windows_s = figures->start_s + seconds(opened);
    if (bench->jump > 0 && !bench->index_only)
        prepare_jump(bench, &figures->jump);
    close_all(bench);
}

static int with_the_store(struct bench *bench, struct figures *figures)
{
    px_heap_steady();
    if (!bench->again) {
        make(bench, figures);
    } else {
        world_start(&bench->world, bench->seed);
        bench->next_id = (uint64_t)px_wall_now(); /* others than those that are there */
    }
    if (!bench->leave)
        start_again(bench, figures);
    return 0;
}

static void in_a_process(struct bench *bench, struct figures *figures)
{
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(with_the_store(bench, figures));
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        exit(1);
}

static void print_jump(uint64_t alerts, const struct jump_figures *jumped)
{
    printf("  jump of %llu: first told after %.1f ms, durable after %.1f ms, all told after %.1f ms; a tick of another asset takes %.2f ms, the next one "
           "behind the jump %.2f ms more, the slowest of those that follow %.2f ms more\n",
           (unsigned long long)alerts, jumped->first_ms, jumped->durable_ms, jumped->told_ms, jumped->undisturbed_ms, jumped->delay_ms,
           jumped->delay_most_ms);
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static void print_redis(const struct bench *bench, const struct figures *figures)
{
    const struct redis_figures *redis = &figures->redis;

    printf("  redis         %10.0f ticks a second, synced always (%llu fires), loaded in %.1f s, %.0f MB; in rounds its time by ours is",
           (double)bench->ticks / figures->redis_s, (unsigned long long)redis->fires, redis->load_s, (double)redis->memory_bytes / 1048576);
    for (unsigned i = 0; i < ROUNDS; i++)
        printf(" %.2f", figures->ratio[i]);
    printf("\n");
    if (redis->fires != figures->fires)
        printf("  THE FIRES DIFFER: %llu and %llu\n", (unsigned long long)figures->fires, (unsigned long long)redis->fires);
}

static void print_all(const struct bench *bench, struct figures *figures, const struct jump_figures *jumped)
{
    double ticks = (double)bench->ticks;

    printf("alerts %llu, ticks %llu in %llu groups, fires %llu\n", (unsigned long long)bench->alerts, (unsigned long long)bench->ticks,
           (unsigned long long)figures->groups, (unsigned long long)figures->fires);
    printf("  created       %10.0f a second, durable, in batches of %d; all after %.1f s\n", figures->creates_per_s, BATCH, figures->load_s);
    printf("  judged        %10.0f ticks a second, durable (%.0f fires a second)\n", ticks / figures->run_s, (double)figures->fires / figures->run_s);
    printf("  told          %10.0f fires a second from the outbox\n", figures->told > 0 ? (double)figures->told / figures->tell_s : 0.0);
    printf("  memory        %10.0f MB anonymous; windows %.1f MB, %llu of the alerts in them\n", figures->rss_mb,
           (double)figures->stats.bytes / 1048576, (unsigned long long)figures->stats.resident);
    printf("  started again %10.2f s until values are judged (the store was open after %.2f s), %.2f s until all windows stand\n", figures->start_s,
           figures->open_s, figures->windows_s);
    if (bench->jump > 0)
        print_jump(bench->jump, jumped);
    if (bench->redis)
        print_redis(bench, figures);
    qsort(figures->ratio, ROUNDS, sizeof *figures->ratio, compare);
    printf("{\"alerts\":%llu,\"creates_per_s\":%.0f,\"ticks_per_s\":%.0f,\"rss_mb\":%.0f,\"restart_s\":%.2f,\"jump_first_ms\":%.1f,"
           "\"jump_all_ms\":%.1f,\"jump_told_ms\":%.1f,\"jump_other_tick_delay_ms\":%.2f,\"durable_ticks_vs_redis\":%.2f,\"fires_equal\":%s}\n",
           (unsigned long long)bench->alerts, figures->creates_per_s, ticks / figures->run_s, figures->rss_mb, figures->start_s, jumped->first_ms,
           jumped->durable_ms, jumped->told_ms, jumped->delay_ms, bench->redis ? figures->ratio[ROUNDS / 2] : 0.0,
           !bench->redis || figures->redis.fires == figures->fires ? "true" : "false");
}

int main(int argc, char **argv)
{
    static struct bench bench = {.alerts = 1000000, .ticks = 1000000, .seed = 7, .world.assets = 10000};
    struct figures *figures = mmap(NULL, sizeof *figures, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct jump_figures jumped = {0};

    if (argc < 2 || argv[1][0] == '-' || figures == MAP_FAILED) {
        fprintf(stderr, "usage: alerts_bench DIR [--alerts N] [--ticks N] [--assets N] [--group N] [--seed N] [--redis SOCKET] [--jump N] "
                        "[--index-only] [--leave | --again]\n");
        return 2;
    }
    bench.dir = argv[1];
    options(&bench, argc, argv);
    snprintf(bench.config.data, sizeof bench.config.data, "%s", bench.dir);
    make_assets(&bench);
    in_a_process(&bench, figures);
    if (bench.leave)
        return 0;
    if (figures->jump.alerts > 0)
        jump_measure(&figures->jump, &jumped);
    print_all(&bench, figures, &jumped);
    return bench.redis && figures->redis.fires != figures->fires;
}
