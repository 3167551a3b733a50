/*
 * What the evaluator is told. A new evaluator, or a new keeper, starts with a stream:
 *
 *   RESET(incarnation)  SEED …  ADD … every armed alert as the store has them now  READY(incarnation)
 *
 * After it, and after it only, single records follow from the backlog in the order in which the writes became durable.
 * When the stream begins, the backlog is dropped: what stood in it is in the store. Nobody waits in here; what finds no
 * room goes in a later turn.
 */
#include "base/error.h"
#include "base/log.h"
#include "engine/keeper/keeper_private.h"

#define PUSH_MAX 4096 /* records a turn, so that fires are not kept waiting by a long stream */

bool pxi_arms_room(const struct pxi_arms *arms, unsigned records)
{
    return arms->tail - arms->head + records <= PXI_BACKLOG;
}

static struct px_arm record_of(const struct pxi_keeper *keeper, const struct px_alert *alert, enum px_arm_action action)
{
    struct px_match match = {.op = 0};

    if (px_alert_match(&alert->rule, keeper->heritage->config->assets[alert->asset].scale, &match) != 0)
        match = (struct px_match){.op = PX_OP_GREATER_OR_EQUAL, .level = INT64_MAX}; /* beyond all prices of today's scale */
    return (struct px_arm){
        .alert = alert->id, .level = match.level, .asset = alert->asset, .op = match.op, .action = (uint16_t)action};
}

uint64_t pxi_arms_put(struct pxi_keeper *keeper, const struct px_alert *alert, enum px_arm_action action)
{
    struct pxi_arms *arms = &keeper->arms;

    PX_CHECK(pxi_arms_room(arms, 1));
    arms->backlog[arms->tail % PXI_BACKLOG] = record_of(keeper, alert, action);
    return arms->tail++;
}

void pxi_arms_fini(struct pxi_arms *arms)
{
    px_alerts_walk_end(&arms->walk);
}

static void begin_stream(struct pxi_keeper *keeper, uint32_t incarnation)
{
    struct pxi_arms *arms = &keeper->arms;

    px_alerts_walk_end(&arms->walk);
    arms->walk = px_alerts_walk_begin(keeper->alerts);
    arms->stream = PXI_STREAM_RESET;
    arms->served = incarnation;
    arms->asset = 0;
    arms->have = false;
    arms->head = arms->tail;
    pxi_tasks_streamed(keeper);
}

