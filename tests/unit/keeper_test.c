/* What the keeper does with prices, and that it does so over its death. Killing is done at named steps, so that each is met. */
#include "tests/unit/keeper_fixture.h"

START_TEST(a_create_is_answered_when_it_is_watched)
{
    struct px_alert stored, list[8];
    struct px_alert_query query = {.owner = "anna", .limit = 8};
    uint32_t count;
    bool more;

    start_keeper(NULL); /* and no evaluator: what is watched for stands in shared memory */
    ck_assert_int_eq(px_reader_ping(reader), 0);
    price(9000, false);
    ck_assert_int_eq(create(2), 0);
    ck_assert_uint_eq(px_shm_watch(&shm, 0)->interest, 1u << PX_SERIES_LAST);
    ck_assert_int_le(near_of(PX_SERIES_LAST)->up, 10200);
    WAIT_FOR(near_of(PX_SERIES_LAST)->up == 10200 && near_of(PX_SERIES_LAST)->down == INT64_MIN);
    ck_assert_int_eq(create(2), PX_E_EXISTS);
    ck_assert_int_eq(create(1), 0);
    WAIT_FOR(near_of(PX_SERIES_LAST)->up == 10100);
    ck_assert_int_eq(px_reader_alert_list(reader, &query, list, &count, &more, &query.after), 0);
    ck_assert(count == 2 && !more && list[1].id.lo == 2);
    ck_assert_int_eq(px_reader_alert_get(reader, "other", (struct px_alert_id){1, 1}, &stored), PX_E_NOT_FOUND);
    ck_assert_int_eq(px_reader_alert_get(reader, NULL, (struct px_alert_id){1, 1}, &stored), 0);
    ck_assert_int_eq(px_reader_alert_delete(reader, "anna", (struct px_alert_id){1, 1}, 9), PX_E_PRECONDITION);
    ck_assert_int_eq(px_reader_alert_delete(reader, "anna", (struct px_alert_id){1, 1}, 1), 0);
    ck_assert_int_eq(px_reader_alert_delete(reader, "anna", (struct px_alert_id){1, 1}, 0), PX_E_NOT_FOUND);
    WAIT_FOR(near_of(PX_SERIES_LAST)->up == 10200);
    for (uint64_t i = 10; i < 59; i++)
        ck_assert_int_eq(create(i), 0);
    ck_assert_int_eq(create(60), PX_E_LIMIT);
    stop_keeper();
    start_keeper(NULL); /* watched as before */
    ck_assert_int_eq(px_reader_ping(reader), 0);
    ck_assert_int_le(near_of(PX_SERIES_LAST)->up, 10200); /* anywhere, until its window stands */
    WAIT_FOR(near_of(PX_SERIES_LAST)->up == 10200);
    stop_keeper();
}
END_TEST

/* The index follows when an asset gets other decimals: what is at 101 waits for 101.000 then. */
START_TEST(the_index_follows_the_decimals)
{
    start_keeper(NULL);
    price(9000, false);
    ck_assert_int_eq(create(1), 0);
    stop_keeper();
    px_shm_detach(&shm);
    close(heritage.terminate_fd);
    config.assets[0].scale = 3;
    open_region(2);
    start_keeper(NULL);
    ck_assert_int_eq(px_reader_ping(reader), 0);
    price(100999, false);
    WAIT_FOR(px_queue_length(shm.hits) == 0);
    ck_assert(told(1) == 0);
    WAIT_FOR(near_of(PX_SERIES_LAST)->up == 101000);
    price(101000, false);
    WAIT_FOR(told(1) == 1);
    stop_keeper();
}
END_TEST

/* A value that waits in the queue is older than the alert that is created now, and does not concern it. */
START_TEST(an_alert_hears_nothing_from_before)
{
    start_keeper(NULL);
    ck_assert_int_eq(px_reader_ping(reader), 0);
    kill(keeper, SIGSTOP);
    price(20000, false);
    price(9000, false);
    kill(keeper, SIGCONT);
    ck_assert_int_eq(create(1), 0);
    WAIT_FOR(px_queue_length(shm.hits) == 0);
    ck_assert(told(1) == 0 && state_of(1) == PX_ALERT_ARMED);
    price(10100, false);
    WAIT_FOR(told(1) == 1);
    ck_assert_int_eq(create(0), 0); /* true already: at once */
    WAIT_FOR(told(0) == 1);
    stop_keeper();
}
END_TEST

