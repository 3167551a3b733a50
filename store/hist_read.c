/* Candles of any interval, composed from the coarsest rows that divide it. */
#include "base/error.h"
#include "store/hist_private.h"

#define WEEK_S 604800

static bool from_newest(const struct px_range *range)
{
    return range->descending || range->start_ns == PX_TIME_NONE;
}

static int64_t aligned_up(int64_t time_ns, const struct pxi_query *query)
{
    int64_t start_ns = px_candle_start(time_ns, query->interval_s);

    return start_ns < time_ns ? start_ns + query->width_ns : start_ns;
}

/* Far from the limits of the clock, so that adding an interval never overflows. */
static int64_t clipped(int64_t time_ns)
{
    const int64_t most = INT64_MAX / 4;

    return PX_MAX(PX_MIN(time_ns, most), -most);
}

static void set_bounds(struct pxi_query *query, const struct px_range *range, bool partial)
{
    query->first_ns = aligned_up(clipped(range->start_ns), query); /* PX_TIME_NONE is the least there is */
    query->last_ns = clipped(range->end_ns == PX_TIME_NONE ? INT64_MAX : range->end_ns);
    if (!partial)
        query->last_ns = PX_MIN(query->last_ns, px_candle_start(clipped(query->final_ns), query->interval_s));
    if (!range->cursor.set)
        return;
    if (from_newest(range))
        query->last_ns = PX_MIN(query->last_ns, clipped(range->cursor.time_ns));
    else
        query->first_ns = PX_MAX(query->first_ns, aligned_up(clipped(range->cursor.time_ns) + 1, query));
}

/* Walks back over `limit` candles and raises `first` to the oldest of them, so that the page can be composed forward.
 */
static void find_first(struct pxi_query *query, struct pxi_walk *walk)
{
    int64_t current_ns = INT64_MAX, end_ns;
    struct px_candle finer;
    uint32_t seen = 0;

    pxi_walk_seek(walk, aligned_up(query->last_ns, query) - 1, true);
    while (pxi_walk_next(walk, &finer, &end_ns) == 0) {
        int64_t start_ns = px_candle_start(finer.start_ns, query->interval_s);

        if (start_ns < query->first_ns)
            return;
        if (start_ns != current_ns && seen == query->limit) {
            query->more = true;
            query->first_ns = current_ns;
            return;
        }
        seen += start_ns != current_ns;
        current_ns = start_ns;
    }
}

/* Composes forward from `first`. `before` is the candle before it, count 0 if there is none. */
static void compose(struct pxi_query *query, struct pxi_walk *walk, struct px_candle before, int64_t before_end_ns,
                    struct px_candle *candles, uint32_t *countp)
{
    struct px_candle finer, *at = NULL;
    int64_t end_ns;

    *countp = 0;
    pxi_walk_seek(walk, query->first_ns, false);
    while (pxi_walk_next(walk, &finer, &end_ns) == 0) {
        int64_t start_ns = px_candle_start(finer.start_ns, query->interval_s);

        if (at)
            px_candle_carry(at, query->width_ns, &before, before_end_ns, finer.start_ns);
        if (!at || at->start_ns != start_ns) {
            if (start_ns >= query->last_ns)
                return;
            if (*countp == query->limit) {
                query->more = true;
                return;
            }
            at = &candles[(*countp)++];
            *at = (struct px_candle){.start_ns = start_ns, .final = start_ns + query->width_ns <= query->final_ns};
            px_candle_carry(at, query->width_ns, &before, before_end_ns, finer.start_ns);
        }
        px_candle_add(at, &finer);
        before = finer;
        before_end_ns = end_ns;
    }
    if (at)
        px_candle_carry(at, query->width_ns, &before, before_end_ns, query->final_ns);
}

static void reverse_candles(struct px_candle *candles, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        struct px_candle swap = candles[i];

        candles[i] = candles[count - 1 - i];
        candles[count - 1 - i] = swap;
    }
}

static void run(struct pxi_query *query, struct pxi_walk *walk, bool newest, struct px_candle *candles,
                struct px_page *pagep, int64_t *priorp)
{
    struct px_candle before = {.count = 0};
    int64_t before_end_ns = 0;

