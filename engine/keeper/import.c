/*
 * History that did not come through the feed: one import at a time, from the server thread to the main thread and back, a day of it
 * at a turn, so that nobody waits for long. What is at or behind the asset's open minutes belongs to the feed.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "engine/keeper/keeper_private.h"

#define DAY_NS (86400 * PX_NS_PER_S)

enum { IDLE, QUEUED, DONE };

static uint32_t state_of(const struct pxi_import *import)
{
    return __atomic_load_n(&import->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct pxi_import *import, uint32_t state)
{
    __atomic_store_n(&import->state, state, __ATOMIC_RELEASE);
}

/* ---- the server thread's side ---- */

static bool ascends(const struct px_wire_request *request, const void *rows, uint32_t count)
{
    const struct px_trade *trades = rows;
    const struct px_candle *candles = rows;

    for (uint32_t i = 1; i < count; i++)
        if (request->interval_s == 0 ? trades[i].time_ns < trades[i - 1].time_ns
                                     : candles[i].start_ns <= candles[i - 1].start_ns)
            return false;
    return true;
}

static bool rows_ok(const struct px_wire_request *request, const void *rows, uint32_t count)
{
    const struct px_candle *candles = rows;
    const int64_t most = INT64_MAX / 4;

    if (!ascends(request, rows, count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        int64_t time_ns = request->interval_s == 0 ? ((const struct px_trade *)rows)[i].time_ns : candles[i].start_ns;

        if (time_ns < 0 || time_ns > most)
            return false;
        if (request->interval_s != 0 &&
            (!candles[i].final || candles[i].count == 0 || px_candle_start(time_ns, request->interval_s) != time_ns))
            return false;
    }
    return true;
}

size_t pxi_import_row_size(const struct px_wire_request *request)
{
    return request->interval_s == 0 ? sizeof(struct px_trade) : sizeof(struct px_candle);
}

int pxi_import_submit(struct pxi_keeper *keeper, const struct px_wire_request *request, void **rowsp, uint32_t count)
{
    struct pxi_import *import = &keeper->import;

    if (state_of(import) != IDLE)
        return PX_E_AGAIN;
    if (request->asset >= keeper->history.assets || count == 0 || count > PX_IMPORT_MAX ||
        !rows_ok(request, *rowsp, count))
        return PX_E_INVALID;
    import->request = *request;
    import->rows = *rowsp;
    *rowsp = NULL;
    import->count = count;
    import->at = 0;
    import->report = (struct px_import_report){.newest_ns = INT64_MIN};
    set_state(import, QUEUED);
    px_wait_wake(&keeper->tasks.news);
    return 0;
}

bool pxi_import_take(struct pxi_keeper *keeper, int *resultp, struct px_import_report *reportp)
{
    struct pxi_import *import = &keeper->import;

    if (state_of(import) != DONE)
        return false;
    *resultp = import->result;
    *reportp = import->report;
    free(import->rows);
    import->rows = NULL;
    set_state(import, IDLE);
    return true;
}

/* ---- the main thread's side ---- */

bool pxi_import_queued(const struct pxi_keeper *keeper)
{
    return state_of(&keeper->import) == QUEUED;
}

static int64_t kept_from(uint32_t days)
{
    return days == 0 ? INT64_MIN : px_candle_start(px_wall_now() - days * DAY_NS, 86400);
}

static struct px_import_bounds bounds_of(const struct pxi_keeper *keeper, px_asset_id asset)
{
    const struct px_config_history *keep = &px_names_config(keeper->names)->history;
    const struct px_minutes *minutes = &keeper->history.series[asset].minutes;
    int64_t quiet_ns = px_candle_start(px_wall_now() - PX_LATE_NS, 60);

    return (struct px_import_bounds){.from_ns = kept_from(keep->candles_1m),
                                     .ticks_ns = kept_from(keep->ticks),
                                     .to_ns = minutes->opens > 0 ? PX_MIN(minutes->open[0].start_ns, quiet_ns) : quiet_ns};
}

static int take_slice(struct pxi_keeper *keeper, unsigned *donep)
{
    struct pxi_import *import = &keeper->import;
    px_asset_id asset = import->request.asset;
    struct px_import_bounds bounds = bounds_of(keeper, asset);
    struct px_trade *trades = (struct px_trade *)import->rows + import->at;
    const struct px_candle *candles = (const struct px_candle *)import->rows + import->at;
    unsigned left = import->count - import->at;

    if (import->request.interval_s == 0)
        return px_hist_import_trades(keeper->history.hist, asset, trades,
                                     px_import_day(&trades->time_ns, sizeof *trades, left), &bounds, &import->report, donep);
    return px_hist_import_candles(keeper->history.hist, asset, import->request.interval_s, candles,
                                  px_import_day(&candles->start_ns, sizeof *candles, left), &bounds, &import->report, donep);
}

static void finish(struct pxi_keeper *keeper, int result)
{
    struct pxi_import *import = &keeper->import;
    uint64_t one = 1;

    import->result = result;
    px_log(PX_LOG_INFO, "imported asset=%u interval=%u rows=%u taken=%llu present=%llu result=\"%s\"", import->request.asset,
           import->request.interval_s, import->count, (unsigned long long)import->report.taken,
           (unsigned long long)import->report.present, px_error_text(result));
    px_stat_add(keeper->stats, PX_STAT_KEEP_IMPORTED, import->report.taken);
    set_state(import, DONE);
    if (write(keeper->tasks.done_fd, &one, sizeof one) < 0)
        px_log_limited(PX_LOG_WARN, 1, "eventfd_failed");
}

int pxi_import_turn(struct pxi_keeper *keeper)
{
    struct pxi_import *import = &keeper->import;
    unsigned done = 0;

    if (state_of(import) != QUEUED)
        return 0;
    if (keeper->tasks.space == PX_SPACE_NONE) {
        finish(keeper, PX_E_DISK);
        return 1;
    }
    int error = take_slice(keeper, &done);
    if (!error)
        error = pxi_history_imported(keeper, import->request.asset, import->report.newest_ns);
    if (error && error != PX_E_INVALID && error != PX_E_MEMORY)
        return error;
    import->at += done;
    if (error || import->at >= import->count)
        finish(keeper, error);
    return 1;
}
