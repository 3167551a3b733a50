/*
 * Alerts, durable. One atomic batch a group, synced before anybody is told.
 *
 *   alerts   owner, id       ->  alert            a user's list is one range
 *   owners   id              ->  owner
 *   events   eseq            ->  fire, with all that telling it needs
 *   mine     owner, eseq     ->  id of the alert  a user's fires are one range
 *   outbox   eseq            ->  (empty)          made durable but perhaps not told yet
 *   meta     "eseq", "alerts", "checkpoint", "deliveries", "count/<owner>"
 *
 * What makes fires known outside lies in the same database: store/deliveries.h.
 *
 * Keeper only; what writes is for its main thread alone, what reads is for any thread.
 */
#pragma once

#include "store/names.h"
#include "store/reader.h"

struct px_alerts; /* opaque */

/* Opens or makes <data>/alerts. Records of symbols that are no longer configured stay, with PX_ASSET_NONE. */
int px_alerts_open(const char *data, const struct px_names *names, struct px_alerts **alertsp);
void px_alerts_close(struct px_alerts **alertsp);

/* ---- the group under way; main thread ---- */

#define PX_ALERTS_GROUP_MAX 2048 /* changes in one group */

/*
 * Puts a checked alert: armed, version 1. 0 and the record in *storedp.
 * PX_E_EXISTS with the one that is there; PX_E_FORBIDDEN: somebody else's. PX_E_LIMIT: the owner has `most`.
 * PX_E_INVALID: no such symbol or level. PX_E_AGAIN: the group has touched this alert already, or is full: commit
 * first.
 */
int px_alerts_create(struct px_alerts *alerts, const struct px_alert *alert, uint32_t most, struct px_alert *storedp);

/* `owner` "": anybody's. PX_E_NOT_FOUND, PX_E_PRECONDITION, PX_E_AGAIN as above. *gonep is the record that is removed.
 */
int px_alerts_delete(struct px_alerts *alerts, const char *owner, struct px_alert_id id, uint32_t version,
                     struct px_alert *gonep);

/*
 * Turns an armed alert into a fired one, with its event and its place in the outbox. PX_E_NOT_FOUND: it is not armed
 * (any more), which is what a repeated fire finds; PX_E_AGAIN as above.
 */
int px_alerts_fire(struct px_alerts *alerts, const struct px_fire *fire, struct px_alert_event *eventp);

/* Writes the message of a fire with its placeholders filled in. */
typedef void px_alerts_render(void *ctx, const struct px_alert *alert, const struct px_alert_event *event,
                              char message[PX_ALERT_MESSAGE_SIZE]);
void px_alerts_render_set(struct px_alerts *alerts, px_alerts_render *render, void *ctx);

/* The events of this eseq and before have been told: their places in the outbox go with the next commit. */
void px_alerts_told(struct px_alerts *alerts, uint64_t eseq);

/* How far the fire queue has been worked off. */
void px_alerts_checkpoint_put(struct px_alerts *alerts, uint64_t generation, uint64_t position);
int px_alerts_checkpoint(const struct px_alerts *alerts, uint64_t *generationp, uint64_t *positionp);

/* True when there is something to commit. */
bool px_alerts_dirty(const struct px_alerts *alerts);

/* Writes the group; with `sync` it survives a power cut from here on. PX_E_IO: the outcome is unknown and the process
 * should end. */
int px_alerts_commit(struct px_alerts *alerts, bool sync);

/* ---- reading ---- */

uint64_t px_alerts_count(const struct px_alerts *alerts); /* main thread */
int px_alerts_get(const struct px_alerts *alerts, const char *owner, struct px_alert_id id, struct px_alert *alertp);

/* As px_reader_alert_list, with the filters in `filter`: owner, symbol, tags[0] ("" = all) and state. */
int px_alerts_list(const struct px_alerts *alerts, const struct px_alert *filter, const struct px_alert_cursor *after,
                   uint32_t limit, struct px_alert *list, uint32_t *countp, bool *morep, struct px_alert_cursor *nextp);

/* As px_reader_events. */
int px_alerts_events(const struct px_alerts *alerts, const char *owner, struct px_alert_id alert, uint64_t since,
                     uint32_t limit, struct px_alert_event *events, uint32_t *countp, bool *morep);

/* Up to `limit` events of the outbox with eseq > since, in order. Main thread. */
int px_alerts_outbox(const struct px_alerts *alerts, uint64_t since, uint32_t limit, struct px_alert_event *events,
                     uint32_t *countp);

/* A walk over the armed alerts as they are when it begins, whatever changes meanwhile. Main thread. */
struct px_alerts_walk; /* opaque */
struct px_alerts_walk *px_alerts_walk_begin(const struct px_alerts *alerts);
int px_alerts_walk_next(struct px_alerts_walk *walk, struct px_alert *alertp); /* PX_E_EMPTY at the end */
void px_alerts_walk_end(struct px_alerts_walk **walkp);
