/*
 * A made-up market: assets with the tick sizes of real ones, whose prices walk at random from a seed. Numbers of trades
 * are consecutive per asset from 1, so that whoever listens can count what is missing.
 */
#pragma once

#include <stdio.h>

#include "base/decimal.h"
#include "tools/pxvenue/dice_private.h"
#include "tools/pxvenue/dialect_private.h"
#include "tools/pxvenue/faults_private.h"
#include "tools/pxvenue/source_private.h"

#define PXI_ASSETS_MAX 65536

struct pxi_market;

struct pxi_market_setup {
    const struct pxi_dialect *dialect;
    struct pxi_streams *streams;
    struct pxi_faults *faults;
    FILE *journal;                    /* "symbol id price size time_us fate" a line, or NULL */
    uint32_t asset_count;             /* with `prefix`, or the names in `symbols` */
    const char *prefix;               /* A → A00001USD, A00002USD, … */
    const char *symbols;              /* "BTCUSD,ETHUSD", or NULL */
    uint32_t rate_count, rate_period; /* trades per asset: so many in so many seconds */
    uint64_t ticks;                   /* trades in all; 0 = without end */
    uint64_t seed;
    bool quotes; /* the best bid and ask with every trade */
};

/* Adds two streams for each asset: 2i for its trades, 2i+1 for its quotes. PX_E_RANGE, PX_E_FULL, PX_E_MEMORY. */
int pxi_market_create(const struct pxi_market_setup *setup, struct pxi_market **marketp);
void pxi_market_destroy(struct pxi_market **marketp);

/* The trades of the random walk, evenly spread over time. Lives as long as the market. */
struct pxi_source *pxi_market_source(struct pxi_market *market);

/* One line per asset for scripts: symbol, BASE-QUOTE, decimals, decimals of sizes, tick, start price. */
void pxi_market_list(const struct pxi_market *market, FILE *to);

/* PX_E_NOT_FOUND. The symbol may be written with '-' or '/'. */
int pxi_market_find(const struct pxi_market *market, struct px_text symbol, uint32_t *assetp);

/* Sends one trade with these texts as they are, even when they are no decimals, and its quote where quotes are on. */
void pxi_market_trade(struct pxi_market *market, uint32_t asset, struct px_text price, struct px_text size, bool quote);

/* Sends one quote with these texts as they are; `size` is that of both sides. */
void pxi_market_quote(struct pxi_market *market, uint32_t asset, struct px_text bid, struct px_text ask, struct px_text size);
