/* Averages and candles: one tick in, one latch write of the state, two of what others read. */
#include "engine/evaluator/evaluator_private.h"

#define SWEEP_NS (PX_NS_PER_S / 20) /* a twentieth of the assets each time: every asset once a second */

void pxi_series_seed(struct pxi_evaluator *evaluator, px_asset_id asset, int64_t price)
{
    struct px_series_state *state = &evaluator->state[asset];

    if (state->last != PX_PRICE_NONE) /* ticks have come since: they know better than the disk */
        return;
    state->last = price;
    state->last_ns = 0;
    px_latch_write(&evaluator->shm->windows[asset].state, state);
}

/* Where a field of the state stands; NULL: a field of another build. */
static int64_t *seed_target(struct px_series_state *state, unsigned field)
{
    struct px_candle_value *candle = &state->candles.open;

    switch (field) {
    case PX_SEED_DAY_OPEN:
        return &state->day_open;
    case PX_SEED_DAY_HIGH:
        return &state->day_high;
    case PX_SEED_DAY_LOW:
        return &state->day_low;
    case PX_SEED_DAY_VOLUME:
        return &state->day_volume;
    case PX_SEED_DAY_COUNT:
        return &state->day_count;
    case PX_SEED_MINUTE_OPEN:
        return &candle->open;
    case PX_SEED_MINUTE_HIGH:
        return &candle->high;
    case PX_SEED_MINUTE_LOW:
        return &candle->low;
    case PX_SEED_MINUTE_CLOSE:
        return &candle->close;
    case PX_SEED_MINUTE_VOLUME:
        return &candle->volume;
    case PX_SEED_MINUTE_COUNT:
        return (int64_t *)&candle->count;
    case PX_SEED_MINUTE_AREA_HI:
        return &candle->area_hi;
    case PX_SEED_MINUTE_AREA_LO:
        return &candle->area_lo;
    case PX_SEED_MINUTE_DURATION:
        return &candle->duration_ns;
    case PX_SEED_MINUTE_LAST_NS:
        return &candle->last_ns;
    case PX_SEED_MINUTE_VALUE_HI:
        return &candle->value_hi;
    case PX_SEED_MINUTE_VALUE_LO:
        return &candle->value_lo;
    default:
        return NULL;
    }
}

void pxi_series_seed_field(struct pxi_evaluator *evaluator, const struct px_seed *seed)
{
    struct px_series_state *state = &evaluator->state[seed->asset];
    int64_t *target = seed_target(state, seed->field);

    if (state->position != 0 || target == NULL) /* ticks have been counted: the state knows better than the disk */
        return;
    *target = seed->value;
    *(seed->field <= PX_SEED_DAY_COUNT ? &state->day_ns : &state->candles.open.start_ns) = seed->start_ns;
}

static void average_of(struct pxi_evaluator *evaluator, px_asset_id asset, int64_t now_ns, struct px_average_value *valuep)
{
    const struct px_series_state *state = &evaluator->state[asset];
    unsigned scale = px_symbols_get(&evaluator->shm->directory, asset)->scale;

    *valuep = (struct px_average_value){.time_ns = now_ns,
                                        .last = state->last,
                                        .last_ns = state->last_ns,
                                        .position = state->position,
                                        .day_ns = state->day_ns,
                                        .open = state->day_open,
                                        .high = state->day_high,
                                        .low = state->day_low,
                                        .volume = state->day_volume,
                                        .count = state->day_count,
                                        .version = state->version};
    for (unsigned w = 0; w < PX_WINDOWS; w++)
        px_window_compute(state, evaluator->shm->windows[asset].closed[w], w, now_ns, scale, &evaluator->cache[asset],
                          &valuep->window[w]);
}

static void publish(struct pxi_evaluator *evaluator, px_asset_id asset, int64_t now_ns)
{
    struct px_average_value value;

    average_of(evaluator, asset, now_ns, &value);
    px_latch_write(px_shm_average(evaluator->shm, asset), &value);
}

