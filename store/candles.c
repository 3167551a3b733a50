#include "store/candles.h"

#include <stdlib.h>

#include "base/error.h"
#include "store/column_private.h"

#define VERSION 2 /* since a column may rise */

typedef unsigned __int128 wide;

/* What a sum would be if the price had been `price` all along; wraps, and the reader wraps back. */
static wide guess(int64_t price, int64_t weight)
{
    return (wide)(__int128)price * (wide)(__int128)weight;
}

/* What is left over mostly fits the lower half; the upper one is 0 then, whatever the sign. */
static int64_t low_half(wide value)
{
    return (int64_t)(uint64_t)value;
}

static int64_t high_half(wide value)
{
    return pxi_minus((int64_t)(uint64_t)(value >> 64), low_half(value) >> 63);
}

static wide halves(int64_t high, int64_t low)
{
    return (wide)(uint64_t)pxi_plus(high, low >> 63) << 64 | (uint64_t)low;
}

/* One row a column: name, and what it holds of candle `at` with the one before it at `last`. */
#define COLUMNS(X)                                                                                                     \
    X(start, at->start_ns, PXI_DELTA | PXI_SLOPE | PXI_SCALED)                                                         \
    X(open, at->open, PXI_DELTA | PXI_PLAIN)                                                                           \
    X(close, pxi_minus(at->close, at->open), PXI_PLAIN)                                                                \
    X(high, pxi_minus(at->high, PX_MAX(at->open, at->close)), PXI_PLAIN)                                               \
    X(low, pxi_minus(PX_MIN(at->open, at->close), at->low), PXI_PLAIN)                                                 \
    X(volume, at->volume, PXI_PLAIN)                                                                                   \
    X(count, (int64_t)at->count, PXI_PLAIN)                                                                            \
    X(duration, pxi_minus(width_ns, at->duration_ns), PXI_PLAIN | PXI_DELTA | PXI_SCALED)                              \
    X(last, pxi_minus(pxi_plus(at->start_ns, width_ns), at->last_ns), PXI_PLAIN | PXI_DELTA | PXI_SCALED)              \
    X(area_low, low_half(area), PXI_PLAIN | PXI_SCALED)                                                                \
    X(area_high, high_half(area), PXI_PLAIN)                                                                           \
    X(value_low, low_half(value), PXI_PLAIN | PXI_SCALED)                                                              \
    X(value_high, high_half(value), PXI_PLAIN)

enum column {
#define COLUMN(name, number, shapes) COLUMN_##name,
    COLUMNS(COLUMN)
#undef COLUMN
        COLUMN_COUNT
};

_Static_assert(PXI_COLUMN_MAX == PX_CANDLES_ROW, "a column is as long as a row");
_Static_assert(4 + COLUMN_COUNT * PXI_COLUMN_BYTES_MAX + PXI_CRC_BYTES <= PX_CANDLES_BYTES_MAX, "the worst row fits");

size_t px_candles_encode(const struct px_candle *candles, unsigned n, int64_t width_ns,
                         uint8_t bytes[PX_CANDLES_BYTES_MAX])
{
    int64_t values[PX_CANDLES_ROW];
    uint16_t count = (uint16_t)n;
    uint8_t *to = bytes;

    PX_CHECK(n > 0 && n <= PX_CANDLES_ROW);
    *to++ = VERSION;
    *to++ = COLUMN_COUNT;
    memcpy(to, &count, sizeof count);
    to += sizeof count;
#define ENCODE(name, number, shapes)                                                                                   \
    for (unsigned i = 0; i < n; i++) {                                                                                 \
        const struct px_candle *at = &candles[i];                                                                      \
        wide area = (wide)at->area - guess(at->open, at->duration_ns);                                                 \
        wide value = (wide)at->value - guess(at->open, at->volume);                                                    \
        values[i] = number;                                                                                            \
        (void)area;                                                                                                    \
        (void)value;                                                                                                   \
    }                                                                                                                  \
    to = pxi_column_encode(to, values, n, shapes);
    COLUMNS(ENCODE)
#undef ENCODE
    return (size_t)(pxi_put_crc(bytes, to) - bytes);
}

typedef int64_t column[PX_CANDLES_ROW];

static struct px_candle candle_of(const column *values, unsigned i, int64_t width_ns)
{
    struct px_candle candle = {.start_ns = values[COLUMN_start][i],
                               .open = values[COLUMN_open][i],
                               .volume = values[COLUMN_volume][i],
                               .count = (uint64_t)values[COLUMN_count][i],
                               .duration_ns = pxi_minus(width_ns, values[COLUMN_duration][i]),
                               .final = true};
    wide area = halves(values[COLUMN_area_high][i], values[COLUMN_area_low][i]);
    wide value = halves(values[COLUMN_value_high][i], values[COLUMN_value_low][i]);

    candle.close = pxi_plus(candle.open, values[COLUMN_close][i]);
    candle.high = pxi_plus(PX_MAX(candle.open, candle.close), values[COLUMN_high][i]);
    candle.low = pxi_minus(PX_MIN(candle.open, candle.close), values[COLUMN_low][i]);
    candle.last_ns = pxi_minus(pxi_plus(candle.start_ns, width_ns), values[COLUMN_last][i]);
    candle.area = (__int128)(area + guess(candle.open, candle.duration_ns));
    candle.value = (__int128)(value + guess(candle.open, candle.volume));
    return candle;
}

int px_candles_decode(const void *bytes, size_t n, int64_t width_ns, struct px_candle *candles, unsigned *countp)
{
    struct pxi_bytes from = {bytes, (const uint8_t *)bytes + n, false};
    column values[COLUMN_COUNT];
    uint16_t count;

    *countp = 0;
    if (n < 4 + PXI_CRC_BYTES || n > PX_CANDLES_BYTES_MAX || !pxi_crc_ok(bytes, n))
        return PX_E_FORMAT;
    from.end -= PXI_CRC_BYTES;
    uint8_t version = pxi_take_byte(&from), columns = pxi_take_byte(&from);
    memcpy(&count, from.at, sizeof count);
    from.at += sizeof count;
    if (version == 0 || version > VERSION || columns != COLUMN_COUNT || count == 0 || count > PX_CANDLES_ROW)
        return PX_E_FORMAT;
    for (unsigned i = 0; i < COLUMN_COUNT && !from.bad; i++)
        pxi_column_decode(&from, count, values[i]);
    if (from.bad || from.at != from.end)
        return PX_E_FORMAT;
    for (unsigned i = 0; i < count; i++)
        candles[i] = candle_of((const column *)values, i, width_ns);
    *countp = count;
    return 0;
}
