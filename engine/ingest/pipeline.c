/* The tick path. Every event leaves it published or counted. */
#include "engine/ingest/ingest_private.h"

static void accept_trade(struct pxi_ingest *ingest, const struct pxi_observation *observation, uint32_t fresh)
{
    uint16_t flags = 0;

    if (pxi_filter_jump(ingest->filter, observation) == PXI_QUARANTINE) {
        px_stat_add(ingest->stats, PX_STAT_TICK_QUARANTINED, 1);
        pxi_publish(ingest->publisher, observation, PX_TICK_QUARANTINED, fresh);
        return;
    }
    /* What the venue tells again is from within the gap; the gap ends with the first trade of the present. */
    if (observation->replayed || pxi_filter_gap_ends(ingest->filter, observation))
        flags |= PX_TICK_AFTER_GAP;
    px_stat_add(ingest->stats, PX_STAT_TICK_TRADES, 1);
    pxi_publish(ingest->publisher, observation, flags, fresh);
}

static void accept_quote(struct pxi_ingest *ingest, const struct pxi_observation *observation, uint32_t fresh)
{
    if (pxi_crossed(observation))
        px_stat_add(ingest->stats, PX_STAT_TICK_CROSSED, 1);
    px_stat_add(ingest->stats, PX_STAT_TICK_QUOTES, 1);
    pxi_publish(ingest->publisher, observation, 0, fresh);
}

static bool passes(struct pxi_ingest *ingest, const struct pxi_observation *observation)
{
    switch (pxi_filter_check(ingest->filter, observation)) {
    case PXI_ACCEPT:
        return true;
    case PXI_DUPLICATE:
        px_stat_add(ingest->stats, PX_STAT_TICK_DUPLICATE, 1);
        return false;
    default:
        px_stat_add(ingest->stats, PX_STAT_TICK_BAD, 1);
        return false;
    }
}

void pxi_ingest_event(void *context, const struct px_feed_event *event)
{
    struct pxi_link *link = context;
    struct pxi_ingest *ingest = link->ingest;
    struct pxi_observation observation;
    uint32_t fresh;
    int error;

    if (event->kind != PX_FEED_TRADE && event->kind != PX_FEED_QUOTE)
        return;
    error = pxi_normalise(ingest->normaliser, link->venue, event, ingest->recv_ns, &observation);
    if (error) {
        px_stat_add(ingest->stats, error == PX_E_NOT_FOUND ? PX_STAT_TICK_UNKNOWN : PX_STAT_TICK_BAD, 1);
        return;
    }
    if (!passes(ingest, &observation))
        return;
    if (!pxi_arbitrate(ingest->arbiter, &observation, ingest->now, &fresh))
        px_stat_add(ingest->stats, PX_STAT_TICK_SECONDARY, 1);
    else if (observation.quote)
        accept_quote(ingest, &observation, fresh);
    else
        accept_trade(ingest, &observation, fresh);
}
