/* Deliveries: made with the fire, leased, reported, replayed. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "store/alerts_private.h"
#include "store/hist_private.h"

#define RELEASE_MAX 1000 /* leases that are given back at once; notify holds fewer */

/*   0        8           16
 *   | due BE | number BE |         LEASED in the time: somebody has it until then
 *
 * What is leased lies in a range of its own. A lease is a row that lives for a millisecond and lies half a minute ahead, so whoever looked for
 * the next one that is due walked over all the leases of that half minute: 30,000 deleted rows for each claim at 1,000 a second. */
#define DUE_KEY 16
#define LEASED  (UINT64_C(1) << 63)

/* ---- rows ---- */

static bool is_leased(const struct px_delivery *delivery)
{
    return delivery->state == PX_DELIVERY_DELIVERING;
}

static void due_key(uint8_t key[DUE_KEY], bool leased, int64_t due_ns, uint64_t number)
{
    pxi_be64(key, (uint64_t)due_ns | (leased ? LEASED : 0));
    pxi_be64(key + 8, number);
}

static void due_key_of(uint8_t key[DUE_KEY], const struct px_delivery *delivery)
{
    due_key(key, is_leased(delivery), delivery->due_ns, delivery->number);
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

    due_key_of(key, delivery);
    pxi_put(&alerts->db, PXI_ALERTS_DELIVERIES, key + 8, 8, value, px_delivery_encode(delivery, value));
    if (px_delivery_is_open(delivery)) {
        bool leased = is_leased(delivery);

        alerts->due_floor[leased] = PX_MIN(alerts->due_floor[leased], delivery->due_ns);
        alerts->group_floor[leased] = PX_MIN(alerts->group_floor[leased], delivery->due_ns);
        alerts->soonest = leased ? alerts->soonest : PX_MIN(alerts->soonest, delivery->due_ns);
        pxi_put(&alerts->db, PXI_ALERTS_DUE, key, sizeof key, "", 0);
    }
    alerts->dirty = true;
}

void pxi_delivery_change(struct px_alerts *alerts, const struct px_delivery *before, const struct px_delivery *now)
{
    uint8_t key[DUE_KEY], next[DUE_KEY];

    pxi_touch(alerts, pxi_delivery_touch_id(now->number));
    due_key_of(key, before);
    due_key_of(next, now);
    if (px_delivery_is_open(before) && !(px_delivery_is_open(now) && memcmp(key, next, sizeof key) == 0))
        pxi_delete(&alerts->db, PXI_ALERTS_DUE, key, sizeof key);
    pxi_delivery_put(alerts, now);
}

