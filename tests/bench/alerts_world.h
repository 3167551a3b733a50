/* The same alerts and ticks for whoever is measured: a level each, and a random walk, from one seed. Integers only. */
#pragma once

#include "base/types.h"

#define WORLD_PRICE 1000000 /* 10,000.00 */

struct world {
    uint32_t assets;
    uint64_t state;
    int64_t *price; /* an asset */
    uint32_t next;  /* the asset of the next tick: each in its turn */
};

static inline uint64_t world_dice(struct world *world)
{
    uint64_t z = world->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Between `least` and beyond, exponentially, with a mean of `mean`: sums of halvings. */
static inline int64_t world_exponential(struct world *world, int64_t mean)
{
    int64_t half = mean * 693 / 1000, distance = 0;
    uint64_t bits = world_dice(world);

    for (; bits & 1; bits >>= 1)
        distance += half;
    return distance + (int64_t)(world_dice(world) % (uint64_t)half);
}

struct world_alert {
    uint32_t asset;
    bool down;
    int64_t level;
};

/* Distances average 5 % of the price, half of them upward. */
static inline struct world_alert world_alert(struct world *world)
{
    struct world_alert alert = {.asset = (uint32_t)(world_dice(world) % world->assets), .down = world_dice(world) & 1};
    int64_t distance = 1 + world_exponential(world, WORLD_PRICE / 20);

    if (distance >= WORLD_PRICE - 1)
        distance = WORLD_PRICE - 2;
    alert.level = alert.down ? WORLD_PRICE - distance : WORLD_PRICE + distance;
    return alert;
}

/* A step of about 0.05 % of the price: twelve dice of both signs. */
static inline uint32_t world_tick(struct world *world, int64_t *pricep)
{
    uint32_t asset = world->next;
    uint64_t dice = world_dice(world);
    int64_t sum = 0;

    for (unsigned i = 0; i < 12; i++, dice >>= 5)
        sum += (int64_t)(dice & 31);
    world->next = (asset + 1) % world->assets;
    world->price[asset] += (sum - 186) * world->price[asset] / 64000;
    if (world->price[asset] < 2)
        world->price[asset] = 2;
    *pricep = world->price[asset];
    return asset;
}

static inline void world_start(struct world *world, uint64_t seed)
{
    world->state = seed;
    world->next = 0;
    for (uint32_t i = 0; i < world->assets; i++)
        world->price[i] = WORLD_PRICE;
}
