/*
 * The keeper as it runs: a process of its own on a region of its own, a stand-in for the evaluator in another, and a
 * client. The test is ingest (ticks) and the source of fires.
 */
#pragma once

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

static inline void nap(void)
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

static inline void open_region(uint64_t generation)
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

static inline void start_keeper(const char *crash_at)
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

static inline void kill_keeper(void)
{
    kill(keeper, SIGKILL);
    waitpid(keeper, NULL, 0);
}

static inline void stop_keeper(void)
{
    uint64_t one = 1;
    int status;

    ck_assert_int_eq(write(heritage.terminate_fd, &one, sizeof one), sizeof one);
    waitpid(keeper, &status, 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_eq(read(heritage.terminate_fd, &one, sizeof one), sizeof one);
}

static inline void hear(const struct px_seed *seed)
{
    seen->resets += seed->action == PX_SEED_RESET;
    seen->readies += seed->action == PX_SEED_READY;
    seen->seeds += seed->action == PX_SEED_PRICE;
    if (seed->action == PX_SEED_PRICE)
        seen->seed_price = seed->value;
}

static inline void start_evaluator(void)
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

static inline void stop_evaluator(void)
{
    kill(evaluator, SIGKILL);
    waitpid(evaluator, NULL, 0);
}

static inline void setup(void)
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

static inline void teardown(void)
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
static inline struct px_alert alert_of(uint64_t number)
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

static inline int create(uint64_t number)
{
    struct px_alert alert = alert_of(number), stored;
    int result = px_reader_alert_create(reader, &alert, &stored);

    if (result == 0 || result == PX_E_EXISTS)
        ck_assert(stored.id.lo == number && memcmp(&stored.rule, &alert.rule, sizeof alert.rule) == 0);
    return result;
}

/* The evaluator's part: the values into the latch, then the hit if something waits for it. */
static inline void price(int64_t value, bool twice)
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

static inline void fire(uint64_t number)
{
    price(10000 + 100 * (int64_t)number, false);
}

/* How often this alert stands in the event ring. */
static inline unsigned told(uint64_t number)
{
    static struct px_alert_event events[256];
    uint64_t count = 0;
    unsigned times = 0;

    ck_assert_int_eq(px_ring_read(shm.events, 0, events, 256, &count), 0);
    for (uint64_t i = 0; i < count; i++)
        times += events[i].fire.alert.lo == number;
    return times;
}

static inline uint8_t state_of(uint64_t number)
{
    struct px_alert alert;

    ck_assert_int_eq(px_reader_alert_get(reader, "anna", (struct px_alert_id){1, number}, &alert), 0);
    return alert.state;
}

static inline const struct px_near *near_of(unsigned series)
{
    return &px_shm_watch(&shm, 0)->near[series];
}
