/*
 * History that did not come through the feed. The unit is a candle: where there is one already nothing is taken, so that a
 * final candle stays as it was told and an import that is repeated counts nothing twice.
 *
 *   trades of a day ──► minutes that are not there ──► rows of level 0 ──► 5 minutes, hours, days around them, made again
 *          └──────────► blocks of their own, "imported": they may lie between trades of a sealed block
 *
 * Rows are read from the database and written to the batch under way, level by level in memory, so that all of a day is
 * one atomic batch. Whole spans are read: what one level needs of the finer one lies in them.
 */
#include <stdlib.h>

#include "base/error.h"
#include "store/hist_private.h"

#define DAY_NS     (86400 * PX_NS_PER_S)
#define DAY_MINUTES 1440
#define SPAN_MOST  (2 * 1440 + 64) /* candles in the spans that a day touches, on any level */
#define REACH_NS   (PX_CARRY_NS + 60 * PX_NS_PER_S)

/* Candles of one level over whole spans, ascending; `fresh` marks those that are not in the database. */
struct series {
    unsigned level, count;
    int64_t from_ns, to_ns;
    struct px_candle before; /* the one before from_ns; count 0: none */
    struct px_candle *candles;
    bool *fresh;
};

static int64_t width_of(unsigned level)
{
    return pxi_levels[level].width_s * PX_NS_PER_S;
}

static int64_t span_start(unsigned level, int64_t time_ns)
{
    int64_t span_ns = pxi_levels[level].span_s * PX_NS_PER_S, offset = time_ns % span_ns;

    return time_ns - (offset < 0 ? offset + span_ns : offset);
}

static int make_series(struct series *series)
{
    series->candles = calloc(SPAN_MOST, sizeof *series->candles);
    series->fresh = calloc(SPAN_MOST, sizeof *series->fresh);
    return series->candles && series->fresh ? 0 : PX_E_MEMORY;
}

/* What is in the database of the spans around [first, last]. */
static int read_series(const struct px_hist *hist, uint32_t stored, unsigned level, int64_t first_ns, int64_t last_ns,
                       struct series *series)
{
    struct pxi_walk *walk;
    struct px_candle candle;
    int64_t end_ns;

    series->level = level;
    series->from_ns = span_start(level, first_ns);
    series->to_ns = span_start(level, last_ns + REACH_NS) + pxi_levels[level].span_s * PX_NS_PER_S;
    series->count = 0;
    int error = pxi_walk_open(hist, stored, level, level, INT64_MIN, &walk);
    if (error)
        return error;
    pxi_walk_seek(walk, series->from_ns - 1, true);
    if (pxi_walk_next(walk, &series->before, &end_ns) != 0)
        series->before.count = 0;
    pxi_walk_seek(walk, series->from_ns, false);
    while (pxi_walk_next(walk, &candle, &end_ns) == 0 && candle.start_ns < series->to_ns && series->count < SPAN_MOST) {
        series->fresh[series->count] = false;
        series->candles[series->count++] = candle;
    }
    return pxi_walk_close(&walk);
}

