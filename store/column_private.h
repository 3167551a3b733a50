/*
 * Inside store/: a column of integers in few bytes. Its numbers are first made small by one of four shapes, then
 * written by one of three codings; the encoder takes what comes out smallest.
 *
 *   tag           shape | coding << 2 | scale << 4
 *   base          signed varint: the least number (plain) or the first one
 *   slope         signed varint, of SLOPE only: the first difference
 *   numbers       NONE: all are 0. PACK: for each 32 of them a byte with the width in bits, then the bits. RICE: for
 *                 each 128 of them a byte with k, then quotients in unary and k bits each
 *
 * Distances are divided by 1, 1000, 10^6 or 10^9 where all of them can be: times of venues are in milliseconds.
 * Arithmetic wraps, so any 64-bit numbers survive.
 */
#pragma once

#include "store/bytes_private.h"

#define PXI_COLUMN_MAX       600
#define PXI_COLUMN_BYTES_MAX (1 + 2 * PXI_VARINT_MAX + PXI_COLUMN_MAX * 8 + (PXI_COLUMN_MAX / 32 + 1) * 2 + 16)

enum {
    PXI_PLAIN = 1, /* numbers less the least of them */
    PXI_DELTA = 2, /* difference to the one before */
    PXI_SLOPE = 4, /* difference of differences */
    PXI_RISE = 8,  /* the same where no number is less than the one before: without a sign; DELTA allows it */
    PXI_SCALED = 16 /* look for a common divisor too */
};

/* Writes n (1 .. PXI_COLUMN_MAX) numbers with the best of the `shapes` allowed; at most PXI_COLUMN_BYTES_MAX bytes. */
uint8_t *pxi_column_encode(uint8_t *to, const int64_t *values, unsigned n, unsigned shapes);

/* Reads n numbers. Damaged bytes make `from` bad and leave any numbers in `values`. */
void pxi_column_decode(struct pxi_bytes *from, unsigned n, int64_t *values);
