/*
 * History from a file: CSV lines with a head that names the columns, as the same paths give them for export. One request is one
 * bounded piece; whoever has more sends piece after piece, each with whole minutes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/error.h"
#include "shm/series.h"
#include "web/rest/request_private.h"

#define COLUMNS_MAX 16

enum field { TIME, RECV_TIME, PRICE, SIZE, TRADE_ID, QUARANTINED, LATE, OPEN, HIGH, LOW, CLOSE, VOLUME, COUNT, TWAP, VWAP, FINAL,
             FILLED, FIELDS };

static const struct {
    const char *tick, *candle; /* what the column is called; NULL: not among them */
} names[FIELDS] = {
    [TIME] = {"time", "t"}, [RECV_TIME] = {"recv_time", NULL}, [PRICE] = {"price", NULL}, [SIZE] = {"size", NULL},
    [TRADE_ID] = {"trade_id", NULL}, [QUARANTINED] = {"quarantined", NULL}, [LATE] = {"late", NULL}, [OPEN] = {NULL, "o"}, [HIGH] = {NULL, "h"},
    [LOW] = {NULL, "l"}, [CLOSE] = {NULL, "c"}, [VOLUME] = {NULL, "v"}, [COUNT] = {NULL, "n"}, [TWAP] = {NULL, "twap"},
    [VWAP] = {NULL, "vwap"}, [FINAL] = {NULL, "final"}, [FILLED] = {NULL, "filled"},
};

struct import {
    struct px_symbol symbol;
    px_asset_id asset;
    uint32_t interval_s; /* 0: ticks */
    int8_t field[COLUMNS_MAX]; /* of each column; -1: nobody's */
    unsigned columns;
    struct px_text cell[FIELDS];
    unsigned line;
    struct px_trade *trades;
    struct px_candle *candles;
    uint32_t count;
    uint64_t skipped; /* quarantined, late; filled, not final */
    struct px_import_report report;
};

static void wrong(struct px_request *request, const struct import *import, const char *column, const char *detail)
{
    char pointer[32];

    snprintf(pointer, sizeof pointer, "line %u, %s", import->line, column);
    px_problem_add(&request->problem, pointer, "%s", detail);
}

/* ---- lines and cells ---- */

static bool next_line(struct px_text *rest, struct px_text *linep)
{
    const char *end = rest->len > 0 ? memchr(rest->at, '\n', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->at) : rest->len;

    if (rest->len == 0)
        return false;
    *linep = (struct px_text){rest->at, len > 0 && rest->at[len - 1] == '\r' ? len - 1 : len};
    len += end != NULL;
    rest->at += len;
    rest->len -= len;
    return true;
}

/* The next cell; quotes around it go. */
static struct px_text next_cell(struct px_text *line, bool *morep)
{
    const char *comma = memchr(line->at, ',', line->len);
    struct px_text cell = {line->at, comma ? (size_t)(comma - line->at) : line->len};

    *morep = comma != NULL;
    line->at += cell.len + *morep;
    line->len -= cell.len + *morep;
    while (cell.len > 0 && (*cell.at == ' ' || *cell.at == '"'))
        cell.at++, cell.len--;
    while (cell.len > 0 && (cell.at[cell.len - 1] == ' ' || cell.at[cell.len - 1] == '"'))
        cell.len--;
    return cell;
}

static int field_of(const struct import *import, struct px_text name)
{
    for (int i = 0; i < FIELDS; i++) {
        const char *called = import->interval_s == 0 ? names[i].tick : names[i].candle;

        if (called && px_text_is(name, called))
            return i;
    }
    return -1;
}

static bool has(const struct import *import, enum field field)
{
    for (unsigned i = 0; i < import->columns; i++)
        if (import->field[i] == (int8_t)field)
            return true;
    return false;
}

static bool take_head(struct px_request *request, struct import *import, struct px_text line)
{
    static const enum field tick_needs[] = {TIME, PRICE, SIZE}, candle_needs[] = {TIME, OPEN, HIGH, LOW, CLOSE, VOLUME};
    const enum field *needs = import->interval_s == 0 ? tick_needs : candle_needs;
    size_t count = import->interval_s == 0 ? PX_COUNT_OF(tick_needs) : PX_COUNT_OF(candle_needs);
    bool more = true;

    while (more && import->columns < COLUMNS_MAX)
        import->field[import->columns++] = (int8_t)field_of(import, next_cell(&line, &more));
    for (size_t i = 0; i < count; i++)
        if (!has(import, needs[i])) {
            wrong(request, import, "head", import->interval_s == 0 ? "must name the columns time, price and size"
                                                                   : "must name the columns t, o, h, l, c and v");
            return false;
        }
    return true;
}

