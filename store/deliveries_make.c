/*
 * Deliveries are made: one for each channel of an alert that has fired, unless a silence keeps it back, or the fire joins one that
 * gathers, for a storm of one alert or for a channel that wants to be told of many at once.
 *
 * Reads do not see the group under way, and one alert may fire several times in a group: so what the group has made of storms and of
 * deliveries that gather is kept here beside the batch, until the batch is written. Where a table has no room, a fire is told by itself.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/alerts_private.h"
#include "store/hist_private.h"

#define STORMS (2 * PX_ALERTS_GROUP_MAX) /* places; a power of two, as ROWS */
#define ROWS   256
#define PROBES 8

/* How often an alert has fired of late, and where a storm of it is gathered. A channel that groups has one too, under its own id. */
struct storm {
    int64_t since_ns;
    uint32_t fires, spare;
    uint64_t number[PX_ALERT_CHANNELS_MAX]; /* the delivery that gathers, by the alert's channel; 0 = none */
};

struct pxi_gathers {
    struct {
        uint64_t group; /* commits + 1 of the database when it was put; another: free */
        struct px_alert_id id;
        struct storm storm;
    } storm[STORMS];
    struct {
        uint64_t group;
        struct px_delivery delivery;
    } row[ROWS];
};

int pxi_gathers_open(struct px_alerts *alerts)
{
    alerts->gathers = calloc(1, sizeof *alerts->gathers);
    return alerts->gathers ? 0 : PX_E_MEMORY;
}

void pxi_gathers_close(struct px_alerts *alerts)
{
    free(alerts->gathers);
    alerts->gathers = NULL;
}

static uint64_t group_of(const struct px_alerts *alerts)
{
    return alerts->db.commits + 1;
}

/* Where it stands, or may stand; NULL when all places that it could have are taken. */
static struct storm *storm_place(struct px_alerts *alerts, struct px_alert_id id, bool put)
{
    struct pxi_gathers *gathers = alerts->gathers;
    size_t from = (id.lo ^ id.hi) * UINT64_C(0x9e3779b97f4a7c15) >> 40;

    for (size_t i = from; i < from + PROBES; i++) {
        size_t at = i % STORMS;
        bool taken = gathers->storm[at].group == group_of(alerts);

        if (taken && (gathers->storm[at].id.hi != id.hi || gathers->storm[at].id.lo != id.lo))
            continue;
        if (!taken && !put)
            return NULL;
        gathers->storm[at].group = group_of(alerts);
        gathers->storm[at].id = id;
        return &gathers->storm[at].storm;
    }
    return NULL;
}

static struct px_delivery *row_place(struct px_alerts *alerts, uint64_t number, bool put)
{
    struct pxi_gathers *gathers = alerts->gathers;

    for (uint64_t i = number; i < number + PROBES; i++) {
        size_t at = i % ROWS;
        bool taken = gathers->row[at].group == group_of(alerts);

        if (taken && gathers->row[at].delivery.number != number)
            continue;
        if (!taken && !put)
            return NULL;
        gathers->row[at].group = group_of(alerts);
        return &gathers->row[at].delivery;
    }
    return NULL;
}

/* ---- storms ---- */

static int get_storm(struct px_alerts *alerts, struct px_alert_id id, struct storm *storm)
{
    const struct storm *fresh = storm_place(alerts, id, false);
    uint8_t key[16];
    size_t len;

    if (fresh) {
        *storm = *fresh;
        return 0;
    }
    memset(storm, 0, sizeof *storm);
    pxi_id_key(key, id);
    int error = pxi_get(&alerts->db, PXI_ALERTS_STORMS, key, sizeof key, storm, sizeof *storm, &len);
    return error == PX_E_NOT_FOUND || error == PX_E_FORMAT ? 0 : error;
}

static void put_storm(struct px_alerts *alerts, struct px_alert_id id, const struct storm *storm)
{
    struct storm *fresh = storm_place(alerts, id, true);
    uint8_t key[16];

    if (fresh)
        *fresh = *storm;
    pxi_id_key(key, id);
    pxi_put(&alerts->db, PXI_ALERTS_STORMS, key, sizeof key, storm, sizeof *storm);
}

/* True when the fire is one of a storm; the window's end is when what it gathers goes out. */
static bool in_storm(struct storm *storm, int64_t now_ns)
{
    if (now_ns - storm->since_ns >= PX_STORM_NS || now_ns < storm->since_ns)
        *storm = (struct storm){.since_ns = now_ns};
    return ++storm->fires > PX_STORM_FIRES;
}

/* ---- joining ---- */

static void add(struct px_delivery *delivery, const struct px_alert_event *event)
{
    delivery->count += PX_MAX(event->count, 1u);
    if (delivery->joined_count < PX_JOINED_MAX)
        delivery->joined[delivery->joined_count++] = event->eseq;
}

