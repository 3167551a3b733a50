/*
 * The processes of the engine, as one table, and the slot that each has in shared memory: who it is, how it is, and its last words.
 */
#pragma once

#include "base/types.h"

/* name, slots it may have */
#define PX_ROLE_TABLE(X)                                                                                               \
    X(SUPERVISOR, supervisor, 1)                                                                                       \
    X(INGEST, ingest, 1)                                                                                               \
    X(EVALUATOR, evaluator, 4)                                                                                         \
    X(KEEPER, keeper, 1)                                                                                               \
    X(NOTIFY, notify, 1)                                                                                               \
    X(WEB, web, 16)

enum px_role {
#define PX_ROLE_ENUM(NAME, name, slots) PX_ROLE_##NAME,
    PX_ROLE_TABLE(PX_ROLE_ENUM)
#undef PX_ROLE_ENUM
        PX_ROLES
};

#define PX_ROLE_SLOTS 24 /* 1 + 1 + 4 + 1 + 1 + 16; also the number of ring consumers and of RCU readers per kind */
#define PX_ROLE_SLOT_INGEST    1
#define PX_ROLE_SLOT_EVALUATOR 2
#define PX_ROLE_SLOT_KEEPER    3
#define PX_ROLE_SLOT_NOTIFY    4
#define PX_ROLE_SLOT_WEB       5 /* + worker number 0..15 */
#define PX_ROLE_SLOT_SHARDS    21 /* evaluators 1..3; the first has the slot above */

#define PX_EVALUATORS_MAX 4

/* The slot of an evaluator, by its number among them. */
static inline unsigned px_evaluator_slot(unsigned number)
{
    return number == 0 ? PX_ROLE_SLOT_EVALUATOR : PX_ROLE_SLOT_SHARDS + number - 1;
}

enum px_role_state {
    PX_STATE_UNUSED,
    PX_STATE_STARTING, /* supervisor, before the fork */
    PX_STATE_READY,    /* the worker, when it serves */
    PX_STATE_DRAINING, /* the worker */
    PX_STATE_DEAD,     /* supervisor, after the reap */
    PX_STATE_DEGRADED, /* supervisor: died too often, retried slowly */
};

#define PX_LAST_WORDS_SIZE 256

struct px_role_slot {
    _Alignas(PX_FALSE_SHARING) uint32_t role; /* supervisor */
    int32_t pid;                              /* supervisor; 0 = none */
    uint32_t incarnation;                     /* supervisor: +1 with every fork, from 1 */
    uint32_t state;                           /* enum px_role_state; see there for who writes which */
    int64_t started_ns;                       /* supervisor; px_mono */
    int64_t heartbeat_ns;                     /* the worker's work loop; px_mono */
    uint64_t restarts;                        /* supervisor */
    int32_t last_status;                      /* supervisor: of waitid, signal number negative */
    uint32_t longest_loop_us;                 /* the worker: longest turn of its loop since it started */
    _Alignas(PX_CACHE_LINE) char last_words[PX_LAST_WORDS_SIZE]; /* px_die of the worker */
};

const char *px_role_name(enum px_role role);       /* "ingest" */
const char *px_role_state_name(uint32_t state);    /* "ready"; "unknown" */
