/* What the dialects share. Private to feed/. */
#pragma once

#include "feed/dialect.h"
#include "feed/json_private.h"

struct px_dialect_parser {
    const struct px_dialect *dialect;
    struct pxi_json json;
};

extern const struct px_dialect pxi_binance, pxi_coinbase, pxi_kraken;

/* One frame on its way through a dialect. */
struct pxi_frame {
    struct pxi_json *json;
    px_feed_sink sink;
    void *context;
};

/* A row of a dialect's table: what the venue calls a message and who reads it; `root` is the token of the object. */
struct pxi_message {
    const char *name;
    int (*read)(struct pxi_frame *frame, int root);
};

/* The row of that name in a table that ends with a NULL name, or NULL. */
const struct pxi_message *pxi_message_find(const struct pxi_message *table, struct px_text name);

/* Events that are nothing but their kind. */
int pxi_emit_subscribed(struct pxi_frame *frame, int root);
int pxi_emit_status(struct pxi_frame *frame, int root);
int pxi_emit_ignored(struct pxi_frame *frame, int root);
int pxi_emit_refused(struct pxi_frame *frame, struct px_text message);

/* A decimal count of units of 10^-digits seconds, such as "1618678142.557535" with 0 or "1723161255342" with 3. */
int pxi_time_units(struct px_text text, unsigned digits, int64_t *nsp);

/* RFC 3339 after 1970, as venues write it. Both: PX_E_FORMAT. */
int pxi_time_rfc3339(struct px_text text, int64_t *nsp);

/* Whether the path of the request is empty, "/" or that. */
bool pxi_path_is(struct px_text path, const char *expected);

/* Copies the request's own path, or `otherwise` if it has none. */
int pxi_path_copy(const struct px_dialect_request *request, const char *otherwise, char *text, size_t size);

/* How many messages carry `count` symbols with `each` subscriptions a symbol. */
uint32_t pxi_batches(uint32_t count, uint32_t each);
