/* Alerts and their fires. The keeper decides; here its words become HTTP's. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "web/rest/alert_body.h"
#include "web/rest/request_private.h"
#include "web/ulid.h"

#define ALERT_BYTES_MAX 3072 /* of one alert in an answer, every byte of its texts escaped */
#define EVENT_BYTES_MAX 3072
#define KEY_LEN_MAX     255

static void set_version(struct px_request *request, const struct px_alert *alert)
{
    snprintf(request->answer.etag, sizeof request->answer.etag, "\"%u\"", alert->version);
}

static px_asset_id find_asset(void *ctx, struct px_text text, struct px_symbol *symbolp)
{
    return pxi_asset_find(ctx, text, symbolp);
}

/* ---- create ---- */

/* A key of visible characters names the alert; without one chance does. *keyedp says which. */
static bool name_alert(struct px_request *request, struct px_alert *alert, bool *keyedp)
{
    const char *key = request->exchange->header(request->exchange->ctx, "Idempotency-Key");

    *keyedp = key != NULL;
    if (!key) {
        px_ulid_make(px_wall_now(), &alert->id);
        return true;
    }
    size_t len = strlen(key);
    bool good = len > 0 && len <= KEY_LEN_MAX;
    for (size_t i = 0; i < len; i++)
        good &= key[i] > 0x20 && key[i] < 0x7f;
    if (good)
        px_ulid_derive(alert->owner, (struct px_text){key, len}, &alert->id);
    else
        px_problem_set(&request->problem, PX_PROBLEM_BAD_REQUEST, "An Idempotency-Key has 1 to %d visible characters",
                       KEY_LEN_MAX);
    return good;
}

static void answer_created(struct px_request *request, const struct px_alert *stored)
{
    char id[PX_ALERT_ID_SIZE];

    px_alert_id_format(stored->id, id);
    request->answer.status = 201;
    snprintf(request->answer.location, sizeof request->answer.location, "/api/v1/alerts/%s", id);
    set_version(request, stored);
    px_alert_write(stored, pxi_json(request));
}

static void answer_refused(struct px_request *request, int rc)
{
    if (rc == PX_E_LIMIT)
        px_problem_set(&request->problem, PX_PROBLEM_VALIDATION, "A key may hold %u alerts; delete some first",
                       request->limits.alerts_per_owner);
    else
        pxi_keeper_failed(request, rc);
}

/* Each channel must be the caller's own, whatever its scopes: it is the caller's fires that go there. */
static bool own_channels(struct px_request *request, const struct px_alert *alert)
{
    struct px_channel channel;
    char pointer[40];

    for (unsigned i = 0; i < alert->channel_count; i++) {
        int rc = px_reader_channel_get(request->thread->reader, alert->owner, alert->channels[i], &channel);

        snprintf(pointer, sizeof pointer, "/channels/%u", i);
        if (rc == PX_E_NOT_FOUND)
            px_problem_add(&request->problem, pointer, "names no channel of yours");
        else if (rc < 0)
            pxi_keeper_failed(request, rc);
    }
    return request->problem.kind == PX_PROBLEM_NONE;
}

void pxi_post_alert(struct px_request *request)
{
    struct px_alert alert, stored;
    bool keyed;

    if (!px_alert_body_read(request->body, find_asset, request, &alert, &request->problem))
        return;
    snprintf(alert.owner, sizeof alert.owner, "%s", request->key.id);
    if (!own_channels(request, &alert) || !name_alert(request, &alert, &keyed))
        return;
    int rc = px_reader_alert_create(request->thread->reader, &alert, &stored);
    if (rc == PX_E_EXISTS && keyed && !px_alert_body_same(&alert, &stored))
        px_problem_set(&request->problem, PX_PROBLEM_IDEMPOTENCY_CONFLICT,
                       "This Idempotency-Key has made an alert from another body");
    else if (rc == 0 || rc == PX_E_EXISTS)
        answer_created(request, &stored);
    else
        answer_refused(request, rc);
}

/* ---- one ---- */

static void unknown_alert(struct px_request *request)
{
    px_problem_set(&request->problem, PX_PROBLEM_UNKNOWN_ALERT, "No alert of yours has this id");
}

static bool fetch(struct px_request *request, struct px_alert *alertp)
{
    struct px_alert_id id;

    if (px_alert_id_parse(px_text_of(request->segment), &id) < 0) {
        unknown_alert(request);
        return false;
    }
    int rc = px_reader_alert_get(request->thread->reader, pxi_owner_of(request), id, alertp);
    if (rc == PX_E_NOT_FOUND)
        unknown_alert(request);
    else if (rc < 0)
        pxi_keeper_failed(request, rc);
    return rc == 0;
}

