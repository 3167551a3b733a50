/* Keys that sort as their numbers do, and the bytes of a trade and of a candle. */
#include "base/error.h"
#include "store/hist_private.h"

#define TRADE_FORMAT  1
#define CANDLE_FORMAT 1

void pxi_be32(uint8_t *to, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(to, &value, sizeof value);
}

void pxi_be64(uint8_t *to, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(to, &value, sizeof value);
}

uint32_t pxi_from_be32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return __builtin_bswap32(value);
}

uint64_t pxi_from_be64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return __builtin_bswap64(value);
}

void pxi_be_time(uint8_t *to, int64_t time_ns)
{
    pxi_be64(to, (uint64_t)time_ns ^ UINT64_C(1) << 63);
}

int64_t pxi_from_be_time(const uint8_t *at)
{
    return (int64_t)(pxi_from_be64(at) ^ UINT64_C(1) << 63);
}

void pxi_tick_key(uint8_t key[PXI_TICK_KEY], uint32_t stored, int64_t time_ns, uint64_t sequence)
{
    pxi_be32(key, stored);
    pxi_be_time(key + 4, time_ns);
    pxi_be64(key + 12, sequence);
}

void pxi_candle_key(uint8_t key[PXI_CANDLE_KEY], uint32_t stored, int64_t start_ns)
{
    pxi_be32(key, stored);
    pxi_be32(key + 4, 60);
    pxi_be_time(key + 8, start_ns);
}

/* Seven bits a byte, the lowest first; small numbers of either sign take one byte. */
static uint8_t *put_varint(uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}

static uint8_t *put_signed(uint8_t *to, int64_t value)
{
    return put_varint(to, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

struct bytes {
    const uint8_t *at, *end;
    bool bad;
};

static uint64_t take_varint(struct bytes *from)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && from->at < from->end; shift += 7) {
        uint8_t byte = *from->at++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    from->bad = true;
    return 0;
}

static int64_t take_signed(struct bytes *from)
{
    uint64_t value = take_varint(from);

    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

size_t pxi_trade_encode(const struct px_trade *trade, uint8_t bytes[PXI_TRADE_MAX])
{
    uint8_t *to = bytes;

    *to++ = TRADE_FORMAT;
    to = put_signed(to, trade->price);
    to = put_signed(to, trade->size);
    to = put_signed(to, (int64_t)((uint64_t)trade->recv_ns - (uint64_t)trade->time_ns));
    to = put_varint(to, trade->trade_id);
    to = put_varint(to, trade->sseq);
    to = put_varint(to, trade->venue);
    to = put_varint(to, trade->flags);
    return (size_t)(to - bytes);
}

int pxi_trade_decode(const uint8_t *key, const void *bytes, size_t n, struct px_trade *tradep)
{
    struct bytes from = {bytes, (const uint8_t *)bytes + n, false};

    if (n < 1 || *from.at++ != TRADE_FORMAT)
        return PX_E_FORMAT;
    memset(tradep, 0, sizeof *tradep);
    tradep->time_ns = pxi_from_be_time(key + 4);
    tradep->sequence = pxi_from_be64(key + 12);
    tradep->price = take_signed(&from);
    tradep->size = take_signed(&from);
    tradep->recv_ns = (int64_t)((uint64_t)tradep->time_ns + (uint64_t)take_signed(&from));
    tradep->trade_id = take_varint(&from);
    tradep->sseq = take_varint(&from);
    tradep->venue = (px_venue_id)take_varint(&from);
    tradep->flags = (uint16_t)take_varint(&from);
    return from.bad || from.at != from.end ? PX_E_FORMAT : 0;
}

#define CANDLE_NUMBERS(X)                                                                                              \
    X(open)                                                                                                            \
    X(high)                                                                                                            \
    X(low)                                                                                                             \
    X(close)                                                                                                           \
    X(volume)                                                                                                          \
    X(count)                                                                                                           \
    X(duration_ns)                                                                                                     \
    X(last_ns)                                                                                                         \
    X(area)                                                                                                            \
    X(value)

#define SIZE_OF(member) +sizeof(((struct px_candle *)0)->member)
_Static_assert(2 + 0 CANDLE_NUMBERS(SIZE_OF) == PXI_CANDLE_BYTES, "a candle row");

size_t pxi_candle_encode(const struct px_candle *candle, uint8_t bytes[PXI_CANDLE_BYTES])
{
    uint8_t *to = bytes;

    *to++ = CANDLE_FORMAT;
    *to++ = candle->final;
#define PUT(member)                                                                                                    \
    memcpy(to, &candle->member, sizeof candle->member);                                                                \
    to += sizeof candle->member;
    CANDLE_NUMBERS(PUT)
#undef PUT
    return (size_t)(to - bytes);
}

int pxi_candle_decode(const uint8_t *key, const void *bytes, size_t n, struct px_candle *candlep)
{
    const uint8_t *from = bytes;

    if (n != PXI_CANDLE_BYTES || *from++ != CANDLE_FORMAT)
        return PX_E_FORMAT;
    memset(candlep, 0, sizeof *candlep);
    candlep->start_ns = pxi_from_be_time(key + 8);
    candlep->final = *from++ != 0;
#define TAKE(member)                                                                                                   \
    memcpy(&candlep->member, from, sizeof candlep->member);                                                            \
    from += sizeof candlep->member;
    CANDLE_NUMBERS(TAKE)
#undef TAKE
    return 0;
}
