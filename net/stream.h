/*
 * A byte stream over TCP, plain or TLS, that never blocks. One struct px_stream is one connection and belongs to one
 * thread. The TCP connect and the TLS handshake go on by themselves inside read and write, which say PX_E_AGAIN until
 * they are done.
 */
#pragma once

#include "base/types.h"

#include <sys/socket.h>
#include <sys/types.h>

struct px_stream;
struct px_tls;

/* --- TLS contexts: made once, shared by many streams of one thread or several.
 * ---------------------------------------- */

/* A process that makes one ignores SIGPIPE from then on, because OpenSSL writes without MSG_NOSIGNAL. */

/*
 * Verifies the server's certificate and its name against `ca_file`, or against the system's authorities when it is NULL
 * or "". TLS 1.2 or later. PX_E_IO when the file cannot be used. Reads the disk; any process, after the fork.
 */
int px_tls_client_create(const char *ca_file, struct px_tls **tlsp);

/* A server's certificate chain and key, both PEM. PX_E_IO when they cannot be read or do not belong together. */
int px_tls_server_create(const char *cert_file, const char *key_file, struct px_tls **tlsp);

/* Streams made from it live on. Sets *tlsp to NULL; *tlsp may be NULL. */
void px_tls_destroy(struct px_tls **tlsp);

/* --- Addresses and listening
 * ------------------------------------------------------------------------------------------- */

struct px_address {
    struct sockaddr_storage sockaddr;
    socklen_t len; /* 0 = none */
};

/* Looks up host and port. Blocks on DNS unless host is numeric, so a loop does it on a helper thread. PX_E_NOT_FOUND.
 */
int px_address_resolve(const char *host, uint16_t port, struct px_address *addressp);

#define PX_LISTEN_REUSEPORT 1u /* several processes share the port; the kernel spreads connections over them */

/*
 * A non-blocking listening socket for a numeric host ("0.0.0.0", "::", "127.0.0.1") or a name; port 0 lets the kernel
 * choose. The caller close()s *fdp. PX_E_EXISTS when the port is taken, PX_E_NOT_FOUND, PX_E_SYSTEM.
 */
int px_listen(const char *host, uint16_t port, unsigned flags, int *fdp);

/* The local port of a bound socket, or 0. */
uint16_t px_listen_port(int fd);

/* --- Streams
 * ------------------------------------------------------------------------------------------------------------ */

struct px_stream_target {
    const char *host;                 /* also the name that TLS asks for and verifies */
    uint16_t port;                    /* host order */
    struct px_tls *tls;               /* NULL = plain TCP; not owned */
    const struct px_address *address; /* already resolved, or NULL: resolves `host`, which may block on DNS */
};

/* Starts to connect; TCP_NODELAY is on. PX_E_NOT_FOUND, PX_E_IO, PX_E_SYSTEM, PX_E_MEMORY. */
int px_stream_connect(const struct px_stream_target *target, struct px_stream **streamp);

/*
 * The next waiting connection of a listening socket; with `tls` the server side of TLS. PX_E_AGAIN when none waits,
 * PX_E_FULL when the process has no descriptor or memory left (the connection stays in the kernel's queue).
 */
int px_stream_accept(int listen_fd, struct px_tls *tls, struct px_stream **streamp);

/* Takes over a connected socket, which becomes non-blocking; with `tls` as the server side. On failure the caller keeps
 * `fd`. */
int px_stream_adopt(int fd, struct px_tls *tls, struct px_stream **streamp);

/*
 * Both: how many bytes (> 0), PX_E_AGAIN (wait as px_stream_epoll says), PX_E_CLOSED (the other side ended in order;
 * for write also: it no longer listens), or PX_E_IO (px_stream_error says why). After anything but bytes and PX_E_AGAIN
 * only close is of use.
 */
ssize_t px_stream_read(struct px_stream *stream, void *buffer, size_t size);
ssize_t px_stream_write(struct px_stream *stream, const void *bytes, size_t len);

/* Goes on connecting without reading or writing: 0 when connected (and TLS is up), PX_E_AGAIN, PX_E_IO. */
int px_stream_handshake(struct px_stream *stream);

/* What the stream itself needs now. Add your own wish to write with px_stream_epoll: EPOLLIN, EPOLLOUT or both. */
bool px_stream_want_read(const struct px_stream *stream);
bool px_stream_want_write(const struct px_stream *stream);
uint32_t px_stream_epoll(const struct px_stream *stream, bool has_output);

/* TLS may hold decrypted bytes that epoll cannot see: true = read before sleeping. */
bool px_stream_buffered(const struct px_stream *stream);

bool px_stream_is_tls(const struct px_stream *stream);

/* Ends the writing direction (FIN, and close_notify before it with TLS); reading goes on. */
void px_stream_shutdown_write(struct px_stream *stream);

int px_stream_fd(const struct px_stream *stream);

/* Why the last PX_E_IO: "connection refused", "certificate verify failed: …". Static or owned by the stream. */
const char *px_stream_error(const struct px_stream *stream);

/* Closes and frees; sets *streamp to NULL. *streamp may be NULL. Never blocks. */
void px_stream_close(struct px_stream **streamp);

/* TCP_NOTSENT_LOWAT: how much the kernel may hold unsent before the stream says PX_E_AGAIN. */
void px_stream_unsent_limit(struct px_stream *stream, int bytes);
