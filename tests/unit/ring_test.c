/* The broadcast ring and the lossless queue: deaths after every store, overruns, wraps, sleeping and waking. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/crash.h"

#include "shm/queue.c"
#include "shm/ring.c"

#include "base/clock.h"
#include "base/error.h"

#define CAPACITY 8

struct event {
    uint64_t word[4]; /* all equal to its position */
};

static struct px_ring *ring_new(uint64_t first)
{
    struct px_ring *ring = aligned_alloc(128, px_ring_bytes(CAPACITY, sizeof(struct event)));

    memset(ring, 0, px_ring_bytes(CAPACITY, sizeof(struct event)));
    px_ring_init(ring, CAPACITY, sizeof(struct event), first);
    return ring;
}

static void publish(struct px_ring *ring, struct px_ring_yard *yard, unsigned n)
{
    struct event events[CAPACITY];
    uint64_t position = px_ring_tail(ring);

    for (unsigned i = 0; i < n; i++)
        for (unsigned w = 0; w < 4; w++)
            events[i].word[w] = position + i;
    px_ring_publish(ring, yard, events, n);
}

/* Reads what there is from *positionp on; returns how many events were not what their position says. */
static long read_all(const struct px_ring *ring, uint64_t *positionp)
{
    struct event events[CAPACITY];
    long bad = 0;
    uint64_t count;

    while (px_ring_tail(ring) != *positionp) {
        if (px_ring_read(ring, *positionp, events, CAPACITY, &count) == 0)
            for (uint64_t i = 0; i < count; i++)
                for (unsigned w = 0; w < 4; w++)
                    bad += events[i].word[w] != *positionp + i;
        *positionp += count;
    }
    return bad;
}

/* A reader that stands just inside the ring's far end sees what a half-written batch does to the oldest events. */
static long read_far_end(const struct px_ring *ring)
{
    struct event events[CAPACITY];
    uint64_t tail = px_ring_tail(ring), count;
    long bad = 0;

    for (uint64_t back = 1; back <= CAPACITY && back <= tail; back++)
        if (px_ring_read(ring, tail - back, events, CAPACITY, &count) == 0)
            for (uint64_t i = 0; i < count; i++)
                for (unsigned w = 0; w < 4; w++)
                    bad += events[i].word[w] != tail - back + i;
    return bad;
}

/* Takes over and publishes. In a function of its own, so that no local of the caller is lost in the jump. */
static bool __attribute__((noinline))
producer_life(struct px_ring *ring, struct px_ring_yard *yard, int stores, bool lower_intent)
{
    return CRASH_AFTER(stores, {
        if (lower_intent)
            px_store_relaxed(&ring->intent, ring->tail);
        px_ring_takeover(ring, yard);
        publish(ring, yard, 3);
        publish(ring, yard, 2);
        publish(ring, yard, 1);
    });
}

#define RING_STORES 48 /* more than a life has */

static long enumerate(uint64_t first, bool lower_intent)
{
    static struct px_ring_yard yard;
    long bad = 0;

    for (int a = 0; a < RING_STORES; a++)
        for (int b = 0; b < RING_STORES; b++)
            for (int c = 0; c < RING_STORES; c++) {
                struct px_ring *ring = ring_new(first);
                int deaths[] = {a, b, c};

                publish(ring, &yard, CAPACITY);
                for (unsigned life = 0; life < 3; life++) {
                    producer_life(ring, &yard, deaths[life], lower_intent);
                    bad += read_far_end(ring);
                }
                producer_life(ring, &yard, RING_STORES, lower_intent);
                bad += read_far_end(ring);
                free(ring);
            }
    return bad;
}

START_TEST(every_death_of_the_producer)
{
    static struct px_ring_yard yard;
    struct px_ring *ring = ring_new(0);

    ck_assert(!producer_life(ring, &yard, RING_STORES, true));
    free(ring);
    ck_assert_int_eq(enumerate(16, false), 0);
    ck_assert_int_eq(enumerate((UINT64_C(1) << 32) - 10, false), 0);
    ck_assert_int_gt(enumerate(16, true), 0); /* the control: a successor that lowers intent */
}
END_TEST

START_TEST(a_slow_reader_is_told)
{
    static struct px_ring_yard yard;
    struct px_ring *ring = ring_new(0);
    struct event events[CAPACITY];
    uint64_t count, position = 0;

    for (unsigned i = 0; i < 5; i++)
        publish(ring, &yard, 4);
    ck_assert_int_eq(px_ring_read(ring, 0, events, CAPACITY, &count), PX_E_OVERRUN);
    ck_assert_uint_eq(count, px_ring_oldest(ring));
    position += count;
    ck_assert_int_eq(read_all(ring, &position), 0);
    ck_assert_uint_eq(position, 20);
    ck_assert_int_eq(px_ring_read(ring, position, events, CAPACITY, &count), 0);
    ck_assert_uint_eq(count, 0);
    free(ring);
}
END_TEST

