/* Alerts between JSON and the record. Every mistake of a body is told at once, each with its pointer. */
#include "web/rest/alert_body.h"

#include <jansson.h>
#include <stdio.h>

#include "base/error.h"
#include "match/plan.h"

#define DEPTH_MAX 8 /* jansson recurses; a thread of civetweb's has 100 KB of stack */

/* What the contract knows and this version does not do: told apart from a typing mistake. */
static const char *const later_ops[] = {
    "crossing",  "entering_channel", "exiting_channel", "inside_channel",  "outside_channel",
    "moving_up", "moving_down",      "moving_up_pct",   "moving_down_pct", "stale",
    NULL};
static const char *const later_members[] = {"hysteresis", "cooldown", "max_fires", "expires_at",
                                            "all_of",     "bar",      NULL};
static const char *const later_sources[] = {"bid", "ask", "mid", "twap_1m", "twap_5m", "twap_15m", "close", NULL};
static const char *const later_frequencies[] = {"every_time", "once_per_minute", "once_per_bar", "once_per_bar_close",
                                                NULL};

struct reading {
    px_asset_finder *find;
    void *ctx;
    struct px_alert *alert;
    struct px_symbol symbol;
    struct px_problem *problem;
};

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

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

    if (too_deep(body)) {
        px_problem_set(problem, PX_PROBLEM_BAD_REQUEST, "The body is nested deeper than %d", DEPTH_MAX);
        return NULL;
    }
    json_t *root = json_loadb(body.at ? body.at : "", body.len, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        px_problem_set(problem, PX_PROBLEM_BAD_REQUEST, "The body is not JSON: line %d, column %d: %s", error.line,
                       error.column, error.text);
    return root;
}

/* ---- members ---- */

/* "/a/b" with the escapes of RFC 6901. */
static void pointer_to(char *pointer, size_t size, const char *parent, const char *name)
{
    size_t len = (size_t)snprintf(pointer, size, "%s/", parent);

    for (; *name && len + 3 < size; name++) {
        if (*name == '~' || *name == '/') {
            pointer[len++] = '~';
            pointer[len++] = *name == '~' ? '0' : '1';
        } else {
            pointer[len++] = *name;
        }
    }
    pointer[len] = '\0';
}

static void check_members(struct reading *reading, json_t *object, const char *parent, const char *const *known)
{
    const char *name;
    json_t *value;
    char pointer[80];

    json_object_foreach(object, name, value)
    {
        if (is_one_of(name, known))
            continue;
        pointer_to(pointer, sizeof pointer, parent, name);
        bool later = is_one_of(name, later_members);
        if (later && json_is_null(value))
            continue;
        px_problem_add(reading->problem, pointer,
                       later ? "is not supported yet; leave it out" : "is not a member that can be set");
    }
}

/* A string of at most size - 1 bytes, copied; NULL stays what it was. False when it is neither there nor wrong. */
static bool take_string(struct reading *reading, json_t *value, const char *pointer, char *to, size_t size)
{
    if (!value || json_is_null(value))
        return false;
    if (!json_is_string(value))
        px_problem_add(reading->problem, pointer, "must be a string");
    else if (!px_text_copy(to, size, (struct px_text){json_string_value(value), json_string_length(value)}))
        px_problem_add(reading->problem, pointer, "must have at most %zu bytes", size - 1);
    else
        return true;
    to[0] = '\0';
    return false;
}

static void take_symbol(struct reading *reading, json_t *value)
{
    if (!json_is_string(value)) {
        px_problem_add(reading->problem, "/symbol", value ? "must be a string" : "is required");
        return;
    }
    struct px_text text = {json_string_value(value), json_string_length(value)};
    reading->alert->asset = reading->find(reading->ctx, text, &reading->symbol);
    if (reading->alert->asset == PX_ASSET_NONE) {
        px_problem_set(reading->problem, PX_PROBLEM_UNKNOWN_SYMBOL, "No asset has this name or alias");
        px_problem_add(reading->problem, "/symbol", "names no asset");
        return;
    }
    snprintf(reading->alert->symbol, sizeof reading->alert->symbol, "%s", reading->symbol.name);
}

