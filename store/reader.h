/*
 * The keeper's client: alerts, candles, ticks and events over the unix socket <data>/keeper.sock. Blocking, with a
 * deadline for each call; one struct px_reader a thread, never shared. Every call may be repeated without harm, so a
 * keeper that died in the middle is connected to again, and asked again, until the deadline. Knows nothing of RocksDB.
 * Any process but the keeper.
 *
 * Errors of every call besides its own: PX_E_TIMEOUT (no answer by the deadline; whether a write took place is unknown,
 * and asking again with the same id is right), PX_E_CLOSED (no keeper until the deadline), PX_E_FORMAT (an answer that
 * makes no sense), PX_E_MEMORY, PX_E_IO (the store failed), PX_E_INVALID (the request makes no sense).
 */
#pragma once

#include "store/alert.h"
#include "store/candle.h"
#include "store/delivery.h"
#include "store/silence.h"

struct px_reader; /* opaque */

#define PX_PAGE_MAX          5000 /* rows in one answer */
#define PX_READER_TIMEOUT_MS 2000

/* Does not connect yet. `data` is the data folder; copied. PX_E_MEMORY, PX_E_TOO_LARGE (path too long for a socket). */
int px_reader_create(const char *data, struct px_reader **readerp);
void px_reader_destroy(struct px_reader **readerp);
void px_reader_timeout_set(struct px_reader *reader, uint32_t timeout_ms);

/* 0: the keeper serves. */
int px_reader_ping(struct px_reader *reader);

/* ---- alerts ---- */

/*
 * Puts the alert if no alert has its id; version, state, fires and times are the keeper's to set, and *storedp is the
 * record that stands in the store. 0: created, durable and armed. PX_E_EXISTS: an alert of this owner has the id
 * already, it is armed if its state says so, and *storedp is that one. PX_E_LIMIT: the owner has
 * limits.alerts_per_owner of them. PX_E_DISK. PX_E_FORBIDDEN: the id belongs to somebody else. PX_E_TIMEOUT from the
 * keeper: stored but not known to be armed yet; ask again with the same id.
 */
int px_reader_alert_create(struct px_reader *reader, const struct px_alert *alert, struct px_alert *storedp);

/* `owner` NULL: of anybody (admins). PX_E_NOT_FOUND, also for somebody else's. */
int px_reader_alert_get(struct px_reader *reader, const char *owner, struct px_alert_id id, struct px_alert *alertp);

/* Version 0: whatever version it has; else PX_E_PRECONDITION when it has another. PX_E_NOT_FOUND. 0: gone for good, and
 * disarmed. */
int px_reader_alert_delete(struct px_reader *reader, const char *owner, struct px_alert_id id, uint32_t version);

#define PX_BATCH_MAX 1000

/* What has become of one of many. */
struct px_alert_result {
    int32_t result; /* as of px_reader_alert_create */
    uint32_t spare;
    struct px_alert alert; /* that stands in the store, after 0 and PX_E_EXISTS */
};

/* 1 .. PX_BATCH_MAX creates, made durable together; `results` has room for as many. 0: each has its own result. */
int px_reader_alert_batch(struct px_reader *reader, const struct px_alert *alerts, uint32_t count, struct px_alert_result *results);

/*
 * Puts what a client may set of the record in the place of what stands there, armed anew against the present price unless it is paused;
 * `version` is that of the record that was changed, 0: any. 0 and the record in *storedp, durable and armed. PX_E_NOT_FOUND,
 * PX_E_PRECONDITION, PX_E_DISK.
 */
int px_reader_alert_update(struct px_reader *reader, const struct px_alert *changed, struct px_alert *storedp);

/*
 * Pause: it waits for nothing. Resume: armed against the present price. Rearm: as if newly made. Version and errors as above; PX_E_CONFLICT
 * when it cannot have that state: resume what is not paused, pause what has ended.
 */
int px_reader_alert_pause(struct px_reader *reader, const char *owner, struct px_alert_id id, uint32_t version, struct px_alert *storedp);
int px_reader_alert_resume(struct px_reader *reader, const char *owner, struct px_alert_id id, uint32_t version, struct px_alert *storedp);
int px_reader_alert_rearm(struct px_reader *reader, const char *owner, struct px_alert_id id, uint32_t version, struct px_alert *storedp);

