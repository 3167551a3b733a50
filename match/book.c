#include "match/book.h"

#include <stdlib.h>

#include "base/error.h"
#include "match/book_private.h"

int px_book_create(uint32_t assets, size_t bytes, const struct px_index *index, const struct px_book_out *out, struct px_book **bookp)
{
    struct px_book *book = calloc(1, sizeof *book);

    *bookp = book;
    if (!book)
        return PX_E_MEMORY;
    book->index = *index;
    book->out = *out;
    book->assets = assets;
    book->bytes_most = bytes;
    px_book_widths(book, PXI_WIDTH_FIRST, PXI_WIDTH_MOST);
    book->series = calloc((size_t)assets * PX_SERIES + 1, sizeof(*book->series));
    book->rows = calloc(PXI_SCAN_MAX, sizeof *book->rows);
    if (book->series && book->rows)
        return 0;
    px_book_destroy(bookp);
    return PX_E_MEMORY;
}

void px_book_widths(struct px_book *book, uint32_t first, uint32_t most)
{
    book->width_first = first;
    book->width_most = most;
}

void px_book_destroy(struct px_book **bookp)
{
    struct px_book *book = *bookp;

    if (!book)
        return;
    for (uint32_t i = 0; i < book->list_count; i++) {
        pxi_window_clear(&book->list[i]->window[0]);
        pxi_window_clear(&book->list[i]->window[1]);
        free(book->list[i]);
    }
    free(book->series);
    free(book->list);
    free(book->dirty);
    free(book->rows);
    free(book);
    *bookp = NULL;
}

int px_book_expect(struct px_book *book, px_asset_id asset, unsigned series)
{
    struct pxi_series_book *of;
    int error = pxi_book_series(book, asset, series, &of);

    return error ? error : pxi_book_touch(book, of);
}

int px_book_load(struct px_book *book, px_asset_id asset, unsigned series)
{
    struct pxi_series_book *of;
    int error = pxi_book_series(book, asset, series, &of);

    for (unsigned down = 0; down < 2 && !error; down++)
        if (!of->window[down].loaded)
            error = pxi_book_refill(book, of, down);
    if (!error && !book->unsettled)
        px_book_settled(book);
    return error;
}

/* ---- one alert ---- */

int px_book_add(struct px_book *book, struct px_alert_id alert, px_asset_id asset, const struct px_plan *plan)
{
    struct px_place place[PX_PLACES_MAX];
    unsigned count = px_plan_places(plan, place);
    int error = 0;

    for (unsigned i = 0; i < count && !error; i++)
        error = pxi_book_put(book, asset, alert, plan, &place[i]);
    return error;
}

static int drop_all(struct px_book *book, struct px_alert_id alert, px_asset_id asset, const struct px_place *place, unsigned count)
{
    int error = 0;

    for (unsigned i = 0; i < count && !error; i++)
        error = pxi_book_drop(book, asset, alert, &place[i]);
    return error;
}

int px_book_remove(struct px_book *book, struct px_alert_id alert, px_asset_id asset, const struct px_plan *made)
{
    struct px_place place[PX_CANDIDATES_MAX];

    return drop_all(book, alert, asset, place, px_plan_candidates(made, place));
}

static bool in_window(const struct px_book *book, struct px_alert_id alert, px_asset_id asset, const struct px_place *place,
                      struct px_plan *planp)
{
    const struct pxi_series_book *of = book->series[(size_t)asset * PX_SERIES + place->series];
    struct pxi_entry key = {.level = place->level, .alert = alert, .leg = place->leg};
    bool found;

    if (!of)
        return false;
    uint32_t i = pxi_window_find(&of->window[place->down], &key, &found);
    if (!found)
        return false;
    const struct pxi_entry *entry = pxi_window_at(&of->window[place->down], i);
    return px_plan_decode(pxi_entry_bytes(entry), entry->len, place, planp) == 0;
}

