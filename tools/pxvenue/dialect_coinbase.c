/* Coinbase Exchange: {"type":"subscribe","product_ids":[…],"channels":["matches",{"name":"ticker","product_ids":[…]}]}.
 */
#include <jansson.h>

#include "tools/pxvenue/dialect_private.h"

static void open_stream(struct pxi_dialog *dialog, struct pxi_client *client, struct px_text path, struct px_text query)
{
}

static void say(struct pxi_client *client, json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);

    if (text)
        pxi_client_say(client, px_text_of(text));
    free(text);
    json_decref(answer);
}

/* Subscribes to one channel and adds it to the answer. */
static void take_channel(struct pxi_dialog *dialog, struct pxi_client *client, const char *name, json_t *products,
                         bool on, json_t *channels)
{
    json_t *product;
    size_t i;

    json_array_foreach(products, i, product)
    {
        const char *symbol = json_string_value(product);
        uint32_t stream = symbol ? pxi_dialog_stream(dialog, name, symbol) : PXI_STREAM_NONE;
        if (on)
            pxi_client_subscribe(client, stream);
        else
            pxi_client_unsubscribe(client, stream);
    }
    if (on)
        json_array_append_new(channels, json_pack("{s:s, s:O}", "name", name, "product_ids", products));
}

static void message(struct pxi_dialog *dialog, struct pxi_client *client, struct px_text text)
{
    json_t *root = json_loadb(text.at, text.len, 0, NULL), *channel, *channels = json_array();
    const char *type = json_string_value(json_object_get(root, "type"));
    bool on = type && strcmp(type, "subscribe") == 0;
    size_t i;

    if (!on && !(type && strcmp(type, "unsubscribe") == 0)) {
        say(client, json_pack("{s:s, s:s, s:s}", "type", "error", "message", "Failed to subscribe", "reason",
                              "type must be subscribe or unsubscribe"));
        json_decref(root);
        json_decref(channels);
        return;
    }
    json_array_foreach(json_object_get(root, "channels"), i, channel)
    {
        json_t *own = json_object_get(channel, "product_ids");
        json_t *products = own ? own : json_object_get(root, "product_ids");
        const char *name = json_string_value(json_is_string(channel) ? channel : json_object_get(channel, "name"));
        if (name && json_is_array(products))
            take_channel(dialog, client, name, products, on, channels);
    }
    say(client, json_pack("{s:s, s:o}", "type", "subscriptions", "channels", channels));
    json_decref(root);
}

static void put_symbol(struct pxi_pen *pen, const struct pxi_symbol *symbol)
{
    pxi_puts(pen, symbol->base);
    pxi_puts(pen, "-");
    pxi_puts(pen, symbol->quote);
}

static void put_stream(struct pxi_pen *pen, const struct pxi_symbol *symbol, enum pxi_frame_kind kind)
{
    pxi_puts(pen, kind == PXI_FRAME_TRADE ? "matches:" : "ticker:");
    put_symbol(pen, symbol);
}

static void put_trade(struct pxi_pen *pen, const struct pxi_trade *trade, enum pxi_unit unit)
{
    pxi_puts(pen, "{\"type\":\"match\",\"trade_id\":");
    pxi_put_int(pen, trade->id);
    pxi_puts(pen, ",\"maker_order_id\":\"00000000-0000-4000-8000-000000000001\","
                  "\"taker_order_id\":\"00000000-0000-4000-8000-000000000002\",\"side\":\"");
    pxi_puts(pen, trade->seller_took ? "buy" : "sell"); /* the maker's side */
    pxi_puts(pen, "\",\"size\":\"");
    pxi_put(pen, trade->size);
    pxi_puts(pen, "\",\"price\":\"");
    pxi_put(pen, trade->price);
    pxi_puts(pen, "\",\"product_id\":\"");
    put_symbol(pen, trade->symbol);
    pxi_puts(pen, "\",\"sequence\":");
    pxi_put_int(pen, trade->id);
    pxi_puts(pen, ",\"time\":\"");
    pxi_put_rfc3339(pen, trade->time);
    pxi_puts(pen, "\"}");
}

static void put_quote(struct pxi_pen *pen, const struct pxi_quote *quote, enum pxi_unit unit)
{
    pxi_puts(pen, "{\"type\":\"ticker\",\"sequence\":");
    pxi_put_int(pen, quote->id);
    pxi_puts(pen, ",\"product_id\":\"");
    put_symbol(pen, quote->symbol);
    pxi_puts(pen, "\",\"price\":\"");
    pxi_put(pen, quote->last);
    pxi_puts(pen, "\",\"best_bid\":\"");
    pxi_put(pen, quote->bid);
    pxi_puts(pen, "\",\"best_bid_size\":\"");
    pxi_put(pen, quote->bid_size);
    pxi_puts(pen, "\",\"best_ask\":\"");
    pxi_put(pen, quote->ask);
    pxi_puts(pen, "\",\"best_ask_size\":\"");
    pxi_put(pen, quote->ask_size);
    pxi_puts(pen, "\",\"side\":\"buy\",\"time\":\"");
    pxi_put_rfc3339(pen, quote->time);
    pxi_puts(pen, "\",\"trade_id\":");
    pxi_put_int(pen, quote->id);
    pxi_puts(pen, ",\"last_size\":\"");
    pxi_put(pen, quote->last_size);
    pxi_puts(pen, "\"}");
}

const struct pxi_dialect pxi_coinbase = {.name = "coinbase",
                                         .open = open_stream,
                                         .message = message,
                                         .symbol = put_symbol,
                                         .stream = put_stream,
                                         .trade = put_trade,
                                         .quote = put_quote};
