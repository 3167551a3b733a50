/*
 * Candles from two places with no seam between them:
 *
 *       final minutes and their levels   │  open minutes        │ the minute before, the open minute
 *     ───────────────────────────────────┼──────────────────────┼────────────────────────────────────
 *                  keeper              final_ns    keeper   opens_before_ns     shared memory
 *
 * Shared memory is looked at first, and the keeper is told where it begins; so no minute is told twice, and none is
 * missing even if the keeper is a minute behind. What has become final meanwhile is the keeper's. Sums are exact, so it
 * does not matter where the border was.
 */
#include "base/clock.h"
#include "base/error.h"
#include "web/rest/table_private.h"

static struct px_candle candle_of(const struct px_candle_value *value)
{
    return (struct px_candle){
        .start_ns = value->start_ns,
        .open = value->open,
        .high = value->high,
        .low = value->low,
        .close = value->close,
        .volume = value->volume,
        .count = value->count,
        .duration_ns = value->duration_ns,
        .last_ns = value->last_ns,
        .area = (__int128)((unsigned __int128)(uint64_t)value->area_hi << 64 | (uint64_t)value->area_lo),
        .value = (__int128)((unsigned __int128)(uint64_t)value->value_hi << 64 | (uint64_t)value->value_lo)};
}

static bool in_range(const struct pxi_table *table, int64_t start_ns)
{
    return (table->range.start_ns == PX_TIME_NONE || start_ns >= table->range.start_ns) &&
           (table->range.end_ns == PX_TIME_NONE || start_ns < table->range.end_ns);
}

/* A new row; NULL when it belongs to the next page. */
static struct px_candle *append(struct pxi_table *table, int64_t start_ns)
{
    if (table->candle_count == table->range.limit) {
        table->more = true;
        if (table->forward)
            return NULL;
        table->prior = table->candles[0].close;
        memmove(table->candles, table->candles + 1, (table->candle_count - 1) * sizeof *table->candles);
        table->candle_count--;
    }
    table->candles[table->candle_count] = (struct px_candle){.start_ns = start_ns};
    return &table->candles[table->candle_count++];
}

/* The newest row, and up to where its price has been counted. */
struct seam {
    struct px_candle *row, last; /* `last`: what its price came from */
    int64_t end_ns;
};

static void add_minute(struct pxi_table *table, const struct px_candle *minute, struct seam *seam)
{
    int64_t start_ns = px_candle_start(minute->start_ns, table->interval_s);
    bool begins = !seam->row || seam->row->start_ns < start_ns;

    if (!in_range(table, start_ns) || (table->forward && table->more) || (seam->row && seam->row->start_ns > start_ns))
        return;
    if (begins && seam->row && !seam->row->final) /* the price goes on to the end of the row before */
        px_candle_carry(seam->row, table->interval_ns, &seam->last, seam->end_ns, INT64_MAX);
    if (begins)
        seam->row = append(table, start_ns);
    if (!seam->row)
        return;
    px_candle_carry(seam->row, table->interval_ns, &seam->last, begins ? start_ns : seam->end_ns, minute->start_ns);
    px_candle_add(seam->row, minute);
    seam->row->final = false;
    seam->last = *minute;
    seam->end_ns = minute->start_ns + PX_MINUTE_NS;
}

static void join(struct pxi_table *table, const struct px_candle_pair *newest, int64_t final_ns)
{
    struct seam seam = {.row = table->candle_count > 0 ? &table->candles[table->candle_count - 1] : NULL,
                        .end_ns = final_ns};
    const struct px_candle_value *minutes[] = {&newest->before, &newest->open};

    if (seam.row) {
        seam.last = *seam.row;
        seam.end_ns = PX_MAX(px_candle_start(seam.row->last_ns, 60) + PX_MINUTE_NS, final_ns);
    }
    for (size_t i = 0; i < PX_COUNT_OF(minutes); i++) {
        struct px_candle minute = candle_of(minutes[i]);

        if (minute.start_ns == 0 || minute.count == 0 || minute.start_ns < final_ns)
            continue;
        add_minute(table, &minute, &seam);
        if (seam.last.start_ns == minute.start_ns && i == 1) /* the open one is accounted for up to its last trade */
            seam.end_ns = minute.last_ns;
    }
    if (seam.row && !seam.row->final && !(table->forward && table->more)) /* the price holds until now */
        px_candle_carry(seam.row, table->interval_ns, &seam.last, seam.end_ns, px_wall_now());
}

/* Seconds are made of trades, up to the newest; the price of the last one holds until now. */
static void hold_second(struct pxi_table *table, int64_t final_ns)
{
    struct px_candle *row = table->candle_count > 0 ? &table->candles[table->candle_count - 1] : NULL;

    if (!row || row->final || (table->forward && table->more))
        return;
    const struct px_candle last = *row;
    px_candle_carry(row, table->interval_ns, &last, PX_MAX(last.last_ns, final_ns), px_wall_now());
}

static void reverse(struct px_candle *candles, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        struct px_candle other = candles[i];
        candles[i] = candles[count - 1 - i];
        candles[count - 1 - i] = other;
    }
}

int pxi_table_fetch(struct px_request *request, struct pxi_table *table)
{
    bool joins = table->partial && table->interval_s >= 60; /* seconds are made of trades, up to now */
    struct px_range range = table->range;
    struct px_candle_pair newest;
    struct px_page page;

    px_latch_read(px_shm_candle(request->rest->heritage->shm, table->asset), &newest);
    if (joins)
        range.opens_before_ns = newest.before.start_ns > 0 ? newest.before.start_ns : newest.open.start_ns;
    int rc = px_reader_candles(request->thread->reader, table->asset, table->interval_s, table->partial, &range,
                               table->candles, &page, &table->prior);
    if (rc < 0)
        return rc;
    table->candle_count = page.count;
    table->more = page.more;
    table->final_ns = PX_MAX(page.final_ns, 0); /* nothing yet: less than any time */
    if (range.descending)
        reverse(table->candles, page.count);
    if (joins)
        join(table, &newest, page.final_ns);
    else if (table->partial)
        hold_second(table, page.final_ns);
    return 0;
}
