#include "store/silences.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/alerts_private.h"
#include "store/hist_private.h"

#define BUCKETS 1024

/* All of them, chained by owner. They change with the group, before it is committed: a commit that fails ends the process. */
struct pxi_silences {
    uint32_t count, free_first;    /* places from 1; 0 = none */
    uint32_t bucket[BUCKETS];      /* the first of a chain */
    uint32_t next[PX_SILENCES_MAX + 1];
    struct px_silence at[PX_SILENCES_MAX + 1];
};

static uint32_t *chain_of(struct pxi_silences *all, const char *owner)
{
    uint32_t hash = 2166136261u;

    for (; *owner; owner++)
        hash = (hash ^ (uint8_t)*owner) * 16777619u;
    return &all->bucket[hash % BUCKETS];
}

static void remember(struct pxi_silences *all, const struct px_silence *silence)
{
    uint32_t *first = chain_of(all, silence->owner), place = all->free_first;

    PX_CHECK(place != 0); /* no more are taken than there is room for */
    all->free_first = all->next[place];
    all->at[place] = *silence;
    all->next[place] = *first;
    *first = place;
    all->count++;
}

static void forget(struct pxi_silences *all, const char *owner, struct px_alert_id id)
{
    for (uint32_t *from = chain_of(all, owner); *from; from = &all->next[*from]) {
        uint32_t place = *from;

        if (all->at[place].id.hi != id.hi || all->at[place].id.lo != id.lo)
            continue;
        *from = all->next[place];
        all->next[place] = all->free_first;
        all->free_first = place;
        all->count--;
        return;
    }
}

static int read_all(struct px_alerts *alerts)
{
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_SILENCES);
    struct px_silence silence;
    size_t len;
    int error = 0;

    rocksdb_iter_seek_to_first(scan);
    for (; !error && pxi_scan_key(scan, "", 0, PXI_ALERT_KEY); rocksdb_iter_next(scan)) {
        const char *value = rocksdb_iter_value(scan, &len);

        error = px_silence_decode(value, len, &silence);
        if (!error && alerts->silences->free_first)
            remember(alerts->silences, &silence);
    }
    int scan_error = pxi_scan_end(scan);
    return error ? error : scan_error;
}

int pxi_silences_open(struct px_alerts *alerts)
{
    struct pxi_silences *all = calloc(1, sizeof *all);

    if (!all)
        return PX_E_MEMORY;
    for (uint32_t i = PX_SILENCES_MAX; i > 0; i--) {
        all->next[i] = all->free_first;
        all->free_first = i;
    }
    alerts->silences = all;
    return read_all(alerts);
}

void pxi_silences_close(struct px_alerts *alerts)
{
    free(alerts->silences);
    alerts->silences = NULL;
}

const struct px_silence *pxi_silence_of(const struct px_alerts *alerts, const struct px_alert *alert,
                                        struct px_alert_id channel, int64_t at_ns)
{
    struct pxi_silences *all = alerts->silences;

    if (all->count == 0)
        return NULL;
    for (uint32_t place = *chain_of(all, alert->owner); place; place = all->next[place])
        if (strcmp(all->at[place].owner, alert->owner) == 0 && px_silence_matches(&all->at[place], alert, channel, at_ns))
            return &all->at[place];
    return NULL;
}

/* ---- writes ---- */

static void remove_row(struct px_alerts *alerts, const char *owner, struct px_alert_id id)
{
    uint8_t key[PXI_ALERT_KEY];

    pxi_alert_key(key, owner, id);
    pxi_delete(&alerts->db, PXI_ALERTS_SILENCES, key, sizeof key);
    pxi_delete(&alerts->db, PXI_ALERTS_OWNERS, key + PX_OWNER_SIZE, 16);
    forget(alerts->silences, owner, id);
    alerts->dirty = true;
}

/* How many of the owner's have not ended, by memory; one that has ended, if there is one. */
static uint32_t lasting(const struct px_alerts *alerts, const char *owner, int64_t now_ns, uint32_t *allp,
                        const struct px_silence **endedp)
{
    struct pxi_silences *all = alerts->silences;
    uint32_t count = 0;

    *allp = 0;
    *endedp = NULL;
    for (uint32_t place = *chain_of(all, owner); place; place = all->next[place]) {
        if (strcmp(all->at[place].owner, owner) != 0)
            continue;
        ++*allp;
        if (all->at[place].ends_ns <= now_ns)
            *endedp = &all->at[place];
        else
            count++;
    }
    return count;
}