static void drop_oldest(struct px_alerts *alerts, uint64_t number)
{
    struct px_delivery old;
    uint8_t key[DUE_KEY], told[PXI_MINE_KEY];

    if (number <= PX_DELIVERIES_MAX || pxi_delivery_get(alerts, number - PX_DELIVERIES_MAX, &old) != 0)
        return;
    due_key_of(key, &old);
    pxi_mine_key(told, old.owner, old.number);
    pxi_delete(&alerts->db, PXI_ALERTS_DELIVERIES, key + 8, 8);
    pxi_delete(&alerts->db, PXI_ALERTS_DUE, key, sizeof key);
    pxi_delete(&alerts->db, PXI_ALERTS_TOLD, told, sizeof told);
    if (old.eseq == 0)
        pxi_delete(&alerts->db, PXI_ALERTS_TESTS, key + 8, 8);
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

static void put_test(struct px_alerts *alerts, uint64_t number, const struct px_alert_event *event)
{
    const struct px_config *config = px_names_config(alerts->names);
    uint8_t key[8], value[PXI_EVENT_MAX];

    pxi_be64(key, number);
    const char *symbol = event->fire.asset < config->asset_count ? config->assets[event->fire.asset].symbol : "";
    pxi_put(&alerts->db, PXI_ALERTS_TESTS, key, sizeof key, value, pxi_event_encode(alerts, event, symbol, value));
}

static int get_test(const struct px_alerts *alerts, uint64_t number, struct px_alert_event *eventp)
{
    uint8_t key[8], value[PXI_EVENT_MAX];
    size_t len;

    pxi_be64(key, number);
    int error = pxi_get(&alerts->db, PXI_ALERTS_TESTS, key, sizeof key, value, sizeof value, &len);
    return error ? error : pxi_event_decode(alerts, value, len, eventp);
}

int px_deliveries_test(struct px_alerts *alerts, const char *owner, struct px_alert_id id, const struct px_alert_event *event,
                       struct px_delivery *madep)
{
    struct px_channel channel;

    if (!pxi_may_touch(alerts, pxi_delivery_touch_id(alerts->deliveries + 1)))
        return PX_E_AGAIN;
    int error = px_channels_get(alerts, owner, id, &channel);
    if (error)
        return error;
    memset(madep, 0, sizeof *madep);
    madep->state = PX_DELIVERY_PENDING;
    madep->alert = event ? event->fire.alert : (struct px_alert_id){0, 0};
    pxi_delivery_make(alerts, &channel, madep);
    if (event)
        put_test(alerts, madep->number, event);
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
    else if (!error && (job->delivery.alert.hi | job->delivery.alert.lo) != 0)
        error = get_test(alerts, job->delivery.number, &job->event);
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

/* Is this the delivery's row? One that is not goes; that of an older engine, which kept leases among the others, counts all the same. */
static bool is_own_row(struct px_alerts *alerts, const uint8_t *key, const struct px_delivery *delivery)
{
    uint8_t own[DUE_KEY];

    due_key_of(own, delivery);
    if (px_delivery_is_open(delivery) && memcmp(key, own, sizeof own) == 0)
        return true;
    pxi_delete(&alerts->db, PXI_ALERTS_DUE, key, DUE_KEY);
    alerts->dirty = true;
    return is_leased(delivery) && (int64_t)pxi_from_be64(key) == delivery->due_ns;
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
    if (!is_own_row(alerts, key, &job->delivery))
        return 0;
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

/* Those that are due, or whose lease is over, from the first that may be; it ends with all of them, or before one that is leased beyond now. */
static rocksdb_iterator_t *scan_due(const struct px_alerts *alerts, bool leased, int64_t now_ns, struct pxi_bound *bound)
{
    uint8_t key[DUE_KEY];

    due_key(key, true, leased ? now_ns + 1 : 0, 0);
    rocksdb_iterator_t *scan = pxi_scan_until(&alerts->db, PXI_ALERTS_DUE, key, sizeof key, bound);
    due_key(key, leased, alerts->due_floor[leased], 0);
    rocksdb_iter_seek(scan, (char *)key, sizeof key);
    return scan;
}

static int end_scan(rocksdb_iterator_t *scan, struct pxi_bound *bound, int error)
{
    int scan_error = pxi_scan_end(scan);

    pxi_bound_end(bound);
    return error ? error : scan_error;
}

struct claim {
    int64_t now_ns, next_ns; /* next_ns: when the next will be due; 0 = none */
    struct px_job *jobs;
    uint32_t want, count;
    unsigned seen;
};

static int claim(struct px_alerts *alerts, struct claim *claim, bool leased)
{
    struct pxi_bound bound;
    rocksdb_iterator_t *scan = scan_due(alerts, leased, claim->now_ns, &bound);
    int64_t floor = claim->now_ns; /* of what this scan leaves behind */
    const uint8_t *key;
    bool taken;
    int error = 0;

    for (; !error && (key = pxi_scan_key(scan, "", 0, DUE_KEY)) != NULL; rocksdb_iter_next(scan)) {
        int64_t due_ns = (int64_t)(pxi_from_be64(key) & ~LEASED);

        if (due_ns > claim->now_ns || claim->count == claim->want || ++claim->seen > PX_ALERTS_GROUP_MAX / 2) {
            claim->next_ns = claim->next_ns > 0 ? PX_MIN(claim->next_ns, due_ns) : due_ns;
            floor = PX_MIN(floor, due_ns);
            break;
        }
        if (!pxi_may_touch(alerts, pxi_delivery_touch_id(pxi_from_be64(key + 8))))
            floor = PX_MIN(floor, due_ns);
        error = take(alerts, key, claim->now_ns, &claim->jobs[claim->count], &taken);
        claim->count += !error && taken;
    }
    error = end_scan(scan, &bound, error);
    if (!error)
        alerts->due_floor[leased] = PX_MIN(floor, alerts->group_floor[leased]);
    if (!error && !leased)
        alerts->soonest = PX_MIN(floor < claim->now_ns ? floor : claim->next_ns > 0 ? claim->next_ns : INT64_MAX, alerts->group_floor[0]);
    return error;
}

int64_t px_deliveries_soonest(const struct px_alerts *alerts)
{
    return alerts->soonest;
}

int px_deliveries_claim(struct px_alerts *alerts, int64_t now_ns, uint32_t want, struct px_job *jobs, uint32_t *countp,
                        int64_t *nextp)
{
    struct claim all = {.now_ns = now_ns, .jobs = jobs, .want = want};
    int error = claim(alerts, &all, true);

    if (!error)
        error = claim(alerts, &all, false);
    *countp = all.count;
    *nextp = all.next_ns;
    return error;
}

static int release(struct px_alerts *alerts, uint64_t number, int64_t now_ns)
{
    struct px_delivery before, now;
    int error = pxi_delivery_get(alerts, number, &before);

    if (error)
        return error;
    now = before;
    now.state = now.attempts > 0 ? PX_DELIVERY_FAILED : PX_DELIVERY_PENDING;
    now.due_ns = now_ns;
    pxi_delivery_change(alerts, &before, &now);
    return 0;
}

int px_deliveries_release(struct px_alerts *alerts, int64_t now_ns)
{
    struct pxi_bound bound;
    rocksdb_iterator_t *scan = scan_due(alerts, true, now_ns + PX_LEASE_NS, &bound);
    const uint8_t *key;
    int error = 0;

    for (unsigned count = 0; !error && count < RELEASE_MAX && (key = pxi_scan_key(scan, "", 0, DUE_KEY)) != NULL;
         rocksdb_iter_next(scan)) {
        if (!pxi_may_touch(alerts, pxi_delivery_touch_id(pxi_from_be64(key + 8))))
            continue;
        error = release(alerts, pxi_from_be64(key + 8), now_ns);
        count++;
    }
    return end_scan(scan, &bound, error);
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