void pxi_get_alert(struct px_request *request)
{
    struct px_alert alert;

    if (!fetch(request, &alert))
        return;
    set_version(request, &alert);
    request->answer.cache = "private, no-cache";
    if (!pxi_not_modified(request, request->answer.etag))
        px_alert_write(&alert, pxi_json(request));
}

/* If-Match names versions; the keeper checks the one that was looked at here, so that nothing slips in between. */
void pxi_delete_alert(struct px_request *request)
{
    const char *wanted = request->exchange->header(request->exchange->ctx, "If-Match");
    struct px_alert alert;
    uint32_t version = 0;

    if (!fetch(request, &alert))
        return;
    if (wanted) {
        set_version(request, &alert);
        version = alert.version;
    }
    int rc = wanted && !pxi_etag_listed(wanted, request->answer.etag)
                 ? PX_E_PRECONDITION
                 : px_reader_alert_delete(request->thread->reader, pxi_owner_of(request), alert.id, version);
    if (rc == PX_E_NOT_FOUND)
        unknown_alert(request);
    else if (rc < 0)
        pxi_keeper_failed(request, rc);
    if (rc < 0)
        return;
    request->answer.etag[0] = '\0';
    request->answer.status = 204;
    request->answer.empty = true;
}

/* ---- many ---- */

_Static_assert(PX_OWNER_SIZE == 24, "a cursor of alerts is three words of owner and two of id");

static bool param_alert_cursor(struct px_request *request, struct px_alert_cursor *cursorp)
{
    struct px_text text;
    uint64_t words[PXI_CURSOR_WORDS];

    if (!px_query_get(&request->query, "cursor", &text))
        return true;
    if (pxi_cursor_read(text, words, PXI_CURSOR_WORDS) < 0 || memchr(words, '\0', PX_OWNER_SIZE) == NULL) {
        px_problem_add(&request->problem, "?cursor", "is not one that an answer gave");
        return false;
    }
    memcpy(cursorp->owner, words, sizeof cursorp->owner);
    cursorp->id = (struct px_alert_id){words[3], words[4]};
    return true;
}

static bool param_filters(struct px_request *request, struct px_alert_query *query, struct px_symbol *symbolp)
{
    struct px_text text;

    if (px_query_get(&request->query, "symbol", &text)) {
        if (pxi_asset_find(request, text, symbolp) == PX_ASSET_NONE) {
            px_problem_set(&request->problem, PX_PROBLEM_UNKNOWN_SYMBOL, "No asset has this name or alias");
            return false;
        }
        query->symbol = symbolp->name;
    }
    if (px_query_get(&request->query, "tag", &text)) {
        if (text.len == 0 || text.len >= PX_ALERT_TAG_SIZE)
            px_problem_add(&request->problem, "?tag", "must have 1 to %d bytes", PX_ALERT_TAG_SIZE - 1);
        query->tag = text.at; /* terminated in the query */
    }
    if (px_query_get(&request->query, "state", &text)) {
        query->state = px_alert_state_find(text);
        if (query->state == PX_ALERT_ANY)
            px_problem_add(&request->problem, "?state", "must be one of armed paused fired expired");
    }
    return request->problem.kind == PX_PROBLEM_NONE;
}

static void write_alerts(struct px_request *request, const struct px_alert *alerts, uint32_t count, bool more,
                         const struct px_alert_cursor *next)
{
    struct px_json *json = pxi_json(request);
    uint64_t words[PXI_CURSOR_WORDS] = {0};
    char cursor[PXI_CURSOR_SIZE];

    if (!pxi_reserve(request, (size_t)count * ALERT_BYTES_MAX + 256))
        return;
    px_json_open(json, '{');
    px_json_key(json, "alerts");
    px_json_open(json, '[');
    for (uint32_t i = 0; i < count; i++)
        px_alert_write(&alerts[i], json);
    px_json_close(json, ']');
    memcpy(words, next->owner, sizeof next->owner);
    words[3] = next->id.hi;
    words[4] = next->id.lo;
    pxi_cursor_write(words, PXI_CURSOR_WORDS, cursor);
    pxi_write_next(request, more ? cursor : NULL);
    px_json_close(json, '}');
}

void pxi_get_alerts(struct px_request *request)
{
    struct px_alert_query query = {.owner = pxi_owner_of(request)};
    struct px_alert_cursor next = {0};
    struct px_symbol symbol;
    int64_t limit = PXI_PAGE;
    uint32_t count;
    bool more;

    bool good = pxi_param_int(request, "limit", 1, PX_PAGE_MAX, &limit);
    good &= param_alert_cursor(request, &query.after);
    if (!param_filters(request, &query, &symbol) || !good)
        return;
    query.limit = (uint32_t)PX_MIN(limit, PXI_ALERTS_PAGE_MAX);
    struct px_alert *alerts = malloc(query.limit * sizeof *alerts);
    int rc = alerts ? px_reader_alert_list(request->thread->reader, &query, alerts, &count, &more, &next) : PX_E_MEMORY;
    request->answer.cache = "private, no-cache";
    if (rc < 0)
        pxi_keeper_failed(request, rc);
    else
        write_alerts(request, alerts, count, more, &next);
    free(alerts);
}

