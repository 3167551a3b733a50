/* A session's WebSocket: the sink that gathers frames, and the events of its socket. */
#include "base/error.h"
#include "web/live/live_private.h"

#define UNSENT_BYTES (16 * 1024)
#define OUTPUT_MAX   (192 * 1024)
#define FLOOD_BYTES  (64 * 1024) /* of answers not read, from which on no request is read */
#define SILENCE_NS   (60 * PX_NS_PER_S)

static void watch(struct pxi_conn *conn)
{
    uint32_t events = px_ws_epoll(conn->ws);

    if (px_ws_pending(conn->ws) > FLOOD_BYTES)
        events &= ~(uint32_t)EPOLLIN;
    pxi_conn_watch(conn, events);
}

/* --- the sink --- */

static void gather_flush(struct px_live *live)
{
    struct pxi_conn *conn = live->gatherer;
    size_t len = live->gather_len;
    int error;

    live->gatherer = NULL;
    live->gather_len = 0;
    if (conn == NULL || len == 0 || conn->dead)
        return;
    error = px_ws_send_frames(conn->ws, live->gather, len);
    if (error == PX_E_FULL) {
        px_ws_close(conn->ws, PX_CLOSE_SLOW, "slow consumer");
        pxi_conn_become(conn, PXI_CLOSING);
    } else if (error != 0) {
        pxi_conn_kill(conn);
        return;
    }
    watch(conn);
}

static size_t sink_room(void *connection)
{
    struct pxi_conn *conn = connection;
    size_t used = conn->live->gatherer == conn ? conn->live->gather_len : 0;

    if (conn->dead || px_ws_pending(conn->ws) > 0)
        return 0;
    return used < PXI_GATHER_ROOM ? PXI_GATHER_ROOM - used : 0;
}

static bool sink_message(void *connection, struct px_text head, struct px_text tail)
{
    struct pxi_conn *conn = connection;
    struct px_live *live = conn->live;
    size_t len = head.len + tail.len;
    char *at;

    if (live->gatherer != conn || live->gather_len + len + PX_WS_FRAME_HEAD_MAX > sizeof(live->gather))
        gather_flush(live);
    if (conn->dead || !px_ws_is_open(conn->ws))
        return false;
    PX_CHECK(len + PX_WS_FRAME_HEAD_MAX <= sizeof(live->gather));
    live->gatherer = conn;
    at = live->gather + live->gather_len;
    at += px_ws_frame_head((unsigned char *)at, PX_WS_TEXT, len);
    memcpy(at, head.at, head.len);
    memcpy(at + head.len, tail.at, tail.len);
    live->gather_len = (size_t)(at - live->gather) + len;
    return true;
}

static void sink_flush(void *connection)
{
    struct pxi_conn *conn = connection;

    if (conn->live->gatherer == conn)
        gather_flush(conn->live);
}

static void sink_close(void *connection, unsigned code, const char *reason)
{
    struct pxi_conn *conn = connection;

    sink_flush(conn);
    if (conn->dead || conn->kind != PXI_WS)
        return;
    px_ws_close(conn->ws, code, reason);
    (void)px_ws_flush(conn->ws);
    pxi_conn_become(conn, PXI_CLOSING);
    watch(conn);
}

static const struct px_session_sink sink = {sink_room, sink_message, sink_flush, sink_close};

/* --- the connection --- */

static void on_message(void *user, struct px_ws *ws, enum px_ws_opcode opcode, struct px_text payload)
{
    struct pxi_conn *conn = user;

    if (conn->dead || conn->session == NULL)
        return;
    if (opcode == PX_WS_TEXT)
        px_session_text(conn->session, payload, conn->live->now);
    else
        px_ws_close(ws, 1003, "text only");
}

/* A key in the request's headers, or empty. */
static struct px_text find_token(const struct px_http_head *request)
{
    struct px_text key = px_http_header_find(request, "x-api-key");
    struct px_text bearer = px_http_header_find(request, "authorization");

    if (key.at != NULL)
        return key;
    if (bearer.len > 7 && px_http_text_is((struct px_text){bearer.at, 7}, "bearer "))
        return (struct px_text){bearer.at + 7, bearer.len - 7};
    return (struct px_text){"", 0};
}

static void open_session(struct pxi_conn *conn, struct px_text token)
{
    struct px_live *live = conn->live;
    int error = px_session_create(live->hub, &sink, conn, token, live->now, &conn->session);

    if (error == 0) {
        live->sessions++;
        return;
    }
    px_ws_close(conn->ws, error == PX_E_FORBIDDEN ? PX_CLOSE_AUTH : 1011,
                error == PX_E_FORBIDDEN ? "key not accepted" : "no memory");
    pxi_conn_become(conn, PXI_CLOSING);
}

void pxi_ws_start(struct pxi_conn *conn, const struct px_http_head *request, struct px_text rest)
{
    struct px_ws_options options = {.callbacks = {.message = on_message},
                                    .user = conn,
                                    .message_max = PX_SESSION_TEXT_MAX,
                                    .output_max = OUTPUT_MAX};
    int status = px_ws_request_check(request);

    if (status != 0) {
        pxi_conn_refuse(conn, status);
        return;
    }
    px_stream_unsent_limit(conn->stream, UNSENT_BYTES);
    if (px_ws_server_create(&conn->stream, request, rest, &options, &conn->ws) != 0) {
        pxi_conn_kill(conn);
        return;
    }
    pxi_conn_become(conn, PXI_WS);
    open_session(conn, find_token(request));
    pxi_ws_event(conn);
}

void pxi_ws_event(struct pxi_conn *conn)
{
    bool flooded = px_ws_pending(conn->ws) > FLOOD_BYTES;
    int result = flooded ? px_ws_flush(conn->ws) : px_ws_drive(conn->ws);

    if (conn->dead)
        return;
    if (result == PX_E_CLOSED || result == PX_E_IO || result == PX_E_MEMORY) {
        pxi_conn_kill(conn);
        return;
    }
    if (conn->kind == PXI_WS && !px_ws_is_open(conn->ws))
        pxi_conn_become(conn, PXI_CLOSING);
    if (conn->session != NULL && px_ws_pending(conn->ws) == 0)
        px_session_writable(conn->session, conn->live->now);
    if (!conn->dead)
        watch(conn);
}

void pxi_ws_tend(struct pxi_conn *conn)
{
    struct px_live *live = conn->live;

    if (px_mono_since(live->now, px_ws_heard(conn->ws)) >= SILENCE_NS) {
        sink_close(conn, PX_CLOSE_SILENT, "silent");
        return;
    }
    (void)px_ws_ping(conn->ws, (struct px_text){"", 0}); /* without room for it, the client's own silence will decide */
    (void)px_ws_flush(conn->ws);
    pxi_conn_become(conn, PXI_WS);
    watch(conn);
}
