/* Connections from accept to burial: heads, refusals, deadlines. */
#include "base/error.h"
#include "base/log.h"
#include "web/live/live_private.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#define ACCEPT_SLICE 64
#define ACCEPT_PAUSE_NS                                                                                                \
    (100 * PX_NS_PER_MS) /* without descriptors: trying at once again would only burn the processor */

static const int64_t patience_ns[PXI_KINDS] = {
    [PXI_HEAD] = 5 * PX_NS_PER_S,    /* for the whole head */
    [PXI_WS] = 20 * PX_NS_PER_S,     /* between pings */
    [PXI_CLOSING] = 2 * PX_NS_PER_S, /* for the answer to a close */
    [PXI_RELAY] = 60 * PX_NS_PER_S,  /* without a byte */
    [PXI_LINGER] = PX_NS_PER_S,      /* for reading a refusal */
};

/* --- watching --- */

void pxi_watch(struct px_live *live, int fd, uint32_t *watchedp, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    int how = *watchedp == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;

    if (*watchedp == events)
        return;
    if (epoll_ctl(live->epoll_fd, how, fd, &event) != 0)
        px_log_limited(PX_LOG_ERROR, 1, "epoll_ctl fd=%d failed", fd);
    *watchedp = events;
}

void pxi_conn_watch(struct pxi_conn *conn, uint32_t events)
{
    int fd = conn->ws != NULL ? px_ws_fd(conn->ws) : px_stream_fd(conn->stream);

    pxi_watch(conn->live, fd, &conn->watched, events, (uint64_t)(uintptr_t)conn);
}

void pxi_conn_become(struct pxi_conn *conn, enum pxi_kind kind)
{
    struct px_live *live = conn->live;

    if (conn->dead)
        return;
    conn->kind = kind;
    conn->deadline.ns = live->now.ns + patience_ns[kind];
    /* One time span per list, so the list is ordered by deadline without a search. */
    cds_list_del(&conn->timer);
    cds_list_add_tail(&conn->timer, &live->by_kind[kind]);
}

/* --- ends --- */

void pxi_conn_kill(struct pxi_conn *conn)
{
    if (conn->dead)
        return;
    conn->dead = true;
    cds_list_del(&conn->timer);
    cds_list_add_tail(&conn->timer, &conn->live->dead);
}

static void destroy(struct pxi_conn *conn)
{
    struct px_live *live = conn->live;

    if (live->gatherer == conn)
        live->gatherer = NULL;
    if (conn->session != NULL)
        live->sessions--;
    px_session_destroy(&conn->session);
    /* Closing takes the sockets out of epoll. */
    px_ws_destroy(&conn->ws);
    px_stream_close(&conn->stream);
    px_stream_close(&conn->upstream);
    free(conn->head);
    free(conn->up.bytes);
    free(conn->down.bytes);
    free(conn);
    live->count--;
}

void pxi_conn_bury(struct px_live *live)
{
    while (!cds_list_empty(&live->dead)) {
        struct pxi_conn *conn = cds_list_first_entry(&live->dead, struct pxi_conn, timer);

        cds_list_del(&conn->timer);
        destroy(conn);
    }
}

void pxi_conn_kill_all(struct px_live *live)
{
    for (int kind = 0; kind < PXI_KINDS; kind++)
        while (!cds_list_empty(&live->by_kind[kind]))
            pxi_conn_kill(cds_list_first_entry(&live->by_kind[kind], struct pxi_conn, timer));
    pxi_conn_bury(live);
}

/* --- refusals --- */

