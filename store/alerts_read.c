/* Reading alerts and their fires; any thread of the keeper. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "store/alerts_private.h"
#include "store/armed.h"
#include "store/hist_private.h"

#define SCAN_MAX                                                                                                       \
    200000 /* rows that one request may look at; a filter that finds little gets a short page and a cursor */

int pxi_alert_row(const struct px_alerts *alerts, const void *value, size_t len, struct px_alert *alertp)
{
    int error = px_alert_decode(value, len, alertp);

    if (error)
        return error;
    alertp->asset = px_names_asset(alerts->names, alertp->symbol);
    return 0;
}

void px_alerts_live(const struct px_alerts *alerts, struct px_alert *alert)
{
    struct px_plan made, plan;

    if (alert->state != PX_ALERT_ARMED || alert->fires == 0 || alert->rule.frequency == PX_FREQUENCY_ONCE)
        return;
    if (px_alerts_plan(alerts, alert, &made) != 0 || px_armed_find(alerts, alert->id, alert->asset, &made, &plan) != 0)
        return;
    if (plan.waiting)
        alert->state = PX_ALERT_WAITING;
    else if (plan.fires > 0 && plan.cooldown_ns > 0 && px_wall_now() < alert->last_fired_ns + plan.cooldown_ns)
        alert->state = PX_ALERT_COOLING;
}

static bool owned_by(const char *stored, const char *owner)
{
    return !owner || !owner[0] || strcmp(stored, owner) == 0;
}

int px_alerts_get(const struct px_alerts *alerts, const char *owner, struct px_alert_id id, struct px_alert *alertp)
{
    uint8_t key[PXI_ALERT_KEY], value[PX_ALERT_ENCODED_MAX];
    char holder[PX_OWNER_SIZE] = "";
    size_t len;

    pxi_id_key(key, id);
    int error = pxi_get(&alerts->db, PXI_ALERTS_OWNERS, key, 16, holder, sizeof holder - 1, &len);
    if (error)
        return error;
    if (!owned_by(holder, owner))
        return PX_E_NOT_FOUND;
    pxi_alert_key(key, holder, id);
    error = pxi_get(&alerts->db, PXI_ALERTS_ALERTS, key, sizeof key, value, sizeof value, &len);
    return error ? error : pxi_alert_row(alerts, value, len, alertp);
}

/* Owners first, then the rows under these. */
int pxi_alerts_fetch(const struct px_alerts *alerts, const struct px_alert_id *ids, unsigned count, struct pxi_fetched *fetched)
{
    char holders[PXI_MANY][PX_OWNER_SIZE] = {{0}};
    uint8_t names[PXI_MANY][16] = {{0}}, keys[PXI_MANY][PXI_ALERT_KEY] = {{0}};
    size_t lens[PXI_MANY];

    for (unsigned i = 0; i < count; i++)
        pxi_id_key(names[i], ids[i]);
    int error = pxi_get_many(&alerts->db, PXI_ALERTS_OWNERS, count, names, sizeof *names, holders, PX_OWNER_SIZE, lens);
    if (error)
        return error;
    for (unsigned i = 0; i < count; i++) {
        holders[i][PX_OWNER_SIZE - 1] = '\0';
        pxi_alert_key(keys[i], holders[i], ids[i]); /* of one without an owner there is none */
    }
    return pxi_get_many(&alerts->db, PXI_ALERTS_ALERTS, count, keys, PXI_ALERT_KEY, fetched->value, PX_ALERT_ENCODED_MAX, fetched->len);
}

static bool has_tag(const struct px_alert *alert, const char *tag)
{
    for (unsigned i = 0; i < alert->tag_count; i++)
        if (strcmp(alert->tags[i], tag) == 0)
            return true;
    return false;
}

static bool passes(const struct px_alert *alert, const struct px_alert *filter)
{
    return (filter->state == PX_ALERT_ANY || filter->state == alert->state) &&
           (!filter->symbol[0] || strcmp(filter->symbol, alert->symbol) == 0) &&
           (!filter->tags[0][0] || has_tag(alert, filter->tags[0]));
}

static void seek_after(rocksdb_iterator_t *scan, const char *owner, const struct px_alert_cursor *after)
{
    bool first = (after->id.hi | after->id.lo) == 0;
    uint8_t key[PXI_ALERT_KEY];
    size_t len;

    pxi_alert_key(key, owner[0] ? owner : after->owner, after->id);
    rocksdb_iter_seek(scan, (char *)key, sizeof key);
    if (first || !rocksdb_iter_valid(scan))
        return;
    const char *at = rocksdb_iter_key(scan, &len);
    if (len == sizeof key && memcmp(at, key, sizeof key) == 0)
        rocksdb_iter_next(scan);
}

int px_alerts_list(const struct px_alerts *alerts, const struct px_alert *filter, const struct px_alert_cursor *after,
                   uint32_t limit, struct px_alert *list, uint32_t *countp, bool *morep, struct px_alert_cursor *nextp)
{
    uint8_t prefix[PXI_ALERT_KEY];
    struct px_alert alert;
    const uint8_t *key;
    size_t len, prefix_len = filter->owner[0] ? PX_OWNER_SIZE : 0;
    int error = 0;

    *countp = 0;
    *morep = false;
    *nextp = *after;
    pxi_alert_key(prefix, filter->owner, (struct px_alert_id){0, 0});
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_ALERTS);
    seek_after(scan, filter->owner, after);
    for (uint32_t seen = 0; (key = pxi_scan_key(scan, prefix, prefix_len, PXI_ALERT_KEY)) != NULL; seen++) {
        const char *value = rocksdb_iter_value(scan, &len);

        error = pxi_alert_row(alerts, value, len, &alert);
        if (error)
            break;
        px_alerts_live(alerts, &alert);
        bool wanted = passes(&alert, filter);
        *morep = seen >= SCAN_MAX || (wanted && *countp == limit);
        if (*morep)
            break;
        if (wanted)
            list[(*countp)++] = alert;
        memcpy(nextp->owner, alert.owner, sizeof nextp->owner);
        nextp->id = alert.id;
        rocksdb_iter_next(scan);
    }
    int scan_error = pxi_scan_end(scan);
    return error ? error : scan_error;
}

