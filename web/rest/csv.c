/*
 * CSV out of the writers of JSON cells: a number in quotes loses them, null becomes nothing. What stands in a cell here is
 * a number, a time, a name without a comma, true or false.
 */
#include "web/rest/request_private.h"

/* Is the type in the Accept header, and not with a weight of 0? Whoever asks for nothing gets JSON. */
bool pxi_wants_csv(struct px_request *request)
{
    const char *header = request->exchange->header(request->exchange->ctx, "Accept");
    struct px_text rest = px_text_of(header ? header : ""), piece;

    request->answer.by_accept = true;
    while (px_list_next(&rest, &piece)) {
        while (piece.len > 0 && piece.at[0] == ' ')
            piece.at++, piece.len--;
        if (piece.len < 8 || strncasecmp(piece.at, "text/csv", 8) != 0)
            continue;
        if (piece.len == 8 || piece.at[8] == ';' || piece.at[8] == ' ') {
            bool wanted = !pxi_weight_is_zero((struct px_text){piece.at + 8, piece.len - 8});

            if (wanted)
                request->answer.type = "text/csv; charset=utf-8; header=present";
            return wanted;
        }
    }
    return false;
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
