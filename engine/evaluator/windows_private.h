/* What windows.c and late.c share: sums in two words, and buckets. */
#pragma once

#include "base/decimal.h"
#include "engine/evaluator/windows.h"

#define PXI_DAY_NS    (86400 * PX_NS_PER_S)
#define PXI_MINUTE_NS (60 * PX_NS_PER_S)

/* One trade, or several of which `price` is one. */
struct pxi_amount {
    int64_t volume;
    uint64_t count;
    __int128 value;
};

static inline __int128 pxi_join(int64_t hi, int64_t lo)
{
    return (__int128)((unsigned __int128)hi << 64 | (uint64_t)lo);
}

static inline void pxi_split(__int128 value, int64_t *hip, int64_t *lop)
{
    *hip = (int64_t)(value >> 64);
    *lop = (int64_t)value;
}

static inline int64_t pxi_floor(int64_t ns, int64_t width)
{
    return ns - ns % width;
}

static inline int64_t pxi_width(enum px_window window)
{
    return px_window_ns[window] / PX_WINDOW_BUCKETS;
}

static inline void pxi_bucket_area(struct px_bucket *bucket, __int128 area, int64_t duration_ns)
{
    pxi_split(pxi_join(bucket->area_hi, bucket->area_lo) + area, &bucket->area_hi, &bucket->area_lo);
    bucket->duration_ns += duration_ns;
}

static inline void pxi_candle_area(struct px_candle_value *candle, __int128 area, int64_t duration_ns)
{
    pxi_split(pxi_join(candle->area_hi, candle->area_lo) + area, &candle->area_hi, &candle->area_lo);
    candle->duration_ns += duration_ns;
}

static inline void pxi_bucket_count(struct px_bucket *bucket, int64_t price, const struct pxi_amount *amount)
{
    bucket->high = bucket->count == 0 ? price : PX_MAX(bucket->high, price);
    bucket->low = bucket->count == 0 ? price : PX_MIN(bucket->low, price);
    bucket->volume += amount->volume;
    bucket->count += amount->count;
    pxi_split(pxi_join(bucket->value_hi, bucket->value_lo) + amount->value, &bucket->value_hi, &bucket->value_lo);
}

static inline void pxi_candle_count(struct px_candle_value *candle, int64_t price, const struct pxi_amount *amount)
{
    candle->high = PX_MAX(candle->high, price);
    candle->low = PX_MIN(candle->low, price);
    if (__builtin_add_overflow(candle->volume, amount->volume, &candle->volume))
        candle->volume = INT64_MAX;
    candle->count += amount->count;
    pxi_split(pxi_join(candle->value_hi, candle->value_lo) + amount->value, &candle->value_hi, &candle->value_lo);
}
