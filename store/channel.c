#include "store/channel.h"

#include "base/error.h"
#include "store/pack_private.h"

#define CHANNEL_FORMAT 3 /* 1 had no group_s, 2 no code */

#define CHANNEL_NUMBERS(X)                                                                                             \
    X(id.hi)                                                                                                           \
    X(id.lo)                                                                                                           \
    X(type)                                                                                                            \
    X(format)                                                                                                          \
    X(state)                                                                                                           \
    X(version)                                                                                                         \
    X(ttl_s)                                                                                                           \
    X(per_minute)                                                                                                      \
    X(created_ns)                                                                                                      \
    X(rotated_ns)

#define CHANNEL_TEXTS(X)                                                                                               \
    X(owner)                                                                                                           \
    X(name)                                                                                                            \
    X(target)                                                                                                          \
    X(secret)                                                                                                          \
    X(before)                                                                                                          \
    X(p256dh)                                                                                                          \
    X(auth)

#define SIZE_OF(member) +sizeof(((struct px_channel *)0)->member)
_Static_assert(1 + 0 CHANNEL_NUMBERS(SIZE_OF) + 7 * 2 + 4 + 4 + 8 + 8 + PX_CODE_SIZE + 0 CHANNEL_TEXTS(SIZE_OF) <= PX_CHANNEL_ENCODED_MAX,
               "the largest channel fits");

void px_channel_id_format(struct px_alert_id id, char text[PX_ALERT_ID_SIZE])
{
    px_alert_id_format(id, text);
    memcpy(text, "ch", 2);
}

int px_channel_id_parse(struct px_text text, struct px_alert_id *idp)
{
    char as_alert[PX_ALERT_ID_SIZE];

    if (text.len != sizeof as_alert - 1 || memcmp(text.at, "ch_", 3) != 0)
        return PX_E_FORMAT;
    px_text_copy(as_alert, sizeof as_alert, text);
    memcpy(as_alert, "al", 2);
    return px_alert_id_parse(px_text_of(as_alert), idp);
}

#define CASE(NAME, number, name)                                                                                       \
    case number:                                                                                                       \
        return name;

const char *px_channel_type_name(unsigned type)
{
    switch (type) {
        PX_CHANNEL_TYPE_TABLE(CASE)
    default:
        return "unknown";
    }
}

const char *px_channel_state_name(unsigned state)
{
    switch (state) {
        PX_CHANNEL_STATE_TABLE(CASE)
    default:
        return "unknown";
    }
}
#undef CASE

int px_channel_check(const struct px_channel *channel)
{
#define OPEN_ENDED(member) || memchr(channel->member, '\0', sizeof channel->member) == NULL
    if (false CHANNEL_TEXTS(OPEN_ENDED))
        return PX_E_INVALID;
#undef OPEN_ENDED
    if (memchr(channel->code, '\0', sizeof channel->code) == NULL)
        return PX_E_INVALID;
    if (!channel->owner[0] || !channel->target[0] || (channel->id.hi | channel->id.lo) == 0)
        return PX_E_INVALID;
    if (channel->type < PX_CHANNEL_WEBHOOK || channel->type > PX_CHANNEL_WEBPUSH || channel->state < PX_CHANNEL_ACTIVE ||
        channel->state > PX_CHANNEL_GONE || channel->format < PX_FORMAT_STANDARD || channel->format > PX_FORMAT_RAW)
        return PX_E_INVALID;
    return channel->ttl_s > PX_CHANNEL_TTL_MAX_S || channel->per_minute > PX_CHANNEL_RATE_MAX ||
                   channel->group_s > PX_CHANNEL_GROUP_MAX_S
               ? PX_E_INVALID
               : 0;
}

size_t px_channel_encode(const struct px_channel *channel, uint8_t bytes[PX_CHANNEL_ENCODED_MAX])
{
    uint8_t *to = bytes;

    *to++ = CHANNEL_FORMAT;
#define PUT(member) to = pxi_pack(to, &channel->member, sizeof channel->member);
    CHANNEL_NUMBERS(PUT)
#undef PUT
#define PUT(member) to = pxi_pack_text(to, channel->member, sizeof channel->member);
    CHANNEL_TEXTS(PUT)
#undef PUT
    to = pxi_pack(to, &channel->group_s, sizeof channel->group_s);
    to = pxi_pack(to, &channel->code_tries, sizeof channel->code_tries);
    to = pxi_pack(to, &channel->code_ns, sizeof channel->code_ns);
    to = pxi_pack(to, &channel->verified_ns, sizeof channel->verified_ns);
    to = pxi_pack(to, channel->code, sizeof channel->code);
    return (size_t)(to - bytes);
}

static void take_code(struct pxi_bytes *from, struct px_channel *channelp)
{
    pxi_take(from, &channelp->code_tries, sizeof channelp->code_tries);
    pxi_take(from, &channelp->code_ns, sizeof channelp->code_ns);
    pxi_take(from, &channelp->verified_ns, sizeof channelp->verified_ns);
    pxi_take(from, channelp->code, sizeof channelp->code);
    channelp->code[sizeof channelp->code - 1] = '\0';
}

int px_channel_decode(const void *bytes, size_t n, struct px_channel *channelp)
{
    struct pxi_bytes from = {bytes, n, false};
    uint8_t format = 0;

    memset(channelp, 0, sizeof *channelp);
    pxi_take(&from, &format, 1);
    if (format < 1 || format > CHANNEL_FORMAT)
        return PX_E_FORMAT;
#define TAKE(member) pxi_take(&from, &channelp->member, sizeof channelp->member);
    CHANNEL_NUMBERS(TAKE)
#undef TAKE
#define TAKE(member) pxi_take_text(&from, channelp->member, sizeof channelp->member);
    CHANNEL_TEXTS(TAKE)
#undef TAKE
    if (format > 1)
        pxi_take(&from, &channelp->group_s, sizeof channelp->group_s);
    if (format > 2)
        take_code(&from, channelp);
    return from.bad || from.left > 0 ? PX_E_FORMAT : 0;
}
