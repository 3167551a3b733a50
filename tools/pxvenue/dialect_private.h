/* How a venue talks: what its clients say, what it answers, and how it writes a trade and a quote. */
#pragma once

#include "tools/pxvenue/clients_private.h"
#include "tools/pxvenue/pen_private.h"

struct pxi_symbol {
    char base[16], quote[16]; /* upper case */
};

/* Texts are written into messages as they are. */
struct pxi_trade {
    const struct pxi_symbol *symbol;
    uint64_t id;
    int64_t time; /* ns since the epoch */
    struct px_text price, size;
    bool seller_took;
};

struct pxi_quote {
    const struct pxi_symbol *symbol;
    uint64_t id;
    int64_t time;
    struct px_text bid, bid_size, ask, ask_size, last, last_size;
};

/* What a dialect knows while it talks. */
struct pxi_dialog {
    const struct pxi_dialect *dialect;
    struct pxi_streams *streams;
    enum pxi_unit unit; /* of clients that ask for none */
};

struct pxi_dialect {
    const char *name;
    unsigned decimals; /* prices and sizes are written with so many; 0 = as many as the asset has */
    bool units;        /* writes times in milliseconds or microseconds */
    void (*open)(struct pxi_dialog *dialog, struct pxi_client *client, struct px_text path, struct px_text query);
    void (*message)(struct pxi_dialog *dialog, struct pxi_client *client, struct px_text message);
    void (*symbol)(struct pxi_pen *pen, const struct pxi_symbol *symbol); /* as the venue writes it */
    void (*stream)(struct pxi_pen *pen, const struct pxi_symbol *symbol, enum pxi_frame_kind kind);
    void (*trade)(struct pxi_pen *pen, const struct pxi_trade *trade, enum pxi_unit unit);
    void (*quote)(struct pxi_pen *pen, const struct pxi_quote *quote, enum pxi_unit unit);
};

extern const struct pxi_dialect pxi_binance, pxi_coinbase, pxi_kraken;

/* For recordings that bring the venue's own answers along: any subscription opens the tap, nothing is answered. */
extern const struct pxi_dialect pxi_recorded;

/* NULL when there is none of that name. */
const struct pxi_dialect *pxi_dialect_find(const char *name);

/* BTCUSD, BTC-USD and BTC/USD → BTC, USD. PX_E_FORMAT when no quote currency is recognised, PX_E_TOO_LARGE. */
int pxi_symbol_parse(struct px_text text, struct pxi_symbol *symbolp);

/* The stream of a venue's symbol, such as "matches:BTC-USD", or PXI_STREAM_NONE. */
uint32_t pxi_dialog_stream(const struct pxi_dialog *dialog, const char *channel, const char *symbol);
