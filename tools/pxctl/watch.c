/* Prices as they move: pushed over the live feed's WebSocket, or looked at every so often if that is asked. */
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "net/ws.h"
#include "tools/pxctl/pxctl_private.h"

#define SILENCE_NS (10 * PX_NS_PER_S) /* the engine says something every second */

struct watch {
    struct pxi_call *call;
    long left; /* lines; -1: any */
    int error;
};

/* ---- where ---- */

struct place {
    char host[256], authority[280];
    uint16_t port;
    bool tls;
};

/* http(s)://host[:port][/]; a path in front of the API is not for a WebSocket. */
static bool parse_url(const char *url, struct place *place)
{
    const char *rest = strstr(url, "://"), *colon;

    if (!rest || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0))
        return false;
    place->tls = url[4] == 's';
    snprintf(place->authority, sizeof place->authority, "%.*s", (int)strcspn(rest + 3, "/"), rest + 3);
    colon = strrchr(place->authority, ':');
    bool has_port = colon && !strchr(colon, ']');
    snprintf(place->host, sizeof place->host, "%.*s", (int)(has_port ? (size_t)(colon - place->authority) : strlen(place->authority)),
             place->authority);
    place->port = has_port ? (uint16_t)atoi(colon + 1) : place->tls ? 443 : 80;
    return place->host[0] != '\0' && place->port != 0;
}

static int dial(const struct place *place, const struct px_ws_options *options, struct px_tls **tlsp, struct px_ws **wsp)
{
    struct px_stream_target target = {.host = place->host, .port = place->port};
    const struct px_ws_client_request request = {.host = place->authority, .target = "/ws/v1"};
    struct px_stream *stream = NULL;
    int error = place->tls ? px_tls_client_create(NULL, tlsp) : 0;

    target.tls = *tlsp;
    if (error == 0)
        error = px_stream_connect(&target, &stream);
    if (error == 0)
        error = px_ws_client_create(&stream, &request, options, wsp);
    px_stream_close(&stream);
    return error;
}

/* ---- what is said and heard ---- */

static void subscribe(void *user, struct px_ws *ws)
{
    struct watch *watch = user;
    json_t *symbols = json_array();

    for (unsigned i = 0; i < watch->call->words; i++)
        json_array_append_new(symbols, json_string(watch->call->word[i]));
    json_t *message = json_pack("{s:s, s:{s:s, s:o}}", "method", "subscribe", "params", "channel", "ticker", "symbol", symbols);
    char *text = json_dumps(message, JSON_COMPACT);
    if (!text || px_ws_send(ws, PX_WS_TEXT, px_text_of(text)) != 0)
        watch->error = pxi_complain("the subscription cannot be sent: fewer symbols");
    free(text);
    json_decref(message);
}

static void print_ticker(struct watch *watch, const json_t *ticker)
{
    if (watch->left == 0)
        return;
    watch->left -= watch->left > 0;
    if (watch->call->format == PXI_JSON) {
        char *line = json_dumps(ticker, JSON_COMPACT);

        puts(line ? line : "");
        free(line);
    } else {
        printf("%s  %-12s %16s  bid %s ask %s  %s%s\n", pxi_text_of(ticker, "timestamp"), pxi_text_of(ticker, "symbol"),
               pxi_text_of(ticker, "last"), pxi_text_of(ticker, "bid"), pxi_text_of(ticker, "ask"), pxi_text_of(ticker, "venue"),
               json_is_true(json_object_get(ticker, "stale")) ? "  STALE" : "");
    }
}

static void hear(void *user, struct px_ws *ws, enum px_ws_opcode opcode, struct px_text payload)
{
    struct watch *watch = user;
    json_t *root = json_loadb(payload.at, payload.len, 0, NULL), *ticker;
    size_t i;

    if (json_is_false(json_object_get(root, "success")))
        watch->error = pxi_complain("%s: %s; the symbols that there are: curl URL/api/v1/assets", pxi_text_of(root, "symbol"),
                                    pxi_text_of(root, "error"));
    if (strcmp(pxi_text_of(root, "channel"), "ticker") == 0)
        json_array_foreach(json_object_get(root, "data"), i, ticker)
            print_ticker(watch, ticker);
    fflush(stdout);
    json_decref(root);
}

/* ---- the loop ---- */

static int drive(struct watch *watch, struct px_ws *ws)
{
    while (!watch->error && watch->left != 0) {
        int error = px_ws_drive(ws);
        uint32_t wants = px_ws_epoll(ws);
        struct pollfd fd = {.fd = px_ws_fd(ws), .events = (short)((wants & EPOLLIN ? POLLIN : 0) | (wants & EPOLLOUT ? POLLOUT : 0))};

        if (error < 0)
            return pxi_complain("the live feed of %s ended: %s", watch->call->url,
                                px_ws_error(ws) ? px_ws_error(ws) : "the engine closed it");
        if (px_mono_since(px_mono_now(), px_ws_heard(ws)) > SILENCE_NS)
            return pxi_complain("%s has said nothing for ten seconds", watch->call->url);
        if (error == 0 && !watch->error && watch->left != 0)
            poll(&fd, 1, 1000);
    }
    return watch->error;
}

int pxi_watch(struct pxi_call *call)
{
    const char *count = pxi_option(call, "--count");
    struct watch watch = {.call = call, .left = count ? strtol(count, NULL, 10) : -1};
    const struct px_ws_options options = {.callbacks = {.open = subscribe, .message = hear}, .user = &watch};
    struct place place;
    struct px_tls *tls = NULL;
    struct px_ws *ws = NULL;

    if (pxi_option(call, "--every"))
        return pxi_watch_looking(call);
    if (!parse_url(call->url, &place)) {
        pxi_complain("'%s' is no URL of an engine: http://host:port", call->url);
        return PXI_USAGE;
    }
    int error = dial(&place, &options, &tls, &ws);
    if (error)
        error = pxi_complain("%s cannot be asked. Is the engine running there? Another address: --url URL or $PXCTL_URL", call->url);
    else
        error = drive(&watch, ws);
    px_ws_destroy(&ws);
    px_tls_destroy(&tls);
    return error;
}
