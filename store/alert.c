#include "store/alert.h"

#include "base/error.h"
#include "store/pack_private.h"

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

/* ---- the durable encoding ---- */

#define ALERT_FORMAT          3
#define ALERT_FORMAT_LEVEL    2 /* one level and a bare operator instead of a rule */
#define ALERT_FORMAT_LEVEL_1  1 /* and no channels */

#define ALERT_NUMBERS(X)                                                                                               \
    X(id.hi)                                                                                                           \
    X(id.lo)                                                                                                           \
    X(state)                                                                                                           \
    X(tag_count)                                                                                                       \
    X(channel_count)                                                                                                   \
    X(version)                                                                                                         \
    X(created_ns)                                                                                                      \
    X(last_fired_ns)                                                                                                   \
    X(fires)                                                                                                           \
    X(rearmed_fires)                                                                                                   \
    X(rule.conditions)                                                                                                 \
    X(rule.frequency)                                                                                                  \
    X(rule.hysteresis_pct)

#define ALERT_TEXTS(X)                                                                                                 \
    X(owner)                                                                                                           \
    X(symbol)                                                                                                          \
    X(name)                                                                                                            \
    X(message)

/* Of a rule, only those that are set: a bit each says which. */
#define RULE_NUMBERS(X)                                                                                                \
    X(0, bar_s)                                                                                                        \
    X(1, cooldown_ns)                                                                                                  \
    X(2, expires_ns)                                                                                                   \
    X(3, max_fires)
#define RULE_HYSTERESIS 16

/* Of a condition likewise. */
enum { CONDITION_WINDOW = 1, CONDITION_LEVEL = 2, CONDITION_UPPER = 4 };

#define RULE_MAX                                                                                                       \
    (1 + sizeof(struct px_rule) - PX_LEGS_MAX * sizeof(struct px_condition) + 1 +                                     \
     PX_LEGS_MAX * (3 + sizeof(uint32_t) + 2 * (1 + PX_LEVEL_SIZE)))

/* Numbers at their own width, little-endian as the machine has them; an engine's data folder stays on its architecture.
 */
#define SIZE_OF(member) +sizeof(((struct px_alert *)0)->member)
_Static_assert(1 + 0 ALERT_NUMBERS(SIZE_OF) + 4 * 2 + 0 ALERT_TEXTS(SIZE_OF) +
                       PX_ALERT_TAGS_MAX * (2 + PX_ALERT_TAG_SIZE) + PX_ALERT_CHANNELS_MAX * sizeof(struct px_alert_id) +
                       RULE_MAX <= PX_ALERT_ENCODED_MAX,
               "the largest alert fits");

static uint8_t *put_level(uint8_t *to, const char *level)
{
    uint8_t n = (uint8_t)strnlen(level, PX_LEVEL_SIZE - 1);

    return pxi_pack(pxi_pack(to, &n, 1), level, n);
}

static void take_level(struct pxi_bytes *from, char *to)
{
    uint8_t n = 0;

    pxi_take(from, &n, 1);
    if (n >= PX_LEVEL_SIZE)
        from->bad = true;
    else
        pxi_take(from, to, n); /* the record was zeroed: terminated */
}

static uint8_t *put_condition(uint8_t *to, const struct px_condition *condition)
{
    uint8_t set = (uint8_t)((condition->window_s ? CONDITION_WINDOW : 0) | (condition->level[0] ? CONDITION_LEVEL : 0) |
                            (condition->upper[0] ? CONDITION_UPPER : 0));

    *to++ = condition->op;
    *to++ = condition->source;
    *to++ = set;
    if (set & CONDITION_WINDOW)
        to = pxi_pack(to, &condition->window_s, sizeof condition->window_s);
    if (set & CONDITION_LEVEL)
        to = put_level(to, condition->level);
    return set & CONDITION_UPPER ? put_level(to, condition->upper) : to;
}

