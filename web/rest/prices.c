/* Assets, prices and live averages: what stands in shared memory, nothing else. No handler here waits for anybody. */
#include <stdio.h>

#include "base/clock.h"
#include "web/rcu.h"
#include "web/rest/request_private.h"
#include "web/watchers.h"

#define SYMBOLS_MAX     500
#define PRICE_BYTES_MAX 2048 /* of one price in an answer, all numbers at their longest */
#define ASSET_BYTES_MAX 640

static const char *const window_names[PX_WINDOWS] = {"1m", "5m", "15m", "1h"};

void pxi_get_time(struct px_request *request)
{
    struct px_json *json = pxi_json(request);
    int64_t now = px_wall_now();

    px_json_open(json, '{');
    px_json_kv_time(json, "time", now);
    px_json_kv_int(json, "unix_ms", now / PX_NS_PER_MS);
    px_json_close(json, '}');
}

/* ---- assets ---- */

const char *pxi_venue_name(const struct px_request *request, uint32_t venue)
{
    const struct px_config *config = request->rest->heritage->config;

    return venue < config->venue_count ? config->venues[venue].name : "unknown";
}

/* `watchers` NULL: not told, so that the list of assets may be cached. */
static void write_asset(struct px_request *request, const struct px_symbol *symbol, const uint32_t *watchers)
{
    struct px_json *json = pxi_json(request);

    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", symbol->name);
    px_json_kv_int(json, "decimals", symbol->scale);
    px_json_kv_int(json, "size_decimals", symbol->size_scale);
    px_json_kv_decimal(json, "tick", symbol->tick > 0 ? symbol->tick : PX_PRICE_NONE, symbol->scale);
    px_json_key(json, "aliases");
    px_json_open(json, '[');
    for (unsigned i = 0; i < symbol->alias_count; i++)
        px_json_string(json, px_text_of(symbol->alias[i]));
    px_json_close(json, ']');
    px_json_key(json, "sources");
    px_json_open(json, '[');
    for (unsigned i = 0; i < symbol->source_count; i++)
        px_json_string(json, px_text_of(pxi_venue_name(request, symbol->venue[i])));
    px_json_close(json, ']');
    px_json_kv_string(json, "state", "active");
    if (watchers)
        px_json_kv_int(json, "watchers", *watchers);
    px_json_close(json, '}');
}

void pxi_get_asset(struct px_request *request)
{
    struct px_symbol symbol;
    px_asset_id asset = pxi_asset_of_path(request, &symbol);

    if (asset == PX_ASSET_NONE)
        return;
    uint32_t watchers = px_watchers_of(request->rest->watchers, asset);
    request->answer.cache = "no-cache"; /* the number of watchers is of this moment */
    write_asset(request, &symbol, &watchers);
}

/* Does the name or an alias contain `part`, whatever the case? */
static bool asset_contains(const struct px_symbol *symbol, const char *part)
{
    bool found = strcasestr(symbol->name, part) != NULL;

    for (unsigned i = 0; i < symbol->alias_count && !found; i++)
        found = strcasestr(symbol->alias[i], part) != NULL;
    return found;
}

/* Copies the asset of that number; false when there is none any more. */
bool pxi_asset_at(const struct px_request *request, px_asset_id asset, struct px_symbol *symbolp)
{
    const struct px_symbols *directory = &request->rest->heritage->shm->directory;

    urcu_memb_read_lock();
    bool there = asset < px_symbols_count(directory);
    if (there)
        *symbolp = *px_symbols_get(directory, asset);
    urcu_memb_read_unlock();
    return there;
}

void pxi_get_assets(struct px_request *request)
{
    struct px_json *json = pxi_json(request);
    struct px_text part = PX_TEXT(""), text;
    struct px_symbol symbol;
    int64_t limit = PXI_PAGE, count = 0;
    uint64_t next = 0;
    char cursor[PXI_CURSOR_SIZE];

    px_query_get(&request->query, "q", &part);
    if (px_query_get(&request->query, "cursor", &text) && pxi_cursor_read(text, &next, 1) < 0)
        px_problem_add(&request->problem, "?cursor", "is not one that an answer gave");
    if (!pxi_param_int(request, "limit", 1, PX_PAGE_MAX, &limit) || request->problem.kind != PX_PROBLEM_NONE ||
        !pxi_reserve(request, (size_t)limit * ASSET_BYTES_MAX + 256))
        return;
    request->answer.cache = "public, max-age=60";
    px_json_open(json, '{');
    px_json_key(json, "assets");
    px_json_open(json, '[');
    px_asset_id asset = (px_asset_id)PX_MIN(next, (uint64_t)PX_ASSETS_MAX);
    for (; pxi_asset_at(request, asset, &symbol); asset++) {
        if (part.len > 0 && !asset_contains(&symbol, part.at))
            continue;
        if (count++ == limit)
            break;
        write_asset(request, &symbol, NULL);
    }
    px_json_close(json, ']');
    next = asset;
    pxi_cursor_write(&next, 1, cursor);
    pxi_write_next(request, count > limit ? cursor : NULL);
    px_json_close(json, '}');
}

