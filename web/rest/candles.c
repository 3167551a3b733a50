/*
 * Candles, and the averages that they carry. The keeper gives rows of a range; here they are joined with the open
 * minute, gaps are filled if asked, and the whole is written column by column.
 *
 * A page goes on by time, not by the keeper's cursor, since filled rows are in no store: forward from the last row,
 * backward from the first.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "web/rest/request_private.h"

#define ROW_BYTES_MAX 512 /* of one candle in all columns, numbers at their longest */

enum fill { FILL_NONE, FILL_PREVIOUS, FILL_NULL };

struct row {
    struct px_candle candle;
    bool filled, empty; /* empty: no price known */
};

struct table {
    struct px_symbol symbol;
    px_asset_id asset;
    const char *interval_name;
    uint32_t interval_s;
    int64_t interval_ns;
    struct px_range range;
    bool forward; /* from start; else back from end, whatever the order of the rows */
    bool partial;
    enum fill fill;
    struct px_candle *candles; /* ascending in time; room for limit + 1 */
    uint32_t candle_count;
    int64_t prior;    /* close before the first */
    struct row *rows; /* what is told, ascending; room for limit */
    uint32_t count;
    bool more;
};

static const struct {
    const char *name;
    uint32_t seconds;
} intervals[] = {
    {"1s", 1},     {"5s", 5},
    {"1m", 60},    {"3m", 180},   {"5m", 300},   {"15m", 900},   {"30m", 1800}, {"1h", 3600},   {"2h", 7200},
    {"4h", 14400}, {"6h", 21600}, {"8h", 28800}, {"12h", 43200}, {"1d", 86400}, {"1w", 604800},
};

/* ---- what is asked ---- */

static bool param_interval(struct px_request *request, struct table *table)
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

static bool param_fill(struct px_request *request, enum fill *fillp)
{
    struct px_text text;

    *fillp = FILL_NONE;
    if (!px_query_get(&request->query, "fill", &text) || px_text_is(text, "none"))
        return true;
    *fillp = px_text_is(text, "previous") ? FILL_PREVIOUS : FILL_NULL;
    if (*fillp == FILL_PREVIOUS || px_text_is(text, "null"))
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
static void apply_cursor(struct table *table)
{
    if (table->range.cursor.set && table->forward)
        table->range.start_ns = table->range.cursor.time_ns;
    else if (table->range.cursor.set)
        table->range.end_ns = table->range.cursor.time_ns;
    table->range.cursor = (struct px_cursor){0};
    table->range.start_ns = clamp(table->range.start_ns);
    table->range.end_ns = clamp(table->range.end_ns);
}

static bool take_parameters(struct px_request *request, struct table *table)
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

/* ---- the rows there are ---- */

static bool in_range(const struct table *table, int64_t start_ns)
{
    return (table->range.start_ns == PX_TIME_NONE || start_ns >= table->range.start_ns) &&
           (table->range.end_ns == PX_TIME_NONE || start_ns < table->range.end_ns);
}

/* The open minute up to now: its price has held since the last trade, for as long as a price counts. */
static bool open_minute(const struct px_request *request, px_asset_id asset, struct px_candle *candlep)
{
    struct px_candle_value value;

    px_latch_read(px_shm_candle(request->rest->heritage->shm, asset), &value);
    *candlep = (struct px_candle){
        .start_ns = value.start_ns,
        .open = value.open,
        .high = value.high,
        .low = value.low,
        .close = value.close,
        .volume = value.volume,
        .count = value.count,
        .duration_ns = value.duration_ns,
        .last_ns = value.last_ns,
        .area = (__int128)((unsigned __int128)(uint64_t)value.area_hi << 64 | (uint64_t)value.area_lo)};
    return value.start_ns > 0 && value.count > 0;
}

static void merge(struct px_candle *into, const struct px_candle *minute)
{
    into->high = PX_MAX(into->high, minute->high);
    into->low = PX_MIN(into->low, minute->low);
    into->close = minute->close;
    if (__builtin_add_overflow(into->volume, minute->volume, &into->volume))
        into->volume = INT64_MAX;
    into->count += minute->count;
    into->duration_ns += minute->duration_ns;
    into->area += minute->area;
    into->last_ns = minute->last_ns;
    into->final = false;
}

static void append(struct table *table, const struct px_candle *candle)
{
    if (table->candle_count == table->range.limit) {
        if (table->forward) { /* the next page begins with it */
            table->more = true;
            return;
        }
        memmove(table->candles, table->candles + 1, (table->candle_count - 1) * sizeof *candle);
        table->candle_count--;
        table->more = true;
    }
    table->candles[table->candle_count++] = *candle;
}

/* The keeper's newest row may lack the open minute, hold a part of it, or be older than it. */
static void join_open(const struct px_request *request, struct table *table)
{
    struct px_candle minute;

    if (table->interval_s < 60 || !open_minute(request, table->asset, &minute)) /* seconds come from trades, up to now */
        return;
    int64_t start = px_candle_start(minute.start_ns, table->interval_s);
    struct px_candle *last = table->candle_count > 0 ? &table->candles[table->candle_count - 1] : NULL;
    if (!in_range(table, start) || (table->forward && table->more) || (last && last->start_ns > start))
        return;
    if (!last || last->start_ns < start) {
        minute.start_ns = start;
        append(table, &minute);
    } else if (table->interval_s == 60) {
        if (!last->final && last->count <= minute.count)
            *last = minute;
    } else if (last->last_ns < minute.start_ns) {
        merge(last, &minute);
    }
}

static void reverse(struct px_candle *candles, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        struct px_candle other = candles[i];
        candles[i] = candles[count - 1 - i];
        candles[count - 1 - i] = other;
    }
}

