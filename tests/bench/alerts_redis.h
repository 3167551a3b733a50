/* The same work as people build it on Redis: two sorted sets an asset, a script that takes what a price has reached, a stream of fires. */
#pragma once

#include "tests/bench/alerts_world.h"

struct redis_figures {
    double load_s;
    uint64_t fires;
    uint64_t memory_bytes;
};

struct redis;

/* Loads the alerts into a server that listens on the unix socket, empty, with an append-only file that is synced always; and waits until it no longer
 * writes that file anew. NULL without a path. */
struct redis *redis_begin(const char *socket_path, uint32_t assets, uint64_t seed, uint64_t alerts, struct redis_figures *figuresp);
/* The next ticks, `group` in a pipeline. Seconds; the fires are added to the figures. */
double redis_run(struct redis *redis, uint64_t ticks, unsigned group, struct redis_figures *figures);
void redis_end(struct redis *redis);
