/*
 * Binance, spot and futures. A combined stream wraps each message: {"stream":"btcusdt@trade","data":{…}}; /ws sends
 * them bare. "e" tells the type, but for the spot book ticker, which has none.
 */
#include "feed/dialect_private.h"

#include "base/json_out.h"

#include <ctype.h>
#include <stdio.h>

static int read_trade(struct pxi_frame *frame, int root);
static int read_quote(struct pxi_frame *frame, int root);

static const struct pxi_message messages[] = {
    {"trade", read_trade},
    {"aggTrade", read_trade},
    {"bookTicker", read_quote},
    {"depthUpdate", pxi_emit_ignored},
    {"kline", pxi_emit_ignored},
    {"continuous_kline", pxi_emit_ignored},
    {"24hrTicker", pxi_emit_ignored},
    {"24hrMiniTicker", pxi_emit_ignored},
    {"1hTicker", pxi_emit_ignored},
    {"4hTicker", pxi_emit_ignored},
    {"1dTicker", pxi_emit_ignored},
    {"avgPrice", pxi_emit_ignored},
    {"markPriceUpdate", pxi_emit_ignored},
    {"indexPriceUpdate", pxi_emit_ignored},
    {"forceOrder", pxi_emit_ignored},
    {"compositeIndex", pxi_emit_ignored},
    {"assetIndexUpdate", pxi_emit_ignored},
    {"contractInfo", pxi_emit_ignored},
    {NULL, NULL},
};

/* Streams that carry lists or books of any size, by what follows the '@': they are known before they are read. */
static const char *const bulk_streams[] = {"depth", "kline", "arr", "miniTicker", "ticker", "continuousKline"};

/* Milliseconds, or microseconds where the URL says timeUnit=MICROSECOND. The former have 15 digits from the year 5138
 * on. */
static int read_time(struct px_text text, int64_t *nsp)
{
    return pxi_time_units(text, text.len > 14 ? 6 : 3, nsp);
}

static int read_trade(struct pxi_frame *frame, int root)
{
    const struct pxi_json *json = frame->json;
    struct px_feed_event event = {.kind = PX_FEED_TRADE,
                                  .symbol = pxi_json_string(json, pxi_json_find(json, root, "s"))};
    int id = pxi_json_find(json, root, "t"); /* trades; aggregates count in "a" */
    struct px_text maker = pxi_json_text(json, pxi_json_find(json, root, "m"));

    if (id == PXI_NONE)
        id = pxi_json_find(json, root, "a");
    if (event.symbol.len == 0 || pxi_json_decimal(json, pxi_json_find(json, root, "p"), &event.price) ||
        pxi_json_decimal(json, pxi_json_find(json, root, "q"), &event.size) || pxi_json_uint64(json, id, &event.id) ||
        read_time(pxi_json_text(json, pxi_json_find(json, root, "T")), &event.venue_ns))
        return PX_E_FORMAT;
    /* "m": the buyer was the maker, so the seller took. */
    event.side = px_text_is(maker, "true") ? PX_SIDE_SELL : px_text_is(maker, "false") ? PX_SIDE_BUY : PX_SIDE_UNKNOWN;
    frame->sink(frame->context, &event);
    return 0;
}

static int read_quote(struct pxi_frame *frame, int root)
{
    const struct pxi_json *json = frame->json;
    struct px_feed_event event = {.kind = PX_FEED_QUOTE,
                                  .symbol = pxi_json_string(json, pxi_json_find(json, root, "s"))};
    int time = pxi_json_find(json, root, "T");

    if (event.symbol.len == 0 || pxi_json_decimal(json, pxi_json_find(json, root, "b"), &event.bid) ||
        pxi_json_decimal(json, pxi_json_find(json, root, "B"), &event.bid_size) ||
        pxi_json_decimal(json, pxi_json_find(json, root, "a"), &event.ask) ||
        pxi_json_decimal(json, pxi_json_find(json, root, "A"), &event.ask_size))
        return PX_E_FORMAT;
    if (time != PXI_NONE && read_time(pxi_json_text(json, time), &event.venue_ns))
        return PX_E_FORMAT;
    frame->sink(frame->context, &event);
    return 0;
}

