/* A table of candles as it is told: JSON columns or CSV rows, an ETag over what is in it, and how long it may be kept. */
#include <stdio.h>

#include "base/error.h"
#include "web/rest/table_private.h"

#define ROW_BYTES_MAX 512 /* of one candle in all columns, numbers at their longest */

/* ---- columns ---- */

typedef void cell(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row);

static void price_cell(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row, int64_t price)
{
    px_json_decimal(json, row->empty ? PX_PRICE_NONE : price, table->symbol.scale);
}

static void cell_t(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row)
{
    px_json_time(json, row->candle.start_ns);
}

static void cell_o(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row)
{
    price_cell(json, table, row, row->candle.open);
}

static void cell_h(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row)
{
    price_cell(json, table, row, row->candle.high);
}

static void cell_l(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row)
{
    price_cell(json, table, row, row->candle.low);
}

static void cell_c(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row)
{
    price_cell(json, table, row, row->candle.close);
}

static void cell_v(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row)
{
    px_json_decimal(json, row->empty ? PX_PRICE_NONE : row->candle.volume, table->symbol.size_scale);
}

static void cell_n(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row)
{
    px_json_int(json, (int64_t)row->candle.count);
}

static void cell_twap(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row)
{
    unsigned scale = px_average_scale(table->symbol.scale);

    px_json_decimal(json, px_candle_twap(&row->candle, scale - table->symbol.scale), scale);
}

static void cell_vwap(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row)
{
    unsigned scale = px_average_scale(table->symbol.scale);

    px_json_decimal(json, px_candle_vwap(&row->candle, scale - table->symbol.scale), scale);
}

static void cell_coverage(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row)
{
    int64_t ppm = px_div_round((__int128)row->candle.duration_ns * 1000000, table->interval_ns);

    pxi_json_coverage(json, (uint32_t)PX_MIN(PX_MAX(ppm, 0), 1000000));
}

static void cell_final(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row)
{
    px_json_bool(json, row->candle.final);
}

static void cell_filled(struct px_json *json, const struct pxi_table *table, const struct pxi_row *row)
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

static const struct column *const column_sets[] = {
    [PXI_CANDLE_COLUMNS] = candle_columns, [PXI_AVERAGE_COLUMNS] = average_columns};

static const struct pxi_row *row_at(const struct pxi_table *table, uint32_t i)
{
    return &table->rows[table->range.descending ? table->count - 1 - i : i];
}

static void write_column(struct px_json *json, const struct pxi_table *table, const struct column *column)
{
    px_json_key(json, column->name);
    px_json_open(json, '[');
    for (uint32_t i = 0; i < table->count; i++)
        column->write(json, table, row_at(table, i));
    px_json_close(json, ']');
}

/* ---- validators ---- */

/* An answer never changes when every row is final and no row can be added to it. */
static bool immutable(const struct pxi_table *table)
{
    if (table->count == 0)
        return false;
    for (uint32_t i = 0; i < table->count; i++)
        if (!table->rows[i].candle.final)
            return false;
    int64_t end = table->rows[table->count - 1].candle.start_ns + table->interval_ns;
    return (table->forward && table->more) || (table->range.end_ns != PX_TIME_NONE && end >= table->range.end_ns);
}

/* Over what the answer is made of, so that a client that has it costs no text at all. */
static uint64_t hash_table(const struct pxi_table *table, enum pxi_columns columns, bool csv)
{
    uint64_t hash = pxi_mix(table->asset, (uint64_t)table->interval_s << 4 | (uint64_t)columns << 2 |
                                          (uint64_t)table->range.descending << 1 | csv);

    hash = pxi_mix(hash, (uint64_t)table->more << 32 | table->count);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct px_candle *c = &table->rows[i].candle;
        const uint64_t words[] = {(uint64_t)c->start_ns, (uint64_t)c->open, (uint64_t)c->high, (uint64_t)c->low,
                                  (uint64_t)c->close, (uint64_t)c->volume, c->count, (uint64_t)c->duration_ns,
                                  (uint64_t)c->area, (uint64_t)(c->area >> 64), (uint64_t)c->value,
                                  (uint64_t)(c->value >> 64),
                                  c->final | (uint64_t)table->rows[i].filled << 1 | (uint64_t)table->rows[i].empty << 2};

        for (size_t w = 0; w < PX_COUNT_OF(words); w++)
            hash = pxi_mix(hash, words[w]);
    }
    return hash;
}

