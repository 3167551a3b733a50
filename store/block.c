#include "store/block.h"

#include "base/error.h"
#include "store/column_private.h"

#define VERSION 2

/*
 * One row a column, in the order in which they lie: what is read most comes first. The receipt is kept as the delay
 * behind the event, which is small and has no trend; sseq as what it differs from the sequence, which is made of it.
 */
#define COLUMNS(X)                                                                                                     \
    X(time, trade->time_ns, PXI_DELTA | PXI_SLOPE | PXI_SCALED)                                                        \
    X(price, trade->price, PXI_DELTA | PXI_PLAIN)                                                                      \
    X(size, trade->size, PXI_DELTA | PXI_PLAIN)                                                                        \
    X(sequence, (int64_t)trade->sequence, PXI_DELTA | PXI_SLOPE)                                                       \
    X(receipt, pxi_minus(trade->recv_ns, trade->time_ns), PXI_PLAIN | PXI_DELTA | PXI_SCALED)                          \
    X(trade_id, (int64_t)trade->trade_id, PXI_DELTA | PXI_SLOPE)                                                       \
    X(sseq, (int64_t)(trade->sseq - trade->sequence), PXI_DELTA | PXI_SLOPE)

enum column {
#define COLUMN(name, value, shapes) COLUMN_##name,
    COLUMNS(COLUMN)
#undef COLUMN
        COLUMN_COUNT
};

_Static_assert(PXI_COLUMN_MAX == PX_BLOCK_TRADES, "a column is as long as a block");
_Static_assert(4 + COLUMN_COUNT * PXI_COLUMN_BYTES_MAX + PX_BLOCK_TRADES * 9 + PXI_CRC_BYTES <= PX_BLOCK_BYTES_MAX,
               "the worst block fits");

static bool same_run(const struct px_trade *a, const struct px_trade *b)
{
    return a->venue == b->venue && a->flags == b->flags;
}

static uint8_t *put_runs(uint8_t *to, const struct px_trade *trades, unsigned n)
{
    for (unsigned at = 0, length; at < n; at += length) {
        for (length = 1; at + length < n && same_run(&trades[at], &trades[at + length]);)
            length++;
        to = pxi_put_varint(to, length);
        to = pxi_put_varint(to, trades[at].venue);
        to = pxi_put_varint(to, trades[at].flags);
    }
    return to;
}

size_t px_block_encode(const struct px_trade *trades, unsigned n, uint8_t bytes[PX_BLOCK_BYTES_MAX])
{
    int64_t values[COLUMN_COUNT][PX_BLOCK_TRADES];
    uint16_t count = (uint16_t)n;
    uint8_t *to = bytes;

    PX_CHECK(n > 0 && n <= PX_BLOCK_TRADES);
    *to++ = VERSION;
    *to++ = COLUMN_COUNT;
    memcpy(to, &count, sizeof count);
    to += sizeof count;
#define COPY(name, value, shapes) values[COLUMN_##name][i] = value;
    for (unsigned i = 0; i < n; i++) { /* each trade once: all of them together do not fit into the nearest cache */
        const struct px_trade *trade = &trades[i];
        COLUMNS(COPY)
    }
#undef COPY
#define ENCODE(name, value, shapes) to = pxi_column_encode(to, values[COLUMN_##name], n, shapes);
    COLUMNS(ENCODE)
#undef ENCODE
    to = put_runs(to, trades, n);
    return (size_t)(pxi_put_crc(bytes, to) - bytes);
}

static void take_runs(struct pxi_bytes *from, struct px_trade *trades, unsigned n)
{
    for (unsigned at = 0; at < n && !from->bad;) {
        uint64_t length = pxi_take_varint(from), venue = pxi_take_varint(from), flags = pxi_take_varint(from);

        from->bad |= length == 0 || length > n - at || venue > UINT16_MAX || flags > UINT16_MAX;
        for (unsigned end = from->bad ? at : at + (unsigned)length; at < end; at++) {
            trades[at].venue = (px_venue_id)venue;
            trades[at].flags = (uint16_t)flags;
        }
    }
}

/* Version 1 had sseq as it is. */
static void take_columns(struct pxi_bytes *from, struct px_trade *trades, unsigned n, unsigned version)
{
    int64_t values[COLUMN_COUNT][PX_BLOCK_TRADES];

    for (unsigned column = 0; column < COLUMN_COUNT && !from->bad; column++)
        pxi_column_decode(from, n, values[column]);
    if (from->bad)
        return;
    for (unsigned i = 0; i < n && version > 1; i++)
        values[COLUMN_sseq][i] = pxi_plus(values[COLUMN_sseq][i], values[COLUMN_sequence][i]);
    for (unsigned i = 0; i < n; i++)
        trades[i] = (struct px_trade){.time_ns = values[COLUMN_time][i],
                                      .price = values[COLUMN_price][i],
                                      .size = values[COLUMN_size][i],
                                      .sequence = (uint64_t)values[COLUMN_sequence][i],
                                      .recv_ns = pxi_plus(values[COLUMN_time][i], values[COLUMN_receipt][i]),
                                      .trade_id = (uint64_t)values[COLUMN_trade_id][i],
                                      .sseq = (uint64_t)values[COLUMN_sseq][i]};
}

int px_block_decode(const void *bytes, size_t n, struct px_trade *trades, unsigned *countp)
{
    struct pxi_bytes from = {bytes, (const uint8_t *)bytes + n, false};
    uint16_t count;

    *countp = 0;
    if (n < 4 + PXI_CRC_BYTES || n > PX_BLOCK_BYTES_MAX || !pxi_crc_ok(bytes, n))
        return PX_E_FORMAT;
    from.end -= PXI_CRC_BYTES;
    uint8_t version = pxi_take_byte(&from), columns = pxi_take_byte(&from);
    memcpy(&count, from.at, sizeof count);
    from.at += sizeof count;
    if (version == 0 || version > VERSION || columns != COLUMN_COUNT || count == 0 || count > PX_BLOCK_TRADES)
        return PX_E_FORMAT;
    take_columns(&from, trades, count, version);
    take_runs(&from, trades, count);
    if (from.bad || from.at != from.end)
        return PX_E_FORMAT;
    *countp = count;
    return 0;
}
