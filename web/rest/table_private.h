/* Inside web/rest: a table of candles on its way from the stores to the answer. */
#pragma once

#include "web/rest/request_private.h"

enum pxi_fill { PXI_FILL_NONE, PXI_FILL_PREVIOUS, PXI_FILL_NULL };

struct pxi_row {
    struct px_candle candle;
    bool filled, empty; /* empty: no price known */
};

struct pxi_table {
    struct px_symbol symbol;
    px_asset_id asset;
    const char *interval_name;
    uint32_t interval_s;
    int64_t interval_ns;
    struct px_range range;
    bool forward; /* from start; else back from end, whatever the order of the rows */
    bool partial;
    enum pxi_fill fill;
    struct px_candle *candles; /* ascending in time; room for limit + 1 */
    uint32_t candle_count;
    int64_t prior;        /* close before the first */
    int64_t final_ns;     /* what ends by then is final, with trades or without */
    struct pxi_row *rows; /* what is told, ascending; room for limit + 1 */
    uint32_t count;
    bool more;
};

/* Fetches the candles of the range: from the keeper, and with `partial` the newest minutes from shared memory. Errors are
 * the reader's. candle_join.c. */
int pxi_table_fetch(struct px_request *request, struct pxi_table *table);

/* Writes the rows as JSON columns or as CSV, with validators. table.c. */
enum pxi_columns { PXI_CANDLE_COLUMNS, PXI_AVERAGE_COLUMNS };
void pxi_table_write(struct px_request *request, const struct pxi_table *table, enum pxi_columns columns, bool csv);

/* A page of a stream, as CSV or as JSON a line; `first` brings the names of the columns. False: nobody takes it. */
bool pxi_table_stream(struct px_request *request, struct pxi_stream *stream, const struct pxi_table *table,
                      enum pxi_columns columns, bool csv, bool first);
void pxi_table_stream_end(struct px_request *request, const struct pxi_table *table, uint64_t rows); /* JSON a line only */