/* ---- averages ---- */

void pxi_json_coverage(struct px_json *json, uint32_t ppm)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%u.%06u", ppm / 1000000, ppm % 1000000);

    px_json_raw(json, (struct px_text){text, (size_t)len});
}

static void write_window(struct px_json *json, const char *name, const struct px_window_value *window,
                         const struct px_symbol *symbol)
{
    unsigned scale = px_average_scale(symbol->scale);

    px_json_key(json, name);
    px_json_open(json, '{');
    px_json_kv_decimal(json, "twap", window->twap, scale);
    px_json_kv_decimal(json, "vwap", window->vwap, scale);
    px_json_kv_decimal(json, "high", window->high, symbol->scale);
    px_json_kv_decimal(json, "low", window->low, symbol->scale);
    px_json_kv_decimal(json, "volume", window->volume, symbol->size_scale);
    px_json_kv_int(json, "count", window->count);
    px_json_key(json, "coverage");
    pxi_json_coverage(json, window->coverage_ppm);
    px_json_close(json, '}');
}

/* Zeroes in a slot that nobody has written yet are no prices. */
static void read_average(const struct px_request *request, px_asset_id asset, struct px_average_value *valuep)
{
    px_latch_read(px_shm_average(request->rest->heritage->shm, asset), valuep);
    if (valuep->version != 0)
        return;
    for (unsigned i = 0; i < PX_WINDOWS; i++)
        valuep->window[i].twap = valuep->window[i].vwap = valuep->window[i].high = valuep->window[i].low =
            PX_PRICE_NONE;
}

void pxi_averages_live(struct px_request *request, px_asset_id asset, const struct px_symbol *symbol)
{
    struct px_json *json = pxi_json(request);
    struct px_average_value average;

    read_average(request, asset, &average);
    request->answer.cache = "no-cache";
    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", symbol->name);
    px_json_kv_time(json, "time", average.time_ns);
    for (unsigned i = 0; i < PX_WINDOWS; i++)
        write_window(json, window_names[i], &average.window[i], symbol);
    px_json_close(json, '}');
}

/* ---- prices ---- */

/* The UTC day so far; nulls when the evaluator's day is over, because no trade has opened the new one. */
static void write_day(struct px_json *json, const struct px_average_value *day, int64_t price,
                      const struct px_symbol *symbol, int64_t now)
{
    bool today = day->version > 0 && day->day_ns > 0 && now - day->day_ns < 86400 * PX_NS_PER_S;
    bool moved = today && price != PX_PRICE_NONE && day->open > 0;
    int64_t change = moved ? price - day->open : PX_PRICE_NONE;

    px_json_kv_decimal(json, "open", today ? day->open : PX_PRICE_NONE, symbol->scale);
    px_json_kv_decimal(json, "high", today ? day->high : PX_PRICE_NONE, symbol->scale);
    px_json_kv_decimal(json, "low", today ? day->low : PX_PRICE_NONE, symbol->scale);
    px_json_kv_decimal(json, "volume", today ? day->volume : PX_PRICE_NONE, symbol->size_scale);
    px_json_kv_decimal(json, "change", change, symbol->scale);
    px_json_kv_decimal(json, "change_pct", moved ? px_div_round((__int128)change * 1000000, day->open) : PX_PRICE_NONE,
                       4);
}

static void read_detail(const struct px_request *request, px_asset_id asset, struct px_detail_value *detailp)
{
    px_latch_read(px_shm_detail(request->rest->heritage->shm, asset), detailp);
    if (detailp->sseq == 0)
        *detailp = (struct px_detail_value){.price = PX_PRICE_NONE,
                                            .size = PX_PRICE_NONE,
                                            .bid = PX_PRICE_NONE,
                                            .ask = PX_PRICE_NONE,
                                            .venue = UINT32_MAX};
}

