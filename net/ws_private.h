/* What the files of the WebSocket share. */
#pragma once

#include "net/ws.h"

#include <wslay/wslay.h>

#define PXI_WS_ACCEPT_SIZE  29   /* 28 characters of base64 and the terminator */
#define PXI_WS_CONTROL_MAX  125  /* payload of a control frame, by the RFC */
#define PXI_WS_OUTPUT_SLACK 1024 /* room over output_max that only control frames and handshakes use */

/* A client's handshake while it waits for the answer; freed once the connection is open. */
struct pxi_ws_upgrade {
    char accept[PXI_WS_ACCEPT_SIZE];
    size_t len;
    char head[PX_HTTP_HEAD_MAX];
};

/*
 *              created            101 seen            close queued or heard       both, and all written
 *   client     UPGRADING ───────► OPEN ─────────────► CLOSING ─────────────────►  over = PX_E_CLOSED
 *   server     OPEN ─────────────────────────────────►
 *   any        ── broken ─────────────────────────────────────────────────────►   over = PX_E_IO or PX_E_CLOSED
 */
enum pxi_ws_state { PXI_WS_UPGRADING, PXI_WS_OPEN, PXI_WS_CLOSING };

struct px_ws {
    struct px_stream *stream;
    struct px_ws_options options;
    enum pxi_ws_state state;
    bool server;
    bool connected;    /* the stream's own handshake is done */
    bool close_queued; /* our close frame is in the output */
    bool close_heard;  /* the other side's came in */
    bool discard;      /* the other side broke the protocol: what it sends is read and dropped until it ends */
    bool write_ended;
    int over; /* 0, or what every later call returns */
    uint16_t code_said, code_heard;
    px_mono heard;

    /* Inbound. The wslay context lives only while a frame is half read, because it is 4 KiB. */
    wslay_frame_context_ptr frames;
    const unsigned char *input; /* what wslay may still take */
    size_t input_len;
    uint64_t unparsed;      /* bytes given to wslay that belong to no finished frame */
    uint64_t frame_got;     /* payload bytes of the present frame */
    uint8_t message_opcode; /* of the message that is being put together; 0 = none */
    unsigned char *message;
    size_t message_len, message_size;
    size_t control_len;
    unsigned char control[PXI_WS_CONTROL_MAX];
    unsigned char *early; /* bytes that came with the request head */
    size_t early_len;

    /* Outbound: bytes out_at .. out_len of `out` wait for the kernel. */
    unsigned char *out;
    size_t out_at, out_len, out_size;

    struct pxi_ws_upgrade *upgrade; /* NULL but in UPGRADING */
    char error[96];
};

bool pxi_utf8_valid(struct px_text text);

/* Room for `len` more output bytes, at *atp; the caller fills all of them. PX_E_FULL over the bound plus `slack`,
 * PX_E_MEMORY. */
int pxi_ws_output(struct px_ws *ws, size_t len, size_t slack, unsigned char **atp);

/* Queues a frame, masked when we are the client. As pxi_ws_output. */
int pxi_ws_queue(struct px_ws *ws, enum px_ws_opcode opcode, struct px_text payload, size_t slack);

/* Gives bytes to the frame reader; calls back. 0 or PX_E_MEMORY, PX_E_IO; a protocol error is answered with a close,
 * not returned. */
int pxi_ws_take(struct px_ws *ws, const unsigned char *bytes, size_t len);

/* The other side broke the protocol: says so with a close frame and listens no more. */
void pxi_ws_refuse(struct px_ws *ws, unsigned code, const char *words);

/* sha1 and base64 of the key and the RFC's constant. */
void pxi_ws_accept(struct px_text key, char accept[PXI_WS_ACCEPT_SIZE]);

/* Client: the answer's bytes. 0 = more needed or open now (then pxi_ws_take has had the rest); PX_E_IO. */
int pxi_ws_upgrade_take(struct px_ws *ws, const unsigned char *bytes, size_t len);

/* Remembers why, and returns PX_E_IO. */
int pxi_ws_fail(struct px_ws *ws, const char *words);
