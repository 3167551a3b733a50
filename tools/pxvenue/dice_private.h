/* Seeded chance: the same seed gives the same market and the same faults on every machine. */
#pragma once

#include "base/types.h"

struct pxi_dice {
    uint64_t state;
};

/* splitmix64: one add and three shifts, every seed is a good one. */
static inline uint64_t pxi_dice_roll(struct pxi_dice *dice)
{
    uint64_t z = (dice->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* An independent sequence for each purpose, so that one fault more does not change when the others strike. */
static inline struct pxi_dice pxi_dice_for(uint64_t seed, uint64_t purpose)
{
    struct pxi_dice dice = {seed ^ (purpose * UINT64_C(0xd1342543de82ef95))};
    dice.state = pxi_dice_roll(&dice);
    return dice;
}

/* 0 .. bound-1; bound > 0. The bias of the remainder is below 1e-9 for the bounds used here. */
static inline uint64_t pxi_dice_below(struct pxi_dice *dice, uint64_t bound)
{
    return pxi_dice_roll(dice) % bound;
}

#define PXI_MILLION 1000000u

/* True in `per_million` cases of a million. Rolls once whatever the chance. */
static inline bool pxi_dice_hits(struct pxi_dice *dice, uint32_t per_million)
{
    return pxi_dice_below(dice, PXI_MILLION) < per_million;
}