START_TEST(a_fire_is_told_once)
{
    struct px_alert_event events[8];
    struct px_event_query query = {.owner = "anna", .limit = 8};
    uint32_t count;
    bool more;

    start_evaluator();
    start_keeper(NULL);
    for (uint64_t i = 1; i <= 3; i++)
        ck_assert_int_eq(create(i), 0);
    price(10100, true); /* an evaluator that died tells it again */
    fire(2);
    WAIT_FOR(told(2) == 1);
    ck_assert(told(1) == 1 && told(3) == 0);
    ck_assert(state_of(1) == PX_ALERT_FIRED && state_of(3) == PX_ALERT_ARMED);
    kill_keeper();
    start_keeper(NULL);
    fire(1);
    fire(3);
    WAIT_FOR(told(3) == 1);
    ck_assert(told(1) == 1 && told(2) == 1);
    ck_assert_int_eq(px_reader_events(reader, &query, events, &count, &more), 0);
    ck_assert(count == 3 && events[0].eseq == 1 && events[2].eseq == 3 && events[2].fire.asset == 0);
    query.since = 2;
    ck_assert_int_eq(px_reader_events(reader, &query, events, &count, &more), 0);
    ck_assert(count == 1 && events[0].fire.alert.lo == 3);
    query = (struct px_event_query){.owner = "anna", .alert = {1, 2}, .limit = 8};
    ck_assert_int_eq(px_reader_events(reader, &query, events, &count, &more), 0);
    ck_assert(count == 1 && events[0].eseq == 2);
    stop_keeper();
    stop_evaluator();

    px_shm_detach(&shm); /* a new region: nothing that was told is told again */
    close(heritage.terminate_fd);
    open_region(2);
    start_evaluator();
    start_keeper(NULL);
    WAIT_FOR(px_load_acquire(&shm.roles[PX_ROLE_SLOT_KEEPER].state) == PX_STATE_READY);
    ck_assert_uint_eq(px_ring_tail(shm.events), 0);
    stop_keeper();
    stop_evaluator();
}
END_TEST

/* ---- ticks ---- */

static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static void publish(int64_t time_ns, int64_t price, int64_t size, uint16_t flags)
{
    struct px_tick tick = {.price = price, .size = size, .time_ns = time_ns, .recv_ns = px_wall_now(), .flags = flags};

    sseq += flags & PX_TICK_QUARANTINED ? 0 : 1; /* what is quarantined has the number of what was accepted before it */
    tick.sseq = sseq;

    px_ring_publish(shm.ticks, shm.ticks_yard, &tick, 1);
}

static uint64_t kept(void)
{
    return px_load_acquire(&shm.ticks_yard->cursor[PX_ROLE_SLOT_KEEPER].position);
}

#define TICKS 2000

struct oracle_tick {
    int64_t time_ns, price, size;
    unsigned number;
    bool counts;
};

