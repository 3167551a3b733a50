/*
 * Minutes into rows, and upward into longer candles.
 *
 *   minutes ──► 5 minutes ──► hours ──► days        a candle is made once, when the next one of its level begins
 *      │            │           │         │
 *      └── a fresh row each, until the row of many is over: then they are packed and the fresh rows are deleted
 *
 * A fresh row has one candle, or those of one span that came together.
 *
 * Sums are exact, so a day made of hours equals a day made of its minutes. An interval without a trade has no candle;
 * what its neighbour's price held in it is in the longer candle.
 */
#include <stdlib.h>

#include "base/error.h"
#include "store/hist_private.h"

const struct pxi_level pxi_levels[PXI_LEVELS] = {
    {60, 3600, PXI_MONTH_DAYS}, /* 60 in a row */
    {300, 86400, 0},            /* 288 */
    {3600, 7 * 86400, 0},       /* 168 */
    {86400, 364 * 86400, 0},    /* 364 */
};

_Static_assert(PX_CANDLES_ROW >= 364, "the longest row");

struct pxi_place pxi_candles_place(unsigned level, bool fresh)
{
    return (struct pxi_place){PXI_HIST_CANDLES, fresh ? 0 : pxi_levels[level].days,
                              (int)(level | (fresh ? PXI_FRESH : 0)), PXI_CANDLE_KEY};
}

static int64_t width_ns(unsigned level)
{
    return pxi_levels[level].width_s * PX_NS_PER_S;
}

/* Where the row begins that has the candle: spans are counted from the epoch. */
static int64_t span_of(unsigned level, int64_t start_ns)
{
    int64_t span_ns = pxi_levels[level].span_s * PX_NS_PER_S, offset = start_ns % span_ns;

    return start_ns - (offset < 0 ? offset + span_ns : offset);
}

/* ---- rolling upward ---- */

static void put_row(struct px_hist *hist, const struct pxi_place *place, unsigned level, uint32_t stored,
                    const struct px_candle *candles, unsigned n)
{
    uint8_t key[PXI_CANDLE_KEY], value[PX_CANDLES_BYTES_MAX];

    pxi_place_key(place, stored, candles[0].start_ns, 0, key);
    pxi_put(&hist->db, PXI_HIST_CANDLES, key, sizeof key, value, px_candles_encode(candles, n, width_ns(level), value));
}

/* Adds `candle` of the level below to what is under way. True: the one before it is over, and is in *overp. */
static bool roll(struct pxi_candles *series, unsigned level, const struct px_candle *candle, struct px_candle *overp)
{
    struct px_candle *at = &series->level[level].at;
    const struct px_candle *before = &series->level[level - 1].before;
    int64_t start_ns = px_candle_start(candle->start_ns, pxi_levels[level].width_s);
    int64_t before_end_ns = before->start_ns + width_ns(level - 1);
    bool over = at->count > 0 && at->start_ns != start_ns;

    if (over) {
        px_candle_carry(at, width_ns(level), before, before_end_ns, INT64_MAX);
        at->final = true;
        *overp = *at;
    }
    if (over || at->count == 0)
        *at = (struct px_candle){.start_ns = start_ns};
    px_candle_carry(at, width_ns(level), before, before_end_ns, candle->start_ns);
    px_candle_add(at, candle);
    return over;
}

/* A fresh row, of candles of one span that are newer than all of their level. */
static void add_row(struct px_hist *hist, uint32_t stored, unsigned level, const struct px_candle *candles, unsigned n)
{
    struct pxi_series_level *at = &hist->candles[stored].level[level];
    struct pxi_place place = pxi_candles_place(level, true);

    put_row(hist, &place, level, stored, candles, n);
    if (at->packed_ns == INT64_MIN)
        at->packed_ns = span_of(level, candles[0].start_ns);
    at->fresh_ns = PX_MIN(at->fresh_ns, candles[0].start_ns);
    at->end_ns = candles[n - 1].start_ns + width_ns(level);
}

static void put_level(struct px_hist *hist, uint32_t stored, unsigned level, const struct px_candle *candle)
{
    struct pxi_candles *series = &hist->candles[stored];
    struct px_candle over;

    add_row(hist, stored, level, candle, 1);
    bool rolls = level + 1 < PXI_LEVELS && roll(series, level + 1, candle, &over);
    series->level[level].before = *candle;
    if (rolls)
        put_level(hist, stored, level + 1, &over);
}

