/* A request from its first line to its handler: routing, who asks, how often, what with. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "web/dashboard/files.h"
#include "web/rest/request_private.h"
#include "web/snapshot.h"
#include "web/times.h"
#include "web/ulid.h"

#define BODY_STEP        16 /* bytes between two looks at the clock: a server's read may wait for each of them */
#define BODY_DEADLINE_NS (10 * PX_NS_PER_S)
#define IMPORT_STEP      4096 /* of those who may import */
#define IMPORT_BYTES     (3 * 1024 * 1024)

int px_rest_create(const struct px_heritage *heritage, const struct px_snapshots *snapshots,
                   struct px_watchers *watchers, struct px_rest **restp)
{
    struct px_rest *rest = calloc(1, sizeof *rest);

    if (!rest)
        return PX_E_MEMORY;
    rest->heritage = heritage;
    rest->snapshots = snapshots;
    rest->watchers = watchers;
    rest->rates = px_rates_create();
    snprintf(rest->epoch, sizeof rest->epoch, "k%llu", (unsigned long long)heritage->generation);
    if (!rest->rates) {
        free(rest);
        return PX_E_MEMORY;
    }
    *restp = rest;
    return 0;
}

void px_rest_destroy(struct px_rest **restp)
{
    if (!*restp)
        return;
    px_rates_destroy(&(*restp)->rates);
    free(*restp);
    *restp = NULL;
}

int px_rest_thread_create(struct px_rest *rest, struct px_rest_thread **threadp)
{
    struct px_rest_thread *thread = calloc(1, sizeof *thread);

    if (!thread)
        return PX_E_MEMORY;
    thread->rest = rest;
    thread->buffer = malloc(PXI_BUFFER_SIZE);
    thread->buffer_size = PXI_BUFFER_SIZE;
    int rc = thread->buffer ? px_reader_create(rest->heritage->config->data, &thread->reader) : PX_E_MEMORY;
    if (rc < 0)
        px_rest_thread_destroy(&thread);
    *threadp = thread;
    return rc;
}

void px_rest_thread_destroy(struct px_rest_thread **threadp)
{
    struct px_rest_thread *thread = *threadp;

    if (!thread)
        return;
    if (thread->reader)
        px_reader_destroy(&thread->reader);
    if (thread->zip_made)
        deflateEnd(&thread->zip);
    free(thread->body);
    free(thread->buffer);
    free(thread);
    *threadp = NULL;
}

/* ---- who asks ---- */

static const char *header_of(const struct px_request *request, const char *name)
{
    return request->exchange->header(request->exchange->ctx, name);
}

/* The key that came along, or an empty text. */
static struct px_text credentials(const struct px_request *request)
{
    const char *key = header_of(request, "X-API-Key"), *bearer = header_of(request, "Authorization");

    if (key)
        return px_text_of(key);
    if (bearer && strncasecmp(bearer, "Bearer ", 7) == 0)
        return px_text_of(bearer + 7);
    return px_text_of(bearer ? bearer : "");
}

/* A wrong key is refused even where none is needed: who sends one wants to know. */
static void authenticate(struct px_request *request)
{
    struct px_text key = credentials(request);

    if (key.len == 0)
        return;
    request->admitted = px_snapshots_verify(request->rest->snapshots, key, &request->key) == 0;
    if (!request->admitted)
        px_problem_set(&request->problem, PX_PROBLEM_UNAUTHORIZED, "The key is unknown or was revoked");
}

void pxi_hang_up(struct px_request *request)
{
    request->closing = true;
    request->exchange->hang_up(request->exchange->ctx);
}

static struct px_text principal(const struct px_request *request)
{
    return px_text_of(request->admitted ? request->key.id : request->exchange->peer);
}

void pxi_charge(struct px_request *request, uint32_t count)
{
    px_rates_charge(request->rest->rates, principal(request), request->limits.requests_per_second, count, px_mono_now(), &request->rate);
}

static void meter(struct px_request *request)
{
    if (request->match.methods && request->match.access == PX_ACCESS_FREE)
        return;
    px_rates_take(request->rest->rates, principal(request), request->limits.requests_per_second, px_mono_now(), &request->rate);
    request->rated = true;
    if (request->rate.allowed)
        return;
    /* It outranks what was wrong with the key, so that guessing keys is slow. */
    request->problem.kind = PX_PROBLEM_NONE;
    request->problem.retry_after_s = request->rate.retry_s;
    px_problem_set(&request->problem, PX_PROBLEM_RATE_LIMITED, "At most %u requests at once, then %u a second",
                   request->rate.limit, request->limits.requests_per_second);
}

