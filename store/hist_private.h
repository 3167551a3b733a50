/*
 * Inside store/hist*.c, open.c, record.c, codec.c, levels.c and candle_walk.c: keys, values and the open database. All
 * rows of history are written once: only `meta` changes.
 *
 *   ticks     day, asset, time, sequence of the first       -> a block (store/block.h)
 *   aside     day, asset, time, sequence                    -> a block of one: quarantined and late trades
 *   journal   number                                        -> the trades of one batch that are in open blocks
 *   candles   level, month, asset, start of the first       -> a row of candles (store/candles.h)
 *             level | FRESH, 0, asset, start of the first   -> a fresh row, mostly of one, until its row of many is full
 *   imported  as ticks                                      -> blocks that did not come through the feed
 *   meta      names, checkpoint, the last trade of an asset
 */
#pragma once

#include <pthread.h>

#include "store/block.h"
#include "store/bytes_private.h"
#include "store/candles.h"
#include "store/db_private.h"
#include "store/hist.h"

enum {
    PXI_HIST_DEFAULT,
    PXI_HIST_TICKS,
    PXI_HIST_ASIDE,
    PXI_HIST_JOURNAL,
    PXI_HIST_CANDLES,
    PXI_HIST_META,
    PXI_HIST_IMPORTED,
    PXI_HIST_FAMILIES
};

/* ---- keys ---- */

#define PXI_TICK_KEY    22 /* day 2, asset 4, time 8, sequence 8; all big-endian, times with their sign bit turned */
#define PXI_CANDLE_KEY  15 /* level 1, month 2, asset 4, start 8 */
#define PXI_JOURNAL_KEY 8
#define PXI_FRESH       0x80
#define PXI_MONTH_DAYS  32

void pxi_be32(uint8_t *to, uint32_t value);
void pxi_be64(uint8_t *to, uint64_t value);
uint32_t pxi_from_be32(const uint8_t *at);
uint64_t pxi_from_be64(const uint8_t *at);
void pxi_be_time(uint8_t *to, int64_t time_ns);
int64_t pxi_from_be_time(const uint8_t *at);

/* 0 .. 65535 from the epoch on; what lies outside counts as the first or the last. */
uint16_t pxi_day_of(int64_t time_ns);

/* Where rows of one asset are: in buckets of `days`, so that old buckets go away as whole files. */
struct pxi_place {
    unsigned family, days; /* 0: one bucket for all time */
    int level;             /* first byte of the key; -1: it has none */
    size_t key_len;
};

extern const struct pxi_place pxi_ticks_place, pxi_aside_place, pxi_imported_place;
struct pxi_place pxi_candles_place(unsigned level, bool fresh);
void pxi_place_key(const struct pxi_place *place, uint32_t stored, int64_t time_ns, uint64_t sequence, uint8_t *key);
/* The least key of a bucket, for all assets. */
void pxi_place_bucket(const struct pxi_place *place, uint32_t bucket, uint8_t *key);

/* The rows of one asset in a place, over all its buckets. */
struct pxi_rows {
    struct pxi_place place;
    uint32_t stored;
    rocksdb_iterator_t *scan;
};

enum pxi_seek {
    PXI_SEEK_FROM,     /* the first row at or after */
    PXI_SEEK_COVERING, /* the last row at or before if it is in the same bucket, else the first after */
    PXI_SEEK_UP_TO     /* the last row at or before */
};

/* The key that the rows then stand on, or NULL: none. */
const uint8_t *pxi_rows_seek(struct pxi_rows *rows, int64_t time_ns, uint64_t sequence, enum pxi_seek how);
const uint8_t *pxi_rows_step(struct pxi_rows *rows, bool backward);
int64_t pxi_rows_time(const struct pxi_rows *rows, const uint8_t *key);

/* ---- records: record.c ---- */

#define PXI_RECORD_MAX (1 + 9 * PXI_VARINT_MAX)

/* Writes `trade` as it differs from `before`; at most PXI_RECORD_MAX bytes. Reads the next one over the one before it.
 */
uint8_t *pxi_record_put(uint8_t *to, const struct px_trade *before, const struct px_trade *trade);
void pxi_record_take(struct pxi_bytes *from, struct px_trade *trade);

/* ---- open blocks: open.c ---- */

struct pxi_open {
    uint8_t *bytes, *old; /* records; `old` are those of a block that the batch under way seals, still shown */
    uint32_t size, len, shown, old_len;
    uint16_t count, limit; /* trades in `bytes`; sealed at so many */
    bool known;            /* replay: its first trade has been met */
    bool bounded, touched; /* bound_* are known; the batch under way has trades for it */
    int64_t bound_ns;      /* last trade of the newest sealed block: what is not after it goes aside */
    uint64_t bound_sequence;
    uint64_t journal;         /* the row with its first trade */
    px_mono since;            /* its first trade */
    struct px_trade previous; /* the last record, that the next one is told from */
};

/* ---- candles: levels.c ---- */

enum { PXI_LEVELS = 4 };

struct pxi_level {
    uint32_t width_s, span_s; /* of a candle, of a row */
    unsigned days;            /* of a bucket */
};
extern const struct pxi_level pxi_levels[PXI_LEVELS];

struct pxi_series_level {
    int64_t end_ns;          /* every candle that ends at or before it is a row; INT64_MIN: none is */
    int64_t packed_ns;       /* rows that start before it are of many */
    int64_t fresh_ns;        /* the oldest fresh row; INT64_MAX: there is none */
    int64_t kept_ns;         /* what was before it has been let go */
    struct px_candle at;     /* under way, of candles of the level below; count 0: none */
    struct px_candle before; /* the newest row's; count 0: none */
};

