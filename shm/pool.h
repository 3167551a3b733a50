/*
 * Typed pools: nodes of one size in shared memory, which one process gives out and takes back, and every process may
 * follow.
 *
 *   shared     | head | generation[0 .. nodes] | node 1 | node 2 | ... | node n |        index 0 means "none"
 *
 *   private    order:   | free: may be given out |  retired: waits for its epoch  |
 *   (owner)            head                   boundary                          tail     live = everything that is not
 * in `order`
 *
 *   alloc      generation + 1 (odd) · fill the node · link it with px_link_store
 *   retire     unlink · generation + 1 (even) · e = ++epoch · (node, e) at the tail
 *   reclaim    boundary passes every node with e <= what all readers have let go of
 *   takeover   mark from the roots · ++epoch · everything unmarked is retired
 *
 * Guarantees
 *   1. No pointer and no lock lies in shared memory, and no free list: a killed owner leaves nothing that others could
 * trip over.
 *   2. What a reader reached while online stays as it is until its next quiesce or offline, also over the owner's
 * death.
 *   3. free + live + retired = nodes, always; after a takeover too, when what the predecessor had half built, unlinked
 * but not queued, queued or free is retired once more and comes back after one grace period.
 *   4. A handle kept over sections yields its own node or NULL, never the node's next tenant: the generation turns even
 * before the epoch of the retirement, so that a lookup is either seen by that grace period or fails.
 *   5. Indices are checked against the pool's bounds on every use, in every build.
 *   6. Nodes are given out in the order in which they came back, so a generation comes round only after 2^31 x nodes
 * allocations.
 *
 * Death of the owner: in alloc, before the link: unmarked, retired by the successor. In retire, after the unlink: the
 * same. In reclaim: the node is in nobody's list and unmarked: the same. In a takeover: the next successor marks again;
 * epochs only grow.
 */
#pragma once

#include "base/types.h"
#include "shm/rcu.h"

#ifdef PX_ASAN
#define PX_POOL_RED_ZONE 64 /* bytes behind each node that nobody may touch */
#else
#define PX_POOL_RED_ZONE 0
#endif

#define PX_POOL_POISON UINT64_C(0xdeadbeefdeadbeef)

struct px_pool_head {
    _Alignas(PX_FALSE_SHARING) uint64_t magic;
    uint64_t type;  /* hash of the type's name */
    uint32_t nodes; /* never changes, as all above */
    uint32_t node_bytes, stride;
    uint32_t owner;                        /* owner: its incarnation */
    _Alignas(PX_CACHE_LINE) uint64_t free; /* owner, once a reclaim: figures for viewers */
    uint64_t live, retired, reclaimed;
};

/* A pool as one process sees it; a plain value. */
struct px_pool {
    struct px_pool_head *head;
    uint32_t *generation; /* odd: live; even: free or retired */
    char *node;           /* of index 1 */
    uint32_t nodes, node_bytes, stride;
};

/* A name for a node that outlives a section: of a session, an event, a record on disk. */
typedef struct {
    uint32_t index, generation;
} px_handle;

#define PX_HANDLE_NONE ((px_handle){0, 0})

/* Links between nodes, and roots, are 32-bit indices, valid inside a section. */
#define px_link_load(cell)         px_load_acquire(cell)         /* pairs with px_link_store */
#define px_link_store(cell, index) px_store_release(cell, index) /* the node is filled before it is seen */

size_t px_pool_bytes(uint32_t nodes, size_t node_bytes);

/* Formats zeroed memory, aligned to PX_FALSE_SHARING. node_bytes is a multiple of 8, nodes > 0. Supervisor, before the
 * fork. */
void px_pool_format(void *memory, uint32_t nodes, size_t node_bytes, const char *type);

/* Any process: checks that the memory is a pool of this type and fits `bytes`. PX_E_LAYOUT. */
int px_pool_attach(void *memory, size_t bytes, const char *type, size_t node_bytes, struct px_pool *poolp);

/* Before the pool's memory is copied as a whole, or goes away: whoever may touch what lies between nodes. A zeroed one is fine. */
void px_pool_bare(const struct px_pool *pool);

/* Inside a section, an index that was loaded in it: the node, or NULL when the index is 0 or out of bounds. Never
 * blocks. */
static inline void *px_pool_at(const struct px_pool *pool, uint32_t index)
{
    if (__builtin_expect(index - 1 >= pool->nodes, 0)) /* 0 wraps */
        return NULL;
    return pool->node + (size_t)(index - 1) * pool->stride;
}

/* Inside a section, a handle from any time: its node, or NULL when that has been retired. Never blocks. */
static inline void *px_pool_find(const struct px_pool *pool, px_handle handle)
{
    if (handle.index - 1 >= pool->nodes || !(handle.generation & 1))
        return NULL;
    if (px_load_acquire(&pool->generation[handle.index]) != handle.generation)
        return NULL;
    return px_pool_at(pool, handle.index);
}

