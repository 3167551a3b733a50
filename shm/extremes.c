#include "shm/extremes.h"

#include "base/error.h"

#define TICK_WORDS (sizeof(struct px_tick) / 8)

size_t px_extremes_bytes(uint32_t assets, uint64_t tick_capacity)
{
    uint64_t chunk = tick_capacity < 64 ? 1 : tick_capacity / 64;

    return sizeof(struct px_extremes) + chunk * sizeof(struct px_tick) + (size_t)assets * 2 * sizeof(px_extremes_slot);
}

static px_extremes_slot *slot_of(const struct px_extremes *extremes, const struct px_ring *ring, px_asset_id asset,
                                 uint64_t epoch)
{
    const uint64_t *slots = extremes->words + px_extremes_chunk(ring) * TICK_WORDS;

    return (px_extremes_slot *)(void *)slots + (size_t)asset * 2 + (epoch & 1);
}

static const uint64_t *event_of(const struct px_ring *ring, uint64_t position)
{
    return ring->words + (position & (ring->capacity - 1)) * ring->event_words;
}

/* ---- folding ---- */

static void begin_value(struct px_extremes_value *value, uint64_t epoch, uint64_t position)
{
    *value = (struct px_extremes_value){.epoch = epoch + 1,
                                        .from = position,
                                        .until = position,
                                        .first = PX_PRICE_NONE,
                                        .high = PX_PRICE_NONE,
                                        .low = PX_PRICE_NONE,
                                        .last = PX_PRICE_NONE,
                                        .rise_from = INT64_MAX,
                                        .rise_to = INT64_MIN,
                                        .fall_from = INT64_MIN,
                                        .fall_to = INT64_MAX};
}

static void fold_step(struct px_extremes_value *value, int64_t from, int64_t to)
{
    if (to > from) {
        value->rise_from = PX_MIN(value->rise_from, from);
        value->rise_to = PX_MAX(value->rise_to, to);
    } else if (to < from) {
        value->fall_from = PX_MAX(value->fall_from, from);
        value->fall_to = PX_MIN(value->fall_to, to);
    }
}

static void fold_price(struct px_extremes_value *value, int64_t price, int64_t time_ns)
{
    if (value->first == PX_PRICE_NONE) {
        value->first = value->high = value->low = price;
        value->first_ns = value->high_ns = value->low_ns = time_ns;
    } else {
        fold_step(value, value->last, price);
    }
    if (price > value->high) {
        value->high = price;
        value->high_ns = time_ns;
    }
    if (price < value->low) {
        value->low = price;
        value->low_ns = time_ns;
    }
    value->last = price;
    value->last_ns = time_ns;
}

static void fold_trade(struct px_extremes_value *value, const struct px_tick *tick, uint64_t position)
{
    __int128 sum = (__int128)((unsigned __int128)value->value_hi << 64 | (uint64_t)value->value_lo);

    sum += (__int128)tick->price * tick->size;
    if (tick->time_ns >= tick->newest_ns)
        fold_price(value, tick->price, tick->time_ns);
    value->volume += tick->size;
    value->count++;
    value->value_hi = (int64_t)(sum >> 64);
    value->value_lo = (int64_t)sum;
    value->recv_ns = tick->recv_ns;
    value->venue = tick->venue;
    value->sseq = tick->sseq;
    value->until = position + 1;
}

static void fold_event(struct px_extremes *extremes, const struct px_ring *ring, uint32_t assets, uint64_t position)
{
    struct px_extremes_value value;
    px_extremes_slot *slot;
    struct px_tick tick;

    px_words_load((uint64_t *)&tick, event_of(ring, position), TICK_WORDS);
    if ((tick.flags & (PX_TICK_QUOTE | PX_TICK_QUARANTINED)) || tick.asset >= assets)
        return;
    slot = slot_of(extremes, ring, tick.asset, extremes->plan.epoch);
    px_latch_read(slot, &value);
    if (value.epoch != extremes->plan.epoch + 1)
        begin_value(&value, extremes->plan.epoch, position);
    else if ((int64_t)(position - value.until) < 0) /* a predecessor has done it */
        return;
    fold_trade(&value, &tick, position);
    px_latch_write(slot, &value);
}

/* ---- settling a chunk ---- */

static void make_plan(struct px_extremes *extremes, const uint64_t *cursor, uint64_t chunk)
{
    uint64_t epoch = px_load_acquire(&extremes->epoch), end = extremes->begun, position = px_load_acquire(cursor);
    enum px_extremes_mode mode = (int64_t)(position - end) >= 0           ? PX_EXTREMES_PASSED
                                 : (int64_t)(position - (end - chunk)) >= 0 ? PX_EXTREMES_SEAM
                                                                          : PX_EXTREMES_FOLD;

    px_store_relaxed(&extremes->plan.epoch, epoch);
    px_store_relaxed(&extremes->plan.mode, mode);
    px_store_release(&extremes->plan.end, end);
}

