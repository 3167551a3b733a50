/*
 * The hits of all evaluators, one after the other. Those of one asset come from one evaluator and keep their order; between assets there
 * is none, so the queues are taken in turns.
 */
#include "base/error.h"
#include "engine/keeper/keeper_private.h"

_Static_assert(PX_CHECKPOINT_QUEUES == PX_EVALUATORS_MAX, "a checkpoint has a position of each evaluator");

void pxi_hits_init(struct pxi_hits *hits, const struct px_shm *shm)
{
    *hits = (struct pxi_hits){.count = px_shm_evaluators(shm)};
    for (unsigned i = 0; i < hits->count; i++) {
        hits->queue[i] = px_shm_hits(shm, i);
        hits->position[i] = px_queue_head(hits->queue[i]);
    }
}

static bool peek(const struct pxi_hits *hits, unsigned at, uint64_t position, struct px_hit *hit)
{
    return px_queue_peek(hits->queue[at], position - px_queue_head(hits->queue[at]), hit) == 0;
}

bool pxi_hits_next(struct pxi_hits *hits, struct px_hit *hit)
{
    for (unsigned i = 0; i < hits->count; i++) {
        unsigned at = (hits->hand + i) % hits->count;

        if (!peek(hits, at, hits->position[at], hit))
            continue;
        hits->hand = at;
        return true;
    }
    return false;
}

uint64_t pxi_hits_pass(struct pxi_hits *hits)
{
    uint64_t behind = ++hits->position[hits->hand];

    hits->hand = (hits->hand + 1) % hits->count;
    hits->stage = 0;
    return behind;
}

bool pxi_hits_wait(const struct pxi_hits *hits)
{
    for (unsigned i = 0; i < hits->count; i++)
        if (px_queue_tail(hits->queue[i]) != hits->position[i])
            return true;
    return false;
}

bool pxi_hits_queued(const struct pxi_hits *hits)
{
    for (unsigned i = 0; i < hits->count; i++)
        if (px_queue_length(hits->queue[i]) > 0)
            return true;
    return false;
}

bool pxi_hits_older(const struct pxi_hits *hits, px_asset_id asset, uint64_t position, unsigned most)
{
    unsigned at = asset % hits->count;
    uint64_t tail = px_queue_tail(hits->queue[at]);
    struct px_hit hit;

    if (tail - hits->position[at] > most)
        return true;
    for (uint64_t i = hits->position[at]; i != tail; i++)
        if (peek(hits, at, i, &hit) && hit.asset == asset && hit.position < position + ((hit.flags & PX_HIT_SPAN) != 0))
            return true;
    return false;
}

void pxi_hits_consume(struct pxi_hits *hits)
{
    for (unsigned i = 0; i < hits->count; i++)
        px_queue_consume(hits->queue[i], hits->position[i] - px_queue_head(hits->queue[i]));
}

void pxi_hits_note(const struct pxi_hits *hits, struct px_alerts_checkpoint *checkpoint)
{
    memcpy(checkpoint->position, hits->position, sizeof(checkpoint->position));
    checkpoint->stage = hits->stage;
    checkpoint->hand = hits->hand;
}

void pxi_hits_resume(struct pxi_hits *hits, const struct px_alerts_checkpoint *checkpoint)
{
    for (unsigned i = 0; i < hits->count; i++) {
        PX_CHECK(checkpoint->position[i] <= px_queue_tail(hits->queue[i]));
        hits->position[i] = PX_MAX(hits->position[i], checkpoint->position[i]);
    }
    hits->hand = checkpoint->hand % hits->count;
    if (hits->position[hits->hand] == checkpoint->position[hits->hand])
        hits->stage = checkpoint->stage;
    pxi_hits_consume(hits);
}

void pxi_hits_await(const struct pxi_hits *hits, struct px_wait_set *set)
{
    for (unsigned i = 0; i < hits->count; i++)
        px_wait_add(set, &hits->queue[i]->consumer_sleeps);
}
