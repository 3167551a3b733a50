/*
 * Sessions: the subscription protocol of a client, free of any transport. Text messages go in, text messages come out
 * through a sink; time is an argument. One hub holds all sessions of a live loop, reads the rings for them, and decides
 * who is served when. One thread, registered with liburcu.
 *
 *                 tick ring ──┐                        ┌── session ── sink ── a connection
 *     shm slots ─────────────►│ hub: who wants it? ────┼── session ── sink
 *                event ring ──┘      encode once       └── session ── sink
 *
 * Guarantees
 *   1. ticker, ohlc and avg conflate: a session gets the latest value per symbol, never a queue of old ones.
 *   2. trade keeps the last 64 of a symbol; what a session misses beyond them is dropped, oldest first, and its `seq`
 * jumps by that much.
 *   3. alerts are never dropped: at most 256 wait per session, then it is closed with 4008; a lost place in the event
 * ring is filled from the store.
 *   4. A session whose sink has no room costs nothing until px_session_writable; after 10 s it is closed with 4008.
 *   5. One turn serves at most 256 sessions, alerts first.
 */
#pragma once

#include "base/clock.h"
#include "web/live/live.h"

struct px_session;
struct px_hub;

#define PX_SESSION_TEXT_MAX    (64 * 1024) /* inbound */
#define PX_SESSION_SYMBOLS     500         /* in one request */
#define PX_SESSION_ALERTS_MAX  256         /* waiting for a client that does not read */
#define PX_SESSION_MESSAGE_MAX 8192        /* outbound, but list_subscriptions: 32 KiB */

/* Close codes of the protocol beside those of net/ws.h. */
#define PX_CLOSE_SILENT 4001
#define PX_CLOSE_AUTH   4003
#define PX_CLOSE_SLOW   4008
#define PX_CLOSE_RATE   4029

/* How a session speaks. All but close may be called several times before flush. None may call back into the session. */
struct px_session_sink {
    /* Bytes that may be added to the present send: 0 while an earlier one waits for the client. */
    size_t (*room)(void *connection);
    /* Adds one message made of two parts; answers to requests come even without room. False: no room at all, or the
     * connection is dead. */
    bool (*message)(void *connection, struct px_text head, struct px_text tail);
    void (*flush)(void *connection);
    /* Says so to the client and ends; the session is still there until px_session_destroy. */
    void (*close)(void *connection, unsigned code, const char *reason);
};

/*
 * Fetches up to 100 events of `owner` with eseq > since, on another thread, and has the answer brought back by
 * px_hub_replayed with the same session id. False: not now.
 */
typedef bool px_hub_replay(void *user, uint64_t session, const char *owner, uint64_t since);

struct px_hub_options {
    const struct px_shm *shm;
    const struct px_config *config;
    struct px_watchers *watchers;
    unsigned slot;
    uint64_t generation;
    px_live_auth *auth;
    void *auth_user;
    px_hub_replay *replay; /* NULL: none */
    void *replay_user;
    uint32_t gather_ms;
};

int px_hub_create(const struct px_hub_options *options, struct px_hub **hubp);
void px_hub_destroy(struct px_hub **hubp); /* no session is left */

/*
 * Reads the rings, notes what is new for whom, looks after timers, and serves up to 256 sessions. True: there is more
 * to do, come back after a look at the sockets.
 */
bool px_hub_turn(struct px_hub *hub, px_mono now);

/* Whether the rings have something that the last turn has not seen. */
bool px_hub_has_news(const struct px_hub *hub);

/* Whether anybody follows ticks: else nobody need wake the hub for them. */
bool px_hub_wants_ticks(const struct px_hub *hub);

/* Nanoseconds until the hub wants a turn for its timers, at most 100 ms. */
int64_t px_hub_due_ns(struct px_hub *hub, px_mono now);

/* How busy the loop was lately, 0..1000: sets the interval in which busy connections gather. */
void px_hub_pressure(struct px_hub *hub, unsigned permille);

void px_hub_replayed(struct px_hub *hub, uint64_t session, int error, const struct px_alert_event *events,
                     uint32_t count, bool more, px_mono now);

/* The drain: every session gets the farewell and close 1012; reconnect_after_ms is chance between 500 and 5000. */
void px_hub_going_away(struct px_hub *hub);

/* Says hello with a status frame. `token` is a key from the upgrade request's headers or empty. PX_E_MEMORY,
 * PX_E_FORBIDDEN (wrong token). */
int px_session_create(struct px_hub *hub, const struct px_session_sink *sink, void *connection, struct px_text token,
                      px_mono now, struct px_session **sessionp);
void px_session_destroy(struct px_session **sessionp);

/* A message from the client. */
void px_session_text(struct px_session *session, struct px_text text, px_mono now);

/* The sink has room again. */
void px_session_writable(struct px_session *session, px_mono now);
