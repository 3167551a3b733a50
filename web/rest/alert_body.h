/*
 * Alerts in JSON: the body of a create turned into a record, and a record turned into an answer. Pure but for `find`;
 * any process, any thread.
 */
#pragma once

#include "shm/symbols.h"
#include "store/channel.h"
#include "web/rest/problem.h"

/* The asset that a name or alias means, with a copy of its entry; PX_ASSET_NONE. */
typedef px_asset_id px_asset_finder(void *ctx, struct px_text text, struct px_symbol *symbolp);

/*
 * Reads the body. Everything that is wrong with it goes into *problemp: bad_request with line and column for what is
 * not JSON, unknown_symbol, or validation with a pointer to each mistake. True: *alertp holds all but id and owner,
 * state armed.
 */
bool px_alert_body_read(struct px_text body, px_asset_finder *find, void *ctx, struct px_alert *alertp,
                        struct px_problem *problemp);

/* Would the two have been made by the same body? */
bool px_alert_body_same(const struct px_alert *a, const struct px_alert *b);

void px_alert_write(const struct px_alert *alert, struct px_json *json);