struct px_alert_cursor {
    char owner[PX_OWNER_SIZE]; /* the last one of the page before; all zero = from the start */
    struct px_alert_id id;
};

struct px_alert_query {
    const char *owner;         /* NULL: everybody's (admins) */
    const char *symbol;        /* canonical; NULL: all */
    const char *tag;           /* NULL: all */
    enum px_alert_state state; /* PX_ALERT_ANY: all */
    uint32_t limit;            /* 1 .. PX_PAGE_MAX */
    struct px_alert_cursor after;
};

/* In order of owner and id. `alerts` has room for query->limit. *morep: ask again with *nextp for the rest. */
int px_reader_alert_list(struct px_reader *reader, const struct px_alert_query *query, struct px_alert *alerts,
                         uint32_t *countp, bool *morep, struct px_alert_cursor *nextp);

struct px_event_query {
    const char *owner;        /* NULL: everybody's */
    struct px_alert_id alert; /* {0, 0}: all */
    uint64_t since;           /* events with eseq > since */
    uint32_t limit;           /* 1 .. PX_PAGE_MAX */
    bool descending;          /* the newest first, none before them */
};

/* Durable fires in order of eseq; the next page is since = eseq of the last one. `events` has room for query->limit. */
int px_reader_events(struct px_reader *reader, const struct px_event_query *query, struct px_alert_event *events,
                     uint32_t *countp, bool *morep);

/* ---- history ---- */

#define PX_TIME_NONE INT64_MIN

/*
 * A range [start, end) in event time and where to begin in it:
 *   start alone: from start, oldest first.   end alone: the most recent before end.
 *   both: from start, bounded by end.        neither: the most recent.
 * Rows come in ascending time, whichever end they were taken from. `descending` asks for the most recent of the range,
 * newest first. A page that is not the last says `more` and gives the cursor with which the same query goes on in the
 * same direction.
 */
struct px_cursor {
    bool set; /* false: the first page */
    int64_t time_ns;
    uint64_t sequence;
};

struct px_range {
    int64_t start_ns, end_ns; /* PX_TIME_NONE: open */
    uint32_t limit;           /* 1 .. PX_PAGE_MAX */
    bool descending;
    struct px_cursor cursor;
    int64_t opens_before_ns; /* candles: minutes that are not final are left out from here on; 0: they are not */
};

struct px_page {
    uint32_t count;
    bool more;
    struct px_cursor next;
    int64_t final_ns;  /* candles: all minutes before it are in the rows as final ones, whatever opens_before_ns says */
    uint64_t position; /* in the tick ring: what stands before it is in the rows; a part of what follows may be */
};

/*
 * Candles of interval_s: 1, 5, 60 or a multiple of it up to a week. Empty intervals have no row. `partial`: those that are
 * not final too. *priorp (may be NULL): the close before the first row returned, or before the range if it is empty,
 * for filling; PX_PRICE_NONE if there is none. PX_E_INVALID for another interval, an asset that is none, or a limit
 * outside.
 */
int px_reader_candles(struct px_reader *reader, px_asset_id asset, uint32_t interval_s, bool partial,
                      const struct px_range *range, struct px_candle *candles, struct px_page *pagep, int64_t *priorp);

/* Trades; quarantined ones only when asked for. */
int px_reader_ticks(struct px_reader *reader, px_asset_id asset, bool quarantined, const struct px_range *range,
                    struct px_trade *trades, struct px_page *pagep);

/* ---- what did not come through the feed ---- */

#define PX_IMPORT_MAX 25000 /* rows in one call */

/* What became of the rows of an import. */
struct px_import_report {
    uint64_t taken;            /* trades, or candles */
    uint64_t candles;          /* made, or taken */
    uint64_t present;          /* trades of minutes that had a candle, or candles that were there */
    uint64_t too_old, too_new; /* beyond what is kept; at or after what the feed is at */
    int64_t newest_ns;         /* end of the newest minute taken; INT64_MIN: none */
};

/*
 * Puts trades, or `final` candles of interval_s (60, 300, 3600, 86400), ascending in time, into history where there is none.
 * What is there stays, so repeating it does no harm; a minute's trades must all be in one call. 1 .. PX_IMPORT_MAX rows.
 * PX_E_DISK, PX_E_AGAIN: another import is under way.
 */
