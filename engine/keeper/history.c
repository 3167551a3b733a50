/* The tick ring into history: trades, final minutes, and the ring position in one batch. */
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "engine/keeper/keeper_private.h"

#define FLUSH_NS    PX_NS_PER_S
#define FLUSH_SLICE 256
#define TRIM_NS     (10 * PX_NS_PER_S)
#define LIVE_NS  (10 * PX_NS_PER_S) /* a trade received this soon after it happened comes from a live feed */
#define FUTURE_NS                                                                                                      \
    (60 * PX_NS_PER_S)    /* a venue's clock may run ahead, but not so far: it would stop the asset's clock */

/* ---- starting from what is on disk ---- */

struct replay {
    struct pxi_history *history;
    px_asset_id asset;
};

static void replay(void *context, const struct px_trade *trade)
{
    const struct replay *to = context;
    struct pxi_series *series = &to->history->series[to->asset];
    struct px_candle closed;

    if ((trade->flags & (PX_TICK_QUARANTINED | PX_TRADE_LATE)) || !px_minutes_takes(&series->minutes, trade->time_ns))
        return;
    px_minutes_advance(&series->minutes, trade->time_ns);
    while (px_minutes_close(&series->minutes, &closed))
        px_hist_put_candle(to->history->hist, to->asset, &closed);
    px_minutes_add(&series->minutes, trade->time_ns, trade->price, trade->size);
    series->last.price = trade->price;
    series->last.time_ns = trade->time_ns;
    series->last.recv_ns = trade->recv_ns;
    series->known = true;
}

static void show_open(struct pxi_history *history, px_asset_id asset)
{
    const struct px_minutes *minutes = &history->series[asset].minutes;
    struct px_candle candles[PX_COUNT_OF(minutes->open)];

    for (unsigned i = 0; i < minutes->opens; i++)
        candles[i] = px_minutes_look(minutes, i);
    px_hist_show_open(history->hist, asset, candles, minutes->opens);
}

/*
 * The stored trades are the truth and rows of open minutes are derived from them: what counts for the open minutes is
 * added up again. The newest final row says from where on.
 */
static int restore(struct pxi_history *history, px_asset_id asset)
{
    struct pxi_series *series = &history->series[asset];
    struct px_minutes *minutes = &series->minutes;
    struct replay to = {history, asset};
    int error = px_hist_last(history->hist, asset, &series->last);

    px_minutes_init(minutes);
    series->known = error == 0;
    if (error && error != PX_E_NOT_FOUND)
        return error;
    error = px_hist_minute_before(history->hist, asset, INT64_MAX, &minutes->before);
    if (error == 0) {
        minutes->clock_ns = minutes->before.last_ns;
        minutes->final_ns = minutes->before.start_ns + PX_MINUTE_NS;
    } else if (error == PX_E_NOT_FOUND) {
        minutes->before.count = 0;
    } else {
        return error;
    }
    error = px_hist_each_trade(history->hist, asset, PX_MAX(minutes->final_ns, -PX_MINUTE_NS), INT64_MAX, replay, &to);
    if (series->known)
        px_minutes_finish(minutes, series->last.final_ns);
    history->final_ns[asset] = minutes->final_ns;
    series->dirty = minutes->opens > 0;
    show_open(history, asset);
    return error;
}

/* False: a keeper of this region has stored some of its ticks already. */
static bool find_position(struct pxi_keeper *keeper)
{
    struct pxi_history *history = &keeper->history;
    const struct px_ring *ring = keeper->shm->ticks;
    uint64_t generation, position;
    bool fresh = true;

    history->generation = keeper->heritage->generation;
    history->position = px_ring_oldest(ring);
    if (px_hist_checkpoint(history->hist, &generation, &position) == 0 && generation == history->generation &&
        position <= px_ring_tail(ring)) {
        history->position = position;
        fresh = false;
    }
    history->readable = history->position;
    px_ring_report(keeper->shm->ticks_yard, keeper->heritage->slot,
                   history->position); /* ingest waits for those behind */
    px_log(PX_LOG_INFO, "history_open generation=%llu position=%llu tail=%llu", (unsigned long long)history->generation,
           (unsigned long long)history->position, (unsigned long long)px_ring_tail(ring));
    return fresh;
}

