/*
 * The evaluator dies after every single store, three deaths deep, in the middle of its ticks: latch, closed buckets, candle, averages, levels, hit queue,
 * cursor. Its successor counts no tick twice and none less, and every alert fires exactly as it must when the hits are judged.
 */
#include "tests/unit/crash.h"

#include "tests/unit/evaluator_fixture.h"

#define TICKS 10
#define LEVEL 1000

static struct px_tick tick[TICKS];
static void *clean;
static size_t clean_bytes;

/* Minutes apart, so that buckets of all windows close; back and forth over the level; two late, the last one in closed buckets. */
static void make_ticks(void)
{
    static const int64_t price[TICKS] = {990, 1005, 995, 1002, 1003, 980, 1001, 999, 1010, 985};

    for (unsigned i = 0; i < TICKS; i++) {
        int64_t time_ns = BASE_NS + (int64_t)i * 7 * PX_NS_PER_S + (i > 6 ? 1000 * PX_NS_PER_S : 0);

        tick[i] = (struct px_tick){.asset = i % 4 == 3 ? 1 : 0, .price = price[i], .size = 1 + i, .time_ns = time_ns, .newest_ns = time_ns};
        if (i == 5)
            tick[i].time_ns -= 8 * PX_NS_PER_S;
    }
    tick[8].time_ns = BASE_NS + 1080 * PX_NS_PER_S + PX_NS_PER_S / 2;
    tick[9].time_ns = tick[8].time_ns - PX_NS_PER_S;
}

enum variant { AS_IT_IS, STATE_BEFORE_HITS, POSITION_ELSEWHERE };

/* The two orders that must not be. */
static void wrong_tick(struct pxi_evaluator *e, const struct px_tick *t, uint64_t position)
{
    struct px_series_state *state = &e->state[t->asset];
    struct pxi_occasion occasion = {.asset = t->asset, .time_ns = t->time_ns, .tick = position, .prev = state->last, .prev_ns = state->last_ns};
    struct px_average_value average;

    if (position < state->position)
        return;
    px_series_add(state, shm.windows[t->asset].closed, t->price, t->size, t->time_ns);
    state->position = position + 1;
    px_latch_write(&shm.windows[t->asset].state, state);
    average_of(e, t->asset, state->last_ns, &average);
    pxi_levels_trade(e, &average, &occasion);
    px_latch_write(px_shm_candle(&shm, t->asset), &state->candles);
    px_latch_write(px_shm_average(&shm, t->asset), &average);
}

static void read_ticks(enum variant variant)
{
    if (variant != STATE_BEFORE_HITS) {
        while (take_ticks(&evaluator))
            ;
        return;
    }
    for (; evaluator.position < TICKS; evaluator.position++)
        wrong_tick(&evaluator, &tick[evaluator.position], evaluator.position);
    px_ring_report(shm.ticks_yard, heritage.slot, evaluator.position);
}

/* One life. */
static bool __attribute__((noinline)) life(int stores, enum variant variant)
{
    bool died;

    memset(&evaluator, 0, sizeof(evaluator));
    died = CRASH_AFTER(stores, {
        evaluator_start();
        if (variant == POSITION_ELSEWHERE)
            for (px_asset_id asset = 0; asset < ASSETS; asset++)
                evaluator.state[asset].position = 0;
        read_ticks(variant);
    });
    evaluator_fini(&evaluator);
    return died;
}

static unsigned op_of(unsigned i)
{
    return 1 + i % 4;
}

static bool fires_ever(unsigned i)
{
    int64_t last = PX_PRICE_NONE, last_ns = 0;

    for (unsigned t = 0; t < TICKS; t++) {
        if (tick[t].asset != i / 4 || tick[t].time_ns < last_ns)
            continue;
        if (holds(op_of(i), LEVEL, last, tick[t].price))
            return true;
        last = tick[t].price;
        last_ns = tick[t].time_ns;
    }
    return false;
}

static unsigned fired[8];
static long bad_fires;

