/*
 * The stage of the kill test: what the parent and the processes that it kills share beside the region itself.
 *
 * The arena is a second file in memory: roots and nodes of a pool, and the tallies in which survivors and victims leave
 * what they have seen. Every process maps both files where its kernel puts them, after a gap of random size.
 */
#pragma once

#include "shm/pool.h"
#include "shm/region.h"

/* enum, name, how many of them */
#define KILL_KINDS(X)                                                                                                  \
    X(LATCH_WRITER, "latch writer", 1)                                                                                 \
    X(PRODUCER, "producer", 1)                                                                                         \
    X(OWNER, "pool owner", 1)                                                                                          \
    X(PUSHER, "pusher", 1)                                                                                             \
    X(POPPER, "popper", 1)                                                                                             \
    X(LATCH_READER, "latch reader", 1)                                                                                 \
    X(FOLLOWER, "follower", 1)                                                                                         \
    X(FAR_READER, "far reader", 1)                                                                                     \
    X(POOL_READER, "pool reader", 3)

enum kill_kind {
#define KILL_ENUM(NAME, name, count) KILL_##NAME,
    KILL_KINDS(KILL_ENUM)
#undef KILL_ENUM
        KILL_KIND_COUNT
};

/* enum, name on the command line, what must be seen */
#define KILL_CONTROLS(X)                                                                                               \
    X(NONE, "none", "nothing")                                                                                         \
    X(NO_GRACE, "no-grace", "nodes are freed without a grace period")                                                  \
    X(NO_TAKEOVER, "no-takeover", "a latch is written by a successor that did not take it over")                       \
    X(LOWER_INTENT, "lower-intent", "a successor of the producer lowers intent")                                       \
    X(CONSUME_FIRST, "consume-first", "a record is consumed before it is acted on")                                    \
    X(HEARTBEAT_CLEAR, "heartbeat-clear", "the slot of a reader that is merely stopped is cleared")                    \
    X(NEVER_CLEARED, "never-cleared", "the slot of a dead reader stays")

enum kill_control {
#define KILL_ENUM(NAME, name, what) KILL_CONTROL_##NAME,
    KILL_CONTROLS(KILL_ENUM)
#undef KILL_ENUM
        KILL_CONTROL_COUNT
};

#define KILL_ASSETS     64
#define KILL_RING       128
#define KILL_ROOTS      256
#define KILL_NODES      2048
#define KILL_NODE_WORDS 16
#define KILL_PROCESSES  16

struct kill_node {
    uint64_t word[KILL_NODE_WORDS]; /* all equal */
};
PX_POOL_TYPE(kill_pool, struct kill_node);

struct kill_tally {
    _Alignas(PX_FALSE_SHARING) uint64_t checks, bad, backward, overruns;
};

struct kill_arena {
    uint32_t root[KILL_ROOTS]; /* pool owner */
    struct kill_tally latch, ring, queue, pool;
    uint64_t acted;                                /* popper: records of the queue that it has acted on */
    uint64_t reclaimed, takeovers, accounts_wrong; /* pool owner */
    uint64_t base[KILL_PROCESSES];                 /* of the region in each process; that process */
    _Alignas(4096) char pool_memory[];
};

struct kill_stage {
    struct px_shm_files region;
    int arena_fd;
    struct px_shm *parents_view; /* inherited: writers move it, readers give it up */
    struct kill_arena *parents_arena;
    enum kill_control control;
    uint64_t seed;
};

static inline size_t kill_arena_bytes(void)
{
    return sizeof(struct kill_arena) + kill_pool_bytes(KILL_NODES);
}

/* Marks what the roots name; returns how many there are, or -1 when a root names no live node. */
int kill_mark_roots(struct px_pool_owner *owner, const struct kill_arena *arena);

/* A child's whole life; `number` is its place among the processes and its RCU slot. */
_Noreturn void kill_worker(const struct kill_stage *stage, enum kill_kind kind, unsigned number, uint32_t incarnation);