static void take_tags(struct reading *reading, json_t *value)
{
    struct px_alert *alert = reading->alert;
    json_t *tag;
    size_t i;
    char pointer[40];

    if (!value || json_is_null(value))
        return;
    if (!json_is_array(value) || json_array_size(value) > PX_ALERT_TAGS_MAX) {
        px_problem_add(reading->problem, "/tags", "must be an array of at most %d strings", PX_ALERT_TAGS_MAX);
        return;
    }
    json_array_foreach(value, i, tag)
    {
        snprintf(pointer, sizeof pointer, "/tags/%zu", i);
        if (json_is_null(tag) || (json_is_string(tag) && json_string_length(tag) == 0))
            px_problem_add(reading->problem, pointer, "must not be empty");
        else if (take_string(reading, tag, pointer, alert->tags[i], PX_ALERT_TAG_SIZE))
            alert->tag_count = (uint8_t)(i + 1);
    }
}

/* That they are the owner's is for the handler to find out. */
static void take_channels(struct reading *reading, json_t *value)
{
    struct px_alert *alert = reading->alert;
    json_t *channel;
    size_t i;
    char pointer[40];

    if (!value || json_is_null(value))
        return;
    if (!json_is_array(value) || json_array_size(value) > PX_ALERT_CHANNELS_MAX) {
        px_problem_add(reading->problem, "/channels", "must be an array of at most %d channels", PX_ALERT_CHANNELS_MAX);
        return;
    }
    json_array_foreach(value, i, channel)
    {
        snprintf(pointer, sizeof pointer, "/channels/%zu", i);
        struct px_text text = {json_string_value(channel), json_string_length(channel)};
        if (!text.at || px_channel_id_parse(text, &alert->channels[i]) < 0)
            px_problem_add(reading->problem, pointer, "must be the id of a channel");
        else
            alert->channel_count = (uint8_t)(i + 1);
        for (size_t j = 0; j < i && text.at; j++)
            if (memcmp(&alert->channels[i], &alert->channels[j], sizeof alert->channels[i]) == 0)
                px_problem_add(reading->problem, pointer, "stands here a second time");
    }
}

/* A word of which one value is supported, others are known, and the rest are mistakes. */
static void take_word(struct reading *reading, json_t *value, const char *pointer, const char *only,
                      const char *const *later)
{
    if (!value || (json_is_string(value) && strcmp(json_string_value(value), only) == 0))
        return;
    if (json_is_string(value) && is_one_of(json_string_value(value), later))
        px_problem_add(reading->problem, pointer, "only \"%s\" is supported yet", only);
    else
        px_problem_add(reading->problem, pointer, "must be \"%s\"", only);
}

/* ---- the condition ---- */

static unsigned take_op(struct reading *reading, json_t *value)
{
    static const char pointer[] = "/condition/op";
    const char *name = json_string_value(value);
    unsigned op = name ? px_op_find(px_text_of(name)) : 0;

    if (!value)
        px_problem_add(reading->problem, pointer, "is required");
    else if (name && is_one_of(name, later_ops))
        px_problem_add(reading->problem, pointer, "is not supported yet");
    else if (op == 0)
        px_problem_add(reading->problem, pointer,
                       "must be one of greater_or_equal less_or_equal greater_than less_than "
                       "crossing_up crossing_down, or >= <= > <");
    else
        return op;
    return 0;
}

static bool is_positive(struct px_text text)
{
    int64_t mantissa;

    return px_decimal_parse(text, PX_SCALE_MAX, PX_ROUND_UP, &mantissa) == PX_E_OVERFLOW ? text.at[0] != '-'
                                                                                         : mantissa > 0;
}

static void take_level(struct reading *reading, json_t *value)
{
    static const char pointer[] = "/condition/level";
    struct px_rule *rule = &reading->alert->rule;
    struct px_match match;
    int64_t mantissa;

    if (json_is_number(value)) {
        px_problem_add(reading->problem, pointer, "must be a string so that it stays exact");
        return;
    }
    if (!value || json_is_null(value)) {
        px_problem_add(reading->problem, pointer, "is required");
        return;
    }
    if (!take_string(reading, value, pointer, rule->condition[0].level, PX_LEVEL_SIZE))
        return;
    struct px_text text = px_text_of(rule->condition[0].level);
    int rc = px_decimal_parse(text, 0, PX_ROUND_UP, &mantissa);
    if (rc == PX_E_OVERFLOW)
        px_problem_add(reading->problem, pointer, "is too large");
    else if (rc < 0)
        px_problem_add(reading->problem, pointer, "must be a decimal number such as \"70000.5\"");
    else if (!is_positive(text))
        px_problem_add(reading->problem, pointer, "must be greater than 0");
    else if (rule->condition[0].op && reading->alert->symbol[0] && px_alert_match(rule, reading->symbol.scale, &match) < 0)
        px_problem_add(reading->problem, pointer, "is too large");
}

