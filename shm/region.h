/*
 * The region: two memfds that every process of the engine maps side by side, wherever its kernel puts them. It is a cache; the store
 * is the truth.
 *
 *     memfd "pxengine-yard"                      memfd "pxengine"
 *   +------------------------------------------+--------+-------------------------------------------------------+
 *   | roles, stats, RCU slots, ring yards      | header | directory, slots, rings, queues                       |
 *   +------------------------------------------+--------+-------------------------------------------------------+
 *   base                                       yard_bytes (on the border of a huge page)                        size
 *
 * Everybody writes in the yard, each in its own slots. The data is sealed by px_shm_seal: the mapping of the supervisor, and those of
 * the writers that inherit it over fork(), are the last that can write there; a process that attaches by descriptor reads, and no call
 * of its own can change that. Sections come from one table, which makes the view, the offsets, and the hash that refuses a region of
 * another layout.
 */
#pragma once

#include "shm/depth.h"
#include "shm/extremes.h"
#include "shm/levels.h"
#include "shm/queue.h"
#include "shm/rcu.h"
#include "shm/ring.h"
#include "shm/roles.h"
#include "shm/series.h"
#include "shm/stats.h"
#include "shm/symbols.h"
#include "shm/tick.h"

struct px_shm_params {
    uint32_t assets;         /* capacity of the directory */
    uint32_t evaluators;     /* 1..PX_EVALUATORS_MAX; 0 is 1 */
    uint64_t tick_capacity;  /* events in the tick ring, power of two */
    uint64_t event_capacity; /* alert events, likewise */
    uint64_t hit_capacity, seed_capacity;
};

/* Each evaluator has a hit queue, a seed queue and extremes of its own: so far apart do they lie. */
static inline size_t px_shm_stride(size_t bytes)
{
    return (bytes + PX_FALSE_SHARING - 1) / PX_FALSE_SHARING * PX_FALSE_SHARING;
}

static inline uint32_t px_shm_evaluators_of(const struct px_shm_params *params)
{
    return params->evaluators == 0 ? 1 : params->evaluators;
}

static inline size_t px_shm_hits_stride(const struct px_shm_params *params)
{
    return px_shm_stride(px_queue_bytes(params->hit_capacity, sizeof(struct px_hit)));
}

static inline size_t px_shm_seeds_stride(const struct px_shm_params *params)
{
    return px_shm_stride(px_queue_bytes(params->seed_capacity, sizeof(struct px_seed)));
}

static inline size_t px_shm_extremes_stride(const struct px_shm_params *params)
{
    return px_shm_stride(px_extremes_bytes(params->assets, params->tick_capacity));
}

/* name, type of the member in struct px_shm, bytes given params p; the yard first, in the order in which they lie */
#define PX_SHM_YARD_TABLE(X)                                                                                           \
    X(roles, struct px_role_slot, PX_ROLE_SLOTS * sizeof(struct px_role_slot))                                         \
    X(stats, struct px_stats, PX_ROLE_SLOTS * sizeof(struct px_stats))                                                 \
    X(rcu_slots, struct px_rcu_slots, sizeof(struct px_rcu_slots))                                                     \
    X(ticks_yard, struct px_ring_yard, sizeof(struct px_ring_yard))                                                    \
    X(events_yard, struct px_ring_yard, sizeof(struct px_ring_yard))

#define PX_SHM_DATA_TABLE(X)                                                                                           \
    X(rcu, struct px_rcu, sizeof(struct px_rcu))                                                                       \
    X(symbol_head, struct px_symbol_head, sizeof(struct px_symbol_head))                                               \
    X(symbol_block, struct px_symbol_block, 2 * sizeof(struct px_symbol_block))                                        \
    X(symbol, struct px_symbol, 2 * (size_t)p->assets * sizeof(struct px_symbol))                                      \
    X(symbol_bucket, uint32_t, 2 * (size_t)px_symbols_buckets(p->assets) * sizeof(uint32_t))                           \
    X(prices, px_price_slot, (size_t)p->assets * sizeof(px_price_slot))                                                \
    X(details, px_detail_slot, (size_t)p->assets * sizeof(px_detail_slot))                                             \
    X(averages, px_average_slot, (size_t)p->assets * sizeof(px_average_slot))                                          \
    X(candles, px_candle_slot, (size_t)p->assets * sizeof(px_candle_slot))                                             \
    X(ticks, struct px_ring, px_ring_bytes(p->tick_capacity, sizeof(struct px_tick)))                                  \
    X(events, struct px_ring, px_ring_bytes(p->event_capacity, sizeof(struct px_alert_event)))                         \
    X(hits, struct px_queue, px_shm_evaluators_of(p) * px_shm_hits_stride(p))                                           \
    X(seeds, struct px_queue, px_shm_evaluators_of(p) * px_shm_seeds_stride(p))                                         \
    X(levels, px_levels_slot, (size_t)p->assets * sizeof(px_levels_slot))                                              \
    X(watch, struct px_watch, (size_t)p->assets * sizeof(struct px_watch))                                             \
    X(depth_root, uint32_t, (size_t)p->assets * PX_SERIES * 2 * sizeof(uint32_t))                                      \
    X(depth_pool, char, px_depth_pool_bytes(px_depth_blocks(p->assets)))                                               \
    X(windows, struct px_window_set, (size_t)p->assets * sizeof(struct px_window_set))                                 \
    X(redo, px_redo_slot, PX_ROLE_SLOTS * sizeof(px_redo_slot))                                                        \
    X(extremes, struct px_extremes, px_shm_evaluators_of(p) * px_shm_extremes_stride(p))

