#include "shm/ring.h"

#include "base/error.h"

size_t px_ring_bytes(uint64_t capacity, size_t event_bytes)
{
    return sizeof(struct px_ring) + capacity * event_bytes;
}

void px_ring_init(struct px_ring *ring, uint64_t capacity, size_t event_bytes, uint64_t first)
{
    PX_CHECK(capacity > 0 && (capacity & (capacity - 1)) == 0);
    PX_CHECK(event_bytes > 0 && event_bytes % 8 == 0);
    ring->capacity = capacity;
    ring->event_words = event_bytes / 8;
    ring->intent = ring->tail = ring->staged = first;
}

static uint64_t *event_at(const struct px_ring *ring, uint64_t position)
{
    return (uint64_t *)ring->words + (position & (ring->capacity - 1)) * ring->event_words;
}

/* In two runs where the batch crosses the end of the ring. */
static unsigned run_length(const struct px_ring *ring, uint64_t position, uint64_t n)
{
    uint64_t to_end = ring->capacity - (position & (ring->capacity - 1));

    return (unsigned)PX_MIN(n, to_end);
}

void px_ring_stage(struct px_ring *ring, const void *events, unsigned n)
{
    const uint64_t *from = events;
    uint64_t tail = px_load_relaxed(&ring->tail), end = tail + n, intent = px_load_relaxed(&ring->intent);

    PX_CHECK(n <= ring->capacity);
    if (px_load_relaxed(&ring->staged) != tail) { /* a predecessor's batch that nobody finished is whole no more */
        px_store_relaxed(&ring->staged, tail);
        px_smp_wmb();
    }
    if ((int64_t)(end - intent) > 0) /* never lowered: what a predecessor left half written stays marked */
        px_store_relaxed(&ring->intent, end);
    px_smp_wmb();
    for (uint64_t position = tail; position != end;) {
        unsigned run = run_length(ring, position, end - position);

        px_words_store(event_at(ring, position), from, (unsigned)(run * ring->event_words));
        from += run * ring->event_words;
        position += run;
    }
    px_store_release(&ring->staged, end); /* pairs with px_ring_staged of a successor */
}

void px_ring_commit(struct px_ring *ring, struct px_ring_yard *yard)
{
    px_store_release(&ring->tail, px_load_relaxed(&ring->staged)); /* pairs with the acquire in px_ring_read */
    px_wait_wake(&yard->need_wake);
}

void px_ring_publish(struct px_ring *ring, struct px_ring_yard *yard, const void *events, unsigned n)
{
    px_ring_stage(ring, events, n);
    px_ring_commit(ring, yard);
}

uint64_t px_ring_staged(const struct px_ring *ring)
{
    uint64_t tail = px_load_relaxed(&ring->tail), staged = px_load_acquire(&ring->staged);

    return staged > tail ? staged - tail : 0;
}

void px_ring_staged_event(const struct px_ring *ring, uint64_t i, void *event)
{
    px_words_load(event, event_at(ring, ring->tail + i), (unsigned)ring->event_words);
}

void px_ring_takeover(struct px_ring *ring, struct px_ring_yard *yard)
{
    PX_CHECK((int64_t)(px_load_relaxed(&ring->intent) - px_load_relaxed(&ring->tail)) >= 0);
    px_wait_wake_always(&yard->need_wake);
}

uint64_t px_ring_oldest(const struct px_ring *ring)
{
    uint64_t intent = px_load_acquire(&ring->intent), keep = ring->capacity - ring->capacity / 8;
    uint64_t tail = px_load_acquire(&ring->tail);

    /* A batch of over seven eighths of the ring in the making would put us beyond tail, where there is nothing yet. */
    return intent > keep ? PX_MIN(intent - keep, tail) : 0;
}

int px_ring_read(const struct px_ring *ring, uint64_t position, void *events, unsigned max, uint64_t *countp)
{
    uint64_t tail = px_load_acquire(&ring->tail), n = PX_MIN(tail - position, (uint64_t)max), *to = events;

    *countp = 0;
    if (tail == position)
        return 0;
    if (tail - position <= ring->capacity) { /* else overwritten for sure: do not even copy */
        for (uint64_t at = position; at != position + n;) {
            unsigned run = run_length(ring, at, position + n - at);

            px_words_load(to, event_at(ring, at), (unsigned)(run * ring->event_words));
            to += run * ring->event_words;
            at += run;
        }
        px_smp_rmb(); /* the copy comes before the look at intent */
        if (px_load_relaxed(&ring->intent) - position <= ring->capacity) {
            *countp = n;
            return 0;
        }
    }
    *countp = px_ring_oldest(ring) - position;
    return PX_E_OVERRUN;
}