int px_book_find(struct px_book *book, struct px_alert_id alert, px_asset_id asset, const struct px_plan *made, struct px_plan *planp)
{
    struct px_place place[PX_CANDIDATES_MAX];
    unsigned count = px_plan_candidates(made, place);
    struct px_row row;

    for (unsigned i = 0; i < count; i++)
        if (in_window(book, alert, asset, &place[i], planp))
            return 0;
    if (book->unsettled) { /* what lies beyond the windows is in the group alone, and what was dropped is still in the index */
        int error = book->index.settle(book->index.ctx);

        book->unsettled &= error != 0;
        if (error)
            return error;
    }
    for (unsigned i = 0; i < count; i++) {
        int error = book->index.get(book->index.ctx, asset, &place[i], alert, &row);

        if (error != PX_E_NOT_FOUND)
            return error ? error : px_plan_decode(row.bytes, row.len, &place[i], planp);
    }
    return PX_E_NOT_FOUND;
}

/* ---- values ---- */

/* A value on its way through the lists of a series. */
struct sweep {
    struct px_book *book;
    const struct px_hit *hit;
    int64_t value, time_ns;
    bool down;
    bool within; /* of a span: only what px_plan_crossed_within, with `value` as the last one */
    int64_t reach; /* how far the list is looked at */
};

static int64_t prev_of(const struct sweep *sweep, unsigned op)
{
    const struct px_hit *hit = sweep->hit;

    if (!(hit->flags & PX_HIT_SPAN))
        return hit->prev;
    if (hit->prev == PX_PRICE_NONE) /* the other side, from which it was reached: a price that was there */
        return sweep->down ? hit->span.high : hit->span.low;
    if (op == PX_OP_CROSSING_UP)
        return PX_MIN(hit->prev, hit->span.low);
    return op == PX_OP_CROSSING_DOWN ? PX_MAX(hit->prev, hit->span.high) : hit->prev;
}

static int fire(const struct sweep *sweep, struct px_alert_id alert, const struct px_leg *leg, unsigned at, const struct px_plan *plan,
                bool last)
{
    struct px_book *book = sweep->book;
    struct px_fired fired = {.alert = alert,
                             .op = leg->op,
                             .leg = (uint8_t)at,
                             .down = sweep->down,
                             .last = last,
                             .fire_number = (uint32_t)plan->fires,
                             .level = leg->a != INT64_MIN && (!sweep->down || leg->b == INT64_MAX) ? leg->a : leg->b,
                             .hit = sweep->hit,
                             .value = sweep->within ? sweep->reach : sweep->value,
                             .prev = prev_of(sweep, leg->op),
                             .time_ns = sweep->time_ns};
    int error = book->out.fire(book->out.ctx, &fired);

    if (error == PX_E_AGAIN) {
        error = book->index.settle(book->index.ctx);
        book->unsettled &= error != 0;
        if (!error)
            error = book->out.fire(book->out.ctx, &fired);
    }
    book->stats.fires++;
    return error;
}

/* The plan has heard the value: what it tells, and where it waits from now on. */
static int move(const struct sweep *sweep, struct px_alert_id alert, unsigned at, struct px_plan *plan)
{
    struct px_moment moment = {sweep->hit->position, sweep->time_ns, sweep->hit->matched_ns};
    struct px_leg leg = plan->leg[at];
    struct px_place before[PX_PLACES_MAX];
    unsigned count = px_plan_places(plan, before);
    enum px_verdict verdict = sweep->within ? pxi_plan_crossed(plan, sweep->value, &moment)
                                            : px_plan_value(plan, at, sweep->value, &moment);
    int error = 0;

    if (verdict == PX_VERDICT_FIRES || verdict == PX_VERDICT_LAST)
        error = fire(sweep, alert, &leg, at, plan, verdict == PX_VERDICT_LAST);
    if (!error)
        error = drop_all(sweep->book, alert, sweep->hit->asset, before, count);
    if (!error && verdict == PX_VERDICT_EXPIRED)
        sweep->book->out.expired(sweep->book->out.ctx, alert);
    if (!error && verdict != PX_VERDICT_LAST && verdict != PX_VERDICT_EXPIRED)
        error = px_book_add(sweep->book, alert, sweep->hit->asset, plan);
    sweep->book->stats.moves++;
    return error;
}

