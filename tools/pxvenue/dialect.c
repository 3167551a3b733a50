#include "tools/pxvenue/dialect_private.h"

#include <ctype.h>
#include <stdio.h>

#include "base/error.h"

const struct pxi_dialect *pxi_dialect_find(const char *name)
{
    static const struct pxi_dialect *const all[] = {&pxi_binance, &pxi_coinbase, &pxi_kraken};

    for (size_t i = 0; i < PX_COUNT_OF(all); i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}

static bool copy_upper(char *to, size_t size, struct px_text from)
{
    if (from.len == 0 || !px_text_copy(to, size, from))
        return false;
    for (; *to; to++)
        *to = (char)toupper((unsigned char)*to);
    return true;
}

/* The length of the base, or 0. Longer currencies stand first: BTCUSDT is not BTCUSD and a T. */
static size_t base_len(struct px_text text)
{
    static const char *const quotes[] = {"USDT", "USDC", "USD", "EUR", "GBP", "JPY", "CHF", "BTC", "XBT", "ETH", "BNB"};

    for (size_t i = 0; i < PX_COUNT_OF(quotes); i++) {
        size_t len = strlen(quotes[i]);
        if (text.len > len && strncasecmp(text.at + text.len - len, quotes[i], len) == 0)
            return text.len - len;
    }
    return 0;
}

int pxi_symbol_parse(struct px_text text, struct pxi_symbol *symbolp)
{
    size_t split = 0;

    while (split < text.len && text.at[split] != '-' && text.at[split] != '/')
        split++;
    size_t gap = split < text.len;
    if (!gap)
        split = base_len(text);
    if (split == 0)
        return PX_E_FORMAT;
    if (!copy_upper(symbolp->base, sizeof(symbolp->base), (struct px_text){text.at, split}) ||
        !copy_upper(symbolp->quote, sizeof(symbolp->quote),
                    (struct px_text){text.at + split + gap, text.len - split - gap}))
        return PX_E_TOO_LARGE;
    return 0;
}

uint32_t pxi_dialog_stream(const struct pxi_dialog *dialog, const char *channel, const char *symbol)
{
    char name[PXI_STREAM_NAME_MAX + 1];
    int len = snprintf(name, sizeof(name), "%s:%s", channel, symbol);

    if (len >= (int)sizeof(name))
        return PXI_STREAM_NONE;
    return pxi_streams_find(dialog->streams, (struct px_text){name, (size_t)len});
}

static void recorded_open(struct pxi_dialog *dialog, struct pxi_client *client, struct px_text path,
                          struct px_text query)
{
}

static void recorded_message(struct pxi_dialog *dialog, struct pxi_client *client, struct px_text message)
{
    if (memmem(message.at, message.len, "subscribe", 9))
        pxi_client_subscribe(client, PXI_STREAM_NONE);
}

const struct pxi_dialect pxi_recorded = {.name = "recorded", .open = recorded_open, .message = recorded_message};