static bool known_already(struct px_request *request, const struct pxi_table *table, enum pxi_columns columns, bool csv)
{
    char etag[24];

    snprintf(etag, sizeof etag, "\"%016llx\"", (unsigned long long)hash_table(table, columns, csv));
    request->answer.cache = immutable(table) ? "public, max-age=31536000, immutable" : "public, max-age=1";
    return pxi_not_modified(request, etag);
}

/* ---- the answer ---- */

static const char *next_cursor(const struct pxi_table *table, char cursor[PXI_CURSOR_SIZE])
{
    uint64_t words[2] = {0};

    if (!table->more || table->count == 0)
        return NULL;
    words[0] = (uint64_t)(table->forward ? table->rows[table->count - 1].candle.start_ns + table->interval_ns
                                         : table->rows[0].candle.start_ns);
    pxi_cursor_write(words, 2, cursor);
    return cursor;
}

static void write_json(struct px_request *request, const struct pxi_table *table, const struct column *columns)
{
    struct px_json *json = pxi_json(request);
    char cursor[PXI_CURSOR_SIZE];

    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", table->symbol.name);
    px_json_kv_string(json, "interval", table->interval_name);
    for (; columns->name; columns++)
        write_column(json, table, columns);
    pxi_write_next(request, next_cursor(table, cursor));
    px_json_close(json, '}');
}

static void write_csv_head(struct px_json *json, const struct column *columns)
{
    for (; columns->name; columns++)
        pxi_csv_name(json, columns->name, !columns[1].name);
}

static void write_csv_row(struct px_json *json, const struct pxi_table *table, const struct column *columns, uint32_t row)
{
    for (; columns->name; columns++) {
        size_t from = json->len;

        columns->write(pxi_csv_begin(json), table, row_at(table, row));
        pxi_csv_end(json, from, !columns[1].name);
    }
}

static void write_csv(struct px_request *request, const struct pxi_table *table, const struct column *columns)
{
    char cursor[PXI_CURSOR_SIZE];

    write_csv_head(pxi_json(request), columns);
    for (uint32_t row = 0; row < table->count; row++)
        write_csv_row(pxi_json(request), table, columns, row);
    if (next_cursor(table, cursor))
        pxi_link_next(request, cursor);
}

void pxi_table_write(struct px_request *request, const struct pxi_table *table, enum pxi_columns columns, bool csv)
{
    if (known_already(request, table, columns, csv) || !pxi_reserve(request, (size_t)table->count * ROW_BYTES_MAX + 1024))
        return;
    if (csv)
        write_csv(request, table, column_sets[columns]);
    else
        write_json(request, table, column_sets[columns]);
}

/* ---- rows of a stream ---- */

static void write_line(struct px_request *request, const struct pxi_table *table, const struct column *columns, uint32_t row)
{
    struct px_json *json = pxi_json(request);

    px_json_open(json, '{');
    for (; columns->name; columns++) {
        px_json_key(json, columns->name);
        columns->write(json, table, row_at(table, row));
    }
    px_json_close(json, '}');
    pxi_line_end(request);
}

bool pxi_table_stream(struct px_request *request, struct pxi_stream *stream, const struct pxi_table *table,
                      enum pxi_columns columns, bool csv, bool first)
{
    if (csv && first)
        write_csv_head(pxi_json(request), column_sets[columns]);
    for (uint32_t row = 0; row < table->count; row++) {
        if (csv)
            write_csv_row(pxi_json(request), table, column_sets[columns], row);
        else
            write_line(request, table, column_sets[columns], row);
        if (!pxi_stream_goes_on(stream))
            return false;
    }
    return true;
}

void pxi_table_stream_end(struct px_request *request, const struct pxi_table *table, uint64_t rows)
{
    char cursor[PXI_CURSOR_SIZE];

    pxi_line_last(request, rows, next_cursor(table, cursor));
}
