/*
 * A WebSocket connection (RFC 6455), client or server, over a px_stream; no extensions. It never blocks and belongs to
 * one thread.
 *
 *   client   px_stream_connect -> px_ws_client_create -> loop: epoll on px_ws_fd with px_ws_epoll, then px_ws_drive
 *   server   px_stream_accept -> px_http_request_parse -> px_ws_request_check -> px_ws_server_create -> the same loop
 *
 * Received messages come through the callbacks, whole, within a bound, text checked for UTF-8. Pings are answered and
 * closes echoed here; time-outs are the caller's (px_ws_heard). What is sent is queued up to a bound and leaves with
 * px_ws_flush or px_ws_drive.
 */
#pragma once

#include "base/clock.h"
#include "base/types.h"
#include "net/http.h"
#include "net/stream.h"

struct px_ws;

enum px_ws_opcode { PX_WS_TEXT = 1, PX_WS_BINARY = 2, PX_WS_CLOSE = 8, PX_WS_PING = 9, PX_WS_PONG = 10 };

/* Close codes used here and by the session protocol. */
#define PX_WS_NORMAL     1000
#define PX_WS_GOING_AWAY 1001
#define PX_WS_PROTOCOL   1002
#define PX_WS_NO_STATUS  1005 /* the other side closed without a code; never sent */
#define PX_WS_ABNORMAL   1006 /* the connection broke; never sent */
#define PX_WS_NOT_UTF8   1007
#define PX_WS_TOO_BIG    1009
#define PX_WS_RESTART    1012

/* Callbacks may send and px_ws_close, but not destroy. Any may be NULL. */
struct px_ws_callbacks {
    void (*open)(void *user, struct px_ws *ws); /* client: the handshake has succeeded */
    void (*message)(void *user, struct px_ws *ws, enum px_ws_opcode opcode,
                    struct px_text payload); /* text or binary */
    void (*pong)(void *user, struct px_ws *ws, struct px_text payload);
};

struct px_ws_options {
    struct px_ws_callbacks callbacks;
    void *user;
    size_t message_max; /* bytes of an inbound message; 0 = 64 KiB for a server, 16 MiB for a client */
    size_t output_max;  /* bytes queued and not yet taken by the kernel; 0 = 256 KiB */
};

struct px_ws_client_request {
    const char *host;    /* for the Host header, with the port where it is not the default one */
    const char *target;  /* "/ws?x=y" */
    const char *headers; /* more header lines, each ended by CRLF, or NULL */
};

/* --- Making ----------------------------------------------------------------------------------------------------------
 */

/* Takes the stream, which may still be connecting, and queues the upgrade request. PX_E_TOO_LARGE, PX_E_MEMORY: stream
 * kept. */
int px_ws_client_create(struct px_stream **streamp, const struct px_ws_client_request *request,
                        const struct px_ws_options *options, struct px_ws **wsp);

/*
 * Whether a request head is an acceptable WebSocket upgrade: 0, or the HTTP status to refuse it with: 400, 405 or 426
 * (then answer Sec-WebSocket-Version: 13). The Origin is the caller's to judge.
 */
int px_ws_request_check(const struct px_http_head *request);

/*
 * Takes the stream and queues the 101. `request` has passed the check; `rest` are bytes that were read behind the head:
 * they are kept (at most 8 KiB) and delivered by the first px_ws_drive, so the caller's buffer may go.
 */
int px_ws_server_create(struct px_stream **streamp, const struct px_http_head *request, struct px_text rest,
                        const struct px_ws_options *options, struct px_ws **wsp);

/* Drops the connection without ado (use px_ws_close for a farewell) and frees. Sets *wsp to NULL; *wsp may be NULL. */
void px_ws_destroy(struct px_ws **wsp);

/* --- The loop --------------------------------------------------------------------------------------------------------
 */

int px_ws_fd(const struct px_ws *ws);
uint32_t px_ws_epoll(const struct px_ws *ws); /* EPOLLIN, EPOLLOUT or both; may change with each call below */

/*
 * Does all that can be done now: connects, reads, calls back, flushes. 0 = wait for epoll (level-triggered); 1 =
 * stopped after 256 KiB, call again before sleeping; PX_E_CLOSED = over in order (px_ws_close_code), PX_E_IO = broken
 * or refused (px_ws_error): destroy it.
 */
int px_ws_drive(struct px_ws *ws);

/* Writes queued bytes. 0 = all gone; PX_E_AGAIN = some wait for EPOLLOUT; PX_E_CLOSED, PX_E_IO as above. */
int px_ws_flush(struct px_ws *ws);

bool px_ws_is_open(const struct px_ws *ws);        /* the handshake is done and nobody has begun to close */
size_t px_ws_pending(const struct px_ws *ws);      /* bytes queued */
px_mono px_ws_heard(const struct px_ws *ws);       /* when bytes last came in; at first: the creation */
unsigned px_ws_close_code(const struct px_ws *ws); /* what the other side said, else what we said, else 1006 */
const char *px_ws_error(const struct px_ws *ws);   /* why PX_E_IO, in words */

/* --- Sending ---------------------------------------------------------------------------------------------------------
 */

/*
 * Queues one message. PX_E_FULL when it does not fit (nothing is queued then; what to do is the caller's choice),
 * PX_E_AGAIN before the handshake is done, PX_E_CLOSED once closing.
 */
int px_ws_send(struct px_ws *ws, enum px_ws_opcode opcode, struct px_text payload);

/*
 * Server only: sends bytes that are one or more whole frames made by px_ws_frame_encode, straight to the kernel when
 * nothing is queued; what the kernel does not take is queued. The whole run or PX_E_FULL and nothing; else as
 * px_ws_send; PX_E_IO.
 */
int px_ws_send_frames(struct px_ws *ws, const void *bytes, size_t len);

/* A ping with at most 125 bytes; as px_ws_send. */
int px_ws_ping(struct px_ws *ws, struct px_text payload);

/* Queues a close frame (reason at most 123 bytes, longer is cut); no message can follow. Go on driving until
 * PX_E_CLOSED, for a bounded time. */
void px_ws_close(struct px_ws *ws, unsigned code, const char *reason);

#define PX_WS_FRAME_HEAD_MAX 10

/* The unmasked head of a final frame with `len` payload bytes: writes 2, 4 or 10 bytes and returns how many. */
size_t px_ws_frame_head(unsigned char head[PX_WS_FRAME_HEAD_MAX], enum px_ws_opcode opcode, size_t len);

/* A whole unmasked frame; to be shared between connections. Returns its length, or PX_E_TOO_LARGE when `size` is too
 * small. */
ssize_t px_ws_frame_encode(void *buffer, size_t size, enum px_ws_opcode opcode, const void *payload, size_t len);
