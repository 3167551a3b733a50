/* Alerts: taking arm records from the keeper, and handing fires to it. */
#include <time.h>

#include "base/error.h"
#include "engine/evaluator/evaluator_private.h"
#include "match/plan.h"

#define ARMS_AT_ONCE 4096

struct occasion { /* what made an alert fire */
    struct pxi_evaluator *evaluator;
    struct px_fire fire; /* all but the alert */
    const struct px_extremes_value *missed;
};

/* The keeper may be restarting: wait for it, beating on, so that nothing is lost. Ticks wait in their ring meanwhile. */
static void push_surely(struct pxi_evaluator *evaluator, const struct px_fire *fire)
{
    const struct timespec pause = {0, PX_NS_PER_MS};

    while (px_queue_push(evaluator->shm->fires, fire) == PX_E_FULL) {
        if (px_heritage_terminating(evaluator->heritage))
            return; /* the tick is not committed yet: the next start matches it again */
        px_queue_wake(evaluator->shm->fires);
        px_heritage_beat(evaluator->heritage);
        nanosleep(&pause, NULL);
    }
    evaluator->fired = true;
    px_stat_add(evaluator->stats, PX_STAT_EVAL_FIRES, 1);
}

static void on_fired(void *context, struct px_alert_id alert, unsigned op)
{
    struct occasion *occasion = context;

    occasion->fire.alert = alert;
    push_surely(occasion->evaluator, &occasion->fire);
}

void pxi_fires_of_tick(struct pxi_evaluator *evaluator, const struct px_tick *tick, uint64_t position)
{
    const struct px_series_state *state = &evaluator->state[tick->asset];
    bool late = state->last != PX_PRICE_NONE && (state->last_ns == 0 || (tick->flags & PX_TICK_AFTER_GAP));
    struct occasion occasion = {.evaluator = evaluator,
                                .fire = {.asset = tick->asset,
                                 .venue = tick->venue,
                                 .flags = late ? PX_FIRE_LATE : 0,
                                 .price = tick->price,
                                 .prev = state->last,
                                 .time_ns = tick->time_ns,
                                 .recv_ns = tick->recv_ns,
                                 .matched_ns = px_wall_now(),
                                 .position = position,
                                 .sseq = tick->sseq}};

    px_matcher_price(evaluator->matcher, tick->asset, tick->price, on_fired, &occasion);
}

static void on_fired_late(void *context, struct px_alert_id alert, unsigned op)
{
    struct occasion *occasion = context;
    struct px_fire fire = occasion->fire;
    const struct px_extremes_value *missed = occasion->missed;
    bool up = op == PX_OP_GREATER_OR_EQUAL || op == PX_OP_CROSSING_UP;

    fire.alert = alert;
    fire.price = up ? missed->high : missed->low;
    fire.time_ns = up ? missed->high_ns : missed->low_ns;
    /* The other side of the level, from which it was crossed: a price that was there, if not the one just before. */
    if (fire.prev == PX_PRICE_NONE)
        fire.prev = up ? missed->low : missed->high;
    else if (op == PX_OP_CROSSING_UP)
        fire.prev = PX_MIN(fire.prev, missed->low);
    else if (op == PX_OP_CROSSING_DOWN)
        fire.prev = PX_MAX(fire.prev, missed->high);
    push_surely(occasion->evaluator, &fire);
}

static void step(struct px_bounds *span, int64_t from, int64_t to)
{
    if (to > from) {
        span->rise_from = PX_MIN(span->rise_from, from);
        span->rise_to = PX_MAX(span->rise_to, to);
    } else if (to < from) {
        span->fall_from = PX_MAX(span->fall_from, from);
        span->fall_to = PX_MIN(span->fall_to, to);
    }
}

