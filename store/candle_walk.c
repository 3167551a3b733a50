/*
 * Candles of one asset in order of time, from the coarsest level that serves to the newest open minute:
 *
 *   | days ...        | hours ... | 5 minutes ... | minutes ... | open |      of each level first rows of many, then
 *              end of days   end of hours    end of 5 minutes                   fresh ones
 *
 * How far a level reaches is read before the view is taken: the view may know more rows, but not fewer, and the level
 * below has the same candles in finer form. It also keeps the walk from stepping off a level's end: behind the fresh
 * rows lie those of other times and assets that have been packed and deleted, thousands of them.
 */
#include <stdlib.h>

#include "base/error.h"
#include "store/hist_private.h"

struct part {
    unsigned level;
    bool fresh, open;
    int64_t from_ns, to_ns; /* of starts */
};

struct pxi_walk {
    const struct px_hist *hist;
    struct pxi_view view;
    struct pxi_rows rows; /* of the part */
    struct part part[2 * PXI_LEVELS + 1];
    unsigned parts;
    bool backward;
    int64_t at_ns; /* the next start is at or behind it */
    unsigned here; /* the part */
    bool standing; /* on a row, which begins at row_ns; it may be damaged and give nothing */
    int64_t row_ns;
    unsigned count, next;
    struct px_candle open[3];
    unsigned opens;
    int64_t closed_ns; /* minutes that begin before it are rows */
    struct px_candle candles[PX_CANDLES_ROW];
};

static void add_parts(struct pxi_walk *walk, unsigned level, int64_t from_ns, int64_t fresh_ns, int64_t to_ns)
{
    walk->part[walk->parts++] = (struct part){level, false, false, from_ns, PX_MIN(fresh_ns, to_ns)};
    walk->part[walk->parts++] = (struct part){level, true, false, PX_MAX(from_ns, fresh_ns), to_ns};
}

/* Not known yet: all of the finest level, wherever its rows are. */
static void add_unknown(struct pxi_walk *walk, unsigned finest)
{
    walk->part[walk->parts++] = (struct part){finest, false, false, INT64_MIN, INT64_MAX};
    walk->part[walk->parts++] = (struct part){finest, true, false, INT64_MIN, INT64_MAX};
}

static void plan(struct pxi_walk *walk, uint32_t stored, unsigned coarsest, unsigned finest, int64_t opens_before_ns)
{
    const struct pxi_candles *series = &walk->hist->candles[stored];
    pthread_mutex_t *lock = (pthread_mutex_t *)&walk->hist->lock;
    int64_t from_ns = INT64_MIN;

    pthread_mutex_lock(lock);
    for (unsigned level = coarsest + 1; series->shown && level-- > finest;) {
        add_parts(walk, level, from_ns, series->shown_fresh_ns[level], series->shown_end_ns[level]);
        from_ns = PX_MAX(from_ns, series->shown_end_ns[level]);
    }
    if (!series->shown)
        add_unknown(walk, finest);
    walk->closed_ns = series->shown ? series->shown_end_ns[0] : INT64_MIN;
    memcpy(walk->open, series->open, sizeof walk->open);
    walk->opens = 0;
    while (walk->opens < series->opens && walk->open[walk->opens].start_ns < opens_before_ns)
        walk->opens++;
    pthread_mutex_unlock(lock);
    if (walk->opens > 0)
        walk->part[walk->parts++] = (struct part){0, false, true, INT64_MIN, INT64_MAX};
}

/* Where the newest minute ends that is in the row. */
static int64_t row_end_ns(struct pxi_walk *walk, const uint8_t *key)
{
    size_t len;
    const char *value = rocksdb_iter_value(walk->rows.scan, &len);
    unsigned count;

    if (px_candles_decode(value, len, PX_MINUTE_NS, walk->candles, &count) != 0 || count == 0)
        return pxi_rows_time(&walk->rows, key) + PX_MINUTE_NS;
    return walk->candles[count - 1].start_ns + PX_MINUTE_NS;
}

/* An open minute may have become a row since it was shown. The newest row is a fresh one. */
static void drop_closed(struct pxi_walk *walk)
{
    const uint8_t *key = NULL;

    walk->rows.place = pxi_candles_place(0, true);
    if (walk->closed_ns == INT64_MIN)
        key = pxi_rows_seek(&walk->rows, INT64_MAX, 0, PXI_SEEK_UP_TO);
    if (key)
        walk->closed_ns = row_end_ns(walk, key);
    while (walk->opens > 0 && walk->open[0].start_ns < walk->closed_ns) {
        memmove(walk->open, walk->open + 1, 2 * sizeof walk->open[0]);
        walk->opens--;
    }
}