void pxi_candles_put(struct px_hist *hist, uint32_t stored, const struct px_candle *minute)
{
    struct pxi_candles *series = &hist->candles[stored];

    pxi_hist_touch(hist, stored);
    series->batch = hist->batch;
    if (pxi_candles_load(hist, stored) < 0)
        hist->failed = true;
    else if (minute->start_ns >= series->level[0].end_ns) /* else there is one, and it is final */
        put_level(hist, stored, 0, minute);
}

/* ---- many minutes at once ---- */

/* Fresh rows of the span at packed_ns, and `more` of it that are in none yet. */
static void pack_row(struct px_hist *hist, uint32_t stored, unsigned level, rocksdb_iterator_t *scan,
                     const struct px_candle *more, unsigned mores)
{
    struct px_candle *candles = malloc(2 * PX_CANDLES_ROW * sizeof *candles);
    struct pxi_series_level *at = &hist->candles[stored].level[level];
    struct pxi_place place = pxi_candles_place(level, false);
    struct pxi_rows rows = {pxi_candles_place(level, true), stored, scan};
    int64_t end_ns = at->packed_ns + pxi_levels[level].span_s * PX_NS_PER_S;
    const uint8_t *key = pxi_rows_seek(&rows, at->packed_ns, 0, PXI_SEEK_FROM);
    unsigned count = 0, one;
    size_t len;

    PX_CHECK(candles);
    for (; key && pxi_rows_time(&rows, key) < end_ns; key = pxi_rows_step(&rows, false)) {
        const char *value = rocksdb_iter_value(scan, &len);

        if (count < PX_CANDLES_ROW && px_candles_decode(value, len, width_ns(level), candles + count, &one) == 0)
            count += one;
        else
            pxi_hist_damaged(hist, "candle", stored, pxi_rows_time(&rows, key));
        pxi_delete(&hist->db, PXI_HIST_CANDLES, key, PXI_CANDLE_KEY);
    }
    for (unsigned i = 0; i < mores && count < PX_CANDLES_ROW; i++)
        candles[count++] = more[i];
    at->fresh_ns = key ? pxi_rows_time(&rows, key) : INT64_MAX;
    at->packed_ns = key ? span_of(level, at->fresh_ns) : end_ns;
    pxi_hist_touch(hist, stored);
    if (count > 0 && end_ns > at->kept_ns) /* else it came when its time was over */
        put_row(hist, &place, level, stored, candles, count);
    free(candles);
}

/* What is left of a span that is over, after those of it that are in fresh rows, into one row. */
static int pack_span(struct px_hist *hist, uint32_t stored, unsigned level, const struct px_candle *candles, unsigned count)
{
    struct pxi_series_level *at = &hist->candles[stored].level[level];
    struct pxi_place place = pxi_candles_place(level, false);
    int error = 0;

    if (at->fresh_ns != INT64_MAX) {
        rocksdb_iterator_t *scan = pxi_scan(&hist->db, PXI_HIST_CANDLES);

        at->packed_ns = span_of(level, at->fresh_ns);
        pack_row(hist, stored, level, scan, candles, count);
        error = pxi_scan_end(scan);
    } else if (count > 0) {
        at->packed_ns = span_of(level, candles[0].start_ns) + pxi_levels[level].span_s * PX_NS_PER_S;
        if (at->packed_ns > at->kept_ns)
            put_row(hist, &place, level, stored, candles, count);
    }
    if (count > 0)
        at->end_ns = candles[count - 1].start_ns + width_ns(level);
    return error;
}

static unsigned same_span(unsigned level, const struct px_candle *candles, unsigned n, int64_t span_ns)
{
    unsigned count = 0;

    while (count < n && span_of(level, candles[count].start_ns) == span_ns)
        count++;
    return count;
}

/*
 * Spans that are over become rows of many at once, without having been fresh; the newest becomes one fresh row. Fresh rows that are there
 * already are of one span, and in the database: else none is packed here.
 */
static int append_rows(struct px_hist *hist, uint32_t stored, unsigned level, const struct px_candle *candles, unsigned n)
{
    struct pxi_series_level *at = &hist->candles[stored].level[level];
    int64_t fresh_ns = at->fresh_ns == INT64_MAX ? INT64_MAX : span_of(level, at->fresh_ns);
    bool simple = fresh_ns == INT64_MAX || span_of(level, at->end_ns - width_ns(level)) == fresh_ns;
    int error = 0;
    unsigned done = 0;

    while (simple && !error && done < n) {
        int64_t span_ns = at->fresh_ns == INT64_MAX ? span_of(level, candles[done].start_ns) : fresh_ns;
        unsigned count = same_span(level, candles + done, n - done, span_ns);

        if (done + count == n)
            break;
        error = pack_span(hist, stored, level, candles + done, count);
        done += count;
    }
    for (unsigned count; !error && done < n; done += count) {
        count = same_span(level, candles + done, n - done, span_of(level, candles[done].start_ns));
        add_row(hist, stored, level, candles + done, count);
    }
    return error;
}

