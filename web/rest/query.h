/* What stands after the "?" of a request, and percent encoding. Pure text; any process, any thread; nothing blocks or
 * allocates. */
#pragma once

#include "base/types.h"

#define PX_QUERY_MAX       16   /* parameters in one request */
#define PX_QUERY_TEXT_SIZE 8192 /* bytes of all of them, decoded; room for 500 symbols */

struct px_query {
    unsigned count;
    size_t used;
    struct {
        struct px_text name, value; /* point into `text` */
    } list[PX_QUERY_MAX];
    char text[PX_QUERY_TEXT_SIZE];
};

/*
 * Decodes %XX, and "+" as a blank when `plus`. PX_E_FORMAT for a broken escape and for any control character, NUL among
 * them; PX_E_TOO_LARGE when `to` is too small. The result is terminated; *lenp is its length.
 */
int px_percent_decode(struct px_text from, bool plus, char *to, size_t size, size_t *lenp);

/* Writes `from` so that it may stand in a query; PX_E_TOO_LARGE when it does not fit with its terminator. */
int px_percent_encode(struct px_text from, char *to, size_t size);

/* Splits and decodes. PX_E_FORMAT, PX_E_TOO_LARGE (too many parameters, too much text), PX_E_EXISTS (one given twice).
 */
int px_query_parse(struct px_text raw, struct px_query *queryp);

/* False if it is not there. The value lives as long as the query and is terminated. */
bool px_query_get(const struct px_query *query, const char *name, struct px_text *valuep);

/* Plain digits within [least, most]; *valuep stays as it was when the parameter is absent. PX_E_RANGE otherwise. */
int px_query_int(const struct px_query *query, const char *name, int64_t least, int64_t most, int64_t *valuep);

/* "true" or "false" (also 1 and 0); the same rules. */
int px_query_bool(const struct px_query *query, const char *name, bool *valuep);

/* The next piece of a list that commas part; false after the last. Pieces may be empty. */
bool px_list_next(struct px_text *rest, struct px_text *piecep);
