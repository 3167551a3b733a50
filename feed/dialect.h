/*
 * A dialect is how one venue talks over a WebSocket: which path and messages subscribe to trades and best quotes, and
 * what a frame means. Text in, text out: an event points into the frame and no number is converted, so that the
 * decimals reach the engine exactly as the venue wrote them.
 *
 *   symbols ──► path, subscribe messages ──► venue ──► frame ──► parse ──► sink(event), sink(event) …
 *
 * A frame that is not of the dialect is PX_E_FORMAT and never an event. Nothing here does input or output, and nothing
 * but the creation of a parser allocates.
 */
#pragma once

#include "base/error.h"
#include "base/types.h"

enum px_feed_kind {
    PX_FEED_TRADE,      /* symbol, price, size; time, id and side where the venue tells them */
    PX_FEED_QUOTE,      /* symbol, bid, ask; sizes and time where told */
    PX_FEED_SUBSCRIBED, /* the venue accepted a subscription */
    PX_FEED_STATUS,     /* heartbeats, greetings: the connection lives */
    PX_FEED_REFUSED,    /* the venue refused something; `message` is its own text */
    PX_FEED_IGNORED,    /* known and not needed: order books, candles */
    PX_FEED_KINDS
};

/* The side of the order that took liquidity. */
enum px_feed_side { PX_SIDE_UNKNOWN, PX_SIDE_BUY, PX_SIDE_SELL };

/* The slices point into the frame and live as long as it does; an absent one has len 0. */
struct px_feed_event {
    enum px_feed_kind kind;
    enum px_feed_side side;
    bool replayed;    /* a trade from before the subscription, sent as a greeting */
    int64_t venue_ns; /* nanoseconds since the epoch by the venue's clock; 0 unknown */
    uint64_t id;      /* rises with every trade of a symbol; 0 unknown */
    struct px_text symbol;
    struct px_text price, size;
    struct px_text bid, bid_size, ask, ask_size;
    struct px_text message;
};

typedef void (*px_feed_sink)(void *context, const struct px_feed_event *event);

struct px_dialect_parser;

/* What to subscribe to. `path` is the path of the configured URL with its query, "" or "/" for the dialect's own
 * choice. */
struct px_dialect_request {
    struct px_text path;
    const struct px_text *symbols; /* as the venue writes them */
    uint32_t count;                /* 1 .. symbols_max */
};

#define PX_DIALECT_PATH_SIZE    2048  /* longer lists go into messages */
#define PX_DIALECT_MESSAGE_SIZE 16384 /* room for PX_DIALECT_BATCH subscriptions */
#define PX_DIALECT_BATCH        200   /* subscriptions a message */
#define PX_DIALECT_SYMBOL_MAX   31    /* bytes of a symbol */

struct px_dialect {
    const char *name;
    const char *const *hosts; /* NULL-terminated, lower case */
    uint32_t symbols_max;     /* a connection; more symbols need more connections */
    int (*path)(const struct px_dialect_request *request, char *text, size_t size);
    int (*subscribe)(const struct px_dialect_request *request, uint32_t number, char *text, size_t size, size_t *lenp);
    int (*parse)(struct px_dialect_parser *parser, struct px_text frame, px_feed_sink sink, void *context);
};

/* The dialect of that name, or PX_E_UNKNOWN_VENUE. Neither blocks; any process. */
int px_dialect_find(const char *name, const struct px_dialect **dialectp);

/* The dialect that this host speaks, whatever its case, or PX_E_UNKNOWN_VENUE. */
int px_dialect_for_host(struct px_text host, const struct px_dialect **dialectp);

/* Writes "no dialect for 'bitfinex'; known are binance, coinbase, kraken", cut at `size`. */
void px_dialect_refusal(struct px_text asked, char *text, size_t size);

/* The path and query to connect to, terminated. PX_E_RANGE for a bad list of symbols, PX_E_TOO_LARGE. */
int px_dialect_path(const struct px_dialect *dialect, const struct px_dialect_request *request, char *text,
                    size_t size);

/*
 * The message number 0, 1, … to send after the handshake; PX_E_EMPTY when there is none left. `text` should have
 * PX_DIALECT_MESSAGE_SIZE bytes, else PX_E_TOO_LARGE; it is not terminated.
 */
int px_dialect_subscribe(const struct px_dialect *dialect, const struct px_dialect_request *request, uint32_t number,
                         char *text, size_t size, size_t *lenp);

/* A parser holds the room for one frame's tokens, about 80 KB. PX_E_MEMORY. One per connection; not shared by threads.
 */
int px_dialect_parser_create(const struct px_dialect *dialect, struct px_dialect_parser **parserp);
void px_dialect_parser_destroy(struct px_dialect_parser **parserp);

/*
 * Hands every event of one frame to the sink, in the frame's order. PX_E_FORMAT when it is not of this dialect;
 * PX_E_TOO_LARGE when it is a needed one with more tokens than the parser has room for (an unneeded one of any size is
 * PX_FEED_IGNORED). A fault in the middle of a list comes back after the events before it. Any bytes are safe. Neither
 * blocks nor allocates.
 */
int px_dialect_parse(struct px_dialect_parser *parser, struct px_text frame, px_feed_sink sink, void *context);