void pxi_series_seeded(struct pxi_evaluator *evaluator)
{
    int64_t now_ns = px_wall_now();

    for (px_asset_id asset = evaluator->shard; asset < evaluator->assets; asset += evaluator->shards) {
        struct px_series_state *state = &evaluator->state[asset];

        if (state->position != 0 || state->day_ns == 0)
            continue;
        state->version++;
        px_latch_write(&evaluator->shm->windows[asset].state, state);
        px_latch_write(px_shm_candle(evaluator->shm, asset), &state->candles);
        publish(evaluator, asset, now_ns);
    }
}

/* The buckets that the predecessor may not have come to write. */
static void finish_redo(struct pxi_evaluator *evaluator)
{
    px_redo_slot *slot = &evaluator->shm->redo[evaluator->heritage->slot];
    struct px_redo redo;

    px_latch_takeover(slot, evaluator->heritage->incarnation);
    px_latch_read(slot, &redo);
    if (redo.position == 0 || redo.asset >= evaluator->assets || evaluator->state[redo.asset].position != redo.position)
        return;
    px_redo_apply(evaluator->shm->windows[redo.asset].closed, &redo);
    evaluator->cache[redo.asset] = (struct px_window_cache){0};
    publish(evaluator, (px_asset_id)redo.asset, evaluator->state[redo.asset].last_ns);
}

/* What the last seconds' prices were, out of the ring. */
static void find_steps(struct pxi_evaluator *evaluator)
{
    uint64_t position = px_ring_oldest(evaluator->shm->ticks), count;

    for (px_asset_id asset = 0; asset < evaluator->assets; asset++)
        evaluator->steps[asset].cut = position > 0;
    while (px_ring_read(evaluator->shm->ticks, position, evaluator->tick, PXI_BATCH, &count) == 0 && count > 0) {
        for (uint64_t i = 0; i < count; i++) {
            const struct px_tick *tick = &evaluator->tick[i];

            if (pxi_series_counts(evaluator, tick) && position + i < evaluator->state[tick->asset].position)
                px_steps_find(&evaluator->steps[tick->asset], tick->price, tick->time_ns);
        }
        position += count;
    }
}

void pxi_series_takeover(struct pxi_evaluator *evaluator)
{
    uint32_t who = evaluator->heritage->incarnation;

    for (px_asset_id asset = evaluator->shard; asset < evaluator->assets; asset += evaluator->shards) {
        struct px_series_state *state = &evaluator->state[asset];

        px_latch_takeover(&evaluator->shm->windows[asset].state, who);
        px_latch_takeover(px_shm_average(evaluator->shm, asset), who);
        px_latch_takeover(px_shm_candle(evaluator->shm, asset), who);
        px_latch_read(&evaluator->shm->windows[asset].state, state);
        if (state->version == 0) {
            state->last = PX_PRICE_NONE;
            state->version = 1;
            px_latch_write(&evaluator->shm->windows[asset].state, state);
        }
        pxi_levels_takeover(evaluator, asset);
        if (state->last_ns > 0) { /* the predecessor may have died before it told what it had counted */
            px_latch_write(px_shm_candle(evaluator->shm, asset), &state->candles);
            publish(evaluator, asset, state->last_ns);
        }
    }
    finish_redo(evaluator);
    find_steps(evaluator);
}

/*
 * What is to be judged first, the state last: a successor that finds the old state does all of it again, and what is told twice in a
 * row changes nothing.
 */
static void commit(struct pxi_evaluator *evaluator, const struct pxi_occasion *occasion, uint64_t position)
{
    struct px_series_state *state = &evaluator->state[occasion->asset];
    struct px_average_value average;

    state->position = position;
    average_of(evaluator, occasion->asset, state->last_ns, &average);
    if (!pxi_levels_trade(evaluator, &average, occasion))
        return;
    px_latch_write(&evaluator->shm->windows[occasion->asset].state, state); /* from here on the ticks below it have counted */
    px_latch_write(px_shm_candle(evaluator->shm, occasion->asset), &state->candles);
    px_latch_write(px_shm_average(evaluator->shm, occasion->asset), &average);
}

bool pxi_series_counts(const struct pxi_evaluator *evaluator, const struct px_tick *tick)
{
    return !(tick->flags & (PX_TICK_QUOTE | PX_TICK_QUARANTINED)) && tick->asset < evaluator->assets;
}

