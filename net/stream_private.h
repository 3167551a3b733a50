/* What stream.c and tls.c share. */
#pragma once

#include "net/stream.h"

#include <openssl/ssl.h>

enum pxi_stream_state {
    PXI_STREAM_CONNECTING, /* TCP is on its way */
    PXI_STREAM_SHAKING,    /* the TLS handshake is under way */
    PXI_STREAM_OPEN,
    PXI_STREAM_FAILED
};

struct px_stream {
    int fd;
    enum pxi_stream_state state;
    bool want_write; /* TLS has something to write before it can go on */
    SSL *ssl;        /* NULL = plain */
    char error[96];  /* why it failed; filled with the first PX_E_IO */
};

/* Gives the stream its TLS side; `host` is the name to verify, NULL for a server. PX_E_MEMORY, PX_E_INVALID. */
int pxi_tls_attach(struct px_stream *stream, struct px_tls *tls, bool server, const char *host);

/* As their public namesakes, on an attached stream. */
int pxi_tls_handshake(struct px_stream *stream);
ssize_t pxi_tls_read(struct px_stream *stream, void *buffer, size_t size);
ssize_t pxi_tls_write(struct px_stream *stream, const void *bytes, size_t len);
void pxi_tls_detach(struct px_stream *stream);

/* Marks the stream as failed with these words and returns PX_E_IO. */
int pxi_stream_fail(struct px_stream *stream, const char *words);
