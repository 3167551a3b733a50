/*
 * An evaluator that is overtaken misses no crossing and invents none. Ingest and evaluator run interleaved at every store that
 * either makes: inside a store of the one the other takes a step, by dice. The oracle knows every tick.
 */
static void between_stores(void);

#define px_store_relaxed(p, v) (between_stores(), __atomic_store_n((p), (v), __ATOMIC_RELAXED))
#define px_store_release(p, v) (between_stores(), __atomic_store_n((p), (v), __ATOMIC_RELEASE))

#include "tests/unit/evaluator_fixture.h"

#include <pthread.h>
#include <unistd.h>

#define CAPACITY 256
#define MOST     40000
#define ALERTS   300

struct alert { /* slow and obvious */
    struct {
        px_asset_id asset;
        unsigned op;
        int64_t level;
    } arm;
    uint64_t number; /* how often it has been armed: its id */
    bool armed, fired;
};

static struct px_tick history[MOST];
static uint64_t told;       /* ticks that ingest has published or is about to */
static uint64_t first;      /* ring position of history[0] */
static uint64_t seed;
static int64_t price[ASSETS], newest[ASSETS], now_ns;
static struct alert alert[ALERTS];
static int64_t last[ASSETS], last_ns[ASSETS]; /* of the model, up to the evaluator's position */
static bool in_ingest, in_evaluator, newest_only, late_ticks;
static long missing, impossible, stretches, back_fires;
static uint32_t odds; /* that the other side takes a step within a store; 0: never */

static uint64_t dice(uint64_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % n;
}

static struct px_tick random_tick(void)
{
    px_asset_id asset = (px_asset_id)dice(ASSETS);
    struct px_tick tick = {.asset = asset, .size = 1 + (int64_t)dice(9), .newest_ns = newest[asset]};

    price[asset] += (int64_t)dice(13) - 6;
    now_ns += (int64_t)dice(50) * PX_NS_PER_MS;
    tick.price = price[asset];
    tick.time_ns = tick.recv_ns = now_ns;
    if (dice(10) == 0)
        tick.flags = dice(2) ? PX_TICK_QUOTE : PX_TICK_QUARANTINED;
    else if (late_ticks && dice(20) == 0)
        tick.time_ns = newest[asset] - 1;
    if (tick.flags == 0)
        tick.newest_ns = newest[asset] = PX_MAX(newest[asset], tick.time_ns);
    return tick;
}

static void ingest_step(void)
{
    unsigned n = 1 + (unsigned)dice(31);

    if (told + n > MOST)
        return;
    for (unsigned i = 0; i < n; i++)
        history[told + i] = random_tick();
    in_ingest = true;
    told += n;
    ingest(&history[told - n], n);
    in_ingest = false;
}

static bool counts(const struct px_tick *tick)
{
    return tick->flags == 0;
}

/* Which alerts the ticks of [from, until) must fire, and which they can; then the model's prices move on. */
static void model(uint64_t from, uint64_t until, bool must[ALERTS], bool may[ALERTS])
{
    int64_t rise_from[ASSETS], rise_to[ASSETS], fall_from[ASSETS], fall_to[ASSETS];

    for (unsigned a = 0; a < ASSETS; a++) {
        rise_from[a] = fall_to[a] = INT64_MAX;
        rise_to[a] = fall_from[a] = INT64_MIN;
    }
    for (uint64_t at = from; at < until; at++) {
        const struct px_tick *tick = &history[at];
        px_asset_id a = tick->asset;

        if (!counts(tick) || tick->time_ns < last_ns[a])
            continue;
        for (unsigned i = 0; i < ALERTS; i++)
            if (alert[i].arm.asset == a && holds(alert[i].arm.op, alert[i].arm.level, last[a], tick->price))
                must[i] = true;
        if (last[a] != PX_PRICE_NONE && tick->price > last[a]) {
            rise_from[a] = PX_MIN(rise_from[a], last[a]);
            rise_to[a] = PX_MAX(rise_to[a], tick->price);
        } else if (last[a] != PX_PRICE_NONE) {
            fall_from[a] = PX_MAX(fall_from[a], last[a]);
            fall_to[a] = PX_MIN(fall_to[a], tick->price);
        }
        last[a] = tick->price;
        last_ns[a] = tick->time_ns;
    }
    for (unsigned i = 0; i < ALERTS; i++) {
        __typeof__(&alert[i].arm) arm = &alert[i].arm;

        may[i] = must[i] ||
                 (arm->op == PX_OP_CROSSING_UP && rise_from[arm->asset] < arm->level && arm->level <= rise_to[arm->asset]) ||
                 (arm->op == PX_OP_CROSSING_DOWN && fall_to[arm->asset] <= arm->level && arm->level < fall_from[arm->asset]);
    }
}

