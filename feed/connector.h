/*
 * A connection to one venue that keeps itself alive. It never blocks and belongs to the thread whose epoll it registers
 * with.
 *
 *            due                    address              TCP, TLS                101             last message
 *   backoff ─────► resolving ─────────────► connecting ─────────► handshake ─────────► subscribing ─────────► live
 *      ▲               │                        │                    │                     │                   │
 *      └───────────────┴────── failure, 10 s without progress ───────┴─────── closed, 30 s without a byte ─────┘
 *
 * The first attempt and the first after a lost good connection are immediate; the n-th after that waits a random time
 * up to min(30 s, 0.5 s * 2^n) (full jitter, so that a venue's restart is not met by everybody at once). A quiet
 * connection is asked for a pong after 15 s.
 */
#pragma once

#include "base/clock.h"
#include "feed/dialect.h"

#define PX_CONNECTOR_STATE_TABLE(X)                                                                                    \
    X(BACKOFF, backoff)                                                                                                \
    X(RESOLVING, resolving)                                                                                            \
    X(CONNECTING, connecting)                                                                                          \
    X(HANDSHAKE, handshake)                                                                                            \
    X(SUBSCRIBING, subscribing)                                                                                        \
    X(LIVE, live)

enum px_connector_state {
#define PX_CONNECTOR_ENUM(NAME, name) PX_CONNECTOR_##NAME,
    PX_CONNECTOR_STATE_TABLE(PX_CONNECTOR_ENUM)
#undef PX_CONNECTOR_ENUM
        PX_CONNECTOR_STATES
};

struct px_connector_counters {
    uint64_t frames, bytes;
    uint64_t events[PX_FEED_KINDS];
    uint64_t errors;     /* frames that the dialect could not read */
    uint64_t attempts;   /* to connect */
    uint64_t reconnects; /* connections lost after the handshake */
};

struct px_connector;

struct px_connector_options {
    const char *name; /* the venue, for log lines; copied like all that follows */
    const struct px_dialect *dialect;
    const char *url;
    const char *ca_file;           /* NULL or "" = the system's authorities */
    const struct px_text *symbols; /* 1 .. dialect->symbols_max */
    uint32_t symbol_count;
    int epoll_fd;         /* the caller's; events carry data.ptr = the connector */
    px_feed_sink sink;    /* every event, from inside ready and tick */
    void (*lost)(void *); /* a subscribed connection has ended, or NULL: what follows comes after a gap */
    void *context;        /* for sink and lost */
};

/* PX_E_FORMAT (URL), PX_E_RANGE (symbols), PX_E_TOO_LARGE, PX_E_IO (authorities), PX_E_MEMORY. Connects with the first
 * tick. */
int px_connector_create(const struct px_connector_options *options, struct px_connector **connectorp);
void px_connector_destroy(struct px_connector **connectorp); /* also from NULL; drops the connection without ado */

/* Epoll has reported its descriptor. Reads at most 256 KiB, then returns and asks for more through tick. */
void px_connector_ready(struct px_connector *connector, px_mono now);

/* What time asks for: connect, subscribe, ping, give up. Returns the nanoseconds after which it wants to be called
 * again. */
int64_t px_connector_tick(struct px_connector *connector, px_mono now);

enum px_connector_state px_connector_state(const struct px_connector *connector);
const char *px_connector_state_name(enum px_connector_state state);
const struct px_connector_counters *px_connector_counters(const struct px_connector *connector);