/* ---- fires ---- */

static void write_event(struct px_request *request, const struct px_alert_event *event)
{
    const struct px_fire *fire = &event->fire;
    struct px_json *json = pxi_json(request);
    struct px_symbol symbol;
    char id[PX_ALERT_ID_SIZE], name[64];
    bool known = pxi_asset_at(request, fire->asset, &symbol);

    px_alert_id_format(fire->alert, id);
    snprintf(name, sizeof name, "ev_%s_%u", id, event->fire_number);
    px_json_open(json, '{');
    px_json_kv_string(json, "id", name);
    px_json_kv_string(json, "alert_id", id);
    px_json_kv_int(json, "fire", event->fire_number);
    px_json_kv_string(json, "name", event->name);
    px_json_kv_string(json, "symbol", known ? symbol.name : "");
    px_json_kv_string(json, "op", px_op_name(event->op));
    px_json_kv_string(json, "level", event->level);
    px_json_kv_decimal(json, "price", known ? fire->price : PX_PRICE_NONE, event->scale);
    px_json_kv_decimal(json, "prev", known ? fire->prev : PX_PRICE_NONE, event->scale);
    px_json_kv_time(json, "price_time", fire->time_ns);
    px_json_kv_time(json, "recv_time", fire->recv_ns);
    px_json_kv_time(json, "matched_time", fire->matched_ns);
    px_json_kv_string(json, "venue", pxi_venue_name(request, fire->venue));
    px_json_kv_int(json, "seq", (int64_t)event->eseq);
    px_json_kv_string(json, "epoch", request->rest->epoch);
    px_json_kv_bool(json, "late", fire->flags & PX_FIRE_LATE);
    px_json_kv_int(json, "count", event->count);
    px_json_kv_string(json, "message", event->message);
    px_json_close(json, '}');
}

/* "k3-17" or "17": fires are counted for ever, so the epoch only has to look like one. */
static bool param_since(struct px_request *request, uint64_t *sincep)
{
    struct px_text text, seq;
    int64_t value = 0;

    *sincep = 0;
    if (!px_query_get(&request->query, "since", &text) || text.len == 0)
        return true;
    const char *dash = memchr(text.at, '-', text.len);
    seq = dash ? (struct px_text){dash + 1, (size_t)(text.at + text.len - dash - 1)} : text;
    bool good = seq.len > 0 && seq.len <= 18 && (!dash || (text.at[0] == 'k' && dash > text.at + 1));
    for (size_t i = 0; i < seq.len && good; i++) {
        good = seq.at[i] >= '0' && seq.at[i] <= '9';
        value = value * 10 + (seq.at[i] - '0');
    }
    if (!good)
        px_problem_add(&request->problem, "?since", "must be <epoch>-<seq> as events carry them");
    *sincep = (uint64_t)value;
    return good;
}

static void write_events(struct px_request *request, const struct px_alert_event *events, uint32_t count, bool more,
                         uint64_t since)
{
    struct px_json *json = pxi_json(request);
    char next[48];

    if (!pxi_reserve(request, (size_t)count * EVENT_BYTES_MAX + 256))
        return;
    px_json_open(json, '{');
    px_json_key(json, "events");
    px_json_open(json, '[');
    for (uint32_t i = 0; i < count; i++)
        write_event(request, &events[i]);
    px_json_close(json, ']');
    snprintf(next, sizeof next, "%s-%llu", request->rest->epoch,
             (unsigned long long)(count > 0 ? events[count - 1].eseq : since));
    px_json_kv_string(json, "next_since", next);
    px_json_kv_bool(json, "more", more);
    px_json_close(json, '}');
}

void pxi_get_events(struct px_request *request)
{
    struct px_event_query query = {.owner = pxi_owner_of(request)};
    int64_t limit = PXI_PAGE;
    uint32_t count;
    bool more;

    bool good = pxi_param_int(request, "limit", 1, PX_PAGE_MAX, &limit);
    if (!param_since(request, &query.since) || !good)
        return;
    query.limit = (uint32_t)PX_MIN(limit, PXI_ALERTS_PAGE_MAX);
    struct px_alert_event *events = malloc(query.limit * sizeof *events);
    int rc = events ? px_reader_events(request->thread->reader, &query, events, &count, &more) : PX_E_MEMORY;
    request->answer.cache = "private, no-cache";
    if (rc < 0)
        pxi_keeper_failed(request, rc);
    else
        write_events(request, events, count, more, query.since);
    free(events);
}