int px_reader_import_trades(struct px_reader *reader, px_asset_id asset, const struct px_trade *trades, uint32_t count,
                            struct px_import_report *reportp);
int px_reader_import_candles(struct px_reader *reader, px_asset_id asset, uint32_t interval_s,
                             const struct px_candle *candles, uint32_t count, struct px_import_report *reportp);

/* ---- channels and deliveries ---- */

/*
 * Version 0: put if nobody has its id; else it replaces the record that has this version. 0 and the record in *storedp, durable.
 * PX_E_EXISTS (with the one of this owner), PX_E_FORBIDDEN, PX_E_LIMIT, PX_E_NOT_FOUND, PX_E_PRECONDITION, PX_E_DISK.
 */
int px_reader_channel_put(struct px_reader *reader, const struct px_channel *channel, struct px_channel *storedp);
int px_reader_channel_get(struct px_reader *reader, const char *owner, struct px_alert_id id, struct px_channel *channelp);
int px_reader_channel_delete(struct px_reader *reader, const char *owner, struct px_alert_id id, uint32_t version);
int px_reader_channel_list(struct px_reader *reader, const char *owner, const struct px_alert_cursor *after, uint32_t limit,
                           struct px_channel *channels, uint32_t *countp, bool *morep, struct px_alert_cursor *nextp);

/* Sends something that no alert has caused. A repeated call may send twice. */
/* What a fire of the alert would tell the channel now. PX_E_NOT_FOUND: one of them is not there. */
int px_reader_alert_test(struct px_reader *reader, const char *owner, struct px_alert_id alert, struct px_alert_id channel,
                         struct px_delivery *madep);
int px_reader_channel_test(struct px_reader *reader, const char *owner, struct px_alert_id id, struct px_delivery *madep);

int px_reader_delivery_get(struct px_reader *reader, const char *owner, uint64_t number, struct px_delivery *deliveryp);

/* Newest first, below number `before` (0: all). A page may be short and say `more`: go on with *nextp. */
int px_reader_delivery_list(struct px_reader *reader, const char *owner, enum px_delivery_state state, uint64_t before,
                            uint32_t limit, struct px_delivery *list, uint32_t *countp, bool *morep, uint64_t *nextp);

/* Once more, under its old name. PX_E_EXISTS: it is under way anyhow. */
int px_reader_delivery_replay(struct px_reader *reader, const char *owner, uint64_t number, struct px_delivery *nowp);

/* All dead ones of the owner, as many as one call may: *countp; *morep: call again. */
int px_reader_delivery_replay_dead(struct px_reader *reader, const char *owner, uint32_t *countp, bool *morep);

/* ---- silences: the calls are those of channels, but nothing replaces a silence ---- */

int px_reader_silence_put(struct px_reader *reader, const struct px_silence *silence, struct px_silence *storedp);
int px_reader_silence_get(struct px_reader *reader, const char *owner, struct px_alert_id id, struct px_silence *silencep);
int px_reader_silence_delete(struct px_reader *reader, const char *owner, struct px_alert_id id);
int px_reader_silence_list(struct px_reader *reader, const char *owner, const struct px_alert_cursor *after, uint32_t limit,
                           struct px_silence *silences, uint32_t *countp, bool *morep, struct px_alert_cursor *nextp);

/*
 * The exchange of notify, in two halves, so that it does not have to wait in between. PX_E_CLOSED (no keeper right now), PX_E_INVALID,
 * PX_E_TIMEOUT; after any of them there is no exchange under way, and no connection. It may have taken effect all the same: reports may be
 * repeated, and jobs of an answer that was lost are leased to nobody until an exchange says `fresh`.
 */
int px_reader_turn_begin(struct px_reader *reader, const struct px_turn *turn);
int px_reader_turn_fd(const struct px_reader *reader); /* readable: its answer has begun to come, or the keeper has gone */
/* Waits for the rest of the answer. `jobs` has room for as many as were wanted. */
int px_reader_turn_end(struct px_reader *reader, struct px_job *jobs, uint32_t *countp);
void px_reader_turn_cancel(struct px_reader *reader);
