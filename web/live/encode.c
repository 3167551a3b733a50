/* Frames from shared memory, each from `,"data":` to its end. */
#include "base/error.h"
#include "base/json_out.h"
#include "match/plan.h"
#include "store/alert.h"
#include "web/live/session_private.h"

#include <stdio.h>
#include <stdlib.h>

#define DATA_HEAD      ",\"data\":["
#define DATA_END       "]}"
#define OLD_NS         PX_NS_PER_S
#define ALERT_SIZE     4096
#define CANDLE_MINUTES 1

static const char *const window_names[] = {"1m", "5m", "15m"};

static void data_begin(struct px_json *json, char *buffer, size_t size)
{
    memcpy(buffer, DATA_HEAD, sizeof(DATA_HEAD) - 1);
    px_json_init(json, buffer + sizeof(DATA_HEAD) - 1, size - sizeof(DATA_HEAD) - sizeof(DATA_END));
}

/* The buffers are sized for the longest value of every member, so what does not fit cannot happen. */
static struct px_text data_end(struct px_json *json, char *buffer)
{
    PX_CHECK(!json->full);
    memcpy(json->at + json->len, DATA_END, sizeof(DATA_END) - 1);
    return (struct px_text){buffer, sizeof(DATA_HEAD) - 1 + json->len + sizeof(DATA_END) - 1};
}

static const struct px_symbol *symbol_of(const struct px_hub *hub, px_asset_id asset)
{
    return px_symbols_get(&hub->options.shm->directory, asset);
}

static const struct px_config_venue *venue_of(const struct px_hub *hub, uint32_t venue)
{
    const struct px_config *config = hub->options.config;

    return venue < config->venue_count ? &config->venues[venue] : NULL;
}

static bool is_stale(const struct px_config_venue *venue, int64_t recv_ns)
{
    return venue == NULL || px_wall_now() - recv_ns > (int64_t)venue->stale_after_ms * PX_NS_PER_MS;
}

/* --- ticker --- */

static void write_day(struct px_json *json, const struct px_symbol *symbol, const struct px_average_value *average,
                      int64_t last)
{
    bool known = average->day_ns != 0 && average->count > 0;
    int64_t high = average->high, low = average->low, change = PX_PRICE_NONE, percent = PX_PRICE_NONE;

    if (known && last != PX_PRICE_NONE) {
        /* The evaluator may be a tick behind; a last price outside of the day's range would be nonsense. */
        high = PX_MAX(high, last);
        low = PX_MIN(low, last);
        change = last - average->open;
        if (average->open > 0)
            percent = px_div_round((__int128)change * 10000, average->open);
    }
    px_json_kv_decimal(json, "open", known ? average->open : PX_PRICE_NONE, symbol->scale);
    px_json_kv_decimal(json, "high", known ? high : PX_PRICE_NONE, symbol->scale);
    px_json_kv_decimal(json, "low", known ? low : PX_PRICE_NONE, symbol->scale);
    px_json_kv_decimal(json, "volume", known ? average->volume : PX_PRICE_NONE, symbol->size_scale);
    px_json_kv_decimal(json, "change", change, symbol->scale);
    px_json_kv_decimal(json, "change_pct", percent, 2);
}

static void write_ticker(struct px_hub *hub, px_asset_id asset, struct px_json *json)
{
    const struct px_symbol *symbol = symbol_of(hub, asset);
    const struct px_config_venue *venue;
    struct px_average_value average;
    struct px_detail_value detail;
    bool known;

    (void)px_latch_read(&hub->options.shm->details[asset], &detail);
    (void)px_latch_read(&hub->options.shm->averages[asset], &average);
    pxi_ticker_made(hub, asset, average.count);
    known = detail.sseq > 0;
    venue = known ? venue_of(hub, detail.venue) : NULL;
    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", symbol->name);
    px_json_kv_decimal(json, "last", known ? detail.price : PX_PRICE_NONE, symbol->scale);
    px_json_kv_decimal(json, "bid", known ? detail.bid : PX_PRICE_NONE, symbol->scale);
    px_json_kv_decimal(json, "ask", known ? detail.ask : PX_PRICE_NONE, symbol->scale);
    write_day(json, symbol, &average, known ? detail.price : PX_PRICE_NONE);
    px_json_kv_int(json, "sseq", (int64_t)detail.sseq);
    px_json_key(json, "venue");
    if (venue != NULL)
        px_json_string(json, px_text_of(venue->name));
    else
        px_json_null(json);
    px_json_kv_bool(json, "stale", is_stale(venue, detail.recv_ns));
    px_json_kv_time(json, "timestamp", known ? detail.time_ns : 0);
    px_json_close(json, '}');
}

/* --- averages and candles --- */

