/*
 * Raw trades: out of history, and what the keeper has not stored yet out of the tick ring, so that a trade that ingest has
 * published is in the next answer. A page in one piece, with validators; more than a page is streamed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "web/rest/request_private.h"

#define TICK_BYTES_MAX 380
#define RING_BATCH     128

struct page {
    struct px_symbol symbol;
    px_asset_id asset;
    struct px_range range;
    bool quarantined, forward;
    struct px_trade *trades; /* room for limit + 1 */
    uint32_t count;
    bool more;
    uint64_t position; /* what stands before it in the ring is in history */
};

/* ---- what is not stored yet ---- */

static bool after(const struct px_trade *a, int64_t time_ns, uint64_t sequence)
{
    return a->time_ns != time_ns ? a->time_ns > time_ns : a->sequence > sequence;
}

static bool wanted(const struct page *page, const struct px_tick *tick, const struct px_trade *trade)
{
    const struct px_range *range = &page->range;

    if (tick->asset != page->asset || (tick->flags & PX_TICK_QUOTE) ||
        ((tick->flags & PX_TICK_QUARANTINED) && !page->quarantined))
        return false;
    if ((range->start_ns != PX_TIME_NONE && trade->time_ns < range->start_ns) ||
        (range->end_ns != PX_TIME_NONE && trade->time_ns >= range->end_ns))
        return false;
    return !range->cursor.set || after(trade, range->cursor.time_ns, range->cursor.sequence);
}

/* Puts it in its place; one that is there already is left out. The page keeps the newest rows, or the oldest. */
static void insert(struct page *page, const struct px_trade *trade)
{
    uint32_t at = page->count;

    while (at > 0 && after(&page->trades[at - 1], trade->time_ns, trade->sequence))
        at--;
    if (at > 0 && page->trades[at - 1].time_ns == trade->time_ns && page->trades[at - 1].sequence == trade->sequence)
        return;
    memmove(page->trades + at + 1, page->trades + at, (page->count - at) * sizeof *trade);
    page->trades[at] = *trade;
    if (page->count < page->range.limit) {
        page->count++;
        return;
    }
    page->more = true;
    if (!page->forward)
        memmove(page->trades, page->trades + 1, page->range.limit * sizeof *trade);
}

static void add_newest(const struct px_request *request, struct page *page)
{
    const struct px_ring *ring = request->rest->heritage->shm->ticks;
    struct px_tick ticks[RING_BATCH];
    uint64_t position = PX_MAX(page->position, px_ring_oldest(ring)), end = px_ring_tail(ring), count;

    while (position < end) {
        int rc = px_ring_read(ring, position, ticks, RING_BATCH, &count);

        for (uint64_t i = 0; rc == 0 && i < count; i++) {
            const struct px_tick *tick = &ticks[i];
            struct px_trade trade = {.time_ns = tick->time_ns,
                                     .recv_ns = tick->recv_ns,
                                     .sequence = px_trade_sequence(request->rest->heritage->generation, tick, position + i),
                                     .price = tick->price,
                                     .size = tick->size,
                                     .trade_id = tick->trade_id,
                                     .sseq = tick->sseq,
                                     .venue = tick->venue,
                                     .flags = tick->flags};

            if (wanted(page, tick, &trade))
                insert(page, &trade);
        }
        if (count == 0)
            return;
        position += count; /* after an overrun: what could not be read */
    }
}

static void reverse(struct px_trade *trades, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        struct px_trade other = trades[i];

        trades[i] = trades[count - 1 - i];
        trades[count - 1 - i] = other;
    }
}

/* Rows ascend after it. */
static int fetch(struct px_request *request, struct page *page)
{
    struct px_page got;
    int rc = px_reader_ticks(request->thread->reader, page->asset, page->quarantined, &page->range, page->trades, &got);

    if (rc < 0)
        return rc;
    page->count = got.count;
    page->more = got.more;
    page->position = got.position;
    if (page->range.descending)
        reverse(page->trades, page->count);
    if (page->forward ? !page->more : !page->range.cursor.set)
        add_newest(request, page);
    return 0;
}

/* ---- cells ---- */

typedef void cell(struct px_request *request, const struct page *page, const struct px_trade *trade);

static void cell_time(struct px_request *request, const struct page *page, const struct px_trade *trade)
{
    px_json_time(pxi_json(request), trade->time_ns);
}