/* {"result":null,"id":1} or {"error":{"code":2,"msg":"…"},"id":1}, and nothing beside these keys: other venues answer
 * alike. */
static int read_answer(struct pxi_frame *frame, int root)
{
    const struct pxi_json *json = frame->json;
    int error = pxi_json_find(json, root, "error");
    struct px_text text = pxi_json_string(json, pxi_json_find(json, error, "msg"));

    if (pxi_json_size(json, root) != 2)
        return PX_E_FORMAT;
    if (pxi_json_find(json, root, "id") != PXI_NONE &&
        px_text_is(pxi_json_text(json, pxi_json_find(json, root, "result")), "null"))
        return pxi_emit_subscribed(frame, root);
    if (error == PXI_NONE) { /* the older form is bare: {"code":2,"msg":"…"} */
        text = pxi_json_string(json, pxi_json_find(json, root, "msg"));
        if (pxi_json_find(json, root, "code") == PXI_NONE)
            return PX_E_FORMAT;
    }
    return text.len ? pxi_emit_refused(frame, text) : PX_E_FORMAT;
}

static int read_object(struct pxi_frame *frame, int root)
{
    const struct pxi_json *json = frame->json;
    int type = pxi_json_find(json, root, "e");
    const struct pxi_message *message = pxi_message_find(messages, pxi_json_string(json, type));

    if (type != PXI_NONE)
        return message ? message->read(frame, root) : PX_E_FORMAT;
    if (pxi_json_find(json, root, "u") != PXI_NONE && pxi_json_find(json, root, "B") != PXI_NONE)
        return read_quote(frame, root);
    if (pxi_json_find(json, root, "lastUpdateId") != PXI_NONE && pxi_json_find(json, root, "bids") != PXI_NONE)
        return pxi_emit_ignored(frame, root);
    return read_answer(frame, root);
}

static bool stream_is_bulk(struct px_text stream)
{
    const char *at = memchr(stream.at, '@', stream.len);

    for (size_t i = 0; at && i < PX_COUNT_OF(bulk_streams); i++) {
        size_t len = strlen(bulk_streams[i]);
        if ((size_t)(stream.at + stream.len - (at + 1)) >= len && memcmp(at + 1, bulk_streams[i], len) == 0)
            return true;
    }
    return false;
}

/* Only the beginning was read. A book that does not fit is no loss, a trade that does not fit is no trade. */
static int read_cut(struct pxi_frame *frame)
{
    const struct pxi_json *json = frame->json;
    struct px_text stream = pxi_json_string(json, pxi_json_find(json, 0, "stream"));
    const struct pxi_message *message = pxi_message_find(messages, pxi_json_string(json, pxi_json_find(json, 0, "e")));

    if (stream.len)
        return stream_is_bulk(stream) ? pxi_emit_ignored(frame, 0) : PX_E_TOO_LARGE;
    if (message)
        return message->read == pxi_emit_ignored ? pxi_emit_ignored(frame, 0) : PX_E_TOO_LARGE;
    return pxi_json_find(json, 0, "lastUpdateId") == 1 + 1 ? pxi_emit_ignored(frame, 0) : PX_E_FORMAT;
}

static int parse(struct px_dialect_parser *parser, struct px_text text, px_feed_sink sink, void *context)
{
    struct pxi_frame frame = {&parser->json, sink, context};
    struct px_text stream;
    int error = pxi_json_read(frame.json, text), data;

    if (error)
        return error == PX_E_TOO_LARGE ? read_cut(&frame) : error;
    stream = pxi_json_string(frame.json, pxi_json_find(frame.json, 0, "stream"));
    if (stream.len == 0)
        return read_object(&frame, 0);
    data = pxi_json_find(frame.json, 0, "data");
    if (pxi_json_is(frame.json, data, JSMN_ARRAY))
        return stream_is_bulk(stream) ? pxi_emit_ignored(&frame, 0) : PX_E_FORMAT;
    return read_object(&frame, data);
}

