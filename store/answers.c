/*
 * What has been answered under an Idempotency-Key, for a day: the same question gets the same answer, whatever has become of the alert.
 *
 *   'a' owner token             ->  the alert as it was made
 *   't' made_ns owner token     ->  (empty)                       oldest first, for those that go
 */
#include "base/clock.h"
#include "base/error.h"
#include "store/alerts_private.h"
#include "store/hist_private.h"

#define KEPT_NS     (INT64_C(86400) * PX_NS_PER_S)
#define ANSWER_KEY  (1 + PX_OWNER_SIZE + 16)
#define WHEN_KEY    (1 + 8 + PX_OWNER_SIZE + 16)

static void answer_key(uint8_t key[ANSWER_KEY], const char *owner, struct px_alert_id token)
{
    uint8_t pair[PXI_ALERT_KEY];

    pxi_alert_key(pair, owner, token);
    key[0] = 'a';
    memcpy(key + 1, pair, sizeof pair);
}

int pxi_answer_find(const struct px_alerts *alerts, const char *owner, struct px_alert_id token, struct px_alert *storedp)
{
    uint8_t key[ANSWER_KEY], value[PX_ALERT_ENCODED_MAX];
    size_t len;

    if ((token.hi | token.lo) == 0)
        return PX_E_NOT_FOUND;
    answer_key(key, owner, token);
    int error = pxi_get(&alerts->db, PXI_ALERTS_ANSWERS, key, sizeof key, value, sizeof value, &len);
    if (!error)
        error = pxi_alert_row(alerts, value, len, storedp);
    if (error)
        return error == PX_E_FORMAT ? PX_E_NOT_FOUND : error;
    return px_wall_now() - storedp->created_ns < KEPT_NS ? 0 : PX_E_NOT_FOUND;
}

void pxi_answer_put(struct px_alerts *alerts, struct px_alert_id token, const struct px_alert *alert)
{
    uint8_t key[ANSWER_KEY], when[WHEN_KEY], value[PX_ALERT_ENCODED_MAX];

    alerts->answers_floor = PX_MIN(alerts->answers_floor, alert->created_ns); /* a clock may be set back */
    answer_key(key, alert->owner, token);
    when[0] = 't';
    pxi_be64(when + 1, (uint64_t)alert->created_ns);
    memcpy(when + 9, key + 1, sizeof key - 1);
    pxi_put(&alerts->db, PXI_ALERTS_ANSWERS, key, sizeof key, value, px_alert_encode(alert, value));
    pxi_put(&alerts->db, PXI_ALERTS_ANSWERS, when, sizeof when, "", 0);
}

/* An answer goes with the mark of its own time only: the key may have been used again since. */
static void forget(struct px_alerts *alerts, const uint8_t *when)
{
    uint8_t key[ANSWER_KEY], value[PX_ALERT_ENCODED_MAX];
    struct px_alert stored;
    size_t len;

    key[0] = 'a';
    memcpy(key + 1, when + 9, sizeof key - 1);
    int error = pxi_get(&alerts->db, PXI_ALERTS_ANSWERS, key, sizeof key, value, sizeof value, &len);
    if (!error && pxi_alert_row(alerts, value, len, &stored) == 0 && (uint64_t)stored.created_ns == pxi_from_be64(when + 1))
        pxi_delete(&alerts->db, PXI_ALERTS_ANSWERS, key, sizeof key);
    pxi_delete(&alerts->db, PXI_ALERTS_ANSWERS, when, WHEN_KEY);
    alerts->dirty = true;
}

int px_alerts_forget_answers(struct px_alerts *alerts, int64_t now_ns, unsigned most, unsigned *countp)
{
    uint8_t from[9] = {'t'}, to[9] = {'t'};
    struct pxi_bound bound;
    const uint8_t *key;

    *countp = 0;
    pxi_be64(from + 1, (uint64_t)alerts->answers_floor);
    pxi_be64(to + 1, (uint64_t)PX_MAX(now_ns - KEPT_NS + 1, 0));
    rocksdb_iterator_t *scan = pxi_scan_until(&alerts->db, PXI_ALERTS_ANSWERS, to, sizeof to, &bound);
    for (rocksdb_iter_seek(scan, (char *)from, sizeof from); *countp < most && (key = pxi_scan_key(scan, "t", 1, WHEN_KEY)) != NULL;
         rocksdb_iter_next(scan)) {
        alerts->answers_floor = (int64_t)pxi_from_be64(key + 1); /* what lies before has gone, and is not walked over again */
        forget(alerts, key);
        ++*countp;
    }
    int error = pxi_scan_end(scan);
    pxi_bound_end(&bound);
    return error;
}
