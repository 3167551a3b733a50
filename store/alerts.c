#include "store/alerts.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/alerts_private.h"
#include "store/hist_private.h"

#define BUFFER_BYTES (8u << 20)
#define LOG_BYTES    (16u << 20) /* a start takes half a second of processor time for 20 MB of it */

/* ---- opening ---- */

int pxi_number_read(const struct px_alerts *alerts, const char *key, uint64_t *valuep)
{
    size_t len;
    int error = pxi_get(&alerts->db, PXI_ALERTS_META, key, strlen(key), valuep, sizeof *valuep, &len);

    if (error == PX_E_NOT_FOUND)
        *valuep = 0;
    return error == PX_E_NOT_FOUND ? 0 : error;
}

void pxi_number_put(struct px_alerts *alerts, const char *key, uint64_t value)
{
    pxi_put(&alerts->db, PXI_ALERTS_META, key, strlen(key), &value, sizeof value);
}

static int open_families(struct px_alerts *alerts, const char *path)
{
    static const char *const names[] = {"default", "alerts", "owners", "events", "mine", "outbox", "meta",
                                         "channels", "deliveries", "due", "told", "storms", "silences", "armed", "expiry", "tests", "answers"};
    /* A list of the index: what goes from it is next to what went before. Fires are numbered, names of alerts begin with the time. */
    static const uint8_t series[PXI_ALERTS_FAMILIES] = {
        [PXI_ALERTS_ARMED] = 6, [PXI_ALERTS_OUTBOX] = 4, [PXI_ALERTS_EVENTS] = 4, [PXI_ALERTS_OWNERS] = 4};
    struct pxi_family family[PXI_ALERTS_FAMILIES];

    _Static_assert(PX_COUNT_OF(names) == PXI_ALERTS_FAMILIES, "a name each");
    for (unsigned i = 0; i < PXI_ALERTS_FAMILIES; i++)
        family[i] = (struct pxi_family){.name = names[i],
                                        .use = i == PXI_ALERTS_ALERTS || i == PXI_ALERTS_OWNERS ? PXI_USE_KNOWN : PXI_USE_ROWS,
                                        .buffer_bytes = BUFFER_BYTES, .series = series[i]};
    return pxi_db_open_families(&alerts->db, path, family, PXI_ALERTS_FAMILIES, LOG_BYTES);
}