static bool fetch(struct px_request *request, struct table *table)
{
    struct px_page page;
    int rc = px_reader_candles(request->thread->reader, table->asset, table->interval_s, table->partial, &table->range,
                               table->candles, &page, &table->prior);
    if (rc < 0) {
        pxi_keeper_failed(request, rc);
        return false;
    }
    table->candle_count = page.count;
    table->more = page.more;
    if (table->range.descending)
        reverse(table->candles, page.count);
    if (table->partial)
        join_open(request, table);
    return true;
}

/* ---- the rows that are told ---- */

static struct row row_between(const struct table *table, int64_t start_ns, int64_t prior, bool final)
{
    struct row row = {.filled = true, .empty = table->fill == FILL_NULL || prior == PX_PRICE_NONE};

    row.candle = (struct px_candle){
        .start_ns = start_ns, .open = prior, .high = prior, .low = prior, .close = prior, .final = final};
    return row;
}

/* First and last start of a filled table. */
static void fill_bounds(const struct table *table, int64_t *fromp, int64_t *top)
{
    int64_t now = px_candle_start(px_wall_now(), table->interval_s) - (table->partial ? 0 : table->interval_ns);
    int64_t first = table->candle_count ? table->candles[0].start_ns : now + table->interval_ns;
    bool known = table->fill == FILL_NULL || table->prior != PX_PRICE_NONE;

    *fromp = first;
    if (table->range.start_ns != PX_TIME_NONE && known && (table->forward || !table->more)) {
        int64_t aligned = px_candle_start(table->range.start_ns, table->interval_s);
        *fromp = aligned < table->range.start_ns ? aligned + table->interval_ns : aligned;
    } else if (!table->candle_count && known) {
        *fromp = INT64_MIN; /* back from the end, as far as the limit goes */
    }
    *top = table->range.end_ns == PX_TIME_NONE ? now : px_candle_start(table->range.end_ns - 1, table->interval_s);
    *top = PX_MIN(*top, now);
    if (table->candle_count)
        *top = PX_MAX(*top, table->candles[table->candle_count - 1].start_ns);
    if (table->forward && table->more && table->candle_count) /* what follows is the next page's */
        *top = table->candles[table->candle_count - 1].start_ns;
}

/* Walks the grid of intervals; backward tables keep the newest rows. */
static void fill_rows(struct table *table)
{
    int64_t from, to, prior = table->prior;
    uint32_t next = 0;

    fill_bounds(table, &from, &to);
    if (from > to)
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
        struct row row = there ? (struct row){.candle = table->candles[next]}
                               : row_between(table, at, prior, next < table->candle_count);
        if (there)
            prior = table->candles[next++].close;
        table->rows[table->count++] = row;
    }
}

static void make_rows(struct table *table)
{
    if (table->fill != FILL_NONE) {
        fill_rows(table);
        return;
    }
    for (; table->count < table->candle_count; table->count++)
        table->rows[table->count] = (struct row){.candle = table->candles[table->count]};
}

/* ---- columns ---- */

typedef void cell(struct px_json *json, const struct table *table, const struct row *row);

static void price_cell(struct px_json *json, const struct table *table, const struct row *row, int64_t price)
{
    px_json_decimal(json, row->empty ? PX_PRICE_NONE : price, table->symbol.scale);
}

static void cell_t(struct px_json *json, const struct table *table, const struct row *row)
{
    px_json_time(json, row->candle.start_ns);
}

static void cell_o(struct px_json *json, const struct table *table, const struct row *row)
{
    price_cell(json, table, row, row->candle.open);
}

static void cell_h(struct px_json *json, const struct table *table, const struct row *row)
{
    price_cell(json, table, row, row->candle.high);
}

static void cell_l(struct px_json *json, const struct table *table, const struct row *row)
{
    price_cell(json, table, row, row->candle.low);
}

static void cell_c(struct px_json *json, const struct table *table, const struct row *row)
{
    price_cell(json, table, row, row->candle.close);
}

static void cell_v(struct px_json *json, const struct table *table, const struct row *row)
{
    px_json_decimal(json, row->empty ? PX_PRICE_NONE : row->candle.volume, table->symbol.size_scale);
}

static void cell_n(struct px_json *json, const struct table *table, const struct row *row)
{
    px_json_int(json, (int64_t)row->candle.count);
}

