/* The evaluator's sources in a test's own process, against a region of its own. Include after what counts or hooks stores. */
#pragma once

#include "engine/evaluator/levels.c"
#include "engine/evaluator/main.c"
#include "engine/evaluator/overrun.c"
#include "engine/evaluator/seeds.c"
#include "engine/evaluator/series.c"
#include "engine/evaluator/windows.c"
#include "match/condition.h"
#include "tests/match_ram.h"
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
static uint32_t evaluators = 1; /* of the next region */
static struct pxi_evaluator evaluator;

static inline void region_open(uint64_t ticks, uint64_t fires, uint64_t first)
{
    struct px_shm_params params = {
        .assets = ASSETS, .evaluators = evaluators, .tick_capacity = ticks, .event_capacity = 8, .hit_capacity = fires, .seed_capacity = 64};

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

static inline void ingest(const struct px_tick *batch, unsigned n)
{
    for (unsigned i = 0; i < px_shm_evaluators(&shm); i++)
        px_extremes_before(px_shm_extremes(&shm, i), shm.ticks, &shm.ticks_yard->cursor[px_evaluator_slot(i)].position, ASSETS, n);
    px_ring_publish(shm.ticks, shm.ticks_yard, batch, n);
}

/* A one-shot alert of one level in mantissas of two decimals, its plan not placed yet. */
static inline struct px_plan plan_of(unsigned op, int64_t level)
{
    struct px_rule rule = {.conditions = 1, .frequency = PX_FREQUENCY_ONCE};
    struct px_plan plan;

    rule.condition[0].op = (uint8_t)op;
    rule.condition[0].source = PX_SOURCE_LAST;
    snprintf(rule.condition[0].level, PX_LEVEL_SIZE, "%lld.%02d", (long long)(level / 100), (int)(level % 100));
    ck_assert_int_eq(px_rule_plan(&rule, 2, &plan, NULL), 0);
    return plan;
}

/* Everything is told, whatever waits. */
static inline void watch_all(void)
{
    for (px_asset_id asset = 0; asset < ASSETS; asset++) {
        struct px_watch *watch = px_shm_watch(&shm, asset);

        watch->interest = 1u << PX_SERIES_LAST;
        watch->near[PX_SERIES_LAST].up = INT64_MIN;
    }
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
