#include "feed/connector.h"

#include "base/log.h"
#include "feed/lookup_private.h"
#include "feed/url.h"
#include "net/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>

#define PROGRESS_NS      (10 * PX_NS_PER_S) /* from resolving to the end of the handshake, each state */
#define SILENCE_NS       (30 * PX_NS_PER_S)
#define PING_NS          (15 * PX_NS_PER_S)
#define PROVEN_NS        (30 * PX_NS_PER_S) /* a connection that lived so long starts the backoff anew */
#define BACKOFF_FIRST_NS (PX_NS_PER_S / 2)
#define BACKOFF_CAP_NS   (30 * PX_NS_PER_S)
#define SUBSCRIBE_GAP_NS (PX_NS_PER_S / 4) /* Binance cuts a client that sends more than five messages a second */
#define LOOKUP_POLL_NS   (10 * PX_NS_PER_MS)
#define FRAME_MAX        (8u << 20)

struct px_connector {
    char name[32];
    const struct px_dialect *dialect;
    struct px_dialect_parser *parser;
    struct px_url url;
    char url_text[512], target[PX_DIALECT_PATH_SIZE];
    struct px_text *symbols; /* slices of symbol_bytes */
    char *symbol_bytes;
    struct px_dialect_request request;
    struct px_tls *tls;
    int epoll_fd;
    px_feed_sink sink;
    void (*lost)(void *);
    void *context;

    enum px_connector_state state;
    px_mono since; /* this state */
    px_mono due;   /* backoff: when to connect; subscribing: when to send */
    px_mono pinged;
    uint32_t failures; /* in a row */
    uint32_t next_message;
    uint64_t random;
    bool more;           /* bytes wait that epoll does not see */
    uint32_t registered; /* epoll mask, 0 = not registered */
    struct pxi_lookup *lookup;
    struct px_address address;
    struct px_stream *stream; /* until the WebSocket takes it */
    struct px_ws *ws;
    struct px_connector_counters counters;
};

/* xorshift64*, Vigna: jitter needs no better. */
static uint64_t random_below(struct px_connector *c, uint64_t bound)
{
    c->random ^= c->random >> 12;
    c->random ^= c->random << 25;
    c->random ^= c->random >> 27;
    return c->random * UINT64_C(2685821657736338717) % bound;
}

static void enter(struct px_connector *c, enum px_connector_state state, px_mono now)
{
    c->state = state;
    c->since = c->due = now;
}

static int fd_of(const struct px_connector *c)
{
    return c->ws ? px_ws_fd(c->ws) : px_stream_fd(c->stream);
}

/* Tells epoll what the connection waits for, if that has changed. */
static void watch(struct px_connector *c)
{
    struct epoll_event event = {.data.ptr = c};

    if (!c->ws && !c->stream)
        return;
    event.events = c->ws ? px_ws_epoll(c->ws) : px_stream_epoll(c->stream, false);
    if (event.events == c->registered)
        return;
    PX_CHECK(epoll_ctl(c->epoll_fd, c->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd_of(c), &event) == 0);
    c->registered = event.events;
}

static void drop(struct px_connector *c)
{
    if (c->registered)
        epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, fd_of(c), NULL);
    c->registered = 0;
    c->more = false;
    pxi_lookup_end(&c->lookup);
    px_stream_close(&c->stream);
    px_ws_destroy(&c->ws);
}

static int64_t backoff_ns(struct px_connector *c)
{
    uint32_t doublings = PX_MIN(c->failures, 7u);
    int64_t bound = PX_MIN(BACKOFF_FIRST_NS << doublings, BACKOFF_CAP_NS);

    return c->failures == 0 ? 0 : (int64_t)random_below(c, (uint64_t)bound);
}

/* Ends the attempt or the connection and plans the next. */
static void fail(struct px_connector *c, px_mono now, const char *why)
{
    bool subscribed = c->state >= PX_CONNECTOR_SUBSCRIBING;
    int64_t wait;

    if (c->state == PX_CONNECTOR_LIVE && px_mono_since(now, c->since) >= PROVEN_NS)
        c->failures = 0;
    wait = backoff_ns(c);
    px_log(PX_LOG_WARN, "feed_lost venue=%s state=%s retry_ms=%lld why=\"%s\"", c->name,
           px_connector_state_name(c->state), (long long)(wait / PX_NS_PER_MS), why);
    drop(c);
    c->failures++;
    enter(c, PX_CONNECTOR_BACKOFF, now);
    c->due.ns += wait;
    if (subscribed) {
        c->counters.reconnects++;
        if (c->lost)
            c->lost(c->context);
    }
}

static void count_event(void *context, const struct px_feed_event *event)
{
    struct px_connector *c = context;

    c->counters.events[event->kind]++;
    if (event->kind == PX_FEED_REFUSED)
        px_log_limited(PX_LOG_WARN, 1, "feed_refused venue=%s message=\"%.*s\"", c->name,
                       (int)PX_MIN(event->message.len, (size_t)200), event->message.at);
    c->sink(c->context, event);
}

