/*
 * The broadcast ring: one process publishes fixed-size events, any number follow at their own pace, and none can hold it up.
 *
 *   position     0 ............... tail-capacity ........... tail ..... intent
 *                  overwritten     |   complete, readable     |  in the making  |
 *
 *   publish   intent = end of the batch · barrier · events · barrier · staged = end · tail = end · wake
 *   read      t = tail · barrier · copy events [pos, t) into private memory · barrier · valid if intent - pos <= capacity
 *
 * Guarantees
 *   1. Position p yields event p or the read says PX_E_OVERRUN; never another event and never a mixture.
 *   2. The producer never waits for a consumer. A slow or dead consumer costs nobody anything.
 *   3. intent and tail never decrease, over any number of producers' deaths: a successor starts at `tail` and keeps `intent`, since
 *      events between them may be half written.
 *   4. A producer that has more to write than events may do so between px_ring_stage and px_ring_commit: dead in between, its successor
 *      finds the batch whole, beyond tail, and finishes it. What is staged is read by nobody else.
 *   5. Events are copied first and looked at after validation, so a length or an index in them can be trusted.
 *
 * Positions are 64 bits and do not wrap: at a thousand million events a second that takes 584 years. Code may compare them with <.
 *
 * The producer's words and the events live in memory that consumers may map read-only; what consumers write (the wake word, their
 * positions for lag figures) lives in struct px_ring_yard.
 */
#pragma once

#include "base/types.h"
#include "shm/roles.h"
#include "shm/wait.h"

struct px_ring {
    _Alignas(PX_FALSE_SHARING) uint64_t intent; /* producer: events below it may be dirty */
    uint64_t tail;                              /* producer: events below it are complete */
    uint64_t staged;                            /* producer: if above tail, events below it are complete but not yet readable */
    _Alignas(PX_FALSE_SHARING) uint64_t capacity; /* events, a power of two; never changes */
    uint64_t event_words;                       /* 64-bit words an event; never changes */
    _Alignas(PX_FALSE_SHARING) uint64_t words[];
};

struct px_ring_yard {
    _Alignas(PX_FALSE_SHARING) uint32_t need_wake;
    struct {
        _Alignas(PX_CACHE_LINE) uint64_t position; /* its consumer; index = role slot. 0 until the first read */
    } cursor[PX_ROLE_SLOTS];
};

/* Bytes of a ring of `capacity` events (a power of two) of event_bytes (a multiple of 8). */
size_t px_ring_bytes(uint64_t capacity, size_t event_bytes);

/* Zeroed memory becomes an empty ring; positions start at `first` (0, or near a wrap in tests). Supervisor, before the fork. */
void px_ring_init(struct px_ring *ring, uint64_t capacity, size_t event_bytes, uint64_t first);

/* The producer. n <= capacity events, contiguous. Never blocks; one system call if somebody sleeps. */
void px_ring_publish(struct px_ring *ring, struct px_ring_yard *yard, const void *events, unsigned n);

/* px_ring_publish in two: the events are written, then they become readable. One batch at a time. */
void px_ring_stage(struct px_ring *ring, const void *events, unsigned n);
void px_ring_commit(struct px_ring *ring, struct px_ring_yard *yard);

/* A successor of the producer: how many events are staged (most often 0), and the i-th of them. */
uint64_t px_ring_staged(const struct px_ring *ring);
void px_ring_staged_event(const struct px_ring *ring, uint64_t i, void *event);

/* A successor of the producer, before its first publish. */
void px_ring_takeover(struct px_ring *ring, struct px_ring_yard *yard);

/* The next position to be published. Any process. */
static inline uint64_t px_ring_tail(const struct px_ring *ring)
{
    return px_load_acquire(&ring->tail);
}

/* The oldest position that can still be read safely with a margin of an eighth of the ring. */
uint64_t px_ring_oldest(const struct px_ring *ring);

/*
 * Copies at most `max` events from position `position` into `events`; *countp says how many (0: nothing new). The caller adds it to its
 * position. PX_E_OVERRUN: the position has been overwritten; *countp is then the number of events lost up to px_ring_oldest, where
 * reading can go on after a resync. Never blocks; any process.
 */
int px_ring_read(const struct px_ring *ring, uint64_t position, void *events, unsigned max, uint64_t *countp);

/* Tells others where consumer `slot` is; a figure for lag and for the producer's soft gate, nothing depends on it. */
static inline void px_ring_report(struct px_ring_yard *yard, unsigned slot, uint64_t position)
{
    px_store_release(&yard->cursor[slot].position, position);
}