static void keep(struct px_alerts *alerts, const struct px_delivery *delivery)
{
    struct px_delivery *fresh = row_place(alerts, delivery->number, true);

    if (fresh)
        *fresh = *delivery;
}

/* One more fire into the notification that gathers, unless that has gone out, or this very group has done something else to it. */
static bool join(struct px_alerts *alerts, uint64_t number, enum px_delivery_state state, const struct px_alert_event *event)
{
    struct px_delivery *fresh = number > 0 ? row_place(alerts, number, false) : NULL, before, now;

    if (fresh) {
        if (fresh->state != (uint32_t)state)
            return false;
        add(fresh, event);
        pxi_delivery_put(alerts, fresh);
        return true;
    }
    if (number == 0 || !pxi_may_touch(alerts, pxi_delivery_touch_id(number)) || pxi_delivery_get(alerts, number, &before) != 0 ||
        before.state != (uint32_t)state)
        return false;
    now = before;
    add(&now, event);
    pxi_delivery_change(alerts, &before, &now);
    keep(alerts, &now);
    return true;
}

/* ---- one fire, one channel ---- */

struct making {
    struct px_alerts *alerts;
    const struct px_alert *alert;
    const struct px_alert_event *event;
    struct storm storm;
    bool stormy;
};

/* A delivery of its own. `gathers`: others may join it. */
static uint64_t make_one(struct making *making, const struct px_channel *channel, const struct px_silence *silence, int64_t due_ns,
                         bool gathers)
{
    const struct px_alert_event *event = making->event;
    struct px_delivery delivery = {.eseq = event->eseq,
                                   .alert = making->alert->id,
                                   .fire_number = event->fire_number,
                                   .count = event->count,
                                   .state = silence ? PX_DELIVERY_SILENCED : PX_DELIVERY_PENDING,
                                   .silence = silence ? silence->id : (struct px_alert_id){0, 0},
                                   .due_ns = due_ns};

    pxi_delivery_make(making->alerts, channel, &delivery);
    if (gathers)
        keep(making->alerts, &delivery);
    return delivery.number;
}

/* A channel that groups: the first fire opens a window, at whose end one notification tells of all that fell into it. */
static int make_grouped(struct making *making, const struct px_channel *channel, uint16_t *countp)
{
    struct storm group;
    int error = get_storm(making->alerts, channel->id, &group);

    if (error || join(making->alerts, group.number[0], PX_DELIVERY_PENDING, making->event))
        return error;
    group = (struct storm){.since_ns = px_wall_now()};
    group.number[0] = make_one(making, channel, NULL, group.since_ns + (int64_t)channel->group_s * PX_NS_PER_S, true);
    put_storm(making->alerts, channel->id, &group);
    ++*countp;
    return 0;
}

static int make_for(struct making *making, unsigned i, uint16_t *countp)
{
    const struct px_alert *alert = making->alert;
    struct px_channel channel;
    int error = pxi_channel_of(making->alerts, alert->owner, alert->channels[i], &channel);

    if (error == PX_E_NOT_FOUND || (!error && channel.state != PX_CHANNEL_ACTIVE))
        return 0;
    if (error)
        return error;
    const struct px_silence *silence = pxi_silence_of(making->alerts, alert, channel.id, making->event->fire.matched_ns);
    uint64_t *gathering = &making->storm.number[i];
    if (making->stormy && join(making->alerts, *gathering, silence ? PX_DELIVERY_SILENCED : PX_DELIVERY_PENDING, making->event))
        return 0;
    if (channel.group_s > 0 && !making->stormy && !silence)
        return make_grouped(making, &channel, countp);
    int64_t due_ns = making->stormy && !silence ? making->storm.since_ns + PX_STORM_NS : 0;
    uint64_t number = make_one(making, &channel, silence, due_ns, making->stormy);
    *gathering = making->stormy ? number : 0;
    *countp += silence == NULL;
    return 0;
}

int pxi_deliveries_make(struct px_alerts *alerts, const struct px_alert *alert, const struct px_alert_event *event,
                        uint16_t *countp)
{
    struct making making = {.alerts = alerts, .alert = alert, .event = event};
    bool recurs = event->fire_number > 1 && alert->channel_count > 0; /* an alert that fires once raises no storm */
    int error = recurs ? get_storm(alerts, alert->id, &making.storm) : 0;

    *countp = 0;
    making.stormy = !error && recurs && in_storm(&making.storm, event->fire.matched_ns);
    for (unsigned i = 0; i < alert->channel_count && !error; i++)
        error = make_for(&making, i, countp);
    if (recurs && !error)
        put_storm(alerts, alert->id, &making.storm);
    return error;
}
