/*
 * The live loop of a web worker: one thread that owns the public port. It reads the first request head of every
 * connection, strictly and under a deadline; a WebSocket upgrade on /ws/v1 or /v2 becomes a session here, what can be answered
 * out of memory is, and from the first request that cannot the connection is relayed to the worker's own HTTP server on loopback. It reads prices and alert events from shared memory and
 * never waits for a client, the keeper or the HTTP server.
 *
 * Call only in a web worker, after the fork.
 */
#pragma once

#include "net/http.h"
#include "shm/region.h"
#include "web/watchers.h"

#define PX_LIVE_OWNER_SIZE PX_OWNER_SIZE

/*
 * Who a token is: an API key in text. 0 with the principal's id in `owner` and its scopes in *scopesp (the caller's own
 * bits; only "some" matters here), or PX_E_FORBIDDEN. Called on the live thread: must not block.
 */
typedef int px_live_auth(void *user, struct px_text token, char owner[PX_LIVE_OWNER_SIZE], unsigned *scopesp);

/*
 * Answers a request without a body at once, all of it by one call of `write`, which returns < 0 when the client does not take it. Called on
 * the live thread: must not block. The texts of `request` lie in a buffer that it may change. 0; PX_E_CLOSED: the connection is to
 * end; PX_E_NOT_FOUND: it is none of its requests, and nothing was touched.
 */
typedef int px_live_write(void *ctx, const char *at, size_t len);
typedef int px_live_quick(void *user, const struct px_http_head *request, const char *peer, px_live_write *write, void *ctx);

#define PX_LIVE_NO_RCU UINT32_MAX

struct px_live_options {
    const char *host;   /* public address, numeric or a name */
    uint16_t port;      /* 0: the kernel chooses (tests) */
    int listen_fd;      /* a listening, non-blocking socket instead, the loop's from now on; -1: one of its own */
    uint16_t http_port; /* on 127.0.0.1: where everything else goes */

    const struct px_config *config; /* limits, venue names; outlives the loop */
    const struct px_shm *shm;       /* outlives the loop */
    unsigned slot;                  /* role slot of this worker: statistics and ring cursors */
    uint32_t rcu_slot; /* RCU reader slot for this thread alone, or PX_LIVE_NO_RCU while the directory never changes */
    struct px_watchers *watchers; /* this thread writes it from now on; outlives the loop */
    uint64_t generation;          /* epoch "k<generation>" */
    const char *data;             /* data folder, for the keeper's socket; NULL: no replay of alerts */

    px_live_auth *auth; /* NULL: nobody can authenticate */
    void *auth_user;

    px_live_quick *quick; /* NULL: every request is relayed */
    void *quick_user;

    uint32_t gather_ms; /* under pressure a connection gets one send in so many ms; 0 = 100 */
};

struct px_live;

/*
 * Listens (its own socket: SO_REUSEPORT) and starts the threads. PX_E_EXISTS when the port is taken, PX_E_NOT_FOUND for
 * the host, PX_E_MEMORY, PX_E_SYSTEM. Options are copied.
 */
int px_live_start(const struct px_live_options *options, struct px_live **livep);

/* The public port that it listens on. */
uint16_t px_live_port(const struct px_live *live);

/* When the loop last turned (px_mono nanoseconds), for the worker's heartbeat: it turns at least every 100 ms. Any
 * thread. */
int64_t px_live_turned_ns(const struct px_live *live);

/*
 * Drains: stops accepting, tells every session going_away with a jittered reconnect_after_ms, closes them with 1012,
 * gives relayed requests until the deadline, joins the threads and frees. Blocks at most drain_ms and a little. Sets
 * *livep to NULL; *livep may be NULL.
 */
void px_live_stop(struct px_live **livep, uint32_t drain_ms);
