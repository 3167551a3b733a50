/* Alert events on their way to their owners: never conflated, never dropped, bounded. */
#include "base/error.h"
#include "base/log.h"
#include "web/live/session_private.h"

#include <stdlib.h>

#define EVENT_BATCH 32
#define EVENT_TURN  8 /* batches in one turn */

static struct cds_list_head *chain_of(struct px_hub *hub, const char *owner)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *owner != '\0'; owner++)
        hash = (hash ^ (unsigned char)*owner) * UINT64_C(0x100000001b3);
    return &hub->owners[hash % PXI_OWNER_CHAINS];
}

static void release(struct pxi_alert_text *alert)
{
    if (--alert->refs == 0)
        free(alert);
}

int pxi_alerts_subscribe(struct px_session *session, bool resume, uint64_t since)
{
    struct px_hub *hub = session->hub;
    struct pxi_alert_queue *queue = session->alerts;

    if (queue == NULL) {
        queue = calloc(1, sizeof(*queue));
        if (queue == NULL)
            return PX_E_MEMORY;
        queue->session = session;
        queue->eseq = hub->eseq;
        cds_list_add_tail(&queue->chain, chain_of(hub, session->owner));
        session->alerts = queue;
    }
    if (resume && hub->options.replay != NULL) {
        queue->eseq = since;
        queue->behind = true;
        pxi_alerts_catch_up(session);
    }
    return 0;
}

void pxi_alerts_unsubscribe(struct px_session *session)
{
    struct pxi_alert_queue *queue = session->alerts;

    if (queue == NULL)
        return;
    cds_list_del(&queue->chain);
    for (unsigned i = 0; i < queue->count; i++)
        release(queue->at[(queue->head + i) % PX_SESSION_ALERTS_MAX]);
    free(queue);
    session->alerts = NULL;
}

/* Asks the store for what is missing, unless it is on it already or there is no room for the answer. */
void pxi_alerts_catch_up(struct px_session *session)
{
    struct pxi_alert_queue *queue = session->alerts;
    struct px_hub *hub = session->hub;

    if (queue == NULL || !queue->behind || queue->asked || session->closed || queue->count > PX_SESSION_ALERTS_MAX / 2)
        return;
    queue->asked_at = hub->eseq;
    queue->asked = hub->options.replay != NULL &&
                   hub->options.replay(hub->options.replay_user, session->id, session->owner, queue->eseq);
}

static void enqueue(struct pxi_alert_queue *queue, struct pxi_alert_text *alert)
{
    struct px_session *session = queue->session;

    if (alert->eseq <= queue->eseq || session->closed)
        return;
    if (queue->count == PX_SESSION_ALERTS_MAX) {
        px_stat_add(session->hub->stats, PX_STAT_WEB_SLOW, 1);
        pxi_session_close(session, PX_CLOSE_SLOW, "too many alerts not read");
        return;
    }
    alert->refs++;
    queue->at[(queue->head + queue->count++) % PX_SESSION_ALERTS_MAX] = alert;
    queue->eseq = alert->eseq;
}

/* Encoded at most once, and only when the owner is here. */
static void tell_owner(struct px_hub *hub, const struct px_alert_event *event)
{
    struct cds_list_head *chain = chain_of(hub, event->owner);
    struct pxi_alert_text *alert = NULL;
    struct pxi_alert_queue *queue;

    cds_list_for_each_entry(queue, chain, chain)
    {
        struct px_session *session = queue->session;

        if (queue->behind || session->closed || strncmp(session->owner, event->owner, PX_OWNER_SIZE) != 0)
            continue;
        if (alert == NULL)
            alert = pxi_encode_alert(hub, event);
        if (alert == NULL) {
            queue->behind = true; /* no memory now: the store will fill the gap */
            continue;
        }
        enqueue(queue, alert);
        /* Not by way of the ready queue: an alert does not wait behind prices. */
        if (!session->blocked)
            pxi_session_serve(session);
    }
    if (alert != NULL)
        release(alert);
}

/* The ring has overtaken us: what lies between is in the store. */
static void lost_place(struct px_hub *hub)
{
    struct pxi_alert_queue *queue;

    px_log_limited(PX_LOG_WARN, 1, "live_event_overrun");
    for (size_t i = 0; i < PXI_OWNER_CHAINS; i++) {
        cds_list_for_each_entry(queue, &hub->owners[i], chain)
        {
            /* One that has seen no event in this life of the ring has no place to go on from, and has missed nothing it
             * knew of. */
            queue->behind = queue->behind || queue->eseq != 0;
            pxi_alerts_catch_up(queue->session);
        }
    }
}

bool pxi_alerts_read(struct px_hub *hub)
{
    const struct px_ring *ring = hub->options.shm->events;
    struct px_alert_event events[EVENT_BATCH];
    uint64_t count;

    for (int batch = 0; batch < EVENT_TURN; batch++) {
        int error = px_ring_read(ring, hub->event_position, events, EVENT_BATCH, &count);

        if (error == PX_E_OVERRUN) {
            hub->event_position = px_ring_oldest(ring);
            lost_place(hub);
            continue;
        }
        if (error != 0 || count == 0)
            return false;
        hub->event_position += count;
        for (uint64_t i = 0; i < count; i++) {
            hub->eseq = PX_MAX(hub->eseq, events[i].eseq);
            tell_owner(hub, &events[i]);
        }
    }
    return px_ring_tail(ring) != hub->event_position;
}

bool pxi_alerts_serve(struct px_session *session)
{
    struct pxi_alert_queue *queue = session->alerts;

    while (queue != NULL && queue->count > 0 && !session->closed) {
        struct pxi_alert_text *alert = queue->at[queue->head];
        bool said;

        if (session->sink->room(session->connection) < PX_SESSION_MESSAGE_MAX)
            return false;
        said = pxi_session_frame(session, PXI_ALERTS, false, (struct px_text){alert->text, alert->len});
        queue->head = (queue->head + 1) % PX_SESSION_ALERTS_MAX;
        queue->count--;
        release(alert);
        if (said)
            px_stat_add(session->hub->stats, PX_STAT_WEB_ALERTS, 1);
    }
    pxi_alerts_catch_up(session);
    return true;
}

static struct pxi_alert_queue *find_asker(struct px_hub *hub, uint64_t id)
{
    struct pxi_alert_queue *queue;

    for (size_t i = 0; i < PXI_OWNER_CHAINS; i++)
        cds_list_for_each_entry(queue, &hub->owners[i],
                                chain) if (queue->asked && queue->session->id == id) return queue;
    return NULL;
}

void px_hub_replayed(struct px_hub *hub, uint64_t session, int error, const struct px_alert_event *events,
                     uint32_t count, bool more, px_mono now)
{
    struct pxi_alert_queue *queue = find_asker(hub, session);

    hub->now = now;
    if (queue == NULL)
        return; /* it has gone meanwhile */
    queue->asked = false;
    if (error != 0) {
        px_log_limited(PX_LOG_WARN, 1, "alert_replay error=\"%s\"", px_error_text(error));
        return; /* asked again within a second */
    }
    for (uint32_t i = 0; i < count; i++) {
        struct pxi_alert_text *alert = pxi_encode_alert(hub, &events[i]);

        if (alert == NULL)
            return;
        enqueue(queue, alert);
        release(alert);
    }
    /* Live again only if nothing has passed by since the question; else the store is asked for that too. */
    queue->behind = more || hub->eseq > PX_MAX(queue->asked_at, queue->eseq);
    pxi_session_serve(queue->session);
}
