/* Inside store/: numbers in few bytes, and reading them back from bytes that may be damaged. */
#pragma once

#include "base/types.h"

#define PXI_VARINT_MAX 10

/* What is read from. Once `bad`, every further read gives 0 and it stays bad: one question at the end is enough. */
struct pxi_bytes {
    const uint8_t *at, *end;
    bool bad;
};

static inline uint64_t pxi_fold(int64_t value) /* small numbers of either sign become small */
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t pxi_unfold(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

/* Seven bits a byte, the lowest first. */
static inline uint8_t *pxi_put_varint(uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}

static inline uint8_t *pxi_put_signed(uint8_t *to, int64_t value)
{
    return pxi_put_varint(to, pxi_fold(value));
}

static inline uint64_t pxi_take_varint(struct pxi_bytes *from)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && from->at < from->end; shift += 7) {
        uint8_t byte = *from->at++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    from->bad = true;
    from->at = from->end;
    return 0;
}

static inline int64_t pxi_take_signed(struct pxi_bytes *from)
{
    return pxi_unfold(pxi_take_varint(from));
}

static inline uint8_t pxi_take_byte(struct pxi_bytes *from)
{
    if (from->at < from->end)
        return *from->at++;
    from->bad = true;
    return 0;
}

/* Sums and differences that may wrap: the other side wraps back. */
static inline int64_t pxi_plus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline int64_t pxi_minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* CRC-32C of the bytes: what a row of history ends with, so that a damaged one is known. */
uint32_t pxi_crc32c(const void *bytes, size_t n);

#define PXI_CRC_BYTES 4

/* Appends the sum of [begin, to); and whether [bytes, bytes + n) ends with its own. */
uint8_t *pxi_put_crc(uint8_t *begin, uint8_t *to);
bool pxi_crc_ok(const void *bytes, size_t n);