static bool take_cells(struct px_request *request, struct import *import, struct px_text line)
{
    bool more = true;
    unsigned column = 0;

    memset(import->cell, 0, sizeof import->cell);
    for (; more && column < import->columns; column++) {
        struct px_text cell = next_cell(&line, &more);

        if (import->field[column] >= 0)
            import->cell[import->field[column]] = cell;
    }
    if (!more && column == import->columns)
        return true;
    wrong(request, import, "columns", "has another number of columns than the head");
    return false;
}

/* ---- values ---- */

static bool take_time(struct px_request *request, struct import *import, enum field field, int64_t *nsp)
{
    if (px_time_parse(import->cell[field], nsp) == 0 && *nsp > 0)
        return true;
    wrong(request, import, import->interval_s == 0 ? names[field].tick : names[field].candle,
          "must be RFC 3339 or an integer since the epoch in s, ms, us or ns");
    return false;
}

static bool take_decimal(struct px_request *request, struct import *import, enum field field, unsigned scale, bool positive,
                         int64_t *valuep)
{
    int error = px_decimal_parse(import->cell[field], scale, PX_ROUND_EXACT, valuep);
    char detail[96];

    if (!error && *valuep >= (positive ? 1 : 0))
        return true;
    snprintf(detail, sizeof detail, "must be a decimal %s 0 with at most %u digits after the point", positive ? "above" : "from",
             scale);
    wrong(request, import, import->interval_s == 0 ? names[field].tick : names[field].candle, detail);
    return false;
}

static void take_tick(struct px_request *request, struct import *import)
{
    struct px_trade trade = {.venue = PX_VENUE_NONE};

    if (px_text_is(import->cell[QUARANTINED], "true") || px_text_is(import->cell[LATE], "true")) {
        import->skipped++;
        return;
    }
    if (!take_time(request, import, TIME, &trade.time_ns) ||
        !take_decimal(request, import, PRICE, import->symbol.scale, true, &trade.price) ||
        !take_decimal(request, import, SIZE, import->symbol.size_scale, false, &trade.size))
        return;
    trade.recv_ns = trade.time_ns;
    if (import->cell[RECV_TIME].len > 0 && !take_time(request, import, RECV_TIME, &trade.recv_ns))
        return;
    int64_t id = 0;
    if (import->cell[TRADE_ID].len > 0 && !take_decimal(request, import, TRADE_ID, 0, false, &id))
        return;
    trade.trade_id = (uint64_t)id;
    if (import->count > 0 && trade.time_ns < import->trades[import->count - 1].time_ns)
        wrong(request, import, "time", "is before the line above; sort the file by time");
    else
        import->trades[import->count++] = trade;
}

/* Sums that the file does not have: the price held all the time at its average, the volume traded at it. */
static bool take_sums(struct px_request *request, struct import *import, struct px_candle *candle)
{
    unsigned scale = px_average_scale(import->symbol.scale);
    int64_t more = px_pow10(scale - import->symbol.scale), width_ns = import->interval_s * PX_NS_PER_S, twap, vwap;

    if (import->cell[TWAP].len > 0) {
        if (!take_decimal(request, import, TWAP, scale, true, &twap))
            return false;
        candle->duration_ns = width_ns;
        candle->area = (__int128)twap * width_ns / more;
    }
    if (import->cell[VWAP].len > 0) {
        if (!take_decimal(request, import, VWAP, scale, true, &vwap))
            return false;
        candle->value = (__int128)vwap * candle->volume / more;
    } else {
        candle->value = ((__int128)candle->high + candle->low + candle->close) * candle->volume / 3;
    }
    return true;
}

static bool take_prices(struct px_request *request, struct import *import, struct px_candle *candle)
{
    unsigned scale = import->symbol.scale;

    if (!take_decimal(request, import, OPEN, scale, true, &candle->open) ||
        !take_decimal(request, import, HIGH, scale, true, &candle->high) ||
        !take_decimal(request, import, LOW, scale, true, &candle->low) ||
        !take_decimal(request, import, CLOSE, scale, true, &candle->close) ||
        !take_decimal(request, import, VOLUME, import->symbol.size_scale, false, &candle->volume))
        return false;
    if (candle->high >= PX_MAX(candle->open, candle->close) && candle->low <= PX_MIN(candle->open, candle->close))
        return true;
    wrong(request, import, "h, l", "must enclose o and c");
    return false;
}