int pxi_walk_open(const struct px_hist *hist, uint32_t stored, unsigned coarsest, unsigned finest,
                  int64_t opens_before_ns, struct pxi_walk **walkp)
{
    struct pxi_walk *walk = malloc(sizeof *walk);

    *walkp = walk;
    if (!walk)
        return PX_E_MEMORY;
    walk->hist = hist;
    walk->parts = walk->here = walk->count = walk->next = 0;
    plan(walk, stored, coarsest, finest, opens_before_ns);
    pxi_view_open(&hist->db, &walk->view);
    walk->rows = (struct pxi_rows){.stored = stored, .scan = pxi_view_scan(&hist->db, &walk->view, PXI_HIST_CANDLES)};
    if (opens_before_ns != INT64_MIN)
        drop_closed(walk);
    return 0;
}

int64_t pxi_walk_closed(const struct pxi_walk *walk)
{
    return walk->closed_ns;
}

static int64_t width_ns(const struct part *part)
{
    return pxi_levels[part->level].width_s * PX_NS_PER_S;
}

static void take_row(struct pxi_walk *walk, const uint8_t *key)
{
    size_t len;
    const char *value = rocksdb_iter_value(walk->rows.scan, &len);

    walk->next = 0;
    walk->standing = true;
    walk->row_ns = pxi_rows_time(&walk->rows, key);
    if (px_candles_decode(value, len, width_ns(&walk->part[walk->here]), walk->candles, &walk->count) != 0)
        pxi_hist_damaged(walk->hist, "candles", walk->rows.stored, walk->row_ns);
}

static void begin_part(struct pxi_walk *walk)
{
    const struct part *part = &walk->part[walk->here];

    walk->count = walk->next = 0;
    walk->standing = false;
    if (part->open) {
        memcpy(walk->candles, walk->open, walk->opens * sizeof *walk->open);
        walk->count = walk->opens;
        return;
    }
    if (part->from_ns >= part->to_ns || (walk->backward ? walk->at_ns < part->from_ns : walk->at_ns >= part->to_ns))
        return;
    int64_t at_ns = walk->backward ? PX_MIN(walk->at_ns, part->to_ns - 1) : PX_MAX(walk->at_ns, part->from_ns);
    walk->rows.place = pxi_candles_place(part->level, part->fresh);
    const uint8_t *key =
        pxi_rows_seek(&walk->rows, at_ns, UINT64_MAX, walk->backward ? PXI_SEEK_UP_TO : PXI_SEEK_COVERING);
    if (key)
        take_row(walk, key);
}

void pxi_walk_seek(struct pxi_walk *walk, int64_t start_ns, bool backward)
{
    walk->backward = backward;
    walk->at_ns = start_ns;
    walk->here = backward ? walk->parts - 1 : 0;
    begin_part(walk);
}

/* False: that was the last part. */
static bool next_row(struct pxi_walk *walk)
{
    const struct part *part = &walk->part[walk->here];
    const uint8_t *key = NULL;

    bool ends = walk->backward ? walk->row_ns <= part->from_ns || walk->at_ns < part->from_ns
                               : walk->row_ns >= part->to_ns || walk->at_ns >= part->to_ns;
    if (walk->standing && !ends)
        key = pxi_rows_step(&walk->rows, walk->backward);
    if (key) {
        take_row(walk, key);
        return true;
    }
    if (walk->backward ? walk->here == 0 : walk->here + 1 >= walk->parts)
        return false;
    walk->here = walk->backward ? walk->here - 1 : walk->here + 1;
    begin_part(walk);
    return true;
}

static bool wanted(const struct pxi_walk *walk, const struct px_candle *candle)
{
    const struct part *part = &walk->part[walk->here];

    if (candle->start_ns < part->from_ns || candle->start_ns >= part->to_ns)
        return false;
    return walk->backward ? candle->start_ns <= walk->at_ns : candle->start_ns >= walk->at_ns;
}

int pxi_walk_next(struct pxi_walk *walk, struct px_candle *candlep, int64_t *end_nsp)
{
    for (;;) {
        while (walk->next < walk->count) {
            unsigned index = walk->backward ? walk->count - 1 - walk->next : walk->next;
            const struct px_candle *candle = &walk->candles[index];

            walk->next++;
            if (!wanted(walk, candle))
                continue;
            *candlep = *candle;
            *end_nsp = candle->start_ns + width_ns(&walk->part[walk->here]);
            walk->at_ns = walk->backward ? candle->start_ns - 1 : *end_nsp;
            return 0;
        }
        if (!next_row(walk))
            return PX_E_EMPTY;
    }
}

int pxi_walk_close(struct pxi_walk **walkp)
{
    struct pxi_walk *walk = *walkp;

    if (!walk)
        return 0;
    int error = pxi_scan_end(walk->rows.scan);
    pxi_view_close(&walk->hist->db, &walk->view);
    free(walk);
    *walkp = NULL;
    return error;
}
