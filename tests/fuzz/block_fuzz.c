/* Any bytes as a block, as a row of candles and as records of the journal: nothing outside them is touched, and what is read is written back to
 * the same numbers. The sum is put right, so that the columns are reached. */
#include <stdlib.h>

#include "store/block.h"
#include "store/candles.h"
#include "store/hist_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static uint32_t crc32c(const uint8_t *at, size_t n)
{
    uint32_t sum = ~0u;

    for (; n > 0; n--) {
        sum ^= *at++;
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? 0x82f63b78u : 0);
    }
    return ~sum;
}

static bool same(const struct px_trade *a, const struct px_trade *b)
{
    return a->time_ns == b->time_ns && a->recv_ns == b->recv_ns && a->sequence == b->sequence && a->price == b->price &&
           a->size == b->size && a->trade_id == b->trade_id && a->sseq == b->sseq && a->venue == b->venue &&
           a->flags == b->flags;
}

static void as_block(const uint8_t *bytes, size_t n)
{
    static struct px_trade trades[PX_BLOCK_TRADES], again[PX_BLOCK_TRADES];
    static uint8_t back[PX_BLOCK_BYTES_MAX];
    unsigned count, count_again;

    if (px_block_decode(bytes, n, trades, &count) != 0)
        return;
    size_t size = px_block_encode(trades, count, back);
    if (px_block_decode(back, size, again, &count_again) != 0 || count_again != count)
        abort();
    for (unsigned i = 0; i < count; i++)
        if (!same(&trades[i], &again[i]))
            abort();
}

static void as_candles(const uint8_t *bytes, size_t n)
{
    static struct px_candle candles[PX_CANDLES_ROW], again[PX_CANDLES_ROW];
    static uint8_t back[PX_CANDLES_BYTES_MAX];
    unsigned count, count_again;

    if (px_candles_decode(bytes, n, PX_MINUTE_NS, candles, &count) != 0)
        return;
    size_t size = px_candles_encode(candles, count, PX_MINUTE_NS, back);
    if (px_candles_decode(back, size, PX_MINUTE_NS, again, &count_again) != 0 || count_again != count)
        abort();
    for (unsigned i = 0; i < count; i++)
        if (candles[i].area != again[i].area || candles[i].value != again[i].value || candles[i].low != again[i].low)
            abort();
}

/* The trades of a journal row, each told from the one before it: what is read is written back to the same numbers. */
static void as_records(const uint8_t *bytes, size_t n)
{
    struct pxi_bytes from = {bytes, bytes + n, false};
    struct px_trade trade = {0}, before, again;
    uint8_t back[PXI_RECORD_MAX];

    while (from.at < from.end) {
        before = again = trade;
        pxi_record_take(&from, &trade);
        if (from.bad)
            return;
        struct pxi_bytes once = {back, pxi_record_put(back, &before, &trade), false};
        if (once.end - back > PXI_RECORD_MAX)
            abort();
        pxi_record_take(&once, &again);
        if (once.bad || once.at != once.end || !same(&trade, &again))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    uint8_t *sealed = malloc(n + 4);

    memcpy(sealed, bytes, n);
    uint32_t sum = crc32c(bytes, n);
    memcpy(sealed + n, &sum, sizeof sum);
    as_block(sealed, n + 4);
    as_candles(sealed, n + 4);
    as_block(bytes, n);
    as_records(bytes, n);
    free(sealed);
    return 0;
}
