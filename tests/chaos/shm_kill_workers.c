/*
 * The processes that are killed. Writers also kill themselves between two stores: a random signal hardly ever lands
 * inside the few nanoseconds in which a structure is half changed, and one that dies there once in a million tries
 * proves nothing.
 */
#include <signal.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static long death_after = -1; /* stores still to be made; -1: left to the parent */

static inline void count_store(void)
{
    if (death_after >= 0 && death_after-- == 0)
        kill(getpid(), SIGKILL);
}

#define px_store_relaxed(p, v) (count_store(), __atomic_store_n((p), (v), __ATOMIC_RELAXED))
#define px_store_release(p, v) (count_store(), __atomic_store_n((p), (v), __ATOMIC_RELEASE))

#include "base/clock.h"
#include "base/error.h"
#include "shm/pool.c"
#include "shm/queue.c"
#include "shm/ring.c"

#include "tests/chaos/shm_kill.h"

struct worker {
    struct px_shm shm;
    struct kill_arena *arena;
    enum kill_control control;
    unsigned number;
    uint64_t random;
};

static uint64_t dice(struct worker *worker, uint64_t sides)
{
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return worker->random % sides;
}

/* Half of the lives end by themselves: a few stores after the start, in the middle of a takeover, or a while later. */
static void draw_lot(struct worker *worker)
{
    static const long horizon[] = {30, 300, 20000};

    if (dice(worker, 2) == 0)
        death_after = (long)dice(worker, (uint64_t)horizon[dice(worker, PX_COUNT_OF(horizon))]);
}

static void rest(struct worker *worker, unsigned at_most_us)
{
    if (at_most_us == 0)
        sched_yield();
    else
        usleep((useconds_t)dice(worker, at_most_us));
}

static void tally(uint64_t *counter, uint64_t n)
{
    if (n > 0)
        __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static void write_latches(struct worker *worker)
{
    struct px_shm *shm = &worker->shm;

    for (px_asset_id i = 0; i < KILL_ASSETS && worker->control != KILL_CONTROL_NO_TAKEOVER; i++) {
        px_latch_takeover(px_shm_price(shm, i), 1);
        px_latch_takeover(px_shm_detail(shm, i), 1);
    }
    for (unsigned turn = 0;; turn++) {
        px_asset_id asset = (px_asset_id)dice(worker, KILL_ASSETS);
        struct px_price_value price;
        struct px_detail_value detail;
        uint64_t *word = (uint64_t *)(void *)&detail;

        px_latch_read(px_shm_price(shm, asset), &price);
        price = (struct px_price_value){(int64_t)price.sseq + 1, (int64_t)price.sseq + 1, price.sseq + 1};
        px_latch_write(px_shm_price(shm, asset), &price);
        for (unsigned i = 0; i < sizeof(detail) / 8; i++)
            word[i] = price.sseq;
        px_latch_write(px_shm_detail(shm, asset), &detail);
        if (turn % 64 == 0)
            rest(worker, 100);
    }
}

/* 1 when the words differ, else 0; an older number than before counts as backward. */
static unsigned look_at_words(const uint64_t *word, unsigned words, uint64_t *last, uint64_t *backward)
{
    for (unsigned i = 1; i < words; i++)
        if (word[i] != word[0])
            return 1;
    *backward += word[0] < *last;
    *last = word[0];
    return 0;
}

static void read_latches(struct worker *worker)
{
    static uint64_t last_price[KILL_ASSETS], last_detail[KILL_ASSETS];
    struct kill_tally *all = &worker->arena->latch;

    for (;;) {
        uint64_t torn = 0, backward = 0;

        for (px_asset_id i = 0; i < KILL_ASSETS; i++) {
            struct px_price_value price;
            struct px_detail_value detail;

            px_latch_read(px_shm_price(&worker->shm, i), &price);
            torn += look_at_words((uint64_t *)(void *)&price, sizeof(price) / 8, &last_price[i], &backward);
            px_latch_read(px_shm_detail(&worker->shm, i), &detail);
            torn += look_at_words((uint64_t *)(void *)&detail, sizeof(detail) / 8, &last_detail[i], &backward);
        }
        tally(&all->checks, 2 * KILL_ASSETS);
        tally(&all->bad, torn);
        tally(&all->backward, backward);
        if (dice(worker, 16) == 0)
            rest(worker, 50);
    }
}

/* How many of the n events from `position` on are not what their position says. */
static uint64_t wrong_events(const uint64_t *word, uint64_t position, uint64_t n)
{
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < n; i++)
        for (unsigned w = 0; w < 8; w++)
            if (word[i * 8 + w] != (position + i) * 8 + w) {
                wrong++;
                break;
            }
    return wrong;
}

