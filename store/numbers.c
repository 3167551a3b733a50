/*
 * What the index calls an asset: a number that stays while configurations come and go, with the decimals that its levels are written in, and the
 * series that have rows, so that a start need not look for them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "store/alerts_private.h"

struct number {
    uint32_t number, scale;
    uint32_t series, spare; /* bits: those that may have rows. An older engine's row ends before it */
};

#define OLD_NUMBER offsetof(struct number, series)

#define NUMBER_KEY (8 + PX_SYMBOL_SIZE)

static size_t key_of(const struct px_alerts *alerts, px_asset_id asset, char key[NUMBER_KEY])
{
    return (size_t)snprintf(key, NUMBER_KEY, "asset/%s", px_names_config(alerts->names)->assets[asset].symbol);
}

static int assign(struct px_alerts *alerts, px_asset_id asset)
{
    const struct px_config_asset *configured = &px_names_config(alerts->names)->assets[asset];
    struct number found = {alerts->numbers, configured->scale, 0, 0};
    char key[NUMBER_KEY];
    size_t len, key_len = key_of(alerts, asset, key);
    int error = pxi_get(&alerts->db, PXI_ALERTS_META, key, key_len, &found, sizeof found, &len);

    if (error && error != PX_E_NOT_FOUND)
        return error;
    alerts->number[asset] = found.number;
    alerts->series[asset] = found.series;
    alerts->series_unknown |= error == 0 && len == OLD_NUMBER;
    alerts->unindexed[asset] = error == PX_E_NOT_FOUND ? PX_INDEX_MISSING : found.scale != configured->scale ? PX_INDEX_RESCALED : PX_INDEX_FINE;
    if (error == 0 && found.scale != configured->scale)
        px_log(PX_LOG_WARN, "decimals_changed symbol=%s from=%u to=%u", configured->symbol, found.scale, configured->scale);
    alerts->numbers += error == PX_E_NOT_FOUND;
    return 0;
}

int pxi_numbers_open(struct px_alerts *alerts)
{
    uint32_t assets = px_names_config(alerts->names)->asset_count;
    uint64_t numbers;
    int error = pxi_number_read(alerts, "numbers", &numbers);

    alerts->number = calloc(assets + 1, sizeof *alerts->number);
    alerts->unindexed = calloc(assets + 1, sizeof *alerts->unindexed);
    alerts->series = calloc(assets + 1, sizeof *alerts->series);
    if (!alerts->number || !alerts->unindexed || !alerts->series)
        return PX_E_MEMORY;
    alerts->numbers = (uint32_t)numbers;
    for (px_asset_id asset = 0; asset < assets && !error; asset++)
        error = assign(alerts, asset);
    if (error)
        return error;
    alerts->by_number = malloc((alerts->numbers + 1) * sizeof *alerts->by_number);
    if (!alerts->by_number)
        return PX_E_MEMORY;
    for (uint32_t i = 0; i < alerts->numbers; i++)
        alerts->by_number[i] = PX_ASSET_NONE;
    for (px_asset_id asset = 0; asset < assets; asset++)
        alerts->by_number[alerts->number[asset]] = asset;
    return 0;
}

void pxi_numbers_close(struct px_alerts *alerts)
{
    free(alerts->number);
    free(alerts->unindexed);
    free(alerts->series);
    free(alerts->by_number);
}

px_asset_id pxi_asset_of_number(const struct px_alerts *alerts, uint32_t number)
{
    return number < alerts->numbers ? alerts->by_number[number] : PX_ASSET_NONE;
}

enum px_index_state px_alerts_unindexed(const struct px_alerts *alerts, px_asset_id asset)
{
    return alerts->unindexed[asset];
}

static void put_number(struct px_alerts *alerts, px_asset_id asset)
{
    struct number number = {alerts->number[asset], px_names_config(alerts->names)->assets[asset].scale, alerts->series[asset], 0};
    char key[NUMBER_KEY];

    pxi_put(&alerts->db, PXI_ALERTS_META, key, key_of(alerts, asset, key), &number, sizeof number);
    alerts->dirty = true;
}

/* Numbers are put only now: till then the same is found out again. */
void px_alerts_indexed(struct px_alerts *alerts)
{
    uint32_t assets = px_names_config(alerts->names)->asset_count;

    for (px_asset_id asset = 0; asset < assets; asset++) {
        if (alerts->unindexed[asset] == PX_INDEX_FINE)
            continue;
        put_number(alerts, asset);
        alerts->unindexed[asset] = PX_INDEX_FINE;
    }
    pxi_number_put(alerts, "numbers", alerts->numbers);
}

void pxi_numbers_series(struct px_alerts *alerts, px_asset_id asset, unsigned series)
{
    uint32_t bit = UINT32_C(1) << series;

    if (alerts->series[asset] & bit)
        return;
    alerts->series[asset] |= bit;
    if (alerts->unindexed[asset] == PX_INDEX_FINE)
        put_number(alerts, asset);
}
