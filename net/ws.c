/* The life of a WebSocket connection: reading, writing, closing. */
#include "net/ws.h"
#include "base/error.h"
#include "net/ws_private.h"

#include <stdlib.h>

#define READ_SIZE       (16 * 1024)
#define READ_BUDGET     (256 * 1024)
#define OUTPUT_MIN_SIZE 512
#define OUTPUT_KEEP     4096 /* a larger buffer is given back once it is empty */

int pxi_ws_fail(struct px_ws *ws, const char *words)
{
    if (ws->error[0] == '\0')
        px_text_copy(ws->error, sizeof(ws->error), px_text_of(words));
    return PX_E_IO;
}

static int over(struct px_ws *ws, int error)
{
    if (error == PX_E_IO)
        (void)pxi_ws_fail(ws, px_stream_error(ws->stream));
    ws->over = error;
    return error;
}

/* --- output --- */

int pxi_ws_output(struct px_ws *ws, size_t len, size_t slack, unsigned char **atp)
{
    size_t pending = ws->out_len - ws->out_at;

    if (len > ws->options.output_max + slack || pending > ws->options.output_max + slack - len)
        return PX_E_FULL;
    if (ws->out_at > 0 && ws->out_len + len > ws->out_size) {
        memmove(ws->out, ws->out + ws->out_at, pending);
        ws->out_at = 0;
        ws->out_len = pending;
    }
    if (ws->out_len + len > ws->out_size) {
        size_t size = PX_MAX((size_t)OUTPUT_MIN_SIZE, ws->out_size);
        unsigned char *grown;

        while (size < ws->out_len + len)
            size *= 2;
        grown = realloc(ws->out, size);
        if (grown == NULL)
            return PX_E_MEMORY;
        ws->out = grown;
        ws->out_size = size;
    }
    *atp = ws->out + ws->out_len;
    ws->out_len += len;
    return 0;
}

static void output_emptied(struct px_ws *ws)
{
    ws->out_at = ws->out_len = 0;
    if (ws->out_size > OUTPUT_KEEP) {
        free(ws->out);
        ws->out = NULL;
        ws->out_size = 0;
    }
}

/* Once all is written: whether that was the last of it. */
static int after_output(struct px_ws *ws)
{
    if (ws->close_queued && ws->close_heard)
        return over(ws, PX_E_CLOSED);
    if (ws->discard && !ws->write_ended) {
        /* Closing at once with unread input would reset the connection, and the close frame might never arrive. */
        px_stream_shutdown_write(ws->stream);
        ws->write_ended = true;
    }
    return 0;
}

int px_ws_flush(struct px_ws *ws)
{
    ssize_t count;

    if (ws->over != 0)
        return ws->over;
    while (ws->out_at < ws->out_len) {
        count = px_stream_write(ws->stream, ws->out + ws->out_at, ws->out_len - ws->out_at);
        if (count == PX_E_AGAIN)
            return PX_E_AGAIN;
        if (count < 0)
            return over(ws, (int)count);
        ws->out_at += (size_t)count;
    }
    output_emptied(ws);
    return after_output(ws);
}

/* --- input --- */

/* The other side has ended. */
static int input_ended(struct px_ws *ws)
{
    if (ws->state == PXI_WS_UPGRADING)
        return over(ws, pxi_ws_fail(ws, "handshake: closed without an answer"));
    return over(ws, PX_E_CLOSED);
}

static int take(struct px_ws *ws, const unsigned char *bytes, size_t len)
{
    if (ws->state == PXI_WS_UPGRADING)
        return pxi_ws_upgrade_take(ws, bytes, len);
    if (ws->discard || ws->close_heard)
        return 0;
    return pxi_ws_take(ws, bytes, len);
}

static int take_early(struct px_ws *ws)
{
    unsigned char *early = ws->early;
    int error;

    ws->early = NULL;
    error = take(ws, early, ws->early_len);
    free(early);
    return error;
}

/* 0 = all read, 1 = the budget is spent, or an error that is the end. */
static int read_input(struct px_ws *ws)
{
    unsigned char bytes[READ_SIZE];
    size_t total = 0;

    while (total < READ_BUDGET) {
        ssize_t count = px_stream_read(ws->stream, bytes, sizeof(bytes));
        int error;

        if (count == PX_E_AGAIN)
            return 0;
        if (count == PX_E_CLOSED)
            return input_ended(ws);
        if (count < 0)
            return over(ws, (int)count);
        ws->heard = px_mono_now();
        error = take(ws, bytes, (size_t)count);
        if (error != 0)
            return over(ws, error);
        total += (size_t)count;
        /* A short read has emptied the socket: ask epoll, not the kernel again. TLS reads record by record, so not
         * there. */
        if ((size_t)count < sizeof(bytes) && !px_stream_is_tls(ws->stream))
            return 0;
    }
    return 1;
}

