/* Kraken, version 2: {"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD"]},"req_id":1}; numbers are
 * bare. */
#include <jansson.h>

#include "tools/pxvenue/dialect_private.h"

static void open_stream(struct pxi_dialog *dialog, struct pxi_client *client, struct px_text path, struct px_text query)
{
    pxi_client_say(client, PX_TEXT("{\"channel\":\"status\",\"type\":\"update\",\"data\":[{\"system\":\"online\","
                                   "\"api_version\":\"v2\",\"connection_id\":1,\"version\":\"2.0.0\"}]}"));
}

static void say(struct pxi_client *client, json_t *answer, json_t *req_id)
{
    char *text;

    if (req_id)
        json_object_set(answer, "req_id", req_id);
    text = json_dumps(answer, JSON_COMPACT);
    if (text)
        pxi_client_say(client, px_text_of(text));
    free(text);
    json_decref(answer);
}

/* One answer for each symbol, as Kraken does. */
static void take_symbol(struct pxi_dialog *dialog, struct pxi_client *client, const char *method, const char *channel,
                        const char *symbol, json_t *req_id)
{
    char now[PX_RFC3339_SIZE];
    uint32_t stream = pxi_dialog_stream(dialog, channel, symbol);

    px_rfc3339_format(px_wall_now(), now);
    if (stream == PXI_STREAM_NONE) {
        say(client,
            json_pack("{s:s, s:s, s:b, s:s, s:s}", "error", "Currency pair not supported", "method", method, "success",
                      0, "time_in", now, "time_out", now),
            req_id);
        return;
    }
    if (method[0] == 's')
        pxi_client_subscribe(client, stream);
    else
        pxi_client_unsubscribe(client, stream);
    say(client,
        json_pack("{s:s, s:{s:s, s:s, s:b}, s:b, s:s, s:s}", "method", method, "result", "channel", channel, "symbol",
                  symbol, "snapshot", 0, "success", 1, "time_in", now, "time_out", now),
        req_id);
}

static void message(struct pxi_dialog *dialog, struct pxi_client *client, struct px_text text)
{
    json_t *root = json_loadb(text.at, text.len, 0, NULL), *symbol, *req_id = json_object_get(root, "req_id");
    json_t *params = json_object_get(root, "params");
    const char *method = json_string_value(json_object_get(root, "method"));
    const char *channel = json_string_value(json_object_get(params, "channel"));
    size_t i;

    if (method && strcmp(method, "ping") == 0) {
        say(client, json_pack("{s:s}", "method", "pong"), req_id);
    } else if (method && channel && (strcmp(method, "subscribe") == 0 || strcmp(method, "unsubscribe") == 0)) {
        json_array_foreach(json_object_get(params, "symbol"), i, symbol)
        {
            if (json_is_string(symbol))
                take_symbol(dialog, client, method, channel, json_string_value(symbol), req_id);
        }
    } else {
        say(client, json_pack("{s:s, s:b}", "error", "Method(s) not found", "success", 0), req_id);
    }
    json_decref(root);
}

static void put_symbol(struct pxi_pen *pen, const struct pxi_symbol *symbol)
{
    pxi_puts(pen, symbol->base);
    pxi_puts(pen, "/");
    pxi_puts(pen, symbol->quote);
}

static void put_stream(struct pxi_pen *pen, const struct pxi_symbol *symbol, enum pxi_frame_kind kind)
{
    pxi_puts(pen, kind == PXI_FRAME_TRADE ? "trade:" : "ticker:");
    put_symbol(pen, symbol);
}

static void put_trade(struct pxi_pen *pen, const struct pxi_trade *trade, enum pxi_unit unit)
{
    pxi_puts(pen, "{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\"");
    put_symbol(pen, trade->symbol);
    pxi_puts(pen, trade->seller_took ? "\",\"side\":\"sell\",\"price\":" : "\",\"side\":\"buy\",\"price\":");
    pxi_put(pen, trade->price);
    pxi_puts(pen, ",\"qty\":");
    pxi_put(pen, trade->size);
    pxi_puts(pen, ",\"ord_type\":\"market\",\"trade_id\":");
    pxi_put_int(pen, trade->id);
    pxi_puts(pen, ",\"timestamp\":\"");
    pxi_put_rfc3339(pen, trade->time);
    pxi_puts(pen, "\"}]}");
}

static void put_quote(struct pxi_pen *pen, const struct pxi_quote *quote, enum pxi_unit unit)
{
    pxi_puts(pen, "{\"channel\":\"ticker\",\"type\":\"update\",\"data\":[{\"symbol\":\"");
    put_symbol(pen, quote->symbol);
    pxi_puts(pen, "\",\"bid\":");
    pxi_put(pen, quote->bid);
    pxi_puts(pen, ",\"bid_qty\":");
    pxi_put(pen, quote->bid_size);
    pxi_puts(pen, ",\"ask\":");
    pxi_put(pen, quote->ask);
    pxi_puts(pen, ",\"ask_qty\":");
    pxi_put(pen, quote->ask_size);
    pxi_puts(pen, ",\"last\":");
    pxi_put(pen, quote->last);
    pxi_puts(pen, ",\"timestamp\":\"");
    pxi_put_rfc3339(pen, quote->time);
    pxi_puts(pen, "\"}]}");
}

const struct pxi_dialect pxi_kraken = {.name = "kraken",
                                       .open = open_stream,
                                       .message = message,
                                       .symbol = put_symbol,
                                       .stream = put_stream,
                                       .trade = put_trade,
                                       .quote = put_quote};
