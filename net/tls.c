/* TLS over the stream's socket, with OpenSSL 3. */
#include "base/error.h"
#include "net/stream_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct px_tls {
    SSL_CTX *context;
};

static int tls_create(const SSL_METHOD *method, struct px_tls **tlsp)
{
    struct px_tls *tls = calloc(1, sizeof(*tls));

    if (tls == NULL)
        return PX_E_MEMORY;
    signal(SIGPIPE, SIG_IGN);
    tls->context = SSL_CTX_new(method);
    if (tls->context == NULL) {
        free(tls);
        return PX_E_MEMORY;
    }
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    /* Partial writes and a moving buffer: what is written comes from a queue that grows. */
    SSL_CTX_set_mode(tls->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    /* Peers of this trade often close without close_notify; every message above carries its own length. */
    SSL_CTX_set_options(tls->context, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
    *tlsp = tls;
    return 0;
}

/* public API */

int px_tls_client_create(const char *ca_file, struct px_tls **tlsp)
{
    struct px_tls *tls;
    int error = tls_create(TLS_client_method(), &tls);
    int loaded;

    if (error != 0)
        return error;
    if (ca_file != NULL && ca_file[0] != '\0')
        loaded = SSL_CTX_load_verify_locations(tls->context, ca_file, NULL);
    else
        loaded = SSL_CTX_set_default_verify_paths(tls->context);
    if (loaded != 1) {
        ERR_clear_error();
        px_tls_destroy(&tls);
        return PX_E_IO;
    }
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    *tlsp = tls;
    return 0;
}

int px_tls_server_create(const char *cert_file, const char *key_file, struct px_tls **tlsp)
{
    struct px_tls *tls;
    int error = tls_create(TLS_server_method(), &tls);

    if (error != 0)
        return error;
    if (SSL_CTX_use_certificate_chain_file(tls->context, cert_file) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls->context, key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(tls->context) != 1) {
        ERR_clear_error();
        px_tls_destroy(&tls);
        return PX_E_IO;
    }
    *tlsp = tls;
    return 0;
}

void px_tls_destroy(struct px_tls **tlsp)
{
    struct px_tls *tls = *tlsp;

    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
    *tlsp = NULL;
}

/* --- the stream's side --- */

static bool is_numeric(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* An address is verified as an address and sends no SNI, which is for names only. */
static bool set_peer_name(SSL *ssl, const char *host)
{
    if (is_numeric(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

int pxi_tls_attach(struct px_stream *stream, struct px_tls *tls, bool server, const char *host)
{
    SSL *ssl;

    if (!server && host == NULL)
        return PX_E_INVALID; /* a client that cannot verify its peer is a mistake, not a mode */
    ssl = SSL_new(tls->context);
    if (ssl == NULL)
        return PX_E_MEMORY;
    if (SSL_set_fd(ssl, stream->fd) != 1 || (!server && !set_peer_name(ssl, host))) {
        SSL_free(ssl);
        ERR_clear_error();
        return PX_E_INVALID;
    }
    if (server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    stream->ssl = ssl;
    return 0;
}

static int fail_words(struct px_stream *stream)
{
    unsigned long code = ERR_peek_error();
    long verified = SSL_get_verify_result(stream->ssl);
    char words[sizeof(stream->error)];

    if (verified != X509_V_OK)
        snprintf(words, sizeof(words), "certificate verify failed: %s", X509_verify_cert_error_string(verified));
    else if (code != 0)
        snprintf(words, sizeof(words), "tls: %s",
                 ERR_reason_error_string(code) ? ERR_reason_error_string(code) : "error");
    else
        snprintf(words, sizeof(words), "tls: %s", errno != 0 ? strerror(errno) : "connection lost");
    ERR_clear_error();
    return pxi_stream_fail(stream, words);
}

/* What a result that is no success means for the caller. */
static int tls_result(struct px_stream *stream, int result)
{
    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        stream->want_write = false;
        return PX_E_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        stream->want_write = true;
        return PX_E_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return PX_E_CLOSED;
    default:
        return fail_words(stream);
    }
}

int pxi_tls_handshake(struct px_stream *stream)
{
    int result;

    ERR_clear_error();
    errno = 0;
    result = SSL_do_handshake(stream->ssl);
    if (result != 1) {
        result = tls_result(stream, result);
        return result == PX_E_CLOSED ? pxi_stream_fail(stream, "tls: closed in the handshake") : result;
    }
    stream->want_write = false;
    stream->state = PXI_STREAM_OPEN;
    return 0;
}

ssize_t pxi_tls_read(struct px_stream *stream, void *buffer, size_t size)
{
    size_t count = 0;
    int result;

    ERR_clear_error();
    errno = 0;
    result = SSL_read_ex(stream->ssl, buffer, size, &count);
    if (result != 1)
        return tls_result(stream, result);
    return (ssize_t)count;
}

ssize_t pxi_tls_write(struct px_stream *stream, const void *bytes, size_t len)
{
    size_t count = 0;
    int result;

    ERR_clear_error();
    errno = 0;
    result = SSL_write_ex(stream->ssl, bytes, len, &count);
    if (result != 1)
        return tls_result(stream, result);
    stream->want_write = false;
    return (ssize_t)count;
}

void pxi_tls_detach(struct px_stream *stream)
{
    if (stream->ssl == NULL)
        return;
    /* A farewell that does not wait for an answer; OpenSSL forbids it on a connection that failed or never stood. */
    if (stream->state == PXI_STREAM_OPEN)
        (void)SSL_shutdown(stream->ssl);
    SSL_free(stream->ssl);
    ERR_clear_error();
    stream->ssl = NULL;
}
