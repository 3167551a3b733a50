#include "store/alerts.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/alerts_private.h"
#include "store/hist_private.h"

#define BUFFER_BYTES (8u << 20)

/* ---- opening ---- */

static int read_number(const struct px_alerts *alerts, const char *key, uint64_t *valuep)
{
    size_t len;
    int error = pxi_get(&alerts->db, PXI_ALERTS_META, key, strlen(key), valuep, sizeof *valuep, &len);

    if (error == PX_E_NOT_FOUND)
        *valuep = 0;
    return error == PX_E_NOT_FOUND ? 0 : error;
}

static void put_number(struct px_alerts *alerts, const char *key, uint64_t value)
{
    pxi_put(&alerts->db, PXI_ALERTS_META, key, strlen(key), &value, sizeof value);
}

int px_alerts_open(const char *data, const struct px_names *names, struct px_alerts **alertsp)
{
    static const char *const families[] = {"default", "alerts", "owners", "events", "mine", "outbox", "meta",
                                            "channels", "deliveries", "due", "told", "storms", "silences"};
    struct px_alerts *alerts = calloc(1, sizeof *alerts);
    char path[PXI_PATH_SIZE];

    *alertsp = NULL;
    if (!alerts)
        return PX_E_MEMORY;
    snprintf(path, sizeof path, "%s/alerts", data);
    alerts->names = names;
    int error = pxi_db_open(&alerts->db, path, families, PXI_ALERTS_FAMILIES, BUFFER_BYTES);
    if (!error)
        error = read_number(alerts, "eseq", &alerts->eseq);
    if (!error)
        error = read_number(alerts, "alerts", &alerts->count);
    if (!error)
        error = read_number(alerts, "deliveries", &alerts->deliveries);
    if (!error)
        error = pxi_gathers_open(alerts);
    if (!error)
        error = pxi_silences_open(alerts);
    *alertsp = alerts;
    if (error)
        px_alerts_close(alertsp);
    return error;
}

void px_alerts_close(struct px_alerts **alertsp)
{
    if (!*alertsp)
        return;
    if ((*alertsp)->db.db)
        pxi_db_sync(&(*alertsp)->db);
    pxi_db_close(&(*alertsp)->db);
    pxi_gathers_close(*alertsp);
    pxi_silences_close(*alertsp);
    free(*alertsp);
    *alertsp = NULL;
}

/* ---- the group ---- */

static struct px_alert_id *touched_place(struct px_alerts *alerts, struct px_alert_id id)
{
    size_t mask = PX_COUNT_OF(alerts->touched) - 1;

    for (size_t i = (id.lo ^ id.hi) * UINT64_C(0x9e3779b97f4a7c15) >> 40;; i++) {
        struct px_alert_id *at = &alerts->touched[i & mask];

        if ((at->hi | at->lo) == 0 || (at->hi == id.hi && at->lo == id.lo))
            return at;
    }
}

bool pxi_may_touch(struct px_alerts *alerts, struct px_alert_id id)
{
    return alerts->changes < PX_ALERTS_GROUP_MAX && touched_place(alerts, id)->hi == 0 &&
           touched_place(alerts, id)->lo == 0;
}

void pxi_touch(struct px_alerts *alerts, struct px_alert_id id)
{
    *touched_place(alerts, id) = id;
    alerts->changes++;
    alerts->dirty = true;
}

static void count_key(char key[PXI_OWNER_KEY], const char *owner)
{
    snprintf(key, PXI_OWNER_KEY, "count/%s", owner);
}

/* The owner's count with the group under way; NULL when the group has too many owners. */
static int owner_count(struct px_alerts *alerts, const char *owner, struct pxi_owner_count **countp)
{
    char key[PXI_OWNER_KEY];

    for (unsigned i = 0; i < alerts->owners; i++) {
        *countp = &alerts->owner[i];
        if (strcmp(alerts->owner[i].owner, owner) == 0)
            return 0;
    }
    if (alerts->owners == PX_COUNT_OF(alerts->owner))
        return PX_E_AGAIN;
    *countp = &alerts->owner[alerts->owners];
    count_key(key, owner);
    int error = read_number(alerts, key, &(*countp)->count);
    if (error)
        return error;
    px_text_copy((*countp)->owner, PX_OWNER_SIZE, px_text_of(owner));
    alerts->owners++;
    return 0;
}

