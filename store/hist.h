/*
 * History: trades, candles, and how far the tick ring has been read. Everything of one turn goes into one atomic batch,
 * so that after a crash the rows and the checkpoint agree and nothing is counted twice.
 *
 *   trades    up to 600 of an asset and a day in a block. The block that is open is in memory and in a journal, whose
 *             rows are trimmed once the blocks that they cover are sealed. Quarantined and late trades lie aside, in
 * rows of their own, and so do those that come behind a sealed block; reading brings all together in order candles
 * final minutes, and 5 minutes, hours and days made of them once, in rows of many. Open minutes are derived from
 * trades, and live in memory only
 *
 * A row that was damaged is known by its checksum, told in the log, and costs what is in it, nothing else. Assets and
 * venues have numbers of their own in here, given at first sight and kept for ever: the configuration's order may
 * change. An asset whose decimals change is another asset. Keeper only; what writes is for its main thread alone, what
 * reads is for any thread, and sees what has been committed.
 */
#pragma once

#include "store/names.h"
#include "store/reader.h"

struct px_hist; /* opaque */

/* Opens or makes <data>/hist, numbers all assets and venues of the configuration and brings the open blocks back. A
 * folder of an older layout is set aside as hist.old. PX_E_IO, PX_E_MEMORY, PX_E_TOO_LARGE. May take some seconds after
 * a crash. `names` must outlive it. */
int px_hist_open(const char *data, const struct px_names *names, struct px_hist **histp);
void px_hist_close(struct px_hist **histp); /* syncs; nobody may read any more */

/* ---- the batch under way; main thread ---- */

struct px_hist_last { /* of an asset, for seeds and for telling a live feed from a replay */
    int64_t price, time_ns, recv_ns;
    int64_t final_ns; /* every minute before it is final */
};

void px_hist_put_trade(struct px_hist *hist, px_asset_id asset, const struct px_trade *trade);
/* A final minute; minutes come in order. One that is there already stays as it is. */
void px_hist_put_candle(struct px_hist *hist, px_asset_id asset, const struct px_candle *minute);
void px_hist_put_last(struct px_hist *hist, px_asset_id asset, const struct px_hist_last *last);
void px_hist_put_checkpoint(struct px_hist *hist, uint64_t generation, uint64_t position);

/* Writes the batch; not synced. PX_E_IO: the outcome is unknown and the process should end. */
int px_hist_commit(struct px_hist *hist);

/* Makes all commits so far survive a power cut. Any thread; blocks on the disk. */
int px_hist_sync(struct px_hist *hist);

/* ---- what did not come through the feed; main thread, in a batch of their own ---- */

struct px_import_bounds {
    int64_t from_ns, to_ns; /* minutes that begin before, or candles that end behind, are not taken */
    int64_t ticks_ns;       /* of minutes before it no trades are kept */
};

/* How many of n times, `stride` bytes apart and ascending, are of the first one's UTC day: one call takes one day. */
unsigned px_import_day(const int64_t *time_ns, size_t stride, unsigned n);

/*
 * Takes whole minutes of trades, ascending, of one day, wherever there is no candle yet; adds to *report. Longer candles
 * around them are made again. At most up to where the recorded minutes end, or else beyond that: *donep says how many, and the
 * next call comes after px_hist_commit. Numbers those that it takes anew. PX_E_IO, PX_E_MEMORY.
 */
int px_hist_import_trades(struct px_hist *hist, px_asset_id asset, struct px_trade *trades, unsigned n,
                          const struct px_import_bounds *bounds, struct px_import_report *report, unsigned *donep);

/* The same with `final` candles of a minute, 5 minutes, an hour or a day; the longer ones only before the first recorded
 * minute. PX_E_INVALID: of another width. */
int px_hist_import_candles(struct px_hist *hist, px_asset_id asset, uint32_t interval_s, const struct px_candle *candles,
                           unsigned n, const struct px_import_bounds *bounds, struct px_import_report *report,
                           unsigned *donep);

/* ---- beside the batches; main thread ---- */

/* What readers see of minutes that are not final: at once, and not on disk. At most 2, ascending; older ones stay until
 * their rows can be read. */
void px_hist_show_open(struct px_hist *hist, px_asset_id asset, const struct px_candle *minutes, unsigned n);

/* What has no hurry, once a second an asset, before the batch under way has anything of it: seals a block that has been
 * open for 10 minutes, packs candles into rows of many. > 0: the batch is to be committed. */
int px_hist_tend(struct px_hist *hist, px_asset_id asset);

/* Lets go of the journal behind the oldest open block, with an empty batch, every 10 seconds or so. Likewise. */
int px_hist_trim(struct px_hist *hist);

/* Lets go of what is older than the configuration's history.* says, by whole ranges; looks only when a day has begun.
 * Counted from the newest trade, or now_ns if that is earlier. Likewise. */
int px_hist_retain(struct px_hist *hist, int64_t now_ns);

/* Rows that could not be read so far. Any thread. */
uint64_t px_hist_damages(const struct px_hist *hist);

/* ---- what a successor starts from ---- */

int px_hist_checkpoint(const struct px_hist *hist, uint64_t *generationp, uint64_t *positionp); /* PX_E_NOT_FOUND */
int px_hist_last(const struct px_hist *hist, px_asset_id asset, struct px_hist_last *lastp);    /* PX_E_NOT_FOUND */

/* The newest final minute whose start is before `before_ns`. PX_E_NOT_FOUND. */
int px_hist_minute_before(const struct px_hist *hist, px_asset_id asset, int64_t before_ns, struct px_candle *minutep);

/* Calls `each` for every trade in [start_ns, end_ns) in order of time and arrival, quarantined and late ones too. */
typedef void px_hist_each(void *context, const struct px_trade *trade);
int px_hist_each_trade(const struct px_hist *hist, px_asset_id asset, int64_t start_ns, int64_t end_ns,
                       px_hist_each *each, void *context);

/* ---- queries, see store/reader.h; `final_ns`: every minute before it is final ---- */

/* interval_s is 1 or 5, made of trades, or 60 or a multiple of it. */
int px_hist_candles(const struct px_hist *hist, px_asset_id asset, uint32_t interval_s, bool partial, int64_t final_ns,
                    const struct px_range *range, struct px_candle *candles, struct px_page *pagep, int64_t *priorp);
int px_hist_ticks(const struct px_hist *hist, px_asset_id asset, bool quarantined, const struct px_range *range,
                  struct px_trade *trades, struct px_page *pagep);
