/*
 * Alert depth: the keeper dies after every single store, three deaths deep, while it publishes blocks; readers see whole blocks only, one
 * that stays inside sees no change, and afterwards every block is accounted for. The third death is tried after some stores only; with
 * PX_WHOLE=1 in the environment after every one, which takes a minute or two: PX_WHOLE=1 build/dev/tests/depth_test
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/crash.h"

#include "engine/keeper/depth.c"
#include "shm/depth.c"
#include "shm/pool.c"
#include "shm/rcu.c"

#define NODES  8
#define ROUNDS 3
#define READER 3

static struct px_shm_header header = {.params.assets = 1};
static uint32_t root[PX_SERIES * 2];
static struct px_rcu rcu;
static struct px_rcu_slots slots;
static _Alignas(128) unsigned char memory[16384];
static struct px_shm shm = {.header = &header, .depth_root = root, .domain = {&rcu, &slots}};
static struct px_heritage heritage = {.shm = &shm, .incarnation = 1};
static uint64_t version; /* of what the book says: every number in a block is it */

unsigned px_book_depth(struct px_book *book, px_asset_id asset, unsigned series, bool down, struct px_depth_level *depth, unsigned most, bool *morep)
{
    crash_count();
    for (unsigned i = 0; i < 5; i++)
        depth[i] = (struct px_depth_level){(int64_t)version, version};
    *morep = false;
    return version % 4 == 3 ? 0 : 5; /* at times nothing waits */
}

/* One keeper: begins anew, publishes. */
static bool __attribute__((noinline)) life(int stores)
{
    static struct pxi_keeper keeper;
    bool died;

    keeper = (struct pxi_keeper){.heritage = &heritage, .shm = &shm, .history.assets = 1};
    died = CRASH_AFTER(stores, {
        ck_assert_int_eq(pxi_depth_init(&keeper), 0);
        for (unsigned i = 0; i < ROUNDS; i++) {
            version++;
            pxi_depth_touch(&keeper, 0, PX_SERIES_LAST);
            keeper.depth.published.ns = 0;
            pxi_depth_turn(&keeper);
        }
    });
    px_pool_disown(&keeper.depth.pool);
    keeper.depth.owned = false;
    pxi_depth_fini(&keeper);
    return died;
}

static long look(void)
{
    struct px_depth_level level[PX_DEPTH_LEVELS];
    long bad = 0;
    bool more;

    for (unsigned down = 0; down < 2; down++) {
        unsigned count = px_depth_read(&shm, 0, PX_SERIES_LAST, down, level, PX_DEPTH_LEVELS, &more);

        bad += count != 0 && count != 5;
        for (unsigned i = 0; i < count; i++)
            bad += (uint64_t)level[i].level != level[0].count || level[i].count != level[0].count || level[i].count > version;
    }
    return bad;
}

struct remains {
    uint32_t root[PX_SERIES * 2];
    struct px_rcu rcu;
    struct px_rcu_slots slots;
    unsigned char memory[sizeof(memory)];
    uint64_t version;
};

static void keep(struct remains *remains)
{
    SHADOW_OPEN(memory, sizeof(memory));
    memcpy(remains->root, root, sizeof(root));
    memcpy(remains->memory, memory, sizeof(memory));
    remains->rcu = rcu;
    remains->slots = slots;
    remains->version = version;
}

static void put_back(const struct remains *remains)
{
    SHADOW_OPEN(memory, sizeof(memory));
    memcpy(root, remains->root, sizeof(root));
    memcpy(memory, remains->memory, sizeof(memory));
    rcu = remains->rcu;
    slots = remains->slots;
    version = remains->version;
}

static const struct px_depth_block *held; /* by a reader that is inside */
static uint64_t held_version;
static long schedules, bad;
static int stride; /* of the last death */