/* The index of the candle that starts there, or of the first behind it. */
static unsigned place_of(const struct series *series, int64_t start_ns)
{
    unsigned low = 0, high = series->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (series->candles[middle].start_ns < start_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct series *series, unsigned at, int64_t start_ns)
{
    return at < series->count && series->candles[at].start_ns == start_ns;
}

/* Puts it in; one that is there is replaced. */
static void put_in(struct series *series, const struct px_candle *candle)
{
    unsigned at = place_of(series, candle->start_ns);

    if (!is_at(series, at, candle->start_ns)) {
        PX_CHECK(series->count < SPAN_MOST);
        memmove(series->candles + at + 1, series->candles + at, (series->count - at) * sizeof *candle);
        memmove(series->fresh + at + 1, series->fresh + at, (series->count - at) * sizeof *series->fresh);
        series->count++;
    }
    series->candles[at] = *candle;
    series->fresh[at] = true;
}

/* ---- rows ---- */

static void put_row(struct px_hist *hist, uint32_t stored, unsigned level, bool fresh, const struct px_candle *candles,
                    unsigned count)
{
    uint8_t key[PXI_CANDLE_KEY], value[PX_CANDLES_BYTES_MAX];
    struct pxi_place place = pxi_candles_place(level, fresh);

    pxi_place_key(&place, stored, candles[0].start_ns, 0, key);
    pxi_put(&hist->db, PXI_HIST_CANDLES, key, sizeof key, value,
            px_candles_encode(candles, count, width_of(level), value));
}

static void delete_rows(struct px_hist *hist, uint32_t stored, unsigned level, bool fresh, int64_t from_ns, int64_t to_ns)
{
    struct pxi_rows rows = {pxi_candles_place(level, fresh), stored, pxi_scan(&hist->db, PXI_HIST_CANDLES)};
    const uint8_t *key = pxi_rows_seek(&rows, from_ns, 0, PXI_SEEK_FROM);

    for (; key && pxi_rows_time(&rows, key) < to_ns; key = pxi_rows_step(&rows, false))
        pxi_delete(&hist->db, PXI_HIST_CANDLES, key, PXI_CANDLE_KEY);
    pxi_scan_end(rows.scan);
}

/* A span behind the oldest fresh row gets one too, and is packed in its turn. */
static void write_span(struct px_hist *hist, uint32_t stored, const struct series *series, int64_t start_ns,
                       int64_t newest_ns)
{
    const struct pxi_series_level *at = &hist->candles[stored].level[series->level];
    int64_t end_ns = start_ns + pxi_levels[series->level].span_s * PX_NS_PER_S;
    unsigned from = place_of(series, start_ns), to = place_of(series, end_ns);
    bool fresh = at->fresh_ns != INT64_MAX ? start_ns >= span_start(series->level, at->fresh_ns) : end_ns > newest_ns;

    delete_rows(hist, stored, series->level, fresh, start_ns, end_ns);
    put_row(hist, stored, series->level, fresh, series->candles + from, to - from);
}

static void write_series(struct px_hist *hist, uint32_t stored, const struct series *series)
{
    const struct pxi_series_level *at = &hist->candles[stored].level[series->level];
    int64_t newest_ns = at->end_ns, span_ns = pxi_levels[series->level].span_s * PX_NS_PER_S;

    for (unsigned i = 0; i < series->count; i++)
        if (series->fresh[i])
            newest_ns = PX_MAX(newest_ns, series->candles[i].start_ns + width_of(series->level));
    for (int64_t start_ns = series->from_ns; start_ns < series->to_ns; start_ns += span_ns) {
        bool any = false;

        for (unsigned i = place_of(series, start_ns); i < place_of(series, start_ns + span_ns); i++)
            any |= series->fresh[i];
        if (any)
            write_span(hist, stored, series, start_ns, newest_ns);
    }
}

/* ---- upward ---- */

static struct px_candle compose(const struct series *finer, int64_t start_ns, int64_t width_ns)
{
    struct px_candle candle = {.start_ns = start_ns, .final = true};
    unsigned i = place_of(finer, start_ns);
    struct px_candle before = i > 0 ? finer->candles[i - 1] : finer->before;
    int64_t finer_ns = width_of(finer->level);

    for (; i < finer->count && finer->candles[i].start_ns < start_ns + width_ns; i++) {
        px_candle_carry(&candle, width_ns, &before, before.start_ns + finer_ns, finer->candles[i].start_ns);
        px_candle_add(&candle, &finer->candles[i]);
        before = finer->candles[i];
    }
    if (candle.count > 0)
        px_candle_carry(&candle, width_ns, &before, before.start_ns + finer_ns, INT64_MAX);
    return candle;
}

/* The candles around what is new, and the one after, into which the last price may reach. What is there with more trades
 * was made of more than there is now: it stays. The newest one is under way, and no row. */
static bool roll_up(const struct series *finer, int64_t newest_ns, struct series *to)
{
    int64_t width_ns = width_of(to->level), done_ns = INT64_MIN;
    bool any = false;

    for (unsigned i = 0; i < finer->count; i++) {
        int64_t first_ns = px_candle_start(finer->candles[i].start_ns, pxi_levels[to->level].width_s);

        for (int64_t start_ns = first_ns; finer->fresh[i] && start_ns <= first_ns + width_ns; start_ns += width_ns) {
            if (start_ns <= done_ns || start_ns + width_ns > newest_ns || start_ns >= to->to_ns)
                continue;
            struct px_candle candle = compose(finer, start_ns, width_ns);
            unsigned at = place_of(to, start_ns);

            done_ns = start_ns;
            if (candle.count == 0 || (is_at(to, at, start_ns) && to->candles[at].count > candle.count))
                continue;
            put_in(to, &candle);
            any = true;
        }
    }
    return any;
}

/* Writes what is new in `finer`, and everything above it. Takes `finer` and leaves it in some state. */
static int write_levels(struct px_hist *hist, uint32_t stored, struct series *finer, struct series *spare)
{
    unsigned first = 0, last = finer->count;

    while (first < finer->count && !finer->fresh[first])
        first++;
    while (last > first && !finer->fresh[last - 1])
        last--;
    if (first == last)
        return 0;
    write_series(hist, stored, finer);
    if (finer->level + 1 == PXI_LEVELS)
        return 0;
    int64_t newest_ns = PX_MAX(finer->candles[last - 1].start_ns, hist->candles[stored].level[finer->level].before.start_ns);
    int error = read_series(hist, stored, finer->level + 1, finer->candles[first].start_ns,
                            finer->candles[last - 1].start_ns, spare);
    if (error || !roll_up(finer, newest_ns, spare))
        return error;
    return write_levels(hist, stored, spare, finer);
}

/* What is known of the rows is found again in the next batch. */
static void forget(struct px_hist *hist, uint32_t stored)
{
    struct pxi_candles *series = &hist->candles[stored];

    pthread_mutex_lock(&hist->lock);
    series->shown = false;
    pthread_mutex_unlock(&hist->lock);
    series->loaded = false;
    series->batch = hist->batch;
    pxi_hist_touch(hist, stored);
}

/* ---- trades ---- */

/* A minute of the given trades; the newest one before it carries its price into it. Between its own trades a price always lasts. */
static struct px_candle minute_of(const struct px_trade *trades, unsigned count, const struct px_candle *before)
{
    const struct px_trade *last = &trades[count - 1];
    struct px_candle minute = {.start_ns = px_candle_start(trades[0].time_ns, 60),
                               .open = trades[0].price,
                               .high = trades[0].price,
                               .low = trades[0].price,
                               .final = true};

    _Static_assert(PX_CARRY_NS > PX_MINUTE_NS, "as it says");
    px_candle_carry(&minute, PX_MINUTE_NS, before, before->start_ns + PX_MINUTE_NS, trades[0].time_ns);
    for (unsigned i = 0; i < count; i++) {
        minute.high = PX_MAX(minute.high, trades[i].price);
        minute.low = PX_MIN(minute.low, trades[i].price);
        minute.value += (__int128)trades[i].price * trades[i].size;
        if (__builtin_add_overflow(minute.volume, trades[i].size, &minute.volume))
            minute.volume = INT64_MAX;
        if (i > 0)
            minute.area += (__int128)trades[i - 1].price * (trades[i].time_ns - trades[i - 1].time_ns);
    }
    minute.duration_ns += last->time_ns - trades[0].time_ns;
    minute.close = last->price;
    minute.last_ns = last->time_ns;
    minute.count = count;
    px_candle_carry(&minute, PX_MINUTE_NS, &minute, minute.last_ns, INT64_MAX);
    return minute;
}

/* Trades in blocks that no other import can come to lie in: they end where a minute without one begins. They stay where they are, in
 * the caller's array. */
struct blocks {
    struct px_hist *hist;
    uint32_t stored;
    unsigned count;
    int64_t from_ns, minute_ns; /* before it none is kept; of the last */
    struct px_trade *first;
};

static void put_block(struct blocks *blocks, unsigned count)
{
    uint8_t key[PXI_TICK_KEY], value[PX_BLOCK_BYTES_MAX];

    pxi_place_key(&pxi_imported_place, blocks->stored, blocks->first->time_ns, blocks->first->sequence, key);
    pxi_put(&blocks->hist->db, PXI_HIST_IMPORTED, key, sizeof key, value, px_block_encode(blocks->first, count, value));
    blocks->first += count;
    blocks->count -= count;
}

static void end_block(struct blocks *blocks)
{
    if (blocks->count > 0)
        put_block(blocks, blocks->count);
}

/* Their sequence is their place among those of one instant: the same in every import, and almost always 0, which takes no room. */
static void put_minute(struct blocks *blocks, struct px_trade *trades, unsigned count)
{
    int64_t minute_ns = px_candle_start(trades[0].time_ns, 60);

    if (minute_ns < blocks->from_ns)
        return;
    if (minute_ns != blocks->minute_ns + PX_MINUTE_NS || trades != blocks->first + blocks->count)
        end_block(blocks);
    if (blocks->count == 0)
        blocks->first = trades;
    for (unsigned i = 0; i < count; i++) {
        trades[i].sequence = i > 0 && trades[i].time_ns == trades[i - 1].time_ns ? trades[i - 1].sequence + 1 : 0;
        trades[i].venue = PX_VENUE_NONE;
        trades[i].spare = 0;
    }
    blocks->count += count;
    while (blocks->count > PX_BLOCK_TRADES)
        put_block(blocks, PX_BLOCK_TRADES);
    blocks->minute_ns = minute_ns;
}

static unsigned minute_end(const struct px_trade *trades, unsigned from, unsigned n)
{
    int64_t start_ns = px_candle_start(trades[from].time_ns, 60);

    while (from < n && trades[from].time_ns < start_ns + PX_MINUTE_NS)
        from++;
    return from;
}

/* Counts what is not to be taken. */
static bool refused(const struct px_import_bounds *bounds, int64_t start_ns, bool there, unsigned rows,
                    struct px_import_report *report)
{
    if (start_ns < bounds->from_ns)
        report->too_old += rows;
    else if (start_ns + PX_MINUTE_NS > bounds->to_ns)
        report->too_new += rows;
    else if (there)
        report->present += rows;
    else
        return false;
    return true;
}

static void taken(struct px_import_report *report, unsigned rows, int64_t end_ns)
{
    report->taken += rows;
    report->candles++;
    report->newest_ns = PX_MAX(report->newest_ns, end_ns);
}

/* Between minutes that there are. */
static void insert_minutes(struct blocks *blocks, struct px_trade *trades, unsigned n,
                           const struct px_import_bounds *bounds, struct series *minutes, struct px_import_report *report)
{
    for (unsigned from = 0, to; from < n; from = to) {
        int64_t start_ns = px_candle_start(trades[from].time_ns, 60);
        unsigned at = place_of(minutes, start_ns);

        to = minute_end(trades, from, n);
        if (refused(bounds, start_ns, is_at(minutes, at, start_ns), to - from, report))
            continue;
        struct px_candle minute =
            minute_of(trades + from, to - from, at > 0 ? &minutes->candles[at - 1] : &minutes->before);
        put_in(minutes, &minute);
        put_minute(blocks, trades + from, to - from);
        taken(report, to - from, start_ns + PX_MINUTE_NS);
    }
}

/* Minutes behind all that there are, as if the feed had brought them. Overwrites them. */
static int put_minutes(struct px_hist *hist, uint32_t stored, struct px_candle *minutes, unsigned n)
{
    int error = pxi_candles_append(hist, stored, minutes, n);

    if (error != PX_E_AGAIN)
        return error;
    for (unsigned i = 0; i < n; i++)
        pxi_candles_put(hist, stored, &minutes[i]);
    return 0;
}

static int append_minutes(struct blocks *blocks, struct px_trade *trades, unsigned n,
                          const struct px_import_bounds *bounds, struct px_import_report *report)
{
    struct px_candle *minutes = malloc(PX_MIN(n, DAY_MINUTES) * sizeof *minutes);
    const struct px_candle *before = &blocks->hist->candles[blocks->stored].level[0].before;
    unsigned count = 0;

    if (!minutes)
        return PX_E_MEMORY;
    for (unsigned from = 0, to; from < n; from = to) {
        int64_t start_ns = px_candle_start(trades[from].time_ns, 60);

        to = minute_end(trades, from, n);
        if (refused(bounds, start_ns, false, to - from, report))
            continue;
        PX_CHECK(count < DAY_MINUTES);
        minutes[count] = minute_of(trades + from, to - from, before);
        before = &minutes[count++];
        put_minute(blocks, trades + from, to - from);
        taken(report, to - from, start_ns + PX_MINUTE_NS);
    }
    int error = put_minutes(blocks->hist, blocks->stored, minutes, count);
    free(minutes);
    return error;
}

/* Room for two levels, from one call to its end. */
static int begin(struct px_hist *hist, uint32_t stored, unsigned level, int64_t first_ns, int64_t last_ns,
                 struct series both[2])
{
    int error = pxi_candles_load(hist, stored);

    memset(both, 0, 2 * sizeof *both);
    for (unsigned i = 0; i < 2 && error >= 0; i++)
        error = make_series(&both[i]);
    return error < 0 ? error : read_series(hist, stored, level, first_ns, last_ns, &both[0]);
}

static int end(struct px_hist *hist, uint32_t stored, struct series both[2], int error, uint64_t taken)
{
    if (!error && taken > 0)
        error = write_levels(hist, stored, &both[0], &both[1]);
    for (unsigned i = 0; i < 2; i++) {
        free(both[i].candles);
        free(both[i].fresh);
    }
    if (!error && taken > 0)
        forget(hist, stored);
    return error;
}

unsigned px_import_day(const int64_t *time_ns, size_t stride, unsigned n)
{
    const char *first = (const char *)time_ns;
    int64_t end_ns = px_candle_start(*time_ns, 86400) + DAY_NS;
    unsigned low = 1, high = n;

#define TIME(i) (*(const int64_t *)(const void *)(first + (i) * stride))
    if (TIME(n - 1) < end_ns)
        return n;
    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (TIME(middle) < end_ns)
            low = middle + 1;
        else
            high = middle;
    }
#undef TIME
    return low;
}

