/*
 * The keeper as it runs: a process of its own on a region of its own, a stand-in for the evaluator in another, and a
 * client. The test is ingest (ticks) and the source of fires. Killing is done at named steps, so that each is met.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "engine/heritage.h"
#include "match/plan.h"
#include "store/reader.h"

#define M    PX_MINUTE_NS
#define NOON (INT64_C(1723118400) * PX_NS_PER_S)

#ifdef PX_TSAN
/* RocksDB is not built for the thread sanitizer, which therefore misses what orders its threads. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:librocksdb.so\ncalled_from_lib:libstdc++.so\nrace:librocksdb.so\nrace:libstdc++.so\n";
}
#endif

struct seen { /* by the stand-in */
    uint64_t resets, seeds, readies;
    int64_t seed_price;
};

static char data[64];
static struct px_config config;
static struct px_shm shm;
static struct px_heritage heritage;
static struct px_reader *reader;
static struct seen *seen;
static pid_t keeper, evaluator;
static uint64_t sseq, moment;

static void nap(void)
{
    const struct timespec pause = {0, PX_NS_PER_MS};

    nanosleep(&pause, NULL);
}

#define WAIT_FOR(condition)                                                                                            \
    do {                                                                                                               \
        for (int naps = 0; !(condition) && naps < 5000; naps++)                                                        \
            nap();                                                                                                     \
        ck_assert(condition);                                                                                          \
    } while (0)

static void open_region(uint64_t generation)
{
    struct px_shm_params params = {
        .assets = 4, .tick_capacity = 4096, .event_capacity = 256, .hit_capacity = 256, .seed_capacity = 64};

    ck_assert_int_eq(px_shm_create(&params, generation, &shm), 0);
    px_symbols_publish(&shm.directory, &config, 1);
    px_shm_ready(&shm);
    heritage = (struct px_heritage){.config = &config,
                                    .shm = &shm,
                                    .slot = PX_ROLE_SLOT_KEEPER,
                                    .generation = generation,
                                    .terminate_fd = eventfd(0, 0)};
    sseq = 0;
    moment = 0;
}

static void start_keeper(const char *crash_at)
{
    shm.roles[PX_ROLE_SLOT_KEEPER].incarnation++;
    keeper = fork();
    if (keeper == 0) {
        if (crash_at)
            setenv("PX_CRASH_AT", crash_at, 1);
        px_log_init("keeper", PX_LOG_ERROR);
        _exit(px_keeper_main(&heritage) == 0 ? 0 : 1);
    }
}

static void kill_keeper(void)
{
    kill(keeper, SIGKILL);
    waitpid(keeper, NULL, 0);
}

