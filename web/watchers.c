/* cds_lfht with a fixed number of buckets: without resizing it needs no thread of its own. */
#include "web/watchers.h"

#include <stdlib.h>

#include "base/error.h"
#include "shm/atomic.h"
#include "web/rcu.h"

#include <urcu/rculfhash.h> /* behind the flavour */

#define BUCKETS_MIN 64
#define BUCKETS_MAX 16384 /* 256 KB */

struct entry {
    struct cds_lfht_node node;
    struct rcu_head rcu;
    struct px_watchers *owner;
    px_asset_id asset;
    uint32_t count;          /* the live thread; read by all */
    bool idle;               /* the live thread: on the list */
    struct entry *next_idle; /* likewise */
};

struct px_watchers {
    struct cds_lfht *table;
    uint32_t assets_max;
    uint32_t assets;  /* with watchers; the live thread */
    uint32_t pending; /* +1 by the live thread, -1 by liburcu's */
    struct entry *idle;
};

static unsigned long hash_of(px_asset_id asset)
{
    return (unsigned long)((asset * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

static int is_asset(struct cds_lfht_node *node, const void *key)
{
    struct entry *entry = caa_container_of(node, struct entry, node);

    PX_MEMB_REACHED(entry);
    return entry->asset == *(const px_asset_id *)key;
}

/* Inside a read section. */
static struct entry *find(struct px_watchers *watchers, px_asset_id asset)
{
    struct cds_lfht_iter iter;

    cds_lfht_lookup(watchers->table, hash_of(asset), is_asset, &asset, &iter);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    return node ? caa_container_of(node, struct entry, node) : NULL;
}

/* ---- the live thread ---- */

/* It alone takes entries out, so what it has found stays without a read section. */
static struct entry *find_own(struct px_watchers *watchers, px_asset_id asset)
{
    urcu_memb_read_lock();
    struct entry *entry = find(watchers, asset);
    urcu_memb_read_unlock();
    return entry;
}

static struct entry *make(struct px_watchers *watchers, px_asset_id asset)
{
    struct entry *entry = calloc(1, sizeof *entry);

    if (!entry)
        return NULL;
    entry->owner = watchers;
    entry->asset = asset;
    cds_lfht_node_init(&entry->node);
    PX_MEMB_FILLED(entry);
    urcu_memb_read_lock();
    cds_lfht_add(watchers->table, hash_of(asset), &entry->node);
    urcu_memb_read_unlock();
    return entry;
}

int px_watchers_add(struct px_watchers *watchers, px_asset_id asset)
{
    PX_CHECK(asset < watchers->assets_max);
    struct entry *entry = find_own(watchers, asset);
    if (!entry)
        entry = make(watchers, asset);
    if (!entry)
        return PX_E_MEMORY;
    px_store_relaxed(&entry->count, entry->count + 1);
    if (entry->count == 1)
        px_store_relaxed(&watchers->assets, watchers->assets + 1);
    return 0;
}

void px_watchers_remove(struct px_watchers *watchers, px_asset_id asset)
{
    struct entry *entry = find_own(watchers, asset);

    PX_CHECK(entry && entry->count > 0);
    px_store_relaxed(&entry->count, entry->count - 1);
    if (entry->count > 0)
        return;
    px_store_relaxed(&watchers->assets, watchers->assets - 1);
    if (entry->idle)
        return;
    entry->idle = true;
    entry->next_idle = watchers->idle;
    watchers->idle = entry;
}

static void entry_free(struct rcu_head *head)
{
    struct entry *entry = caa_container_of(head, struct entry, rcu);

    PX_MEMB_UNREACHABLE(entry);
    __atomic_fetch_sub(&entry->owner->pending, 1, __ATOMIC_RELEASE);
    free(entry);
}

static void take_out(struct px_watchers *watchers, struct entry *entry)
{
    urcu_memb_read_lock();
    PX_CHECK(cds_lfht_del(watchers->table, &entry->node) == 0);
    urcu_memb_read_unlock();
    __atomic_fetch_add(&watchers->pending, 1, __ATOMIC_RELAXED);
    PX_MEMB_LEFT(entry);
    px_memb_free_later(&entry->rcu, entry_free);
}

void px_watchers_sweep(struct px_watchers *watchers)
{
    struct entry *entry;

    while ((entry = watchers->idle) && px_load_acquire(&watchers->pending) < watchers->assets_max) {
        watchers->idle = entry->next_idle;
        entry->idle = false;
        if (entry->count == 0)
            take_out(watchers, entry);
    }
}

/* ---- everybody ---- */

uint32_t px_watchers_of(struct px_watchers *watchers, px_asset_id asset)
{
    uint32_t count = 0;

    urcu_memb_read_lock();
    struct entry *entry = find(watchers, asset);
    if (entry) {
        count = px_load_relaxed(&entry->count);
        PX_MEMB_LEFT(entry);
    }
    urcu_memb_read_unlock();
    return count;
}

uint32_t px_watchers_assets(const struct px_watchers *watchers)
{
    return px_load_relaxed(&watchers->assets);
}

uint32_t px_watchers_pending(const struct px_watchers *watchers)
{
    return px_load_acquire(&watchers->pending);
}

/* ---- its life ---- */

static unsigned long buckets_for(uint32_t assets)
{
    unsigned long buckets = BUCKETS_MIN;

    while (buckets < assets && buckets < BUCKETS_MAX)
        buckets *= 2;
    return buckets;
}

int px_watchers_create(uint32_t assets, struct px_watchers **watchersp)
{
    struct px_watchers *watchers = calloc(1, sizeof *watchers);
    unsigned long buckets = buckets_for(assets);

    if (!watchers)
        return PX_E_MEMORY;
    watchers->assets_max = assets;
    watchers->table = cds_lfht_new_flavor(buckets, buckets, buckets, 0, &urcu_memb_flavor, NULL);
    if (!watchers->table) {
        free(watchers);
        return PX_E_MEMORY;
    }
    *watchersp = watchers;
    return 0;
}

static void take_out_all(struct px_watchers *watchers)
{
    struct cds_lfht_iter iter;
    struct entry *entry;

    urcu_memb_read_lock();
    cds_lfht_for_each_entry(watchers->table, &iter, entry, node)
    {
        take_out(watchers, entry);
    }
    urcu_memb_read_unlock();
}

void px_watchers_destroy(struct px_watchers **watchersp)
{
    struct px_watchers *watchers = *watchersp;

    if (!watchers)
        return;
    take_out_all(watchers);
    urcu_memb_barrier();
    PX_CHECK(px_load_acquire(&watchers->pending) == 0);
    PX_CHECK(cds_lfht_destroy(watchers->table, NULL) == 0);
    free(watchers);
    *watchersp = NULL;
}
