/* A region with three assets and a configuration, for tests of sessions and of the live loop. */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "match/plan.h"
#include "shm/region.h"
#include "tests/unit/urcu_tsan.h"
#include "web/rcu.h"
#include "web/watchers.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

struct live_fixture {
    struct px_config config;
    struct px_config_asset assets[3];
    struct px_shm shm;
    struct px_watchers *watchers;
    uint64_t sseq[3];
    uint64_t eseq;
};

static inline void fixture_asset(struct px_config_asset *asset, const char *symbol, const char *alias)
{
    snprintf(asset->symbol, sizeof(asset->symbol), "%s", symbol);
    snprintf(asset->aliases[0], sizeof(asset->aliases[0]), "%s", alias);
    asset->alias_count = 1;
    asset->source_count = 1;
    asset->scale = 2;
    asset->size_scale = 4;
}

static inline void fixture_open(struct live_fixture *fixture)
{
    struct px_shm_params params = {
        .assets = 3, .tick_capacity = 4096, .event_capacity = 1024, .hit_capacity = 64, .seed_capacity = 64};

    memset(fixture, 0, sizeof(*fixture));
    fixture->config.limits = (struct px_config_limits){100, 65536, 100, 1000, 100, 100};
    fixture->config.venue_count = 1;
    snprintf(fixture->config.venues[0].name, sizeof(fixture->config.venues[0].name), "binance");
    fixture->config.venues[0].stale_after_ms = 10000;
    fixture->config.assets = fixture->assets;
    fixture->config.asset_count = 3;
    fixture_asset(&fixture->assets[0], "BTC-USD", "BTC/USD");
    fixture_asset(&fixture->assets[1], "ETH-USD", "ETH/USD");
    fixture_asset(&fixture->assets[2], "SOL-USD", "SOL/USD");
    ck_assert_int_eq(px_shm_create(&params, 3, &fixture->shm), 0);
    px_symbols_publish(&fixture->shm.directory, &fixture->config, 1);
    px_shm_ready(&fixture->shm);
    urcu_memb_register_thread();
    ck_assert_int_eq(px_watchers_create(3, &fixture->watchers), 0);
}

static inline void fixture_close(struct live_fixture *fixture)
{
    px_watchers_destroy(&fixture->watchers);
    urcu_memb_unregister_thread();
    px_shm_detach(&fixture->shm);
}

/* Ingest: a trade of the asset. */
static inline void fixture_trade(struct live_fixture *fixture, px_asset_id asset, int64_t price)
{
    int64_t now = px_wall_now();
    struct px_detail_value detail = {.price = price,
                                     .size = 10000,
                                     .bid = price - 1,
                                     .ask = price + 1,
                                     .time_ns = now,
                                     .recv_ns = now,
                                     .sseq = ++fixture->sseq[asset],
                                     .venue = 0};
    struct px_tick tick = {.asset = asset,
                           .price = price,
                           .size = 10000,
                           .time_ns = now,
                           .recv_ns = now,
                           .sseq = fixture->sseq[asset],
                           .trade_id = fixture->sseq[asset]};

    px_latch_write(&fixture->shm.details[asset], &detail);
    px_ring_publish(fixture->shm.ticks, fixture->shm.ticks_yard, &tick, 1);
}

/* Evaluator: averages and the open candle. */
static inline void fixture_average(struct live_fixture *fixture, px_asset_id asset, int64_t twap)
{
    struct px_average_value average = {
        .time_ns = px_wall_now(), .day_ns = 1, .open = 10000, .high = 20000, .low = 5000, .volume = 70000, .count = 7};
    struct px_average_value before;
    struct px_candle_pair candle = {.open = {.start_ns = 60 * PX_NS_PER_S,
                                             .open = 1,
                                             .high = 2,
                                             .low = 1,
                                             .close = 2,
                                             .volume = 3,
                                             .count = 1,
                                             .last_ns = 61 * PX_NS_PER_S}};

    (void)px_latch_read(&fixture->shm.averages[asset], &before);
    average.version = before.version + 1;
    for (unsigned i = 0; i < PX_WINDOWS; i++)
        average.window[i] =
            (struct px_window_value){.twap = twap, .vwap = twap, .high = 2, .low = 1, .coverage_ppm = 500000};
    px_latch_write(&fixture->shm.averages[asset], &average);
    px_latch_write(&fixture->shm.candles[asset], &candle);
}

/* Evaluator: has counted more trades of the day. */
static inline void fixture_day(struct live_fixture *fixture, px_asset_id asset, int64_t count, int64_t volume)
{
    struct px_average_value average;

    (void)px_latch_read(&fixture->shm.averages[asset], &average);
    average.version++;
    average.count = count;
    average.volume = volume;
    px_latch_write(&fixture->shm.averages[asset], &average);
}

/* Keeper: a durable fire. */
static inline struct px_alert_event fixture_event(struct live_fixture *fixture, const char *owner)
{
    struct px_alert_event event = {.eseq = ++fixture->eseq, .fire_number = 1, .op = PX_OP_CROSSING_UP, .count = 1, .scale = 2};

    event.fire = (struct px_fire){.price = 7000100, .prev = 6999900, .time_ns = px_wall_now()};
    snprintf(event.owner, sizeof(event.owner), "%s", owner);
    snprintf(event.level, sizeof(event.level), "70000");
    snprintf(event.name, sizeof(event.name), "breakout");
    return event;
}

static inline void fixture_fire(struct live_fixture *fixture, const char *owner)
{
    struct px_alert_event event = fixture_event(fixture, owner);

    px_ring_publish(fixture->shm.events, fixture->shm.events_yard, &event, 1);
}

static inline int fixture_auth(void *user, struct px_text token, char owner[PX_OWNER_SIZE], unsigned *scopesp)
{
    if (!px_text_is(token, "good") && !px_text_is(token, "other"))
        return PX_E_FORBIDDEN;
    snprintf(owner, PX_OWNER_SIZE, "%s", px_text_is(token, "good") ? "alice" : "bob");
    *scopesp = 1;
    return 0;
}
