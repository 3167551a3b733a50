#include "web/quick.h"

#include <stdlib.h>

#include "base/error.h"

struct px_quick {
    struct px_rest_thread *thread;
};

int px_quick_create(struct px_rest *rest, struct px_quick **quickp)
{
    struct px_quick *quick = calloc(1, sizeof *quick);

    *quickp = quick;
    if (!quick)
        return PX_E_MEMORY;
    int rc = px_rest_thread_create(rest, &quick->thread);
    if (rc < 0)
        px_quick_destroy(quickp);
    return rc;
}

void px_quick_destroy(struct px_quick **quickp)
{
    if (!*quickp)
        return;
    px_rest_thread_destroy(&(*quickp)->thread);
    free(*quickp);
    *quickp = NULL;
}

/* ---- which ---- */

static bool is_of_one_asset(struct px_text path)
{
    static const struct px_text prefixes[] = {PX_TEXT("/api/v1/averages/"), PX_TEXT("/api/v1/prices/")};

    for (size_t i = 0; i < PX_COUNT_OF(prefixes); i++)
        if (path.len > prefixes[i].len && memcmp(path.at, prefixes[i].at, prefixes[i].len) == 0)
            return true;
    return false;
}

/* Everything that is unusual is the HTTP server's. */
static bool is_plain(const struct px_http_head *request)
{
    static const char *const unusual[] = {"Connection", "Expect", "Upgrade"};

    if (!px_http_text_is(request->method, "GET") || request->minor != 1 || request->query.at || request->chunked ||
        request->content_length >= 0)
        return false;
    for (size_t i = 0; i < PX_COUNT_OF(unusual); i++) {
        struct px_text value = px_http_header_find(request, unusual[i]);

        if (value.at && !px_http_text_is(value, "keep-alive"))
            return false;
    }
    return true;
}

/* ---- the request as web/rest sees it ---- */

struct call {
    const struct px_http_head *request;
    px_live_write *write;
    void *ctx;
    bool gone;
};

static const char *header(void *ctx, const char *name)
{
    return px_http_header_find(((const struct call *)ctx)->request, name).at;
}

static int read_nothing(void *ctx, char *to, size_t size)
{
    return 0;
}

static int write_out(void *ctx, const char *at, size_t len)
{
    struct call *call = ctx;

    return call->write(call->ctx, at, len);
}

static void hang_up(void *ctx)
{
    ((struct call *)ctx)->gone = true;
}

/* Values are read as strings. What stands behind each is the end of its line, which has been read. */
static void terminate(const struct px_http_head *request)
{
    for (size_t i = 0; i < request->header_count; i++)
        ((char *)(uintptr_t)request->headers[i].value.at)[request->headers[i].value.len] = '\0';
}

int px_quick_serve(void *user, const struct px_http_head *request, const char *peer, px_live_write *write, void *ctx)
{
    struct px_quick *quick = user;
    struct call call = {.request = request, .write = write, .ctx = ctx};

    if (!is_of_one_asset(request->path) || !is_plain(request))
        return PX_E_NOT_FOUND;
    terminate(request);
    const struct px_exchange exchange = {.method = "GET",
                                         .path = request->path,
                                         .query = PX_TEXT(""),
                                         .peer = peer,
                                         .content_length = -1,
                                         .ctx = &call,
                                         .header = header,
                                         .read = read_nothing,
                                         .write = write_out,
                                         .hang_up = hang_up};
    px_rest_serve(quick->thread, &exchange);
    return call.gone ? PX_E_CLOSED : 0;
}
