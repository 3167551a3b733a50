/* The latch: a writer that dies after every single store, three deaths deep, and what a reader sees then. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/crash.h"

#include "shm/latch.h"

#define WORDS 3

struct value {
    uint64_t word[WORDS]; /* all equal in a value that was written as a whole */
};
typedef PX_LATCH_OF(struct value, 64) latch;

struct seen {
    long torn, backward, missing, looks;
    uint64_t last;
};

static void look(const latch *l, struct seen *seen)
{
    struct value value;

    px_latch_read(l, &value);
    seen->looks++;
    if (value.word[0] != value.word[1] || value.word[0] != value.word[2])
        seen->torn++;
    else if (value.word[0] == 0)
        seen->missing++;
    else if (value.word[0] < seen->last)
        seen->backward++;
    else
        seen->last = value.word[0];
}

static void write_number(latch *l, uint64_t number)
{
    struct value value = {{number, number, number}};

    px_latch_write(l, &value);
}

enum policy { TAKEOVER, NO_TAKEOVER, BUMP_TO_EVEN };

static void take_over(latch *l, enum policy policy)
{
    if (policy == TAKEOVER)
        px_latch_takeover(l, 7);
    else if (policy == BUMP_TO_EVEN && (l->seq & 1))
        px_store_relaxed(&l->seq, l->seq + 1);
}

/* One life: takes over, writes twice, dies after `stores`. Returns whether it died. */
static bool __attribute__((noinline)) life(latch *l, enum policy policy, int stores, uint64_t *next, struct seen *seen)
{
    bool died = CRASH_AFTER(stores, {
        take_over(l, policy);
        write_number(l, ++*next);
        write_number(l, ++*next);
    });

    look(l, seen);
    return died;
}

static void enumerate(enum policy policy, uint32_t first_seq, struct seen *total)
{
    enum { MOST = 24 }; /* more stores than a life has */

    for (int a = 0; a < MOST; a++)
        for (int b = 0; b < MOST; b++)
            for (int c = 0; c < MOST; c++) {
                latch l = {.seq = first_seq};
                struct seen seen = {0};
                uint64_t next = 1;

                write_number(&l, 1);
                look(&l, &seen);
                life(&l, policy, a, &next, &seen);
                life(&l, policy, b, &next, &seen);
                life(&l, policy, c, &next, &seen);
                total->torn += seen.torn;
                total->backward += seen.backward;
                total->missing += seen.missing;
                total->looks += seen.looks;
            }
}

START_TEST(every_death_leaves_a_whole_value)
{
    static const uint32_t starts[] = {0, UINT32_MAX - 5, UINT32_MAX - 1};

    for (unsigned i = 0; i < PX_COUNT_OF(starts); i++) {
        struct seen seen = {0};

        enumerate(TAKEOVER, starts[i] & ~1u, &seen);
        ck_assert_int_gt(seen.looks, 50000);
        ck_assert_int_eq(seen.torn, 0);
        ck_assert_int_eq(seen.backward, 0);
        ck_assert_int_eq(seen.missing, 0);
    }
}
END_TEST

/* The enumeration must be able to see the faults that the takeover prevents. */
START_TEST(without_takeover_it_tears)
{
    struct seen seen = {0}, bumped = {0};

    enumerate(NO_TAKEOVER, 0, &seen);
    ck_assert_int_gt(seen.torn + seen.backward, 0);
    enumerate(BUMP_TO_EVEN, 0, &bumped);
    ck_assert_int_gt(bumped.torn, 0);
}
END_TEST

struct race {
    latch l;
    bool stop;
};

static void *race_write(void *context)
{
    struct race *race = context;

    for (uint64_t n = 1; n <= 200000; n++)
        write_number(&race->l, n);
    __atomic_store_n(&race->stop, true, __ATOMIC_RELEASE);
    return NULL;
}

START_TEST(a_reader_beside_a_writer)
{
    static struct race race;
    struct seen seen = {0};
    pthread_t thread;

    memset(&race, 0, sizeof(race));
    write_number(&race.l, 1);
    pthread_create(&thread, NULL, race_write, &race);
    while (!__atomic_load_n(&race.stop, __ATOMIC_ACQUIRE))
        look(&race.l, &seen);
    pthread_join(thread, NULL);
    ck_assert_int_eq(seen.torn + seen.backward + seen.missing, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("latch");
    TCase *tcase = tcase_create("latch");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_death_leaves_a_whole_value);
    tcase_add_test(tcase, without_takeover_it_tears);
    tcase_add_test(tcase, a_reader_beside_a_writer);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
