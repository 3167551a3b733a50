/* Queries over history: pages of trades, and candles of any interval composed from minutes. */
#include "base/error.h"
#include "store/hist_private.h"

#define WEEK_S 604800

static bool range_ok(const struct px_hist *hist, px_asset_id asset, const struct px_range *range)
{
    return asset < hist->assets && range->limit > 0 && range->limit <= PX_PAGE_MAX;
}

/* Whether the page is taken from the newest end of the range. */
static bool from_newest(const struct px_range *range)
{
    return range->descending || range->start_ns == PX_TIME_NONE;
}

/* ---- trades ---- */

int pxi_trade_at(const struct px_hist *hist, const rocksdb_iterator_t *scan, uint32_t stored, struct px_trade *tradep)
{
    uint8_t prefix[4];
    size_t len;

    pxi_be32(prefix, stored);
    const uint8_t *key = pxi_scan_key(scan, prefix, sizeof prefix, PXI_TICK_KEY);
    if (!key)
        return PX_E_EMPTY;
    const char *value = rocksdb_iter_value(scan, &len);
    int error = pxi_trade_decode(key, value, len, tradep);
    if (!error)
        tradep->venue =
            tradep->venue < PX_COUNT_OF(hist->venue_today) ? hist->venue_today[tradep->venue] : PX_VENUE_NONE;
    return error;
}

/* Places the iterator on the first row of the page, in its direction. */
static void seek_trade(rocksdb_iterator_t *scan, uint32_t stored, const struct px_range *range, bool newest)
{
    int64_t time_ns = newest ? range->end_ns : range->start_ns;
    uint64_t sequence = 0;
    uint8_t key[PXI_TICK_KEY];

    if (range->cursor.set) {
        time_ns = range->cursor.time_ns;
        sequence = range->cursor.sequence;
    } else if (newest && time_ns == PX_TIME_NONE) {
        time_ns = INT64_MAX;
    }
    pxi_tick_key(key, stored, time_ns, sequence);
    if (newest)
        rocksdb_iter_seek_for_prev(scan, (char *)key, sizeof key);
    else
        rocksdb_iter_seek(scan, (char *)key, sizeof key);
}

/* The end is exclusive, and the row of the cursor was on the page before. */
static bool trade_on_page(const struct px_trade *trade, const struct px_range *range, bool quarantined)
{
    if (!quarantined && (trade->flags & PX_TICK_QUARANTINED))
        return false;
    if (range->end_ns != PX_TIME_NONE && trade->time_ns >= range->end_ns)
        return false;
    return !range->cursor.set || trade->time_ns != range->cursor.time_ns || trade->sequence != range->cursor.sequence;
}

static bool past_range(const struct px_trade *trade, const struct px_range *range, bool newest)
{
    if (newest)
        return range->start_ns != PX_TIME_NONE && trade->time_ns < range->start_ns;
    return range->end_ns != PX_TIME_NONE && trade->time_ns >= range->end_ns;
}

static void reverse(struct px_trade *trades, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        struct px_trade swap = trades[i];

        trades[i] = trades[count - 1 - i];
        trades[count - 1 - i] = swap;
    }
}

int px_hist_ticks(const struct px_hist *hist, px_asset_id asset, bool quarantined, const struct px_range *range,
                  struct px_trade *trades, struct px_page *pagep)
{
    bool newest = from_newest(range);
    struct px_trade trade;
    int result;

    memset(pagep, 0, sizeof *pagep);
    if (!range_ok(hist, asset, range))
        return PX_E_INVALID;
    uint32_t stored = hist->stored[asset];
    rocksdb_iterator_t *scan = pxi_scan(&hist->db, PXI_HIST_TICKS);
    seek_trade(scan, stored, range, newest);
    while ((result = pxi_trade_at(hist, scan, stored, &trade)) == 0 && !past_range(&trade, range, newest)) {
        if (trade_on_page(&trade, range, quarantined)) {
            if (pagep->count == range->limit) {
                pagep->more = true;
                break;
            }
            trades[pagep->count++] = trade;
            pagep->next = (struct px_cursor){true, trade.time_ns, trade.sequence};
        }
        newest ? rocksdb_iter_prev(scan) : rocksdb_iter_next(scan);
    }
    int error = pxi_scan_end(scan);
    if (error || (result != 0 && result != PX_E_EMPTY))
        return error ? error : result;
    if (newest && !range->descending)
        reverse(trades, pagep->count);
    return 0;
}

/* ---- candles ---- */

int pxi_candle_at(const rocksdb_iterator_t *scan, uint32_t stored, struct px_candle *candlep)
{
    uint8_t prefix[8];
    size_t len;

    pxi_be32(prefix, stored);
    pxi_be32(prefix + 4, 60);
    const uint8_t *key = pxi_scan_key(scan, prefix, sizeof prefix, PXI_CANDLE_KEY);
    if (!key)
        return PX_E_EMPTY;
    const char *value = rocksdb_iter_value(scan, &len);
    return pxi_candle_decode(key, value, len, candlep);
}

/* A candle query under way. `first` and `last` are bounds of candle starts: first <= start < last. */
struct query {
    rocksdb_iterator_t *scan;
    uint32_t stored, interval_s, limit;
    int64_t width_ns, first_ns, last_ns, final_ns;
    bool more;
};

static void seek_minute(const struct query *query, int64_t start_ns, bool backward)
{
    uint8_t key[PXI_CANDLE_KEY];

    pxi_candle_key(key, query->stored, start_ns);
    if (backward)
        rocksdb_iter_seek_for_prev(query->scan, (char *)key, sizeof key);
    else
        rocksdb_iter_seek(query->scan, (char *)key, sizeof key);
}