static int import_trades(struct blocks *blocks, struct px_trade *trades, unsigned n,
                         const struct px_import_bounds *bounds, struct px_import_report *report, unsigned *donep)
{
    const int64_t *end_ns = &blocks->hist->candles[blocks->stored].level[0].end_ns;
    struct series both[2];
    uint64_t before = report->taken;
    int error = pxi_candles_load(blocks->hist, blocks->stored);

    if (error < 0)
        return error;
    while (*donep < n && trades[*donep].time_ns < *end_ns)
        (*donep)++;
    if (*donep == 0) {
        *donep = n;
        error = append_minutes(blocks, trades, n, bounds, report);
        end_block(blocks);
        return error;
    }
    error = begin(blocks->hist, blocks->stored, 0, trades[0].time_ns - REACH_NS, trades[*donep - 1].time_ns, both);
    if (!error)
        insert_minutes(blocks, trades, *donep, bounds, &both[0], report);
    end_block(blocks);
    return end(blocks->hist, blocks->stored, both, error, report->taken - before);
}

int px_hist_import_trades(struct px_hist *hist, px_asset_id asset, struct px_trade *trades, unsigned n,
                          const struct px_import_bounds *bounds, struct px_import_report *report, unsigned *donep)
{
    struct blocks blocks = {.hist = hist, .from_ns = bounds->ticks_ns, .minute_ns = INT64_MIN / 2};

    PX_CHECK(asset < hist->assets && n > 0);
    *donep = 0;
    blocks.stored = hist->stored[asset];
    return import_trades(&blocks, trades, n, bounds, report, donep);
}