static void copy_seam(struct px_extremes *extremes, const struct px_ring *ring, uint64_t from, uint64_t end)
{
    for (uint64_t position = from; position != end; position++)
        px_words_store(&extremes->words[(position - from) * TICK_WORDS], event_of(ring, position), TICK_WORDS);
    px_store_release(&extremes->seam_end, end); /* pairs with px_extremes_seam */
}

/* From `begun` to `done`; also for a successor, which keeps to the plan if there was one. */
static void settle(struct px_extremes *extremes, struct px_ring *ring, const uint64_t *cursor, uint32_t assets)
{
    uint64_t chunk = px_extremes_chunk(ring), end = extremes->begun, from = end - chunk;

    if ((int64_t)(end + ring->capacity - px_load_relaxed(&ring->intent)) > 0)
        px_store_relaxed(&ring->intent, end + ring->capacity); /* nobody reads in the chunk from here on */
    px_smp_mb();                                               /* before the looks at epoch and cursor */
    if (extremes->plan.end != end)
        make_plan(extremes, cursor, chunk);
    if (extremes->plan.mode == PX_EXTREMES_SEAM)
        copy_seam(extremes, ring, from, end);
    else if (extremes->plan.mode == PX_EXTREMES_FOLD)
        for (uint64_t position = from; position != end; position++)
            fold_event(extremes, ring, assets, position);
    if (extremes->plan.mode != PX_EXTREMES_PASSED)
        px_store_release(&extremes->end[extremes->plan.epoch & 1], end);
    px_store_release(&extremes->done, end); /* pairs with px_extremes_open */
}

void px_extremes_before(struct px_extremes *extremes, struct px_ring *ring, const uint64_t *cursor, uint32_t assets,
                        unsigned n)
{
    uint64_t tail = px_load_relaxed(&ring->tail), chunk = px_extremes_chunk(ring), done = extremes->done;

    PX_CHECK(n <= ring->capacity - chunk); /* a chunk is taken while its events are whole */
    if (tail >= ring->capacity && done < tail - ring->capacity)
        done = (tail - ring->capacity) / chunk * chunk; /* a ring that did not start at 0 */
    for (; tail + n > done + ring->capacity; done += chunk) {
        px_store_relaxed(&extremes->begun, done + chunk);
        px_smp_wmb();
        settle(extremes, ring, cursor, assets);
    }
}

void px_extremes_takeover(struct px_extremes *extremes, struct px_ring *ring, const uint64_t *cursor, uint32_t assets,
                          uint64_t writer)
{
    for (px_asset_id asset = 0; asset < assets; asset++)
        for (uint64_t epoch = 0; epoch < 2; epoch++)
            px_latch_takeover(slot_of(extremes, ring, asset, epoch), writer);
    if (extremes->begun != extremes->done)
        settle(extremes, ring, cursor, assets);
}

/* ---- taking ---- */

int px_extremes_open(struct px_extremes *extremes, uint64_t position, uint64_t *untilp)
{
    uint64_t begun;

    if (extremes->epoch == extremes->consumed)
        px_store_relaxed(&extremes->epoch, extremes->consumed + 1);
    px_smp_mb(); /* before the look at begun: a chunk that begins after it belongs to the new epoch */
    begun = px_load_acquire(&extremes->begun);
    if (px_load_acquire(&extremes->done) != begun)
        return PX_E_AGAIN;
    *untilp = px_load_acquire(&extremes->end[extremes->consumed & 1]);
    if ((int64_t)(*untilp - position) < 0) /* a predecessor has moved the cursor already */
        *untilp = position;
    return 0;
}

bool px_extremes_seam(const struct px_extremes *extremes, const struct px_ring *ring, uint64_t position, struct px_tick *tickp)
{
    uint64_t end = px_load_acquire(&extremes->seam_end), from = end - px_extremes_chunk(ring);

    if (end == 0 || (int64_t)(position - from) < 0 || (int64_t)(position - end) >= 0)
        return false;
    px_words_load((uint64_t *)tickp, &extremes->words[(position - from) * TICK_WORDS], TICK_WORDS);
    return true;
}

bool px_extremes_read(const struct px_extremes *extremes, const struct px_ring *ring, px_asset_id asset,
                      struct px_extremes_value *valuep)
{
    px_latch_read(slot_of(extremes, ring, asset, extremes->consumed), valuep);
    return valuep->epoch == extremes->consumed + 1;
}

void px_extremes_close(struct px_extremes *extremes)
{
    px_smp_wmb(); /* after the cursor */
    px_store_release(&extremes->consumed, extremes->epoch);
}
