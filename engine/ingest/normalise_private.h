/* From a venue's words to the engine's numbers. Private to engine/ingest. */
#pragma once

#include "base/config.h"
#include "engine/ingest/observation_private.h"

struct pxi_normaliser;

/* The table of (venue, symbol) for all assets; symbols match in any case of letters. PX_E_MEMORY. */
int pxi_normaliser_create(const struct px_config *config, struct pxi_normaliser **normaliserp);
void pxi_normaliser_destroy(struct pxi_normaliser **normaliserp);

/*
 * A trade or a quote. PX_E_NOT_FOUND: no asset has this source; PX_E_NOT_DECIMAL, PX_E_DIGITS, PX_E_OVERFLOW: a number
 * that the asset's scale cannot hold exactly. Never blocks or allocates.
 */
int pxi_normalise(const struct pxi_normaliser *normaliser, px_venue_id venue, const struct px_feed_event *event,
                  int64_t recv_ns, struct pxi_observation *observationp);
