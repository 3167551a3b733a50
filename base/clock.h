/* Two clocks that must not be mixed: one that only goes forward, and the one on the wall. */
#pragma once

#include "base/types.h"

#define PX_NS_PER_US INT64_C(1000)
#define PX_NS_PER_MS INT64_C(1000000)
#define PX_NS_PER_S INT64_C(1000000000)

/* CLOCK_MONOTONIC, wrapped so that it cannot be added to wall time. Shared by all processes of one boot. */
typedef struct {
    int64_t ns;
} px_mono;

/* Neither blocks nor fails; any process. */
px_mono px_mono_now(void);

/* a - b in nanoseconds. */
static inline int64_t px_mono_since(px_mono a, px_mono b)
{
    return a.ns - b.ns;
}

/* Nanoseconds since the Unix epoch, UTC; may jump when an operator sets the clock. */
int64_t px_wall_now(void);

#define PX_RFC3339_SIZE 32

/* Writes "2024-08-08T23:54:13.936061Z" (always six digits, terminated) for 0 <= ns < year 2262. Returns its length, 27. */
size_t px_rfc3339_format(int64_t ns, char text[PX_RFC3339_SIZE]);

/* Reads RFC 3339 with 0 to 9 fraction digits and Z or an offset. PX_E_FORMAT on anything else; *nsp is untouched then. */
int px_rfc3339_parse(struct px_text text, int64_t *nsp);

/* RFC 3339, or an integer since the epoch whose unit is told by magnitude: < 1e11 s, < 1e14 ms, < 1e17 us, else ns. */
int px_time_parse(struct px_text text, int64_t *nsp);
