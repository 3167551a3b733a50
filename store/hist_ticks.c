/*
 * Trades in order of time and arrival, out of four places: blocks on disk, rows aside, imported blocks, and the open one. A trade
 * that is in two of them, because its block was sealed meanwhile, is given once. A damaged row is passed over.
 */
#include <stdlib.h>

#include "base/error.h"
#include "store/hist_private.h"

enum { FROM_BLOCKS, FROM_ASIDE, FROM_IMPORTED, FROM_OPEN, PLACES };

static const struct pxi_place *const places[FROM_OPEN] = {&pxi_ticks_place, &pxi_aside_place, &pxi_imported_place};

/* Trades of one row, and which is next. */
struct place {
    struct pxi_rows rows; /* scan NULL: the open block, which has but one */
    unsigned count, at;
    struct px_trade trades[PX_BLOCK_TRADES];
};

struct pxi_trades {
    const struct px_hist *hist;
    bool backward;
    int64_t time_ns; /* where it begins */
    uint64_t sequence;
    struct pxi_view view;
    struct place place[PLACES];
};

static bool before(const struct px_trade *trade, int64_t time_ns, uint64_t sequence)
{
    return trade->time_ns != time_ns ? trade->time_ns < time_ns : trade->sequence < sequence;
}

static bool after(const struct px_trade *trade, int64_t time_ns, uint64_t sequence)
{
    return trade->time_ns != time_ns ? trade->time_ns > time_ns : trade->sequence > sequence;
}

/* Takes the row under `key`, in the walk's direction and without what lies before its beginning. */
static void take_row(struct pxi_trades *walk, struct place *place, const uint8_t *key)
{
    size_t len;
    const char *value = rocksdb_iter_value(place->rows.scan, &len);

    place->at = 0;
    if (px_block_decode(value, len, place->trades, &place->count) != 0)
        pxi_hist_damaged(walk->hist, "trades", place->rows.stored, pxi_rows_time(&place->rows, key));
}

/* The open block has its trades in ascending order too: backward means from its end. */
static const struct px_trade *current(const struct pxi_trades *walk, const struct place *place)
{
    return &place->trades[walk->backward ? place->count - 1 - place->at : place->at];
}

static void skip_to_start(struct pxi_trades *walk, struct place *place)
{
    for (; place->at < place->count; place->at++) {
        const struct px_trade *trade = current(walk, place);

        if (walk->backward ? !after(trade, walk->time_ns, walk->sequence)
                           : !before(trade, walk->time_ns, walk->sequence))
            return;
    }
}

/* Whatever is next in this place stands at its `at`, or it is over. */
static void refill(struct pxi_trades *walk, struct place *place)
{
    while (place->at >= place->count && place->rows.scan) {
        const uint8_t *key = pxi_rows_step(&place->rows, walk->backward);

        place->at = place->count = 0;
        if (!key)
            return;
        take_row(walk, place, key);
    }
}

static void begin(struct pxi_trades *walk, struct place *place)
{
    enum pxi_seek how = walk->backward ? PXI_SEEK_UP_TO : PXI_SEEK_COVERING;
    const uint8_t *key = pxi_rows_seek(&place->rows, walk->time_ns, walk->sequence, how);

    if (!key)
        return;
    take_row(walk, place, key);
    skip_to_start(walk, place);
    refill(walk, place);
}

int pxi_trades_open(const struct px_hist *hist, uint32_t stored, int64_t time_ns, uint64_t sequence, bool backward,
                    struct pxi_trades **walkp)
{
    struct pxi_trades *walk = malloc(sizeof *walk);

    *walkp = walk;
    if (!walk)
        return PX_E_MEMORY;
    walk->hist = hist;
    walk->backward = backward;
    walk->time_ns = time_ns;
    walk->sequence = sequence;
    for (unsigned i = 0; i < PLACES; i++) {
        walk->place[i].count = walk->place[i].at = 0;
        walk->place[i].rows = (struct pxi_rows){.stored = stored};
    }
    struct place *open = &walk->place[FROM_OPEN]; /* before the view: see open.c */
    int error = pxi_open_copy(hist, stored, open->trades, &open->count);
    pxi_view_open(&hist->db, &walk->view);
    skip_to_start(walk, open);
    for (unsigned i = FROM_BLOCKS; i < FROM_OPEN; i++) {
        walk->place[i].rows.place = *places[i];
        walk->place[i].rows.scan = pxi_view_scan(&hist->db, &walk->view, walk->place[i].rows.place.family);
        begin(walk, &walk->place[i]);
    }
    return error;
}

