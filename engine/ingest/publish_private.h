/*
 * The one writer of price slots, detail slots and tick ring.
 *
 * A batch is one socket read, at most PXI_BATCH ticks. Its order: what it overwrites is saved for the evaluator
 * (shm/extremes.h), the ticks are staged in the ring, the slots are written, the ring's tail is raised. Whoever is woken
 * by the ring therefore finds slots at least as new. Death in between:
 *
 *   before the batch is staged   it was never received: slots and ring know nothing of it
 *   after that                   takeover finds it whole, beyond tail: it writes the slots that lack it, and raises tail
 *
 * So no tick that a slot shows is missing from the ring, and sseq has no gaps.
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
