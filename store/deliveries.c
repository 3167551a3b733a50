/* Deliveries: made with the fire, leased, reported, replayed. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "store/alerts_private.h"
#include "store/hist_private.h"

#define RELEASE_MAX 1000 /* leases that are given back at once; notify holds fewer */

/*   0        8           16
 *   | due BE | number BE |  */
#define DUE_KEY 16

/* ---- rows ---- */

static void due_key(uint8_t key[DUE_KEY], int64_t due_ns, uint64_t number)
{
    pxi_be64(key, (uint64_t)due_ns);
    pxi_be64(key + 8, number);
}

int pxi_delivery_get(const struct px_alerts *alerts, uint64_t number, struct px_delivery *deliveryp)
{
    uint8_t key[8], value[PX_DELIVERY_ENCODED_MAX];
    size_t len;

    pxi_be64(key, number);
    int error = pxi_get(&alerts->db, PXI_ALERTS_DELIVERIES, key, sizeof key, value, sizeof value, &len);
    return error ? error : px_delivery_decode(value, len, deliveryp);
}

struct px_alert_id pxi_delivery_touch_id(uint64_t number)
{
    return (struct px_alert_id){UINT64_MAX, number};
}

void pxi_delivery_put(struct px_alerts *alerts, const struct px_delivery *delivery)
{
    uint8_t key[DUE_KEY], value[PX_DELIVERY_ENCODED_MAX];

    due_key(key, delivery->due_ns, delivery->number);
    pxi_put(&alerts->db, PXI_ALERTS_DELIVERIES, key + 8, 8, value, px_delivery_encode(delivery, value));
    if (px_delivery_is_open(delivery)) {
        alerts->due_floor = PX_MIN(alerts->due_floor, delivery->due_ns);
        alerts->group_floor = PX_MIN(alerts->group_floor, delivery->due_ns);
        pxi_put(&alerts->db, PXI_ALERTS_DUE, key, sizeof key, "L", delivery->state == PX_DELIVERY_DELIVERING);
    }
    alerts->dirty = true;
}

void pxi_delivery_change(struct px_alerts *alerts, const struct px_delivery *before, const struct px_delivery *now)
{
    uint8_t key[DUE_KEY];

    pxi_touch(alerts, pxi_delivery_touch_id(now->number));
    due_key(key, before->due_ns, before->number);
    if (px_delivery_is_open(before) && !(px_delivery_is_open(now) && now->due_ns == before->due_ns))
        pxi_delete(&alerts->db, PXI_ALERTS_DUE, key, sizeof key);
    pxi_delivery_put(alerts, now);
}

static void drop_oldest(struct px_alerts *alerts, uint64_t number)
{
    struct px_delivery old;
    uint8_t key[DUE_KEY], told[PXI_MINE_KEY];

    if (number <= PX_DELIVERIES_MAX || pxi_delivery_get(alerts, number - PX_DELIVERIES_MAX, &old) != 0)
        return;
    due_key(key, old.due_ns, old.number);
    pxi_mine_key(told, old.owner, old.number);
    pxi_delete(&alerts->db, PXI_ALERTS_DELIVERIES, key + 8, 8);
    pxi_delete(&alerts->db, PXI_ALERTS_DUE, key, sizeof key);
    pxi_delete(&alerts->db, PXI_ALERTS_TOLD, told, sizeof told);
}

/* ---- made ---- */

void pxi_delivery_make(struct px_alerts *alerts, const struct px_channel *channel, struct px_delivery *delivery)
{
    uint8_t told[PXI_MINE_KEY];

    delivery->number = ++alerts->deliveries;
    delivery->channel = channel->id;
    delivery->count = PX_MAX(delivery->count, 1u);
    delivery->created_ns = px_wall_now();
    delivery->due_ns = PX_MAX(delivery->due_ns, delivery->created_ns);
    delivery->expires_ns = delivery->due_ns + (int64_t)channel->ttl_s * PX_NS_PER_S;
    memcpy(delivery->owner, channel->owner, sizeof delivery->owner);
    drop_oldest(alerts, delivery->number);
    pxi_delivery_put(alerts, delivery);
    pxi_mine_key(told, delivery->owner, delivery->number);
    pxi_put(&alerts->db, PXI_ALERTS_TOLD, told, sizeof told, "", 0);
    pxi_put(&alerts->db, PXI_ALERTS_META, "deliveries", 10, &alerts->deliveries, sizeof alerts->deliveries);
}