/* A little late: the windows are corrected, nothing fires. What became of closed buckets goes to the redo first. */
static void correct(struct pxi_evaluator *evaluator, const struct px_tick *tick, const struct pxi_occasion *occasion)
{
    struct px_series_state *state = &evaluator->state[tick->asset];
    struct px_window_set *set = &evaluator->shm->windows[tick->asset];
    struct px_redo redo = {.position = occasion->tick + 1, .asset = tick->asset};
    struct px_average_value average;

    if (!px_series_correct(state, set->closed, &evaluator->steps[tick->asset], tick->price, tick->size, tick->time_ns, &redo)) {
        px_stat_add(evaluator->stats, PX_STAT_EVAL_LATE, 1);
        return;
    }
    px_latch_write(&evaluator->shm->redo[evaluator->heritage->slot], &redo);
    state->position = occasion->tick + 1;
    px_latch_write(&set->state, state); /* from here on it has counted */
    px_redo_apply(set->closed, &redo);
    evaluator->cache[tick->asset] = (struct px_window_cache){0};
    px_latch_write(px_shm_candle(evaluator->shm, tick->asset), &state->candles);
    average_of(evaluator, tick->asset, state->last_ns, &average);
    px_latch_write(px_shm_average(evaluator->shm, tick->asset), &average);
    pxi_levels_trade(evaluator, &average, occasion); /* the last price is what it was; averages may have moved */
}

void pxi_series_tick(struct pxi_evaluator *evaluator, const struct px_tick *tick, uint64_t position)
{
    struct px_series_state *state = &evaluator->state[tick->asset];
    bool gap = state->last != PX_PRICE_NONE && (state->last_ns == 0 || (tick->flags & PX_TICK_AFTER_GAP));
    struct pxi_occasion occasion = {.asset = tick->asset,
                                    .venue = tick->venue,
                                    .flags = gap ? PX_HIT_LATE : 0,
                                    .time_ns = tick->time_ns,
                                    .recv_ns = tick->recv_ns,
                                    .tick = position,
                                    .sseq = tick->sseq,
                                    .prev = state->last,
                                    .prev_ns = state->last_ns};

    if (position < state->position) /* a predecessor has counted it, or it was in what was missed */
        return;
    if (state->last_ns > 0 && tick->time_ns < state->last_ns) {
        correct(evaluator, tick, &occasion);
        return;
    }
    if (tick->recv_ns > 0 && tick->time_ns > tick->recv_ns + PX_FUTURE_NS) {
        px_stat_add(evaluator->stats, PX_STAT_EVAL_LATE, 1);
        return;
    }
    px_series_add(state, evaluator->shm->windows[tick->asset].closed, tick->price, tick->size, tick->time_ns);
    px_steps_add(&evaluator->steps[tick->asset], tick->price, tick->time_ns);
    commit(evaluator, &occasion, position + 1);
}

void pxi_series_quote(struct pxi_evaluator *evaluator, const struct px_tick *tick, uint64_t position)
{
    struct px_series_state *state = &evaluator->state[tick->asset];
    struct pxi_occasion occasion = {.asset = tick->asset,
                                    .venue = tick->venue,
                                    .flags = tick->flags & PX_TICK_AFTER_GAP ? PX_HIT_LATE : 0,
                                    .time_ns = tick->time_ns,
                                    .recv_ns = tick->recv_ns,
                                    .tick = position,
                                    .sseq = tick->sseq};

    if (position < state->position)
        return;
    state->position = position + 1;
    if (pxi_levels_quote(evaluator, tick->price, tick->size, &occasion))
        px_latch_write(&evaluator->shm->windows[tick->asset].state, state);
}

static void add_point(struct px_lump *lump, int64_t price, int64_t time_ns)
{
    unsigned at = lump->points;

    for (unsigned i = 0; i < lump->points; i++)
        if (lump->point[i].price == price && lump->point[i].time_ns == time_ns)
            return;
    for (; at > 0 && lump->point[at - 1].time_ns > time_ns; at--)
        lump->point[at] = lump->point[at - 1];
    lump->point[at].price = price;
    lump->point[at].time_ns = time_ns;
    lump->points++;
}

