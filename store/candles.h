/*
 * A row of candles: up to 600 of one asset and one width in order of time, as columns, with a checksum. Prices are kept
 * as distances from each other and sums as what a guess from the prices leaves over, so most of their digits are gone;
 * everything comes back exactly. A damaged row is known as such and gives nothing. Pure. Any process.
 */
#pragma once

#include "store/candle.h"

#define PX_CANDLES_ROW       600
#define PX_CANDLES_BYTES_MAX 72000

/* Writes n (1 .. PX_CANDLES_ROW) final candles that are width_ns wide; returns how many bytes. */
size_t px_candles_encode(const struct px_candle *candles, unsigned n, int64_t width_ns,
                         uint8_t bytes[PX_CANDLES_BYTES_MAX]);

/* Reads them back, all final; `candles` has room for PX_CANDLES_ROW. PX_E_FORMAT; *countp is 0 then. */
int px_candles_decode(const void *bytes, size_t n, int64_t width_ns, struct px_candle *candles, unsigned *countp);