/* Is the entry older than it, or not what a span is looking for? Then it stays. */
static bool passed_over(const struct sweep *sweep, const struct px_plan *plan)
{
    const struct px_span *span = &sweep->hit->span;

    if (plan->young_generation != 0 && plan->young_generation == sweep->book->generation &&
        sweep->hit->position < plan->young_position)
        return true;
    if (!sweep->within)
        return false;
    return !px_plan_crossed_within(plan, span) || (plan->fires > 0 && plan->fired_ns >= PX_MIN(span->low_ns, span->high_ns));
}

/* The entry at `i`, with more fetched if the window ends before it; NULL: there is none that is reached. */
static int entry_at(const struct sweep *sweep, struct pxi_series_book *of, uint32_t i, const struct pxi_entry **entryp)
{
    struct pxi_window *window = &of->window[sweep->down];

    *entryp = NULL;
    while (i >= window->count && !(window->loaded && window->complete)) {
        if (window->loaded)
            window->width = PX_MIN(window->width * 2, sweep->book->width_most);
        int error = pxi_book_refill(sweep->book, of, sweep->down);
        if (error)
            return error;
    }
    if (i < window->count && px_place_reached(pxi_window_at(window, i)->level, sweep->down, sweep->reach))
        *entryp = pxi_window_at(window, i);
    return 0;
}

/* Has a crossing within a span left the alert where it was? Seen once a span, or it would be found for ever. */
static bool stands_still(const struct pxi_window *window, uint32_t i, const struct px_place *place, struct px_alert_id alert)
{
    const struct pxi_entry *entry = i < window->count ? pxi_window_at(window, i) : NULL;

    return entry && entry->level == place->level && entry->leg == place->leg && entry->alert.hi == alert.hi &&
           entry->alert.lo == alert.lo;
}

/* A row that says of itself something else than where it stands would be met again and again. */
static bool waits_at(const struct px_plan *plan, const struct px_place *place)
{
    struct px_place own[PX_PLACES_MAX];
    unsigned count = px_plan_places(plan, own);

    for (unsigned i = 0; i < count; i++)
        if (own[i].level == place->level && own[i].series == place->series && own[i].down == place->down && own[i].leg == place->leg)
            return true;
    return false;
}

static int sweep_list(const struct sweep *sweep)
{
    struct pxi_series_book *of;
    const struct pxi_entry *entry;
    uint32_t passed = 0;
    struct px_plan plan;

    int error = pxi_book_series(sweep->book, sweep->hit->asset, (unsigned)sweep->hit->series, &of);
    while (!error && (error = entry_at(sweep, of, passed, &entry)) == 0 && entry) {
        struct px_place place = {.level = entry->level, .series = of->series, .down = sweep->down, .leg = entry->leg};
        struct px_alert_id alert = entry->alert;

        error = px_plan_decode(pxi_entry_bytes(entry), entry->len, &place, &plan);
        if (error || !waits_at(&plan, &place)) { /* nobody can make sense of it, today or tomorrow */
            error = pxi_book_drop(sweep->book, sweep->hit->asset, alert, &place);
            sweep->book->stats.unreadable++;
        } else if (passed_over(sweep, &plan)) {
            passed++;
        } else if (sweep->book->slice > 0 && sweep->book->left == 0) {
            error = PX_E_AGAIN;
        } else {
            sweep->book->left--;
            error = move(sweep, alert, place.leg, &plan);
            passed += sweep->within && stands_still(&of->window[sweep->down], passed, &place, alert);
        }
    }
    return error;
}

static int one_value(struct px_book *book, const struct px_hit *hit, int64_t value, int64_t time_ns, int directions)
{
    struct sweep sweep = {.book = book, .hit = hit, .value = value, .time_ns = time_ns, .reach = value};
    int error = directions & 1 ? sweep_list(&sweep) : 0;

    sweep.down = true;
    return !error && directions & 2 ? sweep_list(&sweep) : error;
}