/* What a predecessor has staged is whole; half of its successors finish it. */
static void finish_staged(struct worker *worker)
{
    struct px_ring *ring = worker->shm.ticks;
    uint64_t n = px_ring_staged(ring), tail = px_ring_tail(ring), word[8];

    for (uint64_t i = 0; i < n; i++) {
        px_ring_staged_event(ring, i, word);
        tally(&worker->arena->ring.bad, wrong_events(word, tail + i, 1));
    }
    if (n > 0 && dice(worker, 2) == 0)
        px_ring_commit(ring, worker->shm.ticks_yard);
}

static void produce(struct worker *worker)
{
    struct px_ring *ring = worker->shm.ticks;
    union {
        struct px_tick tick;
        uint64_t word[8];
    } event[16];

    if (worker->control == KILL_CONTROL_LOWER_INTENT)
        ring->intent = ring->tail;
    px_ring_takeover(ring, worker->shm.ticks_yard);
    finish_staged(worker);
    for (unsigned turn = 0;; turn++) {
        unsigned n = 1 + (unsigned)dice(worker, PX_COUNT_OF(event));
        uint64_t position = px_ring_tail(ring);

        for (unsigned i = 0; i < n; i++)
            for (unsigned w = 0; w < 8; w++)
                event[i].word[w] = (position + i) * 8 + w;
        px_ring_publish(ring, worker->shm.ticks_yard, event, n);
        if (turn % 8 == 0)
            rest(worker, 60);
    }
}

/* Reads on from its position, dawdles at times until it is overtaken, and sleeps when there is nothing. */
static void follow(struct worker *worker)
{
    struct px_ring *ring = worker->shm.ticks;
    struct kill_tally *all = &worker->arena->ring;
    struct px_wait_set set = {.count = 0};
    uint64_t position = px_ring_tail(ring), word[32 * 8], count;

    px_wait_add(&set, &worker->shm.ticks_yard->need_wake);
    for (;;) {
        if (px_ring_read(ring, position, word, 32, &count) == 0) {
            tally(&all->bad, wrong_events(word, position, count));
            tally(&all->checks, count);
        } else {
            tally(&all->overruns, 1);
            tally(&all->bad, count == 0); /* an overrun that loses nothing would never end */
        }
        position += count;
        px_ring_report(worker->shm.ticks_yard, worker->number, position);
        if (count == 0) {
            px_wait_arm(&set);
            if (px_ring_tail(ring) == position)
                px_wait_sleep(&set, 50 * PX_NS_PER_MS);
        } else if (dice(worker, 200) == 0) {
            rest(worker, 2000);
        }
    }
}

/* Always stands at the far end of the ring, where the next publish is about to write. */
static void read_far_end(struct worker *worker)
{
    struct px_ring *ring = worker->shm.ticks;
    struct kill_tally *all = &worker->arena->ring;
    uint64_t word[8 * 8], count;

    for (unsigned turn = 0;; turn++) {
        uint64_t back = KILL_RING - dice(worker, 4), tail = px_ring_tail(ring);

        if (turn % 64 == 0)
            rest(worker, 20);
        if (tail < back)
            continue;
        if (px_ring_read(ring, tail - back, word, 8, &count) == 0) {
            tally(&all->bad, wrong_events(word, tail - back, count));
            tally(&all->checks, count);
        } else {
            tally(&all->overruns, 1);
        }
    }
}

#define RECORD_WORDS (sizeof(struct px_hit) / 8)

