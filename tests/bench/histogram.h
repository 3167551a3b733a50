/* Delays in steps of 10 us up to 20 s; what is longer counts as 20 s. Exact counts, so percentiles are off by one step
 * at most. */
#pragma once

#include "base/types.h"

#define HISTOGRAM_STEP_NS INT64_C(10000)
#define HISTOGRAM_STEPS   2000000

struct histogram {
    uint64_t count;
    int64_t max_ns, min_ns;
    uint32_t steps[HISTOGRAM_STEPS];
};

static inline void histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
    histogram->min_ns = INT64_MAX;
}

/* A negative delay means that two clocks disagree; it counts as none and shows in min_ns. */
static inline void histogram_add(struct histogram *histogram, int64_t ns)
{
    int64_t step = ns < 0 ? 0 : ns / HISTOGRAM_STEP_NS;

    histogram->steps[PX_MIN(step, HISTOGRAM_STEPS - 1)]++;
    histogram->max_ns = PX_MAX(histogram->max_ns, ns);
    histogram->min_ns = PX_MIN(histogram->min_ns, ns);
    histogram->count++;
}

/* The upper end of the step below which `per_mille` of all delays lie, in milliseconds; 0 without any. */
static inline double histogram_ms(const struct histogram *histogram, unsigned per_mille)
{
    uint64_t wanted = (histogram->count * per_mille + 999) / 1000, seen = 0;

    for (size_t i = 0; i < HISTOGRAM_STEPS && histogram->count; i++) {
        seen += histogram->steps[i];
        if (seen >= wanted && seen)
            return (double)PX_MIN((int64_t)(i + 1) * HISTOGRAM_STEP_NS, histogram->max_ns) / 1e6;
    }
    return 0;
}
