/* Fires on their way: judged into the outbox, told out of it. store/alerts.h says why there are two steps. */
#include <stdlib.h>

#include "base/decimal.h"
#include "base/error.h"
#include "base/log.h"
#include "store/alerts_private.h"
#include "store/hist_private.h"

#define OUTBOX_FORMAT 2
#define FIRES_MAX     1000 /* in one group: a slice of a storm, so that the first of it is told soon */

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

bool px_alerts_fires_room(const struct px_alerts *alerts)
{
    return alerts->fires < FIRES_MAX;
}

void px_alerts_fire(struct px_alerts *alerts, const struct px_judged *judged)
{
    const struct px_fire *fire = &judged->fire;
    struct outbox_row row = {.format = OUTBOX_FORMAT,
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
    uint8_t key[8];

    pxi_be64(key, ++alerts->eseq);
    pxi_put(&alerts->db, PXI_ALERTS_OUTBOX, key, sizeof key, &row, sizeof row);
    alerts->fires++;
    alerts->untold[fire->asset]++;
    alerts->dirty = true;
}

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
static int tell(struct px_alerts *alerts, uint64_t eseq, const struct outbox_row *row, struct px_alert_event *event)
{
    struct px_alert alert;

    if (!pxi_may_touch(alerts, row->alert))
        return PX_E_AGAIN;
    int error = px_alerts_get(alerts, NULL, row->alert, &alert);
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

static bool read_row(const rocksdb_iterator_t *scan, struct outbox_row *row)
{
    size_t len;
    const char *value = rocksdb_iter_value(scan, &len);

    if (len != sizeof *row || value[0] != OUTBOX_FORMAT)
        return false; /* an older engine's: its event stands there already */
    memcpy(row, value, sizeof *row);
    return true;
}

static void count_told(struct px_alerts *alerts, const struct outbox_row *row)
{
    px_asset_id asset = pxi_asset_of_number(alerts, row->asset_number);

    if (asset != PX_ASSET_NONE && alerts->untold[asset] > 0)
        alerts->untold[asset]--;
}

/* What a predecessor has left. */
int pxi_fires_open(struct px_alerts *alerts)
{
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_OUTBOX);
    struct outbox_row row;
    uint8_t from[8];

    alerts->untold = calloc(px_names_config(alerts->names)->asset_count + 1, sizeof *alerts->untold);
    if (!alerts->untold)
        return PX_E_MEMORY;
    pxi_be64(from, alerts->told + 1);
    for (rocksdb_iter_seek(scan, (char *)from, sizeof from); pxi_scan_key(scan, "", 0, 8) != NULL; rocksdb_iter_next(scan)) {
        px_asset_id asset = read_row(scan, &row) ? pxi_asset_of_number(alerts, row.asset_number) : PX_ASSET_NONE;

        if (asset != PX_ASSET_NONE)
            alerts->untold[asset]++;
    }
    return pxi_scan_end(scan);
}

void pxi_fires_close(struct px_alerts *alerts)
{
    free(alerts->untold);
}

bool px_alerts_untold(const struct px_alerts *alerts, px_asset_id asset)
{
    return alerts->told != alerts->eseq && asset != PX_ASSET_NONE && alerts->untold[asset] > 0;
}

int px_alerts_tell(struct px_alerts *alerts, unsigned most, struct px_alert_event *events, unsigned *countp, bool *morep)
{
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_OUTBOX);
    struct outbox_row row;
    uint8_t from[8];
    const uint8_t *key;
    int error = 0;

    *countp = 0;
    *morep = false;
    pxi_be64(from, alerts->told + 1);
    rocksdb_iter_seek(scan, (char *)from, sizeof from);
    for (; (key = pxi_scan_key(scan, "", 0, 8)) != NULL; rocksdb_iter_next(scan)) {
        uint64_t eseq = pxi_from_be64(key);

        *morep = *countp == most;
        if (*morep)
            break;
        row.asset_number = UINT32_MAX;
        error = read_row(scan, &row) ? tell(alerts, eseq, &row, &events[*countp]) : PX_E_NOT_FOUND;
        *morep = error == PX_E_AGAIN;
        if (error && error != PX_E_NOT_FOUND)
            break;
        *countp += error == 0;
        error = 0;
        pxi_delete(&alerts->db, PXI_ALERTS_OUTBOX, key, 8);
        count_told(alerts, &row);
        alerts->told = eseq;
        alerts->dirty = true;
    }
    int scan_error = pxi_scan_end(scan);
    if (alerts->dirty)
        pxi_number_put(alerts, "told", alerts->told);
    return scan_error ? scan_error : error == PX_E_AGAIN ? 0 : error;
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