static const struct {
    int status;
    const char *title, *code, *headers;
} refusals[] = {
    {400, "Bad Request", "bad_request", ""},
    {405, "Method Not Allowed", "method_not_allowed", "Allow: GET\r\n"},
    {408, "Request Timeout", "bad_request", ""},
    {426, "Upgrade Required", "bad_request", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
    {431, "Request Header Fields Too Large", "too_large", ""},
    {503, "Service Unavailable", "not_ready", "Retry-After: 1\r\n"},
};

static size_t refusal_text(int status, char *text, size_t size)
{
    char body[200];
    size_t i = 0;
    int len;

    while (i < PX_COUNT_OF(refusals) - 1 && refusals[i].status != status)
        i++;
    len = snprintf(body, sizeof(body), "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\"}",
                   refusals[i].title, refusals[i].status, refusals[i].code);
    len = snprintf(text, size,
                   "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n%sConnection: "
                   "close\r\n\r\n%s",
                   refusals[i].status, refusals[i].title, len, refusals[i].headers, body);
    return (size_t)len;
}

void pxi_conn_refuse(struct pxi_conn *conn, int status)
{
    char text[512];

    /* A fresh connection takes half a kilobyte at once; if not, the client has other worries than our reasons. */
    (void)px_stream_write(conn->stream, text, refusal_text(status, text, sizeof(text)));
    px_stream_shutdown_write(conn->stream);
    pxi_conn_become(conn, PXI_LINGER);
    pxi_conn_watch(conn, EPOLLIN);
}

/* Reads what still comes, so that closing does not reset the connection before the client has read our answer. */
/* Listens without caring, until the client ends or the time for it does. */
static void linger(struct pxi_conn *conn)
{
    ssize_t count = 0;

    for (int i = 0; i < 16 && count >= 0; i++)
        count = px_stream_read(conn->stream, conn->live->relay, sizeof(conn->live->relay));
    if (count < 0 && count != PX_E_AGAIN)
        pxi_conn_kill(conn);
}

/* --- heads --- */

static bool is_session_path(struct px_text path)
{
    return px_text_is(path, "/ws/v1") || px_text_is(path, "/v2");
}

/* The address of the client, whose requests are counted by it. */
static void peer_of(const struct pxi_conn *conn, char text[INET6_ADDRSTRLEN])
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);

    text[0] = '\0';
    if (getpeername(px_stream_fd(conn->stream), (struct sockaddr *)&address, &len) != 0)
        return;
    if (address.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, text, INET6_ADDRSTRLEN);
    else if (address.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, text, INET6_ADDRSTRLEN);
}

/* Answers are small, and one comes after the other: a client that has no room for one has not read thousands. */
static int write_answer(void *ctx, const char *at, size_t len)
{
    struct pxi_conn *conn = ctx;

    return px_stream_write(conn->stream, at, len) == (ssize_t)len ? 0 : PX_E_CLOSED;
}

/* False: it is to be relayed. Requests that came in one piece with others are, since their answers have to keep their order. */
static bool answer_here(struct pxi_conn *conn, const struct px_http_head *request, size_t head_len)
{
    const struct px_live_options *options = &conn->live->options;
    px_mono began = px_mono_now();
    char peer[INET6_ADDRSTRLEN];

    if (options->quick == NULL || conn->head_len != head_len)
        return false;
    peer_of(conn, peer);
    int error = options->quick(options->quick_user, request, peer, write_answer, conn);
    if (error == PX_E_NOT_FOUND)
        return false;
    px_time_observe(conn->live->stats, PX_TIME_SERVER, px_time_class_of(request->path, false),
                    px_mono_since(px_mono_now(), began));
    free(conn->head); /* who is idle keeps none */
    conn->head = NULL;
    conn->head_len = 0;
    if (error != 0)
        pxi_conn_kill(conn);
    else
        pxi_conn_become(conn, PXI_HEAD);
    return true;
}

static void route(struct pxi_conn *conn, const struct px_http_head *request, size_t head_len)
{
    if (answer_here(conn, request, head_len))
        return;
    if (is_session_path(request->path))
        pxi_ws_start(conn, request, (struct px_text){conn->head + head_len, conn->head_len - head_len});
    else
        pxi_relay_start(conn, (struct px_text){conn->head, conn->head_len});
    free(conn->head);
    conn->head = NULL;
}

