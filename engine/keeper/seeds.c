/*
 * What a new evaluator has to know from before, after a restart of it or of the keeper:
 *
 *   RESET(incarnation)  PRICE and FIELDs of every asset that this region has no tick of yet …  READY(incarnation)
 *
 * Nobody waits in here; what finds no room in the queue goes in a later turn.
 */
#include "base/error.h"
#include "base/log.h"
#include "engine/keeper/keeper_private.h"

static struct px_queue *queue_of(const struct pxi_keeper *keeper, const struct pxi_seeds *seeds)
{
    return px_shm_seeds(keeper->shm, (unsigned)(seeds - keeper->seeds));
}

static int64_t seed_field(const struct pxi_series *series, enum px_seed_field field)
{
    const struct px_candle *day = &series->seed_day, *minute = &series->seed_minute;
    const int64_t value[PX_SEED_FIELDS + 1] = {
        [PX_SEED_DAY_OPEN] = day->open,
        [PX_SEED_DAY_HIGH] = day->high,
        [PX_SEED_DAY_LOW] = day->low,
        [PX_SEED_DAY_VOLUME] = day->volume,
        [PX_SEED_DAY_COUNT] = (int64_t)day->count,
        [PX_SEED_MINUTE_OPEN] = minute->open,
        [PX_SEED_MINUTE_HIGH] = minute->high,
        [PX_SEED_MINUTE_LOW] = minute->low,
        [PX_SEED_MINUTE_CLOSE] = minute->close,
        [PX_SEED_MINUTE_VOLUME] = minute->volume,
        [PX_SEED_MINUTE_COUNT] = (int64_t)minute->count,
        [PX_SEED_MINUTE_AREA_HI] = (int64_t)(minute->area >> 64),
        [PX_SEED_MINUTE_AREA_LO] = (int64_t)minute->area,
        [PX_SEED_MINUTE_DURATION] = minute->duration_ns,
        [PX_SEED_MINUTE_LAST_NS] = minute->last_ns,
        [PX_SEED_MINUTE_VALUE_HI] = (int64_t)(minute->value >> 64),
        [PX_SEED_MINUTE_VALUE_LO] = (int64_t)minute->value,
    };

    return value[field];
}

static void push_fields(struct px_queue *queue, const struct pxi_series *series, px_asset_id asset)
{
    for (unsigned field = PX_SEED_DAY_OPEN; field <= PX_SEED_FIELDS; field++) {
        const struct px_candle *candle = field <= PX_SEED_DAY_COUNT ? &series->seed_day : &series->seed_minute;
        struct px_seed seed = {.value = seed_field(series, field),
                               .start_ns = candle->start_ns,
                               .asset = asset,
                               .field = (uint16_t)field,
                               .action = PX_SEED_FIELD};

        if (candle->count > 0)
            PX_CHECK(px_queue_push(queue, &seed) == 0); /* there is room */
    }
}

/* The price, the day and the minute before a restart, wherever the evaluator has none of this region yet. */
static bool push_seeds(struct pxi_keeper *keeper, struct pxi_seeds *seeds)
{
    struct px_queue *queue = queue_of(keeper, seeds);
    struct px_average_value average;

    for (; seeds->asset < keeper->history.assets; seeds->asset += px_shm_evaluators(keeper->shm)) {
        const struct pxi_series *series = &keeper->history.series[seeds->asset];

        px_latch_read(px_shm_average(keeper->shm, seeds->asset), &average);
        if (!series->known || average.position != 0)
            continue;
        if (queue->capacity - px_queue_length(queue) < PX_SEED_FIELDS + 1)
            return false;
        struct px_seed seed = {.value = series->seeds ? series->seed_price : series->last.price,
                               .start_ns = series->last.time_ns,
                               .asset = seeds->asset,
                               .action = PX_SEED_PRICE};
        PX_CHECK(px_queue_push(queue, &seed) == 0);
        if (series->seeds)
            push_fields(queue, series, seeds->asset);
    }
    return true;
}

static bool push_mark(struct pxi_keeper *keeper, const struct pxi_seeds *seeds, enum px_seed_action action)
{
    struct px_seed mark = {.value = seeds->served, .asset = PX_ASSET_NONE, .action = (uint16_t)action};

    return px_queue_push(queue_of(keeper, seeds), &mark) == 0;
}

/* One step; true when the next may follow. */
static bool step(struct pxi_keeper *keeper, struct pxi_seeds *seeds)
{
    switch (seeds->stream) {
    case PXI_STREAM_RESET:
        return push_mark(keeper, seeds, PX_SEED_RESET);
    case PXI_STREAM_SEED:
        return push_seeds(keeper, seeds);
    case PXI_STREAM_READY:
        return push_mark(keeper, seeds, PX_SEED_READY);
    case PXI_STREAM_NONE:
        break;
    }
    return false;
}

/* Returns whether anything was sent. */
static bool seed_one(struct pxi_keeper *keeper, unsigned evaluator)
{
    struct pxi_seeds *seeds = &keeper->seeds[evaluator];
    struct px_queue *queue = queue_of(keeper, seeds);
    uint32_t incarnation = px_load_acquire(&keeper->shm->roles[px_evaluator_slot(evaluator)].incarnation);
    uint64_t before = px_queue_tail(queue);

    if (incarnation != seeds->served) {
        seeds->stream = PXI_STREAM_RESET;
        seeds->served = incarnation;
        seeds->asset = evaluator;
    }
    while (seeds->stream != PXI_STREAM_NONE && step(keeper, seeds))
        seeds->stream = seeds->stream == PXI_STREAM_READY ? PXI_STREAM_NONE : seeds->stream + 1;
    if (px_queue_tail(queue) == before)
        return false;
    px_queue_wake(queue);
    return true;
}

int pxi_seeds_turn(struct pxi_keeper *keeper)
{
    bool sent = false;

    for (unsigned i = 0; i < px_shm_evaluators(keeper->shm); i++)
        sent |= seed_one(keeper, i);
    if (sent)
        pxi_crash_point("seeds-after-push");
    return sent;
}
