/*
 * Ways for an event of 64 bytes to get from one process to others: the engine's ring, and Redis by its two means and
 * two kinds of socket. Each way is the same three calls, so that one and the same loop measures them all.
 */
#pragma once

#include "shm/ring.h"
#include "shm/tick.h"

#define WAYS(X)                                                                                                        \
    X(RING, "ring")                                                                                                    \
    X(PUBSUB_UNIX, "redis pub/sub, unix")                                                                              \
    X(PUBSUB_TCP, "redis pub/sub, tcp")                                                                                \
    X(STREAMS_UNIX, "redis streams, unix")                                                                             \
    X(STREAMS_TCP, "redis streams, tcp")

enum way {
#define WAY_ENUM(NAME, name) WAY_##NAME,
    WAYS(WAY_ENUM)
#undef WAY_ENUM
        WAY_COUNT
};

#define WAY_CONSUMERS_MAX 8

/* What all ways need to know; shared memory is made before any fork. */
struct way_stage {
    struct px_ring *ring;
    struct px_ring_yard *yard;
    const char *unix_path; /* of the Redis server */
    uint16_t port;
    unsigned consumers; /* in this run: the ring's producer waits for the slowest, so that no way loses anything */
};

struct way_end; /* one end of a way, of one process */

const char *way_name(enum way way);

/* Forgets what an earlier run has left in the server. */
void way_reset(const struct way_stage *stage, enum way way);

struct way_end *way_open_producer(const struct way_stage *stage, enum way way);
struct way_end *way_open_consumer(const struct way_stage *stage, enum way way, unsigned number);
void way_close(struct way_end *end);

/* Sends n events as one batch: one publish, or n commands in one write whose answers are awaited together. */
void way_send(struct way_end *end, const struct px_tick *events, unsigned n);

#define WAY_RECEIVE_MAX 1024

/* Sleeps until there is something; at most WAY_RECEIVE_MAX events. */
unsigned way_receive(struct way_end *end, struct px_tick *events);

/* Microseconds that the server takes to answer with `keys` values of 24 bytes in one command, over the unix socket. */
double way_mget_us(const struct way_stage *stage, unsigned keys);