static void cell_twap(struct px_json *json, const struct table *table, const struct row *row)
{
    unsigned scale = px_average_scale(table->symbol.scale);

    px_json_decimal(json, px_candle_twap(&row->candle, scale - table->symbol.scale), scale);
}

/* Sums of price times size are the keeper's: the open minute has none, and an average without a part of it would be
 * wrong. */
static void cell_vwap(struct px_json *json, const struct table *table, const struct row *row)
{
    unsigned scale = px_average_scale(table->symbol.scale);
    bool known = row->candle.final || row->candle.value != 0;

    px_json_decimal(json, known ? px_candle_vwap(&row->candle, scale - table->symbol.scale) : PX_PRICE_NONE, scale);
}

static void cell_coverage(struct px_json *json, const struct table *table, const struct row *row)
{
    int64_t ppm = px_div_round((__int128)row->candle.duration_ns * 1000000, table->interval_ns);

    pxi_json_coverage(json, (uint32_t)PX_MIN(PX_MAX(ppm, 0), 1000000));
}

static void cell_final(struct px_json *json, const struct table *table, const struct row *row)
{
    px_json_bool(json, row->candle.final);
}

static void cell_filled(struct px_json *json, const struct table *table, const struct row *row)
{
    px_json_bool(json, row->filled);
}

struct column {
    const char *name;
    cell *write;
};

static const struct column candle_columns[] = {
    {"t", cell_t},       {"o", cell_o},         {"h", cell_h},           {"l", cell_l},
    {"c", cell_c},       {"v", cell_v},         {"n", cell_n},           {"twap", cell_twap},
    {"vwap", cell_vwap}, {"final", cell_final}, {"filled", cell_filled}, {NULL, NULL},
};

static const struct column average_columns[] = {
    {"t", cell_t},         {"twap", cell_twap}, {"vwap", cell_vwap}, {"coverage", cell_coverage},
    {"final", cell_final}, {NULL, NULL},
};

static void write_column(struct px_json *json, const struct table *table, const struct column *column)
{
    px_json_key(json, column->name);
    px_json_open(json, '[');
    for (uint32_t i = 0; i < table->count; i++)
        column->write(json, table, &table->rows[table->range.descending ? table->count - 1 - i : i]);
    px_json_close(json, ']');
}

static void write_cursor(struct px_request *request, const struct table *table)
{
    char cursor[PXI_CURSOR_SIZE];
    uint64_t words[2] = {0};

    if (table->more && table->count > 0)
        words[0] = (uint64_t)(table->forward ? table->rows[table->count - 1].candle.start_ns + table->interval_ns
                                             : table->rows[0].candle.start_ns);
    pxi_cursor_write(words, 2, cursor);
    pxi_write_next(request, table->more && table->count > 0 ? cursor : NULL);
}

/* An answer never changes when every row is final and no row can be added to it. */
static bool immutable(const struct table *table)
{
    if (table->count == 0)
        return false;
    for (uint32_t i = 0; i < table->count; i++)
        if (!table->rows[i].candle.final)
            return false;
    int64_t end = table->rows[table->count - 1].candle.start_ns + table->interval_ns;
    return (table->forward && table->more) || (table->range.end_ns != PX_TIME_NONE && end >= table->range.end_ns);
}

static void write_table(struct px_request *request, const struct table *table, const struct column *columns)
{
    struct px_json *json = pxi_json(request);

    if (!pxi_reserve(request, (size_t)table->count * ROW_BYTES_MAX + 1024))
        return;
    request->answer.cache = immutable(table) ? "public, max-age=31536000, immutable" : "public, max-age=1";
    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", table->symbol.name);
    px_json_kv_string(json, "interval", table->interval_name);
    for (; columns->name; columns++)
        write_column(json, table, columns);
    write_cursor(request, table);
    px_json_close(json, '}');
}

static void serve_table(struct px_request *request, const struct column *columns)
{
    struct table table = {.prior = PX_PRICE_NONE};

    if (!take_parameters(request, &table))
        return;
    table.candles = malloc((table.range.limit + 1) * sizeof *table.candles);
    table.rows = malloc((table.range.limit + 1) * sizeof *table.rows);
    if (!table.candles || !table.rows) {
        px_problem_of_error(&request->problem, PX_E_MEMORY);
    } else if (fetch(request, &table)) {
        make_rows(&table);
        write_table(request, &table, columns);
    }
    free(table.candles);
    free(table.rows);
}

void pxi_get_candles(struct px_request *request)
{
    serve_table(request, candle_columns);
}

/* The live windows, or the history of averages once a range or an interval is named. */
void pxi_get_averages(struct px_request *request)
{
    static const char *const history[] = {"interval", "start", "end", "cursor", "limit"};
    struct px_symbol symbol;
    struct px_text text;

    for (size_t i = 0; i < PX_COUNT_OF(history); i++) {
        if (px_query_get(&request->query, history[i], &text)) {
            serve_table(request, average_columns);
            return;
        }
    }
    px_asset_id asset = pxi_asset_of_path(request, &symbol);
    if (asset != PX_ASSET_NONE)
        pxi_averages_live(request, asset, &symbol);
}