static void push(struct worker *worker)
{
    struct px_queue *queue = worker->shm.hits;
    uint64_t word[RECORD_WORDS];

    for (;;) {
        uint64_t position = px_queue_tail(queue);

        for (unsigned w = 0; w < RECORD_WORDS; w++)
            word[w] = position * 16 + w;
        if (px_queue_push(queue, word) == PX_E_FULL)
            rest(worker, 100);
        else if (dice(worker, 4) == 0)
            px_queue_wake(queue);
    }
}

/* Acts on each record, which here is to count it, and consumes it after that: what is consumed has been acted on, at
 * least once. */
static void pop(struct worker *worker)
{
    struct px_queue *queue = worker->shm.hits;
    struct kill_arena *arena = worker->arena;
    struct px_wait_set set = {.count = 0};
    uint64_t word[RECORD_WORDS], head = px_queue_head(queue), acted = px_load_relaxed(&arena->acted);

    tally(&arena->queue.bad, acted != head && acted != head + 1);
    px_wait_add(&set, &queue->consumer_sleeps);
    for (;;) {
        head = px_queue_head(queue);
        if (px_queue_peek(queue, 0, word) == 0) {
            uint64_t wrong = 0;

            if (worker->control == KILL_CONTROL_CONSUME_FIRST)
                px_queue_consume(queue, 1);
            for (unsigned w = 0; w < RECORD_WORDS; w++)
                wrong |= word[w] ^ (head * 16 + w);
            tally(&arena->queue.bad, wrong != 0);
            tally(&arena->queue.checks, 1);
            px_store_relaxed(&arena->acted, head + 1);
            if (worker->control != KILL_CONTROL_CONSUME_FIRST)
                px_queue_consume(queue, 1);
            continue;
        }
        px_wait_arm(&set);
        if (px_queue_peek(queue, 0, word) < 0)
            px_wait_sleep(&set, 50 * PX_NS_PER_MS);
    }
}

int kill_mark_roots(struct px_pool_owner *owner, const struct kill_arena *arena)
{
    int marked = 0;

    for (unsigned i = 0; i < KILL_ROOTS; i++) {
        if (arena->root[i] == 0)
            continue;
        if (px_pool_mark(owner, arena->root[i]) != 1)
            return -1;
        marked++;
    }
    return marked;
}

static void replace(struct worker *worker, struct px_pool_owner *owner, uint64_t number)
{
    uint32_t *root = &worker->arena->root[dice(worker, KILL_ROOTS)], old = *root, fresh;
    struct kill_node *node = kill_pool_alloc(owner, &fresh);

    if (!node) { /* readers hold everything: let them go on */
        rest(worker, 0);
        return;
    }
    for (unsigned i = 0; i < KILL_NODE_WORDS; i++)
        px_store_relaxed(&node->word[i], number);
    px_link_store(root, fresh);
    if (old != 0)
        px_pool_retire(owner, old);
}

static void own_pool(struct worker *worker)
{
    static struct px_rcu_slots nobody;
    struct px_rcu_view domain = worker->shm.domain;
    struct kill_arena *arena = worker->arena;
    struct px_pool_owner owner;
    struct px_pool pool;
    int live;

    if (worker->control == KILL_CONTROL_NO_GRACE)
        domain.slots = &nobody;
    PX_CHECK(kill_pool_attach(arena->pool_memory, kill_pool_bytes(KILL_NODES), &pool) == 0);
    PX_CHECK(px_pool_own(&owner, pool, domain, 1, true) == 0);
    live = kill_mark_roots(&owner, arena);
    if (live >= 0)
        px_pool_owned(&owner);
    if (live < 0 || px_pool_free(&owner) + px_pool_live(&owner) + px_pool_retired(&owner) != KILL_NODES ||
        px_pool_live(&owner) != (uint64_t)live)
        tally(&arena->accounts_wrong, 1);
    tally(&arena->takeovers, 1);
    for (uint64_t turn = 0;; turn++) {
        replace(worker, &owner, (uint64_t)getpid() << 32 | (turn & UINT32_MAX));
        if (turn % 32 == 0)
            tally(&arena->reclaimed, px_pool_reclaim(&owner));
        if (turn % 64 == 0)
            rest(worker, 60);
    }
}