enum px_shm_section {
#define PX_SHM_ENUM(name, type, bytes) PX_SHM_##name,
    PX_SHM_YARD_TABLE(PX_SHM_ENUM) PX_SHM_YARD_END,
    PX_SHM_YARD_LAST = PX_SHM_YARD_END - 1,
    PX_SHM_DATA_TABLE(PX_SHM_ENUM)
#undef PX_SHM_ENUM
        PX_SHM_SECTIONS
};

/*
 * A region outlives the program that made it. The layout hash sees another size or offset; another meaning of the same bytes it does
 * not see: raise the major number.
 */
#define PX_SHM_MAGIC        UINT64_C(0x314d48535850a55a)
#define PX_SHM_ABI_MAJOR    4
#define PX_SHM_ABI_MINOR    0
#define PX_SHM_HEADER_BYTES 4096
#define PX_SHM_ASSETS_MAX   (1u << 24)

enum px_shm_state { PX_SHM_BUILDING, PX_SHM_READY };

/* What the machine gave. */
enum px_shm_flag {
    PX_SHM_LOCKED = 1,           /* mlock: never swapped out */
    PX_SHM_HUGE_RESERVED = 2,    /* huge pages of the administrator's pool */
    PX_SHM_HUGE_TRANSPARENT = 4, /* huge pages that the kernel found */
};

/* Writer: supervisor. Constant once `state` is ready, which is stored last. */
struct px_shm_header {
    uint64_t magic;
    uint32_t abi_major, abi_minor;
    uint64_t layout_hash;  /* of sizes, offsets and parameters */
    uint64_t size;         /* of both files */
    uint64_t boot_hash;    /* of the kernel's boot id: px_mono means nothing in another boot */
    uint64_t generation;   /* of the data folder; "k<generation>" is the epoch that clients see */
    int64_t created_ns;    /* wall */
    int32_t supervisor_pid;
    uint32_t word_bits;
    uint32_t flags;        /* enum px_shm_flag */
    uint32_t boots;        /* supervisors that the region has had, from 1 */
    uint64_t config_hash;  /* of what the sections' meaning depends on; the supervisor's business */
    uint64_t yard_inode;   /* the yard that belongs to this data */
    uint64_t endian;       /* 0x0102030405060708 as this machine writes it */
    struct px_shm_params params;
    uint64_t yard_bytes;
    uint64_t offset[PX_SHM_SECTIONS];
    uint32_t state;        /* enum px_shm_state; store-release, last */
};

enum px_shm_access { PX_SHM_READ_ONLY, PX_SHM_READ_WRITE };

struct px_shm_files {
    int data, yard;
};
#define PX_SHM_NO_FILES ((struct px_shm_files){-1, -1})

/* The region as one process sees it: typed pointers into its own mapping. The caller owns the struct. */
struct px_shm {
    void *base;
    size_t size;
    struct px_shm_files files; /* owned; -1 in a view that has been attached or moved */
    enum px_shm_access access;
    struct px_shm_header *header;
#define PX_SHM_MEMBER(name, type, bytes) type *name;
    PX_SHM_YARD_TABLE(PX_SHM_MEMBER) PX_SHM_DATA_TABLE(PX_SHM_MEMBER)
#undef PX_SHM_MEMBER
        struct px_symbols directory; /* views made of the sections above */
    struct px_rcu_view domain;
    struct px_pool depth;
};

