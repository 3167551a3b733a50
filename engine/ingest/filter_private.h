/*
 * What an observation must pass before it is a price.
 *
 *   check   per source: positive, on the tick size, not seen before by its trade id
 *   jump    per asset: within max_jump_bp of the last accepted trade; else held back until three more trades near the
 * new level say that it is real
 *
 * Private to engine/ingest.
 */
#pragma once

#include "base/config.h"
#include "engine/ingest/observation_private.h"

#define PXI_CONFIRMATIONS 3
#define PXI_RENUMBERED    8

enum pxi_verdict { PXI_ACCEPT, PXI_BAD, PXI_DUPLICATE, PXI_QUARANTINE };

struct pxi_filter;

/* PX_E_MEMORY. The configuration must outlive it. */
int pxi_filter_create(const struct px_config *config, struct pxi_filter **filterp);
void pxi_filter_destroy(struct pxi_filter **filterp);

/* What a predecessor had accepted last; PX_PRICE_NONE or id 0 where it had nothing. */
void pxi_filter_seed(struct pxi_filter *filter, px_asset_id asset, int64_t price, px_venue_id venue, uint64_t trade_id);

/*
 * PXI_ACCEPT, PXI_BAD or PXI_DUPLICATE. An id not above the highest of its source is a duplicate, but a venue may start
 * its count anew (a recording in a circle, a test venue restarted). That is believed when an id falls back to where the
 * connection began, or when PXI_RENUMBERED trades in a row rise below the highest; and after a lost connection where
 * the clock is the receipt's.
 */
enum pxi_verdict pxi_filter_check(struct pxi_filter *filter, const struct pxi_observation *observation);

/* PXI_ACCEPT or PXI_QUARANTINE; a trade that passed check and arbitration. */
enum pxi_verdict pxi_filter_jump(struct pxi_filter *filter, const struct pxi_observation *observation);

/* A connection to the venue was lost. */
void pxi_filter_lost(struct pxi_filter *filter, px_venue_id venue);

/* Whether this accepted trade is the first of its source since the start or a lost connection. True once. */
bool pxi_filter_gap_ends(struct pxi_filter *filter, const struct pxi_observation *observation);

/* Bid above ask: told and counted, not refused; it is what the venue shows. */
static inline bool pxi_crossed(const struct pxi_observation *observation)
{
    return observation->quote && observation->price > observation->size;
}