static int level_of(uint32_t interval_s)
{
    for (int level = 0; level < PXI_LEVELS; level++)
        if (pxi_levels[level].width_s == interval_s)
            return level;
    return -1;
}

/* The start of the asset's first minute. */
static int first_minute(const struct px_hist *hist, uint32_t stored, int64_t *start_nsp)
{
    struct pxi_walk *walk;
    struct px_candle candle;
    int64_t end_ns;
    int error = pxi_walk_open(hist, stored, 0, 0, INT64_MIN, &walk);

    *start_nsp = INT64_MAX;
    if (error)
        return error;
    pxi_walk_seek(walk, INT64_MIN, false);
    if (pxi_walk_next(walk, &candle, &end_ns) == 0)
        *start_nsp = candle.start_ns;
    return pxi_walk_close(&walk);
}

static void insert_candles(struct series *series, const struct px_candle *candles, unsigned n,
                           const struct px_import_bounds *bounds, struct px_import_report *report)
{
    for (unsigned i = 0; i < n; i++) {
        int64_t start_ns = candles[i].start_ns, end_ns = start_ns + width_of(series->level);

        if (series->level == 0 && start_ns < bounds->from_ns) {
            report->too_old++;
        } else if (end_ns > bounds->to_ns) {
            report->too_new++;
        } else if (is_at(series, place_of(series, start_ns), start_ns)) {
            report->present++;
        } else {
            put_in(series, &candles[i]);
            taken(report, 1, series->level == 0 ? end_ns : INT64_MIN);
        }
    }
}

