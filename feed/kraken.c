/*
 * Kraken. Version 1 sends arrays, [channel id, data, "trade", "XBT/USD"], and objects with an "event"; version 2 (path
 * /v2) sends objects with a "channel" or a "method" and bare numbers. The two cannot be confused, so one parser reads
 * both.
 */
#include "feed/kraken_private.h"

#include "base/json_out.h"

static int read_trades(struct pxi_frame *frame, int data);
static int read_ticker(struct pxi_frame *frame, int data);
static int read_spread(struct pxi_frame *frame, int data);
static int read_subscription(struct pxi_frame *frame, int root);
static int read_system(struct pxi_frame *frame, int root);
static int read_heartbeat(struct pxi_frame *frame, int root);
static int read_error(struct pxi_frame *frame, int root);

/* Version 1: by the channel's name, up to a '-': "book-1000". */
static const struct pxi_message channels[] = {
    {"trade", read_trades},     {"ticker", read_ticker},    {"spread", read_spread},
    {"book", pxi_emit_ignored}, {"ohlc", pxi_emit_ignored}, {NULL, NULL},
};

static const struct pxi_message events[] = {
    {"subscriptionStatus", read_subscription},
    {"systemStatus", read_system},
    {"heartbeat", read_heartbeat},
    {"pong", pxi_emit_status},
    {"error", read_error},
    {NULL, NULL},
};

/* The pair is the last element of a version 1 array. */
static struct px_text pair_of(struct pxi_frame *frame)
{
    return pxi_json_string(frame->json, pxi_json_at(frame->json, 0, pxi_json_size(frame->json, 0) - 1));
}

static int read_one_trade(struct pxi_frame *frame, int trade, struct px_text pair)
{
    struct px_feed_event event = {.kind = PX_FEED_TRADE, .symbol = pair};
    const struct pxi_json *json = frame->json;
    struct px_text side = pxi_json_string(json, pxi_json_at(json, trade, 3));

    if (pxi_json_decimal(json, pxi_json_at(json, trade, 0), &event.price) ||
        pxi_json_decimal(json, pxi_json_at(json, trade, 1), &event.size) ||
        pxi_time_units(pxi_json_text(json, pxi_json_at(json, trade, 2)), 0, &event.venue_ns))
        return PX_E_FORMAT;
    event.side = px_text_is(side, "b") ? PX_SIDE_BUY : px_text_is(side, "s") ? PX_SIDE_SELL : PX_SIDE_UNKNOWN;
    frame->sink(frame->context, &event);
    return 0;
}

static int read_trades(struct pxi_frame *frame, int data)
{
    struct px_text pair = pair_of(frame);

    if (pxi_json_first(frame->json, data) == PXI_NONE)
        return PX_E_FORMAT;
    for (int at = pxi_json_first(frame->json, data); at != PXI_NONE; at = pxi_json_next(frame->json, at, data)) {
        int error = read_one_trade(frame, at, pair);
        if (error)
            return error;
    }
    return 0;
}

/* "a":[price, whole lots, lots], "b" likewise; without a time. */
static int read_ticker(struct pxi_frame *frame, int data)
{
    struct px_feed_event event = {.kind = PX_FEED_QUOTE, .symbol = pair_of(frame)};
    const struct pxi_json *json = frame->json;
    int bid = pxi_json_find(json, data, "b"), ask = pxi_json_find(json, data, "a");

    if (pxi_json_decimal(json, pxi_json_at(json, bid, 0), &event.bid) ||
        pxi_json_decimal(json, pxi_json_at(json, ask, 0), &event.ask) ||
        pxi_json_decimal(json, pxi_json_at(json, bid, 2), &event.bid_size) ||
        pxi_json_decimal(json, pxi_json_at(json, ask, 2), &event.ask_size))
        return PX_E_FORMAT;
    frame->sink(frame->context, &event);
    return 0;
}

/* [bid, ask, time, bid volume, ask volume] */
static int read_spread(struct pxi_frame *frame, int data)
{
    struct px_feed_event event = {.kind = PX_FEED_QUOTE, .symbol = pair_of(frame)};
    const struct pxi_json *json = frame->json;

    if (pxi_json_decimal(json, pxi_json_at(json, data, 0), &event.bid) ||
        pxi_json_decimal(json, pxi_json_at(json, data, 1), &event.ask) ||
        pxi_time_units(pxi_json_text(json, pxi_json_at(json, data, 2)), 0, &event.venue_ns) ||
        pxi_json_decimal_maybe(json, pxi_json_at(json, data, 3), &event.bid_size) ||
        pxi_json_decimal_maybe(json, pxi_json_at(json, data, 4), &event.ask_size))
        return PX_E_FORMAT;
    frame->sink(frame->context, &event);
    return 0;
}

static int read_subscription(struct pxi_frame *frame, int root)
{
    const struct pxi_json *json = frame->json;
    struct px_text status = pxi_json_string(json, pxi_json_find(json, root, "status"));

    if (px_text_is(status, "subscribed") || px_text_is(status, "unsubscribed"))
        return pxi_emit_subscribed(frame, root);
    return px_text_is(status, "error") ? read_error(frame, root) : PX_E_FORMAT;
}

static int read_system(struct pxi_frame *frame, int root)
{
    return pxi_json_string(frame->json, pxi_json_find(frame->json, root, "status")).len ? pxi_emit_status(frame, root)
                                                                                        : PX_E_FORMAT;
}

static int read_heartbeat(struct pxi_frame *frame, int root)
{
    return pxi_json_size(frame->json, root) == 1 ? pxi_emit_status(frame, root) : PX_E_FORMAT;
}

