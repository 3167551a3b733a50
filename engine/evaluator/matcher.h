/*
 * The armed alerts, ordered so that a tick which crosses nothing costs two comparisons.
 *
 * Every condition is a level and a direction. Of each asset there are two arrays: `up` holds what waits for the price to reach or exceed its
 * level, nearest first; `down` what waits for it to fall to or below. A crossing that starts on the wrong side waits in the other
 * array until the price has gone to the right one, so that p < L <= c and nothing else fires it.
 *
 * Private memory of the evaluator; rebuilt from the keeper's arm records at its start. Bounded by the alerts that the keeper holds.
 */
#pragma once

#include "shm/tick.h"

struct px_matcher; /* opaque */

/* Called for each alert that fires, in no particular order. The alert is out of the index already. */
typedef void px_matcher_fired(void *context, struct px_alert_id alert, unsigned op);

/* PX_E_MEMORY. */
int px_matcher_create(uint32_t assets, struct px_matcher **matcherp);
void px_matcher_destroy(struct px_matcher **matcherp);
void px_matcher_clear(struct px_matcher *matcher);

/*
 * Arms an alert against the asset's last accepted price (PX_PRICE_NONE if there is none yet). A level condition that is already
 * true fires at once through `fired`; a crossing does not. An alert that is armed already stays as it is. PX_E_MEMORY.
 */
int px_matcher_add(struct px_matcher *matcher, const struct px_arm *arm, int64_t last, px_matcher_fired *fired,
                   void *context);

/* PX_E_NOT_FOUND when it is not armed, which is nothing to worry about: it may just have fired. */
int px_matcher_remove(struct px_matcher *matcher, struct px_alert_id alert);

/* The next accepted price of the asset. */
void px_matcher_price(struct px_matcher *matcher, px_asset_id asset, int64_t price, px_matcher_fired *fired,
                      void *context);

/*
 * Several prices at once, of which only the bounds are known: they lay within [low, high], ended with `last`, and rose within
 * [rise_from, rise_to] and fell within [fall_to, fall_from] (rise_from >= rise_to: never; both include the step from the price before).
 * Fires whatever they make true, and a crossing back after the opposite move where its level lies within the rises (falls).
 */
struct px_bounds {
    int64_t low, high, last;
    int64_t rise_from, rise_to, fall_from, fall_to;
};
void px_matcher_span(struct px_matcher *matcher, px_asset_id asset, const struct px_bounds *span, px_matcher_fired *fired,
                     void *context);

uint64_t px_matcher_count(const struct px_matcher *matcher);
