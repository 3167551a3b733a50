#include "store/armed.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "store/alerts_private.h"
#include "store/hist_private.h"

enum { AT_SERIES = 4, AT_DOWN = 5, AT_LEVEL = 6, AT_ALERT = 14, AT_LEG = 30 };

_Static_assert(AT_LEG + 1 == PXI_ARMED_KEY, "a row's key");

static void prefix_of(const struct px_alerts *alerts, px_asset_id asset, unsigned series, bool down, uint8_t key[AT_LEVEL])
{
    pxi_be32(key, alerts->number[asset]);
    key[AT_SERIES] = (uint8_t)series;
    key[AT_DOWN] = down;
}

/* Unsigned order of the bytes is the order in which the series gets there. */
static uint64_t order_of(int64_t level, bool down)
{
    uint64_t rising = (uint64_t)level ^ (UINT64_C(1) << 63);

    return down ? ~rising : rising;
}

static int64_t level_from(uint64_t order, bool down)
{
    return (int64_t)((down ? ~order : order) ^ (UINT64_C(1) << 63));
}

static void key_of(const struct px_alerts *alerts, px_asset_id asset, const struct px_place *place, struct px_alert_id alert,
                   uint8_t key[PXI_ARMED_KEY])
{
    prefix_of(alerts, asset, place->series, place->down, key);
    pxi_be64(key + AT_LEVEL, order_of(place->level, place->down));
    pxi_id_key(key + AT_ALERT, alert);
    key[AT_LEG] = place->leg;
}

static void put(void *ctx, const struct px_row *row)
{
    struct px_alerts *alerts = ctx;
    uint8_t key[PXI_ARMED_KEY];

    key_of(alerts, row->asset, &row->place, row->alert, key);
    pxi_numbers_series(alerts, row->asset, row->place.series);
    pxi_put(&alerts->db, PXI_ALERTS_ARMED, key, sizeof key, row->bytes, row->len);
    alerts->dirty = true;
}

static void drop(void *ctx, px_asset_id asset, const struct px_place *place, struct px_alert_id alert)
{
    struct px_alerts *alerts = ctx;
    uint8_t key[PXI_ARMED_KEY];

    key_of(alerts, asset, place, alert, key);
    pxi_delete(&alerts->db, PXI_ALERTS_ARMED, key, sizeof key);
    alerts->dirty = true;
}

static void row_from(const uint8_t *key, px_asset_id asset, struct px_row *row)
{
    bool down = key[AT_DOWN] != 0;

    row->alert = pxi_id_from_key(key + AT_ALERT);
    row->asset = asset;
    row->place = (struct px_place){.level = level_from(pxi_from_be64(key + AT_LEVEL), down),
                                   .series = key[AT_SERIES],
                                   .down = down,
                                   .leg = key[AT_LEG]};
}

static bool take_value(const rocksdb_iterator_t *scan, struct px_row *row)
{
    size_t len;
    const char *value = rocksdb_iter_value(scan, &len);

    if (len > sizeof row->bytes) {
        px_log_limited(PX_LOG_ERROR, 1, "armed_unreadable bytes=%zu", len);
        return false;
    }
    memcpy(row->bytes, value, len);
    row->len = (uint16_t)len;
    return true;
}

/* The bound keeps the scan from walking over tombstones of other lists; it must outlive the iterator. */
static rocksdb_iterator_t *scan_list(const struct px_alerts *alerts, const uint8_t end[AT_LEVEL], rocksdb_readoptions_t **readp)
{
    rocksdb_readoptions_t *read = *readp = rocksdb_readoptions_create();

    rocksdb_readoptions_set_iterate_upper_bound(read, (const char *)end, AT_LEVEL);
    return rocksdb_create_iterator_cf(alerts->db.db, read, alerts->db.family[PXI_ALERTS_ARMED]);
}

static void end_of(const uint8_t prefix[AT_LEVEL], uint8_t end[AT_LEVEL])
{
    memcpy(end, prefix, AT_LEVEL);
    end[AT_DOWN]++; /* 0 or 1 before */
}

static int scan_rows(void *ctx, const struct px_row *after, unsigned limit, struct px_row *rows, unsigned *countp)
{
    const struct px_alerts *alerts = ctx;
    uint8_t from[PXI_ARMED_KEY], end[AT_LEVEL];
    rocksdb_readoptions_t *read;
    const uint8_t *key;

    *countp = 0;
    key_of(alerts, after->asset, &after->place, after->alert, from);
    end_of(from, end);
    rocksdb_iterator_t *scan = scan_list(alerts, end, &read);
    rocksdb_iter_seek(scan, (const char *)from, after->len == 0 ? AT_LEVEL : sizeof from);
    key = pxi_scan_key(scan, from, AT_LEVEL, PXI_ARMED_KEY);
    if (after->len != 0 && key && memcmp(key, from, sizeof from) == 0)
        rocksdb_iter_next(scan);
    for (; *countp < limit && (key = pxi_scan_key(scan, from, AT_LEVEL, PXI_ARMED_KEY)) != NULL; rocksdb_iter_next(scan)) {
        row_from(key, after->asset, &rows[*countp]);
        *countp += take_value(scan, &rows[*countp]);
    }
    int error = pxi_scan_end(scan);
    rocksdb_readoptions_destroy(read);
    return error;
}

