/*
 * Writes JSON into a buffer that the caller owns. Bounded: what does not fit sets `full` and nothing more is written, so that
 * the caller checks once at the end. Commas are placed by the writer.
 */
#pragma once

#include "base/types.h"

struct px_json {
    char *at;
    size_t len, size;
    bool full;
    bool comma; /* a value was just written at this level */
};

void px_json_init(struct px_json *json, char *buffer, size_t size);

void px_json_open(struct px_json *json, char bracket);  /* '{' or '[' */
void px_json_close(struct px_json *json, char bracket); /* '}' or ']' */
void px_json_key(struct px_json *json, const char *key); /* plain ASCII keys only */

void px_json_string(struct px_json *json, struct px_text text); /* escapes; invalid UTF-8 becomes U+FFFD */
void px_json_int(struct px_json *json, int64_t value);
void px_json_bool(struct px_json *json, bool value);
void px_json_null(struct px_json *json);
void px_json_decimal(struct px_json *json, int64_t mantissa, unsigned scale); /* as a string; PX_PRICE_NONE as null */
void px_json_time(struct px_json *json, int64_t ns);                          /* RFC 3339 string; 0 as null */
void px_json_raw(struct px_json *json, struct px_text text);                  /* already JSON */

/* key and value in one call, for the common shapes */
void px_json_kv_string(struct px_json *json, const char *key, const char *terminated);
void px_json_kv_int(struct px_json *json, const char *key, int64_t value);
void px_json_kv_bool(struct px_json *json, const char *key, bool value);
void px_json_kv_decimal(struct px_json *json, const char *key, int64_t mantissa, unsigned scale);
void px_json_kv_time(struct px_json *json, const char *key, int64_t ns);
