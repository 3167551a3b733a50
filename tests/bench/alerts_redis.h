/* The same work as people build it on Redis: two sorted sets an asset, a script that takes what a price has reached, a stream of fires. */
#pragma once

#include "tests/bench/alerts_world.h"

struct redis_figures {
    double load_s, run_s;
    uint64_t fires;
    uint64_t memory_bytes;
};

/* A server with an append-only file that is synced always listens on the unix socket, empty. */
void redis_measure(const char *socket_path, struct world *world, uint64_t seed, uint64_t alerts, uint64_t ticks, unsigned group,
                   struct redis_figures *figuresp);
