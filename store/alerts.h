/*
 * Alerts, durable. One atomic batch a group, synced before anybody is told.
 *
 *   alerts   owner, id       ->  alert            a user's list is one range
 *   owners   id              ->  owner
 *   armed    asset, series, direction, level, id  ->  plan    the index of what waits: store/armed.h
 *   expiry   time, owner, id ->  (empty)          those that end by themselves
 *   outbox   eseq            ->  fires            durable, and not told yet: those of a group, numbered from the key on
 *   events   eseq            ->  fire, with all that telling it needs
 *   mine     owner, eseq     ->  id of the alert  a user's fires are one range
 *   meta     "eseq", "alerts", "checkpoint", "deliveries", "count/<owner>", "asset/<symbol>", "mass/<number>"
 *
 * A fire goes two steps, so that many at once are durable soon: judged, it is a row of the outbox and a move in the index, without the
 * alert being read (px_alerts_fire); told, the alert's row is brought up to date, and event and deliveries are made (px_alerts_tell). The second
 * step is made again when it was lost, from the same rows, with the same outcome.
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
 * Puts a checked alert: armed, version 1. 0 and the record in *storedp; the caller arms it (px_alerts_plan).
 * PX_E_EXISTS with the one that is there; PX_E_FORBIDDEN: somebody else's. PX_E_LIMIT: the owner has `most`.
 * PX_E_INVALID: no such symbol, or a rule that makes no plan. PX_E_AGAIN: the group has touched this alert already, or is full:
 * commit first.
 */
int px_alerts_create(struct px_alerts *alerts, const struct px_alert *alert, uint32_t most, struct px_alert *storedp);

/* What a create of this alert has been answered, by its token or its id; PX_E_NOT_FOUND. */
int px_alerts_answered(const struct px_alerts *alerts, const struct px_alert *alert, struct px_alert *storedp);
/* Up to `most` answers that are older than a day go, into the group. */
int px_alerts_forget_answers(struct px_alerts *alerts, int64_t now_ns, unsigned most, unsigned *countp);

/* `owner` "": anybody's. PX_E_NOT_FOUND, PX_E_PRECONDITION, PX_E_AGAIN as above. *gonep is the record that is removed.
 */
int px_alerts_delete(struct px_alerts *alerts, const char *owner, struct px_alert_id id, uint32_t version,
                     struct px_alert *gonep);

/*
 * Puts `changed` in the place of the alert of its id, if that has its version (0: whatever it has). State, fires and times stay as they are;
 * its version goes up. *beforep is the record until now. Errors as above and PX_E_INVALID.
 */
int px_alerts_update(struct px_alerts *alerts, const struct px_alert *changed, struct px_alert *storedp,
                     struct px_alert *beforep);

/* Gives the alert another state. PX_E_CONFLICT when it cannot have it: resume what is not paused, pause what has ended. */
enum px_alert_action { PX_ALERT_PAUSE = 1, PX_ALERT_RESUME, PX_ALERT_REARM, PX_ALERT_EXPIRE };
int px_alerts_act(struct px_alerts *alerts, enum px_alert_action action, const char *owner, struct px_alert_id id,
                  uint32_t version, struct px_alert *storedp);

/* The plan of the alert for today's decimals, not placed yet; its fires are those of the record. PX_E_INVALID; PX_E_NOT_FOUND: no such asset. */
int px_alerts_plan(const struct px_alerts *alerts, const struct px_alert *alert, struct px_plan *planp);

/* Up to `most` alerts whose time is up at `now_ns` (wall). */
int px_alerts_expired(const struct px_alerts *alerts, int64_t now_ns, unsigned most, struct px_alert *list, unsigned *countp);

/* A fire, judged. `last`: the alert has ended with it. A group without room is better committed first. */
struct px_judged {
    struct px_fire fire;
    uint32_t fire_number;
    uint16_t op, series;
    int64_t level; /* at the series' scale */
    bool last;
};
void px_alerts_fire(struct px_alerts *alerts, const struct px_judged *judged);
bool px_alerts_fires_room(const struct px_alerts *alerts);

/*
 * Tells the next fires of the outbox, up to `most`, in order: events and deliveries go into the group, which is to be committed before anybody
 * hears of them. *countp of them are in `events`; *morep: there are more. Fewer than `most` with *morep: commit and go on.
 */
int px_alerts_tell(struct px_alerts *alerts, unsigned most, struct px_alert_event *events, unsigned *countp, bool *morep);

/* The event that such a fire of the alert would be, with its message; it has no number, and nothing is stored. */
void px_alerts_would_fire(const struct px_alerts *alerts, const struct px_alert *alert, const struct px_fire *fire,
                          struct px_alert_event *eventp);

uint64_t px_alerts_eseq(const struct px_alerts *alerts); /* newest fire, the group under way included */
uint64_t px_alerts_told(const struct px_alerts *alerts); /* newest told one, likewise */
bool px_alerts_untold(const struct px_alerts *alerts, px_asset_id asset); /* rows of its alerts do not know yet of all their fires */