int px_deliveries_test(struct px_alerts *alerts, const char *owner, struct px_alert_id id, struct px_delivery *madep)
{
    struct px_channel channel;

    if (!pxi_may_touch(alerts, pxi_delivery_touch_id(alerts->deliveries + 1)))
        return PX_E_AGAIN;
    int error = px_channels_get(alerts, owner, id, &channel);
    if (error)
        return error;
    memset(madep, 0, sizeof *madep);
    madep->state = PX_DELIVERY_PENDING;
    pxi_delivery_make(alerts, &channel, madep);
    pxi_touch(alerts, pxi_delivery_touch_id(madep->number));
    return 0;
}

/* ---- sent ---- */

static void note(struct px_delivery *delivery, const struct px_attempt *what)
{
    delivery->attempt[delivery->attempts++ % PX_ATTEMPTS_KEPT] = *what;
    delivery->tries++;
}

static int end_channel(struct px_alerts *alerts, const struct px_delivery *delivery)
{
    struct px_channel channel;

    if (!pxi_may_touch(alerts, delivery->channel))
        return 0; /* its owner changes it in this very group, and the next 410 is as good */
    int error = pxi_channel_of(alerts, delivery->owner, delivery->channel, &channel);
    if (error || channel.state == PX_CHANNEL_GONE)
        return error == PX_E_NOT_FOUND ? 0 : error;
    channel.state = PX_CHANNEL_GONE;
    channel.version++;
    pxi_touch(alerts, channel.id);
    pxi_channel_put(alerts, &channel);
    return 0;
}

static void apply(struct px_delivery *delivery, const struct px_report *report)
{
    if (report->outcome != PX_OUTCOME_DEFER)
        note(delivery, &report->what);
    delivery->due_ns = report->due_ns;
    switch ((enum px_outcome)report->outcome) {
    case PX_OUTCOME_DELIVERED:
        delivery->state = PX_DELIVERY_DELIVERED;
        break;
    case PX_OUTCOME_AGAIN:
        delivery->state = PX_DELIVERY_FAILED;
        break;
    case PX_OUTCOME_DEFER:
        delivery->state = delivery->attempts > 0 ? PX_DELIVERY_FAILED : PX_DELIVERY_PENDING;
        break;
    case PX_OUTCOME_DEAD:
        delivery->state = PX_DELIVERY_DEAD;
        break;
    }
}

int px_deliveries_report(struct px_alerts *alerts, const struct px_report *report)
{
    struct px_delivery before, now;

    if (report->outcome < PX_OUTCOME_DELIVERED || report->outcome > PX_OUTCOME_DEFER)
        return PX_E_INVALID;
    if (!pxi_may_touch(alerts, pxi_delivery_touch_id(report->number)))
        return PX_E_AGAIN;
    int error = pxi_delivery_get(alerts, report->number, &before);
    if (error)
        return error == PX_E_NOT_FOUND || error == PX_E_FORMAT ? 0 : error;
    if (!px_delivery_is_open(&before) || report->attempt != before.attempts + 1 ||
        (before.state != PX_DELIVERY_DELIVERING && report->outcome == PX_OUTCOME_DEFER))
        return 0;
    now = before;
    apply(&now, report);
    pxi_delivery_change(alerts, &before, &now);
    return report->gone ? end_channel(alerts, &before) : 0;
}

/* Nobody is there to take it, or its time is up. */
static void die(struct px_delivery *delivery, int64_t now_ns, const char *why)
{
    struct px_attempt last = {.time_ns = now_ns};

    px_text_copy(last.error, sizeof last.error, px_text_of(why));
    note(delivery, &last);
    delivery->state = PX_DELIVERY_DEAD;
}

/* The fires that have joined; one whose event has gone is left out. */
static int fill_told(const struct px_alerts *alerts, struct px_job *job)
{
    struct px_alert_event event;

    for (uint32_t i = 0; i < job->delivery.joined_count; i++) {
        struct px_told *told = &job->told[job->told_count];
        int error = pxi_event_get(alerts, job->delivery.joined[i], &event);

        if (error == PX_E_NOT_FOUND || error == PX_E_FORMAT)
            continue;
        if (error)
            return error;
        told->fire = event.fire;
        told->fire_number = event.fire_number;
        told->op = event.op;
        told->scale = event.scale;
        memcpy(told->level, event.level, sizeof told->level);
        memcpy(told->name, event.name, sizeof told->name);
        job->told_count++;
    }
    return 0;
}

static int fill_job(const struct px_alerts *alerts, struct px_job *job)
{
    int error = pxi_channel_of(alerts, job->delivery.owner, job->delivery.channel, &job->channel);

    if (!error && job->channel.state != PX_CHANNEL_ACTIVE)
        return PX_E_NOT_FOUND;
    if (!error && job->delivery.eseq > 0)
        error = pxi_event_get(alerts, job->delivery.eseq, &job->event);
    return error ? error : fill_told(alerts, job);
}