/* Takes `candles` and leaves those of the last level in them. */
static int append_levels(struct px_hist *hist, uint32_t stored, struct px_candle *candles, unsigned n)
{
    struct pxi_candles *series = &hist->candles[stored];
    int error = 0;

    for (unsigned level = 0; level < PXI_LEVELS && n > 0 && !error; level++) {
        unsigned overs = 0;

        error = append_rows(hist, stored, level, candles, n);
        for (unsigned i = 0; i < n; i++) {
            struct px_candle candle = candles[i]; /* its place may be taken */

            if (level + 1 < PXI_LEVELS && roll(series, level + 1, &candle, &candles[overs]))
                overs++;
            series->level[level].before = candle;
        }
        n = overs;
    }
    return error;
}

int pxi_candles_append(struct px_hist *hist, uint32_t stored, struct px_candle *minutes, unsigned n)
{
    struct pxi_candles *series = &hist->candles[stored];
    int error = pxi_candles_load(hist, stored);

    if (error < 0)
        return error;
    PX_CHECK(n == 0 || minutes[0].start_ns >= series->level[0].end_ns);
    if (series->batch == hist->batch) /* what the batch under way has put cannot be read, to be packed with the rest */
        return PX_E_AGAIN;
    pxi_hist_touch(hist, stored);
    series->batch = hist->batch;
    return append_levels(hist, stored, minutes, n);
}

/* ---- where a restart finds it ---- */

static int load_level(struct px_hist *hist, uint32_t stored, unsigned level, rocksdb_iterator_t *scan)
{
    struct pxi_series_level *to = &hist->candles[stored].level[level];
    struct pxi_rows rows = {pxi_candles_place(level, true), stored, scan};
    const uint8_t *key = pxi_rows_seek(&rows, INT64_MIN, 0, PXI_SEEK_FROM);
    struct pxi_walk *walk;
    int64_t end_ns;

    *to = (struct pxi_series_level){.end_ns = INT64_MIN, .packed_ns = INT64_MIN, .fresh_ns = INT64_MAX};
    if (key) {
        to->fresh_ns = pxi_rows_time(&rows, key);
        to->packed_ns = span_of(level, to->fresh_ns);
    }
    int error = pxi_walk_open(hist, stored, level, level, INT64_MIN, &walk);
    if (error)
        return error;
    pxi_walk_seek(walk, INT64_MAX, true);
    if (pxi_walk_next(walk, &to->before, &end_ns) == 0)
        to->end_ns = end_ns;
    return pxi_walk_close(&walk);
}

/* Candles that were over and no rows yet: an import has put something behind them. */
struct overdue {
    struct px_candle *candles;
    unsigned count;
};

static void add_overdue(struct overdue *overdue, const struct px_candle *candle)
{
    overdue->candles = realloc(overdue->candles, (overdue->count + 1) * sizeof *candle);
    PX_CHECK(overdue->candles);
    overdue->candles[overdue->count++] = *candle;
}

static void roll_loaded(struct pxi_candles *series, unsigned level, const struct px_candle *candle, struct overdue *overdue)
{
    struct px_candle over;

    if (roll(series, level, candle, &over))
        add_overdue(overdue, &over);
    series->level[level - 1].before = *candle;
}