static int64_t aligned_up(int64_t time_ns, const struct query *query)
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

static void set_bounds(struct query *query, const struct px_range *range, bool partial)
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
static int find_first(struct query *query)
{
    int64_t current_ns = INT64_MAX;
    uint32_t seen = 0;
    struct px_candle minute;
    int result;

    seek_minute(query, aligned_up(query->last_ns, query) - 1, true);
    while ((result = pxi_candle_at(query->scan, query->stored, &minute)) == 0) {
        int64_t start_ns = px_candle_start(minute.start_ns, query->interval_s);

        if (start_ns < query->first_ns)
            break;
        if (start_ns != current_ns && seen == query->limit) {
            query->more = true;
            query->first_ns = current_ns;
            break;
        }
        seen += start_ns != current_ns;
        current_ns = start_ns;
        rocksdb_iter_prev(query->scan);
    }
    return result == PX_E_EMPTY ? 0 : result;
}

/* The price of `from` goes on being the price between two minutes, for a while. */
static void carry(struct px_candle *to, int64_t width_ns, const struct px_candle *from, int64_t until_ns)
{
    int64_t begin_ns = PX_MAX(from->start_ns + PX_MINUTE_NS, to->start_ns);
    int64_t end_ns = PX_MIN(PX_MIN(until_ns, to->start_ns + width_ns), from->last_ns + PX_CARRY_NS);

    if (from->count == 0 || end_ns <= begin_ns)
        return;
    to->area += (__int128)from->close * (end_ns - begin_ns);
    to->duration_ns += end_ns - begin_ns;
}

static void add_minute(struct px_candle *to, const struct px_candle *minute)
{
    if (to->count == 0) {
        to->open = minute->open;
        to->high = minute->high;
        to->low = minute->low;
    }
    to->high = PX_MAX(to->high, minute->high);
    to->low = PX_MIN(to->low, minute->low);
    to->close = minute->close;
    if (__builtin_add_overflow(to->volume, minute->volume, &to->volume))
        to->volume = INT64_MAX;
    to->count += minute->count;
    to->duration_ns += minute->duration_ns;
    to->last_ns = minute->last_ns;
    to->area += minute->area;
    to->value += minute->value;
}

/* Composes forward from `first`. `before` is the minute before it, count 0 if there is none. */
static int compose(struct query *query, struct px_candle before, struct px_candle *candles, uint32_t *countp)
{
    struct px_candle minute, *at = NULL;
    int result;

    *countp = 0;
    seek_minute(query, query->first_ns, false);
    for (; (result = pxi_candle_at(query->scan, query->stored, &minute)) == 0; rocksdb_iter_next(query->scan)) {
        int64_t start_ns = px_candle_start(minute.start_ns, query->interval_s);

        if (at)
            carry(at, query->width_ns, &before, minute.start_ns);
        if (!at || at->start_ns != start_ns) {
            if (start_ns >= query->last_ns)
                return 0;
            if (*countp == query->limit) {
                query->more = true;
                return 0;
            }
            at = &candles[(*countp)++];
            *at = (struct px_candle){.start_ns = start_ns, .final = start_ns + query->width_ns <= query->final_ns};
            carry(at, query->width_ns, &before, minute.start_ns);
        }
        add_minute(at, &minute);
        before = minute;
    }
    if (at && result == PX_E_EMPTY)
        carry(at, query->width_ns, &before, query->final_ns);
    return result == PX_E_EMPTY ? 0 : result;
}

static void reverse_candles(struct px_candle *candles, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        struct px_candle swap = candles[i];

        candles[i] = candles[count - 1 - i];
        candles[count - 1 - i] = swap;
    }
}

static int run(struct query *query, bool newest, struct px_candle *candles, struct px_page *pagep, int64_t *priorp)
{
    struct px_candle before = {.count = 0};
    int error = newest ? find_first(query) : 0;

    if (error)
        return error;
    seek_minute(query, query->first_ns - 1, true);
    error = pxi_candle_at(query->scan, query->stored, &before);
    if (error && error != PX_E_EMPTY)
        return error;
    if (error)
        before.count = 0;
    *priorp = before.count > 0 ? before.close : PX_PRICE_NONE;
    bool older = query->more;
    query->more = false;
    error = compose(query, before, candles, &pagep->count);
    pagep->more = newest ? older : query->more;
    return error;
}

int px_hist_candles(const struct px_hist *hist, px_asset_id asset, uint32_t interval_s, bool partial, int64_t final_ns,
                    const struct px_range *range, struct px_candle *candles, struct px_page *pagep, int64_t *priorp)
{
    bool newest = from_newest(range);

    memset(pagep, 0, sizeof *pagep);
    *priorp = PX_PRICE_NONE;
    if (!range_ok(hist, asset, range) || interval_s == 0 || interval_s % 60 != 0 || interval_s > WEEK_S)
        return PX_E_INVALID;
    struct query query = {.stored = hist->stored[asset],
                          .interval_s = interval_s,
                          .limit = range->limit,
                          .width_ns = interval_s * PX_NS_PER_S,
                          .final_ns = final_ns};
    set_bounds(&query, range, partial);
    if (query.first_ns >= query.last_ns)
        return 0;
    query.scan = pxi_scan(&hist->db, PXI_HIST_CANDLES);
    int result = run(&query, newest, candles, pagep, priorp);
    int error = pxi_scan_end(query.scan);
    if (error || result)
        return error ? error : result;
    if (pagep->count > 0)
        pagep->next = (struct px_cursor){true, candles[newest ? 0 : pagep->count - 1].start_ns, 0};
    if (range->descending)
        reverse_candles(candles, pagep->count);
    return 0;
}
