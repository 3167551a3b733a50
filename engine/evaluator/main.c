/* The evaluator: ticks in; averages, candles and what may reach a level out. */
#include <stdlib.h>

#include "base/error.h"
#include "engine/evaluator/evaluator_private.h"

#define SLEEP_NS (20 * PX_NS_PER_MS) /* the sweep and the heartbeat want to run */

static int evaluator_init(struct pxi_evaluator *evaluator, const struct px_heritage *heritage)
{
    memset(evaluator, 0, sizeof(*evaluator));
    evaluator->heritage = heritage;
    evaluator->shm = heritage->shm;
    evaluator->stats = px_heritage_stats(heritage);
    evaluator->assets = px_symbols_count(&heritage->shm->directory);
    evaluator->shard = evaluator->sweep = heritage->worker;
    evaluator->shards = px_shm_evaluators(heritage->shm);
    evaluator->hits = px_shm_hits(heritage->shm, evaluator->shard);
    evaluator->seeds = px_shm_seeds(heritage->shm, evaluator->shard);
    evaluator->extremes = px_shm_extremes(heritage->shm, evaluator->shard);
    evaluator->state = calloc(evaluator->assets, sizeof(*evaluator->state));
    evaluator->cache = calloc(evaluator->assets, sizeof(*evaluator->cache));
    evaluator->steps = calloc(evaluator->assets, sizeof(*evaluator->steps));
    evaluator->levels = calloc(evaluator->assets, sizeof(*evaluator->levels));
    if (evaluator->state == NULL || evaluator->cache == NULL || evaluator->steps == NULL || evaluator->levels == NULL)
        return PX_E_MEMORY;
    return 0;
}

static void evaluator_fini(struct pxi_evaluator *evaluator)
{
    free(evaluator->state);
    free(evaluator->cache);
    free(evaluator->steps);
    free(evaluator->levels);
}

void pxi_evaluate(struct pxi_evaluator *evaluator, const struct px_tick *tick, uint64_t position)
{
    if ((tick->flags & PX_TICK_QUARANTINED) || tick->asset >= evaluator->assets || tick->asset % evaluator->shards != evaluator->shard)
        return;
    if (tick->flags & PX_TICK_QUOTE) {
        pxi_series_quote(evaluator, tick, position);
        return;
    }
    pxi_series_tick(evaluator, tick, position);
    px_stat_add(evaluator->stats, PX_STAT_EVAL_TICKS, 1);
}

/* Up to the end of the chunk, which is the piece that ingest takes away at a time (shm/extremes.h). */
static unsigned most(const struct pxi_evaluator *evaluator)
{
    uint64_t chunk = px_extremes_chunk(evaluator->shm->ticks), to_end = chunk - evaluator->position % chunk;

    return (unsigned)PX_MIN(to_end, PXI_BATCH);
}

/* Returns whether there was anything to do. */
static bool take_ticks(struct pxi_evaluator *evaluator)
{
    uint64_t count;
    int result;

    px_smp_mb(); /* the cursor is told before the ring is read: ingest relies on it */
    result = px_ring_read(evaluator->shm->ticks, evaluator->position, evaluator->tick, most(evaluator), &count);
    evaluator->awaits_ingest = false;
    if (result == PX_E_OVERRUN) {
        evaluator->awaits_ingest = !pxi_overrun(evaluator);
        return !evaluator->awaits_ingest;
    }
    for (uint64_t i = 0; i < count && !evaluator->ending; i++)
        pxi_evaluate(evaluator, &evaluator->tick[i], evaluator->position + i);
    if (evaluator->ending) /* the cursor stays, and so does the state of what was not told */
        return false;
    evaluator->position += count;
    px_ring_report(evaluator->shm->ticks_yard, evaluator->heritage->slot, evaluator->position);
    return count > 0;
}

static bool turn(struct pxi_evaluator *evaluator)
{
    bool busy = false;

    px_rcu_online(evaluator->shm->domain, evaluator->heritage->slot);
    pxi_seeds_take(evaluator);
    if (evaluator->ready) {
        busy = take_ticks(evaluator);
        pxi_series_sweep(evaluator);
    }
    if (evaluator->told)
        px_queue_wake(evaluator->hits);
    evaluator->told = false;
    px_rcu_offline(evaluator->shm->domain, evaluator->heritage->slot);
    return busy;
}

static bool has_news(const struct pxi_evaluator *evaluator)
{
    return px_queue_length(evaluator->seeds) > 0 ||
           (evaluator->ready && !evaluator->awaits_ingest && px_ring_tail(evaluator->shm->ticks) != evaluator->position);
}

static void rest(struct pxi_evaluator *evaluator)
{
    struct px_wait_set set = {.count = 0};

    px_wait_add(&set, &evaluator->shm->ticks_yard->need_wake);
    px_wait_add(&set, &evaluator->seeds->consumer_sleeps);
    px_wait_arm(&set);
    if (!has_news(evaluator))
        px_wait_sleep(&set, SLEEP_NS);
}

int px_evaluator_main(const struct px_heritage *heritage)
{
    struct pxi_evaluator evaluator;
    int result = evaluator_init(&evaluator, heritage);

    if (result == 0) {
        pxi_series_takeover(&evaluator);
        evaluator.position = px_load_acquire(&heritage->shm->ticks_yard->cursor[heritage->slot].position);
        px_heritage_ready(heritage);
    }
    while (result == 0 && !evaluator.ending && !px_heritage_terminating(heritage)) {
        px_heritage_beat(heritage);
        if (!turn(&evaluator))
            rest(&evaluator);
    }
    evaluator_fini(&evaluator);
    return result;
}
