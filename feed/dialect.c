#include "feed/dialect_private.h"

#include "base/clock.h"
#include "base/decimal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const struct px_dialect *const dialects[] = {&pxi_binance, &pxi_coinbase, &pxi_kraken};

int px_dialect_find(const char *name, const struct px_dialect **dialectp)
{
    for (size_t i = 0; i < PX_COUNT_OF(dialects); i++) {
        if (strcmp(dialects[i]->name, name) == 0) {
            *dialectp = dialects[i];
            return 0;
        }
    }
    return PX_E_UNKNOWN_VENUE;
}

static bool speaks_at(const struct px_dialect *dialect, struct px_text host)
{
    for (const char *const *known = dialect->hosts; *known; known++) {
        if (strlen(*known) == host.len && strncasecmp(*known, host.at, host.len) == 0)
            return true;
    }
    return false;
}

int px_dialect_for_host(struct px_text host, const struct px_dialect **dialectp)
{
    for (size_t i = 0; i < PX_COUNT_OF(dialects); i++) {
        if (speaks_at(dialects[i], host)) {
            *dialectp = dialects[i];
            return 0;
        }
    }
    return PX_E_UNKNOWN_VENUE;
}

void px_dialect_refusal(struct px_text asked, char *text, size_t size)
{
    int len = snprintf(text, size, "no dialect for '%.*s'; known are", (int)PX_MIN(asked.len, (size_t)64), asked.at);

    for (size_t i = 0; i < PX_COUNT_OF(dialects) && len >= 0 && (size_t)len < size; i++)
        len += snprintf(text + len, size - (size_t)len, "%s %s", i ? "," : "", dialects[i]->name);
}

/* A symbol goes into a path and into JSON unescaped, so only what needs no escape in either may pass. */
static bool symbol_valid(struct px_text symbol)
{
    if (symbol.len == 0 || symbol.len > PX_DIALECT_SYMBOL_MAX)
        return false;
    for (size_t i = 0; i < symbol.len; i++) {
        unsigned char c = (unsigned char)symbol.at[i];
        if (!isalnum(c) && !strchr("/-_.:", c))
            return false;
    }
    return true;
}

static int request_check(const struct px_dialect *dialect, const struct px_dialect_request *request)
{
    if (request->count == 0 || request->count > dialect->symbols_max)
        return PX_E_RANGE;
    for (uint32_t i = 0; i < request->count; i++) {
        if (!symbol_valid(request->symbols[i]))
            return PX_E_RANGE;
    }
    return 0;
}

int px_dialect_path(const struct px_dialect *dialect, const struct px_dialect_request *request, char *text, size_t size)
{
    int error = request_check(dialect, request);

    return error ? error : dialect->path(request, text, size);
}

int px_dialect_subscribe(const struct px_dialect *dialect, const struct px_dialect_request *request, uint32_t number,
                         char *text, size_t size, size_t *lenp)
{
    int error = request_check(dialect, request);

    return error ? error : dialect->subscribe(request, number, text, size, lenp);
}

int px_dialect_parser_create(const struct px_dialect *dialect, struct px_dialect_parser **parserp)
{
    struct px_dialect_parser *parser = calloc(1, sizeof *parser);

    if (!parser)
        return PX_E_MEMORY;
    parser->dialect = dialect;
    *parserp = parser;
    return 0;
}

void px_dialect_parser_destroy(struct px_dialect_parser **parserp)
{
    free(*parserp);
    *parserp = NULL;
}

int px_dialect_parse(struct px_dialect_parser *parser, struct px_text frame, px_feed_sink sink, void *context)
{
    return parser->dialect->parse(parser, frame, sink, context);
}

const struct pxi_message *pxi_message_find(const struct pxi_message *table, struct px_text name)
{
    for (; table->name; table++) {
        if (px_text_is(name, table->name))
            return table;
    }
    return NULL;
}

static int emit_kind(struct pxi_frame *frame, enum px_feed_kind kind, struct px_text message)
{
    struct px_feed_event event = {.kind = kind, .message = message};

    frame->sink(frame->context, &event);
    return 0;
}

int pxi_emit_subscribed(struct pxi_frame *frame, int root)
{
    return emit_kind(frame, PX_FEED_SUBSCRIBED, PX_TEXT(""));
}

int pxi_emit_status(struct pxi_frame *frame, int root)
{
    return emit_kind(frame, PX_FEED_STATUS, PX_TEXT(""));
}

int pxi_emit_ignored(struct pxi_frame *frame, int root)
{
    return emit_kind(frame, PX_FEED_IGNORED, PX_TEXT(""));
}

int pxi_emit_refused(struct pxi_frame *frame, struct px_text message)
{
    return emit_kind(frame, PX_FEED_REFUSED, message);
}

int pxi_time_units(struct px_text text, unsigned digits, int64_t *nsp)
{
    int64_t ns;

    /* Finer than a nanosecond is cut: no clock of a venue means those digits. */
    if (px_decimal_parse(text, 9 - digits, PX_ROUND_DOWN, &ns) || ns < 0)
        return PX_E_FORMAT;
    *nsp = ns;
    return 0;
}

int pxi_time_rfc3339(struct px_text text, int64_t *nsp)
{
    int64_t ns;

    if (px_rfc3339_parse(text, &ns) || ns < 0)
        return PX_E_FORMAT;
    *nsp = ns;
    return 0;
}

bool pxi_path_is(struct px_text path, const char *expected)
{
    return path.len == 0 || px_text_is(path, "/") || px_text_is(path, expected);
}

int pxi_path_copy(const struct px_dialect_request *request, const char *otherwise, char *text, size_t size)
{
    struct px_text path = request->path.len ? request->path : px_text_of(otherwise);

    return px_text_copy(text, size, path) ? 0 : PX_E_TOO_LARGE;
}

uint32_t pxi_batches(uint32_t count, uint32_t each)
{
    uint32_t symbols = PX_DIALECT_BATCH / each;

    return (count + symbols - 1) / symbols;
}
