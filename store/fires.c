/* Fires on their way: judged into the outbox, told out of it. store/alerts.h says why there are two steps. */
#include <stdlib.h>

#include "base/decimal.h"
#include "base/error.h"
#include "base/log.h"
#include "store/alerts_private.h"
#include "store/hist_private.h"

#define PAGE_FORMAT 3
#define ROW_FORMAT  2    /* of an older engine: a row is one fire */
#define PAGE_FIRES  64u
#define FIRES_MAX   4000 /* in one group: some 20 ms of judging */

struct outbox_row { /* as the machine has it; a data folder stays on its architecture */
    uint8_t format, last;
    uint16_t op, series, flags;
    uint32_t fire_number, venue;
    struct px_alert_id alert;
    int64_t level, price, prev, time_ns, recv_ns, matched_ns;
    uint64_t position, sseq;
    uint32_t asset_number, spare;
};
_Static_assert(sizeof(struct outbox_row) == 104, "an outbox row");

/* A row of the outbox: fires with numbers one after the other, from its key on. Each fire as a row of its own cost a third of what judging costs. */
struct outbox_page {
    uint8_t format, spare[3];
    uint32_t count;
    struct outbox_row fire[PAGE_FIRES];
};
#define PAGE_BYTES(count) (offsetof(struct outbox_page, fire) + (count) * sizeof(struct outbox_row))

struct pxi_outbox {
    uint64_t first;          /* number of the first fire in `page` */
    struct outbox_page page; /* of the group under way */
    uint64_t told_page;      /* key of the row in which the oldest fire stands that has not been told */
    uint64_t read_key;       /* of the row that was read last; 0: none. Rows do not change */
    bool readable;
    struct outbox_page read;
};

/* ---- judged ---- */

void pxi_fires_put(struct px_alerts *alerts)
{
    struct pxi_outbox *outbox = alerts->outbox;
    uint8_t key[8];

    if (outbox->page.count == 0)
        return;
    outbox->page.format = PAGE_FORMAT;
    pxi_be64(key, outbox->first);
    pxi_put(&alerts->db, PXI_ALERTS_OUTBOX, key, sizeof key, &outbox->page, PAGE_BYTES(outbox->page.count));
    outbox->page.count = 0;
}

bool px_alerts_fires_room(const struct px_alerts *alerts)
{
    return alerts->fires < FIRES_MAX;
}

void px_alerts_fire(struct px_alerts *alerts, const struct px_judged *judged)
{
    const struct px_fire *fire = &judged->fire;
    struct pxi_outbox *outbox = alerts->outbox;
    struct outbox_row row = {.format = ROW_FORMAT,
                             .last = judged->last,
                             .op = judged->op,
                             .series = judged->series,
                             .flags = fire->flags,
                             .fire_number = judged->fire_number,
                             .venue = fire->venue,
                             .alert = fire->alert,
                             .level = judged->level,
                             .price = fire->price,
                             .prev = fire->prev,
                             .time_ns = fire->time_ns,
                             .recv_ns = fire->recv_ns,
                             .matched_ns = fire->matched_ns,
                             .position = fire->position,
                             .sseq = fire->sseq,
                             .asset_number = alerts->number[fire->asset]};

    if (outbox->page.count == PAGE_FIRES)
        pxi_fires_put(alerts);
    if (outbox->page.count == 0)
        outbox->first = alerts->eseq + 1;
    outbox->page.fire[outbox->page.count++] = row;
    alerts->eseq++;
    alerts->fires++;
    alerts->untold[fire->asset]++;
    alerts->dirty = true;
}

/* ---- told ---- */

void px_alerts_render_set(struct px_alerts *alerts, px_alerts_render *render, void *ctx)
{
    alerts->render = render;
    alerts->render_ctx = ctx;
}

