/* Frames: reading them through wslay, and writing them. */
#include "base/error.h"
#include "net/ws_private.h"

#include <openssl/rand.h>
#include <stdlib.h>

#define MESSAGE_MIN_SIZE 4096

/* --- writing --- */

/* The head with the given bit for a mask: 2, 4 or 10 bytes. */
static size_t write_head(unsigned char *head, unsigned opcode, size_t len, unsigned char mask_bit)
{
    size_t size = len < 126 ? 2 : len <= 0xffff ? 4 : 10;

    head[0] = (unsigned char)(0x80 | opcode);
    head[1] = (unsigned char)(mask_bit | (size == 2 ? len : size == 4 ? 126 : 127));
    for (size_t i = 2; i < size; i++)
        head[i] = (unsigned char)((uint64_t)len >> (8 * (size - 1 - i)));
    return size;
}

size_t px_ws_frame_head(unsigned char head[PX_WS_FRAME_HEAD_MAX], enum px_ws_opcode opcode, size_t len)
{
    return write_head(head, opcode, len, 0);
}

ssize_t px_ws_frame_encode(void *buffer, size_t size, enum px_ws_opcode opcode, const void *payload, size_t len)
{
    unsigned char head[PX_WS_FRAME_HEAD_MAX];
    size_t head_len = write_head(head, opcode, len, 0);

    if (len > size || head_len > size - len)
        return PX_E_TOO_LARGE;
    memcpy(buffer, head, head_len);
    memcpy((char *)buffer + head_len, payload, len);
    return (ssize_t)(head_len + len);
}

static void copy_masked(unsigned char *to, struct px_text payload, const unsigned char mask[4])
{
    for (size_t i = 0; i < payload.len; i++)
        to[i] = (unsigned char)payload.at[i] ^ mask[i & 3];
}

int pxi_ws_queue(struct px_ws *ws, enum px_ws_opcode opcode, struct px_text payload, size_t slack)
{
    unsigned char head[PX_WS_FRAME_HEAD_MAX + 4], *at;
    size_t head_len = write_head(head, opcode, payload.len, ws->server ? 0 : 0x80);
    int error;

    if (payload.len > ws->options.output_max + slack)
        return PX_E_FULL;
    if (!ws->server) {
        PX_CHECK(RAND_bytes(head + head_len, 4) == 1);
        head_len += 4;
    }
    error = pxi_ws_output(ws, head_len + payload.len, slack, &at);
    if (error != 0)
        return error;
    memcpy(at, head, head_len);
    if (ws->server)
        memcpy(at + head_len, payload.at, payload.len);
    else
        copy_masked(at + head_len, payload, head + head_len - 4);
    return 0;
}

/* --- reading --- */

void pxi_ws_refuse(struct px_ws *ws, unsigned code, const char *words)
{
    px_ws_close(ws, code, words);
    px_text_copy(ws->error, sizeof(ws->error), px_text_of(words));
    ws->discard = true;
}

static ssize_t give_wslay(uint8_t *buffer, size_t size, int flags, void *user)
{
    struct px_ws *ws = user;
    size_t count = PX_MIN(size, ws->input_len);

    if (count == 0)
        return -1; /* which wslay takes for "want read" */
    memcpy(buffer, ws->input, count);
    ws->input += count;
    ws->input_len -= count;
    ws->unparsed += count;
    return (ssize_t)count;
}

static bool is_control(unsigned opcode)
{
    return (opcode & 8) != 0;
}

/* What is wrong with a frame that has just begun, as a close code; 0 = nothing. */
static unsigned judge_frame(const struct px_ws *ws, const struct wslay_frame_iocb *frame)
{
    bool known = frame->opcode <= PX_WS_BINARY || (frame->opcode >= PX_WS_CLOSE && frame->opcode <= PX_WS_PONG);

    if (!known || frame->rsv != 0 || (frame->mask != 0) != ws->server)
        return PX_WS_PROTOCOL;
    if (is_control(frame->opcode))
        return frame->fin != 0 && frame->payload_length <= PXI_WS_CONTROL_MAX ? 0 : PX_WS_PROTOCOL;
    if ((frame->opcode == 0) != (ws->message_opcode != 0))
        return PX_WS_PROTOCOL; /* a continuation of nothing, or a new message inside another */
    if (frame->payload_length > ws->options.message_max - ws->message_len)
        return PX_WS_TOO_BIG;
    return 0;
}

static int append_message(struct px_ws *ws, const unsigned char *bytes, size_t len)
{
    size_t needed = ws->message_len + len;

    if (needed > ws->message_size) {
        /* Grows with what has arrived, never with what a frame head promises. */
        size_t size = PX_MAX((size_t)MESSAGE_MIN_SIZE, ws->message_size);
        unsigned char *grown;

        while (size < needed)
            size *= 2;
        grown = realloc(ws->message, size);
        if (grown == NULL)
            return PX_E_MEMORY;
        ws->message = grown;
        ws->message_size = size;
    }
    if (len > 0)
        memcpy(ws->message + ws->message_len, bytes, len);
    ws->message_len = needed;
    return 0;
}