int px_alerts_open(const char *data, const struct px_names *names, struct px_alerts **alertsp)
{
    struct px_alerts *alerts = calloc(1, sizeof *alerts);
    char path[PXI_PATH_SIZE];

    *alertsp = NULL;
    if (!alerts)
        return PX_E_MEMORY;
    snprintf(path, sizeof path, "%s/alerts", data);
    alerts->names = names;
    int error = open_families(alerts, path);
    if (!error)
        error = pxi_number_read(alerts, "eseq", &alerts->eseq);
    if (!error)
        error = pxi_number_read(alerts, "alerts", &alerts->count);
    if (!error)
        error = pxi_number_read(alerts, "deliveries", &alerts->deliveries);
    if (!error)
        error = pxi_number_read(alerts, "told", &alerts->told);
    if (!error)
        error = pxi_numbers_open(alerts);
    if (!error)
        error = pxi_fires_open(alerts);
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
    pxi_fires_close(*alertsp);
    pxi_numbers_close(*alertsp);
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

/* Where the owner's count stands, or a free place. */
static struct pxi_owner_count *owner_place(struct px_alerts *alerts, const char *owner)
{
    size_t mask = PX_COUNT_OF(alerts->owner) - 1;
    uint64_t hash = 14695981039346656037u;

    for (const char *at = owner; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 1099511628211u;
    for (size_t i = hash >> 32;; i++) {
        struct pxi_owner_count *at = &alerts->owner[i & mask];

        if (!at->owner[0] || strcmp(at->owner, owner) == 0)
            return at;
    }
}

/* The owner's count with the group under way. Nobody else changes it, so it is read once and kept. */
static int owner_count(struct px_alerts *alerts, const char *owner, struct pxi_owner_count **countp)
{
    char key[PXI_OWNER_KEY];

    *countp = owner_place(alerts, owner);
    if ((*countp)->owner[0])
        return 0;
    count_key(key, owner);
    int error = pxi_number_read(alerts, key, &(*countp)->count);
    if (error)
        return error;
    px_text_copy((*countp)->owner, PX_OWNER_SIZE, px_text_of(owner));
    alerts->owners++;
    return 0;
}

/* Between two groups: a table that gets full starts anew. A group adds at most PX_ALERTS_GROUP_MAX. */
static void forget_owners(struct px_alerts *alerts)
{
    if (alerts->owners < PX_COUNT_OF(alerts->owner) / 2)
        return;
    memset(alerts->owner, 0, sizeof alerts->owner);
    alerts->owners = 0;
}

static void count_by(struct px_alerts *alerts, struct pxi_owner_count *count, int by)
{
    count->count += (uint64_t)by;
    alerts->count += (uint64_t)by;
    if (!count->changed)
        alerts->changed[alerts->changed_count++] = (uint32_t)(count - alerts->owner);
    count->changed = true;
}

/* Numbers that a group moves often go in once, at its end. */
static void put_numbers(struct px_alerts *alerts)
{
    char key[PXI_OWNER_KEY];

    if (alerts->changed_count > 0)
        pxi_number_put(alerts, "alerts", alerts->count);
    for (unsigned i = 0; i < alerts->changed_count; i++) {
        struct pxi_owner_count *count = &alerts->owner[alerts->changed[i]];

        count_key(key, count->owner);
        pxi_number_put(alerts, key, count->count);
        count->changed = false;
    }
    alerts->changed_count = 0;
    if (alerts->fires > 0)
        pxi_number_put(alerts, "eseq", alerts->eseq);
}

void pxi_alert_put(struct px_alerts *alerts, const struct px_alert *alert)
{
    uint8_t key[PXI_ALERT_KEY], value[PX_ALERT_ENCODED_MAX];

    pxi_alert_key(key, alert->owner, alert->id);
    pxi_put(&alerts->db, PXI_ALERTS_ALERTS, key, sizeof key, value, px_alert_encode(alert, value));
}

static void expiry_key(uint8_t key[PXI_EXPIRY_KEY], const struct px_alert *alert)
{
    pxi_be64(key, (uint64_t)alert->rule.expires_ns);
    pxi_alert_key(key + 8, alert->owner, alert->id);
}

static void put_expiry(struct px_alerts *alerts, const struct px_alert *alert)
{
    uint8_t key[PXI_EXPIRY_KEY];

    expiry_key(key, alert);
    if (alert->rule.expires_ns > 0)
        pxi_put(&alerts->db, PXI_ALERTS_EXPIRY, key, sizeof key, "", 0);
}

static void drop_expiry(struct px_alerts *alerts, const struct px_alert *alert)
{
    uint8_t key[PXI_EXPIRY_KEY];

    expiry_key(key, alert);
    if (alert->rule.expires_ns > 0)
        pxi_delete(&alerts->db, PXI_ALERTS_EXPIRY, key, sizeof key);
}

int px_alerts_plan(const struct px_alerts *alerts, const struct px_alert *alert, struct px_plan *planp)
{
    px_asset_id asset = px_names_asset(alerts->names, alert->symbol);

    if (asset == PX_ASSET_NONE)
        return PX_E_NOT_FOUND;
    int error = px_rule_plan(&alert->rule, px_names_config(alerts->names)->assets[asset].scale, planp, NULL);
    if (error)
        return error;
    planp->fires = alert->fires;
    planp->fired_ns = alert->last_fired_ns;
    if (planp->max_fires > 0) /* counted from when it was armed */
        planp->max_fires += alert->rearmed_fires;
    return 0;
}

/* The record as it is to stand: what the client may not choose is set here. */
static int compose(const struct px_alerts *alerts, const struct px_alert *from, struct px_alert *alertp)
{
    struct px_plan plan;

    *alertp = *from;
    alertp->asset = px_names_asset(alerts->names, from->symbol);
    alertp->state = PX_ALERT_ARMED;
    alertp->version = 1;
    alertp->created_ns = px_wall_now();
    alertp->last_fired_ns = 0;
    alertp->fires = alertp->rearmed_fires = 0;
    return px_alert_check(alertp) || px_alerts_plan(alerts, alertp, &plan) ? PX_E_INVALID : 0;
}

int px_alerts_answered(const struct px_alerts *alerts, const struct px_alert *alert, struct px_alert *storedp)
{
    int error = pxi_answer_find(alerts, alert->owner, alert->token, storedp);

    return error == PX_E_NOT_FOUND ? px_alerts_get(alerts, alert->owner, alert->id, storedp) : error;
}

int px_alerts_create(struct px_alerts *alerts, const struct px_alert *alert, uint32_t most, struct px_alert *storedp)
{
    struct px_alert made;
    struct pxi_owner_count *count;
    bool has_token = (alert->token.hi | alert->token.lo) != 0;
    uint8_t key[16];
    int error = compose(alerts, alert, &made);

    if (error)
        return error;
    if (!pxi_may_touch(alerts, made.id) || (has_token && !pxi_may_touch(alerts, alert->token)))
        return PX_E_AGAIN;
    error = pxi_answer_find(alerts, made.owner, alert->token, storedp);
    if (error != PX_E_NOT_FOUND)
        return error == 0 ? PX_E_EXISTS : error;
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
    pxi_alert_put(alerts, &made);
    put_expiry(alerts, &made);
    if (has_token) {
        pxi_touch(alerts, alert->token);
        pxi_answer_put(alerts, alert->token, &made);
    }
    *storedp = made;
    return 0;
}

/* The record that may be changed now. */
static int to_change(struct px_alerts *alerts, const char *owner, struct px_alert_id id, uint32_t version,
                     struct px_alert *alertp)
{
    if (!pxi_may_touch(alerts, id))
        return PX_E_AGAIN;
    int error = px_alerts_get(alerts, owner, id, alertp);
    if (error)
        return error;
    return version != 0 && version != alertp->version ? PX_E_PRECONDITION : 0;
}

int px_alerts_delete(struct px_alerts *alerts, const char *owner, struct px_alert_id id, uint32_t version,
                     struct px_alert *gonep)
{
    uint8_t key[PXI_ALERT_KEY];
    struct pxi_owner_count *count;
    int error = to_change(alerts, owner, id, version, gonep);

    if (error)
        return error;
    error = owner_count(alerts, gonep->owner, &count);
    if (error)
        return error;
    pxi_touch(alerts, id);
    count_by(alerts, count, -1);
    pxi_alert_key(key, gonep->owner, id);
    pxi_delete(&alerts->db, PXI_ALERTS_ALERTS, key, sizeof key);
    pxi_delete(&alerts->db, PXI_ALERTS_OWNERS, key + PX_OWNER_SIZE, 16);
    drop_expiry(alerts, gonep);
    return 0;
}

static void put_changed(struct px_alerts *alerts, const struct px_alert *before, struct px_alert *now)
{
    now->version = before->version + 1;
    pxi_touch(alerts, now->id);
    drop_expiry(alerts, before);
    if (now->state == PX_ALERT_ARMED || now->state == PX_ALERT_PAUSED)
        put_expiry(alerts, now);
    pxi_alert_put(alerts, now);
}

int px_alerts_update(struct px_alerts *alerts, const struct px_alert *changed, struct px_alert *storedp,
                     struct px_alert *beforep)
{
    int error = to_change(alerts, changed->owner, changed->id, changed->version, beforep);
    struct px_alert now;

    if (error)
        return error;
    error = compose(alerts, changed, &now);
    if (error)
        return error;
    memcpy(now.owner, beforep->owner, sizeof now.owner);
    now.state = beforep->state;
    now.created_ns = beforep->created_ns;
    now.last_fired_ns = beforep->last_fired_ns;
    now.fires = beforep->fires;
    now.rearmed_fires = beforep->rearmed_fires;
    put_changed(alerts, beforep, &now);
    *storedp = now;
    return 0;
}

/* The state after the action; 0: not from here. */
static unsigned state_after(enum px_alert_action action, unsigned state)
{
    switch (action) {
    case PX_ALERT_PAUSE:
        return state == PX_ALERT_ARMED || state == PX_ALERT_PAUSED ? PX_ALERT_PAUSED : 0;
    case PX_ALERT_RESUME:
        return state == PX_ALERT_ARMED || state == PX_ALERT_PAUSED ? PX_ALERT_ARMED : 0;
    case PX_ALERT_REARM:
        return PX_ALERT_ARMED;
    case PX_ALERT_EXPIRE:
        return state == PX_ALERT_ARMED || state == PX_ALERT_PAUSED ? PX_ALERT_EXPIRED : 0;
    }
    return 0;
}

int px_alerts_act(struct px_alerts *alerts, enum px_alert_action action, const char *owner, struct px_alert_id id,
                  uint32_t version, struct px_alert *storedp)
{
    struct px_alert before;
    int error = to_change(alerts, owner, id, version, &before);

    if (error)
        return error;
    *storedp = before;
    storedp->state = (uint8_t)state_after(action, before.state);
    if (action == PX_ALERT_REARM) {
        storedp->rearmed_fires = before.fires;
        if (before.rule.expires_ns > 0 && before.rule.expires_ns <= px_wall_now())
            storedp->state = 0;
    }
    if (storedp->state == 0)
        return PX_E_CONFLICT;
    put_changed(alerts, &before, storedp);
    return 0;
}

int px_alerts_expired(const struct px_alerts *alerts, int64_t now_ns, unsigned most, struct px_alert *list, unsigned *countp)
{
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_EXPIRY);
    const uint8_t *key;

    *countp = 0;
    rocksdb_iter_seek_to_first(scan);
    for (; *countp < most && (key = pxi_scan_key(scan, "", 0, PXI_EXPIRY_KEY)) != NULL; rocksdb_iter_next(scan)) {
        if ((int64_t)pxi_from_be64(key) > now_ns)
            break;
        if (px_alerts_get(alerts, NULL, pxi_id_from_key(key + 8 + PX_OWNER_SIZE), &list[*countp]) == 0)
            ++*countp;
    }
    return pxi_scan_end(scan);
}

void px_alerts_checkpoint_put(struct px_alerts *alerts, const struct px_alerts_checkpoint *checkpoint)
{
    pxi_put(&alerts->db, PXI_ALERTS_META, "checkpoint", 10, checkpoint, sizeof *checkpoint);
    alerts->dirty = true;
}

int px_alerts_checkpoint(const struct px_alerts *alerts, struct px_alerts_checkpoint *checkpointp)
{
    size_t len;

    *checkpointp = (struct px_alerts_checkpoint){0};
    int error = pxi_get(&alerts->db, PXI_ALERTS_META, "checkpoint", 10, checkpointp, sizeof *checkpointp, &len);

    return error; /* that of an older engine is shorter, and of a queue that there is no more: its generation has gone by */
}

bool px_alerts_dirty(const struct px_alerts *alerts)
{
    return alerts->dirty;
}

int px_alerts_commit(struct px_alerts *alerts, bool sync)
{
    pxi_fires_put(alerts);
    put_numbers(alerts);
    memset(alerts->touched, 0, sizeof alerts->touched);
    alerts->changes = alerts->fires = 0;
    forget_owners(alerts);
    alerts->group_floor[0] = alerts->group_floor[1] = INT64_MAX;
    alerts->dirty = false;
    return pxi_commit(&alerts->db, sync);
}

uint64_t px_alerts_count(const struct px_alerts *alerts)
{
    return alerts->count;
}
