/* What a venue said about one asset, in the asset's own units. It walks through normalise, filter, arbitrate and
 * publish. */
#pragma once

#include "base/types.h"
#include "feed/dialect.h"

struct pxi_observation {
    px_asset_id asset;
    px_venue_id venue;
    uint16_t source; /* index in the asset's list of sources; 0 is the primary */
    bool quote;
    bool replayed; /* the venue's greeting, from before the subscription */
    enum px_feed_side side;
    int64_t price;   /* mantissa at the asset's scale; of a quote the bid */
    int64_t size;    /* mantissa at the asset's size scale; of a quote the ask, at the price's scale */
    int64_t time_ns; /* by the clock that the venue's configuration names */
    int64_t recv_ns; /* wall clock when the bytes were read */
    uint64_t trade_id;
};