/* The newest fire that had been told when this generation of the region began: what comes after it is for its readers. Commits. */
int px_alerts_epoch(struct px_alerts *alerts, uint64_t generation, uint64_t *eseqp);

/* Writes the message of a fire with its placeholders filled in. */
typedef void px_alerts_render(void *ctx, const struct px_alert *alert, const struct px_alert_event *event,
                              char message[PX_ALERT_MESSAGE_SIZE]);
void px_alerts_render_set(struct px_alerts *alerts, px_alerts_render *render, void *ctx);

/* How far each evaluator's hits have been worked off, and how far into the next one of evaluator `hand` (px_book_apply). PX_E_NOT_FOUND. */
#define PX_CHECKPOINT_QUEUES 4

struct px_alerts_checkpoint {
    uint64_t generation, position[PX_CHECKPOINT_QUEUES];
    uint32_t stage, hand;
};
void px_alerts_checkpoint_put(struct px_alerts *alerts, const struct px_alerts_checkpoint *checkpoint);
int px_alerts_checkpoint(const struct px_alerts *alerts, struct px_alerts_checkpoint *checkpointp);

/*
 * A hit that is being worked off in slices (px_book_slice), or waits behind such a hit of its asset: durable, so that the checkpoint may pass it. All that
 * is still to fire by it has fired from then on, whoever dies.
 */
struct px_mass {
    uint64_t number;             /* the order in which they are worked off, of one asset */
    uint64_t generation, behind; /* of the queue in which it was, and the position behind it */
    uint32_t stage;              /* px_book_apply */
    struct px_hit hit;
};
void px_alerts_mass_put(struct px_alerts *alerts, const struct px_mass *mass); /* into the group under way; replaces */
void px_alerts_mass_drop(struct px_alerts *alerts, uint64_t number);

/* Those that are committed, in order; of an asset that is not configured hit.asset is PX_ASSET_NONE. `seen` returns 0 or what ends it. */
typedef int px_alerts_mass_seen(void *ctx, const struct px_mass *mass);
int px_alerts_masses(const struct px_alerts *alerts, px_alerts_mass_seen *seen, void *ctx);

/* True when there is something to commit. */
bool px_alerts_dirty(const struct px_alerts *alerts);

/* Writes the group; with `sync` it survives a power cut from here on. PX_E_IO: the outcome is unknown and the process
 * should end. */
int px_alerts_commit(struct px_alerts *alerts, bool sync);

/* ---- reading ---- */

uint64_t px_alerts_count(const struct px_alerts *alerts); /* main thread */
int px_alerts_get(const struct px_alerts *alerts, const char *owner, struct px_alert_id id, struct px_alert *alertp);

/*
 * Sets the state to what the row does not say, since it moves without anybody being told: an alert that has fired waits to be armed
 * again, or for its cooldown to end. For those who show it; the plan is looked up only where that can be.
 */
void px_alerts_live(const struct px_alerts *alerts, struct px_alert *alert);

/* As px_reader_alert_list, with the filters in `filter`: owner, symbol, tags[0] ("" = all) and state. */
int px_alerts_list(const struct px_alerts *alerts, const struct px_alert *filter, const struct px_alert_cursor *after,
                   uint32_t limit, struct px_alert *list, uint32_t *countp, bool *morep, struct px_alert_cursor *nextp);

/* As px_reader_events. */
int px_alerts_events(const struct px_alerts *alerts, const struct px_event_query *query, struct px_alert_event *events, uint32_t *countp,
                     bool *morep);

/* Up to `limit` told events with eseq > since, in order. Main thread. */
int px_alerts_events_since(const struct px_alerts *alerts, uint64_t since, uint32_t limit, struct px_alert_event *events,
                           uint32_t *countp);

/*
 * Alerts that the index lacks: from before there was one, or of a symbol whose decimals have changed; of the latter the rows are dropped
 * first (px_armed_drop_asset). Then: walk them, arm each, commit, and say px_alerts_indexed.
 */
enum px_index_state { PX_INDEX_FINE, PX_INDEX_MISSING, PX_INDEX_RESCALED };
enum px_index_state px_alerts_unindexed(const struct px_alerts *alerts, px_asset_id asset);
void px_alerts_indexed(struct px_alerts *alerts); /* into the group under way */

/* A walk over the armed alerts as they are when it begins, whatever changes meanwhile. Main thread. */
struct px_alerts_walk; /* opaque */
struct px_alerts_walk *px_alerts_walk_begin(const struct px_alerts *alerts);
int px_alerts_walk_next(struct px_alerts_walk *walk, struct px_alert *alertp); /* PX_E_EMPTY at the end */
void px_alerts_walk_end(struct px_alerts_walk **walkp);
