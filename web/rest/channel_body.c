/* Channels between JSON and the record. Every mistake of a body is told at once, each with its pointer. */
#include "web/rest/channel_body.h"

#include <jansson.h>
#include <stdio.h>

#include "base/error.h"

#define DEPTH_MAX     4
#define SECRET_LEAST  24 /* bytes, as Standard Webhooks asks */
#define SECRET_MOST   42

struct reading {
    struct px_channel *channel;
    struct px_problem *problem;
    bool change;
};

/* ---- text to JSON ---- */

static bool too_deep(struct px_text body)
{
    int depth = 0;
    bool string = false;

    for (size_t i = 0; i < body.len && depth <= DEPTH_MAX; i++) {
        char c = body.at[i];
        if (string && c == '\\')
            i++;
        else if (c == '"')
            string = !string;
        else if (!string && (c == '{' || c == '['))
            depth++;
        else if (!string && (c == '}' || c == ']'))
            depth--;
    }
    return depth > DEPTH_MAX;
}

static json_t *parse(struct px_text body, struct px_problem *problem)
{
    json_error_t error;
    json_t *root = too_deep(body) ? NULL : json_loadb(body.at ? body.at : "", body.len, JSON_REJECT_DUPLICATES, &error);

    if (!root)
        px_problem_set(problem, PX_PROBLEM_BAD_REQUEST, "The body is not JSON, or nested deeper than %d", DEPTH_MAX);
    else if (!json_is_object(root))
        px_problem_add(problem, "", "must be an object");
    return root;
}

static void check_members(struct reading *reading, json_t *object, const char *parent, const char *const *known)
{
    const char *name;
    json_t *value;
    char pointer[80];

    json_object_foreach(object, name, value)
    {
        bool found = false;

        for (size_t i = 0; known[i] && !found; i++)
            found = strcmp(known[i], name) == 0;
        snprintf(pointer, sizeof pointer, "%s/%s", parent, name);
        if (!found)
            px_problem_add(reading->problem, pointer, "is not a member that can be set");
    }
}

/* ---- members ---- */

/* True when it is there and fits; else `to` is as it was, and a mistake is told. */
static bool take_string(struct reading *reading, json_t *value, const char *pointer, bool required, char *to, size_t size)
{
    struct px_text text = {json_string_value(value), json_string_length(value)};

    if (!value && !required)
        return false;
    if (!value)
        px_problem_add(reading->problem, pointer, "is required");
    else if (!text.at)
        px_problem_add(reading->problem, pointer, "must be a string");
    else if (text.len >= size)
        px_problem_add(reading->problem, pointer, "must have at most %zu bytes", size - 1);
    else
        return px_text_copy(to, size, text);
    return false;
}

static bool take_count(struct reading *reading, json_t *value, const char *pointer, uint32_t least, uint32_t most, uint32_t *to)
{
    if (!value)
        return false;
    if (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most) {
        px_problem_add(reading->problem, pointer, "must be a whole number from %u to %u", least, most);
        return false;
    }
    *to = (uint32_t)json_integer_value(value);
    return true;
}

/* "15m", "900s", "1h". */
static void take_ttl(struct reading *reading, json_t *value)
{
    const char *text = json_string_value(value);
    unsigned amount = 0, digits = 0;

    if (!value)
        return;
    for (; text && text[digits] >= '0' && text[digits] <= '9' && digits < 5; digits++)
        amount = amount * 10 + (unsigned)(text[digits] - '0');
    unsigned factor = !text || digits == 0                ? 0
                      : strcmp(text + digits, "s") == 0 ? 1
                      : strcmp(text + digits, "m") == 0 ? 60
                      : strcmp(text + digits, "h") == 0 ? 3600
                                                        : 0;
    if (factor == 0 || amount == 0 || amount * factor > PX_CHANNEL_TTL_MAX_S)
        px_problem_add(reading->problem, "/ttl", "must be a time such as \"15m\", from \"1s\" to \"24h\"");
    else
        reading->channel->ttl_s = amount * factor;
}

static bool is_visible(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text >= 0x7f)
            return false;
    return true;
}

/* What the engine will dial: http or https, a host, nobody's password, nothing behind a '#'. */
static void check_url(struct reading *reading, const char *url, const char *pointer, bool secure)
{
    const char *host = strncmp(url, "https://", 8) == 0 ? url + 8 : !secure && strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
    size_t len = host ? strcspn(host, "/?#") : 0;

    if (len == 0 || !is_visible(url) || host[0] == ':' || strpbrk(url, "#\\\"<>{}`"))
        px_problem_add(reading->problem, pointer, "must be an address such as \"https://example.com/hook\"");
    else if (memchr(host, '@', len))
        px_problem_add(reading->problem, pointer, "must not hold a user or a password");
}

static void take_url(struct reading *reading, json_t *value)
{
    struct px_channel *channel = reading->channel;

    if (take_string(reading, value, "/url", !reading->change, channel->target, sizeof channel->target))
        check_url(reading, channel->target, "/url", false);
}

