/*
 * Candles, and the averages that they carry: what is asked, and the gaps that are filled if asked.
 *
 * A page goes on by time, not by the keeper's cursor, since filled rows are in no store: forward from the last row,
 * backward from the first.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "web/rest/table_private.h"

static const struct {
    const char *name;
    uint32_t seconds;
} intervals[] = {
    {"1s", 1},     {"5s", 5},
    {"1m", 60},    {"3m", 180},   {"5m", 300},   {"15m", 900},   {"30m", 1800}, {"1h", 3600},   {"2h", 7200},
    {"4h", 14400}, {"6h", 21600}, {"8h", 28800}, {"12h", 43200}, {"1d", 86400}, {"1w", 604800},
};

/* ---- what is asked ---- */

static bool param_interval(struct px_request *request, struct pxi_table *table)
{
    struct px_text text = PX_TEXT("1m");

    px_query_get(&request->query, "interval", &text);
    for (size_t i = 0; i < PX_COUNT_OF(intervals); i++) {
        if (!px_text_is(text, intervals[i].name))
            continue;
        table->interval_name = intervals[i].name;
        table->interval_s = intervals[i].seconds;
        table->interval_ns = (int64_t)intervals[i].seconds * PX_NS_PER_S;
        return true;
    }
    px_problem_add(&request->problem, "?interval", "must be one of 1s 5s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 1w");
    return false;
}

static bool param_fill(struct px_request *request, enum pxi_fill *fillp)
{
    struct px_text text;

    *fillp = PXI_FILL_NONE;
    if (!px_query_get(&request->query, "fill", &text) || px_text_is(text, "none"))
        return true;
    *fillp = px_text_is(text, "previous") ? PXI_FILL_PREVIOUS : PXI_FILL_NULL;
    if (*fillp == PXI_FILL_PREVIOUS || px_text_is(text, "null"))
        return true;
    px_problem_add(&request->problem, "?fill", "must be none, previous or null");
    return false;
}

/* Times that arithmetic on intervals cannot carry over the edge, whatever a client writes. */
static int64_t clamp(int64_t ns)
{
    return ns == PX_TIME_NONE ? ns : PX_MIN(PX_MAX(ns, 0), INT64_MAX - 604800 * 2 * PX_NS_PER_S);
}

/* A cursor moves the end of the range from which rows are taken. */
static void apply_cursor(struct pxi_table *table)
{
    if (table->range.cursor.set && table->forward)
        table->range.start_ns = table->range.cursor.time_ns;
    else if (table->range.cursor.set)
        table->range.end_ns = table->range.cursor.time_ns;
    table->range.cursor = (struct px_cursor){0};
    table->range.start_ns = clamp(table->range.start_ns);
    table->range.end_ns = clamp(table->range.end_ns);
}

static bool take_parameters(struct px_request *request, struct pxi_table *table)
{
    table->asset = pxi_asset_of_path(request, &table->symbol);
    if (table->asset == PX_ASSET_NONE)
        return false;
    bool good = param_interval(request, table);
    good &= param_fill(request, &table->fill);
    good &= pxi_param_bool(request, "partial", &table->partial);
    good &= pxi_param_range(request, &table->range);
    table->forward = table->range.start_ns != PX_TIME_NONE && !table->range.descending;
    apply_cursor(table);
    return good;
}

/* ---- the rows that are told ---- */

static struct pxi_row row_between(const struct pxi_table *table, int64_t start_ns, int64_t prior)
{
    bool final = start_ns + table->interval_ns <= table->final_ns;
    struct pxi_row row = {.filled = true, .empty = table->fill == PXI_FILL_NULL || prior == PX_PRICE_NONE};

    row.candle = (struct px_candle){
        .start_ns = start_ns, .open = prior, .high = prior, .low = prior, .close = prior, .final = final};
    return row;
}

/*
 * The last interval that may be told: what is not final comes with `partial` alone. By the clock on the wall an interval
 * is over while its trades are still on their way to the rows, and would be told as one without any.
 */
static int64_t newest_start(const struct pxi_table *table)
{
    if (table->partial)
        return px_candle_start(px_wall_now(), table->interval_s);
    return px_candle_start(table->final_ns, table->interval_s) - table->interval_ns;
}

/* First and last start of a filled table. */
static void fill_bounds(const struct pxi_table *table, int64_t *fromp, int64_t *top)
{
    int64_t newest = newest_start(table);
    int64_t first = table->candle_count ? table->candles[0].start_ns : newest + table->interval_ns;
    bool known = table->fill == PXI_FILL_NULL || table->prior != PX_PRICE_NONE;

    *fromp = first;
    if (table->range.start_ns != PX_TIME_NONE && known && (table->forward || !table->more)) {
        int64_t aligned = px_candle_start(table->range.start_ns, table->interval_s);
        *fromp = aligned < table->range.start_ns ? aligned + table->interval_ns : aligned;
    } else if (!table->candle_count && known) {
        *fromp = INT64_MIN; /* back from the end, as far as the limit goes */
    }
    *top = table->range.end_ns == PX_TIME_NONE ? newest : px_candle_start(table->range.end_ns - 1, table->interval_s);
    *top = PX_MIN(*top, newest);
    if (table->candle_count)
        *top = PX_MAX(*top, table->candles[table->candle_count - 1].start_ns);
    if (table->forward && table->more && table->candle_count) /* what follows is the next page's */
        *top = table->candles[table->candle_count - 1].start_ns;
}