/* ---- events ---- */

static bool is_of(const struct px_event_query *query, struct px_alert_id id)
{
    return (query->alert.hi | query->alert.lo) == 0 || (query->alert.hi == id.hi && query->alert.lo == id.lo);
}

/* The first row of the query: after `since`, or the newest. */
static void seek_event(rocksdb_iterator_t *scan, const struct px_event_query *query, size_t prefix_len)
{
    uint8_t from[PXI_MINE_KEY];

    pxi_mine_key(from, query->owner ? query->owner : "", query->descending ? UINT64_MAX : query->since + 1);
    const char *key = (const char *)from + PX_OWNER_SIZE - prefix_len;
    if (query->descending)
        rocksdb_iter_seek_for_prev(scan, key, prefix_len + 8);
    else
        rocksdb_iter_seek(scan, key, prefix_len + 8);
}

/* An owner's own list says of which alert a fire is; that of everybody's fires has to be asked for each. */
int px_alerts_events(const struct px_alerts *alerts, const struct px_event_query *query, struct px_alert_event *events, uint32_t *countp,
                     bool *morep)
{
    size_t prefix_len = query->owner && query->owner[0] ? PX_OWNER_SIZE : 0, len;
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, prefix_len ? PXI_ALERTS_MINE : PXI_ALERTS_EVENTS);
    struct px_alert_event event;
    uint8_t prefix[PXI_MINE_KEY];
    const uint8_t *key;
    int error = 0;

    *countp = 0;
    *morep = false;
    pxi_mine_key(prefix, query->owner ? query->owner : "", 0);
    if (query->since != UINT64_MAX)
        seek_event(scan, query, prefix_len);
    for (; query->since != UINT64_MAX && (key = pxi_scan_key(scan, prefix, prefix_len, prefix_len + 8)) != NULL;
         query->descending ? rocksdb_iter_prev(scan) : rocksdb_iter_next(scan)) {
        uint64_t eseq = pxi_from_be64(key + prefix_len);

        if (eseq <= query->since)
            break;
        if (prefix_len > 0 && !is_of(query, pxi_id_from_key((const uint8_t *)rocksdb_iter_value(scan, &len))))
            continue;
        error = pxi_event_get(alerts, eseq, &event);
        if (error)
            break;
        if (!is_of(query, event.fire.alert))
            continue;
        *morep = *countp == query->limit;
        if (*morep)
            break;
        events[(*countp)++] = event;
    }
    int scan_error = pxi_scan_end(scan);
    return error ? error : scan_error;
}

int px_alerts_events_since(const struct px_alerts *alerts, uint64_t since, uint32_t limit, struct px_alert_event *events,
                           uint32_t *countp)
{
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_EVENTS);
    uint8_t from[8];
    const uint8_t *key;
    int error = 0;

    *countp = 0;
    pxi_be64(from, since + 1);
    rocksdb_iter_seek(scan, (char *)from, sizeof from);
    for (; *countp < limit && !error && (key = pxi_scan_key(scan, "", 0, 8)) != NULL; rocksdb_iter_next(scan)) {
        error = pxi_event_get(alerts, pxi_from_be64(key), &events[*countp]);
        *countp += error == 0;
    }
    int scan_error = pxi_scan_end(scan);
    return error ? error : scan_error;
}

/* ---- the walk over armed alerts ---- */

struct px_alerts_walk {
    const struct px_alerts *alerts;
    rocksdb_iterator_t *scan; /* sees the database as it was when made */
};

struct px_alerts_walk *px_alerts_walk_begin(const struct px_alerts *alerts)
{
    struct px_alerts_walk *walk = calloc(1, sizeof *walk);

    PX_CHECK(walk != NULL);
    walk->alerts = alerts;
    walk->scan = pxi_scan(&alerts->db, PXI_ALERTS_ALERTS);
    rocksdb_iter_seek_to_first(walk->scan);
    return walk;
}

int px_alerts_walk_next(struct px_alerts_walk *walk, struct px_alert *alertp)
{
    for (; pxi_scan_key(walk->scan, "", 0, PXI_ALERT_KEY); rocksdb_iter_next(walk->scan)) {
        size_t len;
        const char *value = rocksdb_iter_value(walk->scan, &len);
        int error = pxi_alert_row(walk->alerts, value, len, alertp);

        if (error) { /* one bad row must not keep all others from being armed */
            px_log_limited(PX_LOG_ERROR, 1, "alert_unreadable bytes=%zu", len);
            continue;
        }
        if (alertp->state != PX_ALERT_ARMED || alertp->asset == PX_ASSET_NONE)
            continue;
        rocksdb_iter_next(walk->scan);
        return 0;
    }
    return PX_E_EMPTY;
}

void px_alerts_walk_end(struct px_alerts_walk **walkp)
{
    if (!*walkp)
        return;
    rocksdb_iter_destroy((*walkp)->scan);
    free(*walkp);
    *walkp = NULL;
}