/* Assets are dealt out to the evaluators by number: evaluator k has those with asset % evaluators == k. */
static inline uint32_t px_shm_evaluators(const struct px_shm *shm)
{
    return px_shm_evaluators_of(&shm->header->params);
}

static inline struct px_queue *px_shm_hits(const struct px_shm *shm, unsigned evaluator)
{
    return (struct px_queue *)(void *)((char *)shm->hits + evaluator * px_shm_hits_stride(&shm->header->params));
}

static inline struct px_queue *px_shm_seeds(const struct px_shm *shm, unsigned evaluator)
{
    return (struct px_queue *)(void *)((char *)shm->seeds + evaluator * px_shm_seeds_stride(&shm->header->params));
}

static inline struct px_extremes *px_shm_extremes(const struct px_shm *shm, unsigned evaluator)
{
    return (struct px_extremes *)(void *)((char *)shm->extremes + evaluator * px_shm_extremes_stride(&shm->header->params));
}

/*
 * Makes, reserves, populates, locks and formats a region; state is BUILDING until px_shm_ready. Huge pages and the lock are had where
 * the machine gives them; header->flags says so. All memory is reserved at once, so that nobody dies of SIGBUS later. PX_E_MEMORY,
 * PX_E_SYSTEM; PX_E_RANGE for over PX_SHM_ASSETS_MAX assets. *shm owns the memfds. May take tens of ms. Supervisor, before any fork;
 * tests.
 */
int px_shm_create(const struct px_shm_params *params, uint64_t generation, struct px_shm *shm);
void px_shm_ready(struct px_shm *shm);

/*
 * Makes a region that goes on where `old` stands, a view of a ready region that no process uses any more: the same contents and
 * generation, one boot more, no process in the yard's slots, no sleeper on a wake word. A copy, because nobody can write into a sealed
 * one again; *shm is as after px_shm_create, BUILDING. PX_E_MEMORY, PX_E_SYSTEM.
 */
int px_shm_inherit(const struct px_shm *old, struct px_shm *shm);

/*
 * From now on no new mapping can write to the data, neither can write(2), and neither file can change its size. The mapping of the
 * caller and of whoever inherits it over fork() stay writable. PX_E_SYSTEM on a kernel before 5.1. Supervisor, before the first fork.
 */
int px_shm_seal(const struct px_shm *shm);

/*
 * For a writer, after the fork: moves the inherited mapping to another address and closes the memfds. PX_E_MEMORY leaves the process
 * without a region.
 */
int px_shm_move(struct px_shm *shm);

#define PX_SHM_REASON_SIZE 160

/*
 * Maps the region in `files` at an address of its own. With PX_SHM_READ_ONLY everything but the yard is read-only; PX_SHM_READ_WRITE
 * is PX_E_FORBIDDEN once the data is sealed. Refuses with PX_E_LAYOUT what is not a ready region of this very layout, size, word,
 * version and boot. On any error `reason` holds a sentence. The descriptors stay the caller's.
 */
int px_shm_attach(struct px_shm_files files, enum px_shm_access access, struct px_shm *shm,
                  char reason[PX_SHM_REASON_SIZE]);

/* Unmaps; closes the memfds that the view owns. */
void px_shm_detach(struct px_shm *shm);

/* FNV-1a over the table of sections with these parameters. */
uint64_t px_shm_layout_hash(const struct px_shm_params *params);

/* Index-checked access: asset < params.assets, else it cannot happen. */
static inline px_price_slot *px_shm_price(const struct px_shm *shm, px_asset_id asset)
{
    PX_CHECK(asset < shm->header->params.assets);
    return &shm->prices[asset];
}

static inline px_detail_slot *px_shm_detail(const struct px_shm *shm, px_asset_id asset)
{
    PX_CHECK(asset < shm->header->params.assets);
    return &shm->details[asset];
}

static inline px_average_slot *px_shm_average(const struct px_shm *shm, px_asset_id asset)
{
    PX_CHECK(asset < shm->header->params.assets);
    return &shm->averages[asset];
}

static inline px_levels_slot *px_shm_levels(const struct px_shm *shm, px_asset_id asset)
{
    PX_CHECK(asset < shm->header->params.assets);
    return &shm->levels[asset];
}

static inline struct px_watch *px_shm_watch(const struct px_shm *shm, px_asset_id asset)
{
    PX_CHECK(asset < shm->header->params.assets);
    return &shm->watch[asset];
}

static inline px_candle_slot *px_shm_candle(const struct px_shm *shm, px_asset_id asset)
{
    PX_CHECK(asset < shm->header->params.assets);
    return &shm->candles[asset];
}