/* Rendered once, when it is told: what it shows is what was true then, for every receiver and every attempt. */
static void tell_in_words(const struct px_alerts *alerts, const struct px_alert *alert, struct px_alert_event *event)
{
    if (alerts->render && strstr(alert->message, "{{"))
        alerts->render(alerts->render_ctx, alert, event, event->message);
    else
        memcpy(event->message, alert->message, sizeof event->message);
}

static void put_event(struct px_alerts *alerts, const struct px_alert_event *event, const char *symbol)
{
    uint8_t key[PXI_MINE_KEY], id[16], value[PXI_EVENT_MAX];

    pxi_mine_key(key, event->owner, event->eseq);
    pxi_id_key(id, event->fire.alert);
    pxi_put(&alerts->db, PXI_ALERTS_EVENTS, key + PX_OWNER_SIZE, 8, value,
            pxi_event_encode(alerts, event, symbol, value));
    pxi_put(&alerts->db, PXI_ALERTS_MINE, key, sizeof key, id, sizeof id);
}

/* What its owner has said about it, once the fire stands in the event. */
static void dress(const struct px_alerts *alerts, const struct px_alert *alert, struct px_alert_event *event)
{
    unsigned leg = 0;

    event->count = 1;
    event->scale = pxi_event_scale(alerts, event);
    memcpy(event->owner, alert->owner, sizeof event->owner);
    memcpy(event->name, alert->name, sizeof event->name);
    for (unsigned i = 0; i < alert->rule.conditions; i++)
        if (alert->rule.condition[i].op == event->op)
            leg = i;
    memcpy(event->level, alert->rule.condition[leg].level, sizeof event->level);
    tell_in_words(alerts, alert, event);
}

void px_alerts_would_fire(const struct px_alerts *alerts, const struct px_alert *alert, const struct px_fire *fire,
                          struct px_alert_event *eventp)
{
    memset(eventp, 0, sizeof *eventp);
    eventp->fire = *fire;
    eventp->op = alert->rule.condition[0].op;
    dress(alerts, alert, eventp);
}

static void event_of(const struct px_alerts *alerts, uint64_t eseq, const struct outbox_row *row, const struct px_alert *alert,
                     struct px_alert_event *event)
{
    px_asset_id asset = pxi_asset_of_number(alerts, row->asset_number);

    memset(event, 0, sizeof *event);
    event->eseq = eseq;
    event->fire = (struct px_fire){.alert = row->alert,
                                   .asset = asset,
                                   .venue = (px_venue_id)row->venue,
                                   .flags = row->flags,
                                   .price = row->price,
                                   .prev = row->prev,
                                   .time_ns = row->time_ns,
                                   .recv_ns = row->recv_ns,
                                   .matched_ns = row->matched_ns,
                                   .position = row->position,
                                   .sseq = row->sseq};
    event->fire_number = row->fire_number;
    event->op = row->op;
    event->series = row->series;
    dress(alerts, alert, event);
}

/* Brings the alert's row up to date and makes what tells of the fire. PX_E_AGAIN: the group has touched the alert. */
static int tell(struct px_alerts *alerts, uint64_t eseq, const struct outbox_row *row, const void *stored, size_t len, struct px_alert_event *event)
{
    struct px_alert alert;

    if (len == PXI_NONE)
        return PX_E_NOT_FOUND;
    if (!pxi_may_touch(alerts, row->alert))
        return PX_E_AGAIN;
    int error = pxi_alert_row(alerts, stored, len, &alert);
    if (error)
        return error;
    pxi_touch(alerts, row->alert);
    alert.fires = PX_MAX(alert.fires, row->fire_number);
    alert.last_fired_ns = row->time_ns > 0 ? row->time_ns : row->matched_ns; /* what a changed rule's cooldown counts from: px_alerts_plan */
    alert.version++;
    if (row->last)
        alert.state = PX_ALERT_FIRED;
    pxi_alert_put(alerts, &alert);
    event_of(alerts, eseq, row, &alert, event);
    put_event(alerts, event, alert.symbol);
    return pxi_deliveries_make(alerts, &alert, event, &event->deliveries);
}

