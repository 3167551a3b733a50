/*
 * Ingest dies after every single store, three deaths deep, anywhere in its batch: claiming, folding, staging, slots, tail. What the ring
 * says is then without a gap or a repeat, and never behind the slots.
 */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/crash.h"

#include "engine/ingest/publish.c"
#include "shm/extremes.c"
#include "shm/ring.c"

#define ASSETS   2
#define CAPACITY 32 /* a chunk is one event */
#define BATCH    2

static struct px_shm shm;
static struct px_config config = {.asset_count = ASSETS};
static struct px_heritage heritage = {.config = &config, .shm = &shm, .slot = PX_ROLE_SLOT_INGEST, .incarnation = 1};
static void *clean;

static void open_region(void)
{
    struct px_shm_params params = {
        .assets = ASSETS, .tick_capacity = CAPACITY, .event_capacity = 8, .hit_capacity = 8, .seed_capacity = 8};

    ck_assert_int_eq(px_shm_create(&params, 1, &shm), 0);
    px_pool_bare(&shm.depth);
    clean = malloc(shm.size);
    memcpy(clean, shm.base, shm.size);
}

static void publish_one(struct pxi_publisher *publisher, unsigned number)
{
    struct pxi_observation observation = {
        .asset = number % 3 % ASSETS, .price = 100 + number, .size = 1, .time_ns = number, .recv_ns = number, .quote = number % 5 == 4};

    pxi_publish(publisher, &observation, number % 7 == 6 ? PX_TICK_QUARANTINED : 0, 1);
}

static bool slots_first; /* the control */

static void flush(struct pxi_publisher *publisher)
{
    if (slots_first)
        for (unsigned i = 0; i < publisher->count; i++)
            write_slots(publisher, &publisher->batch[i], px_ring_tail(shm.ticks) + i);
    pxi_publisher_flush(publisher);
}

/* Takes over, publishes a batch of both assets twice. The publisher's private memory dies with it. */
static bool __attribute__((noinline)) life(int stores, unsigned *number)
{
    static struct pxi_publisher *publisher;
    bool died;

    ck_assert_int_eq(pxi_publisher_create(&heritage, &publisher), 0);
    died = CRASH_AFTER(stores, {
        pxi_publisher_takeover(publisher);
        for (unsigned batch = 0; batch < 2; batch++) {
            for (unsigned i = 0; i < BATCH; i++)
                publish_one(publisher, ++*number);
            flush(publisher);
        }
    });
    heritage.incarnation++;
    pxi_publisher_destroy(&publisher);
    return died;
}

struct seen {
    uint64_t position, sseq[ASSETS];
    long bad;
};

static void look_at_ring(struct seen *seen)
{
    struct px_tick tick;
    uint64_t count;

    while (seen->position < px_ring_tail(shm.ticks)) {
        seen->bad += px_ring_read(shm.ticks, seen->position, &tick, 1, &count) != 0 || count != 1;
        if (!(tick.flags & PX_TICK_QUARANTINED))
            seen->bad += tick.sseq != ++seen->sseq[tick.asset];
        seen->position++;
    }
}

static void look_at_slots(struct seen *seen, bool taken_over)
{
    for (px_asset_id asset = 0; asset < ASSETS; asset++) {
        struct px_detail_value detail;
        struct px_price_value price;

        px_latch_read(px_shm_detail(&shm, asset), &detail);
        px_latch_read(px_shm_price(&shm, asset), &price);
        seen->bad += detail.sseq < seen->sseq[asset];
        seen->bad += taken_over && (detail.sseq != seen->sseq[asset] || price.sseq > detail.sseq ||
                                    (detail.sseq > 0 && detail.position >= seen->position));
    }
}

static long enumerate(int most, int step, long *badp)
{
    long deaths = 0;

    for (int a = 0; a < most; a += 1)
        for (int b = 0; b < most; b += step)
            for (int c = 0; c < most; c += 4 * step) {
                int after[] = {a, b, c, 1 << 20};
                struct seen seen = {0};
                unsigned number = 0;

                memcpy(shm.base, clean, shm.size);
                for (unsigned i = 0; i < CAPACITY / BATCH / 2; i++) { /* so that every batch overwrites what was missed */
                    ck_assert(!life(1 << 20, &number));
                    look_at_ring(&seen);
                }
                for (unsigned i = 0; i < 4; i++) {
                    deaths += life(after[i], &number);
                    look_at_ring(&seen);
                    look_at_slots(&seen, i == 3);
                }
                if (seen.bad > 0 && !slots_first)
                    ck_abort_msg("deaths after %d, %d, %d stores", a, b, c);
                *badp += seen.bad;
            }
    return deaths;
}

START_TEST(every_death_of_ingest)
{
    long bad = 0;

    open_region();
    ck_assert_int_gt(enumerate(700, 31, &bad), 10000);
    ck_assert_int_eq(bad, 0);
    slots_first = true;
    enumerate(700, 350, &bad);
    ck_assert_int_gt(bad, 0);
    px_shm_detach(&shm);
    free(clean);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("extremes_ingest");
    TCase *tcase = tcase_create("extremes_ingest");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, every_death_of_ingest);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
