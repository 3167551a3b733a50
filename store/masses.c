/* Hits that are worked off in slices: durable, so that nothing which has been reached waits for them. store/alerts.h says more. */
#include "base/error.h"
#include "base/log.h"
#include "store/alerts_private.h"
#include "store/hist_private.h"

#define MASS_FORMAT 1
#define MASS_KEY    13 /* "mass/" and the number, BE */

struct mass_row { /* as the machine has it */
    uint32_t format, asset_number;
    uint64_t generation, behind;
    uint32_t stage, spare;
    struct px_hit hit;
};
_Static_assert(sizeof(struct mass_row) == 192, "a mass row");

static const char prefix[] = "mass/";

static void key_of(uint64_t number, uint8_t key[MASS_KEY])
{
    memcpy(key, prefix, sizeof prefix - 1);
    pxi_be64(key + sizeof prefix - 1, number);
}

void px_alerts_mass_put(struct px_alerts *alerts, const struct px_mass *mass)
{
    struct mass_row row = {.format = MASS_FORMAT,
                           .asset_number = alerts->number[mass->hit.asset],
                           .generation = mass->generation,
                           .behind = mass->behind,
                           .stage = mass->stage,
                           .hit = mass->hit};
    uint8_t key[MASS_KEY];

    key_of(mass->number, key);
    pxi_put(&alerts->db, PXI_ALERTS_META, key, sizeof key, &row, sizeof row);
    alerts->dirty = true;
}

void px_alerts_mass_drop(struct px_alerts *alerts, uint64_t number)
{
    uint8_t key[MASS_KEY];

    key_of(number, key);
    pxi_delete(&alerts->db, PXI_ALERTS_META, key, sizeof key);
    alerts->dirty = true;
}

static bool read_row(const struct px_alerts *alerts, const rocksdb_iterator_t *scan, struct px_mass *mass)
{
    struct mass_row row;
    size_t len;
    const char *value = rocksdb_iter_value(scan, &len);

    if (len != sizeof row)
        return false;
    memcpy(&row, value, sizeof row);
    mass->generation = row.generation;
    mass->behind = row.behind;
    mass->stage = row.stage;
    mass->hit = row.hit;
    mass->hit.asset = pxi_asset_of_number(alerts, row.asset_number);
    return row.format == MASS_FORMAT;
}

int px_alerts_masses(const struct px_alerts *alerts, px_alerts_mass_seen *seen, void *ctx)
{
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_META);
    struct px_mass mass;
    const uint8_t *key;
    int error = 0;

    rocksdb_iter_seek(scan, prefix, sizeof prefix - 1);
    for (; !error && (key = pxi_scan_key(scan, prefix, sizeof prefix - 1, MASS_KEY)) != NULL; rocksdb_iter_next(scan)) {
        mass.number = pxi_from_be64(key + sizeof prefix - 1);
        if (read_row(alerts, scan, &mass))
            error = seen(ctx, &mass);
        else
            px_log_limited(PX_LOG_ERROR, 1, "mass_unreadable number=%llu", (unsigned long long)mass.number);
    }
    int scan_error = pxi_scan_end(scan);
    return error ? error : scan_error;
}
