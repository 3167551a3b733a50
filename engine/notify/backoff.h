/* When a failed attempt is made again. Pure; any process. */
#pragma once

#include "base/types.h"

struct px_backoff {
    uint32_t attempts;      /* so far, the one that failed too */
    int64_t retry_after_ns; /* what the receiver asked for; 0 = nothing */
    bool slow;              /* 429, 502, 504: it has too much to do */
};

/*
 * Nanoseconds from now on: uniform between a tenth of a second and a bound that begins at one second (four when it is `slow`) and doubles
 * with each attempt up to two minutes; full jitter, so that what failed together does not come back together. Never before what the
 * receiver asked for, of which at most an hour is honoured. `random` is any 64 random bits.
 */
int64_t px_backoff_ns(const struct px_backoff *backoff, uint64_t random);