/* Minutes behind all others. How many were looked at: all, or none. */
static int append_candles(struct px_hist *hist, uint32_t stored, const struct px_candle *candles, unsigned n,
                          const struct px_import_bounds *bounds, struct px_import_report *report, unsigned *donep)
{
    struct px_candle *minutes;
    unsigned count = 0;

    if (candles[0].start_ns < hist->candles[stored].level[0].end_ns)
        return 0;
    minutes = malloc(n * sizeof *minutes);
    if (!minutes)
        return PX_E_MEMORY;
    for (*donep = 0; *donep < n; (*donep)++) {
        if (refused(bounds, candles[*donep].start_ns, false, 1, report))
            continue;
        minutes[count++] = candles[*donep];
        taken(report, 1, candles[*donep].start_ns + PX_MINUTE_NS);
    }
    int error = put_minutes(hist, stored, minutes, count);
    free(minutes);
    return error;
}

int px_hist_import_candles(struct px_hist *hist, px_asset_id asset, uint32_t interval_s, const struct px_candle *candles,
                           unsigned n, const struct px_import_bounds *bounds, struct px_import_report *report,
                           unsigned *donep)
{
    int level = level_of(interval_s);
    struct px_import_bounds within = *bounds;
    struct series both[2];
    int64_t first_ns = INT64_MAX;

    PX_CHECK(asset < hist->assets && n > 0);
    *donep = 0;
    if (level < 0)
        return PX_E_INVALID;
    uint32_t stored = hist->stored[asset];
    uint64_t before = report->taken;
    int error = pxi_candles_load(hist, stored);
    if (error < 0)
        return error;
    if (level == 0)
        error = append_candles(hist, stored, candles, n, bounds, report, donep);
    if (error < 0 || *donep > 0)
        return error;
    for (; level == 0 && *donep < n && candles[*donep].start_ns < hist->candles[stored].level[0].end_ns; (*donep)++)
        ;
    if (level > 0) {
        *donep = n;
        error = first_minute(hist, stored, &first_ns);
        within.to_ns = PX_MIN(within.to_ns, first_ns);
    }
    if (error < 0)
        return error;
    error = begin(hist, stored, (unsigned)level, candles[0].start_ns, candles[*donep - 1].start_ns, both);
    if (!error)
        insert_candles(&both[0], candles, *donep, &within, report);
    return end(hist, stored, both, error, report->taken - before);
}
