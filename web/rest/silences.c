/* Silences: what is not told for a while. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/channel.h"
#include "web/rest/request_private.h"

#define SILENCE_BYTES_MAX 1536 /* of one in an answer, every byte of its texts escaped */

/* ---- the body ---- */

struct reading {
    struct px_request *request;
    struct px_silence *silence;
};

static void complain(const struct reading *reading, const char *pointer, const char *what)
{
    px_problem_add(&reading->request->problem, pointer, "%s", what);
}

/* A text of 1 to size - 1 bytes, or nothing. */
static void take_text(const struct reading *reading, json_t *value, const char *pointer, char *to, size_t size)
{
    struct px_text text = {json_string_value(value), json_string_length(value)};

    if (value && (!text.at || text.len == 0 || memchr(text.at, '\0', text.len) || !px_text_copy(to, size, text)))
        px_problem_add(&reading->request->problem, pointer, "must be a text of 1 to %zu bytes", size - 1);
}

static void take_symbol(const struct reading *reading, json_t *value)
{
    struct px_text text = {json_string_value(value), json_string_length(value)};
    struct px_symbol symbol;

    if (!value)
        return;
    if (!text.at || pxi_asset_find(reading->request, text, &symbol) == PX_ASSET_NONE)
        complain(reading, "/symbol", "must be the name or alias of an asset");
    else
        px_text_copy(reading->silence->symbol, sizeof reading->silence->symbol, px_text_of(symbol.name));
}

static void take_ids(const struct reading *reading, json_t *alert, json_t *channel)
{
    struct px_text text = {json_string_value(alert), json_string_length(alert)};

    if (alert && (!text.at || px_alert_id_parse(text, &reading->silence->alert) < 0))
        complain(reading, "/alert_id", "must be the id of an alert");
    text = (struct px_text){json_string_value(channel), json_string_length(channel)};
    if (channel && (!text.at || px_channel_id_parse(text, &reading->silence->channel) < 0))
        complain(reading, "/channel_id", "must be the id of a channel");
}

static void take_time(const struct reading *reading, json_t *value, const char *pointer, int64_t *nsp)
{
    struct px_text text = {json_string_value(value), json_string_length(value)};

    if (value && (!text.at || px_rfc3339_parse(text, nsp) != 0 || *nsp <= 0))
        complain(reading, pointer, "must be a time such as \"2030-01-31T08:00:00Z\"");
}

static void take_times(const struct reading *reading, json_t *starts, json_t *ends)
{
    struct px_silence *silence = reading->silence;
    int64_t now_ns = px_wall_now();

    silence->starts_ns = now_ns;
    take_time(reading, starts, "/starts_at", &silence->starts_ns);
    take_time(reading, ends, "/ends_at", &silence->ends_ns);
    if (!ends)
        complain(reading, "/ends_at", "is required");
    else if (reading->request->problem.kind == PX_PROBLEM_NONE && (silence->ends_ns <= silence->starts_ns || silence->ends_ns <= now_ns))
        complain(reading, "/ends_at", "must be later than starts_at, and than now");
}

static void check_members(const struct reading *reading, json_t *root)
{
    static const char *const known[] = {"symbol", "tag", "alert_id", "channel_id", "starts_at", "ends_at", "comment"};
    const char *name;
    char pointer[80];
    json_t *value;

    json_object_foreach(root, name, value)
    {
        bool found = false;

        for (size_t i = 0; i < PX_COUNT_OF(known) && !found; i++)
            found = strcmp(known[i], name) == 0;
        snprintf(pointer, sizeof pointer, "/%s", name);
        if (!found)
            complain(reading, pointer, "is not a member that can be set");
    }
}

/* All members are plain values, so that jansson, which goes down by recursion, is not given what is nested. */
static json_t *parse(struct px_request *request)
{
    struct px_text body = request->body;
    unsigned nested = 0;

    for (size_t i = 0; i < body.len; i++)
        nested += body.at[i] == '{' || body.at[i] == '[';
    json_t *root = nested > 64 ? NULL : json_loadb(body.at ? body.at : "", body.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root)) {
        px_problem_set(&request->problem, PX_PROBLEM_BAD_REQUEST, "The body is not a JSON object");
        json_decref(root);
        return NULL;
    }
    return root;
}

static bool read_body(struct px_request *request, struct px_silence *silence)
{
    const struct reading reading = {request, silence};
    json_t *root = parse(request);

    if (!root)
        return false;
    check_members(&reading, root);
    take_symbol(&reading, json_object_get(root, "symbol"));
    take_text(&reading, json_object_get(root, "tag"), "/tag", silence->tag, sizeof silence->tag);
    take_ids(&reading, json_object_get(root, "alert_id"), json_object_get(root, "channel_id"));
    take_text(&reading, json_object_get(root, "comment"), "/comment", silence->comment, sizeof silence->comment);
    take_times(&reading, json_object_get(root, "starts_at"), json_object_get(root, "ends_at"));
    json_decref(root);
    return request->problem.kind == PX_PROBLEM_NONE;
}

/* ---- the record ---- */

static void write_id(struct px_json *json, const char *name, struct px_alert_id id, void (*format)(struct px_alert_id, char *))
{
    char text[PX_ALERT_ID_SIZE];

    if ((id.hi | id.lo) == 0)
        return;
    format(id, text);
    px_json_kv_string(json, name, text);
}

