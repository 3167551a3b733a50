/* Binance: streams named in the path, /stream?streams=a@trade/b@trade, or asked for by a SUBSCRIBE message. */
#include <ctype.h>
#include <jansson.h>

#include "tools/pxvenue/dialect_private.h"

#define STREAMS_MAX 1024 /* names in one path; Binance's own limit of a connection */

static void subscribe_path(struct pxi_dialog *dialog, struct pxi_client *client, struct px_text names)
{
    for (unsigned i = 0; i < STREAMS_MAX && names.len; i++) {
        const char *slash = memchr(names.at, '/', names.len);
        struct px_text name = {names.at, slash ? (size_t)(slash - names.at) : names.len};
        if (name.len)
            pxi_client_subscribe(client, pxi_streams_find(dialog->streams, name));
        names.at += PX_MIN(name.len + 1, names.len);
        names.len -= PX_MIN(name.len + 1, names.len);
    }
}

static void open_stream(struct pxi_dialog *dialog, struct pxi_client *client, struct px_text path, struct px_text query)
{
    char value[PX_HTTP_HEAD_MAX];
    size_t len;

    pxi_client_unit_set(client, dialog->unit);
    if (query.at && px_http_query_find(query, "timeUnit", value, sizeof(value), &len) == 0)
        pxi_client_unit_set(client,
                            px_http_text_is((struct px_text){value, len}, "microsecond") ? PXI_UNIT_US : PXI_UNIT_MS);
    if (path.len >= 3 && memcmp(path.at, "/ws", 3) == 0) {
        pxi_client_bare_set(client);
        subscribe_path(dialog, client, (struct px_text){path.at + 3, path.len - 3});
    }
    if (query.at && px_http_query_find(query, "streams", value, sizeof(value), &len) == 0)
        subscribe_path(dialog, client, (struct px_text){value, len});
}

static void answer_list(struct pxi_dialog *dialog, struct pxi_client *client, json_t *id)
{
    json_t *names = json_array(), *answer;
    char *text;

    for (uint32_t i = 0; i < pxi_streams_count(dialog->streams); i++)
        if (pxi_client_subscribed(client, i))
            json_array_append_new(names, json_string(pxi_streams_name(dialog->streams, i).at));
    answer = json_pack("{s:o, s:O}", "result", names, "id", id);
    text = json_dumps(answer, JSON_COMPACT);
    if (text)
        pxi_client_say(client, px_text_of(text));
    free(text);
    json_decref(answer);
}

static void answer_null(struct pxi_client *client, json_t *id)
{
    char *number = json_dumps(id, JSON_COMPACT | JSON_ENCODE_ANY), text[128];
    int len = snprintf(text, sizeof(text), "{\"result\":null,\"id\":%.64s}", number ? number : "null");

    pxi_client_say(client, (struct px_text){text, (size_t)len});
    free(number);
}

static void refuse(struct pxi_client *client, const char *why)
{
    char text[160];
    int len = snprintf(text, sizeof(text), "{\"error\":{\"code\":2,\"msg\":\"Invalid request: %s\"}}", why);

    pxi_client_say(client, (struct px_text){text, (size_t)len});
}

static void message(struct pxi_dialog *dialog, struct pxi_client *client, struct px_text text)
{
    json_t *root = json_loadb(text.at, text.len, 0, NULL), *id = json_object_get(root, "id"), *name;
    const char *method = json_string_value(json_object_get(root, "method"));
    size_t i;

    if (!method || !id) {
        refuse(client, root ? "method and id are needed" : "not JSON");
    } else if (strcmp(method, "SUBSCRIBE") == 0 || strcmp(method, "UNSUBSCRIBE") == 0) {
        json_array_foreach(json_object_get(root, "params"), i, name)
        {
            struct px_text wanted = px_text_of(json_string_value(name) ? json_string_value(name) : "");
            uint32_t stream = pxi_streams_find(dialog->streams, wanted);
            if (method[0] == 'S')
                pxi_client_subscribe(client, stream);
            else
                pxi_client_unsubscribe(client, stream);
        }
        answer_null(client, id);
    } else if (strcmp(method, "LIST_SUBSCRIPTIONS") == 0) {
        answer_list(dialog, client, id);
    } else {
        refuse(client, "unknown method");
    }
    json_decref(root);
}

static void put_symbol(struct pxi_pen *pen, const struct pxi_symbol *symbol)
{
    pxi_puts(pen, symbol->base);
    pxi_puts(pen, symbol->quote);
}

static void put_stream(struct pxi_pen *pen, const struct pxi_symbol *symbol, enum pxi_frame_kind kind)
{
    size_t from = pen->len;

    put_symbol(pen, symbol);
    for (; from < pen->len; from++)
        pen->at[from] = (char)tolower((unsigned char)pen->at[from]);
    pxi_puts(pen, kind == PXI_FRAME_TRADE ? "@trade" : "@bookTicker");
}

static void put_time(struct pxi_pen *pen, int64_t time, enum pxi_unit unit)
{
    pxi_put_int(pen, (uint64_t)(time / (unit == PXI_UNIT_US ? PX_NS_PER_US : PX_NS_PER_MS)));
}

static void put_trade(struct pxi_pen *pen, const struct pxi_trade *trade, enum pxi_unit unit)
{
    pxi_puts(pen, "{\"stream\":\"");
    put_stream(pen, trade->symbol, PXI_FRAME_TRADE);
    pxi_puts(pen, "\",\"data\":{\"e\":\"trade\",\"E\":");
    put_time(pen, trade->time, unit);
    pxi_puts(pen, ",\"s\":\"");
    put_symbol(pen, trade->symbol);
    pxi_puts(pen, "\",\"t\":");
    pxi_put_int(pen, trade->id);
    pxi_puts(pen, ",\"p\":\"");
    pxi_put(pen, trade->price);
    pxi_puts(pen, "\",\"q\":\"");
    pxi_put(pen, trade->size);
    pxi_puts(pen, "\",\"T\":");
    put_time(pen, trade->time, unit);
    pxi_puts(pen, trade->seller_took ? ",\"m\":true,\"M\":true}}" : ",\"m\":false,\"M\":true}}");
}

static void put_quote(struct pxi_pen *pen, const struct pxi_quote *quote, enum pxi_unit unit)
{
    pxi_puts(pen, "{\"stream\":\"");
    put_stream(pen, quote->symbol, PXI_FRAME_QUOTE);
    pxi_puts(pen, "\",\"data\":{\"u\":");
    pxi_put_int(pen, quote->id);
    pxi_puts(pen, ",\"s\":\"");
    put_symbol(pen, quote->symbol);
    pxi_puts(pen, "\",\"b\":\"");
    pxi_put(pen, quote->bid);
    pxi_puts(pen, "\",\"B\":\"");
    pxi_put(pen, quote->bid_size);
    pxi_puts(pen, "\",\"a\":\"");
    pxi_put(pen, quote->ask);
    pxi_puts(pen, "\",\"A\":\"");
    pxi_put(pen, quote->ask_size);
    pxi_puts(pen, "\"}}");
}

const struct pxi_dialect pxi_binance = {.name = "binance",
                                        .decimals = 8,
                                        .units = true,
                                        .open = open_stream,
                                        .message = message,
                                        .symbol = put_symbol,
                                        .stream = put_stream,
                                        .trade = put_trade,
                                        .quote = put_quote};
