/* The way out: head and body of an answer, packed when that is welcome, in one write. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "web/dashboard/files.h"
#include "web/rest/request_private.h"

#define GZIP_LEAST 1024
#define GZIP_LEVEL 3
#define GZIP_BITS  (15 + 16) /* the largest window, in gzip's frame */
#define CHUNKED    SIZE_MAX  /* for a length: nobody knows it yet */

#define FILE_POLICY                                                                                                    \
    "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

struct head {
    char text[PXI_HEAD_ROOM];
    size_t len;
};

static void say(struct head *head, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What would not fit is left out as a whole line; the lines that matter are bounded well below the room. */
static void say(struct head *head, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(head->text + head->len, sizeof head->text - head->len, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < sizeof head->text - head->len)
        head->len += (size_t)n;
    else
        head->text[head->len] = '\0';
}

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {207, "Multi-Status"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < PX_COUNT_OF(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Answer";
}

static void say_cross_origin(struct head *head, const struct px_request *request)
{
    if (request->match.methods == 0 || request->match.access != PX_ACCESS_PUBLIC)
        return;
    say(head, "Access-Control-Allow-Origin: *\r\n");
    if (strcmp(request->exchange->method, "OPTIONS") == 0)
        say(head, "Access-Control-Allow-Methods: GET, HEAD\r\n"
                  "Access-Control-Allow-Headers: X-API-Key, Authorization, If-None-Match\r\n"
                  "Access-Control-Max-Age: 86400\r\n");
    else
        say(head, "Access-Control-Expose-Headers: ETag, Link, X-Request-Id, Retry-After, RateLimit-Limit, "
                  "RateLimit-Remaining, RateLimit-Reset\r\n");
}

static void say_limits(struct head *head, const struct px_request *request)
{
    if (request->rated)
        say(head, "RateLimit-Limit: %u\r\nRateLimit-Remaining: %u\r\nRateLimit-Reset: %u\r\n", request->rate.limit,
            request->rate.remaining, request->rate.reset_s);
    if (request->problem.retry_after_s)
        say(head, "Retry-After: %u\r\n", request->problem.retry_after_s);
}

static void say_problem(struct head *head, const struct px_request *request)
{
    char methods[64];

    if (request->problem.kind == PX_PROBLEM_UNAUTHORIZED)
        say(head, "WWW-Authenticate: Bearer realm=\"pxengine\"\r\n");
    if (request->problem.kind == PX_PROBLEM_METHOD_NOT_ALLOWED || strcmp(request->exchange->method, "OPTIONS") == 0) {
        px_methods_text(request->match.methods ? request->match.methods : PX_GET, methods, sizeof methods);
        say(head, "Allow: %s\r\n", methods);
    }
}

static void say_validators(struct head *head, const struct pxi_answer *answer, bool packed)
{
    if (answer->etag[0]) /* a strong tag belongs to one encoding */
        say(head, "ETag: %s%s\r\n", packed && !answer->file ? "W/" : "", answer->etag);
    say(head, "Cache-Control: %s\r\n", answer->cache ? answer->cache : "no-store");
    if (answer->location[0])
        say(head, "Location: %s\r\n", answer->location);
    if (answer->link[0])
        say(head, "Link: %s\r\n", answer->link);
    if (answer->file)
        say(head, "Content-Security-Policy: " FILE_POLICY "\r\nReferrer-Policy: no-referrer\r\n");
}

static void head_write(struct head *head, const struct px_request *request, size_t body_len, bool packed)
{
    const struct pxi_answer *answer = &request->answer;

    head->len = 0;
    say(head, "HTTP/1.1 %d %s\r\n", answer->status, reason_of(answer->status));
    if (!answer->empty && body_len == CHUNKED)
        say(head, "Content-Type: %s\r\nTransfer-Encoding: chunked\r\n", answer->type);
    else if (!answer->empty)
        say(head, "Content-Type: %s\r\nContent-Length: %zu\r\n", answer->type, body_len);
    if (packed)
        say(head, "Content-Encoding: gzip\r\n");
    say(head, "Vary: %sAccept-Encoding\r\nX-Content-Type-Options: nosniff\r\nX-Request-Id: %s\r\n",
        answer->by_accept ? "Accept, " : "", request->id);
    if (request->closing)
        say(head, "Connection: close\r\n");
    say_validators(head, answer, packed);
    say_limits(head, request);
    say_problem(head, request);
    say_cross_origin(head, request);
    say(head, "\r\n");
}

bool pxi_weight_is_zero(struct px_text parameters)
{
    const char *q = memmem(parameters.at, parameters.len, "q=", 2);

    if (!q)
        return false;
    for (q += 2; q < parameters.at + parameters.len; q++)
        if (*q >= '1' && *q <= '9')
            return false;
    return true;
}

/* Is gzip in the Accept-Encoding header, and not with a weight of 0? */
static bool gzip_welcome(const struct px_request *request)
{
    const char *header = request->exchange->header(request->exchange->ctx, "Accept-Encoding");
    struct px_text rest = px_text_of(header ? header : ""), piece;

    while (px_list_next(&rest, &piece)) {
        while (piece.len > 0 && piece.at[0] == ' ')
            piece.at++, piece.len--;
        if (piece.len < 4 || strncasecmp(piece.at, "gzip", 4) != 0)
            continue;
        if (piece.len == 4 || piece.at[4] == ';' || piece.at[4] == ' ')
            return !pxi_weight_is_zero((struct px_text){piece.at + 4, piece.len - 4});
    }
    return false;
}

/* Sends the head, right before the body: the room is there, so that nothing is copied but the head. */
static int send_before(struct px_request *request, const struct head *head, char *body, size_t body_len)
{
    char *start = body - head->len;

    memcpy(start, head->text, head->len);
    return request->exchange->write(request->exchange->ctx, start, head->len + (request->head_only ? 0 : body_len));
}

static bool zip_ready(struct px_rest_thread *thread)
{
    if (thread->zip_made)
        return deflateReset(&thread->zip) == Z_OK;
    thread->zip_made = deflateInit2(&thread->zip, GZIP_LEVEL, Z_DEFLATED, GZIP_BITS, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    return thread->zip_made;
}

/* False when it could not be packed: the answer then goes as it is. */
static bool send_packed(struct px_request *request, char *body, size_t len, int *rcp)
{
    struct px_rest_thread *thread = request->thread;
    struct head head;

    if (!zip_ready(thread))
        return false;
    size_t bound = deflateBound(&thread->zip, len);
    char *packed = malloc(PXI_HEAD_ROOM + bound);
    if (!packed)
        return false;
    thread->zip.next_in = (unsigned char *)body;
    thread->zip.avail_in = (unsigned)len;
    thread->zip.next_out = (unsigned char *)packed + PXI_HEAD_ROOM;
    thread->zip.avail_out = (unsigned)bound;
    bool done = deflate(&thread->zip, Z_FINISH) == Z_STREAM_END;
    if (done) {
        head_write(&head, request, bound - thread->zip.avail_out, true);
        *rcp = send_before(request, &head, packed + PXI_HEAD_ROOM, bound - thread->zip.avail_out);
    }
    free(packed);
    return done;
}

static int send_plain(struct px_request *request, size_t len)
{
    struct head head;

    head_write(&head, request, len, false);
    return send_before(request, &head, request->thread->buffer + PXI_HEAD_ROOM, len);
}

static int send_file(struct px_request *request)
{
    const struct px_static_file *file = request->answer.file;
    bool packed = gzip_welcome(request);
    size_t len = packed ? file->gzip_len : file->len;
    struct head head;

    snprintf(request->answer.etag, sizeof request->answer.etag, "%s", packed ? file->gzip_etag : file->etag);
    if (pxi_not_modified(request, request->answer.etag))
        return send_plain(request, 0);
    memcpy(request->thread->buffer + PXI_HEAD_ROOM, packed ? file->gzip : file->bytes, len);
    head_write(&head, request, len, packed);
    return send_before(request, &head, request->thread->buffer + PXI_HEAD_ROOM, len);
}

size_t pxi_stream_head(struct px_request *request, bool packed, char *to)
{
    struct head head;

    if (!request->answer.type)
        request->answer.type = "application/json";
    head_write(&head, request, CHUNKED, packed);
    memcpy(to, head.text, head.len);
    return head.len;
}

bool pxi_stream_packs(struct px_request *request)
{
    return gzip_welcome(request) && zip_ready(request->thread);
}

void pxi_answer_file(struct px_request *request, const struct px_static_file *file)
{
    if (!pxi_reserve(request, PX_MAX(file->len, file->gzip_len)))
        return;
    request->answer.file = file;
    request->answer.type = file->type;
    request->answer.cache = "no-cache";
}

/* What was written so far is replaced by the problem. */
static void become_problem(struct px_request *request)
{
    struct pxi_answer *answer = &request->answer;
    struct px_rest_thread *thread = request->thread;
    unsigned keep_etag = request->problem.kind == PX_PROBLEM_PRECONDITION_FAILED;

    if (!keep_etag)
        answer->etag[0] = '\0';
    answer->link[0] = answer->location[0] = '\0';
    answer->file = NULL;
    answer->empty = false;
    answer->cache = NULL;
    answer->status = px_problem_status(request->problem.kind);
    answer->type = "application/problem+json";
    px_json_init(&answer->json, thread->buffer + PXI_HEAD_ROOM, thread->buffer_size - PXI_HEAD_ROOM);
    px_problem_write(&request->problem, request->exchange->path, request->id, &answer->json);
}

static void shrink(struct px_rest_thread *thread)
{
    if (thread->buffer_size == PXI_BUFFER_SIZE)
        return;
    char *small = realloc(thread->buffer, PXI_BUFFER_SIZE);
    if (!small)
        return;
    thread->buffer = small;
    thread->buffer_size = PXI_BUFFER_SIZE;
}

static int dispatch(struct px_request *request)
{
    struct pxi_answer *answer = &request->answer;
    int rc;

    if (answer->file)
        return send_file(request);
    if (answer->empty)
        return send_plain(request, 0);
    if (answer->json.len > GZIP_LEAST && gzip_welcome(request) &&
        send_packed(request, request->thread->buffer + PXI_HEAD_ROOM, answer->json.len, &rc))
        return rc;
    return send_plain(request, answer->json.len);
}

int pxi_answer_send(struct px_request *request)
{
    struct pxi_answer *answer = &request->answer;

    if (answer->streamed)
        return answer->status;
    if (request->problem.kind == PX_PROBLEM_NONE && answer->json.full)
        px_problem_set(&request->problem, PX_PROBLEM_INTERNAL, "The answer does not fit; ask for less");
    if (request->problem.kind != PX_PROBLEM_NONE)
        become_problem(request);
    if (answer->status == 0)
        answer->status = 200;
    if (!answer->type)
        answer->type = "application/json";
    if (dispatch(request) < 0)
        pxi_hang_up(request);
    shrink(request->thread);
    return answer->status;
}
