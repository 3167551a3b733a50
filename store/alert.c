#include "store/alert.h"

#include "base/error.h"
#include "match/plan.h"

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

void px_alert_id_format(struct px_alert_id id, char text[PX_ALERT_ID_SIZE])
{
    unsigned __int128 rest = (unsigned __int128)id.hi << 64 | id.lo;

    memcpy(text, "al_", 3);
    for (int i = 28; i >= 3; i--, rest >>= 5)
        text[i] = digits[rest & 31];
    text[29] = '\0';
}

int px_alert_id_parse(struct px_text text, struct px_alert_id *idp)
{
    unsigned __int128 value = 0;

    if (text.len != PX_ALERT_ID_SIZE - 1 || memcmp(text.at, "al_", 3) != 0)
        return PX_E_FORMAT;
    for (size_t i = 3; i < text.len; i++) {
        char c = text.at[i] >= 'A' && text.at[i] <= 'Z' ? (char)(text.at[i] + 32) : text.at[i];
        const char *at = c ? strchr(digits, c) : NULL;

        if (!at || (i == 3 && at - digits > 7)) /* 26 digits hold 130 bits */
            return PX_E_FORMAT;
        value = value << 5 | (unsigned)(at - digits);
    }
    *idp = (struct px_alert_id){(uint64_t)(value >> 64), (uint64_t)value};
    return 0;
}

const char *px_alert_state_name(unsigned state)
{
    switch (state) {
#define CASE(NAME, number, name)                                                                                       \
    case number:                                                                                                       \
        return name;
        PX_ALERT_STATE_TABLE(CASE)
#undef CASE
    default:
        return "unknown";
    }
}

enum px_alert_state px_alert_state_find(struct px_text name)
{
#define MATCH(NAME, number, text)                                                                                      \
    if (px_text_is(name, text))                                                                                        \
        return PX_ALERT_##NAME;
    PX_ALERT_STATE_TABLE(MATCH)
#undef MATCH
    return PX_ALERT_ANY;
}

int px_alert_level(unsigned op, struct px_text level, unsigned scale, int64_t *mantissap)
{
    switch (op) {
    case PX_OP_GREATER_OR_EQUAL:
    case PX_OP_CROSSING_UP:
        return px_decimal_parse(level, scale, PX_ROUND_UP, mantissap);
    case PX_OP_LESS_OR_EQUAL:
    case PX_OP_CROSSING_DOWN:
        return px_decimal_parse(level, scale, PX_ROUND_DOWN, mantissap);
    default:
        return PX_E_INVALID;
    }
}

/* ---- the durable encoding ---- */

#define ALERT_FORMAT     2
#define ALERT_FORMAT_OLD 1 /* without channels */

#define ALERT_NUMBERS(X)                                                                                               \
    X(id.hi)                                                                                                           \
    X(id.lo)                                                                                                           \
    X(op)                                                                                                              \
    X(source)                                                                                                          \
    X(frequency)                                                                                                       \
    X(state)                                                                                                           \
    X(level_scale)                                                                                                     \
    X(tag_count)                                                                                                       \
    X(version)                                                                                                         \
    X(level)                                                                                                           \
    X(created_ns)                                                                                                      \
    X(last_fired_ns)                                                                                                   \
    X(fires)

#define ALERT_TEXTS(X)                                                                                                 \
    X(owner)                                                                                                           \
    X(symbol)                                                                                                          \
    X(level_text)                                                                                                      \
    X(name)                                                                                                            \
    X(message)

/* Numbers at their own width, little-endian as the machine has them; an engine's data folder stays on its architecture.
 */
#define SIZE_OF(member) +sizeof(((struct px_alert *)0)->member)
_Static_assert(1 + 0 ALERT_NUMBERS(SIZE_OF) + 5 * 2 + 0 ALERT_TEXTS(SIZE_OF) +
                       PX_ALERT_TAGS_MAX * (2 + PX_ALERT_TAG_SIZE) + 1 + PX_ALERT_CHANNELS_MAX * sizeof(struct px_alert_id) <=
                   PX_ALERT_ENCODED_MAX,
               "the largest alert fits");