static void read_head(struct pxi_conn *conn)
{
    struct px_http_head request;
    ssize_t count;
    int len;

    if (conn->head == NULL && (conn->head = malloc(PX_HTTP_HEAD_MAX)) == NULL) {
        pxi_conn_kill(conn);
        return;
    }
    count = px_stream_read(conn->stream, conn->head + conn->head_len, PX_HTTP_HEAD_MAX - conn->head_len);
    if (count == PX_E_AGAIN)
        return;
    if (count < 0) {
        pxi_conn_kill(conn);
        return;
    }
    conn->head_len += (size_t)count;
    len = px_http_request_parse((struct px_text){conn->head, conn->head_len}, &request);
    if (len > 0)
        route(conn, &request, (size_t)len);
    else if (len != PX_E_AGAIN)
        pxi_conn_refuse(conn, len == PX_E_TOO_LARGE ? 431 : 400);
}

/* --- accepting --- */

static void refuse_crowd(struct px_live *live, struct px_stream *stream)
{
    char text[512];

    (void)px_stream_write(stream, text, refusal_text(503, text, sizeof(text)));
    px_stat_add(live->stats, PX_STAT_WEB_REFUSED, 1);
    px_log_limited(PX_LOG_WARN, 1, "connection_refused limit=%u", live->options.config->limits.connections);
}

static void adopt(struct px_live *live, struct px_stream **streamp)
{
    struct pxi_conn *conn = calloc(1, sizeof(*conn));

    if (conn == NULL)
        return;
    conn->live = live;
    conn->stream = *streamp;
    *streamp = NULL;
    CDS_INIT_LIST_HEAD(&conn->timer);
    live->count++;
    pxi_conn_become(conn, PXI_HEAD);
    pxi_conn_watch(conn, EPOLLIN);
}

void pxi_conn_accept(struct px_live *live)
{
    for (int i = 0; i < ACCEPT_SLICE; i++) {
        struct px_stream *stream = NULL;
        int error = px_stream_accept(live->listen_fd, NULL, &stream);

        if (error == PX_E_FULL) {
            px_log_limited(PX_LOG_ERROR, 1, "accept_failed reason=\"no descriptors\" connections=%u", live->count);
            live->accept_again_at.ns = live->now.ns + ACCEPT_PAUSE_NS;
            return;
        }
        if (error != 0)
            return;
        if (live->count >= live->options.config->limits.connections)
            refuse_crowd(live, stream);
        else
            adopt(live, &stream);
        px_stream_close(&stream);
    }
}

/* --- events and deadlines --- */

void pxi_conn_event(struct pxi_conn *conn, bool upstream, uint32_t events)
{
    if (conn->dead)
        return;
    switch (conn->kind) {
    case PXI_HEAD:
        read_head(conn);
        break;
    case PXI_WS:
    case PXI_CLOSING:
        pxi_ws_event(conn);
        break;
    case PXI_RELAY:
        pxi_relay_event(conn);
        break;
    default:
        linger(conn);
    }
}

static void deadline_passed(struct pxi_conn *conn)
{
    if (conn->kind == PXI_WS)
        pxi_ws_tend(conn);
    else if (conn->kind == PXI_HEAD && conn->head_len > 0)
        pxi_conn_refuse(conn, 408);
    else
        pxi_conn_kill(conn);
}

void pxi_conn_timers(struct px_live *live)
{
    for (int kind = 0; kind < PXI_KINDS; kind++) {
        while (!cds_list_empty(&live->by_kind[kind])) {
            struct pxi_conn *conn = cds_list_first_entry(&live->by_kind[kind], struct pxi_conn, timer);

            if (px_mono_since(live->now, conn->deadline) < 0)
                break;
            deadline_passed(conn);
        }
    }
}