static int on_fire(void *ctx, const struct px_fired *fire)
{
    unsigned i = (unsigned)fire->alert.lo;

    fired[i]++;
    bad_fires += !holds(op_of(i), LEVEL, fire->prev, fire->value); /* never for what did not happen */
    bad_fires += fire->hit->tick >= TICKS || tick[fire->hit->tick].price != fire->value;
    return 0;
}

static void on_near(void *ctx, px_asset_id asset, unsigned series, int64_t up, int64_t down)
{
}

/* The keeper's part: eight alerts, and the hits in order. */
static long count_fires(void)
{
    struct px_book_out out = {.fire = on_fire, .near = on_near};
    struct px_index index;
    struct ram ram;
    struct px_book *book;
    struct px_hit hit;
    long bad;

    ram_init(&ram, ASSETS);
    index = ram_index(&ram);
    ck_assert_int_eq(px_book_create(ASSETS, 1 << 20, &index, &out, &book), 0);
    memset(fired, 0, sizeof(fired));
    bad_fires = 0;
    for (unsigned i = 0; i < 8; i++) {
        struct px_plan plan = plan_of(op_of(i), LEVEL); /* no price is known yet */
        ck_assert_int_eq(px_book_add(book, (struct px_alert_id){7, i}, i / 4, &plan), 0);
    }
    for (; px_queue_peek(shm.hits, 0, &hit) == 0; px_queue_consume(shm.hits, 1)) {
        uint32_t stage = 0;
        ck_assert_int_eq(px_book_apply(book, &hit, 1, &stage), 0);
    }
    bad = bad_fires;
    for (unsigned i = 0; i < 8; i++)
        bad += fired[i] != fires_ever(i);
    px_book_destroy(&book);
    ram_fini(&ram);
    return bad;
}

static struct px_series_state expected[ASSETS];
static struct px_average_value expected_average[ASSETS];

static long count_state(void)
{
    long bad = 0;

    for (px_asset_id asset = 0; asset < ASSETS; asset++) {
        struct px_series_state state;
        struct px_average_value average;
        struct px_candle_pair candle;

        px_latch_read(&shm.windows[asset].state, &state);
        px_latch_read(px_shm_candle(&shm, asset), &candle);
        px_latch_read(px_shm_average(&shm, asset), &average);
        bad += memcmp(&state, &expected[asset], sizeof(state)) != 0;
        bad += memcmp(&candle, &expected[asset].candles, sizeof(candle)) != 0;
        bad += memcmp(&average, &expected_average[asset], sizeof(average)) != 0;
    }
    return bad;
}

static void reset(void)
{
    memcpy(shm.windows, clean, clean_bytes);
}

struct result {
    long deaths, fires, states;
};

static void follow(int a, int b, int c, enum variant variant, struct result *result)
{
    int after[] = {a, b, c};

    reset();
    shm.ticks_yard->cursor[heritage.slot].position = 0;
    shm.hits->head = shm.hits->tail = 0;
    for (unsigned i = 0; i < ASSETS; i++) {
        memset(px_shm_average(&shm, i), 0, sizeof(px_average_slot));
        memset(px_shm_candle(&shm, i), 0, sizeof(px_candle_slot));
        memset(px_shm_levels(&shm, i), 0, sizeof(px_levels_slot));
    }
    for (unsigned i = 0; i < 3; i++) {
        result->deaths += life(after[i], variant);
        heritage.incarnation++;
    }
    ck_assert(!life(1 << 20, variant));
    result->states += count_state();
    result->fires += count_fires();
}

static struct result enumerate(enum variant variant, int step_a, int step_b)
{
    struct result result = {0};
    int most = 100;

    for (struct result dry = {.deaths = 3}; dry.deaths == 3; most += 100) { /* more stores than a life has */
        dry.deaths = 0;
        follow(most, 0, 0, variant, &dry);
    }
    for (int a = 0; a < most; a += step_a)
        for (int b = a % step_b; b < most; b += step_b) /* every b and c in its turn */
            for (int c = a * 7 % (2 * step_b); c < most; c += 2 * step_b)
                follow(a, b, c, variant, &result);
    return result;
}

