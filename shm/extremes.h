/*
 * What a consumer of the tick ring misses when it is overtaken, so that it misses no crossing: the evaluator's insurance. It costs
 * one comparison a publish while the evaluator keeps up, and a few dozen ns a tick while it does not.
 *
 *   position   ......... p ......|..........|..........|.......... | ............ tail
 *              evaluated | seam  |  folded  |  folded  |  folded   | still in the ring
 *                        |  raw  |        one value an asset       |
 *                        cursor                                    R: reading goes on here
 *
 * The ring's positions are divided into chunks of a sixty-fourth of its capacity. Before ingest overwrites the first event of a
 * chunk it looks where the evaluator's cursor stands:
 *
 *   behind the chunk   it has been read: nothing to do
 *   in the chunk       its events are copied as they are into the seam: the part that was evaluated already can be told from the rest
 *   before the chunk   all of it is missed: each trade is folded into its asset's value
 *
 * The rule, therefore: what is folded is exactly the time that was missed, to the tick; at its begin because the partial chunk is kept raw, at
 * its end because the evaluator goes on where folding ended. No price that was evaluated is in it, and none that still will be.
 *
 * Of what lies in between a value keeps the first, highest, lowest and last price, and the bounds of all rises and of all falls. With
 * them (px_matcher_span):
 *
 *   level conditions                           fire exactly when a missed trade makes them true
 *   crossings from the side where p stood      likewise
 *   crossings back, after the opposite move    fire whenever one can have happened: their level lies between the lowest begin and
 *                                              the highest end of a rise (a fall); the level may lie in a gap that every rise left out
 *
 * A trade that is late by its symbol's clock (time_ns < newest_ns) adds volume and no price, as it does when it is evaluated singly.
 *
 * Ingest folds on while the evaluator takes what is there. So there are two values an asset, by the parity of `epoch`: the evaluator opens
 * the next epoch, waits until no chunk is between `begun` and `done`, takes everything of the old epoch, moves its cursor to where
 * that ended, and says so in `consumed`.
 *
 * Ordering
 *   1. ingest: begun, intent · full barrier · epoch, cursor.       evaluator: cursor · full barrier · events, intent.
 *      Either ingest sees the cursor or the evaluator sees the intent: a chunk that is folded is one that can no longer be read.
 *   2. ingest: begun · full barrier · epoch.                       evaluator: epoch · full barrier · begun, done.
 *      A chunk that the evaluator does not see as begun is folded into the new epoch.
 *   3. The evaluator never reads across the end of a chunk, and tells its cursor before each read.
 *
 * Death of ingest: between `begun` and `done` its successor does the chunk again, in the same way and the same epoch (`plan`), while its events
 * are still whole; folding is idempotent, since every value knows how far it goes. Death of the evaluator: epoch is one ahead of consumed, and
 * its successor goes on taking the same epoch; what an asset's own position has passed is not taken twice.
 */
#pragma once

#include "shm/latch.h"
#include "shm/ring.h"
#include "shm/tick.h"

/* Of one asset in one epoch. Writer: ingest; reader: evaluator. */
struct px_extremes_value {
    uint64_t epoch;       /* + 1; 0: never written */
    uint64_t from, until; /* ring positions of the first trade in it, and behind the last one */
    int64_t first, high, low, last; /* PX_PRICE_NONE: late trades only */
    int64_t first_ns, high_ns, low_ns, last_ns;
    int64_t rise_from, rise_to; /* lowest begin and highest end of a step up between two trades; from >= to: none */
    int64_t fall_from, fall_to; /* highest begin and lowest end of a step down; from <= to: none */
    int64_t volume;
    uint64_t count; /* late ones included */
    int64_t value_hi, value_lo; /* sum of price * size */
    int64_t recv_ns; /* of the last one */
    uint64_t venue, sseq; /* likewise */
};
typedef PX_LATCH_OF(struct px_extremes_value, 384) px_extremes_slot;
_Static_assert(sizeof(px_extremes_slot) == 384, "an extremes slot");

enum px_extremes_mode { PX_EXTREMES_PASSED, PX_EXTREMES_SEAM, PX_EXTREMES_FOLD };

/* Zeroed memory is a valid beginning. Positions are those of the tick ring. */
struct px_extremes {
    _Alignas(PX_FALSE_SHARING) uint64_t begun; /* ingest: chunks that end at or below it are claimed */
    uint64_t done;                             /* ingest: and settled; equal to begun when at rest */
    struct {
        uint64_t epoch, mode, end; /* ingest: how the chunk that ends at `end` is settled; end is stored last */
    } plan;
    uint64_t end[2];                           /* ingest: by parity of the epoch, how far its seam and values reach */
    uint64_t seam_end;                         /* ingest: end of the chunk in the seam; 0 = none */
    _Alignas(PX_FALSE_SHARING) uint64_t epoch; /* evaluator: fold into this one */
    uint64_t consumed;                         /* evaluator: epochs below it are done with; epoch or epoch - 1 */
    _Alignas(PX_FALSE_SHARING) uint64_t words[]; /* the seam, then two slots an asset */
};

/* Events in a chunk: positions are divided by it. */
static inline uint64_t px_extremes_chunk(const struct px_ring *ring)
{
    return ring->capacity < 64 ? 1 : ring->capacity / 64;
}

size_t px_extremes_bytes(uint32_t assets, uint64_t tick_capacity);

/* ---- ingest; none of these blocks ---- */

/* Before the next n events are staged or published. `cursor` is the evaluator's in the ring's yard. */
void px_extremes_before(struct px_extremes *extremes, struct px_ring *ring, const uint64_t *cursor, uint32_t assets,
                        unsigned n);

/* A successor, before anything else touches the ring. */
void px_extremes_takeover(struct px_extremes *extremes, struct px_ring *ring, const uint64_t *cursor, uint32_t assets,
                          uint64_t writer);

/* ---- the evaluator, after PX_E_OVERRUN at `position`; none of these blocks ---- */

/*
 * Opens what was missed; *untilp is where reading goes on. PX_E_AGAIN: ingest is at work on it (or dead in the middle of it), come
 * again.
 */
int px_extremes_open(struct px_extremes *extremes, uint64_t position, uint64_t *untilp);

/* The missed event at `position`, if it lies in the seam; false: the seam ends before it or there is none. */
bool px_extremes_seam(const struct px_extremes *extremes, const struct px_ring *ring, uint64_t position, struct px_tick *tickp);

/* What was folded of an asset; false: nothing. */
bool px_extremes_read(const struct px_extremes *extremes, const struct px_ring *ring, px_asset_id asset,
                      struct px_extremes_value *valuep);

/* All of it has been taken, and the cursor has been moved to *untilp. */
void px_extremes_close(struct px_extremes *extremes);
