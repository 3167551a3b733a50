/*
 * Ingest dies after every single store, three deaths deep, anywhere in its batch: claiming, folding, staging, slots, tail. What the ring
 * says is then without a gap or a repeat, and never behind the slots. The first death is tried after every store, the deeper ones after
 * some of them; with PX_WHOLE=1 in the environment all are, which takes minutes:
 *   PX_WHOLE=1 build/release/tests/extremes_ingest_test
 */
#include <check.h>
#include <stdio.h>
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

/* Takes over, publishes a batch of both assets. The publisher's private memory dies with it. */
static bool __attribute__((noinline)) life(int stores, unsigned *number)
{
    static struct pxi_publisher *publisher;
    bool died;

    ck_assert_int_eq(pxi_publisher_create(&heritage, &publisher), 0);
    died = CRASH_AFTER(stores, {
        pxi_publisher_takeover(publisher);
        for (unsigned i = 0; i < BATCH; i++)
            publish_one(publisher, ++*number);
        flush(publisher);
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

/* What a death leaves behind, and what had been seen by then: put back to die from it in another place. */
struct remains {
    void *region;
    struct seen seen;
    unsigned number;
};

static struct remains level[3];
static int stride[3]; /* by how many lives are still to come */
static long deaths, schedules, bad;

static void survive(struct remains now)
{
    ck_assert(!life(1 << 20, &now.number));
    look_at_ring(&now.seen);
    look_at_slots(&now.seen, true);
    bad += now.seen.bad;
    schedules++;
}

static void every_death(unsigned deeper, struct remains now)
{
    struct remains *before = &level[deeper];
    int stores = (int)(schedules % stride[deeper]);

    memcpy(before->region, shm.base, shm.size);
    before->seen = now.seen;
    before->number = now.number;
    for (bool died = true; died; stores += stride[deeper]) {
        memcpy(shm.base, before->region, shm.size);
        now.seen = before->seen;
        now.number = before->number;
        died = life(stores, &now.number);
        deaths += died;
        look_at_ring(&now.seen);
        look_at_slots(&now.seen, false);
        if (now.seen.bad > 0 && !slots_first)
            ck_abort_msg("death after %d stores, %u deeper", stores, deeper);
        if (deeper > 0)
            every_death(deeper - 1, now);
        else
            survive(now);
    }
    memcpy(shm.base, before->region, shm.size);
}

static void enumerate(int first, int second, int third)
{
    struct remains now = {0};

    stride[2] = first;
    stride[1] = second;
    stride[0] = third;
    deaths = schedules = bad = 0;
    memcpy(shm.base, clean, shm.size);
    for (unsigned i = 0; i < CAPACITY / BATCH; i++) { /* so that every batch overwrites what was missed */
        ck_assert(!life(1 << 20, &now.number));
        look_at_ring(&now.seen);
    }
    every_death(2, now);
}

START_TEST(every_death_of_ingest)
{
    bool whole = getenv("PX_WHOLE") != NULL;

    open_region();
    for (unsigned i = 0; i < 3; i++)
        level[i].region = malloc(shm.size);
    enumerate(1, whole ? 1 : 7, whole ? 1 : 31 * DEEPEST_STRIDE);
    printf("ingest: %ld schedules of three deaths, %ld deaths, %ld bad\n", schedules, deaths, bad);
    ck_assert_int_gt(deaths, 30000 / DEEPEST_STRIDE);
    ck_assert_int_eq(bad, 0);
    slots_first = true;
    enumerate(1, 350, 350);
    ck_assert_int_gt(bad, 0);
    px_shm_detach(&shm);
    free(clean);
    for (unsigned i = 0; i < 3; i++)
        free(level[i].region);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("extremes_ingest");
    TCase *tcase = tcase_create("extremes_ingest");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 0); /* the whole takes minutes */
    tcase_add_test(tcase, every_death_of_ingest);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