/* What crossed back within the span, though its ends do not show it. */
static int within(struct px_book *book, const struct px_hit *hit)
{
    const struct px_span *span = &hit->span;
    struct sweep sweep = {.book = book, .hit = hit, .value = hit->value, .time_ns = hit->time_ns, .within = true};
    int error = 0;

    if (span->rise_from < span->rise_to) {
        sweep.reach = span->rise_to;
        error = sweep_list(&sweep);
    }
    if (error || span->fall_from <= span->fall_to)
        return error;
    sweep.down = true;
    sweep.reach = span->fall_to;
    return sweep_list(&sweep);
}

/* Stages in order; each done again from its beginning does no harm. */
static int apply_span(struct px_book *book, const struct px_hit *hit, uint32_t *stagep)
{
    bool high_first = hit->span.high_ns <= hit->span.low_ns;
    int error = 0;

    for (; *stagep < 3 && !error; *stagep += !error) {
        bool high = (*stagep == 0) == high_first;

        if (*stagep == 2)
            error = within(book, hit);
        else
            error = one_value(book, hit, high ? hit->span.high : hit->span.low, high ? hit->span.high_ns : hit->span.low_ns, 3);
    }
    return error ? error : one_value(book, hit, hit->value, hit->time_ns, 3);
}

void px_book_slice(struct px_book *book, uint32_t moves)
{
    book->slice = moves;
}

int px_book_apply(struct px_book *book, const struct px_hit *hit, uint64_t generation, uint32_t *stagep)
{
    if (hit->asset >= book->assets || hit->series >= PX_SERIES || hit->value == PX_PRICE_NONE)
        return 0;
    book->generation = generation;
    book->left = book->slice;
    if (hit->flags & PX_HIT_SPAN)
        return apply_span(book, hit, stagep);
    return one_value(book, hit, hit->value, hit->time_ns, 3);
}

/* ---- what has no hurry ---- */

/* Where there is no room, what a refill brings would only push others out: then it waits until a value asks for it. */
static bool runs_short(const struct px_book *book, const struct pxi_window *window)
{
    return !window->loaded || (!window->complete && window->count < window->width / 4 && book->bytes < book->bytes_most);
}

int px_book_tend(struct px_book *book)
{
    int worked = 0;

    for (uint32_t looked = 0; looked < 256 && looked < book->list_count && worked < 4; looked++) {
        struct pxi_series_book *of = book->list[book->tend++ % book->list_count];

        for (unsigned down = 0; down < 2; down++) {
            if (!runs_short(book, &of->window[down]))
                continue;
            int error = pxi_book_refill(book, of, down);
            if (error)
                return error;
            worked++;
        }
    }
    if (worked > 0 && !book->unsettled)
        px_book_settled(book);
    return worked > 0;
}

unsigned px_book_depth(struct px_book *book, px_asset_id asset, unsigned series, bool down, struct px_depth_level *depth, unsigned most,
                       bool *morep)
{
    const struct pxi_series_book *of = book->series[(size_t)asset * PX_SERIES + series];
    const struct pxi_window *window = of ? &of->window[down] : NULL;
    unsigned count = 0;

    *morep = window && !(window->loaded && window->complete);
    for (uint32_t i = 0; window && i < window->count; i++) {
        int64_t level = pxi_window_at(window, i)->level;

        if (level == PX_PRICE_NONE) /* waits for any value at all */
            continue;
        if (count > 0 && depth[count - 1].level == level) {
            depth[count - 1].count++;
        } else if (count < most) {
            depth[count++] = (struct px_depth_level){level, 1};
        } else {
            *morep = true;
            break;
        }
    }
    return count;
}

void px_book_stats(const struct px_book *book, struct px_book_stats *statsp)
{
    *statsp = book->stats;
    statsp->bytes = book->bytes;
    statsp->lists = book->list_count;
}
