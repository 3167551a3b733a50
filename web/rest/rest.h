/*
 * REST without its transport: a request as the server understood it goes in, one answer comes out by one write, or a long
 * one by many. The
 * server (web/server.c) is civetweb; tests are a few strings.
 */
#pragma once

#include "base/types.h"

struct px_heritage;
struct px_snapshots;
struct px_watchers;
struct px_rest;        /* one a process */
struct px_rest_thread; /* one a thread: buffers, and the connection to the keeper */

/* One request and the way back to who sent it. The callbacks may block; they run in the thread that serves. */
struct px_exchange {
    const char *method;
    struct px_text path, query; /* as they came in; query without "?" */
    const char *peer;           /* address of the client, for the bucket of who has no key */
    int64_t content_length;     /* -1: none given */
    bool old;                   /* HTTP/1.0: knows no chunks */
    void *ctx;
    const char *(*header)(void *ctx, const char *name);  /* NULL: not sent */
    int (*read)(void *ctx, char *to, size_t size);       /* bytes of the body, 0 at its end, < 0: gone */
    int (*write)(void *ctx, const char *at, size_t len); /* < 0: gone */
    void (*hang_up)(void *ctx);                          /* no further request on this connection */
};

/* All must outlive it. PX_E_MEMORY. */
int px_rest_create(const struct px_heritage *heritage, const struct px_snapshots *snapshots,
                   struct px_watchers *watchers, struct px_rest **restp);
void px_rest_destroy(struct px_rest **restp);

/* In the thread that will serve, which is registered with liburcu. PX_E_MEMORY, PX_E_TOO_LARGE. */
int px_rest_thread_create(struct px_rest *rest, struct px_rest_thread **threadp);
void px_rest_thread_destroy(struct px_rest_thread **threadp);

/* Answers; returns the status. Blocks at most the keeper's deadline plus what read and write take, and with a long answer for
 * minutes. */
int px_rest_serve(struct px_rest_thread *thread, const struct px_exchange *exchange);

/* Answers with the problem of this status: for what the server refused before it was a request. */
int px_rest_refuse(struct px_rest_thread *thread, const struct px_exchange *exchange, int status, const char *detail);
