/* The lists of a book: windows over the index, what they cost, and how near the nearest is. */
#include <stdlib.h>

#include "base/error.h"
#include "match/book_private.h"

#define WIDTH_MIN  4u  /* of a window that has to give way to others */
#define GIVE_WAY   32u /* windows asked at a time, so that no call is long */

/* ---- near ---- */

/* What is not known might be anywhere. */
static int64_t nearest(const struct pxi_series_book *of, bool down)
{
    const struct pxi_window *window = &of->window[down];

    if (window->loaded && window->count > 0)
        return pxi_window_at(window, 0)->level;
    if (window->loaded && window->complete)
        return down ? INT64_MIN : INT64_MAX;
    return down ? INT64_MAX : INT64_MIN;
}

static int make_dirty(struct px_book *book, struct pxi_series_book *of)
{
    if (of->dirty)
        return 0;
    if (book->dirty_count == book->dirty_size) {
        uint32_t size = PX_MAX(book->dirty_size * 2, 64u);
        struct pxi_series_book **dirty = realloc(book->dirty, size * sizeof(*dirty));

        if (!dirty)
            return PX_E_MEMORY;
        book->dirty = dirty;
        book->dirty_size = size;
    }
    book->dirty[book->dirty_count++] = of;
    of->dirty = true;
    return 0;
}

static void tell(struct px_book *book, struct pxi_series_book *of, int64_t up, int64_t down)
{
    if (up == of->told_up && down == of->told_down)
        return;
    of->told_up = up;
    of->told_down = down;
    book->out.near(book->out.ctx, of->asset, of->series, up, down);
}

int pxi_book_touch(struct px_book *book, struct pxi_series_book *of)
{
    tell(book, of, PX_MIN(of->told_up, nearest(of, false)), PX_MAX(of->told_down, nearest(of, true)));
    return make_dirty(book, of);
}

void px_book_attend(struct px_book *book, px_asset_id asset, unsigned series)
{
    struct pxi_series_book *of;

    PX_CHECK(pxi_book_series(book, asset, series, &of) == 0); /* out of memory ends the process; its successor loads again */
    of->attended = true;
    PX_CHECK(make_dirty(book, of) == 0);
    tell(book, of, INT64_MIN, of->told_down);
}

void px_book_settled(struct px_book *book)
{
    book->unsettled = false;
    while (book->dirty_count > 0) {
        struct pxi_series_book *of = book->dirty[--book->dirty_count];

        of->dirty = of->attended = false;
        for (unsigned down = 0; down < 2; down++)
            of->window[down].fresh = of->window[down].behind = false;
        tell(book, of, nearest(of, false), nearest(of, true));
    }
}

/* ---- memory ---- */

static size_t bytes_of(const struct pxi_window *window)
{
    return window->size * sizeof *window->at;
}

/* Windows give way in the order of a clock: the farther half goes, the nearest stays, so that `near` remains known. */
static void give_way(struct px_book *book, struct pxi_window *window)
{
    book->bytes -= bytes_of(window);
    book->stats.resident -= window->count;
    pxi_window_trim(window, PX_MAX(window->count / 2, 1u));
    pxi_window_fit(window);
    window->width = PX_MAX(window->width / 2, WIDTH_MIN);
    book->stats.resident += window->count;
    book->bytes += bytes_of(window);
}

static void make_room(struct px_book *book, const struct pxi_series_book *except)
{
    for (uint32_t tries = 0; book->bytes > book->bytes_most && tries < PX_MIN(book->list_count, GIVE_WAY); tries++) {
        struct pxi_series_book *of = book->list[book->hand++ % book->list_count];

        for (unsigned down = 0; down < 2 && of != except; down++)
            give_way(book, &of->window[down]);
    }
}

int pxi_book_series(struct px_book *book, px_asset_id asset, unsigned series, struct pxi_series_book **seriesp)
{
    PX_CHECK(asset < book->assets && series < PX_SERIES);
    struct pxi_series_book **at = &book->series[(size_t)asset * PX_SERIES + series];

    *seriesp = *at;
    if (*at)
        return 0;
    if (book->list_count == book->list_size) {
        uint32_t size = PX_MAX(book->list_size * 2, 64u);
        struct pxi_series_book **list = realloc(book->list, size * sizeof(*list));

        if (!list)
            return PX_E_MEMORY;
        book->list = list;
        book->list_size = size;
    }
    struct pxi_series_book *of = calloc(1, sizeof *of);
    if (!of)
        return PX_E_MEMORY;
    of->asset = asset;
    of->series = (uint8_t)series;
    of->told_up = INT64_MAX;
    of->told_down = INT64_MIN;
    of->window[0].width = of->window[1].width = book->width_first;
    of->window[1].down = true;
    *seriesp = *at = book->list[book->list_count++] = of;
    return 0;
}