/* The handle of a live node. Inside a section; the owner at any time. PX_HANDLE_NONE if it is not live any more. */
static inline px_handle px_pool_handle(const struct px_pool *pool, uint32_t index)
{
    uint32_t generation = index - 1 < pool->nodes ? px_load_acquire(&pool->generation[index]) : 0;

    return generation & 1 ? (px_handle){index, generation} : PX_HANDLE_NONE;
}

/* What the owner knows, in its private memory: 13 bytes a node. */
struct px_pool_owner {
    struct px_pool pool;
    struct px_rcu_view domain;
    uint32_t *order;               /* ring of `nodes` indices: free ones, then retired ones */
    uint64_t *epoch;               /* beside it: the epoch of the retirement */
    uint8_t *marked;               /* one per index; only between own and owned */
    uint64_t head, boundary, tail; /* positions in `order`; tail - head <= nodes */
    uint64_t last_epoch, reclaimed;
    bool owned, poison;
};

/*
 * Takes a pool over, new or from a dead predecessor who has been reaped. Then px_pool_mark for everything that the
 * roots reach, then px_pool_owned. With `poison`, free nodes are filled with PX_POOL_POISON and looked at when they are
 * given out: a write through a stale pointer is then found. PX_E_MEMORY. The caller owns the struct.
 */
int px_pool_own(struct px_pool_owner *owner, struct px_pool pool, struct px_rcu_view domain, uint32_t incarnation,
                bool poison);

/* 1: marked now, follow its links; 0: marked before; PX_E_RANGE: no live node of this pool, the link is to be cut. */
int px_pool_mark(struct px_pool_owner *owner, uint32_t index);

/* Retires what was not marked. Nothing can be given out before this; new nodes come after one grace period. */
void px_pool_owned(struct px_pool_owner *owner);

/* Gives back the private memory. The pool stays as it is for a successor. */
void px_pool_disown(struct px_pool_owner *owner);

/* A node, not yet linked, its content undefined; reclaims first when none is free. PX_E_FULL. O(1) but for that; never
 * blocks. */
int px_pool_alloc(struct px_pool_owner *owner, uint32_t *indexp);

/* After the unlink. The node stays readable for a grace period. It must be live, else it cannot happen. */
void px_pool_retire(struct px_pool_owner *owner, uint32_t index);

/* Of a node that was never linked: no grace period of its own. */
void px_pool_discard(struct px_pool_owner *owner, uint32_t index);

/* Frees what no reader can hold any more; returns how many. Once a turn of the owner's loop; scans the reader slots. */
uint32_t px_pool_reclaim(struct px_pool_owner *owner);

static inline uint64_t px_pool_free(const struct px_pool_owner *owner)
{
    return owner->boundary - owner->head;
}

static inline uint64_t px_pool_retired(const struct px_pool_owner *owner)
{
    return owner->tail - owner->boundary;
}

static inline uint64_t px_pool_live(const struct px_pool_owner *owner)
{
    return owner->pool.nodes - (owner->tail - owner->head);
}

/* Typed names for one pool: NAME_bytes, NAME_format, NAME_attach, NAME_at, NAME_find, NAME_alloc. */
#define PX_POOL_TYPE(name, node_type)                                                                                  \
    static inline size_t name##_bytes(uint32_t nodes)                                                                  \
    {                                                                                                                  \
        return px_pool_bytes(nodes, sizeof(node_type));                                                                \
    }                                                                                                                  \
    static inline void name##_format(void *memory, uint32_t nodes)                                                     \
    {                                                                                                                  \
        px_pool_format(memory, nodes, sizeof(node_type), #node_type);                                                  \
    }                                                                                                                  \
    static inline int name##_attach(void *memory, size_t bytes, struct px_pool *poolp)                                 \
    {                                                                                                                  \
        return px_pool_attach(memory, bytes, #node_type, sizeof(node_type), poolp);                                    \
    }                                                                                                                  \
    static inline node_type *name##_at(const struct px_pool *pool, uint32_t index)                                     \
    {                                                                                                                  \
        return (node_type *)px_pool_at(pool, index);                                                                   \
    }                                                                                                                  \
    static inline node_type *name##_find(const struct px_pool *pool, px_handle handle)                                 \
    {                                                                                                                  \
        return (node_type *)px_pool_find(pool, handle);                                                                \
    }                                                                                                                  \
    static inline node_type *name##_alloc(struct px_pool_owner *owner, uint32_t *indexp)                               \
    {                                                                                                                  \
        return px_pool_alloc(owner, indexp) == 0 ? name##_at(&owner->pool, *indexp) : (node_type *)0;                  \
    }                                                                                                                  \
    _Static_assert(sizeof(node_type) % 8 == 0, "nodes are made of 64-bit words")