void pxi_fires_of_missed(struct pxi_evaluator *evaluator, px_asset_id asset, const struct px_extremes_value *missed)
{
    const struct px_series_state *state = &evaluator->state[asset];
    struct px_bounds span = {.low = missed->low,
                           .high = missed->high,
                           .last = missed->last,
                           .rise_from = missed->rise_from,
                           .rise_to = missed->rise_to,
                           .fall_from = missed->fall_from,
                           .fall_to = missed->fall_to};
    struct occasion occasion = {.evaluator = evaluator,
                                .missed = missed,
                                .fire = {.asset = asset,
                                         .venue = (px_venue_id)missed->venue,
                                         .flags = PX_FIRE_LATE,
                                         .prev = state->last,
                                         .recv_ns = missed->recv_ns,
                                         .matched_ns = px_wall_now(),
                                         .position = missed->until - 1,
                                         .sseq = missed->sseq}};

    if (missed->first == PX_PRICE_NONE)
        return;
    if (state->last != PX_PRICE_NONE)
        step(&span, state->last, missed->first);
    px_matcher_span(evaluator->matcher, asset, &span, on_fired_late, &occasion);
}

/* Arms at the price that this process has evaluated up to, not at the newest: every later tick is still to come. */
static void arm(struct pxi_evaluator *evaluator, const struct px_arm *record)
{
    const struct px_series_state *state = &evaluator->state[record->asset];
    struct px_detail_value detail;
    struct occasion occasion = {.evaluator = evaluator,
                                .fire = {.asset = record->asset,
                                 .flags = PX_FIRE_AT_CREATE,
                                 .price = state->last,
                                 .prev = state->last,
                                 .time_ns = state->last_ns,
                                 .matched_ns = px_wall_now(),
                                 .position = state->position}};

    px_latch_read(px_shm_detail(evaluator->shm, record->asset), &detail);
    occasion.fire.venue = (px_venue_id)detail.venue;
    occasion.fire.recv_ns = detail.recv_ns;
    occasion.fire.sseq = detail.sseq;
    if (state->last_ns == 0)
        occasion.fire.flags |= PX_FIRE_LATE;
    PX_CHECK(px_matcher_add(evaluator->matcher, record, state->last, on_fired, &occasion) == 0);
}

static void begin(struct pxi_evaluator *evaluator, const struct px_arm *record)
{
    evaluator->meant = (uint64_t)record->value == evaluator->heritage->incarnation;
    evaluator->ready = false;
    if (evaluator->meant)
        px_matcher_clear(evaluator->matcher);
}

static void take(struct pxi_evaluator *evaluator, const struct px_arm *record)
{
    if (record->action == PX_ARM_RESET) {
        begin(evaluator, record);
        return;
    }
    if (!evaluator->meant) /* left over from before this process: the keeper sends everything again */
        return;
    switch (record->action) {
    case PX_ARM_ADD:
        arm(evaluator, record);
        break;
    case PX_ARM_REMOVE:
        px_matcher_remove(evaluator->matcher, record->alert);
        break;
    case PX_ARM_SEED:
        pxi_series_seed(evaluator, record->asset, record->level);
        break;
    case PX_ARM_SEED_FIELD:
        pxi_series_seed_field(evaluator, record);
        break;
    case PX_ARM_READY:
        pxi_series_seeded(evaluator);
        evaluator->ready = true;
        px_log(PX_LOG_INFO, "armed alerts=%llu", (unsigned long long)px_matcher_count(evaluator->matcher));
        break;
    default:
        px_log_limited(PX_LOG_ERROR, 1, "arm-unknown action=%u", record->action);
    }
}

void pxi_arms_take(struct pxi_evaluator *evaluator)
{
    struct px_arm record;

    for (unsigned i = 0; i < ARMS_AT_ONCE && px_queue_peek(evaluator->shm->arms, 0, &record) == 0; i++) {
        if (record.asset < evaluator->assets || record.action == PX_ARM_RESET || record.action == PX_ARM_READY ||
            record.action == PX_ARM_REMOVE)
            take(evaluator, &record);
        px_queue_consume(evaluator->shm->arms, 1);
    }
    px_stat_set(evaluator->stats, PX_STAT_EVAL_ALERTS, px_matcher_count(evaluator->matcher));
}