static void on_message(void *user, struct px_ws *ws, enum px_ws_opcode opcode, struct px_text payload)
{
    struct px_connector *c = user;
    int error = px_dialect_parse(c->parser, payload, count_event, c);

    c->counters.frames++;
    c->counters.bytes += payload.len;
    if (error) {
        c->counters.errors++;
        px_log_limited(PX_LOG_WARN, 1, "feed_frame_refused venue=%s bytes=%zu why=\"%s\"", c->name, payload.len,
                       px_error_text(error));
    }
}

/* Sends the subscription messages, one every SUBSCRIBE_GAP_NS. */
static void subscribe(struct px_connector *c, px_mono now)
{
    char text[PX_DIALECT_MESSAGE_SIZE];
    size_t len;
    int error;

    if (px_mono_since(now, c->due) < 0)
        return;
    error = px_dialect_subscribe(c->dialect, &c->request, c->next_message, text, sizeof text, &len);
    if (error == PX_E_EMPTY) {
        px_log(PX_LOG_INFO, "feed_live venue=%s symbols=%u", c->name, c->request.count);
        enter(c, PX_CONNECTOR_LIVE, now);
        return;
    }
    if (!error)
        error = px_ws_send(c->ws, PX_WS_TEXT, (struct px_text){text, len});
    if (error) {
        fail(c, now, px_error_text(error));
        return;
    }
    c->next_message++;
    c->due.ns = now.ns + SUBSCRIBE_GAP_NS;
}

static void start_subscribing(struct px_connector *c, px_mono now)
{
    c->next_message = 0;
    c->pinged = now;
    enter(c, PX_CONNECTOR_SUBSCRIBING, now);
    subscribe(c, now);
}

static void drive(struct px_connector *c, px_mono now)
{
    int result = px_ws_drive(c->ws);
    char why[64];

    c->more = result > 0;
    if (result == PX_E_CLOSED) {
        snprintf(why, sizeof why, "closed with code %u", px_ws_close_code(c->ws));
        fail(c, now, why);
    } else if (result < 0) {
        fail(c, now, px_ws_error(c->ws));
    } else if (c->state == PX_CONNECTOR_HANDSHAKE && px_ws_is_open(c->ws)) {
        start_subscribing(c, now);
    }
}

static void start_handshake(struct px_connector *c, px_mono now)
{
    struct px_ws_client_request request = {c->url.authority, c->target, NULL};
    struct px_ws_options options = {.callbacks.message = on_message, .user = c, .message_max = FRAME_MAX};
    int error;

    epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, fd_of(c), NULL);
    c->registered = 0;
    error = px_ws_client_create(&c->stream, &request, &options, &c->ws);
    if (error) {
        fail(c, now, px_error_text(error));
        return;
    }
    enter(c, PX_CONNECTOR_HANDSHAKE, now);
    drive(c, now);
}

static void go_on_connecting(struct px_connector *c, px_mono now)
{
    int error = px_stream_handshake(c->stream);

    if (error == 0)
        start_handshake(c, now);
    else if (error != PX_E_AGAIN)
        fail(c, now, px_stream_error(c->stream));
}

static void start_connecting(struct px_connector *c, px_mono now)
{
    struct px_stream_target target = {c->url.host, c->url.port, c->tls, &c->address};
    int error = px_stream_connect(&target, &c->stream);

    if (error) {
        fail(c, now, px_error_text(error));
        return;
    }
    enter(c, PX_CONNECTOR_CONNECTING, now);
    go_on_connecting(c, now);
}

static void go_on_resolving(struct px_connector *c, px_mono now)
{
    int error = pxi_lookup_poll(c->lookup, &c->address);

    if (error == PX_E_AGAIN)
        return;
    pxi_lookup_end(&c->lookup);
    if (error)
        fail(c, now, "the host's name is not known");
    else
        start_connecting(c, now);
}

static void start_resolving(struct px_connector *c, px_mono now)
{
    int error;

    if (px_mono_since(now, c->due) < 0)
        return;
    c->counters.attempts++;
    enter(c, PX_CONNECTOR_RESOLVING, now);
    error = pxi_lookup_start(c->url.host, c->url.port, &c->lookup);
    if (error)
        fail(c, now, px_error_text(error));
}

/* A quiet connection is pinged, a silent one given up. */
static void watchdog(struct px_connector *c, px_mono now)
{
    int64_t quiet = px_mono_since(now, px_ws_heard(c->ws));

    if (quiet >= SILENCE_NS) {
        fail(c, now, "silent for 30 s");
    } else if (quiet >= PING_NS && px_mono_since(now, c->pinged) >= PING_NS) {
        c->pinged = now;
        px_ws_ping(c->ws, PX_TEXT("px"));
        drive(c, now);
    }
}