static void take_condition(struct pxi_bytes *from, struct px_condition *condition)
{
    uint8_t set = 0;

    pxi_take(from, &condition->op, 1);
    pxi_take(from, &condition->source, 1);
    pxi_take(from, &set, 1);
    if (set & CONDITION_WINDOW)
        pxi_take(from, &condition->window_s, sizeof condition->window_s);
    if (set & CONDITION_LEVEL)
        take_level(from, condition->level);
    if (set & CONDITION_UPPER)
        take_level(from, condition->upper);
}

static uint8_t *put_rule(uint8_t *to, const struct px_rule *rule)
{
    uint8_t *set = to++;

    *set = 0;
#define PUT(bit, member)                                                                                               \
    if (rule->member != 0) {                                                                                           \
        *set |= 1 << bit;                                                                                              \
        to = pxi_pack(to, &rule->member, sizeof rule->member);                                                         \
    }
    RULE_NUMBERS(PUT)
#undef PUT
    if (rule->hysteresis[0]) {
        *set |= RULE_HYSTERESIS;
        to = put_level(to, rule->hysteresis);
    }
    for (unsigned i = 0; i < rule->conditions; i++)
        to = put_condition(to, &rule->condition[i]);
    return to;
}

static void take_rule(struct pxi_bytes *from, struct px_rule *rule)
{
    uint8_t set = 0;

    pxi_take(from, &set, 1);
#define TAKE(bit, member)                                                                                              \
    if (set & 1 << bit)                                                                                                \
        pxi_take(from, &rule->member, sizeof rule->member);
    RULE_NUMBERS(TAKE)
#undef TAKE
    if (set & RULE_HYSTERESIS)
        take_level(from, rule->hysteresis);
    for (unsigned i = 0; i < rule->conditions; i++)
        take_condition(from, &rule->condition[i]);
}

size_t px_alert_encode(const struct px_alert *alert, uint8_t bytes[PX_ALERT_ENCODED_MAX])
{
    uint8_t *to = bytes;

    PX_CHECK(alert->rule.conditions <= PX_LEGS_MAX);
    *to++ = ALERT_FORMAT;
#define PUT(member) to = pxi_pack(to, &alert->member, sizeof alert->member);
    ALERT_NUMBERS(PUT)
#undef PUT
#define PUT(member) to = pxi_pack_text(to, alert->member, sizeof alert->member);
    ALERT_TEXTS(PUT)
#undef PUT
    for (unsigned i = 0; i < alert->tag_count; i++)
        to = pxi_pack_text(to, alert->tags[i], PX_ALERT_TAG_SIZE);
    to = pxi_pack(to, alert->channels, alert->channel_count * sizeof alert->channels[0]);
    return (size_t)(put_rule(to, &alert->rule) - bytes);
}

static void take_tags(struct pxi_bytes *from, struct px_alert *alert)
{
    if (alert->tag_count > PX_ALERT_TAGS_MAX)
        from->bad = true;
    for (unsigned i = 0; i < alert->tag_count && !from->bad; i++)
        pxi_take_text(from, alert->tags[i], PX_ALERT_TAG_SIZE);
}

static void take_channels(struct pxi_bytes *from, struct px_alert *alert)
{
    if (alert->channel_count > PX_ALERT_CHANNELS_MAX)
        from->bad = true;
    else
        pxi_take(from, alert->channels, alert->channel_count * sizeof alert->channels[0]);
}

static void take_alert(struct pxi_bytes *from, struct px_alert *alertp)
{
#define TAKE(member) pxi_take(from, &alertp->member, sizeof alertp->member);
    ALERT_NUMBERS(TAKE)
#undef TAKE
#define TAKE(member) pxi_take_text(from, alertp->member, sizeof alertp->member);
    ALERT_TEXTS(TAKE)
#undef TAKE
    take_tags(from, alertp);
    take_channels(from, alertp);
    if (alertp->rule.conditions > PX_LEGS_MAX)
        from->bad = true;
    else
        take_rule(from, &alertp->rule);
}

