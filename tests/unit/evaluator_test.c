/*
 * The evaluator dies after every single store, three deaths deep, in the middle of its ticks: latch, closed buckets, candle, averages, fire queue,
 * cursor. Its successor counts no tick twice and none less, and every crossing has fired at least once and nothing else.
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

static struct px_arm arm_of(unsigned i)
{
    return (struct px_arm){.alert = {7, i}, .asset = i / 4, .op = (uint16_t)(1 + i % 4), .action = PX_ARM_ADD, .level = LEVEL};
}

enum variant { AS_IT_IS, STATE_BEFORE_FIRES, POSITION_ELSEWHERE };

/* The two orders that must not be. */
static void wrong_tick(struct pxi_evaluator *e, const struct px_tick *t, uint64_t position)
{
    struct px_series_state before, *state = &e->state[t->asset];

    if (position < state->position)
        return;
    before = *state;
    px_series_add(state, shm.windows[t->asset].closed, t->price, t->size, t->time_ns);
    commit(e, t->asset, position + 1);
    struct px_series_state after = *state;
    *state = before; /* fires are compared with the price before */
    if (t->time_ns >= before.last_ns)
        pxi_fires_of_tick(e, t, position);
    *state = after;
}

static void read_ticks(enum variant variant)
{
    if (variant != STATE_BEFORE_FIRES) {
        while (take_ticks(&evaluator))
            ;
        return;
    }
    for (; evaluator.position < TICKS; evaluator.position++)
        wrong_tick(&evaluator, &tick[evaluator.position], evaluator.position);
    px_ring_report(shm.ticks_yard, heritage.slot, evaluator.position);
}

/* One life; the alerts are armed again as the keeper does, those that the queue has seen fire as well: it refuses repeats. */
static bool __attribute__((noinline)) life(int stores, enum variant variant)
{
    bool died;

    memset(&evaluator, 0, sizeof(evaluator));
    died = CRASH_AFTER(stores, {
        evaluator_start();
        if (variant == POSITION_ELSEWHERE)
            for (px_asset_id asset = 0; asset < ASSETS; asset++)
                evaluator.state[asset].position = 0;
        for (unsigned i = 0; i < 8; i++) {
            struct px_arm record = arm_of(i);
            take(&evaluator, &record);
        }
        read_ticks(variant);
    });
    evaluator_fini(&evaluator);
    return died;
}

static bool fires_ever(const struct px_arm *arm)
{
    int64_t last = PX_PRICE_NONE, last_ns = 0;

    for (unsigned i = 0; i < TICKS; i++) {
        if (tick[i].asset != arm->asset || tick[i].time_ns < last_ns)
            continue;
        if (holds(arm->op, arm->level, last, tick[i].price))
            return true;
        last = tick[i].price;
        last_ns = tick[i].time_ns;
    }
    return false;
}

static long count_fires(void)
{
    bool fired[8] = {false};
    struct px_fire fire;
    long bad = 0;

    while (px_queue_peek(shm.fires, 0, &fire) == 0) {
        unsigned i = (unsigned)fire.alert.lo;
        bool level = i % 4 < 2;

        fired[i] = true;
        bad += !holds(1 + i % 4, LEVEL, fire.prev, fire.price); /* never for what did not happen */
        bad += !level && (fire.position >= TICKS || tick[fire.position].price != fire.price);
        px_queue_consume(shm.fires, 1);
    }
    for (unsigned i = 0; i < 8; i++) {
        struct px_arm arm = arm_of(i);
        bad += fired[i] != fires_ever(&arm);
    }
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
    shm.fires->head = shm.fires->tail = 0;
    for (unsigned i = 0; i < ASSETS; i++) {
        memset(px_shm_average(&shm, i), 0, sizeof(px_average_slot));
        memset(px_shm_candle(&shm, i), 0, sizeof(px_candle_slot));
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
    result = enumerate(AS_IT_IS, 1, 1201);
    ck_assert_int_gt(result.deaths, 20000);
    ck_assert_int_eq(result.fires, 0);
    ck_assert_int_eq(result.states, 0);
    result = enumerate(STATE_BEFORE_FIRES, 7, 2003); /* the controls */
    ck_assert_int_gt(result.fires, 0);
    result = enumerate(POSITION_ELSEWHERE, 7, 2003);
    ck_assert_int_gt(result.states, 0);
    free(clean);
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
    tcase_add_test(tcase, every_death_of_the_evaluator);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
