/*
 * Mints names of alerts: 128 bits, of which the first 48 are milliseconds since the epoch and the rest chance, so that
 * they sort by age. Their text is store/alert.h's. Any process, any thread; nothing blocks.
 */
#pragma once

#include "shm/tick.h"

void px_ulid_make(int64_t wall_ns, struct px_alert_id *idp);

/*
 * The same owner and key give the same name, whoever asks and however often: what makes a retried create find the
 * first. The bits are a hash, so such a name does not sort by age.
 */
void px_ulid_derive(const char *owner, struct px_text key, struct px_alert_id *idp);