/* Those that have ended stay in the list for as long as there is room. */
static int make_room(struct px_alerts *alerts, const char *owner, uint32_t most)
{
    const struct px_silence *ended;
    uint32_t all;

    for (;;) {
        uint32_t count = lasting(alerts, owner, px_wall_now(), &all, &ended);

        if (count >= most)
            return PX_E_LIMIT;
        if (all < most && alerts->silences->count < PX_SILENCES_MAX)
            return 0;
        if (!ended)
            return PX_E_LIMIT;
        struct px_alert_id id = ended->id;
        if (!pxi_may_touch(alerts, id))
            return PX_E_AGAIN;
        pxi_touch(alerts, id);
        remove_row(alerts, owner, id);
    }
}

int px_silences_put(struct px_alerts *alerts, const struct px_silence *silence, uint32_t most, struct px_silence *storedp)
{
    uint8_t key[PXI_ALERT_KEY], value[PX_SILENCE_ENCODED_MAX];

    if (px_silence_check(silence))
        return PX_E_INVALID;
    if (!pxi_may_touch(alerts, silence->id))
        return PX_E_AGAIN;
    int error = px_silences_get(alerts, NULL, silence->id, storedp);
    if (error == 0)
        return strcmp(storedp->owner, silence->owner) == 0 ? PX_E_EXISTS : PX_E_FORBIDDEN;
    if (error != PX_E_NOT_FOUND)
        return error;
    error = make_room(alerts, silence->owner, most);
    if (error)
        return error;
    *storedp = *silence;
    storedp->created_ns = px_wall_now();
    pxi_touch(alerts, silence->id);
    pxi_alert_key(key, silence->owner, silence->id);
    pxi_put(&alerts->db, PXI_ALERTS_SILENCES, key, sizeof key, value, px_silence_encode(storedp, value));
    pxi_put(&alerts->db, PXI_ALERTS_OWNERS, key + PX_OWNER_SIZE, 16, silence->owner, strlen(silence->owner));
    remember(alerts->silences, storedp);
    return 0;
}

int px_silences_delete(struct px_alerts *alerts, const char *owner, struct px_alert_id id)
{
    struct px_silence silence;

    if (!pxi_may_touch(alerts, id))
        return PX_E_AGAIN;
    int error = px_silences_get(alerts, owner, id, &silence);
    if (error)
        return error;
    pxi_touch(alerts, id);
    remove_row(alerts, silence.owner, id);
    return 0;
}

/* ---- reading, from the database: any thread ---- */

int px_silences_get(const struct px_alerts *alerts, const char *owner, struct px_alert_id id, struct px_silence *silencep)
{
    uint8_t key[PXI_ALERT_KEY], value[PX_SILENCE_ENCODED_MAX];
    char holder[PX_OWNER_SIZE] = "";
    size_t len;

    pxi_id_key(key, id);
    int error = pxi_get(&alerts->db, PXI_ALERTS_OWNERS, key, 16, holder, sizeof holder - 1, &len);
    if (error)
        return error;
    if (owner && owner[0] && strcmp(owner, holder) != 0)
        return PX_E_NOT_FOUND;
    pxi_alert_key(key, holder, id);
    error = pxi_get(&alerts->db, PXI_ALERTS_SILENCES, key, sizeof key, value, sizeof value, &len);
    return error ? error : px_silence_decode(value, len, silencep);
}

int px_silences_list(const struct px_alerts *alerts, const char *owner, const struct px_alert_cursor *after, uint32_t limit,
                     struct px_silence *list, uint32_t *countp, bool *morep, struct px_alert_cursor *nextp)
{
    size_t prefix_len = owner && owner[0] ? PX_OWNER_SIZE : 0, len;
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_SILENCES);
    uint8_t from[PXI_ALERT_KEY];
    const uint8_t *key;
    int error = 0;

    *countp = 0;
    *morep = false;
    *nextp = *after;
    pxi_alert_key(from, prefix_len ? owner : after->owner, after->id);
    rocksdb_iter_seek(scan, (char *)from, sizeof from);
    for (; !error && (key = pxi_scan_key(scan, from, prefix_len, PXI_ALERT_KEY)) != NULL; rocksdb_iter_next(scan)) {
        if ((after->id.hi | after->id.lo) != 0 && memcmp(key, from, sizeof from) == 0)
            continue; /* the last one of the page before */
        *morep = *countp == limit;
        if (*morep)
            break;
        const char *value = rocksdb_iter_value(scan, &len);
        error = px_silence_decode(value, len, &list[*countp]);
        memcpy(nextp->owner, list[*countp].owner, sizeof nextp->owner);
        nextp->id = list[*countp].id;
        *countp += error == 0;
    }
    int scan_error = pxi_scan_end(scan);
    return error ? error : scan_error;
}
