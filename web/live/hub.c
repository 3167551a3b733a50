/* What is new, and for whom: the rings, the slots, and the lists of who follows what. */
#include "base/error.h"
#include "base/log.h"
#include "web/live/session_private.h"

#include <stdio.h>
#include <stdlib.h>

#define POLL_NS      (250 * PX_NS_PER_MS) /* how often averages and open candles are looked at; no ring tells of them */
#define SETTLE_NS    PX_NS_PER_S
#define TICK_BATCHES 4 /* batches of the tick ring in one turn */
#define TABLE_MIN    8
#define LIST_MIN     4

const char *const pxi_channel_names[PXI_CHANNELS] = {
#define PXI_CHANNEL_NAME(NAME, name) name,
    PXI_CHANNEL_TABLE(PXI_CHANNEL_NAME)
#undef PXI_CHANNEL_NAME
};

/* --- a session's subscriptions: open addressing, at most half full --- */

static uint32_t slot_of(const struct px_session *session, px_asset_id asset, unsigned channel)
{
    uint64_t key = (uint64_t)asset * PXI_PER_ASSET + channel;

    return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (session->table_size - 1);
}

static uint32_t next_slot(const struct px_session *session, uint32_t slot)
{
    return (slot + 1) & (session->table_size - 1);
}

static uint32_t find_slot(const struct px_session *session, px_asset_id asset, unsigned channel)
{
    uint32_t slot = slot_of(session, asset, channel);

    while (session->table[slot] != NULL &&
           (session->table[slot]->asset != asset || session->table[slot]->channel != channel))
        slot = next_slot(session, slot);
    return slot;
}

struct pxi_sub *pxi_sub_find(const struct px_session *session, px_asset_id asset, enum pxi_channel channel)
{
    return session->table_size == 0 ? NULL : session->table[find_slot(session, asset, channel)];
}

static int table_grow(struct px_session *session)
{
    struct pxi_sub **old = session->table;
    uint32_t old_size = session->table_size;
    uint32_t size = old_size == 0 ? TABLE_MIN : old_size * 2;
    struct pxi_sub **table = calloc(size, sizeof(*table));

    if (table == NULL)
        return PX_E_MEMORY;
    session->table = table;
    session->table_size = size;
    for (uint32_t i = 0; i < old_size; i++)
        if (old[i] != NULL)
            table[find_slot(session, old[i]->asset, old[i]->channel)] = old[i];
    free(old);
    return 0;
}

/* Takes the entry out and moves back those behind it that had been pushed along. */
static void table_remove(struct px_session *session, const struct pxi_sub *sub)
{
    uint32_t hole = find_slot(session, sub->asset, sub->channel);
    uint32_t slot = hole;

    for (;;) {
        uint32_t home;

        slot = next_slot(session, slot);
        if (session->table[slot] == NULL)
            break;
        home = slot_of(session, session->table[slot]->asset, session->table[slot]->channel);
        /* It may move to the hole unless its home lies cyclically behind the hole. */
        if (((slot - home) & (session->table_size - 1)) >= ((slot - hole) & (session->table_size - 1))) {
            session->table[hole] = session->table[slot];
            hole = slot;
        }
    }
    session->table[hole] = NULL;
    session->sub_count--;
}

/* --- an asset's subscribers --- */

static int list_add(struct pxi_sub_list *list, struct pxi_sub *sub)
{
    if (list->count == list->size) {
        uint32_t size = list->size == 0 ? LIST_MIN : list->size * 2;
        struct pxi_sub **at = realloc(list->at, size * sizeof(*at));

        if (at == NULL)
            return PX_E_MEMORY;
        list->at = at;
        list->size = size;
    }
    sub->index = list->count;
    list->at[list->count++] = sub;
    return 0;
}

static void list_remove(struct pxi_sub_list *list, const struct pxi_sub *sub)
{
    struct pxi_sub *last = list->at[--list->count];

    list->at[sub->index] = last;
    last->index = sub->index;
}

