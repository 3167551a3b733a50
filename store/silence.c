#include "store/silence.h"

#include "base/error.h"
#include "store/pack_private.h"

#define SILENCE_FORMAT 1

#define SILENCE_NUMBERS(X)                                                                                             \
    X(id.hi)                                                                                                           \
    X(id.lo)                                                                                                           \
    X(alert.hi)                                                                                                        \
    X(alert.lo)                                                                                                        \
    X(channel.hi)                                                                                                      \
    X(channel.lo)                                                                                                      \
    X(starts_ns)                                                                                                       \
    X(ends_ns)                                                                                                         \
    X(created_ns)

#define SILENCE_TEXTS(X)                                                                                               \
    X(owner)                                                                                                           \
    X(symbol)                                                                                                          \
    X(tag)                                                                                                             \
    X(comment)

#define SIZE_OF(member) +sizeof(((struct px_silence *)0)->member)
_Static_assert(1 + 0 SILENCE_NUMBERS(SIZE_OF) + 4 * 2 + 0 SILENCE_TEXTS(SIZE_OF) <= PX_SILENCE_ENCODED_MAX,
               "the largest silence fits");

void px_silence_id_format(struct px_alert_id id, char text[PX_ALERT_ID_SIZE])
{
    px_alert_id_format(id, text);
    memcpy(text, "si", 2);
}

int px_silence_id_parse(struct px_text text, struct px_alert_id *idp)
{
    char as_alert[PX_ALERT_ID_SIZE];

    if (text.len != sizeof as_alert - 1 || memcmp(text.at, "si_", 3) != 0)
        return PX_E_FORMAT;
    px_text_copy(as_alert, sizeof as_alert, text);
    memcpy(as_alert, "al", 2);
    return px_alert_id_parse(px_text_of(as_alert), idp);
}

static bool is_given(struct px_alert_id id)
{
    return (id.hi | id.lo) != 0;
}

static bool is_same(struct px_alert_id a, struct px_alert_id b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

int px_silence_check(const struct px_silence *silence)
{
#define OPEN_ENDED(member) || memchr(silence->member, '\0', sizeof silence->member) == NULL
    if (false SILENCE_TEXTS(OPEN_ENDED))
        return PX_E_INVALID;
#undef OPEN_ENDED
    return !silence->owner[0] || !is_given(silence->id) || silence->starts_ns < 0 || silence->ends_ns <= silence->starts_ns
               ? PX_E_INVALID
               : 0;
}

static bool has_tag(const struct px_alert *alert, const char *tag)
{
    for (unsigned i = 0; i < alert->tag_count; i++)
        if (strcmp(alert->tags[i], tag) == 0)
            return true;
    return false;
}

bool px_silence_matches(const struct px_silence *silence, const struct px_alert *alert, struct px_alert_id channel,
                        int64_t at_ns)
{
    if (at_ns < silence->starts_ns || at_ns >= silence->ends_ns)
        return false;
    if (is_given(silence->alert) && !is_same(silence->alert, alert->id))
        return false;
    if (is_given(silence->channel) && !is_same(silence->channel, channel))
        return false;
    if (silence->symbol[0] && strcmp(silence->symbol, alert->symbol) != 0)
        return false;
    return !silence->tag[0] || has_tag(alert, silence->tag);
}

size_t px_silence_encode(const struct px_silence *silence, uint8_t bytes[PX_SILENCE_ENCODED_MAX])
{
    uint8_t *to = bytes;

    *to++ = SILENCE_FORMAT;
#define PUT(member) to = pxi_pack(to, &silence->member, sizeof silence->member);
    SILENCE_NUMBERS(PUT)
#undef PUT
#define PUT(member) to = pxi_pack_text(to, silence->member, sizeof silence->member);
    SILENCE_TEXTS(PUT)
#undef PUT
    return (size_t)(to - bytes);
}

int px_silence_decode(const void *bytes, size_t n, struct px_silence *silencep)
{
    struct pxi_bytes from = {bytes, n, false};
    uint8_t format = 0;

    memset(silencep, 0, sizeof *silencep);
    pxi_take(&from, &format, 1);
    if (format != SILENCE_FORMAT)
        return PX_E_FORMAT;
#define TAKE(member) pxi_take(&from, &silencep->member, sizeof silencep->member);
    SILENCE_NUMBERS(TAKE)
#undef TAKE
#define TAKE(member) pxi_take_text(&from, silencep->member, sizeof silencep->member);
    SILENCE_TEXTS(TAKE)
#undef TAKE
    return from.bad || from.left > 0 ? PX_E_FORMAT : 0;
}
