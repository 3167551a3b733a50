/*
 * What is durable has durable names. The running configuration numbers assets and venues in its own order, which
 * changes with the file; the store keeps texts, and this table leads from a text to today's number.
 */
#pragma once

#include "base/config.h"

struct px_names; /* opaque; constant once made, any thread */

/* `config` must outlive it. PX_E_MEMORY. */
int px_names_create(const struct px_config *config, struct px_names **namesp);
void px_names_destroy(struct px_names **namesp);

px_asset_id px_names_asset(const struct px_names *names, const char *symbol);     /* canonical; PX_ASSET_NONE */
px_venue_id px_names_venue(const struct px_names *names, const char *name);       /* PX_VENUE_NONE */
const char *px_names_venue_text(const struct px_names *names, px_venue_id venue); /* "" for one that is none */
const struct px_config *px_names_config(const struct px_names *names);
