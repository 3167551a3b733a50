/* Overtaken by the feed: everything that was missed is taken from what ingest has saved of it. See shm/extremes.h. */
#include "base/error.h"
#include "engine/evaluator/evaluator_private.h"

/* The rest of the chunk that was partly read, tick by tick. What fires is late. */
static void take_seam(struct pxi_evaluator *evaluator, uint64_t until)
{
    struct px_tick tick;

    for (uint64_t at = evaluator->position;
         at < until && !evaluator->ending && px_extremes_seam(evaluator->extremes, evaluator->shm->ticks, at, &tick);
         at++) {
        tick.flags |= PX_TICK_AFTER_GAP;
        pxi_evaluate(evaluator, &tick, at);
    }
}

static uint64_t take_folded(struct pxi_evaluator *evaluator)
{
    struct px_extremes_value missed;
    uint64_t lost = 0;

    for (px_asset_id asset = evaluator->shard; asset < evaluator->assets && !evaluator->ending; asset += evaluator->shards) {
        if (!px_extremes_read(evaluator->extremes, evaluator->shm->ticks, asset, &missed))
            continue;
        pxi_series_missed(evaluator, asset, &missed);
        lost += missed.count;
    }
    return lost;
}

bool pxi_overrun(struct pxi_evaluator *evaluator)
{
    struct px_extremes *extremes = evaluator->extremes;
    bool begins = extremes->epoch == extremes->consumed;
    uint64_t until, lost;

    if (px_extremes_open(extremes, evaluator->position, &until) == PX_E_AGAIN)
        return false;
    take_seam(evaluator, until);
    lost = take_folded(evaluator);
    if (evaluator->ending) /* a successor takes the rest of the same epoch */
        return false;
    px_stat_add(evaluator->stats, PX_STAT_EVAL_LOST, lost);
    px_log_limited(PX_LOG_WARN, 1, "overrun from=%llu to=%llu trades=%llu", (unsigned long long)evaluator->position,
                   (unsigned long long)until, (unsigned long long)lost);
    if (begins && until == evaluator->position) { /* a cursor that somebody has overwritten: it belongs to no chunk */
        until = px_ring_oldest(evaluator->shm->ticks);
        px_log_limited(PX_LOG_ERROR, 1, "cursor-impossible position=%llu oldest=%llu",
                       (unsigned long long)evaluator->position, (unsigned long long)until);
    }
    evaluator->position = until;
    px_ring_report(evaluator->shm->ticks_yard, evaluator->heritage->slot, until);
    px_extremes_close(extremes);
    return true;
}
