#define JSMN_STATIC
#define JSMN_PARENT_LINKS
#define JSMN_STRICT
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-function"
#include <jsmn.h>
#pragma GCC diagnostic pop

#include "feed/json_private.h"

#include <ctype.h>
#include <limits.h>

static struct px_text trimmed(struct px_text text)
{
    while (text.len && isspace((unsigned char)text.at[0]))
        text.at++, text.len--;
    while (text.len && isspace((unsigned char)text.at[text.len - 1]))
        text.len--;
    return text;
}

int pxi_json_read(struct pxi_json *json, struct px_text text)
{
    jsmn_parser parser;
    int count;

    json->text = trimmed(text);
    json->count = 0;
    json->cut = false;
    if (json->text.len < 2 || json->text.len > INT_MAX || (json->text.at[0] != '{' && json->text.at[0] != '['))
        return PX_E_FORMAT;
    jsmn_init(&parser);
    count = jsmn_parse(&parser, json->text.at, json->text.len, json->tokens, PXI_TOKENS);
    if (count == JSMN_ERROR_NOMEM) {
        json->count = PXI_TOKENS;
        json->cut = true;
        return PX_E_TOO_LARGE;
    }
    /* The tokenizer stops at a zero byte and goes on after a closed root: the root must reach the end of the text. */
    if (count < 1 || json->tokens[0].end != (int)json->text.len)
        return PX_E_FORMAT;
    json->count = count;
    return 0;
}

bool pxi_json_is(const struct pxi_json *json, int token, jsmntype_t type)
{
    return token >= 0 && token < json->count && json->tokens[token].type == type;
}

int pxi_json_size(const struct pxi_json *json, int token)
{
    if (!pxi_json_is(json, token, JSMN_OBJECT) && !pxi_json_is(json, token, JSMN_ARRAY))
        return 0;
    return json->tokens[token].size;
}

/* The token after everything inside `token`. One that a cut text never closed reaches to the last token. */
static int skip(const struct pxi_json *json, int token)
{
    int end = json->tokens[token].end, next = token + 1;

    if (end < 0)
        return json->count;
    while (next < json->count && json->tokens[next].start < end)
        next++;
    return next;
}

int pxi_json_find(const struct pxi_json *json, int object, const char *key)
{
    struct px_text wanted = px_text_of(key);

    if (!pxi_json_is(json, object, JSMN_OBJECT))
        return PXI_NONE;
    for (int at = object + 1, left = json->tokens[object].size; left > 0 && at + 1 < json->count; left--) {
        if (json->tokens[at].type != JSMN_STRING || json->tokens[at].size != 1)
            return PXI_NONE;
        if (px_text_eq(pxi_json_text(json, at), wanted))
            return at + 1;
        at = skip(json, at + 1);
    }
    return PXI_NONE;
}

int pxi_json_first(const struct pxi_json *json, int array)
{
    return pxi_json_is(json, array, JSMN_ARRAY) && json->tokens[array].size > 0 && array + 1 < json->count ? array + 1
                                                                                                           : PXI_NONE;
}

int pxi_json_next(const struct pxi_json *json, int element, int array)
{
    int next = skip(json, element);

    return next < json->count && json->tokens[next].parent == array ? next : PXI_NONE;
}

int pxi_json_at(const struct pxi_json *json, int array, int index)
{
    int element = pxi_json_first(json, array);

    while (element != PXI_NONE && index-- > 0)
        element = pxi_json_next(json, element, array);
    return element;
}

struct px_text pxi_json_text(const struct pxi_json *json, int token)
{
    const jsmntok_t *tok = &json->tokens[token < 0 ? 0 : token];

    if (!pxi_json_is(json, token, JSMN_STRING) && !pxi_json_is(json, token, JSMN_PRIMITIVE))
        return (struct px_text){"", 0};
    return (struct px_text){json->text.at + tok->start, (size_t)(tok->end - tok->start)};
}

struct px_text pxi_json_string(const struct pxi_json *json, int token)
{
    return pxi_json_is(json, token, JSMN_STRING) ? pxi_json_text(json, token) : (struct px_text){"", 0};
}

int pxi_json_decimal(const struct pxi_json *json, int token, struct px_text *textp)
{
    struct px_text text = pxi_json_text(json, token);
    size_t digits = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (isdigit((unsigned char)text.at[i]))
            digits++;
        else if (!strchr("+-.eE", text.at[i]) || text.at[i] == 0)
            return PX_E_FORMAT;
    }
    if (digits == 0)
        return PX_E_FORMAT;
    *textp = text;
    return 0;
}

int pxi_json_decimal_maybe(const struct pxi_json *json, int token, struct px_text *textp)
{
    return token == PXI_NONE ? 0 : pxi_json_decimal(json, token, textp);
}

int pxi_json_uint64(const struct pxi_json *json, int token, uint64_t *valuep)
{
    struct px_text text = pxi_json_text(json, token);
    uint64_t value = 0;

    if (text.len == 0 || text.len > 20)
        return PX_E_FORMAT;
    for (size_t i = 0; i < text.len; i++) {
        if (!isdigit((unsigned char)text.at[i]) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.at[i] - '0'), &value))
            return PX_E_FORMAT;
    }
    *valuep = value;
    return 0;
}
