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

/* In a function of its own, so that no local of the caller is lost in the jump. */
static bool __attribute__((noinline)) producer_life(struct px_ring *ring, struct px_ring_yard *yard, int stores)
{
    return CRASH_AFTER(stores, {
        publish(ring, yard, 3);
        publish(ring, yard, 2);
        publish(ring, yard, 1);
    });
}

static long enumerate(uint64_t first, bool lower_intent)
{
    static struct px_ring_yard yard;
    long bad = 0;

    for (int a = 0; a < 40; a++)
        for (int b = 0; b < 40; b++)
            for (int c = 0; c < 40; c += 3) {
                struct px_ring *ring = ring_new(first);
                int deaths[] = {a, b, c};

                publish(ring, &yard, CAPACITY);
                for (unsigned life = 0; life < 3; life++) {
                    producer_life(ring, &yard, deaths[life]);
                    if (lower_intent)
                        ring->intent = ring->tail;
                    px_ring_takeover(ring, &yard);
                    bad += read_far_end(ring);
                }
                free(ring);
            }
    return bad;
}

START_TEST(every_death_of_the_producer)
{
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

static bool __attribute__((noinline)) pusher_life(struct px_queue *queue, int stores)
{
    return CRASH_AFTER(stores, {
        push(queue, 2);
        push(queue, 3);
    });
}

START_TEST(queue_survives_every_death_of_its_producer)
{
    for (int death = 0; death < 12; death++) {
        struct px_queue *queue = queue_new(5);
        struct event event;
        uint64_t expected = 1;

        push(queue, 1);
        bool died = pusher_life(queue, death);

        if (died && px_queue_length(queue) < 2) /* the successor does what was not done */
            push(queue, 2);
        if (died && px_queue_length(queue) < 3)
            push(queue, 3);
        for (; px_queue_peek(queue, 0, &event) == 0; expected++) {
            ck_assert_uint_eq(event.word[0], expected);
            ck_assert_uint_eq(event.word[3], expected);
            px_queue_consume(queue, 1);
        }
        ck_assert_uint_eq(expected, 4);
        free(queue);
    }
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
    tcase_add_test(tcase, queue_survives_every_death_of_its_producer);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
