#include <threads.h>

#include "store/bytes_private.h"

#define POLYNOMIAL 0x82f63b78u /* Castagnoli's, bits turned around */

static uint32_t table[256];
static once_flag once = ONCE_FLAG_INIT;

static void fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? POLYNOMIAL : 0);
    }
}

static uint32_t by_table(uint32_t sum, const uint8_t *at, size_t n)
{
    call_once(&once, fill);
    for (; n > 0; n--)
        sum = sum >> 8 ^ table[(sum ^ *at++) & 0xff];
    return sum;
}

#if defined(__x86_64__)
/* Debian's baseline is older than the instruction, so it is asked for at run time. */
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t sum, const uint8_t *at, size_t n)
{
    uint64_t wide = sum, word;

    for (; n >= sizeof word; n -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    for (; n > 0; n--)
        wide = __builtin_ia32_crc32qi((uint32_t)wide, *at++);
    return (uint32_t)wide;
}
#endif

uint32_t pxi_crc32c(const void *bytes, size_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~by_instruction(~0u, bytes, n);
#endif
    return ~by_table(~0u, bytes, n);
}

uint8_t *pxi_put_crc(uint8_t *begin, uint8_t *to)
{
    uint32_t sum = pxi_crc32c(begin, (size_t)(to - begin));

    memcpy(to, &sum, sizeof sum);
    return to + sizeof sum;
}

bool pxi_crc_ok(const void *bytes, size_t n)
{
    uint32_t sum;

    if (n < sizeof sum)
        return false;
    memcpy(&sum, (const uint8_t *)bytes + n - sizeof sum, sizeof sum);
    return sum == pxi_crc32c(bytes, n - sizeof sum);
}
