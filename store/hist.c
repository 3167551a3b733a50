#include "store/hist.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "store/hist_private.h"

#define NAME_KEY    96
#define JOURNAL_ROW (80 * 1024) /* room for the row under way */
#define MB          (1u << 20)

static const struct pxi_family families[PXI_HIST_FAMILIES] = {
    {"default", PXI_USE_ROWS, 1 * MB, 0},     {"ticks", PXI_USE_BLOCKS, 16 * MB, 6},   {"aside", PXI_USE_BLOCKS, 2 * MB, 0},
    {"journal", PXI_USE_JOURNAL, 16 * MB, 0}, {"candles", PXI_USE_BLOCKS, 16 * MB, 7}, {"meta", PXI_USE_ROWS, 2 * MB, 0},
    {"imported", PXI_USE_BLOCKS, 4 * MB, 0},
};

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

/* A folder that was written with a row for each trade has no journal. Its bytes are kept. */
static int set_aside_old(const char *path)
{
    rocksdb_options_t *options = rocksdb_options_create();
    char *message = NULL, aside[PXI_PATH_SIZE + 8];
    size_t count = 0;
    bool old = true;
    char **names = rocksdb_list_column_families(options, path, &count, &message);

    rocksdb_options_destroy(options);
    for (size_t i = 0; i < count; i++)
        old &= strcmp(names[i], families[PXI_HIST_JOURNAL].name) != 0;
    rocksdb_list_column_families_destroy(names, count); /* an empty one, with a message, where there is no database */
    rocksdb_free(message);
    if (!old || count == 0)
        return 0;
    snprintf(aside, sizeof aside, "%s.old", path);
    px_log(PX_LOG_WARN, "history_set_aside reason=older_layout to=%s", aside);
    return rename(path, aside) == 0 ? 0 : PX_E_IO;
}

static int number_all(struct px_hist *hist, const struct px_config *config)
{
    int error = number_assets(hist, config);

    if (!error)
        error = number_venues(hist, config);
    if (!error)
        error = pxi_commit(&hist->db, true);
    return error ? error : read_counter(hist, "assets", &hist->stored_assets);
}

static int make_room(struct px_hist *hist)
{
    hist->open = calloc(hist->stored_assets + 1, sizeof *hist->open);
    hist->candles = calloc(hist->stored_assets + 1, sizeof *hist->candles);
    hist->touched = calloc(hist->stored_assets + 1, sizeof *hist->touched);
    hist->journal = malloc(JOURNAL_ROW);
    if (!hist->open || !hist->candles || !hist->touched || !hist->journal)
        return PX_E_MEMORY;
    hist->newest_ns = INT64_MIN;
    hist->batch = 1;
    return 0;
}

/* Nobody tends what the configuration does not name. */
static void seal_removed(struct px_hist *hist)
{
    for (uint32_t stored = 0; stored < hist->stored_assets; stored++) {
        bool named = false;

        if (hist->open[stored].count == 0)
            continue;
        for (uint32_t i = 0; i < hist->assets && !named; i++)
            named = hist->stored[i] == stored;
        if (!named)
            pxi_open_seal(hist, stored);
    }
}

static int begin(struct px_hist *hist)
{
    int error = make_room(hist);

    if (!error)
        error = pxi_open_init(hist);
    if (error)
        return error;
    seal_removed(hist);
    return px_hist_commit(hist);
}

int px_hist_open(const char *data, const struct px_names *names, struct px_hist **histp)
{
    const struct px_config *config = px_names_config(names);
    struct px_hist *hist = calloc(1, sizeof *hist);
    char path[PXI_PATH_SIZE];

    *histp = NULL;
    if (!hist)
        return PX_E_MEMORY;
    snprintf(path, sizeof path, "%s/hist", data);
    hist->names = names;
    hist->assets = config->asset_count;
    pthread_mutex_init(&hist->lock, NULL);
    hist->stored = calloc(config->asset_count + 1, sizeof *hist->stored);
    int error = hist->stored ? set_aside_old(path) : PX_E_MEMORY;
    if (!error)
        error = pxi_db_open_families(&hist->db, path, families, PXI_HIST_FAMILIES, PXI_LOG_BYTES);
    if (!error)
        error = number_all(hist, config);
    if (!error)
        error = begin(hist);
    *histp = hist;
    if (error)
        px_hist_close(histp);
    return error;
}