/* What it does not name, it does not show: so the answer can be read as it was written. */
static void write_silence(const struct px_silence *silence, struct px_json *json)
{
    int64_t now_ns = px_wall_now();

    px_json_open(json, '{');
    write_id(json, "id", silence->id, px_silence_id_format);
    if (silence->symbol[0])
        px_json_kv_string(json, "symbol", silence->symbol);
    if (silence->tag[0])
        px_json_kv_string(json, "tag", silence->tag);
    write_id(json, "alert_id", silence->alert, px_alert_id_format);
    write_id(json, "channel_id", silence->channel, px_channel_id_format);
    px_json_kv_time(json, "starts_at", silence->starts_ns);
    px_json_kv_time(json, "ends_at", silence->ends_ns);
    px_json_kv_string(json, "comment", silence->comment);
    px_json_kv_string(json, "state",
                      now_ns < silence->starts_ns ? "waiting"
                      : now_ns < silence->ends_ns ? "active"
                                                  : "over");
    px_json_kv_time(json, "created_at", silence->created_ns);
    px_json_close(json, '}');
}

/* ---- create ---- */

/* A start that was left out is another moment each time. */
static bool is_same(const struct px_silence *a, const struct px_silence *b)
{
    return a->ends_ns == b->ends_ns && strcmp(a->symbol, b->symbol) == 0 && strcmp(a->tag, b->tag) == 0 &&
           strcmp(a->comment, b->comment) == 0 && memcmp(&a->alert, &b->alert, sizeof a->alert) == 0 &&
           memcmp(&a->channel, &b->channel, sizeof a->channel) == 0;
}

void pxi_post_silence(struct px_request *request)
{
    struct px_silence silence = {0}, stored;
    char id[PX_ALERT_ID_SIZE];
    bool keyed;

    if (!read_body(request, &silence))
        return;
    snprintf(silence.owner, sizeof silence.owner, "%s", request->key.id);
    if (!pxi_name_by_key(request, "silence", silence.owner, &silence.id, &keyed))
        return;
    int rc = px_reader_silence_put(request->thread->reader, &silence, &stored);
    if (rc == PX_E_EXISTS && keyed && !is_same(&silence, &stored)) {
        px_problem_set(&request->problem, PX_PROBLEM_IDEMPOTENCY_CONFLICT, "This Idempotency-Key has made a silence from another body");
    } else if (rc == 0 || rc == PX_E_EXISTS) {
        px_silence_id_format(stored.id, id);
        request->answer.status = 201;
        snprintf(request->answer.location, sizeof request->answer.location, "/api/v1/silences/%s", id);
        write_silence(&stored, pxi_json(request));
    } else if (rc == PX_E_LIMIT) {
        px_problem_set(&request->problem, PX_PROBLEM_VALIDATION, "No more silences may last at one time; delete some first");
    } else {
        pxi_keeper_failed(request, rc);
    }
}

/* ---- one ---- */

static void failed(struct px_request *request, int rc)
{
    if (rc == PX_E_NOT_FOUND)
        px_problem_set(&request->problem, PX_PROBLEM_NOT_FOUND, "No silence of yours has this id");
    else
        pxi_keeper_failed(request, rc);
}

void pxi_get_silence(struct px_request *request)
{
    struct px_silence silence;
    struct px_alert_id id;
    int rc = px_silence_id_parse(px_text_of(request->segment), &id) < 0
                 ? PX_E_NOT_FOUND
                 : px_reader_silence_get(request->thread->reader, pxi_owner_of(request), id, &silence);

    request->answer.cache = "private, no-cache";
    if (rc < 0)
        failed(request, rc);
    else
        write_silence(&silence, pxi_json(request));
}

void pxi_delete_silence(struct px_request *request)
{
    struct px_alert_id id;
    int rc = px_silence_id_parse(px_text_of(request->segment), &id) < 0
                 ? PX_E_NOT_FOUND
                 : px_reader_silence_delete(request->thread->reader, pxi_owner_of(request), id);

    if (rc < 0) {
        failed(request, rc);
        return;
    }
    request->answer.status = 204;
    request->answer.empty = true;
}

/* ---- many ---- */

static void write_silences(struct px_request *request, const struct px_silence *list, uint32_t count,
                           const struct px_alert_cursor *next)
{
    struct px_json *json = pxi_json(request);

    if (!pxi_reserve(request, (size_t)count * SILENCE_BYTES_MAX + 256))
        return;
    px_json_open(json, '{');
    px_json_key(json, "silences");
    px_json_open(json, '[');
    for (uint32_t i = 0; i < count; i++)
        write_silence(&list[i], json);
    px_json_close(json, ']');
    pxi_write_owner_next(request, next);
    px_json_close(json, '}');
}

void pxi_get_silences(struct px_request *request)
{
    struct px_alert_cursor after = {0}, next = {0};
    int64_t limit = PXI_PAGE;
    uint32_t count;
    bool more;

    bool good = pxi_param_int(request, "limit", 1, PX_PAGE_MAX, &limit);
    if (!pxi_param_owner_cursor(request, &after) || !good)
        return;
    uint32_t most = (uint32_t)PX_MIN(limit, PXI_ALERTS_PAGE_MAX);
    struct px_silence *list = malloc(most * sizeof *list);
    int rc = list ? px_reader_silence_list(request->thread->reader, pxi_owner_of(request), &after, most, list, &count, &more, &next)
                  : PX_E_MEMORY;
    request->answer.cache = "private, no-cache";
    if (rc < 0)
        pxi_keeper_failed(request, rc);
    else
        write_silences(request, list, count, more ? &next : NULL);
    free(list);
}