static void cell_recv_time(struct px_request *request, const struct page *page, const struct px_trade *trade)
{
    px_json_time(pxi_json(request), trade->recv_ns);
}

static void cell_price(struct px_request *request, const struct page *page, const struct px_trade *trade)
{
    px_json_decimal(pxi_json(request), trade->price, page->symbol.scale);
}

static void cell_size(struct px_request *request, const struct page *page, const struct px_trade *trade)
{
    px_json_decimal(pxi_json(request), trade->size, page->symbol.size_scale);
}

static void cell_venue(struct px_request *request, const struct page *page, const struct px_trade *trade)
{
    px_json_string(pxi_json(request), px_text_of(pxi_venue_name(request, trade->venue)));
}

static void cell_seq(struct px_request *request, const struct page *page, const struct px_trade *trade)
{
    px_json_int(pxi_json(request), (int64_t)trade->sseq);
}

static void cell_trade_id(struct px_request *request, const struct page *page, const struct px_trade *trade)
{
    if (trade->trade_id)
        px_json_int(pxi_json(request), (int64_t)trade->trade_id);
    else
        px_json_null(pxi_json(request));
}

static void cell_quarantined(struct px_request *request, const struct page *page, const struct px_trade *trade)
{
    px_json_bool(pxi_json(request), trade->flags & PX_TICK_QUARANTINED);
}

static void cell_late(struct px_request *request, const struct page *page, const struct px_trade *trade)
{
    px_json_bool(pxi_json(request), trade->flags & PX_TRADE_LATE);
}

static const struct {
    const char *name;
    cell *write;
} columns[] = {{"time", cell_time}, {"recv_time", cell_recv_time}, {"price", cell_price}, {"size", cell_size},
               {"venue", cell_venue}, {"seq", cell_seq}, {"trade_id", cell_trade_id}, {"quarantined", cell_quarantined},
               {"late", cell_late}};

/* ---- the answer ---- */

static const struct px_trade *row_at(const struct page *page, uint32_t i)
{
    return &page->trades[page->range.descending ? page->count - 1 - i : i];
}

static const char *next_cursor(const struct page *page, char cursor[PXI_CURSOR_SIZE])
{
    if (!page->more || page->count == 0)
        return NULL;
    const struct px_trade *last = &page->trades[page->forward ? page->count - 1 : 0];
    pxi_cursor_write((uint64_t[]){(uint64_t)last->time_ns, last->sequence}, 2, cursor);
    return cursor;
}

static void write_row(struct px_request *request, const struct page *page, const struct px_trade *trade)
{
    struct px_json *json = pxi_json(request);

    px_json_open(json, '{');
    for (size_t c = 0; c < PX_COUNT_OF(columns); c++) {
        px_json_key(json, columns[c].name);
        columns[c].write(request, page, trade);
    }
    px_json_close(json, '}');
}

static void write_csv_row(struct px_request *request, const struct page *page, const struct px_trade *trade)
{
    struct px_json *json = pxi_json(request);

    for (size_t c = 0; c < PX_COUNT_OF(columns); c++) {
        size_t from = json->len;

        pxi_csv_begin(json);
        columns[c].write(request, page, trade);
        pxi_csv_end(json, from, c + 1 == PX_COUNT_OF(columns));
    }
}

/* What comes before the rows, a row, and what comes after them. */
static void write_begin(struct px_request *request, const struct page *page, enum pxi_form form)
{
    struct px_json *json = pxi_json(request);

    for (size_t c = 0; form == PXI_FORM_CSV && c < PX_COUNT_OF(columns); c++)
        pxi_csv_name(json, columns[c].name, c + 1 == PX_COUNT_OF(columns));
    if (form != PXI_FORM_JSON)
        return;
    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", page->symbol.name);
    px_json_key(json, "ticks");
    px_json_open(json, '[');
}

static void write_one(struct px_request *request, const struct page *page, enum pxi_form form, uint32_t i)
{
    if (form == PXI_FORM_CSV)
        write_csv_row(request, page, row_at(page, i));
    else
        write_row(request, page, row_at(page, i));
    if (form == PXI_FORM_LINES)
        pxi_line_end(request);
}

