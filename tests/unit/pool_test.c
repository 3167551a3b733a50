/* Pools: handles, bounds, grace periods, an owner that dies after every single store, and the account afterwards. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/crash.h"

#include "shm/pool.c"
#include "shm/rcu.c"

#define NODES 8
#define ROOTS 3

struct node {
    uint64_t word[3]; /* all equal, but for the link */
    uint32_t next, spare;
};
PX_POOL_TYPE(node_pool, struct node);

struct world {
    void *memory;
    size_t bytes;
    struct px_rcu rcu;
    struct px_rcu_slots slots;
    struct px_rcu_view domain;
    struct px_pool pool;
    uint32_t root[ROOTS];
};

static struct world *world_new(uint32_t nodes)
{
    struct world *world = aligned_alloc(128, (sizeof(*world) + 127) / 128 * 128);

    memset(world, 0, sizeof(*world));
    world->bytes = node_pool_bytes(nodes);
    world->memory = mmap(NULL, world->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    px_rcu_init(&world->rcu, &world->slots, 1);
    world->domain = (struct px_rcu_view){&world->rcu, &world->slots};
    node_pool_format(world->memory, nodes);
    ck_assert_int_eq(node_pool_attach(world->memory, world->bytes, &world->pool), 0);
    return world;
}

static void world_free(struct world *world)
{
    munmap(world->memory, world->bytes);
    free(world);
}

static void own(struct world *world, struct px_pool_owner *owner)
{
    ck_assert_int_eq(px_pool_own(owner, world->pool, world->domain, 1, true), 0);
    for (unsigned i = 0; i < ROOTS; i++)
        for (uint32_t at = world->root[i]; at != 0 && px_pool_mark(owner, at) == 1;)
            at = node_pool_at(&world->pool, at)->next;
    px_pool_owned(owner);
}

/* Writes the node word by word, as another process might be looking. */
static void fill(struct node *node, uint64_t number, uint32_t next)
{
    for (unsigned i = 0; i < 3; i++)
        px_store_relaxed(&node->word[i], number);
    px_store_relaxed(&node->next, next);
}

/* A new node in front of the list of root `at`, the one after it unlinked: lists never have more than one node but for
 * an instant. */
static void replace(struct px_pool_owner *owner, uint32_t *root, uint64_t number)
{
    uint32_t old = *root, fresh;
    struct node *node = node_pool_alloc(owner, &fresh);

    if (!node)
        return;
    fill(node, number, old); /* reachable through the new one until it is cut */
    px_link_store(root, fresh);
    if (old == 0)
        return;
    px_link_store(&node->next, 0);
    px_pool_retire(owner, old);
}

static void check_account(const struct px_pool_owner *owner, uint32_t nodes)
{
    unsigned odd = 0;

    ck_assert_uint_eq(px_pool_free(owner) + px_pool_live(owner) + px_pool_retired(owner), nodes);
    for (uint32_t i = 1; i <= nodes; i++)
        odd += owner->pool.generation[i] & 1;
    ck_assert_uint_eq(odd, px_pool_live(owner));
}

START_TEST(gives_out_and_takes_back)
{
    struct world *world = world_new(NODES);
    struct px_pool_owner owner;
    uint32_t index[NODES + 1];

    own(world, &owner);
    ck_assert_uint_eq(px_pool_free(&owner), NODES);
    for (unsigned i = 0; i < NODES; i++) {
        ck_assert_int_eq(px_pool_alloc(&owner, &index[i]), 0);
        fill(node_pool_at(&world->pool, index[i]), i, 0);
    }
    ck_assert_int_eq(px_pool_alloc(&owner, &index[NODES]), PX_E_FULL);
    check_account(&owner, NODES);
    px_pool_discard(&owner, index[0]);
    px_pool_retire(&owner, index[5]);
    check_account(&owner, NODES);
    ck_assert_uint_eq(px_pool_retired(&owner), 2);
    ck_assert_int_eq(px_pool_alloc(&owner, &index[0]), 0); /* reclaims by itself */
    check_account(&owner, NODES);
    px_pool_disown(&owner);
    world_free(world);
}
END_TEST

START_TEST(foreign_memory_and_wild_indices_are_refused)
{
    struct world *world = world_new(NODES);
    struct px_pool pool;

    ck_assert_ptr_null(px_pool_at(&world->pool, 0));
    ck_assert_ptr_null(px_pool_at(&world->pool, NODES + 1));
    ck_assert_ptr_null(px_pool_at(&world->pool, UINT32_MAX));
    ck_assert_ptr_null(px_pool_find(&world->pool, (px_handle){NODES + 1, 1}));
    ck_assert_ptr_null(px_pool_find(&world->pool, PX_HANDLE_NONE));
    ck_assert_int_eq(px_pool_attach(world->memory, world->bytes, "other", sizeof(struct node), &pool), PX_E_LAYOUT);
    ck_assert_int_eq(px_pool_attach(world->memory, world->bytes, "struct node", 64, &pool), PX_E_LAYOUT);
    ck_assert_int_eq(node_pool_attach(world->memory, world->bytes - 1, &pool), PX_E_LAYOUT);
    ck_assert_int_eq(node_pool_attach(world->memory, 16, &pool), PX_E_LAYOUT);
    world->pool.head->magic++;
    ck_assert_int_eq(node_pool_attach(world->memory, world->bytes, &pool), PX_E_LAYOUT);
    world_free(world);
}
END_TEST

START_TEST(a_reader_holds_what_it_reached)
{
    struct world *world = world_new(NODES);
    struct px_pool_owner owner;
    px_handle first;
    struct node *node;

    own(world, &owner);
    replace(&owner, &world->root[0], 1);
    first = px_pool_handle(&world->pool, world->root[0]);
    px_rcu_online(world->domain, 5);
    node = node_pool_find(&world->pool, first);
    ck_assert_ptr_nonnull(node);
    for (uint64_t n = 2; n < 50; n++)
        replace(&owner, &world->root[0], n);
    ck_assert_uint_eq(px_pool_reclaim(&owner), 0);
    ck_assert_uint_eq(node->word[2], 1);                     /* still there */
    ck_assert_ptr_null(node_pool_find(&world->pool, first)); /* but not to be found any more */
    ck_assert_uint_eq(px_pool_free(&owner), 0);
    check_account(&owner, NODES);
    px_rcu_offline(world->domain, 5);
    ck_assert_uint_eq(px_pool_reclaim(&owner), NODES - 1);
    for (uint64_t n = 50; n < 50 + 3 * NODES; n++)
        replace(&owner, &world->root[0], n);
    ck_assert_ptr_null(node_pool_find(&world->pool, first)); /* nor is its next tenant */
    check_account(&owner, NODES);
    px_pool_disown(&owner);
    world_free(world);
}
END_TEST

/* Generations begin anew after 2^32: odd stays live, even stays free, and no handle finds another node's tenant. */
START_TEST(generations_wrap)
{
    struct world *world = world_new(NODES);
    struct px_pool_owner owner;
    px_handle before = PX_HANDLE_NONE;
    bool wrapped = false;

    for (uint32_t i = 1; i <= NODES; i++)
        world->pool.generation[i] = UINT32_MAX - 3;
    own(world, &owner);
    for (uint64_t n = 1; n < 6 * NODES; n++) {
        px_handle handle;

        replace(&owner, &world->root[0], n);
        handle = px_pool_handle(&world->pool, world->root[0]);
        ck_assert_ptr_nonnull(node_pool_find(&world->pool, handle));
        ck_assert_ptr_null(node_pool_find(&world->pool, before));
        wrapped |= handle.generation < 10;
        before = handle;
        check_account(&owner, NODES);
    }
    ck_assert(wrapped);
    px_pool_disown(&owner);
    world_free(world);
}
END_TEST

/* The owner's life: takes over, replaces nodes, dies after `stores`. Returns whether it died. */
static bool __attribute__((noinline))
life(struct world *world, struct px_pool_owner *owner, int stores, uint64_t *number)
{
    return CRASH_AFTER(stores, {
        own(world, owner);
        for (unsigned i = 0; i < ROOTS + 2; i++)
            replace(owner, &world->root[i % ROOTS], ++*number);
        px_pool_reclaim(owner);
    });
}

/* What a reader sees: every node that a root leads to is whole and no poison. */
static long look(const struct world *world)
{
    long bad = 0;

    for (unsigned i = 0; i < ROOTS; i++)
        for (uint32_t at = px_link_load(&world->root[i]); at != 0;) {
            const struct node *node = node_pool_at(&world->pool, at);

            bad += node->word[0] != node->word[1] || node->word[0] != node->word[2] || node->word[0] == PX_POOL_POISON;
            bad += !(world->pool.generation[at] & 1);
            at = px_link_load(&node->next);
        }
    return bad;
}

/* Everything that outlives a process: what a death leaves behind is put back here to die from it in another place. */
struct remains {
    struct world world;
    unsigned char memory[16384];
};

static void keep(const struct world *world, struct remains *remains)
{
    ck_assert_uint_le(world->bytes, sizeof(remains->memory));
    SHADOW_OPEN(world->memory, world->bytes); /* the next owner closes what is free again */
    remains->world = *world;
    memcpy(remains->memory, world->memory, world->bytes);
}

static void put_back(struct world *world, const struct remains *remains)
{
    *world = remains->world;
    SHADOW_OPEN(world->memory, world->bytes);
    memcpy(world->memory, remains->memory, world->bytes);
}

/* The survivor: takes over, and nothing is lost; `held` is what the reader, if there is one, stands on. */
static long survive(struct world *world, const struct node *held, uint64_t number)
{
    struct px_pool_owner owner;
    long bad = 0;

    own(world, &owner);
    bad += held && (held->word[0] != number || held->word[1] != number || held->word[2] != number);
    check_account(&owner, NODES);
    px_rcu_offline(world->domain, 3);
    px_pool_reclaim(&owner);
    check_account(&owner, NODES);
    bad += px_pool_retired(&owner) != 0;
    bad += look(world);
    px_pool_disown(&owner);
    return bad;
}

struct tree {
    const struct node *held;
    long schedules, bad;
    unsigned stride; /* of the deepest death; 1: every store */
    bool control;    /* is expected to go wrong: once is enough */
};

/* Every death of this life, and of `deeper` lives after each; a life that comes to its end is the last to be tried. */
static void every_death(struct world *world, unsigned deeper, uint64_t number, struct tree *tree)
{
    static struct remains level[3];
    struct remains *before = &level[deeper];
    unsigned step = deeper == 0 ? tree->stride : 1;
    bool died = true;

    keep(world, before);
    for (int stores = deeper == 0 ? (int)(tree->schedules % step) : 0; died && !(tree->control && tree->bad > 0);
         stores += (int)step) {
        struct px_pool_owner owner = {0};
        uint64_t told = number;

        put_back(world, before);
        died = life(world, &owner, stores, &told);
        tree->bad += look(world);
        px_pool_disown(&owner);
        if (deeper > 0) {
            every_death(world, deeper - 1, told, tree);
            continue;
        }
        tree->schedules++;
        tree->bad += survive(world, tree->held, 1);
    }
    put_back(world, before);
}

/* With `control` the reader, though inside, is not waited for. */
static struct tree enumerate(bool reader, bool control)
{
    struct world *world = world_new(NODES);
    struct tree tree = {.stride = DEEPEST_STRIDE, .control = control};
    struct px_pool_owner owner;
    uint64_t number = 0;

