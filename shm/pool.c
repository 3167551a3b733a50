#include "shm/pool.h"

#include <stdlib.h>

#include "base/error.h"

#ifdef PX_ASAN
#include <sanitizer/asan_interface.h>
#define SHADOW_CLOSE(at, n) ASAN_POISON_MEMORY_REGION((at), (n))
#define SHADOW_OPEN(at, n)  ASAN_UNPOISON_MEMORY_REGION((at), (n))
#else
#define SHADOW_CLOSE(at, n) ((void)(at), (void)(n))
#define SHADOW_OPEN(at, n)  ((void)(at), (void)(n))
#endif

#define MAGIC UINT64_C(0x6c6f6f7078705aa5)

_Static_assert(sizeof(struct px_pool_head) == 2 * PX_CACHE_LINE, "what never changes, and the figures");

static size_t generation_bytes(uint32_t nodes)
{
    size_t bytes = ((size_t)nodes + 1) * sizeof(uint32_t);

    return (bytes + PX_FALSE_SHARING - 1) / PX_FALSE_SHARING * PX_FALSE_SHARING;
}

static uint64_t type_hash(const char *type)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    for (; *type != '\0'; type++)
        hash = (hash ^ (unsigned char)*type) * 1099511628211u;
    return hash;
}

size_t px_pool_bytes(uint32_t nodes, size_t node_bytes)
{
    return sizeof(struct px_pool_head) + generation_bytes(nodes) + (size_t)nodes * (node_bytes + PX_POOL_RED_ZONE);
}

void px_pool_format(void *memory, uint32_t nodes, size_t node_bytes, const char *type)
{
    struct px_pool_head *head = memory;

    PX_CHECK((uintptr_t)memory % PX_FALSE_SHARING == 0 && nodes > 0 && nodes < UINT32_MAX);
    PX_CHECK(node_bytes > 0 && node_bytes % 8 == 0 && node_bytes < UINT32_MAX / 2);
    head->type = type_hash(type);
    head->nodes = nodes;
    head->node_bytes = (uint32_t)node_bytes;
    head->stride = (uint32_t)node_bytes + PX_POOL_RED_ZONE;
    px_store_release(&head->magic, MAGIC); /* pairs with px_pool_attach */
}

int px_pool_attach(void *memory, size_t bytes, const char *type, size_t node_bytes, struct px_pool *poolp)
{
    struct px_pool_head *head = memory;
    struct px_pool pool = {.head = head};

    if (bytes < sizeof(*head) || px_load_acquire(&head->magic) != MAGIC || head->type != type_hash(type))
        return PX_E_LAYOUT;
    pool.nodes = head->nodes;
    pool.node_bytes = head->node_bytes;
    pool.stride = head->stride;
    if (pool.node_bytes != node_bytes || pool.stride != node_bytes + PX_POOL_RED_ZONE || pool.nodes == 0 ||
        px_pool_bytes(pool.nodes, node_bytes) > bytes)
        return PX_E_LAYOUT;
    pool.generation = (uint32_t *)(void *)((char *)memory + sizeof(*head));
    pool.node = (char *)memory + sizeof(*head) + generation_bytes(pool.nodes);
    for (uint32_t i = 1; PX_POOL_RED_ZONE > 0 && i <= pool.nodes; i++)
        SHADOW_CLOSE((char *)px_pool_at(&pool, i) + pool.node_bytes, PX_POOL_RED_ZONE);
    *poolp = pool;
    return 0;
}

void px_pool_bare(const struct px_pool *pool)
{
    for (uint32_t i = 1; PX_POOL_RED_ZONE > 0 && pool->head && i <= pool->nodes; i++)
        SHADOW_OPEN((char *)px_pool_at(pool, i) + pool->node_bytes, PX_POOL_RED_ZONE);
}

int px_pool_own(struct px_pool_owner *owner, struct px_pool pool, struct px_rcu_view domain, uint32_t incarnation,
                bool poison)
{
    *owner = (struct px_pool_owner){.pool = pool, .domain = domain, .poison = poison};
    owner->order = calloc(pool.nodes, sizeof(*owner->order));
    owner->epoch = calloc(pool.nodes, sizeof(*owner->epoch));
    owner->marked = calloc((size_t)pool.nodes + 1, 1);
    if (!owner->order || !owner->epoch || !owner->marked) {
        px_pool_disown(owner);
        return PX_E_MEMORY;
    }
    px_store_relaxed(&pool.head->owner, incarnation);
    return 0;
}

int px_pool_mark(struct px_pool_owner *owner, uint32_t index)
{
    PX_CHECK(!owner->owned);
    if (index - 1 >= owner->pool.nodes || !(px_load_relaxed(&owner->pool.generation[index]) & 1))
        return PX_E_RANGE;
    if (owner->marked[index])
        return 0;
    owner->marked[index] = 1;
    return 1;
}