static int follow_slots(struct px_hub *hub, px_asset_id asset)
{
    if (hub->assets[asset].polled)
        return 0;
    if (hub->polled_count == hub->polled_size) {
        uint32_t size = hub->polled_size == 0 ? 16 : hub->polled_size * 2;
        px_asset_id *polled = realloc(hub->polled, size * sizeof(*polled));

        if (polled == NULL)
            return PX_E_MEMORY;
        hub->polled = polled;
        hub->polled_size = size;
    }
    hub->polled[hub->polled_count++] = asset;
    hub->assets[asset].polled = true;
    return 0;
}

/* What an asset needs before its first subscriber of that channel. */
static int channel_prepare(struct px_hub *hub, px_asset_id asset, enum pxi_channel channel)
{
    struct pxi_asset *a = &hub->assets[asset];

    if (channel == PXI_OHLC || channel == PXI_AVG)
        return follow_slots(hub, asset);
    if (channel == PXI_TRADE && a->trades == NULL) {
        a->trades = calloc(1, sizeof(*a->trades));
        if (a->trades == NULL)
            return PX_E_MEMORY;
        a->trades->first = a->version[PXI_TRADE];
    }
    return 0;
}

/* Drops the trade log with its last reader: trades that nobody follows are not even encoded. */
static void channel_done(struct px_hub *hub, px_asset_id asset)
{
    struct pxi_asset *a = &hub->assets[asset];

    if (a->subs[PXI_TRADE].count > 0)
        return;
    free(a->trades);
    a->trades = NULL;
}

static bool is_of_ticks(unsigned channel)
{
    return channel == PXI_TICKER || channel == PXI_TRADE;
}

/* Ticks are passed over while nobody follows any; and a ticker that nobody followed is not what was encoded last. */
static void follow_ticks(struct px_hub *hub, px_asset_id asset, enum pxi_channel channel)
{
    if (!is_of_ticks(channel))
        return;
    if (hub->tick_subs++ == 0)
        hub->tick_position = px_ring_tail(hub->options.shm->ticks);
    if (channel == PXI_TICKER && hub->assets[asset].subs[PXI_TICKER].count == 1)
        hub->assets[asset].version[PXI_TICKER]++;
}

/* A session watches an asset once, over whatever channels; one of its subscriptions stands for that. */
static struct pxi_sub *other_sub(const struct px_session *session, px_asset_id asset)
{
    struct pxi_sub *sub = NULL;

    for (unsigned channel = 0; channel < PXI_PER_ASSET && sub == NULL; channel++)
        sub = pxi_sub_find(session, asset, channel);
    return sub;
}

static int enter_asset(struct px_session *session, px_asset_id asset, enum pxi_channel channel, struct pxi_sub *sub)
{
    struct px_hub *hub = session->hub;
    struct pxi_sub_list *list = &hub->assets[asset].subs[channel];
    bool watches = other_sub(session, asset) == NULL;
    int error;

    *sub = (struct pxi_sub){.session = session, .asset = asset, .channel = (uint8_t)channel, .watches = watches};
    error = list_add(list, sub);
    if (error != 0 || !watches)
        return error;
    error = px_watchers_add(hub->options.watchers, asset);
    if (error != 0)
        list_remove(list, sub);
    return error;
}

/* The subscription has left its session's table: another one of the same asset takes the watch over, if there is one.
 */
static void pass_watch(const struct pxi_sub *sub)
{
    struct pxi_sub *other = other_sub(sub->session, sub->asset);

    if (sub->watches && other != NULL)
        other->watches = true;
    else if (sub->watches)
        px_watchers_remove(sub->session->hub->options.watchers, sub->asset);
}

/* The subscription is no longer among the asset's; the session's table may still have it. */
static void leave_asset(const struct pxi_sub *sub)
{
    struct px_hub *hub = sub->session->hub;

    list_remove(&hub->assets[sub->asset].subs[sub->channel], sub);
    hub->tick_subs -= is_of_ticks(sub->channel);
    channel_done(hub, sub->asset);
}