/* ---- the keeper's part ---- */

static struct ram ram;
static struct px_book *book;
static bool fired[ALERTS], step_missed;
static uint64_t step_from, step_until;

static int on_fire(void *ctx, const struct px_fired *fire)
{
    unsigned i = (unsigned)fire->alert.lo;

    if (newest_only && fire->alert.hi != alert[i].number) /* given up as missed, and armed anew since */
        return 0;
    fired[i] = true;
    ck_assert_uint_eq(fire->alert.hi, alert[i].number);
    ck_assert(!step_missed || newest_only || (fire->hit->flags & PX_HIT_LATE));
    impossible += fire->hit->tick < first + step_from || fire->hit->tick >= first + step_until;
    impossible += !holds(alert[i].arm.op, alert[i].arm.level, fire->prev, fire->value);
    return 0;
}

static void on_near(void *ctx, px_asset_id asset, unsigned series, int64_t up, int64_t down)
{
    struct px_watch *watch = px_shm_watch(&shm, asset);

    watch->interest |= 1u << series;
    watch->near[series].up = up;
    watch->near[series].down = down;
}

static void judge_hits(void)
{
    struct px_hit hit;

    while (px_queue_peek(shm.hits, 0, &hit) == 0) {
        uint32_t stage = 0;

        ck_assert_int_eq(px_book_apply(book, &hit, 1, &stage), 0);
        ram_settle(&ram);
        px_book_settled(book);
        px_shm_watch(&shm, hit.asset)->near[hit.series].heard = px_queue_head(shm.hits) + 1;
        px_queue_consume(shm.hits, 1);
    }
}

static void open_book(void)
{
    struct px_book_out out = {.fire = on_fire, .near = on_near};
    struct px_index index;

    ram_init(&ram, ASSETS);
    index = ram_index(&ram);
    ck_assert_int_eq(px_book_create(ASSETS, 1 << 20, &index, &out, &book), 0);
}

static void check_fires(uint64_t from, uint64_t until, bool missed)
{
    bool must[ALERTS] = {false}, may[ALERTS] = {false};

    model(from, until, must, may);
    memset(fired, 0, sizeof(fired));
    step_from = from;
    step_until = until;
    step_missed = missed;
    judge_hits();
    for (unsigned i = 0; i < ALERTS; i++) {
        bool open = alert[i].armed && !alert[i].fired;

        missing += open && must[i] && !fired[i];
        impossible += fired[i] && (!open || !(missed ? may : must)[i]);
        back_fires += fired[i] && !must[i];
        alert[i].fired |= fired[i] || (open && must[i]);
    }
}

/* The control: what is in force now stands for all that was missed. */
static void resync_newest_only(uint64_t until)
{
    for (px_asset_id asset = 0; asset < ASSETS; asset++) {
        struct px_tick tick = {.asset = asset, .price = price[asset], .time_ns = now_ns};

        pxi_series_tick(&evaluator, &tick, until - 1);
    }
    evaluator.position = until;
    px_ring_report(shm.ticks_yard, heritage.slot, until);
}

static void evaluator_step(void)
{
    uint64_t from = evaluator.position - first;
    struct px_tick probe;
    uint64_t count;
    bool overrun;

    in_evaluator = true;
    if (newest_only && px_ring_read(shm.ticks, evaluator.position, &probe, 1, &count) != 0)
        resync_newest_only(px_ring_tail(shm.ticks));
    overrun = !take_ticks(&evaluator) || evaluator.position - first - from > px_extremes_chunk(shm.ticks) ||
              evaluator.stats->value[PX_STAT_EVAL_LOST] != 0;
    in_evaluator = false;
    stretches += overrun && evaluator.position - first > from;
    evaluator.stats->value[PX_STAT_EVAL_LOST] = 0;
    check_fires(from, evaluator.position - first, overrun);
}