/* The day and the minute that the last run ended in, for an evaluator that has seen nothing yet. Open minutes have been flushed. */
static int take_seeds(struct pxi_history *history, px_asset_id asset)
{
    struct pxi_series *series = &history->series[asset];
    const struct px_minutes *minutes = &series->minutes;
    struct px_range range = {.end_ns = PX_TIME_NONE, .limit = 1};
    struct px_page page;
    int64_t prior;

    if (!series->known)
        return 0;
    range.start_ns = px_candle_start(series->last.time_ns, 86400);
    int error = px_hist_candles(history->hist, asset, 86400, true, minutes->final_ns, &range, &series->seed_day, &page,
                                &prior);
    if (error)
        return error;
    if (page.count == 0)
        series->seed_day.count = 0;
    series->seed_minute = minutes->opens > 0 ? minutes->open[minutes->opens - 1] : minutes->before;
    series->seed_price = series->last.price;
    series->seeds = true;
    return 0;
}

int pxi_history_init(struct pxi_keeper *keeper)
{
    const struct px_config *config = keeper->heritage->config;
    struct pxi_history *history = &keeper->history;
    int error = px_hist_open(config->data, keeper->names, &history->hist);

    if (error)
        return error;
    history->assets = config->asset_count;
    history->series = calloc(history->assets + 1, sizeof *history->series);
    history->final_ns = calloc(history->assets + 1, sizeof *history->final_ns);
    if (!history->series || !history->final_ns)
        return PX_E_MEMORY;
    for (px_asset_id asset = 0; asset < history->assets && !error; asset++) {
        error = restore(history, asset);
        px_heritage_beat(keeper->heritage);
    }
    if (error)
        return error;
    if (find_position(keeper)) {
        error = pxi_history_flush(keeper, true);
        for (px_asset_id asset = 0; asset < history->assets && !error; asset++) {
            error = take_seeds(history, asset);
            px_heritage_beat(keeper->heritage);
        }
    }
    history->flushed = px_mono_now();
    return error;
}

void pxi_history_fini(struct pxi_keeper *keeper)
{
    px_hist_close(&keeper->history.hist);
    free(keeper->history.series);
    free(keeper->history.final_ns);
    keeper->history.series = NULL;
    keeper->history.final_ns = NULL;
}

/* ---- the batch ---- */

/* `position` is the first one that is not in the batch. */
static int commit(struct pxi_keeper *keeper, uint64_t position)
{
    struct pxi_history *history = &keeper->history;

    px_hist_put_checkpoint(history->hist, history->generation, position);
    pxi_crash_point("hist-before-commit");
    int error = px_hist_commit(history->hist);
    if (error)
        return error;
    pxi_crash_point("hist-after-commit");
    __atomic_fetch_add(&history->committed, 1, __ATOMIC_RELEASE); /* pairs with the syncing thread */
    return 0;
}

static void append(void *context, const struct px_trade *trade)
{
    if (!(trade->flags & (PX_TICK_QUARANTINED | PX_TRADE_LATE)))
        px_minutes_append(context, trade->time_ns, trade->price, trade->size);
}

/* Makes the open minutes again from the stored trades, which are all those below `position`. */
static int rebuild(struct pxi_keeper *keeper, px_asset_id asset, uint64_t position)
{
    struct px_minutes *minutes = &keeper->history.series[asset].minutes;
    int error = commit(keeper, position);

    if (error)
        return error;
    int64_t from_ns = px_minutes_rebuild(minutes);
    return px_hist_each_trade(keeper->history.hist, asset, from_ns, INT64_MAX, append, minutes);
}

static int close_minutes(struct pxi_keeper *keeper, px_asset_id asset, uint64_t position)
{
    struct pxi_series *series = &keeper->history.series[asset];
    struct px_candle closed;

    if (!px_minutes_closes(&series->minutes))
        return 0;
    int error = px_minutes_stale(&series->minutes) ? rebuild(keeper, asset, position) : 0;
    while (!error && px_minutes_close(&series->minutes, &closed)) {
        px_hist_put_candle(keeper->history.hist, asset, &closed);
        px_stat_add(keeper->stats, PX_STAT_KEEP_CANDLES, 1);
        series->dirty = true;
    }
    return error;
}

static void put_trade(struct pxi_keeper *keeper, const struct px_tick *tick, uint64_t position, uint16_t flags)
{
    struct px_trade trade = {.time_ns = tick->time_ns,
                             .recv_ns = tick->recv_ns,
                             .sequence = px_trade_sequence(keeper->history.generation, tick, position),
                             .price = tick->price,
                             .size = tick->size,
                             .trade_id = tick->trade_id,
                             .sseq = tick->sseq,
                             .venue = tick->venue,
                             .flags = flags};

    px_hist_put_trade(keeper->history.hist, tick->asset, &trade);
    px_stat_add(keeper->stats, PX_STAT_KEEP_TICKS, 1);
}