int pxi_sub_add(struct px_session *session, px_asset_id asset, enum pxi_channel channel, struct pxi_sub **subp)
{
    struct px_hub *hub = session->hub;
    struct pxi_asset *a = &hub->assets[asset];
    struct pxi_sub *sub = calloc(1, sizeof(*sub));
    int error = sub != NULL ? channel_prepare(hub, asset, channel) : PX_E_MEMORY;

    if (error == 0 && (session->sub_count + 1) * 2 > session->table_size)
        error = table_grow(session);
    if (error == 0)
        error = enter_asset(session, asset, channel, sub);
    if (error != 0) {
        channel_done(hub, asset);
        free(sub);
        return error;
    }
    follow_ticks(hub, asset, channel);
    sub->sent = a->version[channel];
    session->table[find_slot(session, asset, channel)] = sub;
    session->sub_count++;
    *subp = sub;
    return 0;
}

void pxi_sub_remove(struct pxi_sub *sub)
{
    struct px_session *session = sub->session;

    leave_asset(sub);
    table_remove(session, sub);
    pass_watch(sub);
    if (sub->dirty)
        sub->dead = true; /* in the middle of a singly linked list: serving comes by and frees it */
    else
        free(sub);
}

void pxi_subs_clear(struct px_session *session)
{
    struct pxi_sub *sub;

    for (uint32_t i = 0; i < session->table_size; i++) {
        sub = session->table[i];
        if (sub == NULL)
            continue;
        leave_asset(sub);
        if (sub->watches)
            px_watchers_remove(session->hub->options.watchers, sub->asset);
        if (!sub->dirty)
            free(sub);
    }
    while ((sub = session->dirty) != NULL) {
        session->dirty = sub->next_dirty;
        free(sub);
    }
    free(session->table);
    session->table = NULL;
    session->table_size = session->sub_count = 0;
}

void pxi_sub_mark(struct pxi_sub *sub)
{
    struct px_session *session = sub->session;

    if (!sub->dirty) {
        sub->dirty = true;
        sub->next_dirty = NULL;
        *session->dirty_end = sub;
        session->dirty_end = &sub->next_dirty;
    }
    pxi_session_wake(session);
}

static void mark_all(struct px_hub *hub, px_asset_id asset, enum pxi_channel channel)
{
    const struct pxi_sub_list *list = &hub->assets[asset].subs[channel];

    for (uint32_t i = 0; i < list->count; i++)
        pxi_sub_mark(list->at[i]);
}

/* --- the tick ring --- */

static bool is_followed(const struct pxi_asset *asset)
{
    return asset->subs[PXI_TICKER].count > 0 || asset->subs[PXI_TRADE].count > 0;
}

static void note_ticks(struct px_hub *hub, const struct px_tick *ticks, uint64_t count)
{
    uint32_t fresh = 0;

    for (uint64_t i = 0; i < count; i++) {
        struct pxi_asset *asset;

        if (ticks[i].asset >= hub->asset_count || (ticks[i].flags & PX_TICK_QUARANTINED) != 0)
            continue;
        asset = &hub->assets[ticks[i].asset];
        if (!is_followed(asset))
            continue;
        if ((ticks[i].flags & PX_TICK_QUOTE) == 0 && asset->trades != NULL)
            pxi_trade_note(hub, &ticks[i]);
        if (!asset->fresh) {
            asset->fresh = true;
            hub->fresh[fresh++] = ticks[i].asset;
        }
    }
    for (uint32_t i = 0; i < fresh; i++) {
        struct pxi_asset *asset = &hub->assets[hub->fresh[i]];

        asset->fresh = false;
        asset->version[PXI_TICKER]++;
        mark_all(hub, hub->fresh[i], PXI_TICKER);
        mark_all(hub, hub->fresh[i], PXI_TRADE);
    }
}

/* The ring has overtaken us: every followed asset is taken from its slot again. */
static void resync(struct px_hub *hub, uint64_t lost)
{
    px_stat_add(hub->stats, PX_STAT_WEB_LOST, lost);
    px_log_limited(PX_LOG_WARN, 1, "live_overrun ticks=%llu", (unsigned long long)lost);
    for (uint32_t i = 0; i < hub->asset_count; i++) {
        hub->assets[i].version[PXI_TICKER]++;
        mark_all(hub, i, PXI_TICKER);
    }
}