static void take_address(struct reading *reading, json_t *value)
{
    struct px_channel *channel = reading->channel;

    if (!take_string(reading, value, "/to", !reading->change, channel->target, sizeof channel->target))
        return;
    const char *at = strchr(channel->target, '@');
    if (!at || at == channel->target || !at[1] || strchr(at + 1, '@') || strlen(channel->target) > 254 ||
        !is_visible(channel->target) || strpbrk(channel->target, "<>()[],;:\\\"") || channel->target[0] == '-')
        px_problem_add(reading->problem, "/to", "must be one mail address");
}

/* So many characters of base64url. */
static void check_key(struct reading *reading, const char *key, size_t len, const char *pointer)
{
    size_t good = strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    if (good != len || strspn(key + good, "=") != strlen(key + good))
        px_problem_add(reading->problem, pointer, "must be %zu characters of base64url, as the browser gave it", len);
}

static void take_subscription(struct reading *reading, json_t *value)
{
    static const char *const known[] = {"endpoint", "expirationTime", "keys", NULL}, *const known_keys[] = {"p256dh", "auth", NULL};
    struct px_channel *channel = reading->channel;
    json_t *keys = json_object_get(value, "keys");

    if (!value && reading->change)
        return;
    if (!json_is_object(value) || !json_is_object(keys)) {
        px_problem_add(reading->problem, "/subscription", "must be what the browser's PushSubscription gives as JSON");
        return;
    }
    check_members(reading, value, "/subscription", known);
    check_members(reading, keys, "/subscription/keys", known_keys);
    if (take_string(reading, json_object_get(value, "endpoint"), "/subscription/endpoint", true, channel->target,
                    sizeof channel->target))
        check_url(reading, channel->target, "/subscription/endpoint", false);
    if (take_string(reading, json_object_get(keys, "p256dh"), "/subscription/keys/p256dh", true, channel->p256dh,
                    sizeof channel->p256dh))
        check_key(reading, channel->p256dh, 87, "/subscription/keys/p256dh");
    if (take_string(reading, json_object_get(keys, "auth"), "/subscription/keys/auth", true, channel->auth, sizeof channel->auth))
        check_key(reading, channel->auth, 22, "/subscription/keys/auth");
}

static void take_format(struct reading *reading, json_t *value)
{
    const char *text = json_string_value(value);

    if (!value)
        return;
    if (text && strcmp(text, "standard") == 0)
        reading->channel->format = PX_FORMAT_STANDARD;
    else if (text && strcmp(text, "raw") == 0)
        reading->channel->format = PX_FORMAT_RAW;
    else
        px_problem_add(reading->problem, "/format", "must be \"standard\" or \"raw\"");
}