/* The last price comes last among those of its time, and once only. */
static struct px_lump lump_of(const struct px_extremes_value *missed)
{
    struct px_lump lump = {.volume = missed->volume,
                           .count = missed->count,
                           .value = (__int128)((unsigned __int128)missed->value_hi << 64 | (uint64_t)missed->value_lo)};

    if (missed->first == PX_PRICE_NONE)
        return lump;
    add_point(&lump, missed->first, missed->first_ns);
    if (missed->high != missed->last || missed->high_ns != missed->last_ns)
        add_point(&lump, missed->high, missed->high_ns);
    if (missed->low != missed->last || missed->low_ns != missed->last_ns)
        add_point(&lump, missed->low, missed->low_ns);
    if (missed->count > 1 && missed->first == missed->last && missed->first_ns == missed->last_ns && lump.points > 1) {
        lump.point[lump.points].price = missed->last; /* went away and came back within one instant */
        lump.point[lump.points++].time_ns = missed->last_ns;
    } else {
        add_point(&lump, missed->last, missed->last_ns);
    }
    return lump;
}

static void step(struct px_span *span, int64_t from, int64_t to)
{
    if (to > from) {
        span->rise_from = PX_MIN(span->rise_from, from);
        span->rise_to = PX_MAX(span->rise_to, to);
    } else if (to < from) {
        span->fall_from = PX_MAX(span->fall_from, from);
        span->fall_to = PX_MIN(span->fall_to, to);
    }
}

void pxi_series_missed(struct pxi_evaluator *evaluator, px_asset_id asset, const struct px_extremes_value *missed)
{
    struct px_series_state *state = &evaluator->state[asset];
    bool priced = missed->first != PX_PRICE_NONE; /* else late trades only */
    struct px_span span = {.low = missed->low,
                           .high = missed->high,
                           .low_ns = missed->low_ns,
                           .high_ns = missed->high_ns,
                           .rise_from = missed->rise_from,
                           .rise_to = missed->rise_to,
                           .fall_from = missed->fall_from,
                           .fall_to = missed->fall_to};
    struct pxi_occasion occasion = {.asset = asset,
                                    .venue = (px_venue_id)missed->venue,
                                    .flags = PX_HIT_LATE | (priced ? PX_HIT_SPAN : 0),
                                    .time_ns = priced ? missed->last_ns : state->last_ns,
                                    .recv_ns = missed->recv_ns,
                                    .tick = missed->until - 1,
                                    .sseq = missed->sseq,
                                    .prev = state->last,
                                    .prev_ns = state->last_ns,
                                    .span = &span};
    struct px_lump lump;

    if (missed->until <= state->position) /* a predecessor has taken it */
        return;
    if (priced && state->last != PX_PRICE_NONE)
        step(&span, state->last, missed->first);
    lump = lump_of(missed);
    px_series_add_lump(state, evaluator->shm->windows[asset].closed, &lump);
    px_steps_cut(&evaluator->steps[asset]);
    if (state->last_ns > 0)
        px_steps_add(&evaluator->steps[asset], state->last, state->last_ns);
    commit(evaluator, &occasion, missed->until);
}

/* Averages move with time even when no tick comes. */
void pxi_series_sweep(struct pxi_evaluator *evaluator)
{
    px_mono now = px_mono_now();
    uint32_t share = evaluator->assets / evaluator->shards / 20 + 1;
    int64_t wall = px_wall_now();

    if (px_mono_since(now, evaluator->swept) < SWEEP_NS || evaluator->shard >= evaluator->assets)
        return;
    evaluator->swept = now;
    for (uint32_t i = 0; i < share && !evaluator->ending; i++) {
        px_asset_id asset = evaluator->sweep;
        struct px_series_state *state = &evaluator->state[asset];
        struct px_average_value average;

        evaluator->sweep = asset + evaluator->shards < evaluator->assets ? asset + evaluator->shards : evaluator->shard;
        state->version++;
        average_of(evaluator, asset, PX_MAX(wall, state->last_ns), &average);
        if (state->last_ns > 0)
            px_latch_write(px_shm_average(evaluator->shm, asset), &average);
        pxi_levels_time(evaluator, asset, &average, wall);
    }
}