static int take_trade(struct pxi_keeper *keeper, const struct px_tick *tick, uint64_t position)
{
    struct pxi_series *series = &keeper->history.series[tick->asset];
    int64_t time_ns = tick->time_ns;

    if (tick->flags & PX_TICK_QUARANTINED) {
        put_trade(keeper, tick, position, tick->flags);
        return 0;
    }
    if (!px_minutes_takes(&series->minutes, time_ns) || time_ns > tick->recv_ns + FUTURE_NS) {
        put_trade(keeper, tick, position, tick->flags | PX_TRADE_LATE);
        return 0;
    }
    px_minutes_advance(&series->minutes, time_ns);
    int error = close_minutes(keeper, tick->asset, position);
    if (error)
        return error;
    put_trade(keeper, tick, position, tick->flags);
    px_minutes_add(&series->minutes, time_ns, tick->price, tick->size);
    /* Readers join what is shown to the open minute in shared memory: between them no minute may be missing. */
    if (series->minutes.opens == 2 && series->minutes.open[1].count == 1)
        show_open(&keeper->history, tick->asset);
    series->dirty = true;
    if (!series->known || time_ns >= series->last.time_ns)
        series->last = (struct px_hist_last){tick->price, time_ns, tick->recv_ns, series->last.final_ns};
    series->known = true;
    return 0;
}

static int take_batch(struct pxi_keeper *keeper, uint64_t count)
{
    struct pxi_history *history = &keeper->history;
    bool no_room = keeper->tasks.space == PX_SPACE_NONE;
    unsigned trades = 0;
    int error = 0;

    for (uint64_t i = 0; i < count && !error; i++) {
        const struct px_tick *tick = &history->tick[i];

        if ((tick->flags & PX_TICK_QUOTE) || tick->asset >= history->assets)
            continue;
        if (no_room) {
            px_stat_add(keeper->stats, PX_STAT_KEEP_LOST, 1);
            px_log_limited(PX_LOG_ERROR, 1, "ticks_not_stored reason=disk_full");
            continue;
        }
        error = take_trade(keeper, tick, history->position + i);
        trades++;
    }
    return error || trades == 0 ? error : commit(keeper, history->position + count);
}

/* What was before can be read, or is lost for good. */
static void moved(struct pxi_keeper *keeper, uint64_t count)
{
    struct pxi_history *history = &keeper->history;

    history->position += count;
    __atomic_store_n(&history->readable, history->position, __ATOMIC_RELEASE);
    px_ring_report(keeper->shm->ticks_yard, keeper->heritage->slot, history->position);
}

int pxi_history_turn(struct pxi_keeper *keeper)
{
    struct pxi_history *history = &keeper->history;
    uint64_t count;
    int result = px_ring_read(keeper->shm->ticks, history->position, history->tick, PXI_TICK_BATCH, &count);

    if (result == PX_E_OVERRUN) {
        px_stat_add(keeper->stats, PX_STAT_KEEP_LOST, count);
        px_log_limited(PX_LOG_WARN, 1, "overrun lost=%llu", (unsigned long long)count);
        moved(keeper, count);
        return 1;
    }
    if (count == 0)
        return 0;
    result = take_batch(keeper, count);
    if (result)
        return result;
    moved(keeper, count);
    return 1;
}

int pxi_history_imported(struct pxi_keeper *keeper, px_asset_id asset, int64_t newest_ns)
{
    struct pxi_history *history = &keeper->history;
    struct px_minutes *minutes = &history->series[asset].minutes;
    int error = commit(keeper, history->position);
    int tended = error ? error : px_hist_tend(history->hist, asset);

    if (tended < 0)
        return tended;
    if (tended > 0)
        error = commit(keeper, history->position);
    if (error || newest_ns <= minutes->final_ns)
        return error;
    error = px_hist_minute_before(history->hist, asset, INT64_MAX, &minutes->before);
    minutes->clock_ns = PX_MAX(minutes->clock_ns, minutes->before.last_ns);
    px_minutes_finish(minutes, newest_ns);
    __atomic_store_n(&history->final_ns[asset], minutes->final_ns, __ATOMIC_RELEASE);
    return error == PX_E_NOT_FOUND ? 0 : error;
}

