#include "shm/queue.h"

#include "base/error.h"

size_t px_queue_bytes(uint64_t capacity, size_t record_bytes)
{
    return sizeof(struct px_queue) + capacity * record_bytes;
}

void px_queue_init(struct px_queue *queue, uint64_t capacity, size_t record_bytes, uint64_t first)
{
    PX_CHECK(capacity > 0 && (capacity & (capacity - 1)) == 0);
    PX_CHECK(record_bytes > 0 && record_bytes % 8 == 0);
    queue->capacity = capacity;
    queue->record_words = record_bytes / 8;
    queue->head = queue->tail = first;
}

static uint64_t *record_at(const struct px_queue *queue, uint64_t position)
{
    return (uint64_t *)queue->words + (position & (queue->capacity - 1)) * queue->record_words;
}

int px_queue_push(struct px_queue *queue, const void *record)
{
    uint64_t tail = px_load_relaxed(&queue->tail);

    if (tail - px_load_acquire(&queue->head) >= queue->capacity) /* pairs with px_queue_consume */
        return PX_E_FULL;
    px_words_store(record_at(queue, tail), record, (unsigned)queue->record_words);
    px_store_release(&queue->tail, tail + 1); /* pairs with px_queue_peek */
    return 0;
}

void px_queue_wake(struct px_queue *queue)
{
    px_wait_wake(&queue->consumer_sleeps);
}

int px_queue_peek(const struct px_queue *queue, uint64_t ahead, void *record)
{
    uint64_t position = px_load_relaxed(&queue->head) + ahead;

    if ((int64_t)(px_load_acquire(&queue->tail) - position) <= 0)
        return PX_E_EMPTY;
    px_words_load(record, record_at(queue, position), (unsigned)queue->record_words);
    return 0;
}

void px_queue_consume(struct px_queue *queue, uint64_t n)
{
    uint64_t head = px_load_relaxed(&queue->head);

    PX_CHECK(n <= px_load_acquire(&queue->tail) - head);
    px_store_release(&queue->head, head + n); /* pairs with px_queue_push */
}