static void open_world(void)
{
    struct result result = {0};

    make_ticks();
    region_open(64, 256, 0);
    watch_all();
    ingest(tick, TICKS);
    clean_bytes = ASSETS * sizeof(*shm.windows);
    clean = malloc(clean_bytes);
    memcpy(clean, shm.windows, clean_bytes);
    follow(1 << 20, 0, 0, AS_IT_IS, &result); /* a life without death says what is expected */
    for (px_asset_id asset = 0; asset < ASSETS; asset++) {
        px_latch_read(&shm.windows[asset].state, &expected[asset]);
        px_latch_read(px_shm_average(&shm, asset), &expected_average[asset]);
    }
}

/* The undisturbed life against brute force. */
static void check_expected(void)
{
    for (px_asset_id asset = 0; asset < 2; asset++) {
        const struct px_window_value *hour = &expected_average[asset].window[PX_WINDOW_1H];
        int64_t volume = 0, high = INT64_MIN, low = INT64_MAX;
        uint32_t count = 0;

        for (unsigned i = 0; i < TICKS; i++) {
            if (tick[i].asset != asset)
                continue;
            volume += tick[i].size;
            count++;
            high = PX_MAX(high, tick[i].price);
            low = PX_MIN(low, tick[i].price);
        }
        ck_assert_int_eq(hour->volume, volume);
        ck_assert_uint_eq(hour->count, count);
        ck_assert_int_eq(hour->high, high);
        ck_assert_int_eq(hour->low, low);
        ck_assert_int_eq(expected[asset].day_volume, volume);
    }
}

START_TEST(every_death_of_the_evaluator)
{
    struct result result;

    open_world();
    check_expected();
    result = enumerate(AS_IT_IS, 1, 2503);
    ck_assert_int_gt(result.deaths, 20000);
    ck_assert_int_eq(result.fires, 0);
    ck_assert_int_eq(result.states, 0);
    result = enumerate(STATE_BEFORE_HITS, 13, 4001); /* the controls */
    ck_assert_int_gt(result.fires, 0);
    result = enumerate(POSITION_ELSEWHERE, 13, 4001);
    ck_assert_int_gt(result.states, 0);
    free(clean);
    px_shm_detach(&shm);
}
END_TEST

static uint64_t told_of(int64_t price, unsigned i)
{
    struct px_tick one = {.price = price, .size = 1, .time_ns = BASE_NS + i * PX_NS_PER_S, .newest_ns = BASE_NS + i * PX_NS_PER_S};

    ingest(&one, 1);
    while (take_ticks(&evaluator))
        ;
    return px_queue_tail(shm.hits);
}

/* A price that nobody waited for lies between two equal ones: an alert that was armed against it hears the second. */
START_TEST(a_price_comes_back_that_was_looked_at_before)
{
    struct px_watch *watch;

    region_open(64, 256, 0);
    evaluator_start();
    watch = px_shm_watch(&shm, 0);
    watch->interest = 1u << PX_SERIES_LAST;
    watch->near[PX_SERIES_LAST] = (struct px_near){.up = INT64_MAX, .down = INT64_MIN};
    ck_assert_uint_eq(told_of(990, 1), 0);
    watch->interest = 0;
    ck_assert_uint_eq(told_of(1005, 2), 0);
    watch->interest = 1u << PX_SERIES_LAST;
    watch->near[PX_SERIES_LAST].down = 1000;
    ck_assert_uint_eq(told_of(990, 3), 1);
    ck_assert_uint_eq(told_of(990, 4), 1);
    evaluator_fini(&evaluator);
    px_shm_detach(&shm);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evaluator");
    TCase *tcase = tcase_create("evaluator");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_price_comes_back_that_was_looked_at_before);
    tcase_add_test(tcase, every_death_of_the_evaluator);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
