/*
 * A block: up to 600 trades of one asset in order of time and arrival, as columns, with a checksum.
 *
 *   0        1          2         4
 *   | version | columns | count   | time price size sequence receipt trade_id sseq | runs of venue, flags | CRC-32C |
 *
 * Numbers come back exactly, trades of one instant in the order in which they were given. A block that was damaged, or
 * was made by another version, is known as such and gives nothing; whatever the bytes are, reading stays inside them.
 * Pure: no disk, no clock. Any process.
 */
#pragma once

#include "store/candle.h"

#define PX_BLOCK_TRADES    600
#define PX_BLOCK_BYTES_MAX 48000

/* Writes n (1 .. PX_BLOCK_TRADES) trades; returns how many bytes. `spare` is not kept. */
size_t px_block_encode(const struct px_trade *trades, unsigned n, uint8_t bytes[PX_BLOCK_BYTES_MAX]);

/* Reads them back; `trades` has room for PX_BLOCK_TRADES. PX_E_FORMAT: the bytes are no block; *countp is 0 then. */
int px_block_decode(const void *bytes, size_t n, struct px_trade *trades, unsigned *countp);
