/*
 * Alerts in JSON: the body of a create turned into a record, and a record turned into an answer. Pure but for `find`;
 * any process, any thread.
 */
#pragma once

#include <jansson.h>

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

/* The same for one item of many, already parsed. */
bool px_alert_body_take(json_t *root, px_asset_finder *find, void *ctx, struct px_alert *alertp, struct px_problem *problemp);

/* The tree of a body, or NULL with bad_request; the caller's to release. Nested at most 8 deep, no member twice. */
json_t *px_body_parse(struct px_text body, struct px_problem *problemp);

/*
 * Changes a record as a merge patch (RFC 7396) says: what it names is replaced, null takes away. Checked as a create is; false leaves
 * *alertp as it was. A symbol cannot be changed.
 */
bool px_alert_body_patch(struct px_text body, px_asset_finder *find, void *ctx, struct px_alert *alertp, struct px_problem *problemp);

/* What a client may set besides the symbol. */
void px_alert_settings_copy(struct px_alert *to, const struct px_alert *from);

/* Would the two have been made by the same body? */
bool px_alert_body_same(const struct px_alert *a, const struct px_alert *b);

void px_alert_write(const struct px_alert *alert, struct px_json *json);