/* The fires of the row that the scan is on; false: an older engine's, whose event stands there already. */
static bool read_page(const rocksdb_iterator_t *scan, struct outbox_page *page)
{
    size_t len;
    const char *value = rocksdb_iter_value(scan, &len);

    page->count = 1;
    if (len == sizeof page->fire[0] && value[0] == ROW_FORMAT) {
        memcpy(&page->fire[0], value, len);
        return true;
    }
    if (len < PAGE_BYTES(1) || len > sizeof *page || value[0] != PAGE_FORMAT)
        return false;
    memcpy(page, value, len);
    bool whole = page->count > 0 && page->count <= PAGE_FIRES && len == PAGE_BYTES(page->count);
    if (!whole)
        page->count = 1;
    return whole;
}

static void count_told(struct px_alerts *alerts, const struct outbox_row *row)
{
    px_asset_id asset = pxi_asset_of_number(alerts, row->asset_number);

    if (asset != PX_ASSET_NONE && alerts->untold[asset] > 0)
        alerts->untold[asset]--;
}

/* Where the oldest one stands that has not been told: behind others, perhaps, that have been. */
static void find_told_page(struct px_alerts *alerts, rocksdb_iterator_t *scan)
{
    struct pxi_outbox *outbox = alerts->outbox;
    uint8_t from[8];
    const uint8_t *key;

    outbox->told_page = alerts->told + 1;
    if (alerts->told == alerts->eseq)
        return;
    pxi_be64(from, alerts->told + 1);
    rocksdb_iter_seek_for_prev(scan, (char *)from, sizeof from);
    if ((key = pxi_scan_key(scan, "", 0, 8)) == NULL)
        return;
    read_page(scan, &outbox->read);
    if (pxi_from_be64(key) + outbox->read.count > alerts->told + 1)
        outbox->told_page = pxi_from_be64(key);
}

/* What a predecessor has left. */
int pxi_fires_open(struct px_alerts *alerts)
{
    struct outbox_page page;
    const uint8_t *key;
    uint8_t from[8];

    alerts->untold = calloc(px_names_config(alerts->names)->asset_count + 1, sizeof *alerts->untold);
    alerts->outbox = calloc(1, sizeof *alerts->outbox);
    if (!alerts->untold || !alerts->outbox)
        return PX_E_MEMORY;
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_OUTBOX);
    find_told_page(alerts, scan);
    pxi_be64(from, alerts->outbox->told_page);
    for (rocksdb_iter_seek(scan, (char *)from, sizeof from); (key = pxi_scan_key(scan, "", 0, 8)) != NULL; rocksdb_iter_next(scan)) {
        uint64_t first = pxi_from_be64(key);
        bool readable = read_page(scan, &page);

        for (uint32_t i = 0; i < page.count && readable; i++) {
            px_asset_id asset = first + i > alerts->told ? pxi_asset_of_number(alerts, page.fire[i].asset_number) : PX_ASSET_NONE;

            if (asset != PX_ASSET_NONE)
                alerts->untold[asset]++;
        }
    }
    return pxi_scan_end(scan);
}

void pxi_fires_close(struct px_alerts *alerts)
{
    free(alerts->untold);
    free(alerts->outbox);
}

bool px_alerts_untold(const struct px_alerts *alerts, px_asset_id asset)
{
    return alerts->told != alerts->eseq && asset != PX_ASSET_NONE && alerts->untold[asset] > 0;
}

/* The row of the oldest one that has not been told; false: there is none. */
static int find_page(struct px_alerts *alerts, bool *foundp)
{
    struct pxi_outbox *outbox = alerts->outbox;
    uint8_t from[8];
    const uint8_t *key;

    *foundp = outbox->read_key == outbox->told_page;
    if (*foundp)
        return 0;
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_OUTBOX);
    pxi_be64(from, outbox->told_page);
    rocksdb_iter_seek(scan, (char *)from, sizeof from);
    if ((key = pxi_scan_key(scan, "", 0, 8)) != NULL) {
        outbox->read_key = outbox->told_page = pxi_from_be64(key);
        outbox->readable = read_page(scan, &outbox->read);
        *foundp = true;
    }
    return pxi_scan_end(scan);
}