/* Walks the grid of intervals; backward tables keep the newest rows. */
static void fill_rows(struct pxi_table *table)
{
    int64_t from, to, prior = table->prior;
    uint32_t next = 0;

    fill_bounds(table, &from, &to);
    if (from > to || to < 0) /* the latter: nothing is final yet */
        return;
    int64_t room = (int64_t)(table->range.limit - 1) * table->interval_ns;
    if (!table->forward && (from == INT64_MIN || to - from > room)) {
        table->more |= from != INT64_MIN;
        from = to - room;
    }
    for (; next < table->candle_count && table->candles[next].start_ns < from; next++)
        prior = table->candles[next].close;
    for (int64_t at = from; at <= to; at += table->interval_ns) {
        if (table->count == table->range.limit) {
            table->more = true;
            return;
        }
        bool there = next < table->candle_count && table->candles[next].start_ns == at;
        struct pxi_row row = there ? (struct pxi_row){.candle = table->candles[next]}
                               : row_between(table, at, prior);
        if (there)
            prior = table->candles[next++].close;
        table->rows[table->count++] = row;
    }
}

static void make_rows(struct pxi_table *table)
{
    if (table->fill != PXI_FILL_NONE) {
        fill_rows(table);
        return;
    }
    for (; table->count < table->candle_count; table->count++)
        table->rows[table->count] = (struct pxi_row){.candle = table->candles[table->count]};
}

/* ---- the answer ---- */

/* Where the page after this one begins. */
static void advance(struct pxi_table *table)
{
    if (table->forward)
        table->range.start_ns = table->rows[table->count - 1].candle.start_ns + table->interval_ns;
    else
        table->range.end_ns = table->rows[0].candle.start_ns;
    table->count = table->candle_count = 0;
    table->more = false;
    table->prior = PX_PRICE_NONE;
}

/* Page after page, each out before the next is read. */
static void send_pages(struct pxi_stream *stream, struct px_request *request, struct pxi_table *table, enum pxi_columns columns,
                       bool csv)
{
    uint32_t left = table->range.limit;
    uint64_t rows = 0;

    for (;;) {
        table->range.limit = PX_MIN(left, PX_PAGE_MAX);
        int rc = pxi_table_fetch(request, table);

        if (rc < 0) {
            pxi_stream_lost(stream, rc);
            return;
        }
        make_rows(table);
        if (!pxi_stream_tell(stream) || !pxi_table_stream(request, stream, table, columns, csv, rows == 0))
            return;
        rows += table->count;
        left -= table->count;
        if (!table->more || table->count == 0 || left == 0)
            break;
        advance(table);
    }
    if (!csv)
        pxi_table_stream_end(request, table, rows);
}

static void stream_table(struct px_request *request, struct pxi_table *table, enum pxi_columns columns, enum pxi_form form)
{
    struct pxi_stream *stream;

    if (form == PXI_FORM_JSON) { /* columns are a table's, and a table has to be whole before it can be turned */
        px_problem_add(&request->problem, "?limit", "above %d is for Accept: text/csv or application/x-ndjson", PX_PAGE_MAX);
        return;
    }
    stream = pxi_stream_begin(request);
    if (!stream)
        return;
    send_pages(stream, request, table, columns, form == PXI_FORM_CSV);
    pxi_stream_end(&stream);
}

static void serve_form(struct px_request *request, struct pxi_table *table, enum pxi_columns columns, enum pxi_form form)
{
    if (table->range.limit > PX_PAGE_MAX || form == PXI_FORM_LINES) {
        stream_table(request, table, columns, form);
        return;
    }
    int rc = pxi_table_fetch(request, table);
    if (rc < 0) {
        pxi_keeper_failed(request, rc);
        return;
    }
    make_rows(table);
    pxi_table_write(request, table, columns, form == PXI_FORM_CSV);
}

static void serve_table(struct px_request *request, enum pxi_columns columns)
{
    struct pxi_table table = {.prior = PX_PRICE_NONE};

    if (!take_parameters(request, &table))
        return;
    uint32_t page = PX_MIN(table.range.limit, PX_PAGE_MAX);
    table.candles = malloc((page + 1) * sizeof *table.candles);
    table.rows = malloc((page + 1) * sizeof *table.rows);
    if (table.candles && table.rows)
        serve_form(request, &table, columns, pxi_form_wanted(request));
    else
        px_problem_of_error(&request->problem, PX_E_MEMORY);
    free(table.candles);
    free(table.rows);
}

void pxi_get_candles(struct px_request *request)
{
    serve_table(request, PXI_CANDLE_COLUMNS);
}

/* The live windows, or the history of averages once a range or an interval is named. */
void pxi_get_averages(struct px_request *request)
{
    static const char *const history[] = {"interval", "start", "end", "cursor", "limit"};
    struct px_symbol symbol;
    struct px_text text;

    for (size_t i = 0; i < PX_COUNT_OF(history); i++) {
        if (px_query_get(&request->query, history[i], &text)) {
            serve_table(request, PXI_AVERAGE_COLUMNS);
            return;
        }
    }
    px_asset_id asset = pxi_asset_of_path(request, &symbol);
    if (asset != PX_ASSET_NONE)
        pxi_averages_live(request, asset, &symbol);
}
