#include "store/delivery.h"

#include <stdio.h>

#include "base/error.h"
#include "store/pack_private.h"

#define DELIVERY_FORMAT 2 /* 1 had no silence and no list of fires */

#define DELIVERY_NUMBERS(X)                                                                                            \
    X(number)                                                                                                          \
    X(eseq)                                                                                                            \
    X(alert)                                                                                                           \
    X(channel)                                                                                                         \
    X(fire_number)                                                                                                     \
    X(attempts)                                                                                                        \
    X(tries)                                                                                                           \
    X(count)                                                                                                           \
    X(state)                                                                                                           \
    X(created_ns)                                                                                                      \
    X(due_ns)                                                                                                          \
    X(expires_ns)

#define SIZE_OF(member) +sizeof(((struct px_delivery *)0)->member)
_Static_assert(1 + 0 DELIVERY_NUMBERS(SIZE_OF) + 2 + PX_OWNER_SIZE + 16 + 4 + 8 * PX_JOINED_MAX +
                       PX_ATTEMPTS_KEPT * (8 + 4 + 4 + 2 + PX_ATTEMPT_ERROR_SIZE) <=
                   PX_DELIVERY_ENCODED_MAX,
               "the largest delivery fits");

void px_delivery_id_format(uint64_t number, char text[PX_DELIVERY_ID_SIZE])
{
    snprintf(text, PX_DELIVERY_ID_SIZE, "dl_%llu", (unsigned long long)number);
}

int px_delivery_id_parse(struct px_text text, uint64_t *numberp)
{
    uint64_t number = 0;

    if (text.len < 4 || text.len > 21 || memcmp(text.at, "dl_", 3) != 0 || text.at[3] == '0')
        return PX_E_FORMAT;
    for (size_t i = 3; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return PX_E_FORMAT;
        number = number * 10 + (uint64_t)(text.at[i] - '0');
    }
    *numberp = number;
    return 0;
}

void px_delivery_name(const struct px_delivery *delivery, char text[PX_DELIVERY_NAME_SIZE])
{
    char alert[PX_ALERT_ID_SIZE];

    px_alert_id_format(delivery->alert, alert);
    if (delivery->eseq == 0)
        snprintf(text, PX_DELIVERY_NAME_SIZE, "ev_test_%llu", (unsigned long long)delivery->number);
    else
        snprintf(text, PX_DELIVERY_NAME_SIZE, "ev_%s_%u", alert, delivery->fire_number);
}

const char *px_delivery_state_name(unsigned state)
{
    switch (state) {
#define CASE(NAME, number, name)                                                                                       \
    case number:                                                                                                       \
        return name;
        PX_DELIVERY_STATE_TABLE(CASE)
#undef CASE
    default:
        return "unknown";
    }
}

enum px_delivery_state px_delivery_state_find(struct px_text name)
{
#define MATCH(NAME, number, text)                                                                                      \
    if (px_text_is(name, text))                                                                                        \
        return PX_DELIVERY_##NAME;
    PX_DELIVERY_STATE_TABLE(MATCH)
#undef MATCH
    return PX_DELIVERY_ANY;
}

static unsigned kept(const struct px_delivery *delivery)
{
    return PX_MIN(delivery->attempts, PX_ATTEMPTS_KEPT);
}

size_t px_delivery_encode(const struct px_delivery *delivery, uint8_t bytes[PX_DELIVERY_ENCODED_MAX])
{
    uint32_t joined = PX_MIN(delivery->joined_count, PX_JOINED_MAX);
    uint8_t *to = bytes;

    *to++ = DELIVERY_FORMAT;
#define PUT(member) to = pxi_pack(to, &delivery->member, sizeof delivery->member);
    DELIVERY_NUMBERS(PUT)
#undef PUT
    to = pxi_pack_text(to, delivery->owner, sizeof delivery->owner);
    to = pxi_pack(to, &delivery->silence, sizeof delivery->silence);
    to = pxi_pack(to, &joined, sizeof joined);
    to = pxi_pack(to, delivery->joined, joined * sizeof delivery->joined[0]);
    for (unsigned i = 0; i < kept(delivery); i++) {
        const struct px_attempt *attempt = &delivery->attempt[i];

        to = pxi_pack(to, &attempt->time_ns, sizeof attempt->time_ns);
        to = pxi_pack(to, &attempt->latency_us, sizeof attempt->latency_us);
        to = pxi_pack(to, &attempt->status, sizeof attempt->status);
        to = pxi_pack_text(to, attempt->error, sizeof attempt->error);
    }
    return (size_t)(to - bytes);
}

static void take_joined(struct pxi_bytes *from, struct px_delivery *deliveryp)
{
    pxi_take(from, &deliveryp->silence, sizeof deliveryp->silence);
    pxi_take(from, &deliveryp->joined_count, sizeof deliveryp->joined_count);
    from->bad |= deliveryp->joined_count > PX_JOINED_MAX;
    if (!from->bad)
        pxi_take(from, deliveryp->joined, deliveryp->joined_count * sizeof deliveryp->joined[0]);
}

int px_delivery_decode(const void *bytes, size_t n, struct px_delivery *deliveryp)
{
    struct pxi_bytes from = {bytes, n, false};
    uint8_t format = 0;

    memset(deliveryp, 0, sizeof *deliveryp);
    pxi_take(&from, &format, 1);
    if (format < 1 || format > DELIVERY_FORMAT)
        return PX_E_FORMAT;
#define TAKE(member) pxi_take(&from, &deliveryp->member, sizeof deliveryp->member);
    DELIVERY_NUMBERS(TAKE)
#undef TAKE
    pxi_take_text(&from, deliveryp->owner, sizeof deliveryp->owner);
    if (format > 1)
        take_joined(&from, deliveryp);
    for (unsigned i = 0; i < kept(deliveryp) && !from.bad; i++) {
        struct px_attempt *attempt = &deliveryp->attempt[i];

        pxi_take(&from, &attempt->time_ns, sizeof attempt->time_ns);
        pxi_take(&from, &attempt->latency_us, sizeof attempt->latency_us);
        pxi_take(&from, &attempt->status, sizeof attempt->status);
        pxi_take_text(&from, attempt->error, sizeof attempt->error);
    }
    return from.bad || from.left > 0 ? PX_E_FORMAT : 0;
}