struct pair {
    struct px_ring *ring;
    struct px_ring_yard yard;
    uint64_t total;
};

static void *produce(void *context)
{
    struct pair *pair = context;

    while (px_ring_tail(pair->ring) < pair->total)
        publish(pair->ring, &pair->yard, 1 + px_ring_tail(pair->ring) % 3);
    return NULL;
}

START_TEST(threads_with_sleep_and_wake)
{
    static struct pair pair;
    struct px_wait_set set = {.count = 0};
    uint64_t position = 0;
    pthread_t thread;
    long bad = 0;

    memset(&pair, 0, sizeof(pair));
    pair.ring = ring_new(0);
    pair.total = 20000;
    px_wait_add(&set, &pair.yard.need_wake);
    pthread_create(&thread, NULL, produce, &pair);
    while (position < pair.total) {
        bad += read_all(pair.ring, &position);
        px_wait_arm(&set);
        if (px_ring_tail(pair.ring) == position && position < pair.total)
            px_wait_sleep(&set, PX_NS_PER_S);
    }
    pthread_join(thread, NULL);
    ck_assert_int_eq(bad, 0);
    free(pair.ring);
}
END_TEST

static struct px_queue *queue_new(uint64_t first)
{
    struct px_queue *queue = aligned_alloc(128, px_queue_bytes(CAPACITY, sizeof(struct event)));

    memset(queue, 0, px_queue_bytes(CAPACITY, sizeof(struct event)));
    px_queue_init(queue, CAPACITY, sizeof(struct event), first);
    return queue;
}

static int push(struct px_queue *queue, uint64_t number)
{
    struct event event = {{number, number, number, number}};

    return px_queue_push(queue, &event);
}

START_TEST(queue_is_lossless_and_bounded)
{
    static const uint64_t starts[] = {0, (UINT64_C(1) << 32) - 3, UINT64_MAX - 3};

    for (unsigned s = 0; s < PX_COUNT_OF(starts); s++) {
        struct px_queue *queue = queue_new(starts[s]);
        struct event event;

        for (uint64_t i = 0; i < CAPACITY; i++)
            ck_assert_int_eq(push(queue, i), 0);
        ck_assert_int_eq(push(queue, 99), PX_E_FULL);
        for (uint64_t i = 0; i < CAPACITY; i++) {
            ck_assert_int_eq(px_queue_peek(queue, 0, &event), 0);
            ck_assert_uint_eq(event.word[3], i);
            ck_assert_int_eq(px_queue_peek(queue, 0, &event), 0); /* not consumed by looking */
            ck_assert_uint_eq(event.word[0], i);
            px_queue_consume(queue, 1);
        }
        ck_assert_int_eq(px_queue_peek(queue, 0, &event), PX_E_EMPTY);
        free(queue);
    }
}
END_TEST

/*
 * Both sides die after every store, three deaths deep each, in turns. A pusher goes on behind the last record that its
 * predecessor has pushed; a popper acts, then consumes. The controls consume first, or tell of a record before it is
 * whole.
 */
enum queue_control { RIGHT, CONSUME_FIRST, TAIL_FIRST };

#define PUSHED      3 /* a life */
#define PUSHER_MOST (PUSHED * 5 + 1)
#define POPPER_MOST (CAPACITY + 1)

struct acts {
    uint64_t number; /* the newest that was acted on */
    long wrong, again;
};

static void push_tail_first(struct px_queue *queue, uint64_t number)
{
    struct event event = {{number, number, number, number}};
    uint64_t tail = queue->tail;

    px_store_release(&queue->tail, tail + 1);
    px_words_store(record_at(queue, tail), event.word, (unsigned)queue->record_words);
}

static bool __attribute__((noinline)) pusher_life(struct px_queue *queue, int stores, enum queue_control control)
{
    return CRASH_AFTER(stores, {
        for (unsigned i = 0; i < PUSHED; i++)
            if (control == TAIL_FIRST)
                push_tail_first(queue, px_queue_tail(queue));
            else
                push(queue, px_queue_tail(queue));
    });
}

/* Every record holds its position, so that what has been lost, torn or come in another order is seen. */
static void act(struct acts *acts, const struct event *event)
{
    for (unsigned w = 1; w < 4; w++)
        acts->wrong += event->word[w] != event->word[0];
    acts->again += event->word[0] == acts->number;
    acts->wrong += event->word[0] != acts->number && event->word[0] != acts->number + 1;
    acts->number = event->word[0];
}