/* Candles of the level below that are in none of this level yet: its rows, and those that become rows just now. */
static int load_under_way(struct px_hist *hist, uint32_t stored, unsigned level, struct overdue *overdue)
{
    struct pxi_candles *series = &hist->candles[stored];
    struct px_candle candle, newest = series->level[level - 1].before;
    struct overdue below = *overdue;
    struct pxi_walk *walk;
    int64_t end_ns, from_ns = series->level[level].end_ns;
    int error = pxi_walk_open(hist, stored, level - 1, level - 1, INT64_MIN, &walk);

    *overdue = (struct overdue){0};
    if (!error) {
        series->level[level - 1].before.count = 0;
        pxi_walk_seek(walk, from_ns == INT64_MIN ? from_ns : from_ns - 1, true);
        if (from_ns != INT64_MIN && pxi_walk_next(walk, &candle, &end_ns) == 0)
            series->level[level - 1].before = candle;
        pxi_walk_seek(walk, from_ns, false);
        while (pxi_walk_next(walk, &candle, &end_ns) == 0)
            roll_loaded(series, level, &candle, overdue);
        for (unsigned i = 0; i < below.count; i++)
            roll_loaded(series, level, &below.candles[i], overdue);
        series->level[level - 1].before = newest;
        error = pxi_walk_close(&walk);
    }
    for (unsigned i = 0; i < overdue->count && !error; i++) {
        series->batch = hist->batch; /* it has rows that cannot be read yet */
        add_row(hist, stored, level, &overdue->candles[i], 1);
        series->level[level].before = overdue->candles[i];
    }
    free(below.candles);
    return error;
}

int pxi_candles_load(struct px_hist *hist, uint32_t stored)
{
    struct pxi_candles *series = &hist->candles[stored];
    struct overdue overdue = {0};
    int error = 0;

    if (series->loaded)
        return 0;
    rocksdb_iterator_t *scan = pxi_scan(&hist->db, PXI_HIST_CANDLES);
    for (unsigned level = 0; level < PXI_LEVELS && !error; level++)
        error = load_level(hist, stored, level, scan);
    int failed = pxi_scan_end(scan);
    for (unsigned level = 1; level < PXI_LEVELS && !error; level++)
        error = load_under_way(hist, stored, level, &overdue);
    free(overdue.candles);
    if (error || failed)
        return error ? error : failed;
    series->loaded = true;
    pxi_hist_touch(hist, stored);
    return 1;
}

/* ---- packing ---- */

/* Not all assets at the same moment: each waits for a part of the next row. */
static bool due(const struct px_hist *hist, uint32_t stored, unsigned level)
{
    const struct pxi_series_level *at = &hist->candles[stored].level[level];
    unsigned in_row = pxi_levels[level].span_s / pxi_levels[level].width_s;

    if (at->packed_ns == INT64_MIN || at->end_ns == INT64_MIN)
        return false;
    int64_t wait_ns = pxi_spread(stored, in_row * 4 / 5) * width_ns(level);
    return at->end_ns - width_ns(level) - at->packed_ns >= pxi_levels[level].span_s * PX_NS_PER_S + wait_ns;
}

int pxi_candles_pack(struct px_hist *hist, uint32_t stored)
{
    int packed = 0;

    if (hist->candles[stored].batch == hist->batch) /* rows of the batch under way cannot be read */
        return 0;
    for (unsigned level = 0; level < PXI_LEVELS; level++) {
        if (!due(hist, stored, level))
            continue;
        rocksdb_iterator_t *scan = pxi_scan(&hist->db, PXI_HIST_CANDLES);
        pack_row(hist, stored, level, scan, NULL, 0);
        int error = pxi_scan_end(scan);
        if (error)
            return error;
        packed++;
    }
    return packed;
}

/* ---- what is let go ---- */

/* Whole rows of one asset and level: those of minutes go with those of all assets, by files. */
static bool let_go(struct px_hist *hist, uint32_t stored, unsigned level, uint32_t keep_days, int64_t newest_ns)
{
    struct pxi_series_level *at = &hist->candles[stored].level[level];
    struct pxi_place place = pxi_candles_place(level, false);
    uint8_t from[PXI_CANDLE_KEY], to[PXI_CANDLE_KEY];
    int64_t before_ns = span_of(level, newest_ns - (int64_t)keep_days * 86400 * PX_NS_PER_S);

    if (keep_days == 0 || before_ns <= at->kept_ns || at->end_ns == INT64_MIN)
        return false;
    at->kept_ns = before_ns;
    pxi_place_key(&place, stored, INT64_MIN, 0, from);
    pxi_place_key(&place, stored, before_ns, 0, to);
    pxi_delete_range(&hist->db, PXI_HIST_CANDLES, from, to, sizeof from);
    return true;
}

int pxi_candles_retain(struct px_hist *hist, uint32_t stored)
{
    const struct px_config_history *keep = &px_names_config(hist->names)->history;
    int64_t newest_ns = PX_MIN(px_wall_now(), hist->newest_ns);

    if (hist->newest_ns == INT64_MIN || newest_ns < 0)
        return 0;
    return let_go(hist, stored, 1, keep->candles_5m, newest_ns) + let_go(hist, stored, 2, keep->candles_1h, newest_ns);
}
