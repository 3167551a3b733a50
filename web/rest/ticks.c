/* Raw trades out of history. */
#include <stdlib.h>

#include "base/error.h"
#include "web/rest/request_private.h"

#define TICK_BYTES_MAX 360

static void write_tick(struct px_request *request, const struct px_symbol *symbol, const struct px_trade *trade)
{
    struct px_json *json = pxi_json(request);

    px_json_open(json, '{');
    px_json_kv_time(json, "time", trade->time_ns);
    px_json_kv_time(json, "recv_time", trade->recv_ns);
    px_json_kv_decimal(json, "price", trade->price, symbol->scale);
    px_json_kv_decimal(json, "size", trade->size, symbol->size_scale);
    px_json_kv_string(json, "venue", pxi_venue_name(request, trade->venue));
    px_json_kv_int(json, "seq", (int64_t)trade->sseq);
    px_json_key(json, "trade_id");
    if (trade->trade_id)
        px_json_int(json, (int64_t)trade->trade_id);
    else
        px_json_null(json);
    px_json_kv_bool(json, "quarantined", trade->flags & PX_TICK_QUARANTINED);
    px_json_close(json, '}');
}

static void write_ticks(struct px_request *request, const struct px_symbol *symbol, const struct px_trade *trades,
                        const struct px_page *page)
{
    struct px_json *json = pxi_json(request);
    char cursor[PXI_CURSOR_SIZE];

    if (!pxi_reserve(request, (size_t)page->count * TICK_BYTES_MAX + 256))
        return;
    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", symbol->name);
    px_json_key(json, "ticks");
    px_json_open(json, '[');
    for (uint32_t i = 0; i < page->count; i++)
        write_tick(request, symbol, &trades[i]);
    px_json_close(json, ']');
    pxi_cursor_write((uint64_t[]){(uint64_t)page->next.time_ns, page->next.sequence}, 2, cursor);
    pxi_write_next(request, page->more ? cursor : NULL);
    px_json_close(json, '}');
}

static bool param_include(struct px_request *request, bool *quarantinedp)
{
    struct px_text text;

    *quarantinedp = px_query_get(&request->query, "include", &text);
    if (!*quarantinedp || px_text_is(text, "quarantined"))
        return true;
    px_problem_add(&request->problem, "?include", "can only be quarantined");
    return false;
}

void pxi_get_ticks(struct px_request *request)
{
    struct px_symbol symbol;
    struct px_range range;
    struct px_page page;
    bool quarantined;
    px_asset_id asset = pxi_asset_of_path(request, &symbol);

    if (asset == PX_ASSET_NONE || !pxi_param_range(request, &range) || !param_include(request, &quarantined))
        return;
    struct px_trade *trades = malloc(range.limit * sizeof *trades);
    int rc = trades ? px_reader_ticks(request->thread->reader, asset, quarantined, &range, trades, &page) : PX_E_MEMORY;
    request->answer.cache = "public, max-age=1";
    if (rc < 0)
        pxi_keeper_failed(request, rc);
    else
        write_ticks(request, &symbol, trades, &page);
    free(trades);
}