static void act(struct px_connector *c, px_mono now)
{
    switch (c->state) {
    case PX_CONNECTOR_BACKOFF:
        start_resolving(c, now);
        break;
    case PX_CONNECTOR_RESOLVING:
        go_on_resolving(c, now);
        break;
    case PX_CONNECTOR_CONNECTING:
        go_on_connecting(c, now);
        break;
    case PX_CONNECTOR_SUBSCRIBING:
        subscribe(c, now);
        break;
    default:
        break;
    }
    if (c->ws && c->more)
        drive(c, now);
    if (c->state >= PX_CONNECTOR_SUBSCRIBING)
        watchdog(c, now);
    else if (c->state > PX_CONNECTOR_BACKOFF && px_mono_since(now, c->since) >= PROGRESS_NS)
        fail(c, now, "no progress for 10 s");
}

static int64_t next_call(const struct px_connector *c, px_mono now)
{
    if (c->more)
        return 0;
    if (c->state == PX_CONNECTOR_RESOLVING)
        return LOOKUP_POLL_NS;
    if (c->state == PX_CONNECTOR_BACKOFF || c->state == PX_CONNECTOR_SUBSCRIBING)
        return PX_MAX(px_mono_since(c->due, now), INT64_C(0));
    return PX_NS_PER_S;
}

void px_connector_ready(struct px_connector *connector, px_mono now)
{
    if (connector->ws)
        drive(connector, now);
    else if (connector->stream)
        go_on_connecting(connector, now);
    watch(connector);
}

int64_t px_connector_tick(struct px_connector *connector, px_mono now)
{
    act(connector, now);
    watch(connector);
    return next_call(connector, now);
}

static int copy_symbols(struct px_connector *c, const struct px_connector_options *options)
{
    uint32_t count = options->symbol_count;

    c->symbols = calloc(count ? count : 1, sizeof *c->symbols);
    c->symbol_bytes = calloc(count ? count : 1, PX_DIALECT_SYMBOL_MAX + 1);
    if (!c->symbols || !c->symbol_bytes)
        return PX_E_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        char *bytes = c->symbol_bytes + (size_t)i * (PX_DIALECT_SYMBOL_MAX + 1);
        if (!px_text_copy(bytes, PX_DIALECT_SYMBOL_MAX + 1, options->symbols[i]))
            return PX_E_RANGE;
        c->symbols[i] = px_text_of(bytes);
    }
    c->request = (struct px_dialect_request){c->url.path, c->symbols, count};
    return px_dialect_path(c->dialect, &c->request, c->target, sizeof c->target);
}

static int set_up(struct px_connector *c, const struct px_connector_options *options)
{
    int error;

    if (!px_text_copy(c->url_text, sizeof c->url_text, px_text_of(options->url)))
        return PX_E_TOO_LARGE;
    error = px_url_parse(px_text_of(c->url_text), &c->url);
    if (!error)
        error = copy_symbols(c, options);
    if (!error)
        error = px_dialect_parser_create(c->dialect, &c->parser);
    if (!error && c->url.tls)
        error = px_tls_client_create(options->ca_file, &c->tls);
    if (getrandom(&c->random, sizeof c->random, 0) != sizeof c->random || c->random == 0)
        c->random = 1;
    enter(c, PX_CONNECTOR_BACKOFF, px_mono_now());
    return error;
}

int px_connector_create(const struct px_connector_options *options, struct px_connector **connectorp)
{
    struct px_connector *c = calloc(1, sizeof *c);
    int error;

    if (!c)
        return PX_E_MEMORY;
    px_text_copy(c->name, sizeof c->name, px_text_of(options->name));
    c->dialect = options->dialect;
    c->epoll_fd = options->epoll_fd;
    c->sink = options->sink;
    c->lost = options->lost;
    c->context = options->context;
    error = set_up(c, options);
    if (error) {
        px_connector_destroy(&c);
        return error;
    }
    *connectorp = c;
    return 0;
}

void px_connector_destroy(struct px_connector **connectorp)
{
    struct px_connector *c = *connectorp;

    if (!c)
        return;
    drop(c);
    px_tls_destroy(&c->tls);
    px_dialect_parser_destroy(&c->parser);
    free(c->symbol_bytes);
    free(c->symbols);
    free(c);
    *connectorp = NULL;
}

enum px_connector_state px_connector_state(const struct px_connector *connector)
{
    return connector->state;
}

const char *px_connector_state_name(enum px_connector_state state)
{
    static const char *const names[] = {
#define PX_CONNECTOR_NAME(NAME, name) #name,
        PX_CONNECTOR_STATE_TABLE(PX_CONNECTOR_NAME)
#undef PX_CONNECTOR_NAME
    };

    return (unsigned)state < PX_CONNECTOR_STATES ? names[state] : "unknown";
}

const struct px_connector_counters *px_connector_counters(const struct px_connector *connector)
{
    return &connector->counters;
}