static void write_window(struct px_json *json, const struct px_symbol *symbol, const struct px_window_value *window)
{
    char coverage[PX_DECIMAL_SIZE];
    unsigned scale = px_average_scale(symbol->scale);
    size_t len = px_decimal_format(window->coverage_ppm, 6, coverage);

    px_json_open(json, '{');
    px_json_kv_decimal(json, "twap", window->twap, scale);
    px_json_kv_decimal(json, "vwap", window->vwap, scale);
    px_json_kv_decimal(json, "high", window->high, symbol->scale);
    px_json_kv_decimal(json, "low", window->low, symbol->scale);
    px_json_kv_decimal(json, "volume", window->volume, symbol->size_scale);
    px_json_kv_int(json, "count", window->count);
    px_json_key(json, "coverage");
    px_json_raw(json, (struct px_text){coverage, len});
    px_json_close(json, '}');
}

static void write_average(struct px_hub *hub, px_asset_id asset, struct px_json *json)
{
    const struct px_symbol *symbol = symbol_of(hub, asset);
    struct px_average_value average;

    if (px_latch_read(&hub->options.shm->averages[asset], &average) == 0)
        return;
    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", symbol->name);
    for (unsigned i = 0; i < PX_COUNT_OF(window_names); i++) {
        px_json_key(json, window_names[i]);
        write_window(json, symbol, &average.window[i]);
    }
    px_json_kv_time(json, "timestamp", average.time_ns);
    px_json_close(json, '}');
}

static void write_candle(struct px_hub *hub, px_asset_id asset, struct px_json *json)
{
    const struct px_symbol *symbol = symbol_of(hub, asset);
    struct px_candle_pair pair;
    const struct px_candle_value *candle = &pair.open;

    (void)px_latch_read(&hub->options.shm->candles[asset], &pair);
    if (candle->start_ns == 0 || candle->count == 0)
        return;
    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", symbol->name);
    px_json_kv_int(json, "interval", CANDLE_MINUTES);
    px_json_kv_time(json, "interval_begin", candle->start_ns);
    px_json_kv_decimal(json, "open", candle->open, symbol->scale);
    px_json_kv_decimal(json, "high", candle->high, symbol->scale);
    px_json_kv_decimal(json, "low", candle->low, symbol->scale);
    px_json_kv_decimal(json, "close", candle->close, symbol->scale);
    px_json_kv_decimal(json, "volume", candle->volume, symbol->size_scale);
    px_json_kv_int(json, "trades", (int64_t)candle->count);
    px_json_kv_bool(json, "confirmed", false);
    px_json_kv_time(json, "timestamp", candle->last_ns);
    px_json_close(json, '}');
}

/* --- shared tails --- */

static void keep(struct pxi_tail *tail, struct px_text text, uint64_t version, px_mono now)
{
    if (text.len > tail->size) {
        char *grown = realloc(tail->text, text.len);

        PX_CHECK(grown != NULL); /* a kilobyte; without it nothing else would work either */
        tail->text = grown;
        tail->size = (uint32_t)text.len;
    }
    memcpy(tail->text, text.at, text.len);
    tail->len = (uint32_t)text.len;
    tail->version = version;
    tail->made_at = now;
}

struct px_text pxi_encode_tail(struct px_hub *hub, px_asset_id asset, enum pxi_channel channel)
{
    struct pxi_asset *a = &hub->assets[asset];
    struct pxi_tail *tail = &a->tail[channel];
    struct px_json json;

    if (tail->version != a->version[channel] || px_mono_since(hub->now, tail->made_at) > OLD_NS) {
        data_begin(&json, hub->scratch, PXI_TAIL_SIZE - 256);
        if (channel == PXI_TICKER)
            write_ticker(hub, asset, &json);
        else if (channel == PXI_AVG)
            write_average(hub, asset, &json);
        else
            write_candle(hub, asset, &json);
        keep(tail, data_end(&json, hub->scratch), a->version[channel], hub->now);
    }
    return (struct px_text){tail->text, tail->len};
}

uint64_t pxi_asset_sseq(const struct px_hub *hub, px_asset_id asset)
{
    struct px_detail_value detail;

    (void)px_latch_read(&hub->options.shm->details[asset], &detail);
    return detail.sseq;
}

/* --- trades --- */

