/* The words that every room shares: identifiers, slices of text, and the check that is always on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint32_t px_asset_id; /* dense index into the symbol directory, 0 .. assets-1 */
typedef uint16_t px_venue_id; /* index into the venues of the configuration */

#define PX_ASSET_NONE UINT32_MAX
#define PX_VENUE_NONE UINT16_MAX
#define PX_PRICE_NONE INT64_MIN /* "no price known"; never a legal mantissa */

#define PX_CACHE_LINE 64
#define PX_FALSE_SHARING 128 /* two lines: the adjacent-line prefetcher pulls pairs */

#define PX_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PX_MIN(a, b) ((a) < (b) ? (a) : (b))
#define PX_MAX(a, b) ((a) > (b) ? (a) : (b))

/* A piece of somebody else's text: not terminated, valid as long as its owner says. */
struct px_text {
    const char *at;
    size_t len;
};

#define PX_TEXT(literal) ((struct px_text){(literal), sizeof(literal) - 1})

static inline struct px_text px_text_of(const char *terminated)
{
    return (struct px_text){terminated, strlen(terminated)};
}

static inline bool px_text_eq(struct px_text a, struct px_text b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

static inline bool px_text_is(struct px_text a, const char *terminated)
{
    return px_text_eq(a, px_text_of(terminated));
}

/* Copies at most size-1 bytes and terminates. Returns false when it had to cut. `size` must be > 0. */
bool px_text_copy(char *to, size_t size, struct px_text from);

/* Leaves its last words (see px_last_words_set) and aborts. Never returns; may be called by any process. */
_Noreturn void px_die(const char *file, int line, const char *what);

/* Where px_die writes before it aborts: a buffer in shared memory that the supervisor reads. NULL: standard error only. */
void px_last_words_set(char *buffer, size_t size);

/* What cannot happen. Always on, in every build. */
#define PX_CHECK(condition)                                                                                            \
    do {                                                                                                               \
        if (__builtin_expect(!(condition), 0))                                                                         \
            px_die(__FILE__, __LINE__, #condition);                                                                    \
    } while (0)