static bool __attribute__((noinline))
popper_life(struct px_queue *queue, int stores, enum queue_control control, struct acts *acts)
{
    return CRASH_AFTER(stores, {
        struct event event;

        while (px_queue_peek(queue, 0, &event) == 0) {
            if (control == CONSUME_FIRST) {
                px_queue_consume(queue, 1);
                crash_count(); /* dies between the two */
            }
            act(acts, &event);
            if (control != CONSUME_FIRST)
                px_queue_consume(queue, 1);
        }
    });
}

static void enumerate_queue(uint64_t first, enum queue_control control, struct acts *total)
{
    enum { POPPERS = POPPER_MOST * POPPER_MOST * POPPER_MOST };

    for (int pushers = 0; pushers < PUSHER_MOST * PUSHER_MOST * PUSHER_MOST; pushers++)
        for (int poppers = pushers % DEEPEST_STRIDE; poppers < POPPERS; poppers += DEEPEST_STRIDE) {
            struct px_queue *queue = queue_new(first);
            struct acts acts = {.number = first - 1};
            int push_after[] = {pushers % PUSHER_MOST, pushers / PUSHER_MOST % PUSHER_MOST,
                                pushers / PUSHER_MOST / PUSHER_MOST};
            int pop_after[] = {poppers % POPPER_MOST, poppers / POPPER_MOST % POPPER_MOST,
                               poppers / POPPER_MOST / POPPER_MOST};

            for (unsigned life = 0; life < 3; life++) {
                pusher_life(queue, push_after[life], control);
                popper_life(queue, pop_after[life], control, &acts);
            }
            pusher_life(queue, PUSHER_MOST, control);
            popper_life(queue, 2 * POPPER_MOST, control, &acts);
            total->wrong += acts.wrong + (acts.number != px_queue_tail(queue) - 1) + (px_queue_length(queue) != 0);
            total->again += acts.again;
            free(queue);
        }
}

START_TEST(every_death_of_both_ends_of_a_queue)
{
    static const uint64_t starts[] = {5, (UINT64_C(1) << 32) - 4, UINT64_MAX - 4};
    struct acts acts = {0}, lost = {0}, torn = {0};
    struct px_queue *queue = queue_new(0);

    ck_assert(!pusher_life(queue, PUSHER_MOST, RIGHT));
    ck_assert(!popper_life(queue, POPPER_MOST, RIGHT, &acts));
    free(queue);
    acts = (struct acts){0};
    for (unsigned i = 0; i < PX_COUNT_OF(starts); i++)
        enumerate_queue(starts[i], RIGHT, &acts);
    ck_assert_int_eq(acts.wrong, 0);
    ck_assert_int_gt(acts.again, 0); /* at least once is all that is promised, and it did happen */
    enumerate_queue(5, CONSUME_FIRST, &lost);
    ck_assert_int_gt(lost.wrong, 0);
    enumerate_queue(5, TAIL_FIRST, &torn);
    ck_assert_int_gt(torn.wrong, 0);
}
END_TEST

struct ends {
    struct px_queue *queue;
    uint64_t first, total;
};

static void *push_many(void *context)
{
    struct ends *ends = context;

    for (uint64_t number = ends->first; number != ends->first + ends->total;) {
        number += push(ends->queue, number) == 0;
        px_queue_wake(ends->queue);
    }
    return NULL;
}

START_TEST(threads_at_both_ends_of_a_queue)
{
    struct ends ends = {queue_new((UINT64_C(1) << 32) - 1000), (UINT64_C(1) << 32) - 1000, 20000};
    struct px_wait_set set = {.count = 0};
    uint64_t number = ends.first;
    struct event event;
    pthread_t thread;
    long bad = 0;

    px_wait_add(&set, &ends.queue->consumer_sleeps);
    pthread_create(&thread, NULL, push_many, &ends);
    while (number != ends.first + ends.total) {
        px_wait_arm(&set);
        if (px_queue_peek(ends.queue, 0, &event) != 0) {
            px_wait_sleep(&set, PX_NS_PER_S);
            continue;
        }
        for (unsigned w = 0; w < 4; w++)
            bad += event.word[w] != number;
        px_queue_consume(ends.queue, 1);
        number++;
    }
    pthread_join(thread, NULL);
    ck_assert_int_eq(bad, 0);
    ck_assert_uint_eq(px_queue_length(ends.queue), 0);
    free(ends.queue);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring");
    TCase *tcase = tcase_create("ring");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_death_of_the_producer);
    tcase_add_test(tcase, a_slow_reader_is_told);
    tcase_add_test(tcase, threads_with_sleep_and_wake);
    tcase_add_test(tcase, queue_is_lossless_and_bounded);
    tcase_add_test(tcase, threads_at_both_ends_of_a_queue);
    tcase_add_test(tcase, every_death_of_both_ends_of_a_queue);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