/* The other side takes some steps, but neither is entered twice. */
static void between_stores(void)
{
    if (odds == 0 || dice(odds) != 0)
        return;
    if (in_evaluator && !in_ingest)
        for (uint64_t n = dice(20); n > 0; n--)
            ingest_step();
    else if (in_ingest && !in_evaluator)
        evaluator_step();
}

static void arm(unsigned i)
{
    struct px_plan plan = plan_of(alert[i].arm.op, alert[i].arm.level);
    struct px_moment moment = {0, 0, 0};
    struct px_levels_value levels;

    px_book_attend(book, alert[i].arm.asset, PX_SERIES_LAST);
    px_latch_read(px_shm_levels(&shm, alert[i].arm.asset), &levels);
    moment.position = levels.position;
    ck_assert(newest_only || levels.value[PX_SERIES_LAST] == last[alert[i].arm.asset]);
    bool fires = px_plan_arm(&plan, levels.value, &moment) != PX_VERDICT_NOTHING;
    ck_assert(newest_only || !fires);
    if (fires)
        return;
    ck_assert_int_eq(px_book_add(book, (struct px_alert_id){++alert[i].number, i}, alert[i].arm.asset, &plan), 0);
    ram_settle(&ram);
    px_book_settled(book);
}

static void arm_some(void)
{
    for (unsigned n = 0; n < 40; n++) {
        unsigned i = (unsigned)dice(ALERTS);
        px_asset_id asset = (px_asset_id)dice(ASSETS);

        if (last[asset] == PX_PRICE_NONE || (alert[i].armed && !alert[i].fired))
            continue;
        alert[i].arm.asset = asset;
        alert[i].arm.op = 1 + (unsigned)dice(4);
        alert[i].arm.level = last[asset] - 60 + (int64_t)dice(121);
        alert[i].armed = alert[i].fired = false;
        if (holds(alert[i].arm.op, alert[i].arm.level, PX_PRICE_NONE, last[asset])) /* fires at once: not what this is about */
            continue;
        arm(i);
        alert[i].armed = true;
    }
}

static void run(uint64_t number, uint64_t first_position)
{
    seed = number;
    first = first_position;
    told = 0;
    now_ns = BASE_NS;
    memset(alert, 0, sizeof(alert));
    for (unsigned a = 0; a < ASSETS; a++) {
        price[a] = 1000;
        newest[a] = last_ns[a] = 0;
        last[a] = PX_PRICE_NONE;
    }
    region_open(CAPACITY, 1024, first);
    open_book();
    evaluator_start();
    odds = 0;
    while (told < MOST / 4) {
        uint64_t reads = dice(8) == 0 ? 0 : dice(40), writes = dice(6) == 0 ? dice(150) : dice(12);

        odds = newest_only || number % 2 ? 0 : 200;
        for (; writes > 0; writes--)
            ingest_step();
        for (; reads > 0; reads--)
            evaluator_step();
        odds = 0;
        arm_some();
    }
    while (evaluator.position != px_ring_tail(shm.ticks))
        evaluator_step();
    ck_assert_uint_eq(evaluator.position - first, told);
}

static void check_day(void)
{
    for (px_asset_id asset = 0; asset < ASSETS; asset++) {
        const struct px_series_state *state = &evaluator.state[asset];
        int64_t volume = 0, count = 0, high = INT64_MIN, low = INT64_MAX;

        for (uint64_t at = 0; at < told; at++) {
            if (history[at].asset != asset || !counts(&history[at]))
                continue;
            volume += history[at].size;
            count++;
            high = PX_MAX(high, history[at].price);
            low = PX_MIN(low, history[at].price);
        }
        ck_assert_int_eq(state->day_volume, volume);
        ck_assert_int_eq(state->day_count, count);
        ck_assert_int_eq(state->day_high, high);
        ck_assert_int_eq(state->day_low, low);
        ck_assert_int_eq(state->last, last[asset]);
    }
}

static void finish(void)
{
    if (book)
        ram_fini(&ram);
    px_book_destroy(&book);
    evaluator_fini(&evaluator);
    px_shm_detach(&shm);
}

