/*
 * Token buckets, one a principal: a key's id, or the address of who has none. The table is bounded: a newcomer to a
 * full set takes the place of the one seen least recently, which can only be kinder to it than it deserves. Every web
 * worker has its own table.
 */
#pragma once

#include "base/clock.h"

struct px_rates;

struct px_rate_state {
    bool allowed;
    uint32_t limit, remaining; /* requests */
    uint32_t reset_s;          /* until the bucket is full again */
    uint32_t retry_s;          /* when refused: until the next request would be allowed, at least 1 */
};

/* NULL when out of memory. */
struct px_rates *px_rates_create(void);
void px_rates_destroy(struct px_rates **ratesp);

/*
 * Takes one token of `principal` at `now`: `per_second` (at least 1, it may change at any time) requests a second,
 * twice as many at once. Any thread; holds one of 64 locks for some tens of ns.
 */
void px_rates_take(struct px_rates *rates, struct px_text principal, uint32_t per_second, px_mono now,
                   struct px_rate_state *statep);

#define PX_RATE_CHARGE_MAX 1000

/*
 * `count` tokens more for a request that has been allowed and turned out to be worth so many, at most PX_RATE_CHARGE_MAX. The bucket goes into
 * debt for them: what comes next waits.
 */
void px_rates_charge(struct px_rates *rates, struct px_text principal, uint32_t per_second, uint32_t count, px_mono now,
                     struct px_rate_state *statep);