void px_hist_close(struct px_hist **histp)
{
    struct px_hist *hist = *histp;

    if (!hist)
        return;
    if (hist->db.db)
        pxi_db_sync(&hist->db);
    pxi_db_close(&hist->db);
    pxi_open_fini(hist);
    pthread_mutex_destroy(&hist->lock);
    free(hist->candles);
    free(hist->touched);
    free(hist->journal);
    free(hist->stored);
    free(hist);
    *histp = NULL;
}

void pxi_hist_damaged(const struct px_hist *hist, const char *what, uint32_t stored, int64_t time_ns)
{
    __atomic_fetch_add((uint64_t *)&hist->damaged, 1, __ATOMIC_RELAXED);
    px_log_limited(PX_LOG_ERROR, 10, "history_damaged what=%s stored_asset=%u at=%lld", what, stored,
                   (long long)time_ns);
}

uint64_t px_hist_damages(const struct px_hist *hist)
{
    return __atomic_load_n(&hist->damaged, __ATOMIC_RELAXED);
}

/* ---- writing ---- */

static uint32_t stored_asset(const struct px_hist *hist, px_asset_id asset)
{
    PX_CHECK(asset < hist->assets);
    return hist->stored[asset];
}

void px_hist_put_trade(struct px_hist *hist, px_asset_id asset, const struct px_trade *trade)
{
    struct px_trade durable = *trade;

    durable.venue = trade->venue < PX_VENUES_MAX ? hist->venue_stored[trade->venue] : PX_VENUE_NONE;
    durable.spare = 0;
    pxi_open_put(hist, stored_asset(hist, asset), &durable);
}

void px_hist_put_candle(struct px_hist *hist, px_asset_id asset, const struct px_candle *minute)
{
    PX_CHECK(minute->final);
    pxi_candles_put(hist, stored_asset(hist, asset), minute);
}

void px_hist_show_open(struct px_hist *hist, px_asset_id asset, const struct px_candle *minutes, unsigned n)
{
    struct pxi_candles *series = &hist->candles[stored_asset(hist, asset)];

    pthread_mutex_lock(&hist->lock);
    while (n > 0 && series->opens > 0 && series->open[series->opens - 1].start_ns >= minutes[0].start_ns)
        series->opens--;
    for (unsigned i = 0; i < n; i++) {
        if (series->opens == PX_COUNT_OF(series->open))
            memmove(series->open, series->open + 1, --series->opens * sizeof *series->open);
        series->open[series->opens++] = minutes[i];
    }
    pthread_mutex_unlock(&hist->lock);
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
    if (hist->failed)
        return PX_E_IO;
    pxi_open_end_row(hist);
    int error = pxi_commit(&hist->db, false);
    if (error)
        return error;
    hist->batch++;
    pxi_open_show(hist);
    return 0;
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

/* ---- what is let go ---- */

/* Rows of the buckets below `bucket`: whole files at once, and what is left by range. */
static int let_go(struct px_hist *hist, const struct pxi_place *place, uint32_t bucket)
{
    uint8_t from[PXI_TICK_KEY], to[PXI_TICK_KEY];

    pxi_place_bucket(place, 0, from);
    pxi_place_bucket(place, bucket, to);
    int error = pxi_drop_files(&hist->db, place->family, from, to, place->key_len);
    pxi_delete_range(&hist->db, place->family, from, to, place->key_len);
    return error;
}

static uint32_t bucket_before(int64_t newest_ns, uint32_t keep_days, unsigned bucket_days)
{
    uint32_t day = pxi_day_of(newest_ns);

    return keep_days == 0 || day < keep_days ? 0 : (day - keep_days) / bucket_days;
}

int px_hist_retain(struct px_hist *hist, int64_t now_ns)
{
    const struct px_config_history *keep = &px_names_config(hist->names)->history;
    const struct pxi_place minutes = pxi_candles_place(0, false);
    int64_t newest_ns = PX_MIN(now_ns, hist->newest_ns);
    uint32_t ticks = bucket_before(newest_ns, keep->ticks, 1);
    uint32_t candles = bucket_before(newest_ns, keep->candles_1m, minutes.days);
    int error = 0, some = 0;

    if (ticks > hist->ticks_from_bucket) {
        error = let_go(hist, &pxi_ticks_place, ticks);
        error = error ? error : let_go(hist, &pxi_aside_place, ticks);
        error = error ? error : let_go(hist, &pxi_imported_place, ticks);
        hist->ticks_from_bucket = ticks;
        some = 1;
    }
    if (!error && candles > hist->candles_from_bucket) {
        error = let_go(hist, &minutes, candles);
        hist->candles_from_bucket = candles;
        some = 1;
    }
    return error ? error : some;
}