START_TEST(no_crossing_is_lost_and_none_invented)
{
    static const uint64_t starts[] = {0, (UINT64_C(1) << 32) - 2048, UINT64_C(1) << 63};

    late_ticks = true;
    for (uint64_t number = 1; number <= 24; number++) {
        run(number, starts[number % 3]);
        finish();
        ck_assert_msg(missing == 0 && impossible == 0, "seed %llu: %ld missing, %ld impossible", (unsigned long long)number,
                      missing, impossible);
    }
    ck_assert_int_gt(stretches, 200);
    printf("%ld stretches missed; %ld fires for a crossing back that may not have happened\n", stretches, back_fires);
}
END_TEST

/* Volume, count, high and low of the day are exact, whatever was missed. */
START_TEST(the_day_is_whole)
{
    late_ticks = false;
    for (uint64_t number = 31; number <= 36; number++) {
        run(number, 0);
        check_day();
        finish();
    }
    ck_assert_int_eq(missing + impossible, 0);
}
END_TEST

/* Everybody can write in the yard; a cursor from nowhere costs what it skips, not the evaluator. */
START_TEST(a_cursor_from_nowhere)
{
    seed = 5;
    told = first = odds = 0;
    region_open(CAPACITY, 1024, 0);
    shm.ticks_yard->cursor[PX_ROLE_SLOT_EVALUATOR].position = 1 << 20;
    evaluator_start();
    for (unsigned i = 0; i < 100; i++)
        ingest_step();
    for (unsigned i = 0; i < 1000 && evaluator.position != px_ring_tail(shm.ticks); i++)
        take_ticks(&evaluator);
    ck_assert_uint_eq(evaluator.position, px_ring_tail(shm.ticks));
    finish();
}
END_TEST

static void *ingest_in_bursts(void *unused)
{
    while (told + 31 <= MOST) {
        ingest_step();
        if (dice(64) == 0)
            usleep(1000);
    }
    return NULL;
}

/* For real at once, with nothing between the two but the ordering that extremes.h states: no race, and nothing missed. */
START_TEST(threads_on_both_sides)
{
    bool must[ALERTS], may[ALERTS];
    uint64_t lost = 0, hits = 0, seen;
    pthread_t thread;

    seed = 41;
    odds = 0;
    now_ns = BASE_NS;
    memset(alert, 0, sizeof(alert));
    region_open(CAPACITY, 1024, first = told = 0);
    for (unsigned a = 0; a < ASSETS; a++) {
        newest[a] = last_ns[a] = 0;
        last[a] = PX_PRICE_NONE;
    }
    evaluator_start();
    watch_all();
    late_ticks = false;
    ck_assert_int_eq(pthread_create(&thread, NULL, ingest_in_bursts, NULL), 0);
    do {
        seen = evaluator.position;
        take_ticks(&evaluator);
        hits += px_queue_length(shm.hits);
        px_queue_consume(shm.hits, px_queue_length(shm.hits));
        lost += evaluator.stats->value[PX_STAT_EVAL_LOST];
        evaluator.stats->value[PX_STAT_EVAL_LOST] = 0;
        if (evaluator.position / 4096 != seen / 4096)
            usleep(3000); /* is overtaken */
    } while (evaluator.position + 31 <= MOST);
    pthread_join(thread, NULL);
    while (take_ticks(&evaluator))
        ;
    ck_assert_uint_eq(evaluator.position, told);
    memset(must, 0, sizeof(must));
    model(0, told, must, may);
    check_day();
    printf("threads: %llu ticks, %llu missed in the ring and folded, %llu hits\n", (unsigned long long)told, (unsigned long long)lost,
           (unsigned long long)hits);
    ck_assert_uint_gt(lost, 1000);
    evaluator_fini(&evaluator);
    px_shm_detach(&shm);
}
END_TEST

START_TEST(the_newest_price_alone_loses)
{
    newest_only = true;
    for (uint64_t number = 1; number <= 6; number++) {
        run(number, 0);
        finish();
    }
    ck_assert_int_gt(missing, 0);
    newest_only = false;
    missing = impossible = 0;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("extremes");
    TCase *tcase = tcase_create("extremes");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, no_crossing_is_lost_and_none_invented);
    tcase_add_test(tcase, the_day_is_whole);
    tcase_add_test(tcase, a_cursor_from_nowhere);
    tcase_add_test(tcase, threads_on_both_sides);
    tcase_add_test(tcase, the_newest_price_alone_loses);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