static void count_by(struct px_alerts *alerts, struct pxi_owner_count *count, int by)
{
    char key[PXI_OWNER_KEY];

    count->count += (uint64_t)by;
    alerts->count += (uint64_t)by;
    count_key(key, count->owner);
    put_number(alerts, key, count->count);
    put_number(alerts, "alerts", alerts->count);
}

static void put_alert(struct px_alerts *alerts, const struct px_alert *alert)
{
    uint8_t key[PXI_ALERT_KEY], value[PX_ALERT_ENCODED_MAX];

    pxi_alert_key(key, alert->owner, alert->id);
    pxi_put(&alerts->db, PXI_ALERTS_ALERTS, key, sizeof key, value, px_alert_encode(alert, value));
}

/* The record as it is to stand: what the client may not choose is set here. */
static int compose(const struct px_alerts *alerts, const struct px_alert *from, struct px_alert *alertp)
{
    const struct px_config *config = px_names_config(alerts->names);
    px_asset_id asset = px_names_asset(alerts->names, from->symbol);
    struct px_match match;

    if (px_alert_check(from) || asset == PX_ASSET_NONE)
        return PX_E_INVALID;
    *alertp = *from;
    alertp->asset = asset;
    alertp->state = PX_ALERT_ARMED;
    alertp->version = 1;
    alertp->created_ns = px_wall_now();
    alertp->last_fired_ns = 0;
    alertp->fires = 0;
    return px_alert_match(&from->rule, config->assets[asset].scale, &match) ? PX_E_INVALID : 0;
}

int px_alerts_create(struct px_alerts *alerts, const struct px_alert *alert, uint32_t most, struct px_alert *storedp)
{
    struct px_alert made;
    struct pxi_owner_count *count;
    uint8_t key[16];
    int error = compose(alerts, alert, &made);

    if (error)
        return error;
    if (!pxi_may_touch(alerts, made.id))
        return PX_E_AGAIN;
    error = px_alerts_get(alerts, NULL, made.id, storedp);
    if (error == 0)
        return strcmp(storedp->owner, made.owner) == 0 ? PX_E_EXISTS : PX_E_FORBIDDEN;
    if (error != PX_E_NOT_FOUND)
        return error;
    error = owner_count(alerts, made.owner, &count);
    if (error)
        return error;
    if (count->count >= most)
        return PX_E_LIMIT;
    pxi_touch(alerts, made.id);
    count_by(alerts, count, 1);
    pxi_id_key(key, made.id);
    pxi_put(&alerts->db, PXI_ALERTS_OWNERS, key, sizeof key, made.owner, strlen(made.owner));
    put_alert(alerts, &made);
    *storedp = made;
    return 0;
}

int px_alerts_delete(struct px_alerts *alerts, const char *owner, struct px_alert_id id, uint32_t version,
                     struct px_alert *gonep)
{
    uint8_t key[PXI_ALERT_KEY];
    struct pxi_owner_count *count;

    if (!pxi_may_touch(alerts, id))
        return PX_E_AGAIN;
    int error = px_alerts_get(alerts, owner, id, gonep);
    if (error)
        return error;
    if (version != 0 && version != gonep->version)
        return PX_E_PRECONDITION;
    error = owner_count(alerts, gonep->owner, &count);
    if (error)
        return error;
    pxi_touch(alerts, id);
    count_by(alerts, count, -1);
    pxi_alert_key(key, gonep->owner, id);
    pxi_delete(&alerts->db, PXI_ALERTS_ALERTS, key, sizeof key);
    pxi_delete(&alerts->db, PXI_ALERTS_OWNERS, key + PX_OWNER_SIZE, 16);
    return 0;
}

static void put_event(struct px_alerts *alerts, const struct px_alert_event *event, const char *symbol)
{
    uint8_t key[PXI_MINE_KEY], id[16], value[PXI_EVENT_MAX];

    pxi_mine_key(key, event->owner, event->eseq);
    pxi_id_key(id, event->fire.alert);
    pxi_put(&alerts->db, PXI_ALERTS_EVENTS, key + PX_OWNER_SIZE, 8, value,
            pxi_event_encode(alerts, event, symbol, value));
    pxi_put(&alerts->db, PXI_ALERTS_MINE, key, sizeof key, id, sizeof id);
    pxi_put(&alerts->db, PXI_ALERTS_OUTBOX, key + PX_OWNER_SIZE, 8, "", 0);
    put_number(alerts, "eseq", event->eseq);
}

