/*
 * Heads of HTTP/1.1 requests and responses, read strictly and without allocating: what a proxy and a server could
 * understand differently is refused. Pure functions over the caller's buffer; any process, never block.
 */
#pragma once

#include "base/types.h"

#define PX_HTTP_HEAD_MAX    8192
#define PX_HTTP_HEADERS_MAX 64

struct px_http_header {
    struct px_text name, value; /* value without surrounding blanks */
};

/* All texts point into the parsed buffer. */
struct px_http_head {
    struct px_text method, target; /* request only; target as sent */
    struct px_text path, query;    /* target cut at the first '?'; query.at is NULL without one */
    int status;                    /* response only */
    struct px_text reason;
    int minor;              /* HTTP/1.minor: 0 or 1 */
    int64_t content_length; /* -1 = none given */
    bool chunked;
    size_t header_count;
    struct px_http_header headers[PX_HTTP_HEADERS_MAX];
};

/*
 * The length of the head with its empty line (> 0); PX_E_AGAIN when more bytes are needed; PX_E_TOO_LARGE over 8 KiB or
 * 64 headers; PX_E_FORMAT for anything doubtful: a bare LF or CR, a folded or nameless header, blanks before the colon,
 * control characters, Content-Length twice or beside Transfer-Encoding, a coding other than chunked, and in a request a
 * missing or doubled Host.
 */
int px_http_request_parse(struct px_text bytes, struct px_http_head *headp);
int px_http_response_parse(struct px_text bytes, struct px_http_head *headp);

/* The first value with that name, in any case; .at is NULL when there is none. */
struct px_text px_http_header_find(const struct px_http_head *head, const char *name);

/* Whether a list header ("Connection: keep-alive, Upgrade") has the token, in any case, in any of its lines. */
bool px_http_header_has(const struct px_http_head *head, const char *name, const char *token);

/* ASCII letters compared without case. */
bool px_http_text_is(struct px_text text, const char *terminated);

/*
 * The decoded value of the first `key` in a query ("a=1&b=%20+"), terminated. `value` may equal NULL with size 0 to ask
 * only whether the key is there. PX_E_NOT_FOUND, PX_E_TOO_LARGE (does not fit), PX_E_FORMAT (bad % or a decoded NUL).
 */
int px_http_query_find(struct px_text query, const char *key, char *value, size_t size, size_t *lenp);

/* Percent-decodes; '+' becomes a blank with `form`. Returns like px_http_query_find. */
int px_http_decode(struct px_text text, bool form, char *value, size_t size, size_t *lenp);
