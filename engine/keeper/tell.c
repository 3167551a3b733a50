/*
 * Telling: what is durable in the outbox becomes events, deliveries, and a message in the event ring.
 *
 *   killed before the commit    the rows stand in the outbox, and are told by the successor
 *   after it, before the ring   the events are durable; the ring's last one says to the successor what it lacks
 *   after the ring              all done
 */
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "engine/keeper/keeper_private.h"

#define PUBLISH_MAX 64 /* events in one publish: a small part of the ring, so that readers keep up */
#define SLICE       16 /* fires, before a hit that waits is looked at */

static void publish(struct pxi_keeper *keeper, uint32_t count)
{
    for (uint32_t told = 0; told < count;) {
        unsigned n = (unsigned)PX_MIN(PX_MIN(count - told, PUBLISH_MAX), keeper->shm->events->capacity);

        px_ring_publish(keeper->shm->events, keeper->shm->events_yard, &keeper->events[told], n);
        told += n;
    }
}

/* The last eseq that stands in the event ring; 0 in a new region. */
static uint64_t last_published(const struct px_shm *shm)
{
    struct px_alert_event event;
    uint64_t tail = px_ring_tail(shm->events), count;

    if (tail == 0 || px_ring_read(shm->events, tail - 1, &event, 1, &count) != 0 || count != 1)
        return 0;
    return event.eseq;
}

/* What a predecessor has made durable and not published. What is older than the region no reader of it lacks. */
static int publish_rest(struct pxi_keeper *keeper)
{
    uint64_t since, again = 0;
    uint32_t count = 0;
    int error = px_alerts_epoch(keeper->alerts, keeper->heritage->generation, &since);

    since = PX_MAX(since, last_published(keeper->shm));
    while (since < px_alerts_told(keeper->alerts) && !error) {
        error = px_alerts_events_since(keeper->alerts, since, PXI_TELL_MAX, keeper->events, &count);
        if (error || count == 0)
            break;
        publish(keeper, count);
        since = keeper->events[count - 1].eseq;
        again += count;
    }
    if (again > 0)
        px_log(PX_LOG_INFO, "events_published_again count=%llu", (unsigned long long)again);
    return error;
}

int pxi_tell_init(struct pxi_keeper *keeper)
{
    keeper->events = calloc(PXI_TELL_MAX, sizeof *keeper->events);
    keeper->jobs = calloc(PX_JOBS_MAX, sizeof *keeper->jobs);
    if (!keeper->events || !keeper->jobs)
        return PX_E_MEMORY;
    px_ring_takeover(keeper->shm->events, keeper->shm->events_yard);
    return publish_rest(keeper);
}

void pxi_tell_fini(struct pxi_keeper *keeper)
{
    free(keeper->events);
    free(keeper->jobs);
    keeper->events = NULL;
    keeper->jobs = NULL;
}

static int slice(struct pxi_keeper *keeper, unsigned most, unsigned *countp, bool *morep)
{
    int error = px_alerts_tell(keeper->alerts, most, keeper->events, countp, morep);

    if (error)
        return error;
    pxi_crash_point("tell-before-commit");
    error = px_alerts_dirty(keeper->alerts) ? px_alerts_commit(keeper->alerts, false) : 0;
    if (error)
        return error;
    pxi_crash_point("tell-before-publish");
    publish(keeper, *countp);
    pxi_crash_point("tell-after-publish");
    px_stat_add(keeper->stats, PX_STAT_KEEP_FIRES, *countp);
    error = pxi_claims_turn(keeper);
    return PX_MIN(error, 0);
}

int pxi_tell_turn(struct pxi_keeper *keeper, unsigned most)
{
    unsigned told = 0, count = 0;
    bool more = px_alerts_told(keeper->alerts) != px_alerts_eseq(keeper->alerts);

    while (more && told < most && (told == 0 || !pxi_judge_waits(keeper))) {
        int error = slice(keeper, PX_MIN(most - told, SLICE), &count, &more);

        if (error)
            return error;
        told += PX_MAX(count, 1u);
    }
    return told > 0;
}
