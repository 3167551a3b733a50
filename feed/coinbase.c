/*
 * Coinbase Exchange. Every message is an object whose "type" tells what it is. The price in a `ticker` repeats the
 * match before it, so trades come from `matches` alone and `ticker` gives the best bid and ask.
 */
#include "feed/dialect_private.h"

#include "base/json_out.h"

static int read_match(struct pxi_frame *frame, int root);
static int read_ticker(struct pxi_frame *frame, int root);
static int read_subscriptions(struct pxi_frame *frame, int root);
static int read_heartbeat(struct pxi_frame *frame, int root);
static int read_book(struct pxi_frame *frame, int root);
static int read_error(struct pxi_frame *frame, int root);

static const struct pxi_message messages[] = {
    {"match", read_match},
    {"last_match", read_match},
    {"ticker", read_ticker},
    {"subscriptions", read_subscriptions},
    {"heartbeat", read_heartbeat},
    {"snapshot", read_book},
    {"l2update", read_book},
    {"error", read_error},
    {NULL, NULL},
};

static struct px_text string_of(struct pxi_frame *frame, int root, const char *key)
{
    return pxi_json_string(frame->json, pxi_json_find(frame->json, root, key));
}

static int decimal_of(struct pxi_frame *frame, int root, const char *key, struct px_text *textp)
{
    return pxi_json_decimal(frame->json, pxi_json_find(frame->json, root, key), textp);
}

static int read_match(struct pxi_frame *frame, int root)
{
    struct px_feed_event event = {.kind = PX_FEED_TRADE, .symbol = string_of(frame, root, "product_id")};
    struct px_text maker_side = string_of(frame, root, "side");

    event.replayed = px_text_is(string_of(frame, root, "type"), "last_match");
    if (event.symbol.len == 0 || decimal_of(frame, root, "price", &event.price) ||
        decimal_of(frame, root, "size", &event.size) ||
        pxi_json_uint64(frame->json, pxi_json_find(frame->json, root, "trade_id"), &event.id) ||
        pxi_time_rfc3339(string_of(frame, root, "time"), &event.venue_ns))
        return PX_E_FORMAT;
    if (px_text_is(maker_side, "sell"))
        event.side = PX_SIDE_BUY;
    else if (px_text_is(maker_side, "buy"))
        event.side = PX_SIDE_SELL;
    frame->sink(frame->context, &event);
    return 0;
}

static int read_ticker(struct pxi_frame *frame, int root)
{
    struct px_feed_event event = {.kind = PX_FEED_QUOTE, .symbol = string_of(frame, root, "product_id")};
    const struct pxi_json *json = frame->json;
    int time = pxi_json_find(json, root, "time"); /* missing in the first one of a product that never traded */

    if (event.symbol.len == 0 || decimal_of(frame, root, "best_bid", &event.bid) ||
        decimal_of(frame, root, "best_ask", &event.ask) ||
        pxi_json_decimal_maybe(json, pxi_json_find(json, root, "best_bid_size"), &event.bid_size) ||
        pxi_json_decimal_maybe(json, pxi_json_find(json, root, "best_ask_size"), &event.ask_size))
        return PX_E_FORMAT;
    if (time != PXI_NONE && pxi_time_rfc3339(pxi_json_string(json, time), &event.venue_ns))
        return PX_E_FORMAT;
    frame->sink(frame->context, &event);
    return 0;
}

static int read_subscriptions(struct pxi_frame *frame, int root)
{
    return pxi_json_is(frame->json, pxi_json_find(frame->json, root, "channels"), JSMN_ARRAY)
               ? pxi_emit_subscribed(frame, root)
               : PX_E_FORMAT;
}

/* Other venues have heartbeats of that type too; this one names its product. */
static int read_heartbeat(struct pxi_frame *frame, int root)
{
    return string_of(frame, root, "product_id").len ? pxi_emit_status(frame, root) : PX_E_FORMAT;
}

static int read_book(struct pxi_frame *frame, int root)
{
    return string_of(frame, root, "product_id").len ? pxi_emit_ignored(frame, root) : PX_E_FORMAT;
}

static int read_error(struct pxi_frame *frame, int root)
{
    struct px_text reason = string_of(frame, root, "reason");

    if (reason.len == 0)
        reason = string_of(frame, root, "message");
    return reason.len ? pxi_emit_refused(frame, reason) : PX_E_FORMAT;
}

static bool readable_when_cut(const struct pxi_message *message)
{
    return message->read == read_book || message->read == read_subscriptions;
}

static int parse(struct px_dialect_parser *parser, struct px_text text, px_feed_sink sink, void *context)
{
    struct pxi_frame frame = {&parser->json, sink, context};
    const struct pxi_message *message;
    int error = pxi_json_read(frame.json, text);

    if (error && error != PX_E_TOO_LARGE)
        return error;
    message = pxi_message_find(messages, string_of(&frame, 0, "type"));
    if (!message)
        return PX_E_FORMAT;
    if (error && !readable_when_cut(message))
        return PX_E_TOO_LARGE;
    return message->read(&frame, 0);
}

static int build_path(const struct px_dialect_request *request, char *text, size_t size)
{
    return pxi_path_copy(request, "/", text, size);
}

static int subscribe(const struct px_dialect_request *request, uint32_t number, char *text, size_t size, size_t *lenp)
{
    uint32_t first = number * (PX_DIALECT_BATCH / 2);
    uint32_t end = PX_MIN(first + PX_DIALECT_BATCH / 2, request->count);
    struct px_json json;

    if (number >= pxi_batches(request->count, 2))
        return PX_E_EMPTY;
    px_json_init(&json, text, size);
    px_json_open(&json, '{');
    px_json_kv_string(&json, "type", "subscribe");
    px_json_key(&json, "product_ids");
    px_json_open(&json, '[');
    for (uint32_t i = first; i < end; i++)
        px_json_string(&json, request->symbols[i]);
    px_json_close(&json, ']');
    px_json_key(&json, "channels");
    px_json_raw(&json, PX_TEXT("[\"matches\",\"ticker\"]"));
    px_json_close(&json, '}');
    *lenp = json.len;
    return json.full ? PX_E_TOO_LARGE : 0;
}

static const char *const hosts[] = {"ws-feed.exchange.coinbase.com", "ws-feed.pro.coinbase.com",
                                    "ws-direct.exchange.coinbase.com", NULL};

const struct px_dialect pxi_coinbase = {"coinbase", hosts, 2000, build_path, subscribe, parse};