static void deliver(struct px_ws *ws, const unsigned char *bytes, size_t len)
{
    struct px_text payload = {len > 0 ? (const char *)bytes : "", len};
    enum px_ws_opcode opcode = ws->message_opcode;

    if (opcode == PX_WS_TEXT && !pxi_utf8_valid(payload)) {
        pxi_ws_refuse(ws, PX_WS_NOT_UTF8, "text that is not UTF-8");
        return;
    }
    if (ws->state == PXI_WS_OPEN && ws->options.callbacks.message != NULL)
        ws->options.callbacks.message(ws->options.user, ws, opcode, payload);
}

static void message_done(struct px_ws *ws)
{
    ws->message_opcode = 0;
    ws->message_len = 0;
    /* A server has thousands of peers who rarely speak; a client has one, which always does. */
    if (ws->server && ws->message != NULL) {
        free(ws->message);
        ws->message = NULL;
        ws->message_size = 0;
    }
}

static int take_data(struct px_ws *ws, const struct wslay_frame_iocb *frame, bool last)
{
    int error;

    if (frame->opcode != 0)
        ws->message_opcode = frame->opcode;
    if (last && frame->fin != 0 && ws->message_len == 0) {
        deliver(ws, frame->data, frame->data_length); /* in one piece: no copy */
        message_done(ws);
        return 0;
    }
    error = append_message(ws, frame->data, frame->data_length);
    if (error != 0)
        return error;
    if (last && frame->fin != 0) {
        deliver(ws, ws->message, ws->message_len);
        message_done(ws);
    }
    return 0;
}

static bool is_close_code(unsigned code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static void take_close(struct px_ws *ws)
{
    struct px_text reason = {(const char *)ws->control + 2, ws->control_len > 2 ? ws->control_len - 2 : 0};
    unsigned code = ws->control_len >= 2 ? (unsigned)ws->control[0] << 8 | ws->control[1] : PX_WS_NO_STATUS;

    if (ws->control_len == 1 || (ws->control_len >= 2 && !is_close_code(code))) {
        pxi_ws_refuse(ws, PX_WS_PROTOCOL, "malformed close");
        return;
    }
    if (!pxi_utf8_valid(reason)) {
        pxi_ws_refuse(ws, PX_WS_NOT_UTF8, "close reason that is not UTF-8");
        return;
    }
    ws->code_heard = (uint16_t)code;
    ws->close_heard = true;
    px_ws_close(ws, code, NULL);
}

static void take_control(struct px_ws *ws, enum px_ws_opcode opcode)
{
    struct px_text payload = {(const char *)ws->control, ws->control_len};

    if (opcode == PX_WS_CLOSE)
        take_close(ws);
    /* A pong that finds no room is left out: the peer floods pings without reading, and the RFC asks for the last one
     * only. */
    else if (opcode == PX_WS_PING && !ws->close_queued)
        (void)pxi_ws_queue(ws, PX_WS_PONG, payload, PXI_WS_OUTPUT_SLACK / 2);
    else if (opcode == PX_WS_PONG && ws->state == PXI_WS_OPEN && ws->options.callbacks.pong != NULL)
        ws->options.callbacks.pong(ws->options.user, ws, payload);
    ws->control_len = 0;
}

static size_t head_length(const struct wslay_frame_iocb *frame)
{
    return 2 + (frame->payload_length > 0xffff ? 8 : frame->payload_length > 125 ? 2 : 0) + (frame->mask != 0 ? 4 : 0);
}

/* Some bytes of a frame, or all of it. */
static int take_chunk(struct px_ws *ws, const struct wslay_frame_iocb *frame)
{
    unsigned code = ws->frame_got == 0 ? judge_frame(ws, frame) : 0;
    bool last;

    if (code != 0) {
        pxi_ws_refuse(ws, code, code == PX_WS_TOO_BIG ? "message too big" : "malformed frame");
        return 0;
    }
    if (ws->frame_got == 0)
        ws->unparsed -= head_length(frame);
    ws->frame_got += frame->data_length;
    ws->unparsed -= frame->data_length;
    last = ws->frame_got == frame->payload_length;
    if (last)
        ws->frame_got = 0;
    if (!is_control(frame->opcode))
        return take_data(ws, frame, last);
    memcpy(ws->control + ws->control_len, frame->data, frame->data_length);
    ws->control_len += frame->data_length;
    if (last)
        take_control(ws, frame->opcode);
    return 0;
}

static int frames_open(struct px_ws *ws)
{
    struct wslay_frame_callbacks callbacks = {.recv_callback = give_wslay};

    if (ws->frames != NULL)
        return 0;
    return wslay_frame_context_init(&ws->frames, &callbacks, ws) == 0 ? 0 : PX_E_MEMORY;
}

int pxi_ws_take(struct px_ws *ws, const unsigned char *bytes, size_t len)
{
    struct wslay_frame_iocb frame;
    int error = frames_open(ws);

    ws->input = bytes;
    ws->input_len = len;
    while (error == 0 && !ws->discard && !ws->close_heard) {
        bool starved = ws->input_len == 0;
        ssize_t result = wslay_frame_recv(ws->frames, &frame);

        if (result >= 0)
            error = take_chunk(ws, &frame);
        else if (result != WSLAY_ERR_WANT_READ)
            pxi_ws_refuse(ws, PX_WS_PROTOCOL, "malformed frame");
        else if (starved)
            break;
    }
    if (ws->server && ws->frames != NULL && ws->unparsed == 0 && ws->frame_got == 0) {
        wslay_frame_context_free(ws->frames);
        ws->frames = NULL;
    }
    return error;
}