static bool read_ticks(struct px_hub *hub)
{
    const struct px_ring *ring = hub->options.shm->ticks;
    uint64_t count = 0;

    if (hub->tick_subs == 0) {
        hub->tick_position = px_ring_tail(ring);
        return false;
    }
    for (int batch = 0; batch < TICK_BATCHES; batch++) {
        int error = px_ring_read(ring, hub->tick_position, hub->ticks, PX_COUNT_OF(hub->ticks), &count);

        if (error == PX_E_OVERRUN) {
            hub->tick_position = px_ring_oldest(ring);
            resync(hub, count);
            continue;
        }
        if (error != 0 || count == 0)
            return false;
        hub->tick_position += count;
        note_ticks(hub, hub->ticks, count);
    }
    return px_ring_tail(ring) != hub->tick_position;
}

/* --- averages and open candles, which no ring announces --- */

/*
 * A tick is told at once, when the evaluator may not have counted it yet. If no other tick follows, the day's figures
 * that went out with it are put right a second later.
 */
void pxi_ticker_made(struct px_hub *hub, px_asset_id asset, int64_t day_count)
{
    hub->assets[asset].day_count = day_count;
    hub->assets[asset].unsettled = follow_slots(hub, asset) == 0;
}

static void settle_ticker(struct px_hub *hub, px_asset_id asset, int64_t day_count)
{
    struct pxi_asset *a = &hub->assets[asset];

    if (!a->unsettled || px_mono_since(hub->now, a->tail[PXI_TICKER].made_at) < SETTLE_NS)
        return;
    a->unsettled = false;
    if (day_count == a->day_count)
        return;
    a->version[PXI_TICKER]++;
    mark_all(hub, asset, PXI_TICKER);
}

static void poll_asset(struct px_hub *hub, px_asset_id asset)
{
    struct pxi_asset *a = &hub->assets[asset];
    struct px_average_value average;
    struct px_candle_pair candle;
    uint32_t seen;

    (void)px_latch_read(&hub->options.shm->averages[asset], &average);
    if (average.version != a->average_seen) {
        a->average_seen = average.version;
        a->version[PXI_AVG]++;
        mark_all(hub, asset, PXI_AVG);
    }
    settle_ticker(hub, asset, average.count);
    seen = px_latch_read(&hub->options.shm->candles[asset], &candle);
    if (seen != a->candle_seen) {
        a->candle_seen = seen;
        a->version[PXI_OHLC]++;
        mark_all(hub, asset, PXI_OHLC);
    }
}

static void poll_slots(struct px_hub *hub)
{
    uint32_t kept = 0;

    if (px_mono_since(hub->now, hub->poll_at) < 0)
        return;
    hub->poll_at.ns = hub->now.ns + POLL_NS;
    for (uint32_t i = 0; i < hub->polled_count; i++) {
        px_asset_id asset = hub->polled[i];

        const struct pxi_asset *a = &hub->assets[asset];

        if (a->subs[PXI_OHLC].count + a->subs[PXI_AVG].count == 0 && !a->unsettled) {
            hub->assets[asset].polled = false;
            continue;
        }
        hub->polled[kept++] = asset;
        poll_asset(hub, asset);
    }
    hub->polled_count = kept;
    px_watchers_sweep(hub->options.watchers);
}

/* The number of the newest event in the ring, so that a session knows where it joined; 0 = the ring is empty. */
static uint64_t newest_event(const struct px_ring *ring, uint64_t tail)
{
    struct px_alert_event event;
    uint64_t count = 0;

    if (tail == 0 || px_ring_read(ring, tail - 1, &event, 1, &count) != 0 || count == 0)
        return 0;
    return event.eseq;
}

/* public API */