void pxi_trade_note(struct px_hub *hub, const struct px_tick *tick)
{
    struct pxi_asset *asset = &hub->assets[tick->asset];
    const struct px_symbol *symbol = symbol_of(hub, tick->asset);
    const struct px_config_venue *venue = venue_of(hub, tick->venue);
    unsigned at = asset->version[PXI_TRADE] % PXI_TRADE_LOG;
    struct px_json json;

    px_json_init(&json, asset->trades->text[at], PXI_TRADE_TEXT);
    px_json_open(&json, '{');
    px_json_kv_string(&json, "symbol", symbol->name);
    px_json_kv_string(&json, "side", (tick->flags & PX_TICK_BUYER) != 0 ? "buy" : "sell");
    px_json_kv_decimal(&json, "price", tick->price, symbol->scale);
    px_json_kv_decimal(&json, "qty", tick->size, symbol->size_scale);
    px_json_kv_int(&json, "trade_id", (int64_t)tick->trade_id);
    px_json_kv_int(&json, "sseq", (int64_t)tick->sseq);
    px_json_kv_string(&json, "venue", venue != NULL ? venue->name : "");
    px_json_kv_time(&json, "timestamp", tick->time_ns);
    px_json_close(&json, '}');
    PX_CHECK(!json.full);
    asset->trades->len[at] = (uint16_t)json.len;
    asset->version[PXI_TRADE]++;
}

struct px_text pxi_encode_trades(struct px_hub *hub, px_asset_id asset, uint64_t from, uint64_t to)
{
    struct pxi_asset *a = &hub->assets[asset];
    struct pxi_tail *tail = &a->tail[PXI_TRADE];
    struct px_json json;

    /* Sessions that keep up all want the same run of trades. */
    if (tail->version == to && a->trade_from == from && tail->text != NULL)
        return (struct px_text){tail->text, tail->len};
    data_begin(&json, hub->scratch, PXI_TAIL_SIZE - 256);
    for (uint64_t i = from; i < to; i++) {
        unsigned at = i % PXI_TRADE_LOG;

        px_json_raw(&json, (struct px_text){a->trades->text[at], a->trades->len[at]});
    }
    keep(tail, data_end(&json, hub->scratch), to, hub->now);
    a->trade_from = from;
    return (struct px_text){tail->text, tail->len};
}

/* --- alerts and status --- */

static void write_fire(struct px_hub *hub, const struct px_alert_event *event, struct px_json *json)
{
    const struct px_fire *fire = &event->fire;
    bool known = fire->asset < px_symbols_count(&hub->options.shm->directory);
    const struct px_symbol *symbol = known ? symbol_of(hub, fire->asset) : NULL;
    const struct px_config_venue *venue = venue_of(hub, fire->venue);
    char id[PX_ALERT_ID_SIZE];

    px_alert_id_format(fire->alert, id);
    px_json_open(json, '{');
    px_json_kv_string(json, "alert_id", id);
    px_json_kv_int(json, "fire", event->fire_number);
    px_json_kv_string(json, "name", event->name);
    px_json_kv_string(json, "symbol", known ? symbol->name : "");
    px_json_kv_string(json, "op", px_op_name(event->op));
    px_json_kv_string(json, "level", event->level);
    px_json_kv_decimal(json, "price", known ? fire->price : PX_PRICE_NONE, event->scale);
    px_json_kv_decimal(json, "prev", known ? fire->prev : PX_PRICE_NONE, event->scale);
    px_json_kv_time(json, "price_time", fire->time_ns);
    px_json_kv_time(json, "recv_time", fire->recv_ns);
    px_json_kv_time(json, "matched_time", fire->matched_ns);
    px_json_kv_string(json, "venue", venue != NULL ? venue->name : "");
    px_json_kv_int(json, "seq", (int64_t)event->eseq);
    px_json_kv_string(json, "epoch", hub->epoch);
    px_json_kv_bool(json, "late", (fire->flags & PX_FIRE_LATE) != 0);
    px_json_kv_int(json, "count", event->count);
    px_json_kv_string(json, "message", event->message);
    px_json_close(json, '}');
}

struct pxi_alert_text *pxi_encode_alert(struct px_hub *hub, const struct px_alert_event *event)
{
    struct pxi_alert_text *alert;
    struct px_json json;
    struct px_text text;

    data_begin(&json, hub->scratch, ALERT_SIZE);
    write_fire(hub, event, &json);
    text = data_end(&json, hub->scratch);
    alert = malloc(sizeof(*alert) + text.len);
    if (alert == NULL)
        return NULL;
    *alert = (struct pxi_alert_text){.refs = 1, .len = (uint32_t)text.len, .eseq = event->eseq};
    memcpy(alert->text, text.at, text.len);
    return alert;
}

struct px_text pxi_encode_status(struct px_hub *hub, const char *system, uint64_t connection,
                                 uint32_t reconnect_after_ms)
{
    struct px_json json;

    data_begin(&json, hub->scratch, 1024);
    px_json_open(&json, '{');
    px_json_kv_string(&json, "system", system);
    px_json_kv_string(&json, "api_version", "v2");
    px_json_kv_string(&json, "version", PX_VERSION);
    px_json_kv_int(&json, "connection_id", (int64_t)connection);
    px_json_kv_string(&json, "epoch", hub->epoch);
    if (reconnect_after_ms > 0)
        px_json_kv_int(&json, "reconnect_after_ms", reconnect_after_ms);
    px_json_close(&json, '}');
    return data_end(&json, hub->scratch);
}