/* A row that cannot be read, or is not there, must not keep all others from being sent. */
static int skip_unreadable(struct px_alerts *alerts, const uint8_t *key, int error)
{
    if (error != PX_E_NOT_FOUND && error != PX_E_FORMAT)
        return error;
    px_log_limited(PX_LOG_ERROR, 1, "delivery_unreadable number=%llu", (unsigned long long)pxi_from_be64(key + 8));
    pxi_delete(&alerts->db, PXI_ALERTS_DUE, key, DUE_KEY);
    alerts->dirty = true;
    return 0;
}

/* Takes one that is due: a job, or its end. *takenp: it is a job. */
static int take(struct px_alerts *alerts, const uint8_t *key, int64_t now_ns, struct px_job *job, bool *takenp)
{
    uint64_t number = pxi_from_be64(key + 8);

    *takenp = false;
    memset(job, 0, sizeof *job);
    if (!pxi_may_touch(alerts, pxi_delivery_touch_id(number)))
        return 0;
    int error = pxi_delivery_get(alerts, number, &job->delivery);
    if (error)
        return skip_unreadable(alerts, key, error);
    struct px_delivery before = job->delivery;
    error = fill_job(alerts, job);
    if (error && error != PX_E_NOT_FOUND && error != PX_E_FORMAT)
        return error;
    if (error)
        die(&job->delivery, now_ns, "the channel takes no notifications");
    else if (before.tries > 0 && before.expires_ns < now_ns)
        die(&job->delivery, now_ns, "its time to live is over");
    else
        *takenp = true;
    if (*takenp) {
        job->delivery.state = PX_DELIVERY_DELIVERING;
        job->delivery.due_ns = now_ns + PX_LEASE_NS;
    }
    pxi_delivery_change(alerts, &before, &job->delivery);
    return 0;
}

/* From the first row that may be due. */
static rocksdb_iterator_t *scan_due(const struct px_alerts *alerts)
{
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_DUE);
    uint8_t from[DUE_KEY];

    due_key(from, alerts->due_floor, 0);
    rocksdb_iter_seek(scan, (char *)from, sizeof from);
    return scan;
}

int px_deliveries_claim(struct px_alerts *alerts, int64_t now_ns, uint32_t want, struct px_job *jobs, uint32_t *countp,
                        int64_t *nextp)
{
    rocksdb_iterator_t *scan = scan_due(alerts);
    int64_t floor = INT64_MAX; /* of what this scan leaves behind */
    const uint8_t *key;
    bool taken;
    int error = 0;

    *countp = 0;
    *nextp = 0;
    for (unsigned seen = 0; !error && (key = pxi_scan_key(scan, "", 0, DUE_KEY)) != NULL; rocksdb_iter_next(scan)) {
        int64_t due_ns = (int64_t)pxi_from_be64(key);

        if (due_ns > now_ns || *countp == want || ++seen > PX_ALERTS_GROUP_MAX / 2) {
            *nextp = due_ns;
            break;
        }
        if (!pxi_may_touch(alerts, pxi_delivery_touch_id(pxi_from_be64(key + 8))))
            floor = PX_MIN(floor, due_ns);
        error = take(alerts, key, now_ns, &jobs[*countp], &taken);
        *countp += !error && taken;
    }
    int scan_error = pxi_scan_end(scan);
    if (error || scan_error)
        return error ? error : scan_error;
    floor = *nextp > 0 ? PX_MIN(floor, *nextp) : floor;
    alerts->due_floor = PX_MIN(PX_MIN(floor, now_ns), alerts->group_floor);
    return 0;
}

int px_deliveries_release(struct px_alerts *alerts, int64_t now_ns)
{
    rocksdb_iterator_t *scan = scan_due(alerts);
    struct px_delivery before, now;
    const uint8_t *key;
    size_t len;
    int error = 0;

    for (unsigned count = 0; !error && (key = pxi_scan_key(scan, "", 0, DUE_KEY)) != NULL; rocksdb_iter_next(scan)) {
        if ((int64_t)pxi_from_be64(key) > now_ns + PX_LEASE_NS || count == RELEASE_MAX)
            break;
        rocksdb_iter_value(scan, &len);
        if (len == 0 || !pxi_may_touch(alerts, pxi_delivery_touch_id(pxi_from_be64(key + 8))))
            continue;
        error = pxi_delivery_get(alerts, pxi_from_be64(key + 8), &before);
        if (error)
            break;
        now = before;
        now.state = now.attempts > 0 ? PX_DELIVERY_FAILED : PX_DELIVERY_PENDING;
        now.due_ns = now_ns;
        pxi_delivery_change(alerts, &before, &now);
        count++;
    }
    int scan_error = pxi_scan_end(scan);
    return error ? error : scan_error;
}

