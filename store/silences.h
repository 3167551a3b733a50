/*
 * Silences: one row each, owner and id, in the database of the alerts, and all of them in memory, because every fire asks. Keeper only;
 * what writes is for its main thread alone, what reads is for any thread.
 */
#pragma once

#include "store/alerts.h"
#include "store/silence.h"

/*
 * Into the group under way. 0 and the record in *storedp; PX_E_EXISTS with the one that is there, PX_E_FORBIDDEN (somebody else's),
 * PX_E_LIMIT (the owner has `most` that have not ended, or all owners have PX_SILENCES_MAX), PX_E_INVALID, PX_E_AGAIN as px_alerts_create.
 * An owner at its limit loses those that have ended.
 */
int px_silences_put(struct px_alerts *alerts, const struct px_silence *silence, uint32_t most, struct px_silence *storedp);

/* PX_E_NOT_FOUND, PX_E_AGAIN. `owner` "": anybody's. */
int px_silences_delete(struct px_alerts *alerts, const char *owner, struct px_alert_id id);

int px_silences_get(const struct px_alerts *alerts, const char *owner, struct px_alert_id id, struct px_silence *silencep);

/* In order of owner and id, that is of making; as px_channels_list. */
int px_silences_list(const struct px_alerts *alerts, const char *owner, const struct px_alert_cursor *after, uint32_t limit,
                     struct px_silence *list, uint32_t *countp, bool *morep, struct px_alert_cursor *nextp);
