/* Candles of less than a minute, made of trades when they are asked for: as rows they would take more room than the
 * trades. */
#include "base/error.h"
#include "store/hist_private.h"

#define DAY_NS (86400 * PX_NS_PER_S)

/* Trades that count, and so many days back as the configuration says. */
static int next_counted(struct pxi_trades *walk, struct px_trade *tradep)
{
    int result;

    while ((result = pxi_trades_next(walk, tradep)) == 0 && !pxi_trade_counts(tradep))
        ;
    return result;
}

static void clip_to_days(const struct px_hist *hist, struct pxi_query *query)
{
    uint32_t days = px_names_config(hist->names)->history.candles_1s;

    if (days > 0 && query->final_ns > 0)
        query->first_ns = PX_MAX(query->first_ns, px_candle_start(query->final_ns - days * DAY_NS, query->interval_s));
}

/* As in candles of rows: the oldest start of the newest `limit`. */
static int find_first(const struct px_hist *hist, uint32_t stored, struct pxi_query *query)
{
    int64_t current_ns = INT64_MAX;
    struct pxi_trades *walk;
    struct px_trade trade;
    uint32_t seen = 0;
    int64_t end_ns = px_candle_start(query->last_ns - 1, query->interval_s) + query->width_ns;
    int error = pxi_trades_open(hist, stored, end_ns - 1, UINT64_MAX, true, &walk);

    while (!error && next_counted(walk, &trade) == 0) {
        int64_t start_ns = px_candle_start(trade.time_ns, query->interval_s);

        if (start_ns < query->first_ns)
            break;
        if (start_ns != current_ns && seen == query->limit) {
            query->more = true;
            query->first_ns = current_ns;
            break;
        }
        seen += start_ns != current_ns;
        current_ns = start_ns;
    }
    int failed = pxi_trades_close(&walk);
    return error ? error : failed;
}

static int trade_before(const struct px_hist *hist, uint32_t stored, int64_t time_ns, struct px_candle *beforep)
{
    struct pxi_trades *walk;
    struct px_trade trade;
    int error = pxi_trades_open(hist, stored, time_ns - 1, UINT64_MAX, true, &walk);

    beforep->count = 0;
    if (!error && next_counted(walk, &trade) == 0)
        *beforep = (struct px_candle){.close = trade.price, .last_ns = trade.time_ns, .count = 1};
    int failed = pxi_trades_close(&walk);
    return error ? error : failed;
}

static void add(struct px_candle *to, const struct px_trade *trade)
{
    struct px_candle one = {.open = trade->price,
                            .high = trade->price,
                            .low = trade->price,
                            .close = trade->price,
                            .volume = trade->size,
                            .count = 1,
                            .last_ns = trade->time_ns,
                            .value = (__int128)trade->price * trade->size};

    px_candle_add(to, &one);
}

/* `before` is the trade before; its price holds from its time on. */
static int compose(const struct px_hist *hist, uint32_t stored, struct pxi_query *query, struct px_candle before,
                   struct px_candle *candles, uint32_t *countp)
{
    struct px_candle *at = NULL;
    struct pxi_trades *walk;
    struct px_trade trade;
    int error = pxi_trades_open(hist, stored, query->first_ns, 0, false, &walk);

    *countp = 0;
    while (!error && next_counted(walk, &trade) == 0) {
        int64_t start_ns = px_candle_start(trade.time_ns, query->interval_s);

        if (at)
            px_candle_carry(at, query->width_ns, &before, before.last_ns, trade.time_ns);
        if (!at || at->start_ns != start_ns) {
            query->more = start_ns < query->last_ns && *countp == query->limit;
            if (start_ns >= query->last_ns || query->more) {
                at = NULL;
                break;
            }
            at = &candles[(*countp)++];
            *at = (struct px_candle){.start_ns = start_ns, .final = start_ns + query->width_ns <= query->final_ns};
            px_candle_carry(at, query->width_ns, &before, before.last_ns, trade.time_ns);
        }
        add(at, &trade);
        before = (struct px_candle){.close = trade.price, .last_ns = trade.time_ns, .count = 1};
    }
    if (at)
        px_candle_carry(at, query->width_ns, &before, before.last_ns, query->final_ns);
    int failed = pxi_trades_close(&walk);
    return error ? error : failed;
}

int pxi_fine_candles(const struct px_hist *hist, uint32_t stored, struct pxi_query *query, bool newest,
                     struct px_candle *candles, struct px_page *pagep, int64_t *priorp)
{
    struct px_candle before;

    clip_to_days(hist, query);
    if (query->first_ns >= query->last_ns)
        return 0;
    int error = newest ? find_first(hist, stored, query) : 0;
    bool older = query->more;
    query->more = false;
    if (!error)
        error = trade_before(hist, stored, query->first_ns, &before);
    if (error)
        return error;
    *priorp = before.count > 0 ? before.close : PX_PRICE_NONE;
    error = compose(hist, stored, query, before, candles, &pagep->count);
    pagep->more = newest ? older : query->more;
    return error;
}
