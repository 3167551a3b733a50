/*
 * History: one row per trade, one row per asset and minute, and how far the tick ring has been read. Everything of one
 * turn goes into one atomic batch, so that after a crash the rows and the checkpoint agree and nothing is counted
 * twice.
 *
 *   ticks     stored asset, time, sequence   ->  trade            all big-endian, so that a range is a run of keys
 *   candles   stored asset, interval, start  ->  candle
 *   meta      "checkpoint", "asset/<symbol>/<decimals>/<size decimals>", "last/<stored asset>", "venue/<name>"
 *
 * Assets and venues have numbers of their own in here, given at first sight and kept for ever: the configuration's
 * order may change. An asset whose decimals change is another asset. Keeper only; what writes is for its main thread
 * alone, what reads is for any thread.
 */
#pragma once

#include "store/names.h"
#include "store/reader.h"

struct px_hist; /* opaque */

#define PX_TRADE_LATE 0x4000 /* in px_trade.flags: came after its minute was final, and is in no candle */

/* Opens or makes <data>/hist and numbers all assets and venues of the configuration. PX_E_IO, PX_E_MEMORY,
 * PX_E_TOO_LARGE. May take a second after a crash. */
int px_hist_open(const char *data, const struct px_names *names, struct px_hist **histp);
void px_hist_close(struct px_hist **histp); /* syncs; nobody may read any more */

/* ---- the batch under way; main thread ---- */

struct px_hist_last { /* of an asset, for seeds and for telling a live feed from a replay */
    int64_t price, time_ns, recv_ns;
    int64_t final_ns; /* every minute before it is final */
};

void px_hist_put_trade(struct px_hist *hist, px_asset_id asset, const struct px_trade *trade);
void px_hist_put_candle(struct px_hist *hist, px_asset_id asset, const struct px_candle *minute);
void px_hist_put_last(struct px_hist *hist, px_asset_id asset, const struct px_hist_last *last);
void px_hist_put_checkpoint(struct px_hist *hist, uint64_t generation, uint64_t position);

/* Writes the batch; not synced. PX_E_IO: the outcome is unknown and the process should end. */
int px_hist_commit(struct px_hist *hist);

/* Makes all commits so far survive a power cut. Any thread; blocks on the disk. */
int px_hist_sync(struct px_hist *hist);

/* ---- what a successor starts from ---- */

int px_hist_checkpoint(const struct px_hist *hist, uint64_t *generationp, uint64_t *positionp); /* PX_E_NOT_FOUND */
int px_hist_last(const struct px_hist *hist, px_asset_id asset, struct px_hist_last *lastp);    /* PX_E_NOT_FOUND */

/* The newest minute whose start is before `before_ns`; with `final` the newest final one. PX_E_NOT_FOUND. */
int px_hist_minute_before(const struct px_hist *hist, px_asset_id asset, int64_t before_ns, bool final,
                          struct px_candle *minutep);

/* Calls `each` for every trade in [start_ns, end_ns) in order of time and arrival, quarantined and late ones too. */
typedef void px_hist_each(void *context, const struct px_trade *trade);
int px_hist_each_trade(const struct px_hist *hist, px_asset_id asset, int64_t start_ns, int64_t end_ns,
                       px_hist_each *each, void *context);

/* ---- queries, see store/reader.h; `final_ns`: every minute before it is final ---- */

int px_hist_candles(const struct px_hist *hist, px_asset_id asset, uint32_t interval_s, bool partial, int64_t final_ns,
                    const struct px_range *range, struct px_candle *candles, struct px_page *pagep, int64_t *priorp);
int px_hist_ticks(const struct px_hist *hist, px_asset_id asset, bool quarantined, const struct px_range *range,
                  struct px_trade *trades, struct px_page *pagep);
