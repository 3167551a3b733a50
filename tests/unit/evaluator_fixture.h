/* The evaluator's sources in a test's own process, against a region of its own. Include after what counts or hooks stores. */
#pragma once

#include "engine/evaluator/fires.c"
#include "engine/evaluator/main.c"
#include "engine/evaluator/overrun.c"
#include "engine/evaluator/series.c"
#include "engine/evaluator/windows.c"
#include "match/plan.h"
#include "shm/extremes.c"
#include "shm/queue.c"
#include "shm/ring.c"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define ASSETS  3
#define BASE_NS (INT64_C(1723118040) * PX_NS_PER_S) /* a whole minute before noon */

static struct px_config_asset config_asset[ASSETS];
static struct px_config config = {.assets = config_asset, .asset_count = ASSETS};
static struct px_shm shm;
static struct px_heritage heritage;
static struct pxi_evaluator evaluator;

static inline void region_open(uint64_t ticks, uint64_t fires, uint64_t first)
{
    struct px_shm_params params = {
        .assets = ASSETS, .tick_capacity = ticks, .event_capacity = 8, .fire_capacity = fires, .arm_capacity = 64};

    for (unsigned i = 0; i < ASSETS; i++) {
        config_asset[i] = (struct px_config_asset){.scale = 2, .size_scale = 4, .source_count = 1};
        snprintf(config_asset[i].symbol, sizeof(config_asset[i].symbol), "A%u-USD", i);
    }
    ck_assert_int_eq(px_shm_create(&params, 1, &shm), 0);
    px_symbols_publish(&shm.directory, &config, 1);
    shm.ticks->intent = shm.ticks->tail = shm.ticks->staged = first;
    shm.ticks_yard->cursor[PX_ROLE_SLOT_EVALUATOR].position = first;
    heritage = (struct px_heritage){
        .config = &config, .shm = &shm, .slot = PX_ROLE_SLOT_EVALUATOR, .incarnation = 1, .terminate_fd = -1};
}

/* What px_evaluator_main does before its loop. */
static inline void evaluator_start(void)
{
    ck_assert_int_eq(evaluator_init(&evaluator, &heritage), 0);
    pxi_series_takeover(&evaluator);
    evaluator.position = px_load_acquire(&shm.ticks_yard->cursor[heritage.slot].position);
    evaluator.ready = evaluator.meant = true;
}

static inline const uint64_t *cursor_of_evaluator(void)
{
    return &shm.ticks_yard->cursor[PX_ROLE_SLOT_EVALUATOR].position;
}

static inline void ingest(const struct px_tick *batch, unsigned n)
{
    px_extremes_before(shm.extremes, shm.ticks, cursor_of_evaluator(), ASSETS, n);
    px_ring_publish(shm.ticks, shm.ticks_yard, batch, n);
}

static inline bool holds(unsigned op, int64_t level, int64_t prev, int64_t price)
{
    switch (op) {
    case PX_OP_GREATER_OR_EQUAL:
        return price >= level;
    case PX_OP_LESS_OR_EQUAL:
        return price <= level;
    case PX_OP_CROSSING_UP:
        return prev != PX_PRICE_NONE && prev < level && price >= level;
    default:
        return prev != PX_PRICE_NONE && prev > level && price <= level;
    }
}
