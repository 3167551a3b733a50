/*
 * Any bytes through every dialect. Besides what the sanitizers see: an event's slices lie inside the frame, a trade has
 * a symbol and a price, a quote a symbol and two sides.
 */
#include <stdlib.h>

#include "feed/dialect.h"

static const char *const names[] = {"binance", "coinbase", "kraken"};
static struct px_dialect_parser *parsers[PX_COUNT_OF(names)];

struct seen {
    struct px_text frame;
    unsigned events;
};

static void check_slice(const struct px_text *frame, struct px_text slice)
{
    PX_CHECK(slice.len == 0 || (slice.at >= frame->at && slice.at + slice.len <= frame->at + frame->len));
}

static void check_event(void *context, const struct px_feed_event *event)
{
    struct seen *seen = context;

    seen->events++;
    PX_CHECK((unsigned)event->kind < PX_FEED_KINDS && event->venue_ns >= 0);
    check_slice(&seen->frame, event->symbol);
    check_slice(&seen->frame, event->price);
    check_slice(&seen->frame, event->size);
    check_slice(&seen->frame, event->bid);
    check_slice(&seen->frame, event->bid_size);
    check_slice(&seen->frame, event->ask);
    check_slice(&seen->frame, event->ask_size);
    check_slice(&seen->frame, event->message);
    if (event->kind == PX_FEED_TRADE)
        PX_CHECK(event->symbol.len && event->price.len && event->size.len);
    if (event->kind == PX_FEED_QUOTE)
        PX_CHECK(event->symbol.len && event->bid.len && event->ask.len);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    for (size_t i = 0; i < PX_COUNT_OF(names); i++) {
        const struct px_dialect *dialect;
        PX_CHECK(px_dialect_find(names[i], &dialect) == 0);
        PX_CHECK(px_dialect_parser_create(dialect, &parsers[i]) == 0);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {{(const char *)data, size}, 0};

    for (size_t i = 0; i < PX_COUNT_OF(names); i++)
        px_dialect_parse(parsers[i], seen.frame, check_event, &seen);
    return 0;
}
