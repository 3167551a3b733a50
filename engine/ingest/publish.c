#include "engine/ingest/publish_private.h"

#include <stdlib.h>

/* What the slots of an asset hold once the batch is flushed. */
struct live {
    struct px_price_value price;
    struct px_detail_value detail;
    int64_t newest_ns;    /* highest time among its trades */
    uint64_t price_sseq;  /* of the trade that the price slot shows */
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

/* The last tick of its asset in the batch: the slots show what is in force after it. */
static void write_slots(struct pxi_publisher *publisher, const struct px_tick *tick, uint64_t position)
{
    struct live *live = &publisher->live[tick->asset];

    if ((tick->flags & PX_TICK_QUARANTINED) || live->detail.position != position)
        return;
    if (live->price.sseq != live->price_sseq) {
        px_latch_write(px_shm_price(publisher->shm, tick->asset), &live->price);
        live->price_sseq = live->price.sseq;
    }
    px_latch_write(px_shm_detail(publisher->shm, tick->asset), &live->detail);
}

static const uint64_t *evaluator_cursor(const struct pxi_publisher *publisher, unsigned evaluator)
{
    return &publisher->shm->ticks_yard->cursor[px_evaluator_slot(evaluator)].position;
}

void pxi_publisher_flush(struct pxi_publisher *publisher)
{
    struct px_shm *shm = publisher->shm;
    uint64_t tail = px_ring_tail(shm->ticks);

    if (publisher->count == 0)
        return;
    for (unsigned i = 0; i < px_shm_evaluators(shm); i++)
        px_extremes_before(px_shm_extremes(shm, i), shm->ticks, evaluator_cursor(publisher, i), publisher->asset_count, publisher->count);
    px_ring_stage(shm->ticks, publisher->batch, publisher->count);
    for (unsigned i = 0; i < publisher->count; i++)
        write_slots(publisher, &publisher->batch[i], tail + i);
    px_ring_commit(shm->ticks, shm->ticks_yard);
    publisher->count = 0;
}

static void forget(struct live *live)
{
    live->price = (struct px_price_value){.price = PX_PRICE_NONE};
    live->detail = (struct px_detail_value){
        .price = PX_PRICE_NONE, .size = PX_PRICE_NONE, .bid = PX_PRICE_NONE, .ask = PX_PRICE_NONE};
}

/* Its trades' clock goes on from the asset's last tick; from the price's time where the ring has lost that one. */
static int64_t newest_of(const struct pxi_publisher *publisher, px_asset_id asset)
{
    const struct live *live = &publisher->live[asset];
    struct px_tick tick;
    uint64_t count;

    if (live->detail.sseq > 0 &&
        px_ring_read(publisher->shm->ticks, live->detail.position, &tick, 1, &count) == 0 && count == 1)
        return tick.newest_ns;
    return live->price.sseq > 0 ? live->price.time_ns : 0;
}

static void take_over_asset(struct pxi_publisher *publisher, px_asset_id asset)
{
    px_price_slot *price = px_shm_price(publisher->shm, asset);
    px_detail_slot *detail = px_shm_detail(publisher->shm, asset);
    struct live *live = &publisher->live[asset];

    px_latch_takeover(price, publisher->incarnation);
    px_latch_takeover(detail, publisher->incarnation);
    px_latch_read(price, &live->price);
    px_latch_read(detail, &live->detail);
    if (live->detail.sseq == 0) { /* the price slot alone may have been written: the staged batch has its tick */
        forget(live);
        return;
    }
    if (live->price.sseq == 0)
        live->price.price = PX_PRICE_NONE;
    live->price_sseq = live->price.sseq;
    live->newest_ns = newest_of(publisher, asset);
}

static void apply(struct live *live, const struct px_tick *tick, uint64_t position)
{
    struct px_detail_value *detail = &live->detail;

    detail->sseq = tick->sseq;
    detail->position = position;
    detail->time_ns = tick->time_ns;
    detail->recv_ns = tick->recv_ns;
    if (detail->venue != tick->venue) /* ids of another venue mean nothing here */
        detail->trade_id = 0;
    detail->venue = tick->venue;
    live->newest_ns = tick->newest_ns;
    if (tick->flags & PX_TICK_QUOTE) {
        detail->bid = tick->price;
        detail->ask = tick->size;
    } else {
        detail->price = tick->price;
        detail->size = tick->size;
        detail->trade_id = PX_MAX(detail->trade_id, tick->trade_id);
        live->price = (struct px_price_value){tick->price, tick->time_ns, tick->sseq};
    }
}

/* A predecessor's batch that is whole but was not told: the slots that lack it get it, and the ring's tail is raised. */
static void finish_staged(struct pxi_publisher *publisher)
{
    struct px_ring *ring = publisher->shm->ticks;
    uint64_t tail = px_ring_tail(ring), count = px_ring_staged(ring);
    struct px_tick tick;

    for (unsigned pass = 0; pass < 2; pass++) /* all of it is applied before anything is written */
        for (uint64_t i = 0; i < count; i++) {
            px_ring_staged_event(ring, i, &tick);
            struct live *live = &publisher->live[tick.asset];
            if (pass == 0 && !(tick.flags & PX_TICK_QUARANTINED) && tick.sseq > live->detail.sseq)
                apply(live, &tick, tail + i);
            else if (pass == 1)
                write_slots(publisher, &tick, tail + i);
        }
    if (count > 0)
        px_ring_commit(ring, publisher->shm->ticks_yard);
}

void pxi_publisher_takeover(struct pxi_publisher *publisher)
{
    struct px_shm *shm = publisher->shm;

    for (unsigned i = 0; i < px_shm_evaluators(shm); i++)
        px_extremes_takeover(px_shm_extremes(shm, i), shm->ticks, evaluator_cursor(publisher, i), publisher->asset_count,
                             publisher->incarnation);
    px_ring_takeover(shm->ticks, shm->ticks_yard);
    for (px_asset_id asset = 0; asset < publisher->asset_count; asset++)
        take_over_asset(publisher, asset);
    finish_staged(publisher);
}

struct px_detail_value pxi_publisher_detail(const struct pxi_publisher *publisher, px_asset_id asset)
{
    return publisher->live[asset].detail;
}

void pxi_publish(struct pxi_publisher *publisher, const struct pxi_observation *observation, uint16_t flags,
                 uint32_t fresh_sources)
{
    struct live *live = &publisher->live[observation->asset];
    struct px_tick tick = {
        .asset = observation->asset,
        .venue = observation->venue,
        .flags = flags,
        .price = observation->price,
        .size = observation->size,
        .time_ns = observation->time_ns,
        .recv_ns = observation->recv_ns,
        .trade_id = observation->trade_id,
        .sseq = live->detail.sseq,
        .newest_ns = live->newest_ns,
    };

    if (observation->quote)
        tick.flags |= PX_TICK_QUOTE;
    else if (!(flags & PX_TICK_QUARANTINED))
        tick.newest_ns = PX_MAX(live->newest_ns, observation->time_ns);
    if (observation->side == PX_SIDE_BUY)
        tick.flags |= PX_TICK_BUYER;
    if (!(flags & PX_TICK_QUARANTINED)) {
        tick.sseq++;
        apply(live, &tick, next_position(publisher));
        live->detail.fresh_sources = fresh_sources;
    }
    append(publisher, &tick);
}