static size_t stream_name(char *text, size_t size, struct px_text symbol, const char *kind)
{
    char lower[PX_DIALECT_SYMBOL_MAX + 1];

    for (size_t i = 0; i < symbol.len; i++)
        lower[i] = (char)tolower((unsigned char)symbol.at[i]);
    return (size_t)snprintf(text, size, "%.*s@%s", (int)symbol.len, lower, kind);
}

/* Adds "a@trade/a@bookTicker/…" if it fits; false leaves an undefined rest. */
static bool append_streams(const struct px_dialect_request *request, char *text, size_t size)
{
    size_t len = strlen(text);

    for (uint32_t i = 0; i < request->count * 2 && len < size; i++) {
        len += (size_t)snprintf(text + len, size - len, "%s", i ? "/" : "?streams=");
        if (len < size)
            len += stream_name(text + len, size - len, request->symbols[i / 2], i % 2 ? "bookTicker" : "trade");
    }
    return len < size;
}

/* Whether the streams are asked for by messages: on the raw endpoint, and where an operator has written a query of his
 * own. */
static bool raw_endpoint(struct px_text path)
{
    return memchr(path.at, '?', path.len) || (path.len >= 3 && memcmp(path.at + path.len - 3, "/ws", 3) == 0);
}

static int build_path(const struct px_dialect_request *request, char *text, size_t size)
{
    struct px_dialect_request own = *request;
    char with_streams[PX_DIALECT_PATH_SIZE];

    if (pxi_path_is(own.path, "/stream"))
        own.path = PX_TEXT("/stream");
    if (!raw_endpoint(own.path) && pxi_path_copy(&own, "", with_streams, sizeof with_streams) == 0 &&
        append_streams(request, with_streams, PX_MIN(size, sizeof with_streams)))
        return px_text_copy(text, size, px_text_of(with_streams)) ? 0 : PX_E_TOO_LARGE;
    return pxi_path_copy(&own, "", text, size);
}

static bool path_subscribes(const struct px_dialect_request *request)
{
    char path[PX_DIALECT_PATH_SIZE];

    return build_path(request, path, sizeof path) == 0 && strstr(path, "?streams=");
}

static int subscribe(const struct px_dialect_request *request, uint32_t number, char *text, size_t size, size_t *lenp)
{
    uint32_t first = number * (PX_DIALECT_BATCH / 2);
    uint32_t end = PX_MIN(first + PX_DIALECT_BATCH / 2, request->count);
    struct px_json json;

    if (number >= pxi_batches(request->count, 2) || path_subscribes(request))
        return PX_E_EMPTY;
    px_json_init(&json, text, size);
    px_json_open(&json, '{');
    px_json_kv_string(&json, "method", "SUBSCRIBE");
    px_json_key(&json, "params");
    px_json_open(&json, '[');
    for (uint32_t i = first * 2; i < end * 2; i++) {
        char name[PX_DIALECT_SYMBOL_MAX + 16];
        size_t len = stream_name(name, sizeof name, request->symbols[i / 2], i % 2 ? "bookTicker" : "trade");
        px_json_string(&json, (struct px_text){name, len});
    }
    px_json_close(&json, ']');
    px_json_kv_int(&json, "id", number + 1);
    px_json_close(&json, '}');
    *lenp = json.len;
    return json.full ? PX_E_TOO_LARGE : 0;
}

static const char *const hosts[] = {"stream.binance.com",  "data-stream.binance.vision", "fstream.binance.com",
                                    "dstream.binance.com", "stream.binance.us",          NULL};

/* The venue allows 1,024 streams a connection; two a symbol. */
const struct px_dialect pxi_binance = {"binance", hosts, 512, build_path, subscribe, parse};
