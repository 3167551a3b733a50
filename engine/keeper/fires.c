/*
 * Fires: durable first, told second, taken from the queue last.
 *
 *   killed before the sync      the fire is still in the queue
 *   after the sync              the event stands in the outbox, and is told at the next start
 *   after the event ring        told; the ring's last event says so to the successor, as long as the region lives
 *   after the queue             all done
 *
 * The successor of either side may present a fire again: its alert is not armed any more, and it is only counted.
 */
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "engine/keeper/keeper_private.h"

#define TELL_MAX 64 /* events in one publish: a small part of the ring, so that readers keep up */

static void tell(struct pxi_keeper *keeper, uint32_t count)
{
    for (uint32_t told = 0; told < count;) {
        unsigned n = (unsigned)PX_MIN(PX_MIN(count - told, TELL_MAX), keeper->shm->events->capacity);

        px_ring_publish(keeper->shm->events, keeper->shm->events_yard, &keeper->events[told], n);
        told += n;
    }
    if (count > 0)
        px_alerts_told(keeper->alerts, keeper->events[count - 1].eseq);
}

/* The last eseq that stands in the event ring; 0 in a new region. */
static uint64_t last_told(const struct px_shm *shm)
{
    struct px_alert_event event;
    uint64_t tail = px_ring_tail(shm->events), count;

    if (tail == 0 || px_ring_read(shm->events, tail - 1, &event, 1, &count) != 0 || count != 1)
        return 0;
    return event.eseq;
}

static int tell_outbox(struct pxi_keeper *keeper)
{
    uint64_t since = last_told(keeper->shm), again = 0;
    uint32_t count;
    int error;

    if (since > 0)
        px_alerts_told(keeper->alerts, since);
    do {
        error = px_alerts_outbox(keeper->alerts, since, PXI_FIRE_GROUP, keeper->events, &count);
        if (error || count == 0)
            break;
        tell(keeper, count);
        since = keeper->events[count - 1].eseq;
        again += count;
    } while (count == PXI_FIRE_GROUP);
    if (again > 0)
        px_log(PX_LOG_INFO, "outbox_told count=%llu", (unsigned long long)again);
    return error;
}

int pxi_fires_init(struct pxi_keeper *keeper)
{
    int error;

    keeper->fires = calloc(PXI_FIRE_GROUP, sizeof *keeper->fires);
    keeper->events = calloc(PXI_FIRE_GROUP, sizeof *keeper->events);
    if (!keeper->fires || !keeper->events)
        return PX_E_MEMORY;
    error = px_alerts_open(keeper->heritage->config->data, keeper->names, &keeper->alerts);
    if (error)
        return error;
    px_alerts_render_set(keeper->alerts, pxi_notice_render, keeper);
    px_stat_set(keeper->stats, PX_STAT_KEEP_ALERTS, px_alerts_count(keeper->alerts));
    px_ring_takeover(keeper->shm->events, keeper->shm->events_yard);
    return tell_outbox(keeper);
}

void pxi_fires_fini(struct pxi_keeper *keeper)
{
    px_alerts_close(&keeper->alerts);
    free(keeper->fires);
    free(keeper->events);
    keeper->fires = NULL;
    keeper->events = NULL;
}

/* Synced, and the time it took counted. */
static int commit(struct pxi_keeper *keeper)
{
    px_mono before = px_mono_now();

    pxi_crash_point("fires-before-sync");
    int error = px_alerts_commit(keeper->alerts, true);
    px_stat_add(keeper->stats, PX_STAT_KEEP_SYNCS, 1);
    px_stat_add(keeper->stats, PX_STAT_KEEP_SYNC_NS, (uint64_t)px_mono_since(px_mono_now(), before));
    pxi_crash_point("fires-after-sync");
    return error;
}

/* Puts one fire into the group; *eventsp counts those that are new. */
static int take_fire(struct pxi_keeper *keeper, const struct px_fire *fire, uint32_t *eventsp)
{
    int error = px_alerts_fire(keeper->alerts, fire, &keeper->events[*eventsp]);

    if (error == 0)
        ++*eventsp;
    else if (error == PX_E_NOT_FOUND ||
             error == PX_E_AGAIN) /* fired before, or earlier in this very group; or deleted */
        px_stat_add(keeper->stats, PX_STAT_KEEP_REPEATS, 1);
    else
        return error;
    return 0;
}

int pxi_fires_turn(struct pxi_keeper *keeper)
{
    struct px_queue *queue = keeper->shm->fires;
    uint64_t head = px_queue_head(queue);
    uint32_t count = 0, events = 0;
    int error = 0;

    while (count < PXI_FIRE_GROUP && px_queue_peek(queue, count, &keeper->fires[count]) == 0)
        count++;
    if (count == 0)
        return 0;
    for (uint32_t i = 0; i < count && !error; i++)
        error = take_fire(keeper, &keeper->fires[i], &events);
    if (error)
        return error;
    if (events > 0) {
        px_alerts_checkpoint_put(keeper->alerts, keeper->heritage->generation, head + count);
        error = commit(keeper);
        if (error)
            return error;
        tell(keeper, events);
        pxi_crash_point("fires-after-tell");
        px_stat_add(keeper->stats, PX_STAT_KEEP_FIRES, events);
    }
    px_queue_consume(queue, count);
    pxi_crash_point("fires-after-consume");
    return 1;
}

int pxi_fires_tidy(struct pxi_keeper *keeper)
{
    return px_alerts_dirty(keeper->alerts) ? px_alerts_commit(keeper->alerts, false) : 0;
}
