/* Plain sockets, and the way into TLS. */
#include "net/stream.h"
#include "base/error.h"
#include "net/stream_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

int pxi_stream_fail(struct px_stream *stream, const char *words)
{
    if (stream->state != PXI_STREAM_FAILED)
        px_text_copy(stream->error, sizeof(stream->error), px_text_of(words));
    stream->state = PXI_STREAM_FAILED;
    return PX_E_IO;
}

static int fail_errno(struct px_stream *stream, int number)
{
    char words[96];

    return pxi_stream_fail(stream, strerror_r(number, words, sizeof(words)));
}

static int stream_create(int fd, enum pxi_stream_state state, struct px_stream **streamp)
{
    struct px_stream *stream = calloc(1, sizeof(*stream));
    int on = 1;

    if (stream == NULL)
        return PX_E_MEMORY;
    stream->fd = fd;
    stream->state = state;
    /* Fails harmlessly on a unix socket, which has no Nagle either. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *streamp = stream;
    return 0;
}

/* Whether the connect that is under way has succeeded: 0, PX_E_AGAIN or PX_E_IO. */
static int connect_finish(struct px_stream *stream)
{
    int number = 0;
    socklen_t len = sizeof(number);
    struct px_address peer = {.len = sizeof(peer.sockaddr)};

    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &number, &len) != 0)
        return fail_errno(stream, errno);
    if (number != 0)
        return fail_errno(stream, number);
    if (getpeername(stream->fd, (struct sockaddr *)&peer.sockaddr, &peer.len) != 0)
        return errno == ENOTCONN ? PX_E_AGAIN : fail_errno(stream, errno);
    stream->state = stream->ssl != NULL ? PXI_STREAM_SHAKING : PXI_STREAM_OPEN;
    return 0;
}

/* public API */

int px_stream_connect(const struct px_stream_target *target, struct px_stream **streamp)
{
    struct px_address resolved;
    const struct px_address *address = target->address;
    struct px_stream *stream = NULL;
    int fd, error;

    if (address == NULL) {
        error = px_address_resolve(target->host, target->port, &resolved);
        if (error != 0)
            return error;
        address = &resolved;
    }
    fd = socket(address->sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return PX_E_SYSTEM;
    error = stream_create(fd, PXI_STREAM_CONNECTING, &stream);
    if (error != 0) {
        close(fd);
        return error;
    }
    if (target->tls != NULL)
        error = pxi_tls_attach(stream, target->tls, false, target->host);
    if (error == 0 && connect(fd, (const struct sockaddr *)&address->sockaddr, address->len) != 0 &&
        errno != EINPROGRESS)
        error = PX_E_IO;
    if (error != 0)
        px_stream_close(&stream);
    *streamp = stream;
    return error;
}

int px_stream_accept(int listen_fd, struct px_tls *tls, struct px_stream **streamp)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int error;

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            return PX_E_FULL;
        /* A client that has gone while it waited, or an interrupted call: the next one may be fine. */
        return PX_E_AGAIN;
    }
    error = px_stream_adopt(fd, tls, streamp);
    if (error != 0)
        close(fd);
    return error;
}

int px_stream_adopt(int fd, struct px_tls *tls, struct px_stream **streamp)
{
    struct px_stream *stream;
    int flags = fcntl(fd, F_GETFL);
    int error;

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return PX_E_SYSTEM;
    error = stream_create(fd, tls != NULL ? PXI_STREAM_SHAKING : PXI_STREAM_OPEN, &stream);
    if (error != 0)
        return error;
    if (tls != NULL) {
        error = pxi_tls_attach(stream, tls, true, NULL);
        if (error != 0) {
            free(stream);
            return error;
        }
    }
    *streamp = stream;
    return 0;
}

int px_stream_handshake(struct px_stream *stream)
{
    int error;

    if (stream->state == PXI_STREAM_CONNECTING) {
        error = connect_finish(stream);
        if (error != 0)
            return error;
    }
    if (stream->state == PXI_STREAM_SHAKING)
        return pxi_tls_handshake(stream);
    return stream->state == PXI_STREAM_OPEN ? 0 : PX_E_IO;
}

ssize_t px_stream_read(struct px_stream *stream, void *buffer, size_t size)
{
    ssize_t count;
    int error;

    if (stream->state != PXI_STREAM_OPEN) {
        error = px_stream_handshake(stream);
        if (error != 0)
            return error;
    }
    if (stream->ssl != NULL)
        return pxi_tls_read(stream, buffer, size);
    do
        count = recv(stream->fd, buffer, size, 0);
    while (count < 0 && errno == EINTR);
    if (count > 0)
        return count;
    if (count == 0)
        return PX_E_CLOSED;
    return errno == EAGAIN || errno == EWOULDBLOCK ? PX_E_AGAIN : fail_errno(stream, errno);
}

ssize_t px_stream_write(struct px_stream *stream, const void *bytes, size_t len)
{
    ssize_t count;
    int error;

    if (stream->state != PXI_STREAM_OPEN) {
        error = px_stream_handshake(stream);
        if (error != 0)
            return error;
    }
    if (stream->ssl != NULL)
        return pxi_tls_write(stream, bytes, len);
    do
        count = send(stream->fd, bytes, len, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    if (count >= 0)
        return count;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return PX_E_AGAIN;
    return errno == EPIPE ? PX_E_CLOSED : fail_errno(stream, errno);
}

bool px_stream_want_read(const struct px_stream *stream)
{
    return stream->state != PXI_STREAM_CONNECTING;
}

bool px_stream_want_write(const struct px_stream *stream)
{
    return stream->state == PXI_STREAM_CONNECTING || stream->want_write;
}

uint32_t px_stream_epoll(const struct px_stream *stream, bool has_output)
{
    uint32_t events = px_stream_want_read(stream) ? EPOLLIN : 0;

    /* Output cannot leave before the handshake is done; a wish for EPOLLOUT would only spin until then. */
    if (px_stream_want_write(stream) || (has_output && stream->state == PXI_STREAM_OPEN))
        events |= EPOLLOUT;
    return events;
}

bool px_stream_buffered(const struct px_stream *stream)
{
    return stream->ssl != NULL && SSL_has_pending(stream->ssl) == 1;
}

bool px_stream_is_tls(const struct px_stream *stream)
{
    return stream->ssl != NULL;
}

void px_stream_shutdown_write(struct px_stream *stream)
{
    if (stream->ssl != NULL && stream->state == PXI_STREAM_OPEN)
        (void)SSL_shutdown(stream->ssl);
    (void)shutdown(stream->fd, SHUT_WR);
}

int px_stream_fd(const struct px_stream *stream)
{
    return stream->fd;
}

const char *px_stream_error(const struct px_stream *stream)
{
    return stream->error[0] != '\0' ? stream->error : "no error";
}

void px_stream_close(struct px_stream **streamp)
{
    struct px_stream *stream = *streamp;

    if (stream == NULL)
        return;
    pxi_tls_detach(stream);
    close(stream->fd);
    free(stream);
    *streamp = NULL;
}

void px_stream_unsent_limit(struct px_stream *stream, int bytes)
{
    (void)setsockopt(stream->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}
