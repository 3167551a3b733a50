/*
 * Channels and deliveries, in the same database and the same group as alerts (store/alerts.h), so that a fire and what tells of it
 * become durable in one batch.
 *
 *   channels    owner, id      ->  channel
 *   deliveries  number         ->  delivery with its attempts       the newest PX_DELIVERIES_MAX; older ones go as new ones come
 *   due         due, number    ->  (empty)                          those that are not delivered or dead; the leased ones apart
 *   tests       number         ->  event that has not happened      of the tests of an alert
 *   told        owner, number  ->  (empty)                          an owner's list is one range
 *
 * Keeper only; what writes is for its main thread alone, what reads is for any thread.
 */
#pragma once

#include "store/alerts.h"
#include "store/delivery.h"

#define PX_DELIVERIES_MAX    1000000
#define PX_LEASE_NS          (30 * INT64_C(1000000000))
#define PX_STORM_FIRES       15 /* of one alert in PX_STORM_NS; what comes beyond is joined into one notification */
#define PX_STORM_NS          (180 * INT64_C(1000000000))

/* ---- channels ---- */

/*
 * Version 0 creates, another replaces the one that has this version. 0 and the record in *storedp; PX_E_EXISTS with the one that is
 * there, PX_E_FORBIDDEN (somebody else's), PX_E_LIMIT, PX_E_INVALID, PX_E_NOT_FOUND, PX_E_PRECONDITION, PX_E_AGAIN as px_alerts_create.
 */
int px_channels_put(struct px_alerts *alerts, const struct px_channel *channel, struct px_channel *storedp);

/* What is under way to it dies when it is due. `owner` "": anybody's. Version 0: whatever it has. */
int px_channels_delete(struct px_alerts *alerts, const char *owner, struct px_alert_id id, uint32_t version);

int px_channels_get(const struct px_alerts *alerts, const char *owner, struct px_alert_id id, struct px_channel *channelp);
int px_channels_list(const struct px_alerts *alerts, const char *owner, const struct px_alert_cursor *after, uint32_t limit,
                     struct px_channel *list, uint32_t *countp, bool *morep, struct px_alert_cursor *nextp);

/* ---- deliveries ---- */

/*
 * A notification that no fire has caused; with `event`, what a fire of that alert would tell now (px_alerts_would_fire). PX_E_NOT_FOUND: no
 * such channel of this owner.
 */
int px_deliveries_test(struct px_alerts *alerts, const char *owner, struct px_alert_id channel, const struct px_alert_event *event,
                       struct px_delivery *madep);

/* Takes a report into the group. One that is no news changes nothing. */
int px_deliveries_report(struct px_alerts *alerts, const struct px_report *report);

/*
 * Leases up to `want` that are due. Those without a channel that takes them die instead. *nextp: when the next will be due, 0 for
 * none; leases do not count. `now_ns` is the wall's.
 */
int px_deliveries_claim(struct px_alerts *alerts, int64_t now_ns, uint32_t want, struct px_job *jobs, uint32_t *countp,
                        int64_t *nextp);

/* Nothing becomes due before that time, but for leases that end; INT64_MAX: nothing at all. Costs nothing. */
int64_t px_deliveries_soonest(const struct px_alerts *alerts);

/* Whoever held leases holds them no more: they are due at once. */
int px_deliveries_release(struct px_alerts *alerts, int64_t now_ns);

/* A delivered or dead one is sent once more, under its old name. PX_E_EXISTS: it is under way anyhow. */
int px_deliveries_replay(struct px_alerts *alerts, const char *owner, uint64_t number, struct px_delivery *nowp);

/* All dead ones of the owner, up to `limit`; *countp were. *morep: there are more. */
int px_deliveries_replay_dead(struct px_alerts *alerts, const char *owner, uint32_t limit, uint32_t *countp, bool *morep);

int px_deliveries_get(const struct px_alerts *alerts, const char *owner, uint64_t number, struct px_delivery *deliveryp);

/* Newest first, those before number `before` (0: from the newest); a page may be short and say `more`: ask again with *nextp. */
int px_deliveries_list(const struct px_alerts *alerts, const char *owner, enum px_delivery_state state, uint64_t before,
                       uint32_t limit, struct px_delivery *list, uint32_t *countp, bool *morep, uint64_t *nextp);
