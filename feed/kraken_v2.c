/* Kraken, version 2: {"channel":"trade","type":"update","data":[{…}]} and {"method":"subscribe","success":true,…}. */
#include "feed/kraken_private.h"

static int read_trades(struct pxi_frame *frame, int root);
static int read_tickers(struct pxi_frame *frame, int root);
static int read_data_ignored(struct pxi_frame *frame, int root);
static int read_status(struct pxi_frame *frame, int root);
static int read_heartbeat(struct pxi_frame *frame, int root);

static const struct pxi_message channels[] = {
    {"trade", read_trades},      {"ticker", read_tickers},          {"heartbeat", read_heartbeat},
    {"status", read_status},     {"book", read_data_ignored},       {"level3", read_data_ignored},
    {"ohlc", read_data_ignored}, {"instrument", read_data_ignored}, {NULL, NULL},
};

static struct px_text string_of(struct pxi_frame *frame, int object, const char *key)
{
    return pxi_json_string(frame->json, pxi_json_find(frame->json, object, key));
}

static int decimal_of(struct pxi_frame *frame, int object, const char *key, struct px_text *textp)
{
    return pxi_json_decimal(frame->json, pxi_json_find(frame->json, object, key), textp);
}

static int read_trade(struct pxi_frame *frame, int object, bool replayed)
{
    struct px_feed_event event = {
        .kind = PX_FEED_TRADE, .replayed = replayed, .symbol = string_of(frame, object, "symbol")};
    struct px_text side = string_of(frame, object, "side");

    if (event.symbol.len == 0 || decimal_of(frame, object, "price", &event.price) ||
        decimal_of(frame, object, "qty", &event.size) ||
        pxi_json_uint64(frame->json, pxi_json_find(frame->json, object, "trade_id"), &event.id) ||
        pxi_time_rfc3339(string_of(frame, object, "timestamp"), &event.venue_ns))
        return PX_E_FORMAT;
    event.side = px_text_is(side, "buy") ? PX_SIDE_BUY : px_text_is(side, "sell") ? PX_SIDE_SELL : PX_SIDE_UNKNOWN;
    frame->sink(frame->context, &event);
    return 0;
}

static int read_ticker(struct pxi_frame *frame, int object, bool replayed)
{
    struct px_feed_event event = {.kind = PX_FEED_QUOTE, .symbol = string_of(frame, object, "symbol")};
    struct px_text time = string_of(frame, object, "timestamp"); /* newer servers tell it */

    if (event.symbol.len == 0 || decimal_of(frame, object, "bid", &event.bid) ||
        decimal_of(frame, object, "ask", &event.ask) || decimal_of(frame, object, "bid_qty", &event.bid_size) ||
        decimal_of(frame, object, "ask_qty", &event.ask_size) || (time.len && pxi_time_rfc3339(time, &event.venue_ns)))
        return PX_E_FORMAT;
    frame->sink(frame->context, &event);
    return 0;
}

static int read_data(struct pxi_frame *frame, int root, int (*read)(struct pxi_frame *, int, bool))
{
    const struct pxi_json *json = frame->json;
    int data = pxi_json_find(json, root, "data");
    bool replayed = px_text_is(string_of(frame, root, "type"), "snapshot");

    if (!pxi_json_is(json, data, JSMN_ARRAY))
        return PX_E_FORMAT;
    for (int at = pxi_json_first(json, data); at != PXI_NONE; at = pxi_json_next(json, at, data)) {
        int error = read(frame, at, replayed);
        if (error)
            return error;
    }
    return 0;
}

static int read_trades(struct pxi_frame *frame, int root)
{
    return read_data(frame, root, read_trade);
}

static int read_tickers(struct pxi_frame *frame, int root)
{
    return read_data(frame, root, read_ticker);
}

static int read_data_ignored(struct pxi_frame *frame, int root)
{
    struct px_text type = string_of(frame, root, "type");

    return px_text_is(type, "update") || px_text_is(type, "snapshot") ? pxi_emit_ignored(frame, root) : PX_E_FORMAT;
}

static int read_status(struct pxi_frame *frame, int root)
{
    return pxi_json_is(frame->json, pxi_json_find(frame->json, root, "data"), JSMN_ARRAY) ? pxi_emit_status(frame, root)
                                                                                          : PX_E_FORMAT;
}

static int read_heartbeat(struct pxi_frame *frame, int root)
{
    return pxi_json_size(frame->json, root) == 1 ? pxi_emit_status(frame, root) : PX_E_FORMAT;
}

static int read_answer(struct pxi_frame *frame, struct px_text method)
{
    struct px_text success = pxi_json_text(frame->json, pxi_json_find(frame->json, 0, "success"));
    struct px_text error = string_of(frame, 0, "error");

    if (px_text_is(method, "pong"))
        return pxi_emit_status(frame, 0);
    if (!px_text_is(method, "subscribe") && !px_text_is(method, "unsubscribe"))
        return PX_E_FORMAT;
    if (px_text_is(success, "true"))
        return pxi_emit_subscribed(frame, 0);
    return px_text_is(success, "false") && error.len ? pxi_emit_refused(frame, error) : PX_E_FORMAT;
}

int pxi_kraken_v2_read(struct pxi_frame *frame)
{
    const struct pxi_message *channel = pxi_message_find(channels, string_of(frame, 0, "channel"));
    struct px_text method = string_of(frame, 0, "method");

    if (channel)
        return channel->read(frame, 0);
    return method.len ? read_answer(frame, method) : PX_E_FORMAT;
}

int pxi_kraken_v2_read_cut(struct pxi_frame *frame)
{
    const struct pxi_message *channel = pxi_message_find(channels, string_of(frame, 0, "channel"));

    if (!channel)
        return PX_E_FORMAT;
    return channel->read == read_data_ignored ? read_data_ignored(frame, 0) : PX_E_TOO_LARGE;
}

void pxi_kraken_v2_write(struct px_json *json, const struct px_dialect_request *request, bool trades, uint32_t first,
                         uint32_t end)
{
    px_json_open(json, '{');
    px_json_kv_string(json, "method", "subscribe");
    px_json_key(json, "params");
    px_json_open(json, '{');
    px_json_kv_string(json, "channel", trades ? "trade" : "ticker");
    px_json_key(json, "symbol");
    px_json_open(json, '[');
    for (uint32_t i = first; i < end; i++)
        px_json_string(json, request->symbols[i]);
    px_json_close(json, ']');
    if (trades)
        px_json_kv_bool(json, "snapshot", true);
    else
        px_json_kv_string(json, "event_trigger", "bbo");
    px_json_close(json, '}');
    px_json_close(json, '}');
}