/* ---- once a second: what readers may see of open minutes, and minutes that end in silence ---- */

static int flush_series(struct pxi_keeper *keeper, px_asset_id asset, int64_t quiet_ns, bool *anyp)
{
    struct pxi_series *series = &keeper->history.series[asset];
    uint64_t position = keeper->history.position;
    int error = 0;

    if (series->known && quiet_ns > series->minutes.final_ns && series->last.recv_ns - series->last.time_ns < LIVE_NS)
        px_minutes_finish(&series->minutes, quiet_ns);
    if (px_minutes_closes(&series->minutes))
        error = close_minutes(keeper, asset, position);
    if (!series->dirty || error)
        return error;
    *anyp = true;
    if (px_minutes_stale(&series->minutes))
        error = rebuild(keeper, asset, position);
    show_open(&keeper->history, asset);
    if (series->last.final_ns != series->minutes.final_ns) { /* trades after it are read again */
        series->last.final_ns = series->minutes.final_ns;
        px_hist_put_last(keeper->history.hist, asset, &series->last);
    }
    series->dirty = false;
    return error;
}

/* What is final is told to the server thread only after its rows can be read. */
static void publish_final(struct pxi_history *history, px_asset_id from, px_asset_id to)
{
    for (px_asset_id asset = from; asset < to; asset++)
        __atomic_store_n(&history->final_ns[asset], history->series[asset].minutes.final_ns, __ATOMIC_RELEASE);
}

/* What waits for nobody: old blocks, rows of many candles. First, since it reads rows that have been committed. */
static int tend_range(struct pxi_history *history, px_asset_id from, px_asset_id to, bool *anyp)
{
    int result = 0;

    for (px_asset_id asset = from; asset < to && result >= 0; asset++) {
        result = px_hist_tend(history->hist, asset);
        *anyp |= result > 0;
    }
    return result < 0 ? result : 0;
}

static int flush_range(struct pxi_keeper *keeper, px_asset_id from, px_asset_id to)
{
    struct pxi_history *history = &keeper->history;
    bool caught_up = px_ring_tail(keeper->shm->ticks) == history->position;
    int64_t quiet_ns = caught_up ? px_candle_start(px_wall_now() - PX_LATE_NS, 60) : PX_MINUTES_NONE;
    bool any = false;
    int error = tend_range(history, from, to, &any);

    for (px_asset_id asset = from; asset < to && !error; asset++)
        error = flush_series(keeper, asset, quiet_ns, &any);
    if (!error && any)
        error = commit(keeper, history->position);
    if (!error)
        publish_final(history, from, to);
    return error;
}

/* The journal behind the open blocks, and what is older than history is kept. */
static int let_go(struct pxi_keeper *keeper)
{
    struct pxi_history *history = &keeper->history;
    int trimmed = px_hist_trim(history->hist), retained = trimmed < 0 ? trimmed : 0;

    if (trimmed >= 0)
        retained = px_hist_retain(history->hist, px_wall_now());
    px_stat_set(keeper->stats, PX_STAT_HIST_DAMAGED, px_hist_damages(history->hist));
    pxi_crash_point("hist-trimming");
    if (retained < 0)
        return retained;
    return trimmed > 0 || retained > 0 ? commit(keeper, history->position) : 0;
}

/*
 * Every asset once in FLUSH_NS, a slice at a turn of the loop: all of them at once would keep fires waiting for tens of
 * milliseconds.
 */
int pxi_history_flush(struct pxi_keeper *keeper, bool everything)
{
    struct pxi_history *history = &keeper->history;
    px_mono now = px_mono_now();
    int64_t elapsed_ns = PX_MIN(px_mono_since(now, history->flushed), FLUSH_NS);
    px_asset_id share = (px_asset_id)((int64_t)history->assets * elapsed_ns / FLUSH_NS), from = history->flush_at;

    if (keeper->tasks.space == PX_SPACE_NONE)
        return 0;
    if (px_mono_since(now, history->trimmed) > TRIM_NS) {
        int error = let_go(keeper);

        history->trimmed = now;
        if (error)
            return error;
    }
    if (everything)
        return flush_range(keeper, 0, history->assets);
    if (share == 0)
        return 0;
    history->flushed = now;
    share = PX_MIN(PX_MIN(share, FLUSH_SLICE), history->assets - from);
    history->flush_at = (from + share) % history->assets;
    return flush_range(keeper, from, from + share);
}
