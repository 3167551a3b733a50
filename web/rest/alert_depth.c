/* How many alerts wait at which distance from the price: out of shared memory, of all owners together. */
#include "web/rcu.h"
#include "web/rest/alerts_private.h"

#define LEVEL_BYTES_MAX 128

struct side {
    struct px_depth_level level[PX_DEPTH_LEVELS];
    unsigned count;
    bool more;
};

/* Sources that are a series by themselves; what waits for a close waits for one of several bars. */
static const uint8_t series_of[] = {
    [PX_SOURCE_LAST] = PX_SERIES_LAST,       [PX_SOURCE_BID] = PX_SERIES_BID,         [PX_SOURCE_ASK] = PX_SERIES_ASK,
    [PX_SOURCE_MID] = PX_SERIES_MID,         [PX_SOURCE_TWAP_1M] = PX_SERIES_TWAP_1M, [PX_SOURCE_TWAP_5M] = PX_SERIES_TWAP_5M,
    [PX_SOURCE_TWAP_15M] = PX_SERIES_TWAP_15M};

static bool param_source(struct px_request *request, unsigned *sourcep)
{
    struct px_text text;

    *sourcep = PX_SOURCE_LAST;
    if (!px_query_get(&request->query, "source", &text))
        return true;
    *sourcep = px_source_find(text);
    if (*sourcep != 0 && *sourcep < PX_COUNT_OF(series_of))
        return true;
    px_problem_add(&request->problem, "?source", "must be one of last bid ask mid twap_1m twap_5m twap_15m");
    return false;
}

static void read_sides(const struct px_shm *shm, px_asset_id asset, unsigned series, unsigned most, struct side side[2])
{
    urcu_memb_read_lock(); /* the worker quiesces in the region's domain only after our own grace period */
    for (int down = 0; down < 2; down++)
        side[down].count = px_depth_read(shm, asset, series, down, side[down].level, most, &side[down].more);
    urcu_memb_read_unlock();
}

static void write_side(struct px_json *json, const char *key, const struct side *side, unsigned scale)
{
    px_json_key(json, key);
    px_json_open(json, '{');
    px_json_key(json, "levels");
    px_json_open(json, '[');
    for (unsigned i = 0; i < side->count; i++) {
        px_json_open(json, '{');
        px_json_kv_decimal(json, "level", side->level[i].level, scale);
        px_json_kv_int(json, "count", (int64_t)side->level[i].count);
        px_json_close(json, '}');
    }
    px_json_close(json, ']');
    px_json_kv_bool(json, "more", side->more);
    px_json_close(json, '}');
}

void pxi_get_alert_depth(struct px_request *request)
{
    const struct px_shm *shm = request->rest->heritage->shm;
    struct px_json *json = pxi_json(request);
    struct side side[2] = {{.count = 0}, {.count = 0}};
    struct px_levels_value levels;
    struct px_symbol symbol;
    int64_t limit = PX_DEPTH_LEVELS;
    unsigned source;

    bool good = param_source(request, &source);
    good &= pxi_param_int(request, "limit", 1, PX_DEPTH_LEVELS, &limit);
    px_asset_id asset = pxi_asset_of_path(request, &symbol);
    if (!good || asset == PX_ASSET_NONE || !pxi_reserve(request, 2 * PX_DEPTH_LEVELS * LEVEL_BYTES_MAX + 512))
        return;
    unsigned series = series_of[source], scale = px_series_scale(series, symbol.scale);
    read_sides(shm, asset, series, (unsigned)limit, side);
    px_latch_read(px_shm_levels(shm, asset), &levels);
    request->answer.cache = "public, max-age=1";
    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", symbol.name);
    px_json_kv_string(json, "source", px_source_name(source));
    px_json_kv_decimal(json, "price", levels.position ? levels.value[series] : PX_PRICE_NONE, scale);
    write_side(json, "above", &side[0], scale);
    write_side(json, "below", &side[1], scale);
    px_json_close(json, '}');
}
