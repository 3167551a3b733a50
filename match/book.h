/*
 * The windowed index: everything that waits, ordered by distance, of which only the nearest part lies in memory.
 *
 *       list = (asset, series, direction)             in the order in which the value would reach it
 *
 *       value ─►  | e1 | e2 | e3 | ... | ew |  edge   ·  ·  ·  the rest, in the index alone  ·  ·  ·
 *                  near[] = level of e1      └ everything up to here is in the window
 *
 *   apply     takes what the value has reached off the front: each plan moves on (match/plan.h), its old places go and its new
 *             ones come, in the window where they lie within the edge, in the index always; what fires goes to the sink
 *   refill    when few are left and the index has more: scans on from the edge, ahead of need. A value that jumps
 *             beyond the edge scans on until it is behind the value
 *   width     of the next fetch: doubles from 64 to 4096 when a value jumps beyond the edge, halves when others need the room
 *
 * The index is behind one struct of functions: in memory for tests, RocksDB in store/armed.c. Writes go into the group under way and
 * scans see only what is committed: so a scan first asks for a commit (`settle`). The window is a cache of the index and can be dropped
 * at any time. Memory: bounded by `bytes` for all windows together; beyond it windows that were not used are dropped, the farthest first.
 *
 * One thread of one process: the keeper's main thread. Nothing here knows of shared memory but by the two calls of struct px_book_out.
 */
#pragma once

#include "match/plan.h"
#include "shm/depth.h"
#include "shm/tick.h"

struct px_row { /* what the index holds: a place of a plan */
    struct px_alert_id alert;
    px_asset_id asset;
    struct px_place place;
    uint16_t len;
    uint8_t bytes[PX_PLAN_BYTES_MAX]; /* the plan, encoded relative to the place */
};

/* The index. Calls return 0 or PX_E_*; an error ends the keeper. */
struct px_index {
    void *ctx;
    void (*put)(void *ctx, const struct px_row *row); /* into the group under way */
    void (*drop)(void *ctx, px_asset_id asset, const struct px_place *place, struct px_alert_id alert); /* may not be there */
    /* The rows behind (level, alert, leg) of `after` in the list of its place, nearest first; after->len == 0: from the front. */
    int (*scan)(void *ctx, const struct px_row *after, unsigned limit, struct px_row *rows, unsigned *countp);
    int (*get)(void *ctx, px_asset_id asset, const struct px_place *place, struct px_alert_id alert, struct px_row *rowp); /* PX_E_NOT_FOUND */
    int (*settle)(void *ctx); /* commits the group under way, so that the next scan sees it */
};

/* A fire, before it is durable. */
struct px_fired {
    struct px_alert_id alert;
    uint8_t op, leg, down, last; /* last: for the last time, the alert has ended */
    uint32_t fire_number;        /* from 1 */
    int64_t level;               /* of the leg that moved: a or b */
    const struct px_hit *hit;
    int64_t value, prev, time_ns; /* of the hit, or of the extreme of a span that made it */
};

struct px_book_out {
    void *ctx;
    /* 0, or PX_E_AGAIN: the group is full; the book calls settle and asks again. */
    int (*fire)(void *ctx, const struct px_fired *fired);
    void (*expired)(void *ctx, struct px_alert_id alert);
    /* What is nearest may have changed; told when it is nearer at once, when it is farther once the group is committed (px_book_settled). */
    void (*near)(void *ctx, px_asset_id asset, unsigned series, int64_t up, int64_t down);
};

struct px_book; /* opaque */

int px_book_create(uint32_t assets, size_t bytes, const struct px_index *index, const struct px_book_out *out, struct px_book **bookp);
void px_book_destroy(struct px_book **bookp);

/* Other widths than 64 .. 4096, before anything is loaded: for tests, in which windows must run short, and measurements. */
void px_book_widths(struct px_book *book, uint32_t first, uint32_t most);

/*
 * A series that may have rows, for start-up: `out.near` says that anything may be reached, till its lists have been looked at, by a value of it or by
 * px_book_tend.
 */
int px_book_expect(struct px_book *book, px_asset_id asset, unsigned series);

/* Looks at both lists of a series at once. */
int px_book_load(struct px_book *book, px_asset_id asset, unsigned series);

/*
 * From now on px_book_apply stops behind so many moves with PX_E_AGAIN, if there are more; 0: never. It goes on when the same hit is applied again, with
 * the same *stagep. Until it is done no other hit of that asset may be applied.
 */
void px_book_slice(struct px_book *book, uint32_t moves);

/*
 * One hit. Fires what it makes true, in order of distance, first upward and then downward. When the group gets full half way it is settled and the
 * hit goes on: to apply the same hit again from the start is then harmless, unless it is a span; those say how far they have
 * got in *stagep (0 = from the start), which the caller keeps with the checkpoint.
 */
int px_book_apply(struct px_book *book, const struct px_hit *hit, uint64_t generation, uint32_t *stagep);

/* Before the values are read that an alert is armed against: every value of the series is told from here on, until the group is settled. */
void px_book_attend(struct px_book *book, px_asset_id asset, unsigned series);

/* Puts the places of an armed plan: px_plan_arm has placed it, by values that were read after px_book_attend of all its series. */
int px_book_add(struct px_book *book, struct px_alert_id alert, px_asset_id asset, const struct px_plan *plan);

/*
 * Looks for the plan of an alert as it stands in the index or, in the group under way, in memory. `made` is a plan of the same rule in any state.
 * PX_E_NOT_FOUND. May settle: so not between px_book_attend and px_book_add.
 */
int px_book_find(struct px_book *book, struct px_alert_id alert, px_asset_id asset, const struct px_plan *made, struct px_plan *planp);

/* Takes all places of the alert away, whatever its state. */
int px_book_remove(struct px_book *book, struct px_alert_id alert, px_asset_id asset, const struct px_plan *made);

/* The group has been committed: what has become farther is told now. */
void px_book_settled(struct px_book *book);

/* A slice of what has no hurry: refills ahead of need. > 0: there was work; PX_E_*. May settle. */
int px_book_tend(struct px_book *book);

/* The window as it stands, nearest first, for the alert-depth view: levels and how many wait at each; *morep: the index has more. */
unsigned px_book_depth(struct px_book *book, px_asset_id asset, unsigned series, bool down, struct px_depth_level *depth, unsigned most, bool *morep);

struct px_book_stats {
    uint64_t resident, bytes, lists, refills, scanned, moves, fires, unreadable;
};
void px_book_stats(const struct px_book *book, struct px_book_stats *statsp);
