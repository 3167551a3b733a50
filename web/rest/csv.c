/*
 * CSV, and JSON a line, out of the writers of JSON cells: in CSV a text loses its quotes and null becomes nothing. What stands in
 * a cell here is a number, a time, a name without a comma, true or false.
 */
#include "web/rest/request_private.h"

/* Is the type in the Accept header, and not with a weight of 0? */
static bool accepts(const struct px_request *request, const char *type)
{
    const char *header = request->exchange->header(request->exchange->ctx, "Accept");
    struct px_text rest = px_text_of(header ? header : ""), piece;
    size_t len = strlen(type);

    while (px_list_next(&rest, &piece)) {
        while (piece.len > 0 && piece.at[0] == ' ')
            piece.at++, piece.len--;
        if (piece.len < len || strncasecmp(piece.at, type, len) != 0)
            continue;
        if (piece.len == len || piece.at[len] == ';' || piece.at[len] == ' ')
            return !pxi_weight_is_zero((struct px_text){piece.at + len, piece.len - len});
    }
    return false;
}

/* Whoever asks for nothing gets JSON. */
enum pxi_form pxi_form_wanted(struct px_request *request)
{
    request->answer.by_accept = true;
    if (accepts(request, "text/csv")) {
        request->answer.type = "text/csv; charset=utf-8; header=present";
        return PXI_FORM_CSV;
    }
    if (accepts(request, "application/x-ndjson")) {
        request->answer.type = "application/x-ndjson";
        return PXI_FORM_LINES;
    }
    return PXI_FORM_JSON;
}

static void put(struct px_json *json, const char *at, size_t len)
{
    json->comma = false;
    px_json_raw(json, (struct px_text){at, len});
    json->comma = false;
}

void pxi_csv_name(struct px_json *json, const char *name, bool last)
{
    put(json, name, strlen(name));
    put(json, last ? "\n" : ",", 1);
}

struct px_json *pxi_csv_begin(struct px_json *json)
{
    json->comma = false;
    return json;
}

void pxi_csv_end(struct px_json *json, size_t from, bool last)
{
    char *cell = json->at + from;
    size_t len = json->len - from;

    if (json->full)
        return;
    if (len >= 2 && cell[0] == '"') {
        memmove(cell, cell + 1, len - 2);
        json->len -= 2;
    } else if (len == 4 && memcmp(cell, "null", 4) == 0) {
        json->len = from;
    }
    put(json, last ? "\n" : ",", 1);
}

/* ---- JSON a line ---- */

void pxi_line_end(struct px_request *request)
{
    put(pxi_json(request), "\n", 1);
}

void pxi_line_last(struct px_request *request, uint64_t rows, const char *cursor)
{
    struct px_json *json = pxi_json(request);

    px_json_open(json, '{');
    px_json_kv_bool(json, "end", true);
    px_json_kv_int(json, "rows", (int64_t)rows);
    px_json_key(json, "next_cursor");
    if (cursor)
        px_json_string(json, px_text_of(cursor));
    else
        px_json_null(json);
    px_json_close(json, '}');
    pxi_line_end(request);
}
