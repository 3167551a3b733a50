/* What the keeper knows from before: the last price, the day so far and the open minute, where this region has none yet. */
#include "base/error.h"
#include "engine/evaluator/evaluator_private.h"

#define SEEDS_AT_ONCE 4096

static void take(struct pxi_evaluator *evaluator, const struct px_seed *seed)
{
    if (seed->action == PX_SEED_RESET) {
        evaluator->meant = (uint64_t)seed->value == evaluator->heritage->incarnation;
        evaluator->ready = false;
        return;
    }
    if (!evaluator->meant) /* left over from before this process: the keeper sends everything again */
        return;
    switch (seed->action) {
    case PX_SEED_PRICE:
        pxi_series_seed(evaluator, seed->asset, seed->value);
        break;
    case PX_SEED_FIELD:
        pxi_series_seed_field(evaluator, seed);
        break;
    case PX_SEED_READY:
        pxi_series_seeded(evaluator);
        evaluator->ready = true;
        px_log(PX_LOG_INFO, "seeded");
        break;
    default:
        px_log_limited(PX_LOG_ERROR, 1, "seed-unknown action=%u", seed->action);
    }
}

void pxi_seeds_take(struct pxi_evaluator *evaluator)
{
    struct px_seed seed;

    for (unsigned i = 0; i < SEEDS_AT_ONCE && px_queue_peek(evaluator->seeds, 0, &seed) == 0; i++) {
        if (seed.asset < evaluator->assets || seed.action == PX_SEED_RESET || seed.action == PX_SEED_READY)
            take(evaluator, &seed);
        px_queue_consume(evaluator->seeds, 1);
    }
}
