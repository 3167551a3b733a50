#include "store/hist.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "store/hist_private.h"

#define BUFFER_BYTES (16u << 20)
#define NAME_KEY     96

/* ---- numbers for names ---- */

/* Reads the number under `key`, or takes the next of `counter` and puts both into the batch. */
static int number_of(struct px_hist *hist, const char *key, const char *counter, uint32_t *nextp, uint32_t *numberp)
{
    size_t len;
    int error = pxi_get(&hist->db, PXI_HIST_META, key, strlen(key), numberp, sizeof *numberp, &len);

    if (error != PX_E_NOT_FOUND)
        return error;
    *numberp = (*nextp)++;
    pxi_put(&hist->db, PXI_HIST_META, key, strlen(key), numberp, sizeof *numberp);
    pxi_put(&hist->db, PXI_HIST_META, counter, strlen(counter), nextp, sizeof *nextp);
    return 0;
}

static int read_counter(const struct px_hist *hist, const char *counter, uint32_t *nextp)
{
    size_t len;
    int error = pxi_get(&hist->db, PXI_HIST_META, counter, strlen(counter), nextp, sizeof *nextp, &len);

    if (error == PX_E_NOT_FOUND)
        *nextp = 0;
    return error == PX_E_NOT_FOUND ? 0 : error;
}

static int number_assets(struct px_hist *hist, const struct px_config *config)
{
    char key[NAME_KEY];
    uint32_t next;
    int error = read_counter(hist, "assets", &next);

    for (uint32_t i = 0; i < config->asset_count && !error; i++) {
        const struct px_config_asset *asset = &config->assets[i];

        snprintf(key, sizeof key, "asset/%s/%u/%u", asset->symbol, asset->scale, asset->size_scale);
        error = number_of(hist, key, "assets", &next, &hist->stored[i]);
    }
    return error;
}

static int number_venues(struct px_hist *hist, const struct px_config *config)
{
    char key[NAME_KEY];
    uint32_t next, number = 0;
    int error = read_counter(hist, "venues", &next);

    memset(hist->venue_today, 0xff, sizeof hist->venue_today);
    for (uint32_t i = 0; i < config->venue_count && !error; i++) {
        snprintf(key, sizeof key, "venue/%s", config->venues[i].name);
        error = number_of(hist, key, "venues", &next, &number);
        hist->venue_stored[i] = (uint16_t)number;
        if (number < PX_COUNT_OF(hist->venue_today))
            hist->venue_today[number] = (uint16_t)i;
    }
    return error;
}

int px_hist_open(const char *data, const struct px_names *names, struct px_hist **histp)
{
    static const char *const families[] = {"default", "ticks", "candles", "meta"};
    const struct px_config *config = px_names_config(names);
    struct px_hist *hist = calloc(1, sizeof *hist);
    char path[PXI_PATH_SIZE];

    *histp = NULL;
    if (!hist)
        return PX_E_MEMORY;
    snprintf(path, sizeof path, "%s/hist", data);
    hist->names = names;
    hist->assets = config->asset_count;
    hist->stored = calloc(config->asset_count + 1, sizeof *hist->stored);
    int error = hist->stored ? pxi_db_open(&hist->db, path, families, PXI_HIST_FAMILIES, BUFFER_BYTES) : PX_E_MEMORY;
    if (!error)
        error = number_assets(hist, config);
    if (!error)
        error = number_venues(hist, config);
    if (!error)
        error = pxi_commit(&hist->db, true);
    *histp = hist;
    if (error)
        px_hist_close(histp);
    return error;
}

void px_hist_close(struct px_hist **histp)
{
    if (!*histp)
        return;
    if ((*histp)->db.db)
        pxi_db_sync(&(*histp)->db);
    pxi_db_close(&(*histp)->db);
    free((*histp)->stored);
    free(*histp);
    *histp = NULL;
}

/* ---- writing ---- */

static uint32_t stored_asset(const struct px_hist *hist, px_asset_id asset)
{
    PX_CHECK(asset < hist->assets);
    return hist->stored[asset];
}