/* A keeper that lives: what it says is what stands there, and no block is lost. */
static void survive(void)
{
    struct px_pool_owner owner;

    ck_assert(!life(1 << 20));
    bad += look();
    bad += held && (held->levels != 5 || held->level[0].count != held_version || held->level[4].count != held_version);
    px_rcu_offline(shm.domain, READER);
    ck_assert(!life(1 << 20));
    ck_assert_int_eq(px_pool_own(&owner, shm.depth, shm.domain, 1, false), 0);
    for (unsigned i = 0; i < PX_SERIES * 2; i++)
        bad += root[i] != 0 && px_pool_mark(&owner, root[i]) != 1;
    px_pool_owned(&owner);
    px_pool_reclaim(&owner);
    bad += px_pool_free(&owner) + px_pool_live(&owner) != NODES || px_pool_retired(&owner) != 0;
    px_pool_disown(&owner);
    schedules++;
}

static void every_death(unsigned deeper)
{
    static struct remains level[3];
    int step = deeper == 0 ? stride : deeper == 1 && stride > 1 ? DEEPEST_STRIDE : 1;
    bool died = true;

    keep(&level[deeper]);
    for (int stores = (int)(schedules % step); died; stores += step) {
        put_back(&level[deeper]);
        died = life(stores);
        bad += look();
        if (deeper > 0)
            every_death(deeper - 1);
        else
            survive();
    }
    put_back(&level[deeper]);
}

static void open_world(void)
{
    SHADOW_OPEN(memory, sizeof(memory));
    memset(memory, 0, sizeof(memory));
    memset(root, 0, sizeof(root));
    px_rcu_init(&rcu, &slots, 1);
    version = 0;
    stride = getenv("PX_WHOLE") ? 1 : 17 * DEEPEST_STRIDE;
    ck_assert_uint_le(px_depth_pool_bytes(NODES), sizeof(memory));
    px_depth_pool_format(memory, NODES);
    ck_assert_int_eq(px_depth_pool_attach(memory, px_depth_pool_bytes(NODES), &shm.depth), 0);
    ck_assert(!life(1 << 20));
    version += 4; /* the next one says something */
    ck_assert(!life(1 << 20));
}

START_TEST(every_death_of_the_keeper)
{
    open_world();
    schedules = bad = 0;
    held = NULL;
    every_death(2);
    printf("depth: %ld schedules of three deaths\n", schedules);
    ck_assert_int_gt(schedules, 100000 / stride / DEEPEST_STRIDE);
    ck_assert_int_eq(bad, 0);
}
END_TEST

static void with_a_reader(bool cleared)
{
    open_world();
    version = 4;
    ck_assert(!life(1 << 20)); /* 5, 6, 7: nothing waits at the end */
    version = 3;
    ck_assert(!life(1 << 20)); /* 4, 5, 6 */
    px_rcu_online(shm.domain, READER);
    held = px_depth_pool_at(&shm.depth, px_link_load(&root[px_depth_root_at(0, PX_SERIES_LAST, false)]));
    ck_assert_ptr_nonnull(held);
    held_version = held->level[0].count;
    if (cleared)
        slots.reader[READER].seen = 0;
    schedules = bad = 0;
    every_death(1);
}

START_TEST(a_reader_that_stays_sees_no_change)
{
    with_a_reader(false);
    ck_assert_int_gt(schedules, 1000 / stride / DEEPEST_STRIDE);
    ck_assert_int_eq(bad, 0);
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) /* there the look itself is refused */
START_TEST(control_a_reader_that_nobody_waits_for)
{
    with_a_reader(true);
    ck_assert_int_gt(bad, 0);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("depth");
    TCase *tcase = tcase_create("depth");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 0); /* the whole takes minutes */
    tcase_add_test(tcase, every_death_of_the_keeper);
    tcase_add_test(tcase, a_reader_that_stays_sees_no_change);
#if !defined(__SANITIZE_ADDRESS__)
    tcase_add_test(tcase, control_a_reader_that_nobody_waits_for);
#endif
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