/* public API */

int px_ws_drive(struct px_ws *ws)
{
    int error, more;

    if (ws->over != 0)
        return ws->over;
    if (!ws->connected) {
        error = px_stream_handshake(ws->stream);
        if (error != 0)
            return error == PX_E_AGAIN ? 0 : over(ws, error);
        ws->connected = true;
        error = px_ws_flush(ws);
        if (error != 0 && error != PX_E_AGAIN)
            return error;
    }
    if (ws->early != NULL) {
        error = take_early(ws);
        if (error != 0)
            return over(ws, error);
    }
    more = read_input(ws);
    if (more < 0)
        return more;
    error = px_ws_flush(ws);
    return error == 0 || error == PX_E_AGAIN ? more : error;
}

void px_ws_destroy(struct px_ws **wsp)
{
    struct px_ws *ws = *wsp;

    if (ws == NULL)
        return;
    px_stream_close(&ws->stream);
    if (ws->frames != NULL)
        wslay_frame_context_free(ws->frames);
    free(ws->upgrade);
    free(ws->message);
    free(ws->early);
    free(ws->out);
    free(ws);
    *wsp = NULL;
}

static int may_send(const struct px_ws *ws)
{
    if (ws->over != 0)
        return ws->over;
    if (ws->state == PXI_WS_OPEN)
        return 0;
    return ws->state == PXI_WS_UPGRADING ? PX_E_AGAIN : PX_E_CLOSED;
}

int px_ws_send(struct px_ws *ws, enum px_ws_opcode opcode, struct px_text payload)
{
    int error = may_send(ws);

    return error != 0 ? error : pxi_ws_queue(ws, opcode, payload, 0);
}

int px_ws_ping(struct px_ws *ws, struct px_text payload)
{
    PX_CHECK(payload.len <= PXI_WS_CONTROL_MAX);
    return px_ws_send(ws, PX_WS_PING, payload);
}

int px_ws_send_frames(struct px_ws *ws, const void *bytes, size_t len)
{
    int error = may_send(ws);
    unsigned char *at;
    ssize_t count = 0;

    PX_CHECK(ws->server);
    if (error != 0)
        return error;
    if (len > ws->options.output_max)
        return PX_E_FULL;
    if (ws->out_at == ws->out_len) {
        count = px_stream_write(ws->stream, bytes, len);
        if (count == PX_E_AGAIN)
            count = 0;
        if (count < 0)
            return over(ws, (int)count);
        if ((size_t)count == len)
            return 0;
    }
    error = pxi_ws_output(ws, len - (size_t)count, 0, &at);
    if (error == 0)
        memcpy(at, (const char *)bytes + count, len - (size_t)count);
    else if (count > 0)
        return over(ws, error); /* out of memory with a frame cut in the middle: the connection is of no more use */
    return error;
}

void px_ws_close(struct px_ws *ws, unsigned code, const char *reason)
{
    unsigned char payload[PXI_WS_CONTROL_MAX] = {(unsigned char)(code >> 8), (unsigned char)code};
    size_t reason_len = reason != NULL ? PX_MIN(strlen(reason), sizeof(payload) - 2) : 0;
    size_t len = code == PX_WS_NO_STATUS ? 0 : 2 + reason_len;

    if (ws->close_queued || ws->over != 0)
        return;
    if (ws->state == PXI_WS_UPGRADING) {
        /* There is no frame to say it with yet. */
        (void)over(ws, PX_E_CLOSED);
        return;
    }
    if (reason_len > 0)
        memcpy(payload + 2, reason, reason_len);
    ws->state = PXI_WS_CLOSING;
    ws->close_queued = true;
    ws->code_said = (uint16_t)code;
    if (pxi_ws_queue(ws, PX_WS_CLOSE, (struct px_text){(const char *)payload, len}, PXI_WS_OUTPUT_SLACK) != 0)
        (void)over(ws, PX_E_MEMORY);
}

int px_ws_fd(const struct px_ws *ws)
{
    return px_stream_fd(ws->stream);
}

uint32_t px_ws_epoll(const struct px_ws *ws)
{
    return px_stream_epoll(ws->stream, ws->out_at < ws->out_len);
}

bool px_ws_is_open(const struct px_ws *ws)
{
    return ws->state == PXI_WS_OPEN && ws->over == 0;
}

size_t px_ws_pending(const struct px_ws *ws)
{
    return ws->out_len - ws->out_at;
}

px_mono px_ws_heard(const struct px_ws *ws)
{
    return ws->heard;
}

unsigned px_ws_close_code(const struct px_ws *ws)
{
    if (ws->close_heard)
        return ws->code_heard;
    return ws->close_queued ? ws->code_said : PX_WS_ABNORMAL;
}

const char *px_ws_error(const struct px_ws *ws)
{
    return ws->error[0] != '\0' ? ws->error : "no error";
}