/* ---- once more ---- */

static int revive(struct px_alerts *alerts, const struct px_delivery *before, struct px_delivery *nowp)
{
    struct px_channel channel;
    int64_t now_ns = px_wall_now();
    int error = pxi_channel_of(alerts, before->owner, before->channel, &channel);

    if (error)
        return error;
    *nowp = *before;
    nowp->state = PX_DELIVERY_PENDING;
    nowp->silence = (struct px_alert_id){0, 0};
    nowp->tries = 0;
    nowp->due_ns = now_ns;
    nowp->expires_ns = now_ns + (int64_t)channel.ttl_s * PX_NS_PER_S;
    pxi_delivery_change(alerts, before, nowp);
    return 0;
}

int px_deliveries_replay(struct px_alerts *alerts, const char *owner, uint64_t number, struct px_delivery *nowp)
{
    struct px_delivery before;

    if (!pxi_may_touch(alerts, pxi_delivery_touch_id(number)))
        return PX_E_AGAIN;
    int error = px_deliveries_get(alerts, owner, number, &before);
    if (error)
        return error;
    *nowp = before;
    return px_delivery_is_open(&before) ? PX_E_EXISTS : revive(alerts, &before, nowp);
}

int px_deliveries_replay_dead(struct px_alerts *alerts, const char *owner, uint32_t limit, uint32_t *countp, bool *morep)
{
    struct px_delivery list[16], now;
    uint64_t before = 0;
    uint32_t count;
    int error;

    *countp = 0;
    do {
        error = px_deliveries_list(alerts, owner, PX_DELIVERY_DEAD, before, PX_COUNT_OF(list), list, &count, morep, &before);
        for (uint32_t i = 0; i < count && !error && *countp < limit; i++) {
            *morep |= !pxi_may_touch(alerts, pxi_delivery_touch_id(list[i].number));
            if (!pxi_may_touch(alerts, pxi_delivery_touch_id(list[i].number)))
                return 0;
            error = revive(alerts, &list[i], &now);
            *countp += error == 0;
            error = error == PX_E_NOT_FOUND ? 0 : error;
        }
    } while (!error && *morep && *countp < limit);
    return error;
}

/* ---- reading ---- */

#define SCAN_MAX 20000 /* rows that one request may look at */

int px_deliveries_get(const struct px_alerts *alerts, const char *owner, uint64_t number, struct px_delivery *deliveryp)
{
    int error = pxi_delivery_get(alerts, number, deliveryp);

    if (error)
        return error;
    return owner && owner[0] && strcmp(owner, deliveryp->owner) != 0 ? PX_E_NOT_FOUND : 0;
}

/* The next older number of the owner's list, or of all; 0 at the end. */
static uint64_t number_at(const rocksdb_iterator_t *scan, const uint8_t *prefix, size_t prefix_len)
{
    const uint8_t *key = pxi_scan_key(scan, prefix, prefix_len, prefix_len + 8);

    return key ? pxi_from_be64(key + prefix_len) : 0;
}

int px_deliveries_list(const struct px_alerts *alerts, const char *owner, enum px_delivery_state state, uint64_t before,
                       uint32_t limit, struct px_delivery *list, uint32_t *countp, bool *morep, uint64_t *nextp)
{
    size_t prefix_len = owner && owner[0] ? PX_OWNER_SIZE : 0;
    rocksdb_iterator_t *scan =
        pxi_scan(&alerts->db, prefix_len ? PXI_ALERTS_TOLD : PXI_ALERTS_DELIVERIES);
    uint8_t from[PXI_MINE_KEY];
    uint64_t number;
    int error = 0;

    *countp = 0;
    *morep = false;
    *nextp = before;
    pxi_mine_key(from, prefix_len ? owner : "", before > 0 ? before - 1 : UINT64_MAX);
    rocksdb_iter_seek_for_prev(scan, (char *)from + (prefix_len ? 0 : PX_OWNER_SIZE), prefix_len + 8);
    for (uint32_t seen = 0; (number = number_at(scan, from, prefix_len)) > 0; rocksdb_iter_prev(scan)) {
        *morep = *countp == limit || ++seen > SCAN_MAX;
        if (*morep)
            break;
        error = pxi_delivery_get(alerts, number, &list[*countp]);
        if (error && error != PX_E_NOT_FOUND)
            break;
        *countp += !error && (state == PX_DELIVERY_ANY || list[*countp].state == (uint32_t)state);
        *nextp = number;
        error = 0;
    }
    int scan_error = pxi_scan_end(scan);
    return error ? error : scan_error;
}