void px_hist_put_trade(struct px_hist *hist, px_asset_id asset, const struct px_trade *trade)
{
    uint8_t key[PXI_TICK_KEY], value[PXI_TRADE_MAX];
    struct px_trade durable = *trade;

    durable.venue = trade->venue < PX_VENUES_MAX ? hist->venue_stored[trade->venue] : PX_VENUE_NONE;
    pxi_tick_key(key, stored_asset(hist, asset), trade->time_ns, trade->sequence);
    pxi_put(&hist->db, PXI_HIST_TICKS, key, sizeof key, value, pxi_trade_encode(&durable, value));
}

void px_hist_put_candle(struct px_hist *hist, px_asset_id asset, const struct px_candle *minute)
{
    uint8_t key[PXI_CANDLE_KEY], value[PXI_CANDLE_BYTES];

    pxi_candle_key(key, stored_asset(hist, asset), minute->start_ns);
    pxi_put(&hist->db, PXI_HIST_CANDLES, key, sizeof key, value, pxi_candle_encode(minute, value));
}

static size_t last_key(const struct px_hist *hist, px_asset_id asset, uint8_t key[16])
{
    memcpy(key, "last/", 5);
    pxi_be32(key + 5, stored_asset(hist, asset));
    return 9;
}

void px_hist_put_last(struct px_hist *hist, px_asset_id asset, const struct px_hist_last *last)
{
    uint8_t key[16];
    size_t len = last_key(hist, asset, key);

    pxi_put(&hist->db, PXI_HIST_META, key, len, last, sizeof *last);
}

void px_hist_put_checkpoint(struct px_hist *hist, uint64_t generation, uint64_t position)
{
    uint64_t value[2] = {generation, position};

    pxi_put(&hist->db, PXI_HIST_META, "checkpoint", 10, value, sizeof value);
}

int px_hist_commit(struct px_hist *hist)
{
    return pxi_commit(&hist->db, false);
}

int px_hist_sync(struct px_hist *hist)
{
    return pxi_db_sync(&hist->db);
}

/* ---- what a successor starts from ---- */

int px_hist_checkpoint(const struct px_hist *hist, uint64_t *generationp, uint64_t *positionp)
{
    uint64_t value[2];
    size_t len;
    int error = pxi_get(&hist->db, PXI_HIST_META, "checkpoint", 10, value, sizeof value, &len);

    if (error)
        return error;
    *generationp = value[0];
    *positionp = value[1];
    return 0;
}

int px_hist_last(const struct px_hist *hist, px_asset_id asset, struct px_hist_last *lastp)
{
    uint8_t key[16];
    size_t len = last_key(hist, asset, key), got;

    return pxi_get(&hist->db, PXI_HIST_META, key, len, lastp, sizeof *lastp, &got);
}

int px_hist_minute_before(const struct px_hist *hist, px_asset_id asset, int64_t before_ns, bool final,
                          struct px_candle *minutep)
{
    uint32_t stored = stored_asset(hist, asset);
    uint8_t key[PXI_CANDLE_KEY];
    rocksdb_iterator_t *scan = pxi_scan(&hist->db, PXI_HIST_CANDLES);
    int result;

    pxi_candle_key(key, stored, before_ns - 1);
    rocksdb_iter_seek_for_prev(scan, (char *)key, sizeof key);
    while ((result = pxi_candle_at(scan, stored, minutep)) == 0 && final && !minutep->final)
        rocksdb_iter_prev(scan);
    int error = pxi_scan_end(scan);
    return error ? error : result == PX_E_EMPTY ? PX_E_NOT_FOUND : result;
}

int px_hist_each_trade(const struct px_hist *hist, px_asset_id asset, int64_t start_ns, int64_t end_ns,
                       px_hist_each *each, void *context)
{
    uint32_t stored = stored_asset(hist, asset);
    uint8_t key[PXI_TICK_KEY];
    struct px_trade trade;
    rocksdb_iterator_t *scan = pxi_scan(&hist->db, PXI_HIST_TICKS);
    int result;

    pxi_tick_key(key, stored, start_ns, 0);
    rocksdb_iter_seek(scan, (char *)key, sizeof key);
    while ((result = pxi_trade_at(hist, scan, stored, &trade)) == 0 && trade.time_ns < end_ns) {
        each(context, &trade);
        rocksdb_iter_next(scan);
    }
    int error = pxi_scan_end(scan);
    return error ? error : result == PX_E_EMPTY ? 0 : result;
}
