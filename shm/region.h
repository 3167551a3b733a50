/*
 * The region: one memfd that every process of the engine maps, wherever its kernel puts it. It is a cache; the store is the truth.
 *
 *   +--------+-------------------------------------------+--------------------------------------------------+
 *   | header | yard: roles, stats, RCU slots, ring yards | data: directory, slots, rings, queues            |
 *   +--------+-------------------------------------------+--------------------------------------------------+
 *   0        PX_SHM_HEADER_BYTES                         yard_bytes                                  size
 *
 * Everybody writes in the yard, each in its own slots; a process that only reads may map everything else read-only. Sections come
 * from one table, which makes the view, the offsets, and the hash that refuses a region of another layout.
 */
#pragma once

#include "shm/extremes.h"
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
    uint32_t spare;
    uint64_t tick_capacity;  /* events in the tick ring, power of two */
    uint64_t event_capacity; /* alert events, likewise */
    uint64_t fire_capacity, arm_capacity;
};

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
    X(fires, struct px_queue, px_queue_bytes(p->fire_capacity, sizeof(struct px_fire)))                                \
    X(arms, struct px_queue, px_queue_bytes(p->arm_capacity, sizeof(struct px_arm)))                                   \
    X(windows, struct px_window_set, (size_t)p->assets * sizeof(struct px_window_set))                                 \
    X(extremes, struct px_extremes, px_extremes_bytes(p->assets, p->tick_capacity))

enum px_shm_section {
#define PX_SHM_ENUM(name, type, bytes) PX_SHM_##name,
    PX_SHM_YARD_TABLE(PX_SHM_ENUM) PX_SHM_YARD_END,
    PX_SHM_YARD_LAST = PX_SHM_YARD_END - 1,
    PX_SHM_DATA_TABLE(PX_SHM_ENUM)
#undef PX_SHM_ENUM
        PX_SHM_SECTIONS
};

#define PX_SHM_MAGIC        UINT64_C(0x314d48535850a55a)
#define PX_SHM_ABI_MAJOR    1
#define PX_SHM_ABI_MINOR    0
#define PX_SHM_HEADER_BYTES 4096

enum px_shm_state { PX_SHM_BUILDING, PX_SHM_READY, PX_SHM_RETIRED };

/* Writer: supervisor. Constant once `state` is ready, which is stored last. */
struct px_shm_header {
    uint64_t magic;
    uint32_t abi_major, abi_minor;
    uint64_t layout_hash;  /* of sizes, offsets and parameters */
    uint64_t size;         /* of the whole region */
    uint64_t boot_hash;    /* of the kernel's boot id: px_mono means nothing in another boot */
    uint64_t generation;   /* of the data folder; "k<generation>" is the epoch that clients see */
    int64_t created_ns;    /* wall */
    int32_t supervisor_pid;
    uint32_t word_bits;
    uint64_t endian;       /* 0x0102030405060708 as this machine writes it */
    struct px_shm_params params;
    uint64_t yard_bytes;
    uint64_t offset[PX_SHM_SECTIONS];
    uint32_t state;        /* enum px_shm_state; store-release, last */
};

enum px_shm_access { PX_SHM_READ_ONLY, PX_SHM_READ_WRITE };

/* The region as one process sees it: typed pointers into its own mapping. The caller owns the struct. */
struct px_shm {
    void *base;
    size_t size;
    int fd; /* not owned after attach */
    enum px_shm_access access;
    struct px_shm_header *header;
#define PX_SHM_MEMBER(name, type, bytes) type *name;
    PX_SHM_YARD_TABLE(PX_SHM_MEMBER) PX_SHM_DATA_TABLE(PX_SHM_MEMBER)
#undef PX_SHM_MEMBER
        struct px_symbols directory; /* views made of the sections above */
    struct px_rcu_view domain;
};

/*
 * Makes, reserves, populates and formats a region; state is BUILDING until px_shm_ready. The memory is reserved at once, so that nobody dies of
 * SIGBUS later. PX_E_MEMORY, PX_E_SYSTEM. *shm owns the memfd. May take tens of ms. Supervisor, before any fork; tests.
 */
int px_shm_create(const struct px_shm_params *params, uint64_t generation, struct px_shm *shm);
void px_shm_ready(struct px_shm *shm);

#define PX_SHM_REASON_SIZE 160

/*
 * Maps the region in `fd` at an address of the kernel's choice. With PX_SHM_READ_ONLY everything but the yard is mapped read-only.
 * Refuses with PX_E_LAYOUT and a sentence in `reason` what is not a ready region of this very layout, size, word, version and boot.
 */
int px_shm_attach(int fd, enum px_shm_access access, struct px_shm *shm, char reason[PX_SHM_REASON_SIZE]);

/* Unmaps; closes the memfd if the view came from px_shm_create. */
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

static inline px_candle_slot *px_shm_candle(const struct px_shm *shm, px_asset_id asset)
{
    PX_CHECK(asset < shm->header->params.assets);
    return &shm->candles[asset];
}
