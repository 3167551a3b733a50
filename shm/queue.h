/*
 * The lossless queue: one producer process, one consumer process, fixed-size records, positions that outlive both.
 *
 *      head (consumer) ............ tail (producer)
 *      | records not yet consumed   |  free
 *
 *   push   record · barrier · tail + 1 · wake           pop    copy · act on it · head + 1
 *
 * Guarantees
 *   1. A record is seen by the consumer if and only if tail was raised over it: a producer killed earlier has not pushed.
 *   2. The consumer raises head only after it has acted. Killed in between, its successor sees the record again: at least once, in
 *      order. Whoever consumes makes the action idempotent.
 *   3. A full queue is PX_E_FULL; nothing is overwritten and nobody waits inside.
 */
#pragma once

#include "base/types.h"
#include "shm/wait.h"

struct px_queue {
    _Alignas(PX_FALSE_SHARING) uint64_t tail;     /* producer */
    uint32_t consumer_sleeps;                     /* wake word of the consumer */
    _Alignas(PX_FALSE_SHARING) uint64_t head;     /* consumer */
    _Alignas(PX_FALSE_SHARING) uint64_t capacity; /* records, a power of two; never changes */
    uint64_t record_words;
    _Alignas(PX_FALSE_SHARING) uint64_t words[];
};

size_t px_queue_bytes(uint64_t capacity, size_t record_bytes);
void px_queue_init(struct px_queue *queue, uint64_t capacity, size_t record_bytes, uint64_t first);

/* The producer. PX_E_FULL. Does not wake: px_queue_wake after the last of a batch does. */
int px_queue_push(struct px_queue *queue, const void *record);
void px_queue_wake(struct px_queue *queue);

/* The consumer: copies the record `ahead` places behind head (0 = the next) without consuming it; PX_E_EMPTY. */
int px_queue_peek(const struct px_queue *queue, uint64_t ahead, void *record);

/* The consumer, after it has acted on `n` records. */
void px_queue_consume(struct px_queue *queue, uint64_t n);

static inline uint64_t px_queue_length(const struct px_queue *queue)
{
    uint64_t head = px_load_acquire(&queue->head);

    return px_load_acquire(&queue->tail) - head;
}

/* Positions, for "has my record been consumed": it has when head > the tail that was returned before the push. */
static inline uint64_t px_queue_tail(const struct px_queue *queue)
{
    return px_load_acquire(&queue->tail);
}

static inline uint64_t px_queue_head(const struct px_queue *queue)
{
    return px_load_acquire(&queue->head);
}