struct pxi_candles {
    bool loaded;
    uint64_t batch; /* that last put one */
    struct pxi_series_level level[PXI_LEVELS];
    /* what readers see, under the lock */
    bool shown; /* the two are known; else ask the minutes */
    int64_t shown_end_ns[PXI_LEVELS], shown_fresh_ns[PXI_LEVELS];
    struct px_candle open[3]; /* open minutes, not in the database */
    unsigned opens;
};

/* ---- the whole ---- */

struct px_hist {
    struct pxi_db db;
    const struct px_names *names;
    uint32_t *stored; /* of the configuration's assets */
    uint32_t assets;
    uint32_t stored_assets;                  /* that there have ever been; the two arrays below are as long */
    uint16_t venue_stored[PX_VENUES_MAX];    /* of the configuration's venues */
    uint16_t venue_today[PX_VENUES_MAX * 8]; /* of stored venues; PX_VENUE_NONE: no longer configured */

    pthread_mutex_t lock; /* what readers see of `open` and `candles`; never held over the disk */
    struct pxi_open *open;
    struct pxi_candles *candles;
    uint64_t batch;    /* counts commits */
    uint32_t *touched; /* stored assets that the batch under way has changed, each once */
    uint32_t touched_count;
    uint8_t *journal; /* the row of the batch under way */
    size_t journal_len;
    uint64_t journal_next, journal_trimmed;          /* rows */
    uint32_t journal_asset;                          /* the asset named last in the row */
    int64_t newest_ns;                               /* newest counted trade of all */
    uint32_t ticks_from_bucket, candles_from_bucket; /* what retention has left */
    bool failed;                                     /* the batch under way could not be made whole */
    uint64_t damaged;                                /* rows that could not be read */
};

static inline bool pxi_trade_counts(const struct px_trade *trade)
{
    return !(trade->flags & (PX_TICK_QUARANTINED | PX_TRADE_LATE));
}

unsigned pxi_spread(uint32_t stored, unsigned n); /* 0 .. n-1, for assets that lie close far apart */

/* A row that could not be read: counted, told at a limited rate, and passed over. Any thread. */
void pxi_hist_damaged(const struct px_hist *hist, const char *what, uint32_t stored, int64_t time_ns);

int pxi_open_init(struct px_hist *hist); /* replays the journal */
void pxi_open_fini(struct px_hist *hist);
void pxi_hist_touch(struct px_hist *hist, uint32_t stored); /* the batch under way changes what is shown of it */
void pxi_open_put(struct px_hist *hist, uint32_t stored, const struct px_trade *trade);
void pxi_open_seal(struct px_hist *hist, uint32_t stored);
void pxi_open_end_row(struct px_hist *hist); /* the journal's, into the batch */
void pxi_open_show(struct px_hist *hist);    /* after the commit */

/* What readers see of an open block, in order; at most PX_BLOCK_TRADES. Any thread. */
int pxi_open_copy(const struct px_hist *hist, uint32_t stored, struct px_trade *trades, unsigned *countp);

int pxi_candles_load(struct px_hist *hist, uint32_t stored); /* 1: has been; 0: was already */
void pxi_candles_put(struct px_hist *hist, uint32_t stored, const struct px_candle *minute);
/* Many at once, newer than all that there are, in a batch that has had none of this asset (PX_E_AGAIN). Overwrites them. */
int pxi_candles_append(struct px_hist *hist, uint32_t stored, struct px_candle *minutes, unsigned n);
int pxi_candles_pack(struct px_hist *hist, uint32_t stored); /* how many rows of many */
int pxi_candles_retain(struct px_hist *hist, uint32_t stored); /* of how many levels something was let go */

/* ---- walks: over trades (hist_ticks.c) and over candles (candle_walk.c) of one asset ---- */

struct pxi_trades;
int pxi_trades_open(const struct px_hist *hist, uint32_t stored, int64_t time_ns, uint64_t sequence, bool backward,
                    struct pxi_trades **walkp);
int pxi_trades_next(struct pxi_trades *walk, struct px_trade *tradep); /* PX_E_EMPTY */
int pxi_trades_close(struct pxi_trades **walkp);                       /* PX_E_IO if the disk failed on the way */

struct pxi_walk;
/* The coarsest level as far as it reaches, then the next finer one, down to `finest`; then the open minutes that begin
 * before opens_before_ns. */
int pxi_walk_open(const struct px_hist *hist, uint32_t stored, unsigned coarsest, unsigned finest,
                  int64_t opens_before_ns, struct pxi_walk **walkp);
int64_t pxi_walk_closed(const struct pxi_walk *walk); /* minutes that begin before it are rows, as far as there are any */
void pxi_walk_seek(struct pxi_walk *walk, int64_t start_ns, bool backward); /* backward: starts at or before */
int pxi_walk_next(struct pxi_walk *walk, struct px_candle *candlep, int64_t *end_nsp); /* PX_E_EMPTY */
int pxi_walk_close(struct pxi_walk **walkp);

/* Where a candle query goes; hist_read.c. */
struct pxi_query {
    uint32_t interval_s, limit;
    int64_t width_ns, first_ns, last_ns, final_ns; /* bounds of starts: first <= start < last */
    int64_t opens_before_ns;                       /* minutes that are not final are left out from here on */
    bool more;
};
int pxi_fine_candles(const struct px_hist *hist, uint32_t stored, struct pxi_query *query, bool newest,
                     struct px_candle *candles, struct px_page *pagep, int64_t *priorp);