struct bytes {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static uint8_t *put(uint8_t *to, const void *from, size_t n)
{
    memcpy(to, from, n);
    return to + n;
}

static uint8_t *put_text(uint8_t *to, const char *text, size_t size)
{
    uint16_t n = (uint16_t)strnlen(text, size - 1);

    return put(put(to, &n, sizeof n), text, n);
}

static void take(struct bytes *from, void *to, size_t n)
{
    if (from->bad || from->left < n) {
        from->bad = true;
        return;
    }
    memcpy(to, from->at, n);
    from->at += n;
    from->left -= n;
}

static void take_text(struct bytes *from, char *to, size_t size)
{
    uint16_t n = 0;

    take(from, &n, sizeof n);
    if (n >= size)
        from->bad = true;
    else
        take(from, to, n); /* the record was zeroed: terminated */
}

size_t px_alert_encode(const struct px_alert *alert, uint8_t bytes[PX_ALERT_ENCODED_MAX])
{
    uint8_t *to = bytes;

    *to++ = ALERT_FORMAT;
#define PUT(member) to = put(to, &alert->member, sizeof alert->member);
    ALERT_NUMBERS(PUT)
#undef PUT
#define PUT(member) to = put_text(to, alert->member, sizeof alert->member);
    ALERT_TEXTS(PUT)
#undef PUT
    for (unsigned i = 0; i < alert->tag_count; i++)
        to = put_text(to, alert->tags[i], PX_ALERT_TAG_SIZE);
    to = put(to, &alert->channel_count, 1);
    to = put(to, alert->channels, alert->channel_count * sizeof alert->channels[0]);
    return (size_t)(to - bytes);
}

int px_alert_decode(const void *bytes, size_t n, struct px_alert *alertp)
{
    struct bytes from = {bytes, n, false};
    uint8_t format = 0;

    memset(alertp, 0, sizeof *alertp);
    alertp->asset = PX_ASSET_NONE;
    take(&from, &format, 1);
    if (format != ALERT_FORMAT && format != ALERT_FORMAT_OLD)
        return PX_E_FORMAT;
#define TAKE(member) take(&from, &alertp->member, sizeof alertp->member);
    ALERT_NUMBERS(TAKE)
#undef TAKE
#define TAKE(member) take_text(&from, alertp->member, sizeof alertp->member);
    ALERT_TEXTS(TAKE)
#undef TAKE
    if (alertp->tag_count > PX_ALERT_TAGS_MAX)
        return PX_E_FORMAT;
    for (unsigned i = 0; i < alertp->tag_count; i++)
        take_text(&from, alertp->tags[i], PX_ALERT_TAG_SIZE);
    if (format != ALERT_FORMAT_OLD)
        take(&from, &alertp->channel_count, 1);
    if (alertp->channel_count > PX_ALERT_CHANNELS_MAX)
        return PX_E_FORMAT;
    take(&from, alertp->channels, alertp->channel_count * sizeof alertp->channels[0]);
    return from.bad || from.left > 0 ? PX_E_FORMAT : 0;
}

int px_alert_check(const struct px_alert *alert)
{
#define OPEN_ENDED(member) || memchr(alert->member, '\0', sizeof alert->member) == NULL
    if (false ALERT_TEXTS(OPEN_ENDED) || alert->tag_count > PX_ALERT_TAGS_MAX ||
        alert->channel_count > PX_ALERT_CHANNELS_MAX)
        return PX_E_INVALID;
#undef OPEN_ENDED
    for (unsigned i = 0; i < PX_ALERT_TAGS_MAX; i++)
        if (!memchr(alert->tags[i], '\0', PX_ALERT_TAG_SIZE))
            return PX_E_INVALID;
    if (!alert->owner[0] || !alert->symbol[0] || !alert->level_text[0] || (alert->id.hi | alert->id.lo) == 0)
        return PX_E_INVALID;
    if (alert->op < PX_OP_GREATER_OR_EQUAL || alert->op > PX_OP_CROSSING_DOWN || alert->source != PX_SOURCE_LAST ||
        alert->frequency != PX_FREQUENCY_ONCE)
        return PX_E_INVALID;
    return 0;
}