void px_alerts_render_set(struct px_alerts *alerts, px_alerts_render *render, void *ctx)
{
    alerts->render = render;
    alerts->render_ctx = ctx;
}

/* Rendered once, when it fires: what it shows is what was true then, for every receiver and every attempt. */
static void tell_in_words(const struct px_alerts *alerts, const struct px_alert *alert, struct px_alert_event *event)
{
    if (alerts->render && strstr(alert->message, "{{"))
        alerts->render(alerts->render_ctx, alert, event, event->message);
    else
        memcpy(event->message, alert->message, sizeof event->message);
}

int px_alerts_fire(struct px_alerts *alerts, const struct px_fire *fire, struct px_alert_event *eventp)
{
    struct px_alert alert;

    if (!pxi_may_touch(alerts, fire->alert))
        return PX_E_AGAIN;
    int error = px_alerts_get(alerts, NULL, fire->alert, &alert);
    if (error)
        return error;
    if (alert.state != PX_ALERT_ARMED)
        return PX_E_NOT_FOUND;
    pxi_touch(alerts, fire->alert);
    alert.state = PX_ALERT_FIRED;
    alert.version++;
    alert.fires++;
    alert.last_fired_ns = fire->matched_ns;
    put_alert(alerts, &alert);

    memset(eventp, 0, sizeof *eventp);
    eventp->eseq = ++alerts->eseq;
    eventp->fire = *fire;
    eventp->fire_number = (uint32_t)alert.fires;
    eventp->count = 1;
    eventp->scale = alert.asset == PX_ASSET_NONE ? 0 : px_names_config(alerts->names)->assets[alert.asset].scale;
    eventp->op = alert.rule.condition[0].op;
    memcpy(eventp->owner, alert.owner, sizeof eventp->owner);
    memcpy(eventp->level, alert.rule.condition[0].level, sizeof eventp->level);
    memcpy(eventp->name, alert.name, sizeof eventp->name);
    tell_in_words(alerts, &alert, eventp);
    put_event(alerts, eventp, alert.symbol);
    return pxi_deliveries_make(alerts, &alert, eventp, &eventp->deliveries);
}

void px_alerts_told(struct px_alerts *alerts, uint64_t eseq)
{
    if (eseq <= alerts->told_until)
        return;
    alerts->told_until = eseq;
    alerts->dirty = true;
}

void px_alerts_checkpoint_put(struct px_alerts *alerts, uint64_t generation, uint64_t position)
{
    uint64_t value[2] = {generation, position};

    pxi_put(&alerts->db, PXI_ALERTS_META, "checkpoint", 10, value, sizeof value);
    alerts->dirty = true;
}

int px_alerts_checkpoint(const struct px_alerts *alerts, uint64_t *generationp, uint64_t *positionp)
{
    uint64_t value[2];
    size_t len;
    int error = pxi_get(&alerts->db, PXI_ALERTS_META, "checkpoint", 10, value, sizeof value, &len);

    if (error)
        return error;
    *generationp = value[0];
    *positionp = value[1];
    return 0;
}

bool px_alerts_dirty(const struct px_alerts *alerts)
{
    return alerts->dirty;
}

/* What stands in the outbox at or below `until`, found there rather than remembered: a predecessor may have left rows.
 */
static void sweep_outbox(struct px_alerts *alerts)
{
    uint8_t from[8];
    const uint8_t *key;

    if (alerts->told_until == alerts->told_from)
        return;
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_OUTBOX);
    pxi_be64(from, alerts->told_from + 1);
    rocksdb_iter_seek(scan, (char *)from, sizeof from);
    for (; (key = pxi_scan_key(scan, "", 0, 8)) && pxi_from_be64(key) <= alerts->told_until; rocksdb_iter_next(scan))
        pxi_delete(&alerts->db, PXI_ALERTS_OUTBOX, key, 8);
    rocksdb_iter_destroy(scan);
    alerts->told_from = alerts->told_until;
}

int px_alerts_commit(struct px_alerts *alerts, bool sync)
{
    sweep_outbox(alerts);
    memset(alerts->touched, 0, sizeof alerts->touched);
    alerts->changes = alerts->owners = 0;
    alerts->group_floor = INT64_MAX;
    alerts->dirty = false;
    return pxi_commit(&alerts->db, sync);
}

uint64_t px_alerts_count(const struct px_alerts *alerts)
{
    return alerts->count;
}
