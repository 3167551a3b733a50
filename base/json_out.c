/* A bounded JSON writer. */
#include "base/json_out.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/decimal.h"

void px_json_init(struct px_json *json, char *buffer, size_t size)
{
    *json = (struct px_json){.at = buffer, .size = size};
}

static void put(struct px_json *json, const char *at, size_t len)
{
    if (json->full || len > json->size - json->len) {
        json->full = true;
        return;
    }
    if (len > 0)
        memcpy(json->at + json->len, at, len);
    json->len += len;
}

static void put_char(struct px_json *json, char c)
{
    put(json, &c, 1);
}

/* What stands before any value or key. */
static void separate(struct px_json *json)
{
    if (json->comma)
        put_char(json, ',');
}

static void value(struct px_json *json, const char *at, size_t len)
{
    separate(json);
    put(json, at, len);
    json->comma = true;
}

static void quoted(struct px_json *json, const char *at, size_t len)
{
    separate(json);
    put_char(json, '"');
    put(json, at, len);
    put_char(json, '"');
    json->comma = true;
}

void px_json_open(struct px_json *json, char bracket)
{
    separate(json);
    put_char(json, bracket);
    json->comma = false;
}

void px_json_close(struct px_json *json, char bracket)
{
    put_char(json, bracket);
    json->comma = true;
}

void px_json_key(struct px_json *json, const char *key)
{
    quoted(json, key, strlen(key));
    put_char(json, ':');
    json->comma = false;
}

/*
 * Length of the UTF-8 sequence at the head of `text`, 0 when it is none: overlong forms, surrogates and what lies
 * beyond U+10FFFF are told by the second byte alone.
 */
static size_t utf8_length(struct px_text text)
{
    unsigned char c = (unsigned char)text.at[0], low = 0x80, high = 0xbf;
    size_t len;
    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf)
        len = 2;
    else if (c >= 0xe0 && c <= 0xef)
        len = 3;
    else if (c >= 0xf0 && c <= 0xf4)
        len = 4;
    else
        return 0;
    if (c == 0xe0)
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f;
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    if (len > text.len)
        return 0;
    for (size_t i = 1; i < len; i++, low = 0x80, high = 0xbf)
        if ((unsigned char)text.at[i] < low || (unsigned char)text.at[i] > high)
            return 0;
    return len;
}

static void put_control(struct px_json *json, unsigned char c)
{
    static const char *const names[0x20] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r",
    };
    char text[8];
    if (names[c]) {
        put(json, names[c], 2);
        return;
    }
    snprintf(text, sizeof text, "\\u%04x", c);
    put(json, text, 6);
}

/* Writes the head of `text` and says how many of its bytes that were. */
static size_t put_escaped(struct px_json *json, struct px_text text)
{
    unsigned char c = (unsigned char)text.at[0];
    if (c < 0x20) {
        put_control(json, c);
        return 1;
    }
    if (c == '"' || c == '\\')
        put_char(json, '\\');
    size_t len = utf8_length(text);
    if (len > 0)
        put(json, text.at, len);
    else
        put(json, "\xef\xbf\xbd", 3);
    return PX_MAX(len, 1);
}

void px_json_string(struct px_json *json, struct px_text text)
{
    separate(json);
    put_char(json, '"');
    while (text.len > 0 && !json->full) {
        size_t done = put_escaped(json, text);
        text.at += done;
        text.len -= done;
    }
    put_char(json, '"');
    json->comma = true;
}

void px_json_int(struct px_json *json, int64_t number)
{
    char text[PX_DECIMAL_SIZE];
    value(json, text, px_decimal_format(number, 0, text));
}

void px_json_bool(struct px_json *json, bool yes)
{
    value(json, yes ? "true" : "false", yes ? 4 : 5);
}

void px_json_null(struct px_json *json)
{
    value(json, "null", 4);
}

void px_json_decimal(struct px_json *json, int64_t mantissa, unsigned scale)
{
    char text[PX_DECIMAL_SIZE];
    if (mantissa == PX_PRICE_NONE)
        px_json_null(json);
    else
        quoted(json, text, px_decimal_format(mantissa, scale, text));
}

void px_json_time(struct px_json *json, int64_t ns)
{
    char text[PX_RFC3339_SIZE];
    if (ns == 0)
        px_json_null(json);
    else
        quoted(json, text, px_rfc3339_format(ns, text));
}

void px_json_raw(struct px_json *json, struct px_text text)
{
    value(json, text.at, text.len);
}

void px_json_kv_string(struct px_json *json, const char *key, const char *terminated)
{
    px_json_key(json, key);
    px_json_string(json, px_text_of(terminated));
}

void px_json_kv_int(struct px_json *json, const char *key, int64_t number)
{
    px_json_key(json, key);
    px_json_int(json, number);
}

void px_json_kv_bool(struct px_json *json, const char *key, bool yes)
{
    px_json_key(json, key);
    px_json_bool(json, yes);
}

void px_json_kv_decimal(struct px_json *json, const char *key, int64_t mantissa, unsigned scale)
{
    px_json_key(json, key);
    px_json_decimal(json, mantissa, scale);
}

void px_json_kv_time(struct px_json *json, const char *key, int64_t ns)
{
    px_json_key(json, key);
    px_json_time(json, ns);
}
