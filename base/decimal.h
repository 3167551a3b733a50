/*
 * Exact decimals. A price is a 64-bit mantissa and a scale: 61685.99 at scale 2 is 6168599. No binary float touches
 * it between a venue's text and a client's text.
 */
#pragma once

#include "base/types.h"

#define PX_SCALE_MAX 18
#define PX_DECIMAL_SIZE 32 /* room for any mantissa at any scale, sign, point and terminator */

enum px_round { PX_ROUND_EXACT, PX_ROUND_DOWN, PX_ROUND_UP }; /* toward minus infinity, toward plus infinity */

/*
 * Reads [-]digits[.digits][e[+-]digits] into a mantissa at `scale` (0..18). Zeros beyond the scale are fine; other digits beyond
 * it are PX_E_DIGITS with PX_ROUND_EXACT, else rounded as asked (for alert levels: c >= L is c >= ceil(L)).
 * PX_E_NOT_DECIMAL, PX_E_OVERFLOW. *mantissap is written only on success. Never blocks or allocates; any process.
 */
int px_decimal_parse(struct px_text text, unsigned scale, enum px_round round, int64_t *mantissap);

/* Writes the shortest exact text with exactly `scale` decimals ("61685.99"), terminated. Returns its length. */
size_t px_decimal_format(int64_t mantissa, unsigned scale, char text[PX_DECIMAL_SIZE]);

/* How many decimals the text carries after trailing zeros are dropped; PX_E_NOT_DECIMAL if it is none. */
int px_decimal_scale(struct px_text text);

/* 10^n for n in 0..18. */
int64_t px_pow10(unsigned n);

/* (numerator / denominator) rounded half to even, for averages; denominator > 0. Saturates at the 64-bit limits. */
int64_t px_div_round(__int128 numerator, __int128 denominator);