int px_hub_create(const struct px_hub_options *options, struct px_hub **hubp)
{
    struct px_hub *hub = calloc(1, sizeof(*hub));

    if (hub == NULL)
        return PX_E_MEMORY;
    hub->options = *options;
    hub->asset_count = options->shm->header->params.assets;
    hub->assets = calloc(PX_MAX(hub->asset_count, 1u), sizeof(*hub->assets));
    hub->fresh = calloc(PX_COUNT_OF(hub->ticks), sizeof(*hub->fresh));
    if (hub->assets == NULL || hub->fresh == NULL) {
        free(hub->assets);
        free(hub->fresh);
        free(hub);
        return PX_E_MEMORY;
    }
    for (uint32_t i = 0; i < hub->asset_count; i++)
        hub->assets[i].version[PXI_TICKER] = hub->assets[i].version[PXI_OHLC] = hub->assets[i].version[PXI_AVG] = 1;
    hub->stats = &options->shm->stats[options->slot];
    CDS_INIT_LIST_HEAD(&hub->sessions);
    CDS_INIT_LIST_HEAD(&hub->ready);
    CDS_INIT_LIST_HEAD(&hub->delayed);
    for (size_t i = 0; i < PXI_OWNER_CHAINS; i++)
        CDS_INIT_LIST_HEAD(&hub->owners[i]);
    hub->tick_position = px_ring_tail(options->shm->ticks);
    hub->event_position = px_ring_tail(options->shm->events);
    hub->eseq = newest_event(options->shm->events, hub->event_position);
    hub->now = hub->poll_at = px_mono_now();
    snprintf(hub->epoch, sizeof(hub->epoch), "k%llu", (unsigned long long)options->generation);
    *hubp = hub;
    return 0;
}

void px_hub_destroy(struct px_hub **hubp)
{
    struct px_hub *hub = *hubp;

    if (hub == NULL)
        return;
    PX_CHECK(cds_list_empty(&hub->sessions));
    for (uint32_t i = 0; i < hub->asset_count; i++) {
        for (unsigned channel = 0; channel < PXI_PER_ASSET; channel++) {
            free(hub->assets[i].subs[channel].at);
            free(hub->assets[i].tail[channel].text);
        }
        free(hub->assets[i].trades);
    }
    free(hub->assets);
    free(hub->fresh);
    free(hub->polled);
    free(hub);
    *hubp = NULL;
}

bool px_hub_turn(struct px_hub *hub, px_mono now)
{
    bool more;

    hub->now = now;
    more = pxi_alerts_read(hub);
    more |= read_ticks(hub);
    poll_slots(hub);
    pxi_hub_timers(hub);
    more |= pxi_hub_serve(hub, 256);
    px_ring_report(hub->options.shm->ticks_yard, hub->options.slot, hub->tick_position);
    px_ring_report(hub->options.shm->events_yard, hub->options.slot, hub->event_position);
    return more;
}

bool px_hub_has_news(const struct px_hub *hub)
{
    return (hub->tick_subs > 0 && px_ring_tail(hub->options.shm->ticks) != hub->tick_position) ||
           px_ring_tail(hub->options.shm->events) != hub->event_position;
}

bool px_hub_wants_ticks(const struct px_hub *hub)
{
    return hub->tick_subs > 0;
}

int64_t px_hub_due_ns(struct px_hub *hub, px_mono now)
{
    int64_t until = PX_MIN(hub->poll_at.ns, pxi_hub_next_timer(hub)) - now.ns;

    return PX_MAX(INT64_C(0), PX_MIN(until, 100 * PX_NS_PER_MS));
}

void px_hub_pressure(struct px_hub *hub, unsigned permille)
{
    int64_t most = (hub->options.gather_ms != 0 ? hub->options.gather_ms : 100) * PX_NS_PER_MS;

    /* At rest everybody is served at once. From a quarter of a core on, fewer and larger sends, because a send costs,
     * not a frame. */
    if (permille < 250)
        hub->gather_ns = 0;
    else
        hub->gather_ns = PX_MIN(most, most * (int64_t)permille / 750);
}
