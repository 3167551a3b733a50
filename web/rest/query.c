/* Query strings and percent encoding. */
#include "web/rest/query.h"

#include "base/error.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that an escape at `at` stands for, or -1. */
static int escape_at(struct px_text from, size_t at)
{
    if (from.len - at < 3)
        return -1;
    int high = hex_digit(from.at[at + 1]), low = hex_digit(from.at[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

int px_percent_decode(struct px_text from, bool plus, char *to, size_t size, size_t *lenp)
{
    size_t len = 0;

    for (size_t i = 0; i < from.len; i++) {
        int c = (unsigned char)from.at[i];
        if (c == '%') {
            c = escape_at(from, i);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c < 0x20 || c == 0x7f)
            return PX_E_FORMAT;
        if (len + 1 >= size)
            return PX_E_TOO_LARGE;
        to[len++] = (char)c;
    }
    if (size == 0)
        return PX_E_TOO_LARGE;
    to[len] = '\0';
    *lenp = len;
    return 0;
}

static bool unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == '~';
}

int px_percent_encode(struct px_text from, char *to, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;

    for (size_t i = 0; i < from.len; i++) {
        unsigned char c = (unsigned char)from.at[i];
        if (len + 4 > size)
            return PX_E_TOO_LARGE;
        if (unreserved((char)c)) {
            to[len++] = (char)c;
            continue;
        }
        to[len++] = '%';
        to[len++] = digits[c >> 4];
        to[len++] = digits[c & 15];
    }
    if (len >= size)
        return PX_E_TOO_LARGE;
    to[len] = '\0';
    return 0;
}

/* Cuts the head of `rest` at the first `mark`; false when nothing is left. */
static bool cut(struct px_text *rest, char mark, struct px_text *piecep)
{
    if (rest->at == NULL)
        return false;
    const char *end = memchr(rest->at, mark, rest->len);
    *piecep = (struct px_text){rest->at, end ? (size_t)(end - rest->at) : rest->len};
    *rest = end ? (struct px_text){end + 1, rest->len - piecep->len - 1} : (struct px_text){NULL, 0};
    return true;
}

bool px_list_next(struct px_text *rest, struct px_text *piecep)
{
    return cut(rest, ',', piecep);
}

static int decode_into(struct px_query *query, struct px_text raw, struct px_text *textp)
{
    char *to = query->text + query->used;
    size_t len;
    int rc = px_percent_decode(raw, true, to, sizeof query->text - query->used, &len);
    if (rc < 0)
        return rc;
    *textp = (struct px_text){to, len};
    query->used += len + 1;
    return 0;
}

static int add_pair(struct px_query *query, struct px_text pair)
{
    struct px_text name, value = {"", 0}, known;

    if (query->count == PX_QUERY_MAX)
        return PX_E_TOO_LARGE;
    cut(&pair, '=', &name);
    if (pair.at)
        value = pair;
    int rc = decode_into(query, name, &name);
    if (rc == 0)
        rc = decode_into(query, value, &value);
    if (rc < 0)
        return rc;
    if (px_query_get(query, name.at, &known))
        return PX_E_EXISTS;
    query->list[query->count].name = name;
    query->list[query->count++].value = value;
    return 0;
}

int px_query_parse(struct px_text raw, struct px_query *queryp)
{
    struct px_text pair;
    int rc = 0;

    queryp->count = 0;
    queryp->used = 0;
    while (rc == 0 && cut(&raw, '&', &pair))
        if (pair.len > 0)
            rc = add_pair(queryp, pair);
    return rc;
}

bool px_query_get(const struct px_query *query, const char *name, struct px_text *valuep)
{
    for (unsigned i = 0; i < query->count; i++) {
        if (px_text_is(query->list[i].name, name)) {
            *valuep = query->list[i].value;
            return true;
        }
    }
    return false;
}

int px_query_int(const struct px_query *query, const char *name, int64_t least, int64_t most, int64_t *valuep)
{
    struct px_text text;
    int64_t value = 0;

    if (!px_query_get(query, name, &text))
        return 0;
    if (text.len == 0 || text.len > 18)
        return PX_E_RANGE;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return PX_E_RANGE;
        value = value * 10 + (text.at[i] - '0');
    }
    if (value < least || value > most)
        return PX_E_RANGE;
    *valuep = value;
    return 0;
}

int px_query_bool(const struct px_query *query, const char *name, bool *valuep)
{
    struct px_text text;

    if (!px_query_get(query, name, &text))
        return 0;
    bool yes = px_text_is(text, "true") || px_text_is(text, "1");
    if (!yes && !px_text_is(text, "false") && !px_text_is(text, "0"))
        return PX_E_RANGE;
    *valuep = yes;
    return 0;
}
