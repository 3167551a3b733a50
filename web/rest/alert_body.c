/* Alerts between JSON and the record. Every mistake of a body is told at once, each with its pointer. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "web/rest/alert_body_private.h"

#define DEPTH_MAX 8 /* jansson recurses; a thread of civetweb's has 100 KB of stack */

bool pxi_is_one_of(const char *name, const char *const *list)
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

json_t *px_body_parse(struct px_text body, struct px_problem *problem)
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
void pxi_pointer_to(char *pointer, size_t size, const char *parent, const char *name)
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

void pxi_check_members(struct pxi_reading *reading, json_t *object, const char *parent, const char *const *known)
{
    const char *name;
    json_t *value;
    char pointer[PXI_POINTER_SIZE];

    json_object_foreach(object, name, value)
    {
        if (pxi_is_one_of(name, known))
            continue;
        pxi_pointer_to(pointer, sizeof pointer, parent, name);
        px_problem_add(reading->problem, pointer, "is not a member that can be set");
    }
}

/* A string of at most size - 1 bytes, copied; NULL stays what it was. False when it is neither there nor wrong. */
bool pxi_take_string(struct pxi_reading *reading, json_t *value, const char *pointer, char *to, size_t size)
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

static void take_symbol(struct pxi_reading *reading, json_t *value)
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

static void take_tags(struct pxi_reading *reading, json_t *value)
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
        else if (pxi_take_string(reading, tag, pointer, alert->tags[i], PX_ALERT_TAG_SIZE))
            alert->tag_count = (uint8_t)(i + 1);
    }
}

/* That they are the owner's is for the handler to find out. */
static void take_channels(struct pxi_reading *reading, json_t *value)
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

static void take_body(struct pxi_reading *reading, json_t *root)
{
    static const char *const known[] = {"symbol",     "name",     "tags",      "condition",  "all_of",  "frequency", "bar",
                                        "hysteresis", "cooldown", "max_fires", "expires_at", "message", "channels",  NULL};
    struct px_alert *alert = reading->alert;

    if (!json_is_object(root)) {
        px_problem_add(reading->problem, "", "must be an object");
        return;
    }
    pxi_check_members(reading, root, "", known);
    take_symbol(reading, json_object_get(root, "symbol"));
    pxi_rule_read(reading, root);
    pxi_take_string(reading, json_object_get(root, "name"), "/name", alert->name, sizeof alert->name);
    pxi_take_string(reading, json_object_get(root, "message"), "/message", alert->message, sizeof alert->message);
    take_tags(reading, json_object_get(root, "tags"));
    take_channels(reading, json_object_get(root, "channels"));
}

bool px_alert_body_take(json_t *root, px_asset_finder *find, void *ctx, struct px_alert *alertp, struct px_problem *problemp)
{
    struct pxi_reading reading = {.find = find, .ctx = ctx, .alert = alertp, .problem = problemp};

    memset(alertp, 0, sizeof *alertp);
    alertp->asset = PX_ASSET_NONE;
    alertp->state = PX_ALERT_ARMED;
    take_body(&reading, root);
    return problemp->kind == PX_PROBLEM_NONE;
}

bool px_alert_body_read(struct px_text body, px_asset_finder *find, void *ctx, struct px_alert *alertp,
                        struct px_problem *problemp)
{
    json_t *root = px_body_parse(body, problemp);

    if (!root)
        return false;
    px_alert_body_take(root, find, ctx, alertp, problemp);
    json_decref(root);
    return problemp->kind == PX_PROBLEM_NONE;
}

/* ---- a change ---- */

static void write_settable(const struct px_alert *alert, struct px_json *json);

static json_t *settable(const struct px_alert *alert, struct px_problem *problem)
{
    static const size_t size = 8192;
    char *text = malloc(size);
    struct px_json json;
    json_t *root = NULL;

    if (text) {
        px_json_init(&json, text, size);
        px_json_open(&json, '{');
        write_settable(alert, &json);
        px_json_close(&json, '}');
        root = json.full ? NULL : json_loadb(text, json.len, 0, NULL);
    }
    free(text);
    if (!root)
        px_problem_of_error(problem, PX_E_MEMORY);
    return root;
}