/* Looks at a node, stays for a while, and looks again: it must not have changed, nor be poison. */
static bool node_holds(struct worker *worker, const struct kill_node *node)
{
    uint64_t number = px_load_relaxed(&node->word[0]);

    for (unsigned look = 0; look < 3; look++) {
        for (unsigned i = 0; i < KILL_NODE_WORDS; i++)
            if (px_load_relaxed(&node->word[i]) != number)
                return false;
        if (look == 0 && dice(worker, 100) == 0)
            rest(worker, dice(worker, 10) == 0 ? 2000 : 0);
    }
    return number != PX_POOL_POISON;
}

static void read_pool(struct worker *worker)
{
    struct px_rcu_view domain = worker->shm.domain;
    struct kill_arena *arena = worker->arena;
    struct px_pool pool;
    px_handle kept = PX_HANDLE_NONE;

    PX_CHECK(kill_pool_attach(arena->pool_memory, kill_pool_bytes(KILL_NODES), &pool) == 0);
    for (;;) {
        uint64_t bad = 0, checks = 0;

        px_rcu_online(domain, worker->number);
        for (unsigned i = 0; i < 20; i++) {
            uint32_t index = px_link_load(&arena->root[dice(worker, KILL_ROOTS)]);
            const struct kill_node *node = kill_pool_at(&pool, index), *old = kill_pool_find(&pool, kept);

            checks += (node != NULL) + (old != NULL);
            bad += node && !node_holds(worker, node);
            bad += old && !node_holds(worker, old);
            if (dice(worker, 8) == 0)
                kept = px_pool_handle(&pool, index); /* over sections: it may well be retired by then */
        }
        px_rcu_offline(domain, worker->number);
        tally(&arena->pool.checks, checks);
        tally(&arena->pool.bad, bad);
        if (dice(worker, 16) == 0)
            rest(worker, 50);
    }
}

/* As the engine's workers do: a writer moves the mapping that it inherits, a reader maps the files and cannot write to
 * the data. */
static void move_in(struct worker *worker, const struct kill_stage *stage, bool writes)
{
    char reason[PX_SHM_REASON_SIZE] = "";

    PX_CHECK(mmap(NULL, (1 + dice(worker, 4096)) << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                  0) != MAP_FAILED);
    worker->shm = *stage->parents_view;
    if (writes) {
        PX_CHECK(px_shm_move(&worker->shm) == 0);
    } else {
        PX_CHECK(px_shm_attach(stage->region, PX_SHM_READ_WRITE, &worker->shm, reason) == PX_E_FORBIDDEN);
        PX_CHECK(px_shm_attach(stage->region, PX_SHM_READ_ONLY, &worker->shm, reason) == 0);
        munmap(stage->parents_view->base, stage->parents_view->size);
    }
    worker->arena = mmap(NULL, kill_arena_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, stage->arena_fd, 0);
    PX_CHECK(worker->arena != MAP_FAILED);
    munmap(stage->parents_arena, kill_arena_bytes());
    worker->arena->base[worker->number] = (uintptr_t)worker->shm.base;
}

_Noreturn void kill_worker(const struct kill_stage *stage, enum kill_kind kind, unsigned number, uint32_t incarnation)
{
    static void (*const work[])(struct worker *) = {write_latches, produce, own_pool,     push,     pop,
                                                    read_latches,  follow,  read_far_end, read_pool};
    static struct worker worker;
    bool writes = kind <= KILL_POPPER;

    _Static_assert(PX_COUNT_OF(work) == KILL_KIND_COUNT, "one work for each kind");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    worker.control = stage->control;
    worker.number = number;
    worker.random = (stage->seed * 1000003 + incarnation) * UINT64_C(0x9e3779b97f4a7c15) + number + 1;
    move_in(&worker, stage, writes);
    if (writes)
        draw_lot(&worker);
    work[kind](&worker);
    abort();
}