    if (newest)
        find_first(query, walk);
    bool older = query->more;
    query->more = false;
    pxi_walk_seek(walk, query->first_ns - 1, true);
    if (pxi_walk_next(walk, &before, &before_end_ns) != 0)
        before.count = 0;
    *priorp = before.count > 0 ? before.close : PX_PRICE_NONE;
    compose(query, walk, before, before_end_ns, candles, &pagep->count);
    pagep->more = newest ? older : query->more;
}

static unsigned coarsest_for(uint32_t interval_s)
{
    unsigned level = PXI_LEVELS - 1;

    while (level > 0 && interval_s % pxi_levels[level].width_s != 0)
        level--;
    return level;
}

static bool interval_ok(uint32_t interval_s)
{
    return interval_s == 1 || interval_s == 5 || (interval_s > 0 && interval_s % 60 == 0 && interval_s <= WEEK_S);
}

static int from_rows(const struct px_hist *hist, uint32_t stored, struct pxi_query *query, bool partial, bool newest,
                     struct px_candle *candles, struct px_page *pagep, int64_t *priorp)
{
    struct pxi_walk *walk;
    int error = pxi_walk_open(hist, stored, coarsest_for(query->interval_s), 0,
                              partial ? query->opens_before_ns : INT64_MIN, &walk);

    if (error)
        return error;
    pagep->final_ns = PX_MAX(query->final_ns, partial ? pxi_walk_closed(walk) : INT64_MIN);
    run(query, walk, newest, candles, pagep, priorp);
    return pxi_walk_close(&walk);
}

/* An asset without a minute may have days that were imported: rows are final. */
static int64_t final_of(const struct px_hist *hist, uint32_t stored, int64_t final_ns)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&hist->lock;

    if (final_ns != INT64_MIN)
        return final_ns;
    pthread_mutex_lock(lock);
    for (unsigned level = 0; level < PXI_LEVELS && hist->candles[stored].shown; level++)
        final_ns = PX_MAX(final_ns, hist->candles[stored].shown_end_ns[level]);
    pthread_mutex_unlock(lock);
    return final_ns;
}

int px_hist_candles(const struct px_hist *hist, px_asset_id asset, uint32_t interval_s, bool partial, int64_t final_ns,
                    const struct px_range *range, struct px_candle *candles, struct px_page *pagep, int64_t *priorp)
{
    bool newest = from_newest(range);
    int error;

    memset(pagep, 0, sizeof *pagep);
    *priorp = PX_PRICE_NONE;
    if (asset >= hist->assets || range->limit == 0 || range->limit > PX_PAGE_MAX || !interval_ok(interval_s))
        return PX_E_INVALID;
    pagep->final_ns = final_ns = final_of(hist, hist->stored[asset], final_ns);
    struct pxi_query query = {
        .interval_s = interval_s, .limit = range->limit, .width_ns = interval_s * PX_NS_PER_S, .final_ns = final_ns,
        .opens_before_ns = range->opens_before_ns != 0 ? range->opens_before_ns : INT64_MAX};
    set_bounds(&query, range, partial);
    if (query.first_ns >= query.last_ns)
        return 0;
    if (interval_s < 60)
        error = pxi_fine_candles(hist, hist->stored[asset], &query, newest, candles, pagep, priorp);
    else
        error = from_rows(hist, hist->stored[asset], &query, partial, newest, candles, pagep, priorp);
    if (error)
        return error;
    if (pagep->count > 0)
        pagep->next = (struct px_cursor){true, candles[newest ? 0 : pagep->count - 1].start_ns, 0};
    if (range->descending)
        reverse_candles(candles, pagep->count);
    return 0;
}

int px_hist_minute_before(const struct px_hist *hist, px_asset_id asset, int64_t before_ns, struct px_candle *minutep)
{
    struct pxi_walk *walk;
    int64_t end_ns;

    PX_CHECK(asset < hist->assets);
    int error = pxi_walk_open(hist, hist->stored[asset], 0, 0, INT64_MIN, &walk);
    if (error)
        return error;
    pxi_walk_seek(walk, before_ns - 1, true);
    int result = pxi_walk_next(walk, minutep, &end_ns) == 0 ? 0 : PX_E_NOT_FOUND;
    error = pxi_walk_close(&walk);
    return error ? error : result;
}
