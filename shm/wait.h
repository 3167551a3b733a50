/*
 * Sleeping until shared memory has news, and waking those who sleep.
 *
 * A wake word is a flag, not a count: 1 means "somebody may sleep on this". A consumer sets it, looks at its inputs once more, and
 * sleeps only if they are still empty; a producer publishes, and if it finds the flag set, clears it and wakes everybody. A
 * consumer that is killed in its sleep therefore costs one spurious wake and leaks nothing. A producer killed between clearing the
 * flag and waking leaves sleepers behind: sleeps have a time-out, and the supervisor wakes every word of a dead producer.
 */
#pragma once

#include "base/types.h"
#include "shm/atomic.h"

#define PX_WAIT_MAX 8

struct px_wait_set {
    uint32_t *word[PX_WAIT_MAX];
    unsigned count;
};

static inline void px_wait_add(struct px_wait_set *set, uint32_t *word)
{
    PX_CHECK(set->count < PX_WAIT_MAX);
    set->word[set->count++] = word;
}

/* Announces the sleep on every word. The caller looks at all its inputs after this and before px_wait_sleep. */
void px_wait_arm(const struct px_wait_set *set);

/* Sleeps until one of the words is woken or timeout_ns have passed; spurious returns are allowed. Be offline in RCU. */
void px_wait_sleep(const struct px_wait_set *set, int64_t timeout_ns);

/* After publishing: wakes everybody who announced a sleep. One load when nobody does. */
static inline bool px_wait_pending(const uint32_t *word)
{
    return px_load_relaxed(word) != 0;
}
void px_wait_wake(uint32_t *word); /* full barrier, then wakes if the flag is set */
void px_wait_wake_always(uint32_t *word); /* the supervisor, after a producer's death */