static int read_error(struct pxi_frame *frame, int root)
{
    struct px_text text = pxi_json_string(frame->json, pxi_json_find(frame->json, root, "errorMessage"));

    return text.len ? pxi_emit_refused(frame, text) : PX_E_FORMAT;
}

/* The channel's name without its depth or interval. */
static struct px_text channel_base(struct px_text name)
{
    const char *dash = memchr(name.at, '-', name.len);

    return dash ? (struct px_text){name.at, (size_t)(dash - name.at)} : name;
}

static int read_array(struct pxi_frame *frame)
{
    const struct pxi_json *json = frame->json;
    int size = pxi_json_size(json, 0), first = pxi_json_first(json, 0);
    struct px_text name = pxi_json_string(json, pxi_json_at(json, 0, size - 2));
    const struct pxi_message *channel = pxi_message_find(channels, channel_base(name));

    /* A book's update may come in two parts, which makes five elements. */
    if (size < 4 || size > 5 || !pxi_json_is(json, first, JSMN_PRIMITIVE) || !channel || pair_of(frame).len == 0)
        return PX_E_FORMAT;
    if (size == 5 && channel->read != pxi_emit_ignored)
        return PX_E_FORMAT;
    return channel->read(frame, pxi_json_at(json, 0, 1));
}

static int read_object(struct pxi_frame *frame)
{
    const struct pxi_json *json = frame->json;
    int event = pxi_json_find(json, 0, "event");
    const struct pxi_message *message = pxi_message_find(events, pxi_json_string(json, event));

    if (event == PXI_NONE)
        return pxi_kraken_v2_read(frame);
    return message ? message->read(frame, 0) : PX_E_FORMAT;
}

/* Moves the text's end to before its last JSON string and returns that string; empty when there is none. */
static struct px_text take_last_string(struct px_text *text)
{
    struct px_text found = {"", 0};
    const char *close = memrchr(text->at, '"', text->len);
    const char *open = close ? memrchr(text->at, '"', (size_t)(close - text->at)) : NULL;

    if (open) {
        found = (struct px_text){open + 1, (size_t)(close - open - 1)};
        text->len = (size_t)(open - text->at);
    }
    return found;
}

/* Only the beginning was read, but a version 1 array has its type at the end: …,"book-1000","XBT/USD"] */
static int read_cut(struct pxi_frame *frame)
{
    const struct pxi_json *json = frame->json;
    struct px_text rest = json->text, pair, name;
    const struct pxi_message *channel;

    if (pxi_json_is(json, 0, JSMN_OBJECT))
        return pxi_kraken_v2_read_cut(frame);
    if (!pxi_json_is(json, 1, JSMN_PRIMITIVE))
        return PX_E_FORMAT;
    pair = take_last_string(&rest);
    name = take_last_string(&rest);
    channel = pxi_message_find(channels, channel_base(name));
    if (!channel || pair.len == 0)
        return PX_E_FORMAT;
    return channel->read == pxi_emit_ignored ? pxi_emit_ignored(frame, 0) : PX_E_TOO_LARGE;
}

static int parse(struct px_dialect_parser *parser, struct px_text text, px_feed_sink sink, void *context)
{
    struct pxi_frame frame = {&parser->json, sink, context};
    int error = pxi_json_read(frame.json, text);

    if (error)
        return error == PX_E_TOO_LARGE ? read_cut(&frame) : error;
    return pxi_json_is(frame.json, 0, JSMN_ARRAY) ? read_array(&frame) : read_object(&frame);
}

static int build_path(const struct px_dialect_request *request, char *text, size_t size)
{
    return pxi_path_copy(request, "/", text, size);
}

/* `spread` tells every change of the best bid and ask, with its time; `ticker` only those at a trade. */
static void write_v1(struct px_json *json, const struct px_dialect_request *request, bool trades, uint32_t first,
                     uint32_t end)
{
    px_json_open(json, '{');
    px_json_kv_string(json, "event", "subscribe");
    px_json_key(json, "pair");
    px_json_open(json, '[');
    for (uint32_t i = first; i < end; i++)
        px_json_string(json, request->symbols[i]);
    px_json_close(json, ']');
    px_json_key(json, "subscription");
    px_json_open(json, '{');
    px_json_kv_string(json, "name", trades ? "trade" : "spread");
    px_json_close(json, '}');
    px_json_close(json, '}');
}

static bool is_v2(struct px_text path)
{
    return path.len >= 3 && memcmp(path.at + path.len - 3, "/v2", 3) == 0;
}

/* Even numbers ask for trades, odd ones for quotes, of the same batch of symbols. */
static int subscribe(const struct px_dialect_request *request, uint32_t number, char *text, size_t size, size_t *lenp)
{
    uint32_t first = number / 2 * PX_DIALECT_BATCH, end = PX_MIN(first + PX_DIALECT_BATCH, request->count);
    struct px_json json;

    if (number >= 2 * pxi_batches(request->count, 1))
        return PX_E_EMPTY;
    px_json_init(&json, text, size);
    if (is_v2(request->path))
        pxi_kraken_v2_write(&json, request, number % 2 == 0, first, end);
    else
        write_v1(&json, request, number % 2 == 0, first, end);
    *lenp = json.len;
    return json.full ? PX_E_TOO_LARGE : 0;
}

static const char *const hosts[] = {"ws.kraken.com", NULL};

const struct px_dialect pxi_kraken = {"kraken", hosts, 2000, build_path, subscribe, parse};