static bool is_stale(const struct px_request *request, const struct px_detail_value *detail, int64_t now)
{
    const struct px_config *config = request->rest->heritage->config;

    if (detail->sseq == 0 || detail->venue >= config->venue_count)
        return true;
    return now - detail->recv_ns > (int64_t)config->venues[detail->venue].stale_after_ms * PX_NS_PER_MS;
}

static void write_times(struct px_request *request, const struct px_detail_value *detail, int64_t now)
{
    struct px_json *json = pxi_json(request);

    px_json_kv_time(json, "time", detail->time_ns);
    px_json_kv_time(json, "recv_time", detail->recv_ns);
    px_json_kv_int(json, "seq", (int64_t)detail->sseq);
    px_json_key(json, "venue");
    if (detail->sseq > 0)
        px_json_string(json, px_text_of(pxi_venue_name(request, detail->venue)));
    else
        px_json_null(json);
    px_json_kv_bool(json, "stale", is_stale(request, detail, now));
    px_json_key(json, "age_ms");
    if (detail->sseq > 0)
        px_json_int(json, PX_MAX(now - detail->recv_ns, 0) / PX_NS_PER_MS);
    else
        px_json_null(json);
}

static void write_price(struct px_request *request, px_asset_id asset, const struct px_symbol *symbol,
                        const struct px_detail_value *detail)
{
    struct px_json *json = pxi_json(request);
    struct px_average_value average;
    int64_t now = px_wall_now();

    read_average(request, asset, &average);
    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", symbol->name);
    px_json_kv_decimal(json, "price", detail->price, symbol->scale);
    px_json_kv_decimal(json, "bid", detail->bid, symbol->scale);
    px_json_kv_decimal(json, "ask", detail->ask, symbol->scale);
    px_json_kv_decimal(json, "size", detail->size, symbol->size_scale);
    write_times(request, detail, now);
    write_day(json, &average, detail->price, symbol, now);
    px_json_key(json, "sources");
    px_json_open(json, '{');
    px_json_kv_int(json, "fresh", is_stale(request, detail, now) ? 0 : detail->fresh_sources);
    px_json_kv_int(json, "total", symbol->source_count);
    px_json_close(json, '}');
    px_json_key(json, "averages");
    px_json_open(json, '{');
    for (unsigned i = PX_WINDOW_1M; i <= PX_WINDOW_15M; i++)
        write_window(json, window_names[i], &average.window[i], symbol);
    px_json_close(json, '}');
    px_json_close(json, '}');
}

void pxi_get_price(struct px_request *request)
{
    struct px_symbol symbol;
    struct px_detail_value detail;
    char etag[72];
    px_asset_id asset = pxi_asset_of_path(request, &symbol);

    if (asset == PX_ASSET_NONE)
        return;
    read_detail(request, asset, &detail);
    snprintf(etag, sizeof etag, "\"%s-%llu\"", request->rest->epoch, (unsigned long long)detail.sseq);
    request->answer.cache = "no-cache";
    if (!pxi_not_modified(request, etag))
        write_price(request, asset, &symbol, &detail);
}

static unsigned count_pieces(struct px_text list)
{
    struct px_text piece;
    unsigned count = 0;

    while (px_list_next(&list, &piece))
        count++;
    return count;
}

void pxi_get_prices(struct px_request *request)
{
    struct px_json *json = pxi_json(request);
    struct px_text list, name;
    struct px_symbol symbol;
    struct px_detail_value detail;

    bool given = px_query_get(&request->query, "symbols", &list) && list.len > 0;
    unsigned count = given ? count_pieces(list) : 0;
    if (count == 0 || count > SYMBOLS_MAX) {
        px_problem_add(&request->problem, "?symbols", "must name 1 to %u assets, with commas between", SYMBOLS_MAX);
        return;
    }
    if (!pxi_reserve(request, (size_t)count * PRICE_BYTES_MAX + 64))
        return;
    request->answer.cache = "no-cache";
    px_json_open(json, '{');
    px_json_key(json, "prices");
    px_json_open(json, '[');
    while (px_list_next(&list, &name)) {
        px_asset_id asset = pxi_asset_find(request, name, &symbol);
        if (asset == PX_ASSET_NONE) {
            px_problem_set(&request->problem, PX_PROBLEM_UNKNOWN_SYMBOL, "No asset has the name or alias '%.*s'",
                           (int)PX_MIN(name.len, 64), name.at);
            return;
        }
        read_detail(request, asset, &detail);
        write_price(request, asset, &symbol, &detail);
    }
    px_json_close(json, ']');
    px_json_close(json, '}');
}
