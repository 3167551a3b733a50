#include "tests/bench/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "net/http.h"
#include "net/stream.h"

int rest_init(struct rest *rest, const char *host, uint16_t port, const char *key)
{
    *rest = (struct rest){.host = host, .port = port, .key = key, .fd = -1, .bytes = malloc(REST_BODY_MAX)};
    return rest->bytes ? 0 : PX_E_MEMORY;
}

static void hang_up(struct rest *rest)
{
    if (rest->fd >= 0)
        close(rest->fd);
    rest->fd = -1;
}

void rest_fini(struct rest *rest)
{
    hang_up(rest);
    free(rest->bytes);
}

static int dial(struct rest *rest)
{
    struct timeval patience = {.tv_sec = 10};
    struct px_address address;
    int error = px_address_resolve(rest->host, rest->port, &address);

    if (error)
        return error;
    rest->fd = socket(address.sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (rest->fd < 0)
        return PX_E_SYSTEM;
    setsockopt(rest->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(rest->fd, (struct sockaddr *)&address.sockaddr, address.len) != 0) {
        hang_up(rest);
        return PX_E_IO;
    }
    return 0;
}

/* More bytes of the answer; false at its end. */
static bool receive(struct rest *rest)
{
    ssize_t got =
        rest->len < REST_BODY_MAX ? recv(rest->fd, rest->bytes + rest->len, REST_BODY_MAX - rest->len, 0) : -1;

    rest->len += got > 0 ? (size_t)got : 0;
    return got > 0;
}

/* Bodies have a length or end with the connection; a chunked one is an error here. */
static int read_answer(struct rest *rest, struct px_text *bodyp)
{
    struct px_http_head head;
    int len = PX_E_AGAIN;

    rest->len = 0;
    while (len == PX_E_AGAIN) {
        if (!receive(rest))
            return PX_E_CLOSED;
        len = px_http_response_parse((struct px_text){rest->bytes, rest->len}, &head);
    }
    if (len < 0 || head.chunked)
        return PX_E_FORMAT;
    bool whole = head.content_length >= 0;
    int status = head.status;
    bool stays = whole && !px_http_header_has(&head, "Connection", "close");
    size_t wanted = whole ? (size_t)len + (size_t)head.content_length : SIZE_MAX;
    while (rest->len < wanted && receive(rest))
        ;
    if (whole && rest->len < wanted)
        return PX_E_CLOSED;
    if (!stays)
        hang_up(rest);
    *bodyp = (struct px_text){rest->bytes + len, rest->len - (size_t)len};
    return status;
}

static int send_request(struct rest *rest, const char *method, const char *path, const char *body)
{
    char text[32768];
    size_t at = 0;
    int len = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: %s:%u\r\n%s%s%s%sContent-Length: %zu\r\n\r\n%s",
                       method, path, rest->host, rest->port, rest->key ? "X-API-Key: " : "", rest->key ? rest->key : "",
                       rest->key ? "\r\n" : "", body ? "Content-Type: application/json\r\n" : "",
                       body ? strlen(body) : 0, body ? body : "");

    if (len >= (int)sizeof(text))
        return PX_E_TOO_LARGE;
    while (at < (size_t)len) {
        ssize_t sent = send(rest->fd, text + at, (size_t)len - at, MSG_NOSIGNAL);
        if (sent <= 0)
            return PX_E_CLOSED;
        at += (size_t)sent;
    }
    return 0;
}

int rest_request(struct rest *rest, const char *method, const char *path, const char *body, struct px_text *bodyp)
{
    int result = PX_E_CLOSED;

    *bodyp = (struct px_text){"", 0};
    for (unsigned attempt = 0; attempt < 2 && result == PX_E_CLOSED; attempt++) {
        result = rest->fd < 0 ? dial(rest) : 0;
        if (!result)
            result = send_request(rest, method, path, body);
        if (!result)
            result = read_answer(rest, bodyp);
        if (result < 0)
            hang_up(rest);
    }
    return result;
}

int64_t rest_metric(struct px_text metrics, const char *name)
{
    const char *at = metrics.at, *end = metrics.at + metrics.len;
    size_t len = strlen(name);
    int64_t sum = -1;

    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t line_len = (size_t)((line_end ? line_end : end) - at);
        if (line_len > len && memcmp(at, name, len) == 0 && (at[len] == ' ' || at[len] == '{')) {
            const char *blank = memrchr(at, ' ', line_len);
            sum = PX_MAX(sum, 0) + strtoll(blank + 1, NULL, 10);
        }
        at += line_len + 1;
    }
    return sum;
}
