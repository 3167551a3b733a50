#include "engine/ingest/publish_private.h"

#include <stdlib.h>

/* What the slots of an asset hold, so that the writer need not read them back. */
struct live {
    struct px_price_value price;
    struct px_detail_value detail;
};

struct pxi_publisher {
    struct px_shm *shm;
    uint64_t incarnation;
    uint32_t asset_count;
    unsigned count, limit;
    struct px_tick batch[PXI_BATCH];
    struct live live[];
};

int pxi_publisher_create(const struct px_heritage *heritage, struct pxi_publisher **publisherp)
{
    uint32_t assets = heritage->config->asset_count;
    struct pxi_publisher *publisher = calloc(1, sizeof *publisher + assets * sizeof publisher->live[0]);

    if (!publisher)
        return PX_E_MEMORY;
    PX_CHECK(assets <= heritage->shm->header->params.assets);
    publisher->shm = heritage->shm;
    publisher->incarnation = heritage->incarnation;
    publisher->asset_count = assets;
    publisher->limit = (unsigned)PX_MIN((uint64_t)PXI_BATCH, heritage->shm->ticks->capacity / 8);
    PX_CHECK(publisher->limit > 0);
    *publisherp = publisher;
    return 0;
}

void pxi_publisher_destroy(struct pxi_publisher **publisherp)
{
    free(*publisherp);
    *publisherp = NULL;
}

static uint64_t next_position(const struct pxi_publisher *publisher)
{
    return px_ring_tail(publisher->shm->ticks) + publisher->count;
}

static void append(struct pxi_publisher *publisher, const struct px_tick *tick)
{
    publisher->batch[publisher->count++] = *tick;
    if (publisher->count == publisher->limit)
        pxi_publisher_flush(publisher);
}

void pxi_publisher_flush(struct pxi_publisher *publisher)
{
    if (publisher->count == 0)
        return;
    px_ring_publish(publisher->shm->ticks, publisher->shm->ticks_yard, publisher->batch, publisher->count);
    publisher->count = 0;
}

static void write_detail(struct pxi_publisher *publisher, px_asset_id asset)
{
    px_latch_write(px_shm_detail(publisher->shm, asset), &publisher->live[asset].detail);
}

/* The price slot got a trade that the detail slot never saw. */
static void complete_detail(struct live *live, uint64_t tail)
{
    live->detail.price = live->price.price;
    live->detail.size = 0;
    live->detail.time_ns = live->detail.recv_ns = live->price.time_ns;
    live->detail.sseq = live->price.sseq;
    live->detail.position = tail;
}

static void publish_again(struct pxi_publisher *publisher, px_asset_id asset)
{
    struct px_detail_value *detail = &publisher->live[asset].detail;
    bool trade = publisher->live[asset].price.sseq == detail->sseq;
    struct px_tick tick = {
        .asset = asset,
        .venue = (px_venue_id)detail->venue,
        .flags = (uint16_t)(trade ? PX_TICK_AFTER_GAP : PX_TICK_QUOTE | PX_TICK_AFTER_GAP),
        .price = trade ? detail->price : detail->bid,
        .size = trade ? detail->size : detail->ask,
        .time_ns = detail->time_ns,
        .recv_ns = detail->recv_ns,
        .trade_id = trade ? detail->trade_id : 0,
        .sseq = detail->sseq,
    };

    detail->position = next_position(publisher);
    write_detail(publisher, asset);
    append(publisher, &tick);
}

static void forget(struct live *live)
{
    live->price = (struct px_price_value){.price = PX_PRICE_NONE};
    live->detail = (struct px_detail_value){
        .price = PX_PRICE_NONE, .size = PX_PRICE_NONE, .bid = PX_PRICE_NONE, .ask = PX_PRICE_NONE};
}

static void take_over_asset(struct pxi_publisher *publisher, px_asset_id asset, uint64_t tail)
{
    px_price_slot *price = px_shm_price(publisher->shm, asset);
    px_detail_slot *detail = px_shm_detail(publisher->shm, asset);
    struct live *live = &publisher->live[asset];

    px_latch_takeover(price, publisher->incarnation);
    px_latch_takeover(detail, publisher->incarnation);
    px_latch_read(price, &live->price);
    px_latch_read(detail, &live->detail);
    if (live->price.sseq == 0 && live->detail.sseq == 0) {
        forget(live);
        return;
    }
    if (live->detail.sseq == 0) {
        struct px_price_value first = live->price;
        forget(live);
        live->price = first;
    }
    if (live->price.sseq == 0)
        live->price.price = PX_PRICE_NONE;
    if (live->price.sseq > live->detail.sseq)
        complete_detail(live, tail);
    if (live->detail.position >= tail)
        publish_again(publisher, asset);
}

void pxi_publisher_takeover(struct pxi_publisher *publisher)
{
    uint64_t tail;

    px_ring_takeover(publisher->shm->ticks, publisher->shm->ticks_yard);
    tail = px_ring_tail(publisher->shm->ticks);
    for (px_asset_id asset = 0; asset < publisher->asset_count; asset++)
        take_over_asset(publisher, asset, tail);
    pxi_publisher_flush(publisher);
}

struct px_detail_value pxi_publisher_detail(const struct pxi_publisher *publisher, px_asset_id asset)
{
    return publisher->live[asset].detail;
}

static void fill_slots(struct pxi_publisher *publisher, const struct pxi_observation *observation,
                       uint32_t fresh_sources)
{
    struct live *live = &publisher->live[observation->asset];
    struct px_detail_value *detail = &live->detail;

    detail->sseq++;
    detail->position = next_position(publisher);
    detail->time_ns = observation->time_ns;
    detail->recv_ns = observation->recv_ns;
    detail->fresh_sources = fresh_sources;
    if (detail->venue != observation->venue) /* ids of another venue mean nothing here */
        detail->trade_id = 0;
    detail->venue = observation->venue;
    if (observation->quote) {
        detail->bid = observation->price;
        detail->ask = observation->size;
    } else {
        detail->price = observation->price;
        detail->size = observation->size;
        detail->trade_id = PX_MAX(detail->trade_id, observation->trade_id);
        live->price = (struct px_price_value){observation->price, observation->time_ns, detail->sseq};
        px_latch_write(px_shm_price(publisher->shm, observation->asset), &live->price);
    }
    write_detail(publisher, observation->asset);
}

void pxi_publish(struct pxi_publisher *publisher, const struct pxi_observation *observation, uint16_t flags,
                 uint32_t fresh_sources)
{
    struct px_tick tick = {
        .asset = observation->asset,
        .venue = observation->venue,
        .flags = flags,
        .price = observation->price,
        .size = observation->size,
        .time_ns = observation->time_ns,
        .recv_ns = observation->recv_ns,
        .trade_id = observation->trade_id,
    };

    if (observation->quote)
        tick.flags |= PX_TICK_QUOTE;
    if (observation->side == PX_SIDE_BUY)
        tick.flags |= PX_TICK_BUYER;
    if (!(flags & PX_TICK_QUARANTINED))
        fill_slots(publisher, observation, fresh_sources);
    tick.sseq = publisher->live[observation->asset].detail.sseq;
    append(publisher, &tick);
}
