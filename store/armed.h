/*
 * The index of what waits, in the alert store: a row for each place of a plan, in the order in which the series would reach it.
 *
 *   0             4        5      6         14          30
 *   | asset BE   | series | down | level   | alert     | leg |        level: ascending upward, descending downward
 *
 *   value: the plan, encoded relative to the place (match/plan.h)
 *
 * Assets have numbers of their own here, since those of the configuration change with it: meta "asset/<symbol>" says number and the decimals
 * that levels are written in. Puts go into the group under way (store/alerts.h); reads see what is committed.
 *
 * Keeper only. What writes and px_armed_index is for its main thread; px_armed_find is for any.
 */
#pragma once

#include "match/book.h"
#include "store/alerts.h"

/* The index as the book wants it; `settle` is how the caller commits a group. Valid as long as `alerts` is. */
typedef int px_armed_settle(void *ctx);
void px_armed_index(struct px_alerts *alerts, px_armed_settle *settle, void *settle_ctx, struct px_index *indexp);

/*
 * Tells a book that is new which series have rows (px_book_expect), without reading them: how long a start takes does not depend on how many
 * alerts there are. `seen` (may be NULL) hears of each series. Of an older engine's index it has to find them first, and puts what it
 * has found into the group under way.
 */
typedef void px_armed_seen(void *ctx, px_asset_id asset, unsigned series);
int px_armed_load(struct px_alerts *alerts, struct px_book *book, px_armed_seen *seen, void *ctx);

/* The plan of an alert as it is committed; `made` is one of the same rule in any state. PX_E_NOT_FOUND: it waits for nothing. */
int px_armed_find(const struct px_alerts *alerts, struct px_alert_id alert, px_asset_id asset, const struct px_plan *made,
                  struct px_plan *planp);

/* Drops all rows of an asset, into the group under way. */
void px_armed_drop_asset(struct px_alerts *alerts, px_asset_id asset);