static void authorize(struct px_request *request)
{
    enum px_access access = request->match.route ? request->match.route->access : PX_ACCESS_PUBLIC;

    if (access == PX_ACCESS_FREE || access == PX_ACCESS_PUBLIC)
        return;
    if (access != PX_ACCESS_ALERTS && request->admitted && !(request->key.scopes & PX_SCOPE_ADMIN))
        px_problem_set(&request->problem, PX_PROBLEM_FORBIDDEN, "The key lacks the scope admin");
    else if (!request->admitted)
        px_problem_set(&request->problem, PX_PROBLEM_UNAUTHORIZED,
                       "Send a key as X-API-Key or as Authorization: Bearer");
    else if (!(request->key.scopes & (PX_SCOPE_ALERTS_WRITE | PX_SCOPE_ADMIN)))
        px_problem_set(&request->problem, PX_PROBLEM_FORBIDDEN, "The key lacks the scope alerts:write");
}

const char *pxi_owner_of(const struct px_request *request)
{
    return request->key.scopes & PX_SCOPE_ADMIN ? NULL : request->key.id;
}

/* ---- what with ---- */

static void take_parameters(struct px_request *request)
{
    size_t len;
    int rc = px_query_parse(request->exchange->query, &request->query);

    if (rc == PX_E_EXISTS)
        px_problem_set(&request->problem, PX_PROBLEM_BAD_REQUEST, "A parameter is given twice");
    else if (rc == PX_E_TOO_LARGE)
        px_problem_set(&request->problem, PX_PROBLEM_BAD_REQUEST, "The query is too long");
    else if (rc < 0)
        px_problem_set(&request->problem, PX_PROBLEM_BAD_REQUEST, "The query is not well percent-encoded");
    if (px_percent_decode(request->match.segment, false, request->segment, sizeof request->segment, &len) ==
        PX_E_FORMAT)
        px_problem_set(&request->problem, PX_PROBLEM_BAD_REQUEST, "The path is not well percent-encoded");
}

/* What may be told before a byte of the body is read. The connection ends, since nobody will read it. */
static void check_length(struct px_request *request)
{
    const struct px_exchange *exchange = request->exchange;
    uint32_t most = request->limits.body_bytes;

    if (header_of(request, "Transfer-Encoding"))
        px_problem_set(&request->problem, PX_PROBLEM_LENGTH_REQUIRED, "Bodies in chunks are not taken");
    else if (exchange->content_length > (int64_t)most)
        px_problem_set(&request->problem, PX_PROBLEM_TOO_LARGE, "A body may have at most %u bytes", most);
    else if (exchange->content_length < 0 &&
             (strcmp(exchange->method, "POST") == 0 || strcmp(exchange->method, "PATCH") == 0))
        px_problem_set(&request->problem, PX_PROBLEM_LENGTH_REQUIRED, "A body needs its length");
    if (request->problem.kind != PX_PROBLEM_NONE)
        pxi_hang_up(request);
}

/* A client that waits for leave to send its body gets it. */
static void invite_body(struct px_request *request)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const char *expect = header_of(request, "Expect");

    if (expect && strcasecmp(expect, "100-continue") == 0)
        request->exchange->write(request->exchange->ctx, go_on, sizeof go_on - 1);
}

static bool make_body(struct px_request *request)
{
    struct px_rest_thread *thread = request->thread;

    if (!thread->body || thread->body_size < request->limits.body_bytes) {
        free(thread->body);
        thread->body = malloc((size_t)request->limits.body_bytes + 1);
        thread->body_size = request->limits.body_bytes;
    }
    if (!thread->body)
        px_problem_of_error(&request->problem, PX_E_MEMORY);
    return thread->body != NULL;
}

static void take_body(struct px_request *request)
{
    const struct px_exchange *exchange = request->exchange;
    size_t want = (size_t)PX_MAX(exchange->content_length, 0), got = 0;
    px_mono began = px_mono_now();

    if (!make_body(request))
        return;
    if (want > 0)
        invite_body(request);
    size_t step = request->match.route->access == PX_ACCESS_IMPORT ? IMPORT_STEP : BODY_STEP;
    while (got < want) {
        int n = exchange->read(exchange->ctx, request->thread->body + got, PX_MIN(want - got, step));
        if (n <= 0 || px_mono_since(px_mono_now(), began) > BODY_DEADLINE_NS) {
            px_problem_set(&request->problem, PX_PROBLEM_REQUEST_TIMEOUT, "The body ended after %zu of %zu bytes", got,
                           want);
            pxi_hang_up(request);
            return;
        }
        got += (size_t)n;
    }
    request->body = (struct px_text){request->thread->body, got};
}

/* ---- where to ---- */

static const struct px_static_file *file_of(const struct px_request *request)
{
    char path[128];

    if (request->match.methods || !px_text_copy(path, sizeof path, request->exchange->path))
        return NULL;
    return px_static_find(path);
}

static void serve_file(struct px_request *request, const struct px_static_file *file)
{
    if (px_method_of(request->exchange->method) == PX_GET)
        pxi_answer_file(request, file);
    else
        px_problem_set(&request->problem, PX_PROBLEM_METHOD_NOT_ALLOWED, "A file can only be read");
}

