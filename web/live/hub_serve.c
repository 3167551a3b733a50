/* Who is served when, and how a frame comes together. */
#include "base/error.h"
#include "base/log.h"
#include "net/ws.h"
#include "web/live/session_private.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#define TEND_NS      PX_NS_PER_S        /* heartbeat when nothing else was sent for so long */
#define SLOW_NS      (10 * PX_NS_PER_S) /* without room for so long: a slow consumer */
#define TEND_SLICE   1024               /* sessions looked after in one turn */
#define FRAME_ROOM   PX_SESSION_MESSAGE_MAX
#define RECONNECT_MS 500u
#define JITTER_MS    4500u

/* --- queues --- */

void pxi_session_unqueue(struct px_session *session)
{
    if (session->place != PXI_NOWHERE)
        cds_list_del(&session->queue);
    session->place = PXI_NOWHERE;
}

/* An idle session is served in this turn; one that got something within the gathering interval waits for its end. */
void pxi_session_wake(struct px_session *session)
{
    struct px_hub *hub = session->hub;

    if (session->place != PXI_NOWHERE || session->blocked || session->closed)
        return;
    if (px_mono_since(hub->now, session->sent_at) >= hub->gather_ns) {
        cds_list_add_tail(&session->queue, &hub->ready);
        session->place = PXI_READY;
    } else {
        cds_list_add_tail(&session->queue, &hub->delayed);
        session->place = PXI_DELAYED;
    }
}

static void touch(struct px_session *session)
{
    session->touched_at = session->hub->now;
    cds_list_del(&session->all);
    cds_list_add_tail(&session->all, &session->hub->sessions);
}

void pxi_session_sent(struct px_session *session)
{
    session->sink->flush(session->connection);
    session->sent_at = session->hub->now;
    touch(session);
}

void pxi_session_close(struct px_session *session, unsigned code, const char *reason)
{
    if (session->closed)
        return;
    session->closed = true;
    pxi_session_unqueue(session);
    session->sink->close(session->connection, code, reason);
}

static void close_slow(struct px_session *session)
{
    px_stat_add(session->hub->stats, PX_STAT_WEB_SLOW, 1);
    px_log_limited(PX_LOG_INFO, 5, "slow_consumer connection=%llu", (unsigned long long)session->id);
    (void)session->sink->message(session->connection, PX_TEXT("{\"code\":\"slow_consumer\"}"), (struct px_text){"", 0});
    pxi_session_close(session, PX_CLOSE_SLOW, "slow consumer");
}

bool pxi_session_say(struct px_session *session, struct px_text head, struct px_text tail)
{
    if (session->closed)
        return false;
    px_stat_add(session->hub->stats, PX_STAT_WEB_SENT, 1);
    if (session->sink->message(session->connection, head, tail))
        return true;
    /* Answers pile up that nobody reads, or the connection has just died: for the session it is the same. */
    close_slow(session);
    return false;
}

/* --- frames --- */

static size_t put_text(char *to, const char *text)
{
    size_t len = strlen(text);

    memcpy(to, text, len);
    return len;
}