/* A row from when an alert was one operator and one level. The level as a number is what the text says. */
static void take_alert_of_one_level(struct pxi_bytes *from, bool channels, struct px_alert *alertp)
{
    struct px_condition *condition = &alertp->rule.condition[0];
    uint16_t op = 0;
    uint8_t scale;
    int64_t level;

    alertp->rule.conditions = 1;
#define TAKE(what) pxi_take(from, &(what), sizeof(what))
    TAKE(alertp->id.hi), TAKE(alertp->id.lo), TAKE(op), TAKE(condition->source), TAKE(alertp->rule.frequency);
    TAKE(alertp->state), TAKE(scale), TAKE(alertp->tag_count), TAKE(alertp->version), TAKE(level);
    TAKE(alertp->created_ns), TAKE(alertp->last_fired_ns), TAKE(alertp->fires);
#undef TAKE
#define TAKE(what) pxi_take_text(from, what, sizeof(what))
    TAKE(alertp->owner), TAKE(alertp->symbol), TAKE(condition->level), TAKE(alertp->name), TAKE(alertp->message);
#undef TAKE
    condition->op = (uint8_t)op;
    take_tags(from, alertp);
    if (channels) {
        pxi_take(from, &alertp->channel_count, 1);
        take_channels(from, alertp);
    }
}

int px_alert_decode(const void *bytes, size_t n, struct px_alert *alertp)
{
    struct pxi_bytes from = {bytes, n, false};
    uint8_t format = 0;

    memset(alertp, 0, sizeof *alertp);
    alertp->asset = PX_ASSET_NONE;
    pxi_take(&from, &format, 1);
    if (format == ALERT_FORMAT)
        take_alert(&from, alertp);
    else if (format == ALERT_FORMAT_LEVEL || format == ALERT_FORMAT_LEVEL_1)
        take_alert_of_one_level(&from, format == ALERT_FORMAT_LEVEL, alertp);
    else
        return PX_E_FORMAT;
    return from.bad || from.left > 0 ? PX_E_FORMAT : 0;
}

static bool is_terminated(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool condition_is_whole(const struct px_condition *condition)
{
    if (!is_terminated(condition->level, PX_LEVEL_SIZE) || !is_terminated(condition->upper, PX_LEVEL_SIZE))
        return false;
    return strcmp(px_op_name(condition->op), "unknown") != 0 && strcmp(px_source_name(condition->source), "unknown") != 0 &&
           (condition->op == PX_OP_STALE || condition->level[0]);
}

static bool rule_is_whole(const struct px_rule *rule)
{
    bool whole = rule->conditions >= 1 && rule->conditions <= PX_LEGS_MAX && is_terminated(rule->hysteresis, PX_LEVEL_SIZE) &&
                 strcmp(px_frequency_name(rule->frequency), "unknown") != 0;

    for (unsigned i = 0; whole && i < rule->conditions; i++)
        whole = condition_is_whole(&rule->condition[i]);
    return whole;
}

int px_alert_check(const struct px_alert *alert)
{
#define OPEN_ENDED(member) || !is_terminated(alert->member, sizeof alert->member)
    if (false ALERT_TEXTS(OPEN_ENDED) || alert->tag_count > PX_ALERT_TAGS_MAX ||
        alert->channel_count > PX_ALERT_CHANNELS_MAX)
        return PX_E_INVALID;
#undef OPEN_ENDED
    for (unsigned i = 0; i < PX_ALERT_TAGS_MAX; i++)
        if (!is_terminated(alert->tags[i], PX_ALERT_TAG_SIZE))
            return PX_E_INVALID;
    if (!alert->owner[0] || !alert->symbol[0] || (alert->id.hi | alert->id.lo) == 0)
        return PX_E_INVALID;
    return rule_is_whole(&alert->rule) ? 0 : PX_E_INVALID;
}
