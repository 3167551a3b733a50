/*
 * Which assets are watched, and by how many sessions of this web process: a hash table under liburcu. The live thread
 * writes it as sessions subscribe, unsubscribe and end; every registered thread reads it without a lock.
 *
 *   add      no entry ──► entry, 1 watcher                    entry ──► one more
 *   remove   one less; at 0 the entry stays, on the list of idle ones
 *   sweep    idle entries that are still at 0: out of the table ─── grace period ──► freed
 *
 * So a client that subscribes and unsubscribes in a circle moves a counter, not memory. At most one entry an asset is
 * in the table and as many wait to be freed; over that, sweep leaves the rest for the next time.
 */
#pragma once

#include "base/types.h"

struct px_watchers;

/* For asset ids below `assets`. PX_E_MEMORY. */
int px_watchers_create(uint32_t assets, struct px_watchers **watchersp);

/* No thread may read any more. Waits for pending frees. *watchersp may be NULL. */
void px_watchers_destroy(struct px_watchers **watchersp);

/* The live thread: one more session watches the asset (PX_E_MEMORY), or one less. */
int px_watchers_add(struct px_watchers *watchers, px_asset_id asset);
void px_watchers_remove(struct px_watchers *watchers, px_asset_id asset);

/* The live thread, now and then. */
void px_watchers_sweep(struct px_watchers *watchers);

/* Sessions that watch the asset; any id. Any registered thread, wait-free but for a chain of equal hashes. */
uint32_t px_watchers_of(struct px_watchers *watchers, px_asset_id asset);

/* Assets with at least one watcher. Any thread. */
uint32_t px_watchers_assets(const struct px_watchers *watchers);

/* Entries that wait to be freed. Any thread. */
uint32_t px_watchers_pending(const struct px_watchers *watchers);