static void write_end(struct px_request *request, enum pxi_form form, uint64_t rows, const char *cursor)
{
    struct px_json *json = pxi_json(request);

    if (form == PXI_FORM_LINES) {
        pxi_line_last(request, rows, cursor);
    } else if (form == PXI_FORM_JSON) {
        px_json_close(json, ']');
        pxi_write_next(request, cursor);
        px_json_close(json, '}');
    } else if (cursor) {
        pxi_link_next(request, cursor);
    }
}

/* A trade is known by its time and sequence; all that it may be found to be is late. */
static bool known_already(struct px_request *request, const struct page *page, bool csv)
{
    uint64_t hash = pxi_mix(page->asset, (uint64_t)page->more << 2 | (uint64_t)page->range.descending << 1 | csv);
    char etag[24];

    for (uint32_t i = 0; i < page->count; i++)
        hash = pxi_mix(pxi_mix(hash, (uint64_t)page->trades[i].time_ns), page->trades[i].sequence ^ page->trades[i].flags);
    snprintf(etag, sizeof etag, "\"%016llx\"", (unsigned long long)hash);
    request->answer.cache = "public, max-age=1";
    return pxi_not_modified(request, etag);
}

static void write_page(struct px_request *request, const struct page *page, enum pxi_form form)
{
    char cursor[PXI_CURSOR_SIZE];

    if (known_already(request, page, form == PXI_FORM_CSV) ||
        !pxi_reserve(request, (size_t)page->count * TICK_BYTES_MAX + 256))
        return;
    write_begin(request, page, form);
    for (uint32_t i = 0; i < page->count; i++)
        write_one(request, page, form, i);
    write_end(request, form, page->count, next_cursor(page, cursor));
}

/* Page after page, each out before the next is read. */
static void send_pages(struct pxi_stream *stream, struct px_request *request, struct page *page, enum pxi_form form)
{
    uint32_t left = page->range.limit;
    uint64_t rows = 0;
    char cursor[PXI_CURSOR_SIZE];
    bool taken = true;

    while (taken && left > 0 && (rows == 0 || page->more)) {
        page->range.limit = PX_MIN(left, PX_PAGE_MAX);
        int rc = fetch(request, page);

        if (rc < 0) {
            pxi_stream_lost(stream, rc);
            return;
        }
        taken = pxi_stream_tell(stream);
        if (rows == 0)
            write_begin(request, page, form);
        for (uint32_t i = 0; taken && i < page->count; i++) {
            write_one(request, page, form, i);
            taken = pxi_stream_goes_on(stream);
        }
        if (page->count == 0)
            break;
        rows += page->count;
        left -= page->count;
        const struct px_trade *last = row_at(page, page->count - 1);
        page->range.cursor = (struct px_cursor){.set = true, .time_ns = last->time_ns, .sequence = last->sequence};
    }
    write_end(request, form, rows, next_cursor(page, cursor));
}

static void stream_pages(struct px_request *request, struct page *page, enum pxi_form form)
{
    struct pxi_stream *stream = pxi_stream_begin(request);

    if (!stream)
        return;
    send_pages(stream, request, page, form);
    pxi_stream_end(&stream);
}

static bool param_include(struct px_request *request, bool *quarantinedp)
{
    struct px_text text;

    *quarantinedp = px_query_get(&request->query, "include", &text);
    if (!*quarantinedp || px_text_is(text, "quarantined"))
        return true;
    px_problem_add(&request->problem, "?include", "can only be quarantined");
    return false;
}

static void serve_pages(struct px_request *request, struct page *page, enum pxi_form form)
{
    if (page->range.limit > PX_PAGE_MAX || form == PXI_FORM_LINES) {
        stream_pages(request, page, form);
        return;
    }
    int rc = fetch(request, page);
    if (rc < 0)
        pxi_keeper_failed(request, rc);
    else
        write_page(request, page, form);
}

void pxi_get_ticks(struct px_request *request)
{
    struct page page = {.asset = PX_ASSET_NONE};

    page.asset = pxi_asset_of_path(request, &page.symbol);
    if (page.asset == PX_ASSET_NONE || !pxi_param_range(request, &page.range) ||
        !param_include(request, &page.quarantined))
        return;
    page.forward = page.range.start_ns != PX_TIME_NONE && !page.range.descending;
    page.trades = malloc((PX_MIN(page.range.limit, PX_PAGE_MAX) + 1) * sizeof *page.trades);
    if (page.trades)
        serve_pages(request, &page, pxi_form_wanted(request));
    else
        px_problem_of_error(&request->problem, PX_E_MEMORY);
    free(page.trades);
}