/* RFC 7396: what is there replaces, null takes away, objects are gone into. False: out of memory. */
static bool merge(json_t *into, json_t *patch)
{
    const char *name;
    json_t *value;
    bool good = true;

    json_object_foreach(patch, name, value)
    {
        json_t *old = json_object_get(into, name);

        if (json_is_null(value))
            json_object_del(into, name);
        else if (json_is_object(value) && json_is_object(old))
            good &= merge(old, value);
        else
            good &= json_object_set(into, name, value) == 0;
    }
    return good;
}

/* What stands in the place of something else takes that away. */
static void make_way(json_t *into, json_t *patch)
{
    if (json_is_array(json_object_get(patch, "all_of")))
        json_object_del(into, "condition");
    if (json_is_object(json_object_get(patch, "condition")))
        json_object_del(into, "all_of");
    if (json_is_object(json_object_get(patch, "hysteresis")))
        json_object_del(into, "hysteresis");
}

static void take_patch(struct pxi_reading *reading, json_t *root, json_t *patch)
{
    make_way(root, patch);
    if (!merge(root, patch))
        px_problem_of_error(reading->problem, PX_E_MEMORY);
    take_body(reading, root);
}

bool px_alert_body_patch(struct px_text body, px_asset_finder *find, void *ctx, struct px_alert *alertp, struct px_problem *problemp)
{
    struct px_alert changed = {.asset = PX_ASSET_NONE};
    struct pxi_reading reading = {find, ctx, &changed, .problem = problemp, .kept_expires_ns = alertp->rule.expires_ns};
    json_t *patch = px_body_parse(body, problemp), *root = patch ? settable(alertp, problemp) : NULL;

    if (root && !json_is_object(patch))
        px_problem_add(problemp, "", "must be an object");
    else if (root)
        take_patch(&reading, root, patch);
    json_decref(root);
    json_decref(patch);
    if (changed.symbol[0] && strcmp(changed.symbol, alertp->symbol) != 0)
        px_problem_add(problemp, "/symbol", "cannot be changed; make another alert");
    if (problemp->kind != PX_PROBLEM_NONE)
        return false;
    px_alert_settings_copy(alertp, &changed);
    return true;
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

void px_alert_settings_copy(struct px_alert *to, const struct px_alert *from)
{
    to->rule = from->rule;
    memcpy(to->name, from->name, sizeof to->name);
    memcpy(to->message, from->message, sizeof to->message);
    memcpy(to->tags, from->tags, sizeof to->tags);
    memcpy(to->channels, from->channels, sizeof to->channels);
    to->tag_count = from->tag_count;
    to->channel_count = from->channel_count;
}

static void write_settable(const struct px_alert *alert, struct px_json *json)
{
    char id[PX_ALERT_ID_SIZE];

    px_json_kv_string(json, "symbol", alert->symbol);
    px_json_kv_string(json, "name", alert->name);
    px_json_key(json, "tags");
    px_json_open(json, '[');
    for (unsigned i = 0; i < alert->tag_count; i++)
        px_json_string(json, px_text_of(alert->tags[i]));
    px_json_close(json, ']');
    pxi_rule_write(&alert->rule, json);
    px_json_key(json, "channels");
    px_json_open(json, '[');
    for (unsigned i = 0; i < alert->channel_count; i++) {
        px_channel_id_format(alert->channels[i], id);
        px_json_string(json, px_text_of(id));
    }
    px_json_close(json, ']');
    px_json_kv_string(json, "message", alert->message);
}

void px_alert_write(const struct px_alert *alert, struct px_json *json)
{
    char id[PX_ALERT_ID_SIZE];

    px_alert_id_format(alert->id, id);
    px_json_open(json, '{');
    px_json_kv_string(json, "id", id);
    write_settable(alert, json);
    px_json_kv_string(json, "state", px_alert_state_name(alert->state));
    px_json_kv_int(json, "version", alert->version);
    px_json_kv_time(json, "created_at", alert->created_ns);
    px_json_kv_time(json, "last_fired_at", alert->last_fired_ns);
    px_json_kv_int(json, "fires", (int64_t)alert->fires);
    px_json_close(json, '}');
}
