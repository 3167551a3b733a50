/* Requests for the HTTP server: bytes to and fro, bounded, each direction ending for itself. */
#include "base/error.h"
#include "web/live/live_private.h"

#include <stdlib.h>

static void watch_both(struct pxi_conn *conn)
{
    struct px_live *live = conn->live;
    uint32_t client = 0, upstream = 0;

    /* Who has bytes waiting in a pipe is not read from until they are gone. A side that wants nothing is not watched at
     * all, because epoll would report its hang-up for ever. */
    if (!conn->up.ended && conn->up.len == 0)
        client |= EPOLLIN;
    if (conn->down.len > 0)
        client |= EPOLLOUT;
    if (!conn->down.ended && conn->down.len == 0)
        upstream |= EPOLLIN;
    if (conn->up.len > 0 || px_stream_want_write(conn->upstream))
        upstream |= EPOLLOUT;
    pxi_conn_watch(conn, client);
    pxi_watch(live, px_stream_fd(conn->upstream), &conn->upstream_watched, upstream, (uint64_t)(uintptr_t)conn | 1);
}

/* ---- how long it takes ---- */

static void note_request(struct pxi_conn *conn, const char *bytes, size_t len)
{
    if (conn->asked.ns == 0 && px_time_class_of_head(bytes, len, &conn->asked_class))
        conn->asked = px_mono_now();
}

static void note_answer(struct pxi_conn *conn)
{
    if (conn->asked.ns != 0)
        px_time_observe(conn->live->stats, PX_TIME_SERVER, conn->asked_class, px_mono_since(px_mono_now(), conn->asked));
    conn->asked.ns = 0;
}

/* ---- to and fro ---- */

/* What waits in the pipe: 0 = all gone, PX_E_AGAIN, or an error. */
static int drain(struct pxi_pipe *pipe, struct px_stream *to)
{
    while (pipe->len > 0) {
        ssize_t count = px_stream_write(to, pipe->bytes + pipe->at, pipe->len);

        if (count < 0)
            return (int)count;
        pipe->at += (size_t)count;
        pipe->len -= (size_t)count;
    }
    free(pipe->bytes);
    pipe->bytes = NULL;
    pipe->at = 0;
    return 0;
}

static int fill(struct pxi_pipe *pipe, const char *bytes, size_t len)
{
    if (len == 0)
        return 0;
    PX_CHECK(pipe->bytes == NULL && len <= PXI_RELAY_BUFFER);
    pipe->bytes = malloc(len);
    if (pipe->bytes == NULL)
        return PX_E_MEMORY;
    memcpy(pipe->bytes, bytes, len);
    pipe->at = 0;
    pipe->len = len;
    return 0;
}

/* At once: no event would come to do it later, since an end that is known is not watched for. */
static int end(struct pxi_pipe *pipe, struct px_stream *to)
{
    pipe->ended = true;
    if (!pipe->shut)
        px_stream_shutdown_write(to);
    pipe->shut = true;
    return PX_E_AGAIN;
}

/* One read and its write. PX_E_AGAIN when nothing can be done now; 0 = go on. */
static int step(struct pxi_conn *conn, struct pxi_pipe *pipe, struct px_stream *from, struct px_stream *to)
{
    struct px_live *live = conn->live;
    ssize_t count, written;
    int error = drain(pipe, to);

    if (error != 0)
        return error;
    if (pipe->ended)
        return end(pipe, to);
    count = px_stream_read(from, live->relay, sizeof(live->relay));
    if (count == PX_E_AGAIN)
        return PX_E_AGAIN;
    if (count < 0) /* closed or reset: what came before it has been passed on */
        return end(pipe, to);
    if (pipe == &conn->up)
        note_request(conn, live->relay, (size_t)count);
    written = px_stream_write(to, live->relay, (size_t)count);
    if (pipe == &conn->down)
        note_answer(conn);
    if (written == PX_E_AGAIN)
        written = 0;
    if (written < 0)
        return (int)written;
    return fill(pipe, live->relay + written, (size_t)(count - written));
}

/* Each turn at most 256 KiB a direction, so that one download does not hold up the loop. */
static int pump(struct pxi_conn *conn, struct pxi_pipe *pipe, struct px_stream *from, struct px_stream *to)
{
    int error = 0;

    for (int i = 0; i < 4 && error == 0; i++)
        error = step(conn, pipe, from, to);
    return error == PX_E_AGAIN ? 0 : error;
}

/* The HTTP server takes no more of a request, having answered it early: its answer still counts. */
static void abandon(struct pxi_pipe *pipe)
{
    free(pipe->bytes);
    *pipe = (struct pxi_pipe){.ended = true, .shut = true};
}

/*
 * The answer is out. A client that is still sending has to be listened to for a while: closing on unread bytes would reset
 * the connection, and the answer might be lost on its way.
 */
static void finish(struct pxi_conn *conn, bool client_ended)
{
    if (client_ended) {
        pxi_conn_kill(conn);
        return;
    }
    px_stream_close(&conn->upstream);
    conn->upstream_watched = 0;
    abandon(&conn->up);
    pxi_conn_become(conn, PXI_LINGER);
    pxi_conn_watch(conn, EPOLLIN);
}

void pxi_relay_start(struct pxi_conn *conn, struct px_text bytes)
{
    struct px_stream_target target = {.host = "127.0.0.1", .port = conn->live->options.http_port};

    if (px_stream_connect(&target, &conn->upstream) != 0) {
        pxi_conn_refuse(conn, 503);
        return;
    }
    if (fill(&conn->up, bytes.at, bytes.len) != 0) {
        pxi_conn_kill(conn);
        return;
    }
    note_request(conn, bytes.at, bytes.len);
    pxi_conn_become(conn, PXI_RELAY);
    watch_both(conn);
}

void pxi_relay_event(struct pxi_conn *conn)
{
    int error = px_stream_handshake(conn->upstream);

    if (error == PX_E_IO && conn->down.bytes == NULL && !conn->down.ended && conn->up.bytes != NULL &&
        conn->up.at == 0) {
        px_stream_close(&conn->upstream);
        conn->upstream_watched = 0;
        pxi_conn_refuse(conn, 503); /* the HTTP server is not there, and nothing was said to the client yet */
        return;
    }
    bool client_ended = conn->up.ended;

    if (error == 0 && pump(conn, &conn->up, conn->stream, conn->upstream) != 0)
        abandon(&conn->up);
    else
        client_ended = conn->up.ended;
    if (error == 0)
        error = pump(conn, &conn->down, conn->upstream, conn->stream);
    if (error != 0 && error != PX_E_AGAIN) {
        pxi_conn_kill(conn);
        return;
    }
    if (conn->down.shut) {
        finish(conn, client_ended && conn->up.shut);
        return;
    }
    pxi_conn_become(conn, PXI_RELAY); /* something moved: the idle time starts anew */
    watch_both(conn);
}