/* ---- rows ---- */

static struct pxi_entry key_of(struct px_alert_id alert, const struct px_place *place)
{
    return (struct pxi_entry){.level = place->level, .alert = alert, .leg = place->leg};
}

static int into_window(struct px_book *book, struct pxi_series_book *of, bool down, const struct pxi_entry *key,
                       const uint8_t *bytes, size_t len)
{
    struct pxi_window *window = &of->window[down];

    book->bytes -= bytes_of(window);
    book->stats.resident -= window->count;
    int error = pxi_window_insert(window, key, bytes, len);
    book->stats.resident += window->count;
    book->bytes += bytes_of(window);
    return error;
}

/* The widest that a window gets by what is put into it. */
static void keep_narrow(struct px_book *book, struct pxi_window *window)
{
    if (window->count <= 2 * window->width + 16)
        return;
    book->bytes -= bytes_of(window);
    book->stats.resident -= window->count;
    pxi_window_trim(window, window->width);
    book->stats.resident += window->count;
    book->bytes += bytes_of(window);
}

/* The group under way changes this row of the list. True: it is one of those that the window has. */
static bool changes(struct pxi_window *window, const struct pxi_entry *key)
{
    bool covers = pxi_window_covers(window, key);

    *(covers ? &window->fresh : &window->behind) = true;
    return covers;
}

int pxi_book_put(struct px_book *book, px_asset_id asset, struct px_alert_id alert, const struct px_plan *plan,
                 const struct px_place *place)
{
    struct px_row row = {.alert = alert, .asset = asset, .place = *place};
    struct pxi_entry key = key_of(alert, place);
    struct pxi_series_book *of;

    int error = pxi_book_series(book, asset, place->series, &of);
    if (error)
        return error;
    row.len = (uint16_t)px_plan_encode(plan, place, row.bytes);
    book->index.put(book->index.ctx, &row);
    book->unsettled = true;
    struct pxi_window *window = &of->window[place->down];
    if (changes(window, &key)) {
        error = into_window(book, of, place->down, &key, row.bytes, row.len);
        keep_narrow(book, window);
    }
    make_room(book, of);
    return error ? error : pxi_book_touch(book, of);
}

int pxi_book_drop(struct px_book *book, px_asset_id asset, struct px_alert_id alert, const struct px_place *place)
{
    struct pxi_entry key = key_of(alert, place);
    struct pxi_series_book *of;
    bool found;

    int error = pxi_book_series(book, asset, place->series, &of);
    if (error)
        return error;
    book->index.drop(book->index.ctx, asset, place, alert);
    book->unsettled = true;
    struct pxi_window *window = &of->window[place->down];
    uint32_t i = pxi_window_find(window, &key, &found);
    if (changes(window, &key) && found) {
        pxi_window_remove(window, i);
        book->stats.resident--;
    }
    return make_dirty(book, of);
}

int pxi_book_refill(struct px_book *book, struct pxi_series_book *of, bool down)
{
    struct pxi_window *window = &of->window[down];
    struct px_row after = {.asset = of->asset, .place = {.series = of->series, .down = down}};
    unsigned limit = PX_MIN(window->width, book->slice > 0 ? PXI_SCAN_SLICE : PXI_SCAN_MAX), count;
    int error = window->behind ? book->index.settle(book->index.ctx) : 0;

    if (error)
        return error;
    window->behind = false;
    if (window->loaded) {
        after.alert = window->edge.alert;
        after.place.level = window->edge.level;
        after.place.leg = window->edge.leg;
        after.len = 1;
    }
    error = book->index.scan(book->index.ctx, &after, limit, book->rows, &count);
    book->stats.refills++;
    book->stats.scanned += count;
    window->loaded = true;
    for (unsigned i = 0; i < count && !error; i++) {
        struct pxi_entry key = key_of(book->rows[i].alert, &book->rows[i].place);

        error = into_window(book, of, down, &key, book->rows[i].bytes, book->rows[i].len);
        window->edge = key;
    }
    window->complete = count < limit;
    if (error)
        return error;
    make_room(book, of);
    return make_dirty(book, of);
}
