/*
 * The one writer of price slots, detail slots and tick ring.
 *
 * Order: price slot, detail slot, and with the batch (one socket read, at most PXI_BATCH ticks) the ring. Whoever is
 * woken by the ring therefore finds slots at least as new. Death in between:
 *
 *   between price and detail     the price's sequence is ahead of the detail's: takeover completes the detail
 *   between detail and ring      the detail's position is not in the ring: takeover publishes the asset's last tick
 * again, marked as after a gap; earlier ones of the same batch show as a gap in sseq
 *
 * Private to engine/ingest.
 */
#pragma once

#include "engine/heritage.h"
#include "engine/ingest/observation_private.h"

#define PXI_BATCH 512

struct pxi_publisher;

/* PX_E_MEMORY. */
int pxi_publisher_create(const struct px_heritage *heritage, struct pxi_publisher **publisherp);
void pxi_publisher_destroy(struct pxi_publisher **publisherp);

/* Before the first tick: makes sound what a predecessor left, and goes on with its sequence numbers. */
void pxi_publisher_takeover(struct pxi_publisher *publisher);

/* As shared memory has them now: PX_PRICE_NONE and id 0 where nothing is known. After the takeover. */
struct px_detail_value pxi_publisher_detail(const struct pxi_publisher *publisher, px_asset_id asset);

/* One accepted or quarantined tick with its enum px_tick_flags; a quarantined one goes into the ring alone. */
void pxi_publish(struct pxi_publisher *publisher, const struct pxi_observation *observation, uint16_t flags,
                 uint32_t fresh_sources);

/* Hands the batch to the ring, if there is any. */
void pxi_publisher_flush(struct pxi_publisher *publisher);