static void serve_routed(struct px_request *request)
{
    take_parameters(request);
    if ((request->match.route->method & (PX_POST | PX_PATCH)) && request->problem.kind == PX_PROBLEM_NONE)
        take_body(request);
    if (request->problem.kind == PX_PROBLEM_NONE)
        request->match.route->handler(request);
}

static void admit(struct px_request *request)
{
    if (request->problem.kind == PX_PROBLEM_NONE)
        authenticate(request);
    meter(request);
    if (request->problem.kind == PX_PROBLEM_NONE)
        authorize(request);
}

static void serve(struct px_request *request)
{
    const struct px_static_file *file = file_of(request);

    if (strcmp(request->exchange->method, "OPTIONS") == 0 && (request->match.methods || file)) {
        request->answer.status = 204;
        request->answer.empty = true;
        return;
    }
    check_length(request);
    if (file && request->problem.kind == PX_PROBLEM_NONE) {
        serve_file(request, file);
        return;
    }
    admit(request);
    if (request->problem.kind != PX_PROBLEM_NONE)
        return;
    if (request->match.route)
        serve_routed(request);
    else if (request->match.methods)
        px_problem_set(&request->problem, PX_PROBLEM_METHOD_NOT_ALLOWED, "See the Allow header for what is");
    else
        px_problem_set(&request->problem, PX_PROBLEM_NOT_FOUND, "No such path");
}

static void begin(struct px_rest_thread *thread, const struct px_exchange *exchange)
{
    struct px_request *request = &thread->request;
    struct px_alert_id id;
    char text[PX_ALERT_ID_SIZE];

    /* Everything but the query's text, which is 8 KB that nobody reads before it is written. */
    request->query.count = 0;
    request->began = px_mono_now();
    request->rest = thread->rest;
    request->thread = thread;
    request->exchange = exchange;
    request->match = px_route_find(px_method_of(exchange->method), exchange->path);
    px_snapshots_limits(thread->rest->snapshots, &request->limits);
    if (request->match.route && request->match.route->access == PX_ACCESS_IMPORT)
        request->limits.body_bytes = PX_MAX(request->limits.body_bytes, IMPORT_BYTES);
    request->head_only = strcmp(exchange->method, "HEAD") == 0;
    request->body = (struct px_text){0};
    request->admitted = request->rated = request->closing = false;
    memset(&request->key, 0, sizeof request->key);
    memset(&request->answer, 0, sizeof request->answer);
    request->problem.kind = PX_PROBLEM_NONE;
    request->problem.error_count = request->problem.retry_after_s = 0;
    px_json_init(&request->answer.json, thread->buffer + PXI_HEAD_ROOM, thread->buffer_size - PXI_HEAD_ROOM);
    px_ulid_make(px_wall_now(), &id);
    px_alert_id_format(id, text);
    snprintf(request->id, sizeof request->id, "rq_%s", text + 3);
}

static int finish(struct px_request *request)
{
    struct px_stats *stats = px_heritage_stats(request->rest->heritage);

    if (request->exchange->content_length > 0 && request->body.len == 0 && !request->closing)
        pxi_hang_up(request); /* nobody will read what was announced */
    int status = pxi_answer_send(request);
    enum px_time_class class = request->answer.streamed
                                   ? PX_TIME_STREAM
                                   : px_time_class_of(request->exchange->path, request->exchange->query.len > 0);

    px_time_observe(stats, PX_TIME_HANDLER, class, px_mono_since(px_mono_now(), request->began));
    px_stat_add(stats, PX_STAT_WEB_REQUESTS, 1);
    if (status >= 400)
        px_stat_add(stats, PX_STAT_WEB_ERRORS, 1);
    if (status == 500)
        px_log_limited(PX_LOG_ERROR, 5, "request_failed id=%s path=%.*s detail=\"%s\"", request->id,
                       (int)PX_MIN(request->exchange->path.len, 128), request->exchange->path.at,
                       request->problem.detail);
    return status;
}

int px_rest_serve(struct px_rest_thread *thread, const struct px_exchange *exchange)
{
    begin(thread, exchange);
    serve(&thread->request);
    return finish(&thread->request);
}

int px_rest_refuse(struct px_rest_thread *thread, const struct px_exchange *exchange, int status, const char *detail)
{
    enum px_problem_kind kind = status < 500 ? PX_PROBLEM_BAD_REQUEST : PX_PROBLEM_INTERNAL;

    begin(thread, exchange);
    for (int i = 1; i < PX_PROBLEMS; i++)
        if (px_problem_status((enum px_problem_kind)i) == status) {
            kind = (enum px_problem_kind)i;
            break;
        }
    px_problem_set(&thread->request.problem, kind, "%s", detail);
    pxi_hang_up(&thread->request);
    return finish(&thread->request);
}