    own(world, &owner);
    replace(&owner, &world->root[0], ++number);
    px_pool_disown(&owner);
    if (reader) { /* stays inside a section from before the first death until after the last takeover */
        px_rcu_online(world->domain, 3);
        tree.held = node_pool_at(&world->pool, world->root[0]);
    }
    if (control)
        world->domain.slots->reader[3].seen = 0;
    every_death(world, 2, number, &tree);
    world_free(world);
    return tree;
}

/*
 * Three deaths deep, after every single store. With a reader inside, lives are short: a successor gives nothing out before the grace
 * period that it has to wait for.
 */
START_TEST(every_death_of_the_owner)
{
    for (int reader = 0; reader < 2; reader++) {
        struct tree tree = enumerate(reader, false);

        printf("pool: %ld schedules of three deaths%s\n", tree.schedules, reader ? ", a reader inside" : "");
        ck_assert_int_gt(tree.schedules, (reader ? 20000 : 600000) / DEEPEST_STRIDE);
        ck_assert_int_eq(tree.bad, 0);
    }
}
END_TEST

/* The control: a successor that takes what is unmarked as free at once gives a reader's node away. */
START_TEST(without_a_grace_period_it_is_seen)
{
    struct world *world = world_new(NODES);
    struct px_pool_owner owner;
    struct node *node;

    own(world, &owner);
    replace(&owner, &world->root[0], 7);
    px_rcu_online(world->domain, 3);
    node = node_pool_at(&world->pool, world->root[0]);
    replace(&owner, &world->root[0], 8);
    px_pool_disown(&owner);
    world->slots.reader[3].seen = 0; /* as if it had been cleared without a reap */
    own(world, &owner);
    px_pool_disown(&owner);
    ck_assert_uint_eq(node->word[0], PX_POOL_POISON);
    world_free(world);
}
END_TEST

static void in_a_child(void (*act)(struct world *world, struct px_pool_owner *owner), const char *what)
{
    struct world *world = world_new(NODES);
    struct px_pool_owner owner;
    int status;

    own(world, &owner);
    replace(&owner, &world->root[0], 1);
    fflush(NULL);
    if (fork() == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(0);
        act(world, &owner);
        _exit(0);
    }
    wait(&status);
    ck_assert_msg(!WIFEXITED(status) || WEXITSTATUS(status) != 0, "%s went unseen", what);
    px_pool_disown(&owner);
    world_free(world);
}

static void retire_twice(struct world *world, struct px_pool_owner *owner)
{
    px_pool_retire(owner, world->root[0]);
    px_pool_retire(owner, world->root[0]);
}

/* Every free node is given out again in the end, and looked at. In a sanitizer build the store itself is refused. */
static void write_after_free(struct world *world, struct px_pool_owner *owner)
{
    struct node *node = node_pool_at(&world->pool, world->root[0]);
    uint32_t index;

    px_pool_retire(owner, world->root[0]);
    px_pool_reclaim(owner);
    node->word[1] = 5;
    while (px_pool_alloc(owner, &index) == 0)
        ;
}

/* The reader's node changes under it; in a sanitizer build the look itself is refused. */
static void no_grace(struct world *world, struct px_pool_owner *owner)
{
    if (enumerate(true, true).bad > 0)
        _exit(1);
}

START_TEST(without_a_grace_period_deaths_are_seen)
{
    in_a_child(no_grace, "a takeover without a grace period");
}
END_TEST

START_TEST(misuse_is_fatal)
{
    in_a_child(retire_twice, "retiring twice");
    in_a_child(write_after_free, "a write to a free node");
}
END_TEST

#ifdef PX_ASAN
static void overrun_the_node(struct world *world, struct px_pool_owner *owner)
{
    volatile uint64_t *word = (volatile uint64_t *)(void *)node_pool_at(&world->pool, world->root[0]);

    word[sizeof(struct node) / 8] = 1;
}

START_TEST(red_zones)
{
    in_a_child(overrun_the_node, "a write behind a node");
}
END_TEST
#endif

struct race {
    struct world *world;
    bool stop;
    long bad, looks;
};

static void *race_read(void *context)
{
    struct race *race = context;
    struct world *world = race->world;

    while (!__atomic_load_n(&race->stop, __ATOMIC_ACQUIRE)) {
        px_rcu_online(world->domain, 1);
        for (unsigned i = 0; i < ROOTS; i++) {
            const struct node *node = node_pool_at(&world->pool, px_link_load(&world->root[i]));
            uint64_t first = node ? px_load_relaxed(&node->word[0]) : 0;

            for (unsigned n = 0; node && n < 20; n++)
                race->bad += px_load_relaxed(&node->word[n % 3]) != first || first == PX_POOL_POISON;
            race->looks++;
        }
        px_rcu_offline(world->domain, 1);
    }
    return NULL;
}

START_TEST(a_reader_beside_the_owner)
{
    struct race race = {.world = world_new(64)};
    struct px_pool_owner owner;
    pthread_t thread;

    own(race.world, &owner);
    pthread_create(&thread, NULL, race_read, &race);
    for (uint64_t n = 1; n <= 100000; n++)
        replace(&owner, &race.world->root[n % ROOTS], n);
    __atomic_store_n(&race.stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    ck_assert_int_eq(race.bad, 0);
    check_account(&owner, 64);
    px_pool_disown(&owner);
    world_free(race.world);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *tcase = tcase_create("pool");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, gives_out_and_takes_back);
    tcase_add_test(tcase, foreign_memory_and_wild_indices_are_refused);
    tcase_add_test(tcase, a_reader_holds_what_it_reached);
    tcase_add_test(tcase, generations_wrap);
    tcase_add_test(tcase, every_death_of_the_owner);
    tcase_add_test(tcase, without_a_grace_period_it_is_seen);
    tcase_add_test(tcase, without_a_grace_period_deaths_are_seen);
    tcase_add_test(tcase, misuse_is_fatal);
#ifdef PX_ASAN
    tcase_add_test(tcase, red_zones);
#endif
    tcase_add_test(tcase, a_reader_beside_the_owner);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