static bool push(struct pxi_keeper *keeper, const struct px_arm *record)
{
    return px_queue_push(keeper->shm->arms, record) == 0;
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

static void push_fields(struct pxi_keeper *keeper, const struct pxi_series *series, px_asset_id asset)
{
    for (unsigned field = PX_SEED_DAY_OPEN; field <= PX_SEED_FIELDS; field++) {
        const struct px_candle *candle = field <= PX_SEED_DAY_COUNT ? &series->seed_day : &series->seed_minute;
        struct px_arm seed = {.level = seed_field(series, field),
                              .value = candle->start_ns,
                              .asset = asset,
                              .op = (uint16_t)field,
                              .action = PX_ARM_SEED_FIELD};

        if (candle->count > 0)
            PX_CHECK(push(keeper, &seed)); /* there is room */
    }
}

/* The price, the day and the minute before a restart, wherever the evaluator has none of this region yet. */
static bool push_seeds(struct pxi_keeper *keeper)
{
    struct pxi_arms *arms = &keeper->arms;
    struct px_average_value average;

    for (; arms->asset < keeper->history.assets; arms->asset++) {
        const struct pxi_series *series = &keeper->history.series[arms->asset];

        px_latch_read(px_shm_average(keeper->shm, arms->asset), &average);
        if (!series->known || average.position != 0)
            continue;
        if (keeper->shm->arms->capacity - px_queue_length(keeper->shm->arms) < PX_SEED_FIELDS + 1)
            return false;
        struct px_arm seed = {.level = series->seeds ? series->seed_price : series->last.price,
                              .value = series->last.time_ns,
                              .asset = arms->asset,
                              .action = PX_ARM_SEED};
        PX_CHECK(push(keeper, &seed));
        if (series->seeds)
            push_fields(keeper, series, arms->asset);
    }
    return true;
}

/* True at the end of the walk. */
static bool push_alerts(struct pxi_keeper *keeper)
{
    struct pxi_arms *arms = &keeper->arms;

    for (unsigned pushed = 0; pushed < PUSH_MAX; pushed++) {
        if (!arms->have && px_alerts_walk_next(arms->walk, &arms->next) != 0) {
            px_alerts_walk_end(&arms->walk);
            return true;
        }
        struct px_arm record = record_of(keeper, &arms->next, PX_ARM_ADD);
        arms->have = !push(keeper, &record);
        if (arms->have)
            return false;
    }
    return false;
}

static bool push_mark(struct pxi_keeper *keeper, enum px_arm_action action)
{
    struct px_arm mark = {.value = keeper->arms.served, .asset = PX_ASSET_NONE, .action = (uint16_t)action};

    return push(keeper, &mark);
}

/* One step of the stream; true when the next may follow. */
static bool stream_step(struct pxi_keeper *keeper)
{
    struct pxi_arms *arms = &keeper->arms;

    switch (arms->stream) {
    case PXI_STREAM_RESET:
        return push_mark(keeper, PX_ARM_RESET);
    case PXI_STREAM_SEED:
        return push_seeds(keeper);
    case PXI_STREAM_ADD:
        return push_alerts(keeper);
    case PXI_STREAM_READY:
        return push_mark(keeper, PX_ARM_READY);
    case PXI_STREAM_NONE:
        break;
    }
    return false;
}

static bool stream_turn(struct pxi_keeper *keeper)
{
    struct pxi_arms *arms = &keeper->arms;
    uint64_t before = px_queue_tail(keeper->shm->arms);

    while (arms->stream != PXI_STREAM_NONE && stream_step(keeper)) {
        arms->stream = arms->stream == PXI_STREAM_READY ? PXI_STREAM_NONE : arms->stream + 1;
        if (arms->stream != PXI_STREAM_NONE)
            continue;
        pxi_tasks_pushed(keeper, PXI_BY_STREAM, px_queue_tail(keeper->shm->arms) - 1);
        px_log(PX_LOG_INFO, "alerts_streamed evaluator=%u alerts=%llu", arms->served,
               (unsigned long long)px_alerts_count(keeper->alerts));
        pxi_crash_point("arms-streamed");
    }
    return px_queue_tail(keeper->shm->arms) != before;
}

static bool backlog_turn(struct pxi_keeper *keeper)
{
    struct pxi_arms *arms = &keeper->arms;
    uint64_t before = arms->head;

    for (; arms->head != arms->tail && push(keeper, &arms->backlog[arms->head % PXI_BACKLOG]); arms->head++) {
        pxi_crash_point("arms-after-push");
        pxi_tasks_pushed(keeper, arms->head, px_queue_tail(keeper->shm->arms) - 1);
    }
    return arms->head != before;
}

int pxi_arms_turn(struct pxi_keeper *keeper)
{
    struct pxi_arms *arms = &keeper->arms;
    uint32_t incarnation = px_load_acquire(&keeper->shm->roles[PX_ROLE_SLOT_EVALUATOR].incarnation);
    bool worked = false;

    if (incarnation != arms->served)
        begin_stream(keeper, incarnation);
    if (arms->stream != PXI_STREAM_NONE)
        worked = stream_turn(keeper);
    else if (arms->served != 0)
        worked = backlog_turn(keeper);
    if (worked)
        px_queue_wake(keeper->shm->arms);
    if (keeper->tasks.waiting > 0)
        pxi_tasks_heard(keeper);
    return worked;
}
