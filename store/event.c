/* The durable form of a fire, and the keys of the alert store. */
#include "base/error.h"
#include "store/alerts_private.h"
#include "store/hist_private.h"

#define EVENT_FORMAT 2
#define EVENT_FORMAT_LAST 1 /* of the last price only: without the series */

struct head {
    uint64_t eseq;
    struct px_alert_id alert;
    int64_t price, prev, time_ns, recv_ns, matched_ns;
    uint64_t position, sseq;
    uint32_t fire_number;
    uint16_t op, flags;
};

static uint8_t *put_text(uint8_t *to, const char *text, size_t size)
{
    uint16_t n = (uint16_t)strnlen(text, size - 1);

    memcpy(to, &n, sizeof n);
    memcpy(to + sizeof n, text, n);
    return to + sizeof n + n;
}

static bool take_text(const uint8_t **at, const uint8_t *end, char *to, size_t size)
{
    uint16_t n;

    if (end - *at < (ptrdiff_t)sizeof n)
        return false;
    memcpy(&n, *at, sizeof n);
    *at += sizeof n;
    if (end - *at < n || n >= size)
        return false;
    memcpy(to, *at, n);
    to[n] = '\0';
    *at += n;
    return true;
}

_Static_assert(2 + sizeof(struct head) + 6 * 2 + PX_OWNER_SIZE + PX_LEVEL_SIZE + PX_ALERT_NAME_SIZE +
                       PX_ALERT_MESSAGE_SIZE + PX_SYMBOL_SIZE + 24 <=
                   PXI_EVENT_MAX,
               "the largest event fits");

size_t pxi_event_encode(const struct px_alerts *alerts, const struct px_alert_event *event, const char *symbol,
                        uint8_t bytes[PXI_EVENT_MAX])
{
    const struct px_fire *fire = &event->fire;
    struct head head = {event->eseq,      fire->alert,    fire->price, fire->prev,         fire->time_ns, fire->recv_ns,
                        fire->matched_ns, fire->position, fire->sseq,  event->fire_number, event->op,     fire->flags};
    uint8_t *to = bytes;

    *to++ = EVENT_FORMAT;
    *to++ = (uint8_t)event->series;
    memcpy(to, &head, sizeof head);
    to = put_text(to + sizeof head, event->owner, sizeof event->owner);
    to = put_text(to, event->level, sizeof event->level);
    to = put_text(to, event->name, sizeof event->name);
    to = put_text(to, event->message, sizeof event->message);
    to = put_text(to, symbol, PX_SYMBOL_SIZE);
    to = put_text(to, px_names_venue_text(alerts->names, fire->venue), 24);
    return (size_t)(to - bytes);
}

uint8_t pxi_event_scale(const struct px_alerts *alerts, const struct px_alert_event *event)
{
    if (event->fire.asset == PX_ASSET_NONE || event->series >= PX_SERIES)
        return 0;
    return (uint8_t)px_series_scale(event->series, px_names_config(alerts->names)->assets[event->fire.asset].scale);
}

int pxi_event_decode(const struct px_alerts *alerts, const void *bytes, size_t n, struct px_alert_event *eventp)
{
    const uint8_t *at = bytes, *end = at + n;
    char symbol[PX_SYMBOL_SIZE], venue[24];
    struct head head;

    memset(eventp, 0, sizeof *eventp);
    if (n < 2 + sizeof head || (*at != EVENT_FORMAT && *at != EVENT_FORMAT_LAST))
        return PX_E_FORMAT;
    if (*at++ == EVENT_FORMAT)
        eventp->series = *at++;
    memcpy(&head, at, sizeof head);
    at += sizeof head;
    if (!take_text(&at, end, eventp->owner, sizeof eventp->owner) ||
        !take_text(&at, end, eventp->level, sizeof eventp->level) ||
        !take_text(&at, end, eventp->name, sizeof eventp->name) ||
        !take_text(&at, end, eventp->message, sizeof eventp->message) || !take_text(&at, end, symbol, sizeof symbol) ||
        !take_text(&at, end, venue, sizeof venue) || at != end)
        return PX_E_FORMAT;
    eventp->eseq = head.eseq;
    eventp->fire_number = head.fire_number;
    eventp->op = head.op;
    eventp->count = 1;
    eventp->fire = (struct px_fire){.alert = head.alert,
                                    .asset = px_names_asset(alerts->names, symbol),
                                    .venue = px_names_venue(alerts->names, venue),
                                    .flags = head.flags,
                                    .price = head.price,
                                    .prev = head.prev,
                                    .time_ns = head.time_ns,
                                    .recv_ns = head.recv_ns,
                                    .matched_ns = head.matched_ns,
                                    .position = head.position,
                                    .sseq = head.sseq};
    eventp->scale = pxi_event_scale(alerts, eventp);
    return 0;
}

int pxi_event_get(const struct px_alerts *alerts, uint64_t eseq, struct px_alert_event *eventp)
{
    uint8_t key[8], value[PXI_EVENT_MAX];
    size_t len;

    pxi_be64(key, eseq);
    int error = pxi_get(&alerts->db, PXI_ALERTS_EVENTS, key, sizeof key, value, sizeof value, &len);
    return error ? error : pxi_event_decode(alerts, value, len, eventp);
}

void pxi_id_key(uint8_t key[16], struct px_alert_id id)
{
    pxi_be64(key, id.hi);
    pxi_be64(key + 8, id.lo);
}

struct px_alert_id pxi_id_from_key(const uint8_t key[16])
{
    return (struct px_alert_id){pxi_from_be64(key), pxi_from_be64(key + 8)};
}

void pxi_alert_key(uint8_t key[PXI_ALERT_KEY], const char *owner, struct px_alert_id id)
{
    memset(key, 0, PX_OWNER_SIZE);
    memcpy(key, owner, strnlen(owner, PX_OWNER_SIZE));
    pxi_id_key(key + PX_OWNER_SIZE, id);
}

void pxi_mine_key(uint8_t key[PXI_MINE_KEY], const char *owner, uint64_t eseq)
{
    memset(key, 0, PX_OWNER_SIZE);
    memcpy(key, owner, strnlen(owner, PX_OWNER_SIZE));
    pxi_be64(key + PX_OWNER_SIZE, eseq);
}