static size_t put_number(char *to, uint64_t number)
{
    char digits[20];
    size_t len = 0;

    do
        digits[len++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    for (size_t i = 0; i < len; i++)
        to[i] = digits[len - 1 - i];
    return len;
}

bool pxi_session_frame(struct px_session *session, enum pxi_channel channel, bool snapshot, struct px_text tail)
{
    char *head = session->hub->head;
    size_t len = put_text(head, "{\"channel\":\"");

    len += put_text(head + len, pxi_channel_names[channel]);
    if (channel != PXI_HEARTBEAT)
        len += put_text(head + len, snapshot ? "\",\"type\":\"snapshot" : "\",\"type\":\"update");
    len += put_text(head + len, "\",\"seq\":");
    len += put_number(head + len, ++session->seq);
    return pxi_session_say(session, (struct px_text){head, len}, tail);
}

static bool send_value(struct px_session *session, struct pxi_sub *sub)
{
    struct px_hub *hub = session->hub;
    uint64_t version = hub->assets[sub->asset].version[sub->channel];
    struct px_text tail = pxi_encode_tail(hub, sub->asset, sub->channel);

    if (!sub->snapshot && version > sub->sent + 1) {
        session->seq += version - sub->sent - 1;
        px_stat_add(hub->stats, PX_STAT_WEB_CONFLATED, version - sub->sent - 1);
    }
    sub->sent = version;
    return pxi_session_frame(session, sub->channel, sub->snapshot, tail);
}

/* One frame of at most PXI_TRADE_FRAME trades; those that have left the log are counted into seq. */
static bool send_trades(struct px_session *session, struct pxi_sub *sub)
{
    struct px_hub *hub = session->hub;
    uint64_t newest = hub->assets[sub->asset].version[PXI_TRADE],
             oldest = newest > PXI_TRADE_LOG ? newest - PXI_TRADE_LOG : 0;
    uint64_t to;

    if (sub->sent < oldest) {
        session->seq += oldest - sub->sent;
        px_stat_add(hub->stats, PX_STAT_WEB_CONFLATED, oldest - sub->sent);
        sub->sent = oldest;
    }
    to = PX_MIN(newest, sub->sent + PXI_TRADE_FRAME);
    if (to == sub->sent)
        return true;
    if (!pxi_session_frame(session, PXI_TRADE, sub->snapshot, pxi_encode_trades(hub, sub->asset, sub->sent, to)))
        return false;
    sub->sent = to;
    return true;
}

static bool sub_has_news(const struct px_hub *hub, const struct pxi_sub *sub)
{
    return !sub->dead && (sub->snapshot || hub->assets[sub->asset].version[sub->channel] != sub->sent);
}

static void pop_dirty(struct px_session *session)
{
    struct pxi_sub *sub = session->dirty;

    session->dirty = sub->next_dirty;
    if (session->dirty == NULL)
        session->dirty_end = &session->dirty;
    sub->dirty = false;
    if (sub->dead)
        free(sub);
}

static void block(struct px_session *session)
{
    if (session->blocked)
        return;
    session->blocked = true;
    session->blocked_since = session->hub->now;
}

/* Sends what is new as far as there is room. What does not fit stays marked; by the time there is room it is the
 * latest. */
static bool serve_subs(struct px_session *session)
{
    struct pxi_sub *sub;

    while ((sub = session->dirty) != NULL && !session->closed) {
        if (!sub_has_news(session->hub, sub)) {
            pop_dirty(session);
            continue;
        }
        if (session->sink->room(session->connection) < FRAME_ROOM)
            return false;
        if (!(sub->channel == PXI_TRADE ? send_trades(session, sub) : send_value(session, sub)))
            return true; /* closed meanwhile */
        sub->snapshot = false;
    }
    return true;
}

void pxi_session_serve(struct px_session *session)
{
    bool all;

    if (session->closed)
        return;
    all = pxi_alerts_serve(session) && serve_subs(session);
    if (session->closed)
        return;
    pxi_session_sent(session);
    if (all)
        return;
    /* Either the send is as large as one may be, or an earlier one still waits for the client. */
    if (session->sink->room(session->connection) < FRAME_ROOM)
        block(session);
    else
        pxi_session_wake(session);
}

bool pxi_hub_serve(struct px_hub *hub, unsigned slice)
{
    while (slice-- > 0 && !cds_list_empty(&hub->ready)) {
        struct px_session *session = cds_list_first_entry(&hub->ready, struct px_session, queue);

        pxi_session_unqueue(session);
        pxi_session_serve(session);
    }
    return !cds_list_empty(&hub->ready);
}

/* --- timers --- */

/* Nothing was sent for a second: a heartbeat, or the end of one who does not read. */
static void tend(struct px_session *session)
{
    if (session->closed) {
        touch(session);
        return;
    }
    if (!session->blocked && session->sink->room(session->connection) < FRAME_ROOM)
        block(session);
    if (session->blocked) {
        touch(session);
        if (px_mono_since(session->hub->now, session->blocked_since) >= SLOW_NS)
            close_slow(session);
        return;
    }
    /* What is about to be served is sign of life enough. */
    if (session->place == PXI_NOWHERE && pxi_session_frame(session, PXI_HEARTBEAT, false, PX_TEXT("}")))
        pxi_session_sent(session);
    pxi_alerts_catch_up(session);
}

static void release_delayed(struct px_hub *hub)
{
    while (!cds_list_empty(&hub->delayed)) {
        struct px_session *session = cds_list_first_entry(&hub->delayed, struct px_session, queue);

        if (px_mono_since(hub->now, session->sent_at) < hub->gather_ns)
            return;
        cds_list_del(&session->queue);
        cds_list_add_tail(&session->queue, &hub->ready);
        session->place = PXI_READY;
    }
}

void pxi_hub_timers(struct px_hub *hub)
{
    release_delayed(hub);
    for (int i = 0; i < TEND_SLICE && !cds_list_empty(&hub->sessions); i++) {
        struct px_session *session = cds_list_first_entry(&hub->sessions, struct px_session, all);

        if (px_mono_since(hub->now, session->touched_at) < TEND_NS)
            return;
        tend(session);
        /* A session that could not be tended must not hold up those behind it. */
        if (session->touched_at.ns != hub->now.ns)
            touch(session);
    }
}

int64_t pxi_hub_next_timer(struct px_hub *hub)
{
    int64_t next = INT64_MAX;

    if (!cds_list_empty(&hub->sessions))
        next = cds_list_first_entry(&hub->sessions, struct px_session, all)->touched_at.ns + TEND_NS;
    if (!cds_list_empty(&hub->delayed))
        next = PX_MIN(next, cds_list_first_entry(&hub->delayed, struct px_session, queue)->sent_at.ns + hub->gather_ns);
    return next;
}

/* public API */

void px_session_writable(struct px_session *session, px_mono now)
{
    session->hub->now = now;
    if (!session->blocked || session->closed)
        return;
    session->blocked = false;
    pxi_session_unqueue(session);
    pxi_session_serve(session);
}

void px_hub_going_away(struct px_hub *hub)
{
    struct px_session *session;

    cds_list_for_each_entry(session, &hub->sessions, all)
    {
        uint32_t chance = 0;

        (void)RAND_bytes((unsigned char *)&chance, sizeof(chance));
        if (session->closed)
            continue;
        (void)pxi_session_frame(session, PXI_STATUS, false,
                                pxi_encode_status(hub, "going_away", session->id, RECONNECT_MS + chance % JITTER_MS));
        pxi_session_close(session, PX_WS_RESTART, "restart");
    }
}
