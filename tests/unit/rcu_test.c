/* Grace periods with readers in threads, and headers that lie. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "shm/region.h"

#define READERS 3
#define CELLS   8
#define POISON  UINT64_MAX

static const struct px_shm_params params = {
    .assets = 4, .tick_capacity = 64, .event_capacity = 8, .hit_capacity = 8, .seed_capacity = 8};

struct stage {
    struct px_rcu rcu;
    struct px_rcu_slots slots;
    struct px_rcu_view domain;
    uint64_t cell[CELLS]; /* POISON while it must not be looked at */
    uint32_t current;
    pthread_barrier_t start;
    bool stop;
};

struct reader {
    struct stage *stage;
    unsigned slot;
    bool quiesces; /* stays online, instead of going offline after each look */
    uint64_t bad, looks;
};

static void *read_cells(void *context)
{
    struct reader *reader = context;
    struct stage *stage = reader->stage;

    px_rcu_online(stage->domain, reader->slot);
    pthread_barrier_wait(&stage->start);
    do {
        uint32_t at = px_load_acquire(&stage->current);
        uint64_t first = px_load_relaxed(&stage->cell[at]);

        for (unsigned i = 0; i < 10; i++)
            reader->bad += px_load_relaxed(&stage->cell[at]) != first || first == POISON;
        reader->looks++;
        if (reader->quiesces) {
            px_rcu_quiesce(stage->domain, reader->slot);
        } else {
            px_rcu_offline(stage->domain, reader->slot);
            px_rcu_online(stage->domain, reader->slot);
        }
    } while (!__atomic_load_n(&stage->stop, __ATOMIC_ACQUIRE));
    px_rcu_offline(stage->domain, reader->slot);
    return NULL;
}

/* Makes a new cell current and poisons the old one after a grace period, over and over. */
static void turn_over(struct stage *stage, unsigned turns)
{
    for (uint64_t n = 1; n <= turns; n++) {
        uint32_t old = stage->current, fresh = (old + 1) % CELLS;

        px_store_relaxed(&stage->cell[fresh], n);
        px_store_release(&stage->current, fresh);
        ck_assert_int_eq(px_rcu_synchronize(stage->domain, 10 * PX_NS_PER_S), 0);
        px_store_relaxed(&stage->cell[old], POISON);
    }
}

START_TEST(readers_beside_a_writer)
{
    static struct stage stage;
    struct reader reader[READERS];
    pthread_t thread[READERS];

    memset(&stage, 0, sizeof(stage));
    px_rcu_init(&stage.rcu, &stage.slots, (UINT64_C(1) << 32) - 50); /* epochs pass 32 bits */
    stage.domain = (struct px_rcu_view){&stage.rcu, &stage.slots};
    pthread_barrier_init(&stage.start, NULL, READERS + 1);
    for (unsigned i = 0; i < READERS; i++) {
        reader[i] = (struct reader){&stage, i * 20, i == 1, 0, 0};
        pthread_create(&thread[i], NULL, read_cells, &reader[i]);
    }
    pthread_barrier_wait(&stage.start);
    turn_over(&stage, 300);
    __atomic_store_n(&stage.stop, true, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(thread[i], NULL);
        ck_assert_uint_eq(reader[i].bad, 0);
        ck_assert_uint_gt(reader[i].looks, 0);
    }
}
END_TEST

/* An epoch that an online reader has not seen is not reclaimable, whatever others do; a section begun later does not
 * matter. */
START_TEST(only_older_sections_hold_up)
{
    static struct stage stage;
    uint64_t epoch;

    px_rcu_init(&stage.rcu, &stage.slots, 1);
    stage.domain = (struct px_rcu_view){&stage.rcu, &stage.slots};
    px_rcu_online(stage.domain, 0);
    epoch = px_rcu_retire(stage.domain);
    px_rcu_online(stage.domain, PX_RCU_READERS - 1);
    ck_assert_uint_lt(px_rcu_reclaimable(stage.domain), epoch);
    px_rcu_offline(stage.domain, 0);
    ck_assert_uint_ge(px_rcu_reclaimable(stage.domain), epoch);
    px_rcu_offline(stage.domain, PX_RCU_READERS - 1);
}
END_TEST

static void refused(const struct px_shm *shm, const char *by_name)
{
    struct px_shm other;
    char reason[PX_SHM_REASON_SIZE] = "";

    ck_assert_int_eq(px_shm_attach(shm->files, PX_SHM_READ_ONLY, &other, reason), PX_E_LAYOUT);
    ck_assert_msg(strstr(reason, by_name) != NULL, "'%s' does not say '%s'", reason, by_name);
}

START_TEST(what_can_be_computed_is_not_believed)
{
    struct px_shm_params many = params;
    struct px_shm shm;

    ck_assert_int_eq(px_shm_create(&params, 1, &shm), 0);
    px_shm_ready(&shm);
    shm.header->offset[PX_SHM_prices] += 1 << 30;
    refused(&shm, "offsets");
    shm.header->offset[PX_SHM_prices] -= 1 << 30;
    shm.header->params.assets = UINT32_MAX;
    refused(&shm, "many assets");
    px_shm_detach(&shm);
    many.assets = UINT32_MAX;
    ck_assert_int_eq(px_shm_create(&many, 1, &shm), PX_E_RANGE);
    ck_assert_uint_ge(px_symbols_buckets(UINT32_MAX), UINT32_C(1) << 30); /* and comes to an end */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rcu");
    TCase *tcase = tcase_create("rcu");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, readers_beside_a_writer);
    tcase_add_test(tcase, only_older_sections_hold_up);
    tcase_add_test(tcase, what_can_be_computed_is_not_believed);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