/* A secret that the owner has already, from another service. */
static void take_secret(struct reading *reading, json_t *value)
{
    struct px_channel *channel = reading->channel;

    if (!take_string(reading, value, "/secret", false, channel->secret, sizeof channel->secret))
        return;
    size_t len = strlen(channel->secret) - PX_MIN(strlen(channel->secret), 6u);
    const char *base64 = channel->secret + 6;
    size_t good = strncmp(channel->secret, "whsec_", 6) == 0
                      ? strspn(base64, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
                      : 0;
    if (good + strspn(base64 + good, "=") != len || len % 4 != 0 || good * 6 / 8 < SECRET_LEAST || good * 6 / 8 > SECRET_MOST)
        px_problem_add(reading->problem, "/secret", "must be whsec_ and %d to %d bytes in base64", SECRET_LEAST, SECRET_MOST);
}

static void take_type(struct reading *reading, json_t *value)
{
    const char *text = json_string_value(value);

    if (reading->change)
        return;
#define MATCH(NAME, number, name)                                                                                      \
    if (text && strcmp(text, name) == 0)                                                                               \
        reading->channel->type = number;
    PX_CHANNEL_TYPE_TABLE(MATCH)
#undef MATCH
    if (reading->channel->type == 0)
        px_problem_add(reading->problem, "/type", value ? "must be webhook, email or webpush" : "is required");
}

static void take_enabled(struct reading *reading, json_t *value)
{
    if (!value)
        return;
    if (json_is_boolean(value))
        reading->channel->state = json_is_true(value) ? PX_CHANNEL_ACTIVE : PX_CHANNEL_PAUSED;
    else
        px_problem_add(reading->problem, "/enabled", "must be true or false");
}

static void take_of_type(struct reading *reading, json_t *root)
{
    static const char *const webhook[] = {"type", "name", "enabled", "ttl", "per_minute", "group_s", "url", "format", "secret", NULL};
    static const char *const email[] = {"type", "name", "enabled", "ttl", "per_minute", "group_s", "to", NULL};
    static const char *const webpush[] = {"type", "name", "enabled", "ttl", "per_minute", "group_s", "subscription", NULL};

    switch (reading->channel->type) {
    case PX_CHANNEL_WEBHOOK:
        check_members(reading, root, "", reading->change ? webhook + 1 : webhook);
        take_url(reading, json_object_get(root, "url"));
        take_format(reading, json_object_get(root, "format"));
        take_secret(reading, json_object_get(root, "secret"));
        break;
    case PX_CHANNEL_EMAIL:
        check_members(reading, root, "", reading->change ? email + 1 : email);
        take_address(reading, json_object_get(root, "to"));
        break;
    case PX_CHANNEL_WEBPUSH:
        check_members(reading, root, "", reading->change ? webpush + 1 : webpush);
        take_subscription(reading, json_object_get(root, "subscription"));
        break;
    default:
        break;
    }
}

bool px_channel_body_read(struct px_text body, bool change, struct px_channel *channelp, struct px_problem *problemp)
{
    struct reading reading = {.channel = channelp, .problem = problemp, .change = change};
    json_t *root = parse(body, problemp);

    if (!change)
        *channelp = (struct px_channel){
            .state = PX_CHANNEL_ACTIVE, .format = PX_FORMAT_STANDARD, .ttl_s = PX_CHANNEL_TTL_S};
    if (json_is_object(root)) {
        take_type(&reading, json_object_get(root, "type"));
        take_of_type(&reading, root);
        take_string(&reading, json_object_get(root, "name"), "/name", false, channelp->name, sizeof channelp->name);
        take_ttl(&reading, json_object_get(root, "ttl"));
        take_count(&reading, json_object_get(root, "per_minute"), "/per_minute", 0, PX_CHANNEL_RATE_MAX, &channelp->per_minute);
        take_count(&reading, json_object_get(root, "group_s"), "/group_s", 0, PX_CHANNEL_GROUP_MAX_S, &channelp->group_s);
        take_enabled(&reading, json_object_get(root, "enabled"));
    }
    json_decref(root);
    return problemp->kind == PX_PROBLEM_NONE;
}

bool px_channel_code_read(struct px_text body, char code[PX_CODE_SIZE], struct px_problem *problemp)
{
    static const char *const known[] = {"code", NULL};
    struct reading reading = {.problem = problemp};
    json_t *root = parse(body, problemp);

    if (json_is_object(root)) {
        check_members(&reading, root, "", known);
        take_string(&reading, json_object_get(root, "code"), "/code", true, code, PX_CODE_SIZE);
    }
    json_decref(root);
    return problemp->kind == PX_PROBLEM_NONE;
}

bool px_channel_body_same(const struct px_channel *a, const struct px_channel *b)
{
    return a->type == b->type && a->format == b->format && a->ttl_s == b->ttl_s && a->per_minute == b->per_minute &&
           a->group_s == b->group_s &&
           strcmp(a->name, b->name) == 0 && strcmp(a->target, b->target) == 0 && strcmp(a->p256dh, b->p256dh) == 0 &&
           strcmp(a->auth, b->auth) == 0;
}

/* ---- the record ---- */

static void write_of_type(const struct px_channel *channel, bool with_secret, struct px_json *json)
{
    switch (channel->type) {
    case PX_CHANNEL_WEBHOOK:
        px_json_kv_string(json, "url", channel->target);
        px_json_kv_string(json, "format", channel->format == PX_FORMAT_RAW ? "raw" : "standard");
        if (with_secret)
            px_json_kv_string(json, "secret", channel->secret);
        break;
    case PX_CHANNEL_EMAIL:
        px_json_kv_string(json, "to", channel->target);
        break;
    default:
        px_json_key(json, "subscription");
        px_json_open(json, '{');
        px_json_kv_string(json, "endpoint", channel->target);
        px_json_close(json, '}');
        break;
    }
}

void px_channel_write(const struct px_channel *channel, bool with_secret, struct px_json *json)
{
    char id[PX_ALERT_ID_SIZE], ttl[16];

    px_channel_id_format(channel->id, id);
    snprintf(ttl, sizeof ttl, "%us", channel->ttl_s);
    px_json_open(json, '{');
    px_json_kv_string(json, "id", id);
    px_json_kv_string(json, "type", px_channel_type_name(channel->type));
    px_json_kv_string(json, "name", channel->name);
    write_of_type(channel, with_secret, json);
    px_json_kv_string(json, "ttl", ttl);
    px_json_kv_int(json, "per_minute", channel->per_minute);
    px_json_kv_int(json, "group_s", channel->group_s);
    px_json_kv_bool(json, "enabled", channel->state == PX_CHANNEL_ACTIVE);
    px_json_kv_string(json, "state", px_channel_state_name(channel->state));
    px_json_kv_int(json, "version", channel->version);
    px_json_kv_time(json, "verified_at", channel->verified_ns);
    px_json_kv_time(json, "created_at", channel->created_ns);
    px_json_close(json, '}');
}
