/*
 * Several evaluators: each has the assets of its share, its hit queue and its insurance against being overtaken; one that sleeps loses
 * nothing and holds nobody up.
 */
#include "tests/unit/evaluator_fixture.h"

#define SHARDS   2
#define CAPACITY 256
#define TICKS    20000

static struct px_heritage heir[SHARDS];
static struct pxi_evaluator shard[SHARDS];
static struct px_tick history[TICKS];
static uint64_t seed = 7;

static uint64_t dice(uint64_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % n;
}

static void open_shards(void)
{
    evaluators = SHARDS;
    region_open(CAPACITY, 1024, 0);
    watch_all();
    for (unsigned i = 0; i < SHARDS; i++) {
        heir[i] = heritage;
        heir[i].worker = i;
        heir[i].slot = px_evaluator_slot(i);
        ck_assert_int_eq(evaluator_init(&shard[i], &heir[i]), 0);
        pxi_series_takeover(&shard[i]);
        shard[i].ready = shard[i].meant = true;
    }
}

static void close_shards(void)
{
    for (unsigned i = 0; i < SHARDS; i++)
        evaluator_fini(&shard[i]);
    px_shm_detach(&shm);
}

static void make_history(void)
{
    int64_t price[ASSETS] = {1000, 2000, 3000};

    for (unsigned i = 0; i < TICKS; i++) {
        px_asset_id asset = (px_asset_id)dice(ASSETS);
        int64_t time_ns = BASE_NS + (int64_t)i * PX_NS_PER_MS;

        price[asset] += (int64_t)dice(13) - 6;
        history[i] = (struct px_tick){.asset = asset, .price = price[asset], .size = 1 + (int64_t)dice(9), .time_ns = time_ns, .newest_ns = time_ns};
    }
}

static void take_hits(unsigned number)
{
    struct px_queue *queue = px_shm_hits(&shm, number);
    struct px_hit hit;

    for (; px_queue_peek(queue, 0, &hit) == 0; px_queue_consume(queue, 1))
        ck_assert_uint_eq(hit.asset % SHARDS, number);
}

static void check_day(px_asset_id asset)
{
    const struct px_series_state *state = &shard[asset % SHARDS].state[asset];
    int64_t volume = 0, count = 0, high = INT64_MIN, low = INT64_MAX, last = 0;

    for (unsigned i = 0; i < TICKS; i++) {
        if (history[i].asset != asset)
            continue;
        volume += history[i].size;
        count++;
        high = PX_MAX(high, history[i].price);
        low = PX_MIN(low, history[i].price);
        last = history[i].price;
    }
    ck_assert_int_eq(state->day_volume, volume);
    ck_assert_int_eq(state->day_count, count);
    ck_assert_int_eq(state->day_high, high);
    ck_assert_int_eq(state->day_low, low);
    ck_assert_int_eq(state->last, last);
    for (unsigned i = 0; i < SHARDS; i++) /* and nobody else has touched it */
        ck_assert(i == asset % SHARDS || shard[i].state[asset].day_count == 0);
}

START_TEST(each_has_its_assets_and_its_own_pace)
{
    uint64_t lost[SHARDS] = {0};

    make_history();
    open_shards();
    for (unsigned at = 0; at < TICKS; at += 10) {
        ingest(&history[at], 10);
        for (unsigned i = 0; i < SHARDS; i++) {
            if (i == 1 && at % 4000 < 3000) /* the second sleeps, for many times the ring's length */
                continue;
            while (take_ticks(&shard[i]))
                ;
            take_hits(i);
            lost[i] += shard[i].stats->value[PX_STAT_EVAL_LOST];
            shard[i].stats->value[PX_STAT_EVAL_LOST] = 0;
        }
    }
    for (unsigned i = 0; i < SHARDS; i++)
        ck_assert_uint_eq(shard[i].position, TICKS);
    for (px_asset_id asset = 0; asset < ASSETS; asset++)
        check_day(asset);
    ck_assert_uint_eq(lost[0], 0);
    ck_assert_uint_gt(lost[1], 1000); /* taken out of its extremes */
    close_shards();
}
END_TEST

/* Time moves each one's averages, and only theirs. */
START_TEST(each_sweeps_its_assets)
{
    struct px_average_value average;

    make_history();
    open_shards();
    ingest(history, 100);
    for (unsigned i = 0; i < SHARDS; i++)
        while (take_ticks(&shard[i]))
            ;
    for (unsigned turns = 0; turns < 100; turns++) {
        shard[1].swept.ns = 0;
        pxi_series_sweep(&shard[1]);
    }
    for (px_asset_id asset = 0; asset < ASSETS; asset++) {
        px_latch_read(px_shm_average(&shm, asset), &average);
        ck_assert_int_eq(average.time_ns > BASE_NS + PX_NS_PER_S, asset % SHARDS == 1);
    }
    close_shards();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shards");
    TCase *tcase = tcase_create("shards");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, each_has_its_assets_and_its_own_pace);
    tcase_add_test(tcase, each_sweeps_its_assets);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