static void stop_keeper(void)
{
    uint64_t one = 1;
    int status;

    ck_assert_int_eq(write(heritage.terminate_fd, &one, sizeof one), sizeof one);
    waitpid(keeper, &status, 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_eq(read(heritage.terminate_fd, &one, sizeof one), sizeof one);
}

static void hear(const struct px_seed *seed)
{
    seen->resets += seed->action == PX_SEED_RESET;
    seen->readies += seed->action == PX_SEED_READY;
    seen->seeds += seed->action == PX_SEED_PRICE;
    if (seed->action == PX_SEED_PRICE)
        seen->seed_price = seed->value;
}

static void start_evaluator(void)
{
    shm.roles[PX_ROLE_SLOT_EVALUATOR].incarnation++;
    evaluator = fork();
    while (evaluator == 0) {
        struct px_seed seed;

        if (getppid() == 1)
            _exit(0);
        if (px_queue_peek(shm.seeds, 0, &seed) != 0) {
            nap();
            continue;
        }
        hear(&seed);
        px_queue_consume(shm.seeds, 1);
    }
}

static void stop_evaluator(void)
{
    kill(evaluator, SIGKILL);
    waitpid(evaluator, NULL, 0);
}

static void setup(void)
{
    snprintf(data, sizeof data, "/tmp/px-keeper-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(data));
    memset(&config, 0, sizeof config);
    snprintf(config.data, sizeof config.data, "%s", data);
    config.limits.alerts_per_owner = 50;
    config.asset_count = 2;
    config.venue_count = 1;
    config.assets = calloc(2, sizeof *config.assets);
    strcpy(config.venues[0].name, "alpha");
    strcpy(config.assets[0].symbol, "BTC-USD");
    strcpy(config.assets[1].symbol, "ETH-USD");
    config.assets[0].scale = config.assets[1].scale = 2;
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(seen, MAP_FAILED);
    open_region(1);
    ck_assert_int_eq(px_reader_create(data, &reader), 0);
    px_reader_timeout_set(reader, 20000); /* a start may take its time on a busy machine */
}

static void teardown(void)
{
    char command[96];

    px_reader_destroy(&reader);
    px_shm_detach(&shm);
    close(heritage.terminate_fd);
    free(config.assets);
    munmap(seen, sizeof *seen);
    snprintf(command, sizeof command, "rm -rf %s", data);
    ck_assert_int_eq(system(command), 0);
}

/* Alert n fires at 100 + n. */
static struct px_alert alert_of(uint64_t number)
{
    struct px_alert alert;

    memset(&alert, 0, sizeof alert);
    alert.id = (struct px_alert_id){1, number};
    strcpy(alert.owner, "anna");
    strcpy(alert.symbol, "BTC-USD");
    alert.rule.conditions = 1;
    alert.rule.frequency = PX_FREQUENCY_ONCE;
    alert.rule.condition[0].op = PX_OP_GREATER_OR_EQUAL;
    alert.rule.condition[0].source = PX_SOURCE_LAST;
    snprintf(alert.rule.condition[0].level, PX_LEVEL_SIZE, "%llu", (unsigned long long)(100 + number));
    return alert;
}

static int create(uint64_t number)
{
    struct px_alert alert = alert_of(number), stored;
    int result = px_reader_alert_create(reader, &alert, &stored);

    if (result == 0 || result == PX_E_EXISTS)
        ck_assert(stored.id.lo == number && memcmp(&stored.rule, &alert.rule, sizeof alert.rule) == 0);
    return result;
}

/* The evaluator's part: the values into the latch, then the hit if something waits for it. */
static void price(int64_t value, bool twice)
{
    struct px_levels_value levels;
    struct px_hit hit = {.series = PX_SERIES_LAST, .value = value, .prev = value - 1, .time_ns = NOON, .matched_ns = NOON};

    px_latch_read(px_shm_levels(&shm, 0), &levels);
    for (unsigned s = 0; s < PX_SERIES && moment == 0; s++)
        levels.value[s] = PX_PRICE_NONE;
    levels.position = hit.position = ++moment;
    levels.value[PX_SERIES_LAST] = value;
    px_latch_write(px_shm_levels(&shm, 0), &levels);
    for (int i = 0; i < 1 + twice; i++)
        ck_assert_int_eq(px_queue_push(shm.hits, &hit), 0);
    px_queue_wake(shm.hits);
}

static void fire(uint64_t number)
{
    price(10000 + 100 * (int64_t)number, false);
}

/* How often this alert stands in the event ring. */
static unsigned told(uint64_t number)
{
    static struct px_alert_event events[256];
    uint64_t count = 0;
    unsigned times = 0;

    ck_assert_int_eq(px_ring_read(shm.events, 0, events, 256, &count), 0);
    for (uint64_t i = 0; i < count; i++)
        times += events[i].fire.alert.lo == number;
    return times;
}

static uint8_t state_of(uint64_t number)
{
    struct px_alert alert;

    ck_assert_int_eq(px_reader_alert_get(reader, "anna", (struct px_alert_id){1, number}, &alert), 0);
    return alert.state;
}

static const struct px_near *near_of(unsigned series)
{
    return &px_shm_watch(&shm, 0)->near[series];
}

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
    ck_assert_int_eq(near_of(PX_SERIES_LAST)->up, 10200);
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
START_TEST(a_batch_is_made_of_alerts)
{
    static struct px_alert batch[60], stored;
    static struct px_alert_result results[60];

    start_evaluator();
    start_keeper(NULL);
    for (unsigned i = 0; i < 60; i++)
        batch[i] = alert_of(i + 1);
    batch[7].rule.condition[0].level[0] = 'x'; /* wrong by itself */
    batch[9] = batch[8];                       /* named twice */
    ck_assert_int_eq(px_reader_alert_batch(reader, batch, 60, results), 0);
    for (unsigned i = 0; i < 60; i++)
        ck_assert_int_eq(results[i].result, i == 7 ? PX_E_INVALID : i == 9 ? PX_E_EXISTS : i < 52 ? 0 : PX_E_LIMIT);
    ck_assert(results[51].alert.id.lo == 52 && results[51].alert.version == 1);
    ck_assert_int_eq(px_reader_alert_batch(reader, batch, 60, results), 0);
    ck_assert(results[0].result == PX_E_EXISTS && results[0].alert.id.lo == 1 && results[59].result == PX_E_LIMIT);
    ck_assert_int_eq(px_reader_alert_batch(reader, batch, 0, results), PX_E_INVALID);

    ck_assert_int_eq(px_reader_alert_pause(reader, "anna", batch[0].id, 1, &stored), 0);
    ck_assert(stored.state == PX_ALERT_PAUSED && stored.version == 2);
    ck_assert_int_eq(px_reader_alert_pause(reader, "anna", batch[0].id, 1, &stored), PX_E_PRECONDITION);
    strcpy(stored.rule.condition[0].level, "200");
    ck_assert_int_eq(px_reader_alert_update(reader, &stored, &stored), 0);
    ck_assert(stored.version == 3 && stored.state == PX_ALERT_PAUSED);
    ck_assert_int_eq(px_reader_alert_resume(reader, "anna", batch[0].id, 0, &stored), 0);
    ck_assert(stored.state == PX_ALERT_ARMED && strcmp(stored.rule.condition[0].level, "200") == 0);
    ck_assert_int_eq(px_reader_alert_rearm(reader, "berta", batch[0].id, 0, &stored), PX_E_NOT_FOUND);
    stop_keeper();
    stop_evaluator();
}
END_TEST

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

/* ---- notify ---- */

static struct px_job jobs[4];

static void ask_jobs(struct px_reader *notify, uint32_t wait_ms, bool fresh)
{
    static struct px_turn turn;

    turn = (struct px_turn){.want = 4, .wait_ms = wait_ms, .fresh = fresh};
    ck_assert_int_eq(px_reader_turn_begin(notify, &turn), 0);
}

static uint32_t jobs_of(struct px_reader *notify)
{
    uint32_t count = 99;

    ck_assert_int_eq(px_reader_turn_end(notify, jobs, &count), 0);
    return count;
}

static void make_told_alert(uint64_t number)
{
    struct px_channel channel = {.id = {2, 1}, .owner = "anna", .type = PX_CHANNEL_WEBHOOK, .state = PX_CHANNEL_ACTIVE, .format = PX_FORMAT_STANDARD,
                                 .ttl_s = 60, .target = "http://x/", .secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"};
    struct px_alert alert = alert_of(number), stored;

    if (number == 1)
        ck_assert_int_eq(px_reader_channel_put(reader, &channel, &channel), 0);
    alert.channel_count = 1;
    alert.channels[0] = channel.id;
    ck_assert_int_eq(px_reader_alert_create(reader, &alert, &stored), 0);
}

START_TEST(a_claim_waits_for_a_fire)
{
    struct px_reader *notify, *other;

    start_evaluator();
    start_keeper(NULL);
    ck_assert_int_eq(px_reader_create(data, &notify), 0);
    ck_assert_int_eq(px_reader_create(data, &other), 0);
    px_reader_timeout_set(notify, 20000);
    px_reader_timeout_set(other, 20000);
    for (uint64_t i = 1; i <= 3; i++)
        make_told_alert(i);
    ask_jobs(notify, 1, true);
    ck_assert_uint_eq(jobs_of(notify), 0); /* its time is over */
    ask_jobs(notify, 1000000, false);      /* longer than the keeper lets anybody wait */
    ck_assert_uint_eq(jobs_of(notify), 0);
    do {
        ask_jobs(notify, 1000, false);
        fire(1);
    } while (jobs_of(notify) == 0); /* on a machine that slept for a second */
    ck_assert(jobs[0].event.fire.alert.lo == 1 && jobs[0].delivery.state == PX_DELIVERY_DELIVERING);

    ask_jobs(notify, 1000, false); /* one that is given up: what it would have got goes to who asks after it */
    px_reader_turn_cancel(notify);
    ask_jobs(other, 1000, true);
    ck_assert_uint_eq(jobs_of(other), 1); /* what the first had taken and not told of */
    ck_assert_uint_eq(jobs[0].event.fire.alert.lo, 1);
    ask_jobs(notify, 1000, false);
    ask_jobs(other, 0, false); /* the second ends the wait of the first */
    ck_assert(jobs_of(notify) == 0 && jobs_of(other) == 0);
    stop_keeper();
    stop_evaluator();
    px_reader_destroy(&notify);
    px_reader_destroy(&other);
}
END_TEST

START_TEST(notify_asks_for_nothing_else)
{
    struct px_reader *notify;
    struct px_channel channel;
    struct px_alert_id id = {2, 1};

    start_evaluator();
    start_keeper(NULL);
    make_told_alert(1);
    ck_assert_int_eq(px_reader_channel_get(reader, "", id, &channel), 0);
    px_store_release(&shm.roles[PX_ROLE_SLOT_NOTIFY].pid, getpid());
    ck_assert_int_eq(px_reader_create(data, &notify), 0);
    px_reader_timeout_set(notify, 200);
    ck_assert_int_ne(px_reader_channel_get(notify, "", id, &channel), 0);
    ck_assert_int_ne(px_reader_alert_delete(notify, "", id, 0), 0);
    px_reader_timeout_set(notify, 20000);
    ask_jobs(notify, 0, true);
    ck_assert_uint_eq(jobs_of(notify), 0);
    px_store_release(&shm.roles[PX_ROLE_SLOT_NOTIFY].pid, 0);
    ck_assert_int_eq(px_reader_channel_get(reader, "", id, &channel), 0);
    stop_keeper();
    stop_evaluator();
    px_reader_destroy(&notify);
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
        for (int naps = 0; naps < 50 && (px_queue_length(shm.hits) > 0 || kept() < i); naps++)
            nap_and_revive();
    }
    for (int naps = 0; naps < 3000 && (px_queue_length(shm.hits) > 0 || kept() < 3); naps++)
        nap_and_revive();
    /* seeds are sent once a life, and the journal is looked at every ten seconds */
    ck_assert_uint_eq(deaths, strcmp(crash_at, "seeds-after-push:2") != 0 && strcmp(crash_at, "hist-trimming:2") != 0);
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
    tcase_add_test(tcase, a_batch_is_made_of_alerts);
    tcase_add_test(tcase, an_alert_hears_nothing_from_before);
    tcase_add_test(tcase, the_index_follows_the_decimals);
    tcase_add_test(tcase, a_fire_is_told_once);
    tcase_add_test(tcase, a_claim_waits_for_a_fire);
    tcase_add_test(tcase, notify_asks_for_nothing_else);
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