/* The oldest ones in the row that was read which have not been told, at most `most`. How many, from fire[*firstp] on. */
static unsigned untold(const struct px_alerts *alerts, unsigned most, uint32_t *firstp)
{
    const struct pxi_outbox *outbox = alerts->outbox;

    *firstp = alerts->told < outbox->read_key ? 0 : (uint32_t)PX_MIN(alerts->told + 1 - outbox->read_key, outbox->read.count);
    return PX_MIN(most, outbox->read.count - *firstp);
}

/* Fire i of the row that was read. */
static void told(struct px_alerts *alerts, uint32_t i)
{
    struct pxi_outbox *outbox = alerts->outbox;
    uint8_t key[8];

    alerts->told = outbox->read_key + i;
    alerts->dirty = true;
    if (outbox->readable)
        count_told(alerts, &outbox->read.fire[i]);
    if (i + 1 < outbox->read.count)
        return;
    pxi_be64(key, outbox->read_key);
    pxi_delete(&alerts->db, PXI_ALERTS_OUTBOX, key, sizeof key);
    outbox->told_page = alerts->told + 1;
}

static int fetch(struct px_alerts *alerts, const struct outbox_row *rows, unsigned count, struct pxi_fetched *fetched)
{
    struct px_alert_id ids[PXI_MANY];

    for (unsigned i = 0; i < count; i++)
        ids[i] = rows[i].alert;
    return pxi_alerts_fetch(alerts, ids, count, fetched);
}

int px_alerts_tell(struct px_alerts *alerts, unsigned most, struct px_alert_event *events, unsigned *countp, bool *morep)
{
    const struct pxi_outbox *outbox = alerts->outbox;
    struct pxi_fetched fetched;
    unsigned count = 0;
    uint32_t first = 0;
    bool found;
    int error = find_page(alerts, &found);

    *countp = 0;
    if (!error && found)
        count = untold(alerts, PX_MIN(most, PXI_MANY), &first);
    if (!error && count > 0 && outbox->readable)
        error = fetch(alerts, &outbox->read.fire[first], count, &fetched);
    for (unsigned i = 0; i < count && !error; i++) {
        int one = PX_E_NOT_FOUND;

        if (outbox->readable)
            one = tell(alerts, outbox->read_key + first + i, &outbox->read.fire[first + i], fetched.value[i], fetched.len[i], &events[*countp]);
        if (one && one != PX_E_NOT_FOUND) {
            error = one;
            break;
        }
        *countp += one == 0;
        told(alerts, first + i);
    }
    if (alerts->dirty)
        pxi_number_put(alerts, "told", alerts->told);
    *morep = alerts->told < alerts->eseq - alerts->fires; /* those of the group under way cannot be read yet */
    return error == PX_E_AGAIN ? 0 : error;
}

uint64_t px_alerts_eseq(const struct px_alerts *alerts)
{
    return alerts->eseq;
}

uint64_t px_alerts_told(const struct px_alerts *alerts)
{
    return alerts->told;
}

int px_alerts_epoch(struct px_alerts *alerts, uint64_t generation, uint64_t *eseqp)
{
    uint64_t value[2] = {0, 0}, now[2] = {generation, alerts->told};
    size_t len;
    int error = pxi_get(&alerts->db, PXI_ALERTS_META, "epoch", 5, value, sizeof value, &len);

    if (error && error != PX_E_NOT_FOUND)
        return error;
    *eseqp = value[0] == generation && !error ? value[1] : now[1];
    if (value[0] == generation && !error)
        return 0;
    pxi_put(&alerts->db, PXI_ALERTS_META, "epoch", 5, now, sizeof now);
    return px_alerts_commit(alerts, true);
}