static int by_time(const void *a, const void *b)
{
    const struct oracle_tick *x = a, *y = b;

    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

/* The obvious way: all ticks in order of time, one after the other. */
static unsigned oracle(struct oracle_tick *ticks, unsigned n, struct px_candle *candles)
{
    struct oracle_tick *last = NULL;
    unsigned count = 0;

    qsort(ticks, n, sizeof *ticks, by_time);
    for (unsigned i = 0; i < n; i++) {
        struct oracle_tick *tick = &ticks[i];
        int64_t start_ns = tick->time_ns / M * M;

        if (!tick->counts)
            continue;
        struct px_candle *candle = count > 0 ? &candles[count - 1] : NULL;
        if (last) { /* what `last` held, minute by minute; only minutes with trades have rows */
            int64_t until_ns = PX_MIN(tick->time_ns, last->time_ns + PX_CARRY_NS);
            int64_t end_ns = PX_MIN(until_ns, candle->start_ns + M);

            candle->area += (__int128)last->price * (end_ns - last->time_ns);
            candle->duration_ns += end_ns - last->time_ns;
        }
        if (!candle || candle->start_ns != start_ns) {
            candle = &candles[count++];
            *candle =
                (struct px_candle){.start_ns = start_ns, .open = tick->price, .high = tick->price, .low = tick->price};
            int64_t until_ns = last ? PX_MIN(tick->time_ns, last->time_ns + PX_CARRY_NS) : 0;
            if (until_ns > start_ns) {
                candle->area += (__int128)last->price * (until_ns - start_ns);
                candle->duration_ns += until_ns - start_ns;
            }
        }
        candle->high = PX_MAX(candle->high, tick->price);
        candle->low = PX_MIN(candle->low, tick->price);
        candle->close = tick->price;
        candle->last_ns = tick->time_ns;
        candle->volume += tick->size;
        candle->value += (__int128)tick->price * tick->size;
        candle->count++;
        last = tick;
    }
    return count;
}

static void compare(const struct px_candle *candles, unsigned count)
{
    static struct px_candle got[PX_PAGE_MAX];
    struct px_range range = {NOON - M, PX_TIME_NONE, PX_PAGE_MAX, false, {false, 0, 0}, 0};
    struct px_page page;

    ck_assert_int_eq(px_reader_candles(reader, 0, 60, true, &range, got, &page, NULL), 0);
    ck_assert_uint_eq(page.count, count);
    for (unsigned i = 0; i < count; i++) {
        const struct px_candle *a = &got[i], *b = &candles[i];

        ck_assert_int_eq(a->start_ns, b->start_ns);
        ck_assert(a->open == b->open && a->high == b->high && a->low == b->low && a->close == b->close);
        ck_assert(a->volume == b->volume && a->count == b->count && a->value == b->value);
        ck_assert_int_eq(a->duration_ns, b->duration_ns);
        ck_assert(a->area == b->area);
    }
}

/* Random trades over some hours with gaps, some of them late by less and by more than the two seconds that count; killed now and
 * then. */
START_TEST(candles_equal_brute_force_over_kills)
{
    static struct oracle_tick ticks[TICKS];
    static struct px_candle candles[TICKS];
    int64_t clock_ns = NOON, price = 5000;

    start_evaluator();
    start_keeper(NULL);
    for (unsigned i = 0; i < TICKS; i++) {
        uint64_t dice = random_below(100);
        int64_t time_ns = clock_ns + (int64_t)random_below(dice < 2 ? 10 * M : 8 * PX_NS_PER_S);
        bool quarantined = dice == 50 || dice == 84; /* 84: at the time of the newest */

        if (dice >= 90)
            time_ns = clock_ns - (int64_t)random_below(dice >= 98 ? 3 * M : 2 * PX_NS_PER_S);
        if (dice >= 80 && dice < 85)
            time_ns = clock_ns;
        if (!quarantined)
            clock_ns = PX_MAX(clock_ns, time_ns);
        price += (int64_t)random_below(21) - 10;
        ticks[i] = (struct oracle_tick){time_ns, price, (int64_t)random_below(9), i,
                                        !quarantined && time_ns >= clock_ns - PX_LATE_NS};
        publish(time_ns, price, ticks[i].size, quarantined ? PX_TICK_QUARANTINED : 0);
        if (dice % 8 == 0)
            publish(time_ns, price, price + 1, PX_TICK_QUOTE);
        if (i % 400 == 399) {
            WAIT_FOR(px_ring_tail(shm.ticks) - kept() < 500);
            kill_keeper();
            start_keeper(NULL);
        }
    }
    WAIT_FOR(kept() == px_ring_tail(shm.ticks));
    stop_keeper();
    start_keeper(NULL);
    ck_assert_uint_eq(shm.stats[PX_ROLE_SLOT_KEEPER].value[PX_STAT_KEEP_LOST], 0);
    publish(clock_ns + 90 * M, price, 1, 0); /* closes the last one */
    WAIT_FOR(kept() == px_ring_tail(shm.ticks));
    stop_keeper();
    start_keeper(NULL);

    struct oracle_tick *all = calloc(TICKS + 1, sizeof *all);
    memcpy(all, ticks, sizeof ticks);
    all[TICKS] = (struct oracle_tick){clock_ns + 90 * M, price, 1, TICKS, true};
    unsigned count = oracle(all, TICKS + 1, candles);
    compare(candles, count);
    free(all);

    static struct px_trade trades[PX_PAGE_MAX];
    struct px_range range = {NOON - 60 * M, PX_TIME_NONE, PX_PAGE_MAX, false, {false, 0, 0}, 0};
    struct px_page page;
    ck_assert_int_eq(px_reader_ticks(reader, 0, true, &range, trades, &page), 0);
    ck_assert_uint_eq(page.count, TICKS + 1);
    stop_keeper();
    stop_evaluator();
}
END_TEST

/* An engine that starts again tells the evaluator the price from before. */
START_TEST(a_new_region_is_seeded)
{
    start_evaluator();
    start_keeper(NULL);
    publish(NOON, 4711, 1, 0);
    WAIT_FOR(kept() == 1);
    ck_assert_uint_eq(seen->seeds, 0);
    stop_keeper();
    stop_evaluator();
    px_shm_detach(&shm);
    close(heritage.terminate_fd);
    open_region(2);
    start_evaluator();
    start_keeper(NULL);
    WAIT_FOR(seen->readies == 2);
    ck_assert(seen->seeds == 1 && seen->seed_price == 4711);
    stop_keeper();
    stop_evaluator();
}
END_TEST

/* ---- killed at every step ---- */

static const char *const steps[] = {"write-before-sync", "write-after-sync", "seeds-after-push", "judge-before-sync",
                                    "judge-after-sync", "judge-after-consume", "tell-before-commit", "tell-before-publish",
                                    "tell-after-publish", "hist-before-commit", "hist-after-commit", "hist-trimming"};

static unsigned deaths;

/* The supervisor's part: a dead keeper is started again, without the wish to die. */
static void revive(void)
{
    if (waitpid(keeper, NULL, WNOHANG) != keeper)
        return;
    deaths++;
    start_keeper(NULL);
}

static void nap_and_revive(void)
{
    nap();
    revive();
}

/* As a web worker does: an answer that did not come is asked for again with the same id. */
static void create_surely(uint64_t number)
{
    int result;

    px_reader_timeout_set(reader, 100);
    do {
        result = create(number);
        revive();
    } while (result == PX_E_TIMEOUT || result == PX_E_CLOSED);
    ck_assert(result == 0 || result == PX_E_EXISTS);
}

START_TEST(killed_at_every_step)
{
    char crash_at[64];

    deaths = 0;
    snprintf(crash_at, sizeof crash_at, "%s:%d", steps[_i / 2], 1 + _i % 2);
    start_evaluator();
    start_keeper(crash_at);
    for (uint64_t i = 1; i <= 4; i++)
        create_surely(i);
    for (uint64_t i = 1; i <= 3; i++) {
        publish(NOON + (int64_t)i * PX_NS_PER_S, 100 + (int64_t)i, 1, 0);
        fire(i);
        for (int naps = 0; naps < 3000 && (px_ring_tail(shm.events) < i || kept() < i); naps++) /* told alone: so a step has two occasions */
            nap_and_revive();
    }
    /* seeds are sent once a life, and the journal is looked at every ten seconds */
    unsigned expected = strcmp(crash_at, "seeds-after-push:2") != 0 && strcmp(crash_at, "hist-trimming:2") != 0;
    for (int naps = 0; naps < 3000 && (deaths < expected || px_queue_length(shm.hits) > 0 || kept() < 3); naps++)
        nap_and_revive();
    ck_assert_uint_eq(deaths, expected);
    kill_keeper();
    start_keeper(NULL);
    px_reader_timeout_set(reader, 20000);
    ck_assert_int_eq(px_reader_ping(reader), 0);
    for (uint64_t i = 1; i <= 3; i++) {
        ck_assert_uint_eq(told(i), 1);
        ck_assert_int_eq(state_of(i), PX_ALERT_FIRED);
    }
    ck_assert_uint_eq(told(4), 0);
    ck_assert_int_eq(state_of(4), PX_ALERT_ARMED);

    struct px_candle candle;
    struct px_range range = {PX_TIME_NONE, PX_TIME_NONE, 1, false, {false, 0, 0}, 0};
    struct px_page page;
    stop_keeper(); /* flushes the open minute */
    start_keeper(NULL);
    ck_assert_int_eq(px_reader_candles(reader, 0, 60, true, &range, &candle, &page, NULL), 0);
    ck_assert(page.count == 1 && candle.count == 3 && candle.open == 101 && candle.close == 103);
    stop_keeper();
    stop_evaluator();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keeper");
    TCase *tcase = tcase_create("keeper");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, a_create_is_answered_when_it_is_watched);
    tcase_add_test(tcase, an_alert_hears_nothing_from_before);
    tcase_add_test(tcase, the_index_follows_the_decimals);
    tcase_add_test(tcase, a_fire_is_told_once);
    tcase_add_test(tcase, a_new_region_is_seeded);
    tcase_add_test(tcase, candles_equal_brute_force_over_kills);
    tcase_add_loop_test(tcase, killed_at_every_step, 0, 2 * (int)PX_COUNT_OF(steps));
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
