/*
 * Which of an asset's sources speaks: the first in its list that is fresh. A source is fresh while it gave a valid
 * trade or quote within its venue's stale_after; at the start all are, so that the primary has that long to arrive.
 * Private to engine/ingest.
 */
#pragma once

#include "base/clock.h"
#include "base/config.h"
#include "engine/ingest/observation_private.h"

struct pxi_arbiter;

/* PX_E_MEMORY. The configuration must outlive it. */
int pxi_arbiter_create(const struct px_config *config, px_mono now, struct pxi_arbiter **arbiterp);
void pxi_arbiter_destroy(struct pxi_arbiter **arbiterp);

/* Notes that the source lives, and says whether its observation counts; *freshp = how many sources of the asset are
 * fresh. */
bool pxi_arbitrate(struct pxi_arbiter *arbiter, const struct pxi_observation *observation, px_mono now,
                   uint32_t *freshp);
