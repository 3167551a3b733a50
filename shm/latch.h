/*
 * A latch: one value that one process writes and any number read, without either waiting for the other.
 *
 *      0        4        8               16                16+8n            16+16n
 *      +--------+--------+----------------+-----------------+----------------+
 *      |  seq   | spare  |     writer     |      v[0]       |      v[1]      |
 *      +--------+--------+----------------+-----------------+----------------+
 *
 *   seq even: v[0] is stable, v[1] may be in the making.      seq odd: v[1] is stable, v[0] may be in the making.
 *
 *   write     seq+1 · barrier · v[0] · barrier · seq+2 · barrier · v[1] · barrier
 *   read      s = seq · barrier · v[s & 1] · barrier · seq == s, else again
 *
 * Guarantees
 *   1. A reader returns a value that was written as a whole, never a mixture of two.
 *   2. A reader never waits for a writer: it repeats only when a write completed meanwhile.
 *   3. Both hold when the writer is killed between any two stores, provided that its successor calls px_latch_takeover on the latch
 *      before its own first write: the side that readers look at is copied over the one that may be half written.
 *   4. Values seen by one reader never go backward.
 *
 * seq wraps at 2^32; a reader that sleeps for exactly 2^32 steps between its two looks would be fooled, which takes hours at the
 * highest write rate and is excluded by readers that copy a few words.
 */
#pragma once

#include "base/types.h"
#include "shm/atomic.h"

struct px_latch {
    uint32_t seq;    /* writer */
    uint32_t spare;
    uint64_t writer; /* incarnation of the process that may write; for the viewer and for checks */
    uint64_t v[];    /* two values of `words` words each */
};

/* Declares a latch for a value type whose size is a multiple of 8: PX_LATCH_OF(struct px_price_value, 64) */
#define PX_LATCH_OF(type, total_bytes)                                                                                 \
    struct {                                                                                                           \
        _Alignas(64) uint32_t seq;                                                                                     \
        uint32_t spare;                                                                                                \
        uint64_t writer;                                                                                               \
        type v[2];                                                                                                     \
        char fill[(total_bytes) - 16 - 2 * sizeof(type)];                                                              \
    }

#define PX_LATCH_WORDS(latch)             ((unsigned)(sizeof((latch)->v[0]) / 8))
#define px_latch_write(latch, valuep)     px_latch_write_words((struct px_latch *)(void *)(latch), (valuep), PX_LATCH_WORDS(latch))
#define px_latch_read(latch, valuep)      px_latch_read_words((const struct px_latch *)(const void *)(latch), (valuep), PX_LATCH_WORDS(latch))
#define px_latch_takeover(latch, who)     px_latch_takeover_words((struct px_latch *)(void *)(latch), PX_LATCH_WORDS(latch), (who))

/* The one writer. Never blocks. */
static inline void px_latch_write_words(struct px_latch *latch, const void *value, unsigned words)
{
    uint32_t seq = px_load_relaxed(&latch->seq);

    px_store_relaxed(&latch->seq, seq + 1); /* readers turn to v[1] */
    px_smp_wmb();
    px_words_store(latch->v, value, words);
    px_smp_wmb();
    px_store_relaxed(&latch->seq, seq + 2); /* readers turn to v[0] */
    px_smp_wmb();
    px_words_store(latch->v + words, value, words);
    px_smp_wmb();
}

/* Any process; returns the sequence that it saw (0: never written). Lock-free: a repeat means that a write completed. */
static inline uint32_t px_latch_read_words(const struct px_latch *latch, void *value, unsigned words)
{
    uint32_t seq;

    do {
        seq = px_load_acquire(&latch->seq);
        px_words_load(value, latch->v + (seq & 1) * words, words);
        px_smp_rmb();
    } while (px_load_relaxed(&latch->seq) != seq);
    return seq & ~1u;
}

/*
 * A successor of the writer, before its first write; also right when the predecessor died in a takeover. Never blocks. After it,
 * seq is even and both sides hold the value that readers saw.
 */
static inline void px_latch_takeover_words(struct px_latch *latch, unsigned words, uint64_t writer)
{
    uint32_t seq = px_load_relaxed(&latch->seq);
    uint64_t *stable = latch->v + (seq & 1) * words, *other = latch->v + (~seq & 1) * words;

    for (unsigned i = 0; i < words; i++)
        px_store_relaxed(&other[i], px_load_relaxed(&stable[i]));
    px_smp_wmb();
    if (seq & 1)
        px_store_relaxed(&latch->seq, seq + 1);
    px_smp_wmb();
    px_store_relaxed(&latch->writer, writer);
}