static void take_condition(struct reading *reading, json_t *condition)
{
    static const char *const known[] = {"op", "source", "level", NULL};

    if (!json_is_object(condition)) {
        px_problem_add(reading->problem, "/condition", condition ? "must be an object" : "is required");
        return;
    }
    check_members(reading, condition, "/condition", known);
    reading->alert->rule.condition[0].op = (uint8_t)take_op(reading, json_object_get(condition, "op"));
    take_word(reading, json_object_get(condition, "source"), "/condition/source", "last", later_sources);
    take_level(reading, json_object_get(condition, "level"));
}

static void take_body(struct reading *reading, json_t *root)
{
    static const char *const known[] = {"symbol", "name", "tags", "condition", "frequency", "message", "channels", NULL};
    struct px_alert *alert = reading->alert;

    if (!json_is_object(root)) {
        px_problem_add(reading->problem, "", "must be an object");
        return;
    }
    check_members(reading, root, "", known);
    take_symbol(reading, json_object_get(root, "symbol"));
    take_condition(reading, json_object_get(root, "condition"));
    take_word(reading, json_object_get(root, "frequency"), "/frequency", "once", later_frequencies);
    take_string(reading, json_object_get(root, "name"), "/name", alert->name, sizeof alert->name);
    take_string(reading, json_object_get(root, "message"), "/message", alert->message, sizeof alert->message);
    take_tags(reading, json_object_get(root, "tags"));
    take_channels(reading, json_object_get(root, "channels"));
}

bool px_alert_body_read(struct px_text body, px_asset_finder *find, void *ctx, struct px_alert *alertp,
                        struct px_problem *problemp)
{
    struct reading reading = {.find = find, .ctx = ctx, .alert = alertp, .problem = problemp};

    memset(alertp, 0, sizeof *alertp);
    alertp->asset = PX_ASSET_NONE;
    alertp->rule.conditions = 1;
    alertp->rule.condition[0].source = PX_SOURCE_LAST;
    alertp->rule.frequency = PX_FREQUENCY_ONCE;
    alertp->state = PX_ALERT_ARMED;
    json_t *root = parse(body, problemp);
    if (!root)
        return false;
    take_body(&reading, root);
    json_decref(root);
    return problemp->kind == PX_PROBLEM_NONE;
}

/* ---- the record ---- */

bool px_alert_body_same(const struct px_alert *a, const struct px_alert *b)
{
    if (strcmp(a->symbol, b->symbol) != 0 || memcmp(&a->rule, &b->rule, sizeof a->rule) != 0 || strcmp(a->name, b->name) != 0 ||
        strcmp(a->message, b->message) != 0 || a->tag_count != b->tag_count ||
        a->channel_count != b->channel_count ||
        memcmp(a->channels, b->channels, a->channel_count * sizeof a->channels[0]) != 0)
        return false;
    for (unsigned i = 0; i < a->tag_count; i++)
        if (strcmp(a->tags[i], b->tags[i]) != 0)
            return false;
    return true;
}

void px_alert_write(const struct px_alert *alert, struct px_json *json)
{
    char id[PX_ALERT_ID_SIZE];

    px_alert_id_format(alert->id, id);
    px_json_open(json, '{');
    px_json_kv_string(json, "id", id);
    px_json_kv_string(json, "symbol", alert->symbol);
    px_json_kv_string(json, "name", alert->name);
    px_json_key(json, "tags");
    px_json_open(json, '[');
    for (unsigned i = 0; i < alert->tag_count; i++)
        px_json_string(json, px_text_of(alert->tags[i]));
    px_json_close(json, ']');
    px_json_key(json, "condition");
    px_json_open(json, '{');
    px_json_kv_string(json, "op", px_op_name(alert->rule.condition[0].op));
    px_json_kv_string(json, "source", "last");
    px_json_kv_string(json, "level", alert->rule.condition[0].level);
    px_json_close(json, '}');
    px_json_kv_string(json, "frequency", "once");
    px_json_key(json, "channels");
    px_json_open(json, '[');
    for (unsigned i = 0; i < alert->channel_count; i++) {
        px_channel_id_format(alert->channels[i], id);
        px_json_string(json, px_text_of(id));
    }
    px_json_close(json, ']');
    px_json_kv_string(json, "message", alert->message);
    px_json_kv_string(json, "state", px_alert_state_name(alert->state));
    px_json_kv_int(json, "version", alert->version);
    px_json_kv_time(json, "created_at", alert->created_ns);
    px_json_kv_time(json, "last_fired_at", alert->last_fired_ns);
    px_json_kv_int(json, "fires", (int64_t)alert->fires);
    px_json_close(json, '}');
}