static void take_candle(struct px_request *request, struct import *import)
{
    struct px_candle candle = {.count = 1, .final = true};
    int64_t count = 1;

    if (px_text_is(import->cell[FILLED], "true") || px_text_is(import->cell[FINAL], "false")) {
        import->skipped++;
        return;
    }
    if (!take_time(request, import, TIME, &candle.start_ns) || !take_prices(request, import, &candle) ||
        (import->cell[COUNT].len > 0 && !take_decimal(request, import, COUNT, 0, true, &count)) ||
        !take_sums(request, import, &candle))
        return;
    candle.count = (uint64_t)count;
    candle.last_ns = candle.start_ns + import->interval_s * PX_NS_PER_S - 1;
    if (px_candle_start(candle.start_ns, import->interval_s) != candle.start_ns)
        wrong(request, import, "t", "is not the start of an interval");
    else if (import->count > 0 && candle.start_ns <= import->candles[import->count - 1].start_ns)
        wrong(request, import, "t", "is not after the line above; sort the file by time");
    else
        import->candles[import->count++] = candle;
}

/* ---- the whole ---- */

static void parse(struct px_request *request, struct import *import)
{
    struct px_text rest = request->body, line;

    while (next_line(&rest, &line) && request->problem.error_count < PX_FIELD_ERRORS_MAX) {
        import->line++;
        if (line.len == 0)
            continue;
        if (import->columns == 0) {
            if (!take_head(request, import, line))
                return;
            continue;
        }
        if (import->count == PX_IMPORT_MAX) {
            px_problem_set(&request->problem, PX_PROBLEM_TOO_LARGE, "At most %d rows in one request; send the rest in the next",
                           PX_IMPORT_MAX);
            return;
        }
        if (!take_cells(request, import, line))
            continue;
        if (import->interval_s == 0)
            take_tick(request, import);
        else
            take_candle(request, import);
    }
    if (import->columns == 0)
        px_problem_set(&request->problem, PX_PROBLEM_BAD_REQUEST, "The body is empty: CSV lines are awaited, the first naming the columns");
}

static void write_report(struct px_request *request, const struct import *import)
{
    struct px_json *json = pxi_json(request);
    const struct px_import_report *report = &import->report;

    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", import->symbol.name);
    px_json_kv_int(json, "rows", (int64_t)(import->count + import->skipped));
    px_json_kv_int(json, "taken", (int64_t)report->taken);
    px_json_kv_int(json, "candles", (int64_t)report->candles);
    px_json_key(json, "skipped");
    px_json_open(json, '{');
    px_json_kv_int(json, "present", (int64_t)report->present);
    px_json_kv_int(json, "too_old", (int64_t)report->too_old);
    px_json_kv_int(json, "too_new", (int64_t)report->too_new);
    px_json_kv_int(json, "unwanted", (int64_t)import->skipped);
    px_json_close(json, '}');
    px_json_close(json, '}');
}

static void send_on(struct px_request *request, struct import *import)
{
    struct px_reader *reader = request->thread->reader;
    int rc = 0;

    if (import->count > 0 && import->interval_s == 0)
        rc = px_reader_import_trades(reader, import->asset, import->trades, import->count, &import->report);
    else if (import->count > 0)
        rc = px_reader_import_candles(reader, import->asset, import->interval_s, import->candles, import->count, &import->report);
    if (rc < 0)
        pxi_keeper_failed(request, rc);
    else
        write_report(request, import);
}

static void serve(struct px_request *request, struct import *import)
{
    import->asset = pxi_asset_of_path(request, &import->symbol);
    if (import->asset == PX_ASSET_NONE)
        return;
    if (import->interval_s == 0)
        import->trades = malloc(PX_IMPORT_MAX * sizeof *import->trades);
    else
        import->candles = malloc(PX_IMPORT_MAX * sizeof *import->candles);
    if (!import->trades && !import->candles) {
        px_problem_of_error(&request->problem, PX_E_MEMORY);
        return;
    }
    parse(request, import);
    if (request->problem.kind == PX_PROBLEM_NONE)
        send_on(request, import);
    free(import->trades);
    free(import->candles);
}

void pxi_post_import_ticks(struct px_request *request)
{
    struct import import = {.asset = PX_ASSET_NONE};

    serve(request, &import);
}

void pxi_post_import_candles(struct px_request *request)
{
    static const struct {
        const char *name;
        uint32_t seconds;
    } widths[] = {{"1m", 60}, {"5m", 300}, {"1h", 3600}, {"1d", 86400}};
    struct import import = {.asset = PX_ASSET_NONE};
    struct px_text text = PX_TEXT("1m");

    px_query_get(&request->query, "interval", &text);
    for (size_t i = 0; i < PX_COUNT_OF(widths); i++)
        if (px_text_is(text, widths[i].name))
            import.interval_s = widths[i].seconds;
    if (import.interval_s == 0)
        px_problem_add(&request->problem, "?interval", "must be 1m, 5m, 1h or 1d: what is stored; longer ones are made of them");
    else
        serve(request, &import);
}