static void queue(struct px_pool_owner *owner, uint32_t index, uint64_t epoch)
{
    uint64_t at = owner->tail++ % owner->pool.nodes;

    owner->order[at] = index;
    owner->epoch[at] = owner->last_epoch = epoch;
}

/* Handles stop working. In front of the epoch of the retirement. */
static void end_generation(struct px_pool_owner *owner, uint32_t index)
{
    uint32_t *generation = &owner->pool.generation[index];

    px_store_release(generation, px_load_relaxed(generation) + 1);
}

void px_pool_owned(struct px_pool_owner *owner)
{
    uint64_t epoch;

    PX_CHECK(!owner->owned);
    for (uint32_t i = 1; i <= owner->pool.nodes; i++)
        if (!owner->marked[i] && px_load_relaxed(&owner->pool.generation[i]) & 1)
            end_generation(owner, i);
    epoch = px_rcu_retire(owner->domain);
    for (uint32_t i = 1; i <= owner->pool.nodes; i++)
        if (!owner->marked[i])
            queue(owner, i, epoch);
    owner->owned = true;
    free(owner->marked);
    owner->marked = NULL;
    px_pool_reclaim(owner);
}

void px_pool_disown(struct px_pool_owner *owner)
{
    if (owner->pool.node)
        for (uint32_t i = 1; i <= owner->pool.nodes; i++)
            SHADOW_OPEN(px_pool_at(&owner->pool, i), owner->pool.node_bytes);
    free(owner->order);
    free(owner->epoch);
    free(owner->marked);
    *owner = (struct px_pool_owner){.owned = false};
}

static void fill_with_poison(const struct px_pool *pool, uint32_t index)
{
    uint64_t *word = px_pool_at(pool, index);

    for (uint32_t i = 0; i < pool->node_bytes / 8; i++)
        px_store_relaxed(&word[i], PX_POOL_POISON);
}

static bool is_poison(const struct px_pool *pool, uint32_t index)
{
    const uint64_t *word = px_pool_at(pool, index);

    for (uint32_t i = 0; i < pool->node_bytes / 8; i++)
        if (px_load_relaxed(&word[i]) != PX_POOL_POISON)
            return false;
    return true;
}

int px_pool_alloc(struct px_pool_owner *owner, uint32_t *indexp)
{
    uint32_t index;

    PX_CHECK(owner->owned);
    if (owner->head == owner->boundary && px_pool_reclaim(owner) == 0)
        return PX_E_FULL;
    index = owner->order[owner->head++ % owner->pool.nodes];
    SHADOW_OPEN(px_pool_at(&owner->pool, index), owner->pool.node_bytes);
    PX_CHECK(!owner->poison || is_poison(&owner->pool, index)); /* else somebody wrote to a free node */
    px_store_release(&owner->pool.generation[index], px_load_relaxed(&owner->pool.generation[index]) + 1);
    *indexp = index;
    return 0;
}

void px_pool_retire(struct px_pool_owner *owner, uint32_t index)
{
    PX_CHECK(px_pool_handle(&owner->pool, index).index == index && index != 0);
    end_generation(owner, index);
    queue(owner, index, px_rcu_retire(owner->domain));
}

void px_pool_discard(struct px_pool_owner *owner, uint32_t index)
{
    PX_CHECK(px_pool_handle(&owner->pool, index).index == index && index != 0);
    end_generation(owner, index);
    queue(owner, index, owner->last_epoch);
}

static void tell_figures(const struct px_pool_owner *owner)
{
    struct px_pool_head *head = owner->pool.head;

    px_store_relaxed(&head->free, px_pool_free(owner));
    px_store_relaxed(&head->live, px_pool_live(owner));
    px_store_relaxed(&head->retired, px_pool_retired(owner));
    px_store_relaxed(&head->reclaimed, owner->reclaimed);
}

uint32_t px_pool_reclaim(struct px_pool_owner *owner)
{
    uint64_t oldest = px_rcu_reclaimable(owner->domain);
    uint32_t freed = 0;

    while (owner->boundary != owner->tail && owner->epoch[owner->boundary % owner->pool.nodes] <= oldest) {
        uint32_t index = owner->order[owner->boundary % owner->pool.nodes];

        if (owner->poison)
            fill_with_poison(&owner->pool, index);
        SHADOW_CLOSE(px_pool_at(&owner->pool, index), owner->pool.node_bytes);
        owner->boundary++;
        freed++;
    }
    owner->reclaimed += freed;
    tell_figures(owner);
    return freed;
}