static int get_row(void *ctx, px_asset_id asset, const struct px_place *place, struct px_alert_id alert, struct px_row *rowp)
{
    const struct px_alerts *alerts = ctx;
    uint8_t key[PXI_ARMED_KEY];
    size_t len;

    key_of(alerts, asset, place, alert, key);
    int error = pxi_get(&alerts->db, PXI_ALERTS_ARMED, key, sizeof key, rowp->bytes, sizeof rowp->bytes, &len);
    rowp->alert = alert;
    rowp->asset = asset;
    rowp->place = *place;
    rowp->len = error ? 0 : (uint16_t)len;
    return error;
}

static int settle_group(void *ctx)
{
    struct px_alerts *alerts = ctx;

    return alerts->settle(alerts->settle_ctx);
}

void px_armed_index(struct px_alerts *alerts, px_armed_settle *settle, void *settle_ctx, struct px_index *indexp)
{
    alerts->settle = settle;
    alerts->settle_ctx = settle_ctx;
    *indexp = (struct px_index){
        .ctx = alerts, .put = put, .drop = drop, .scan = scan_rows, .get = get_row, .settle = settle_group};
}

/* ---- what has rows ---- */

/* The first key of the list that follows; false behind the last one there can be. */
static bool step_over(uint8_t list[AT_LEVEL], unsigned bytes)
{
    for (unsigned i = bytes; i > 0; i--) {
        memset(list + i, 0, AT_LEVEL - i);
        if (++list[i - 1] != 0)
            return true;
    }
    return false;
}

/* A walk from list to list: of an index from before it was noted which series have rows. */
static int find_series(struct px_alerts *alerts)
{
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_ARMED);
    uint8_t list[AT_LEVEL] = {0};
    const uint8_t *key;
    bool more = true;

    while (more) {
        rocksdb_iter_seek(scan, (const char *)list, sizeof list);
        if (!(key = pxi_scan_key(scan, "", 0, PXI_ARMED_KEY)))
            break;
        memcpy(list, key, sizeof list);
        px_asset_id asset = key[AT_SERIES] < PX_SERIES ? pxi_asset_of_number(alerts, pxi_from_be32(key)) : PX_ASSET_NONE;
        if (asset != PX_ASSET_NONE)
            pxi_numbers_series(alerts, asset, key[AT_SERIES]);
        more = step_over(list, asset != PX_ASSET_NONE ? AT_LEVEL : AT_SERIES);
    }
    alerts->series_unknown = false;
    return pxi_scan_end(scan);
}

int px_armed_load(struct px_alerts *alerts, struct px_book *book, px_armed_seen *seen, void *ctx)
{
    uint32_t assets = px_names_config(alerts->names)->asset_count;
    int error = alerts->series_unknown ? find_series(alerts) : 0;

    for (px_asset_id asset = 0; asset < assets; asset++)
        for (uint32_t left = alerts->series[asset]; left != 0 && !error; left &= left - 1) {
            unsigned series = (unsigned)__builtin_ctz(left);

            error = series < PX_SERIES ? px_book_expect(book, asset, series) : 0;
            if (!error && seen)
                seen(ctx, asset, series);
        }
    return error;
}

int px_armed_find(const struct px_alerts *alerts, struct px_alert_id alert, px_asset_id asset, const struct px_plan *made,
                  struct px_plan *planp)
{
    struct px_place place[PX_CANDIDATES_MAX];
    unsigned count = px_plan_candidates(made, place);
    struct px_row row;

    for (unsigned i = 0; i < count; i++) {
        int error = get_row((void *)(uintptr_t)alerts, asset, &place[i], alert, &row);

        if (error == 0)
            return px_plan_decode(row.bytes, row.len, &place[i], planp);
        if (error != PX_E_NOT_FOUND)
            return error;
    }
    return PX_E_NOT_FOUND;
}

void px_armed_drop_asset(struct px_alerts *alerts, px_asset_id asset)
{
    uint8_t from[4], to[4];

    pxi_be32(from, alerts->number[asset]);
    pxi_be32(to, alerts->number[asset] + 1);
    pxi_delete_range(&alerts->db, PXI_ALERTS_ARMED, from, to, sizeof from);
    alerts->dirty = true;
}
