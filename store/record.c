/* A trade in few bytes, told from the one before it in its block: what an open block and its journal are made of. */
#include "store/hist_private.h"

/* What a record leaves out. */
enum { SAME_PRICE = 1, SAME_SIZE = 2, SAME_DELAY = 4, SAME_SOURCE = 8, NEXT_TRADE_ID = 16, NEXT_SSEQ = 32, IN_MS = 64 };

static int64_t delay_of(const struct px_trade *trade)
{
    return pxi_minus(trade->recv_ns, trade->time_ns);
}

static unsigned left_out(const struct px_trade *before, const struct px_trade *trade)
{
    int64_t step = pxi_minus(trade->time_ns, before->time_ns);
    unsigned same = step % PX_NS_PER_MS == 0 ? IN_MS : 0;

    same |= trade->price == before->price ? SAME_PRICE : 0;
    same |= trade->size == before->size ? SAME_SIZE : 0;
    same |= delay_of(trade) == delay_of(before) ? SAME_DELAY : 0;
    same |= trade->venue == before->venue && trade->flags == before->flags ? SAME_SOURCE : 0;
    same |= trade->trade_id == before->trade_id + 1 ? NEXT_TRADE_ID : 0;
    return same | (trade->sseq == before->sseq + 1 ? NEXT_SSEQ : 0);
}

uint8_t *pxi_record_put(uint8_t *to, const struct px_trade *before, const struct px_trade *trade)
{
    unsigned same = left_out(before, trade);
    int64_t step = pxi_minus(trade->time_ns, before->time_ns);

    *to++ = (uint8_t)same;
    to = pxi_put_signed(to, same & IN_MS ? step / PX_NS_PER_MS : step);
    to = pxi_put_varint(to, trade->sequence - before->sequence);
    if (!(same & SAME_PRICE))
        to = pxi_put_signed(to, pxi_minus(trade->price, before->price));
    if (!(same & SAME_SIZE))
        to = pxi_put_signed(to, trade->size);
    if (!(same & SAME_DELAY))
        to = pxi_put_signed(to, delay_of(trade));
    if (!(same & SAME_SOURCE)) {
        to = pxi_put_varint(to, trade->venue);
        to = pxi_put_varint(to, trade->flags);
    }
    if (!(same & NEXT_TRADE_ID))
        to = pxi_put_signed(to, (int64_t)(trade->trade_id - before->trade_id));
    return same & NEXT_SSEQ ? to : pxi_put_signed(to, (int64_t)(trade->sseq - before->sseq));
}

void pxi_record_take(struct pxi_bytes *from, struct px_trade *trade)
{
    unsigned same = pxi_take_byte(from);
    int64_t delay = delay_of(trade), step = pxi_take_signed(from);

    trade->time_ns = pxi_plus(trade->time_ns, same & IN_MS ? (int64_t)((uint64_t)step * (uint64_t)PX_NS_PER_MS) : step);
    trade->sequence += pxi_take_varint(from);
    if (!(same & SAME_PRICE))
        trade->price = pxi_plus(trade->price, pxi_take_signed(from));
    if (!(same & SAME_SIZE))
        trade->size = pxi_take_signed(from);
    if (!(same & SAME_DELAY))
        delay = pxi_take_signed(from);
    trade->recv_ns = pxi_plus(trade->time_ns, delay);
    if (!(same & SAME_SOURCE)) {
        trade->venue = (px_venue_id)pxi_take_varint(from);
        trade->flags = (uint16_t)pxi_take_varint(from);
    }
    trade->trade_id += same & NEXT_TRADE_ID ? 1 : (uint64_t)pxi_take_signed(from);
    trade->sseq += same & NEXT_SSEQ ? 1 : (uint64_t)pxi_take_signed(from);
}