int pxi_trades_next(struct pxi_trades *walk, struct px_trade *tradep)
{
    const struct px_trade *best = NULL;

    for (unsigned i = 0; i < PLACES; i++) {
        struct place *place = &walk->place[i];

        if (place->at >= place->count)
            continue;
        const struct px_trade *trade = current(walk, place);
        if (!best || (walk->backward ? after : before)(trade, best->time_ns, best->sequence))
            best = trade;
    }
    if (!best)
        return PX_E_EMPTY;
    *tradep = *best;
    for (unsigned i = 0; i < PLACES; i++) {
        struct place *place = &walk->place[i];

        if (place->at >= place->count)
            continue;
        const struct px_trade *trade = current(walk, place);
        if (trade->time_ns == tradep->time_ns && trade->sequence == tradep->sequence) {
            place->at++;
            refill(walk, place);
        }
    }
    const uint16_t *today = walk->hist->venue_today;
    tradep->venue = tradep->venue < PX_COUNT_OF(walk->hist->venue_today) ? today[tradep->venue] : PX_VENUE_NONE;
    return 0;
}

int pxi_trades_close(struct pxi_trades **walkp)
{
    struct pxi_trades *walk = *walkp;
    int error = 0;

    if (!walk)
        return 0;
    for (unsigned i = 0; i < FROM_OPEN; i++) {
        int failed = pxi_scan_end(walk->place[i].rows.scan);

        error = error ? error : failed;
    }
    pxi_view_close(&walk->hist->db, &walk->view);
    free(walk);
    *walkp = NULL;
    return error;
}

/* ---- pages ---- */

/* The end is exclusive, and the row of the cursor was on the page before. */
static bool on_page(const struct px_trade *trade, const struct px_range *range, bool quarantined)
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

/* Places the walk on the first trade of the page, in its direction. */
static int walk_page(const struct px_hist *hist, uint32_t stored, const struct px_range *range, bool newest,
                     struct pxi_trades **walkp)
{
    int64_t time_ns = newest ? range->end_ns : range->start_ns;
    uint64_t sequence = 0;

    if (range->cursor.set) {
        time_ns = range->cursor.time_ns;
        sequence = range->cursor.sequence;
    } else if (newest && time_ns == PX_TIME_NONE) {
        time_ns = INT64_MAX;
        sequence = UINT64_MAX;
    }
    return pxi_trades_open(hist, stored, time_ns, sequence, newest, walkp);
}

int px_hist_ticks(const struct px_hist *hist, px_asset_id asset, bool quarantined, const struct px_range *range,
                  struct px_trade *trades, struct px_page *pagep)
{
    bool newest = range->descending || range->start_ns == PX_TIME_NONE;
    struct pxi_trades *walk;
    struct px_trade trade;

    memset(pagep, 0, sizeof *pagep);
    if (asset >= hist->assets || range->limit == 0 || range->limit > PX_PAGE_MAX)
        return PX_E_INVALID;
    int error = walk_page(hist, hist->stored[asset], range, newest, &walk);
    while (!error && pxi_trades_next(walk, &trade) == 0 && !past_range(&trade, range, newest)) {
        if (!on_page(&trade, range, quarantined))
            continue;
        if (pagep->count == range->limit) {
            pagep->more = true;
            break;
        }
        trades[pagep->count++] = trade;
        pagep->next = (struct px_cursor){true, trade.time_ns, trade.sequence};
    }
    int failed = pxi_trades_close(&walk);
    if (error || failed)
        return error ? error : failed;
    if (newest && !range->descending)
        reverse(trades, pagep->count);
    return 0;
}

int px_hist_each_trade(const struct px_hist *hist, px_asset_id asset, int64_t start_ns, int64_t end_ns,
                       px_hist_each *each, void *context)
{
    struct pxi_trades *walk;
    struct px_trade trade;

    PX_CHECK(asset < hist->assets);
    int error = pxi_trades_open(hist, hist->stored[asset], start_ns, 0, false, &walk);
    while (!error && pxi_trades_next(walk, &trade) == 0 && trade.time_ns < end_ns)
        each(context, &trade);
    int failed = pxi_trades_close(&walk);
    return error ? error : failed;
}
