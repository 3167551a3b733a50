/* Reads one JSON text into a bounded array of tokens, without allocation, and finds things in it. Private to feed/. */
#pragma once

#define JSMN_PARENT_LINKS
#define JSMN_STRICT
#define JSMN_HEADER
#include <jsmn.h>

#include "base/error.h"
#include "base/types.h"

/* A batch of 50 trades takes 850 tokens, the answer to a subscription of 500 symbols about 1,000. */
#define PXI_TOKENS 4096
#define PXI_NONE   (-1)

/* Tokens by index; 0 is the root. Every function takes PXI_NONE for "not there" and answers accordingly. */
struct pxi_json {
    struct px_text text;
    int count;
    bool cut; /* more tokens than room: only the first PXI_TOKENS are known */
    jsmntok_t tokens[PXI_TOKENS];
};

/* PX_E_FORMAT when it is not one JSON object or array; PX_E_TOO_LARGE when it is cut, and then the beginning can be
 * read. */
int pxi_json_read(struct pxi_json *json, struct px_text text);

bool pxi_json_is(const struct pxi_json *json, int token, jsmntype_t type);
int pxi_json_size(const struct pxi_json *json, int token); /* members or elements; 0 for others */
int pxi_json_find(const struct pxi_json *json, int object, const char *key);
int pxi_json_first(const struct pxi_json *json, int array); /* the first element, PXI_NONE if empty */
int pxi_json_next(const struct pxi_json *json, int element, int array);
int pxi_json_at(const struct pxi_json *json, int array, int index);

/* The raw text of a string (escapes stay as they are), a number or a word; empty for anything else. */
struct px_text pxi_json_text(const struct pxi_json *json, int token);
struct px_text pxi_json_string(const struct pxi_json *json, int token);

/* A number, bare or in quotes, into *textp untouched. PX_E_FORMAT. */
int pxi_json_decimal(const struct pxi_json *json, int token, struct px_text *textp);

/* The same, but an absent one is fine and leaves *textp. */
int pxi_json_decimal_maybe(const struct pxi_json *json, int token, struct px_text *textp);

/* A whole number of 1 to 20 digits. PX_E_FORMAT. */
int pxi_json_uint64(const struct pxi_json *json, int token, uint64_t *valuep);
