/* Alerts and their fires. The keeper decides; here its words become HTTP's. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "web/rest/alerts_private.h"
#include "web/ulid.h"

#define CHANGES_MAX 4 /* attempts at a change that nobody has tied to a version */

static void set_version(struct px_request *request, const struct px_alert *alert)
{
    snprintf(request->answer.etag, sizeof request->answer.etag, "\"%u\"", alert->version);
}

px_asset_id pxi_alert_asset(void *ctx, struct px_text text, struct px_symbol *symbolp)
{
    return pxi_asset_find(ctx, text, symbolp);
}

/* ---- create ---- */

static void answer_created(struct px_request *request, const struct px_alert *stored)
{
    char id[PX_ALERT_ID_SIZE];

    px_alert_id_format(stored->id, id);
    request->answer.status = 201;
    snprintf(request->answer.location, sizeof request->answer.location, "/api/v1/alerts/%s", id);
    set_version(request, stored);
    px_alert_write(stored, pxi_json(request));
}

void pxi_alert_refused(struct px_request *request, int rc, struct px_problem *problem)
{
    if (rc == PX_E_NOT_FOUND)
        px_problem_set(problem, PX_PROBLEM_UNKNOWN_ALERT, "No alert of yours has this id");
    else if (rc == PX_E_LIMIT)
        px_problem_set(problem, PX_PROBLEM_VALIDATION, "A key may hold %u alerts; delete some first", request->limits.alerts_per_owner);
    else if (rc == PX_E_CONFLICT)
        px_problem_set(problem, PX_PROBLEM_CONFLICT, "Its state does not allow this: only what is armed is paused, only what is paused "
                                                     "is resumed; rearm arms whatever has ended");
    else
        px_problem_of_error(problem, rc);
}

static void refused(struct px_request *request, int rc)
{
    pxi_alert_refused(request, rc, &request->problem);
}

/* Asked for once a request, however many alerts name it. */
static int look_for_channel(struct px_request *request, const char *owner, struct px_alert_id id, struct pxi_known_channels *known)
{
    struct px_channel channel;

    for (unsigned i = 0; i < known->count; i++)
        if (memcmp(&known->list[i].id, &id, sizeof id) == 0)
            return known->list[i].result;
    int rc = px_reader_channel_get(request->thread->reader, owner, id, &channel);
    if (known->count < PX_COUNT_OF(known->list) && (rc == 0 || rc == PX_E_NOT_FOUND)) {
        known->list[known->count].id = id;
        known->list[known->count++].result = rc;
    }
    return rc;
}

bool pxi_own_channels(struct px_request *request, const struct px_alert *alert, struct pxi_known_channels *known,
                      struct px_problem *problem)
{
    char pointer[40];

    for (unsigned i = 0; i < alert->channel_count; i++) {
        int rc = look_for_channel(request, alert->owner, alert->channels[i], known);

        snprintf(pointer, sizeof pointer, "/channels/%u", i);
        if (rc == PX_E_NOT_FOUND)
            px_problem_add(problem, pointer, "names no channel of yours");
        else if (rc < 0)
            px_problem_of_error(problem, rc);
    }
    return problem->kind == PX_PROBLEM_NONE;
}

void pxi_post_alert(struct px_request *request)
{
    struct pxi_known_channels known = {.count = 0};
    struct px_alert alert, stored;
    struct px_text key;

    if (!px_alert_body_read(request->body, pxi_alert_asset, request, &alert, &request->problem))
        return;
    snprintf(alert.owner, sizeof alert.owner, "%s", request->key.id);
    if (!pxi_own_channels(request, &alert, &known, &request->problem) || !pxi_idempotency_key(request, &key))
        return;
    px_ulid_make(px_wall_now(), &alert.id);
    if (key.at)
        px_ulid_derive(alert.owner, key, &alert.token);
    int rc = px_reader_alert_create(request->thread->reader, &alert, &stored);
    if (rc == PX_E_EXISTS && key.at && !px_alert_body_same(&alert, &stored))
        px_problem_set(&request->problem, PX_PROBLEM_IDEMPOTENCY_CONFLICT,
                       "This Idempotency-Key has made an alert from another body");
    else if (rc == 0 || rc == PX_E_EXISTS)
        answer_created(request, &stored);
    else
        refused(request, rc);
}

/* ---- one ---- */

bool pxi_alert_fetch(struct px_request *request, struct px_text name, struct px_alert *alertp)
{
    struct px_alert_id id;
    int rc = px_alert_id_parse(name, &id) < 0 ? PX_E_NOT_FOUND
                                              : px_reader_alert_get(request->thread->reader, pxi_owner_of(request), id, alertp);

    if (rc < 0)
        refused(request, rc);
    return rc == 0;
}

void pxi_get_alert(struct px_request *request)
{
    struct px_alert alert;

    if (!pxi_alert_fetch(request, px_text_of(request->segment), &alert))
        return;
    set_version(request, &alert);
    request->answer.cache = "private, no-cache";
    if (!pxi_not_modified(request, request->answer.etag))
        px_alert_write(&alert, pxi_json(request));
}

/*
 * If-Match names versions; the keeper checks the one that was looked at here, so that nothing slips in between. *versionp is 0 when the
 * client does not care. False with the problem stated.
 */
static bool match_version(struct px_request *request, const struct px_alert *alert, uint32_t *versionp)
{
    const char *wanted = request->exchange->header(request->exchange->ctx, "If-Match");

    *versionp = wanted ? alert->version : 0;
    set_version(request, alert);
    if (!wanted || pxi_etag_listed(wanted, request->answer.etag))
        return true;
    refused(request, PX_E_PRECONDITION);
    return false;
}

void pxi_delete_alert(struct px_request *request)
{
    struct px_alert alert;
    uint32_t version;

    if (!pxi_alert_fetch(request, px_text_of(request->segment), &alert) || !match_version(request, &alert, &version))
        return;
    int rc = px_reader_alert_delete(request->thread->reader, pxi_owner_of(request), alert.id, version);
    if (rc < 0) {
        refused(request, rc);
        return;
    }
    request->answer.etag[0] = '\0';
    request->answer.status = 204;
    request->answer.empty = true;
}

static void answer_with(struct px_request *request, const struct px_alert *stored)
{
    set_version(request, stored);
    px_alert_write(stored, pxi_json(request));
}

/* One attempt: the patch upon what stands. 1 when it changed meanwhile and the client has not said what it must be. */
static int change(struct px_request *request)
{
    struct pxi_known_channels known = {.count = 0};
    struct px_alert alert, stored;
    uint32_t version;

    if (!pxi_alert_fetch(request, px_text_of(request->segment), &alert) || !match_version(request, &alert, &version) ||
        !px_alert_body_patch(request->body, pxi_alert_asset, request, &alert, &request->problem) ||
        !pxi_own_channels(request, &alert, &known, &request->problem))
        return 0;
    int rc = px_reader_alert_update(request->thread->reader, &alert, &stored);
    if (rc == PX_E_PRECONDITION && version == 0)
        return 1;
    if (rc < 0)
        refused(request, rc);
    else
        answer_with(request, &stored);
    return 0;
}

void pxi_patch_alert(struct px_request *request)
{
    for (int i = 0; i < CHANGES_MAX; i++)
        if (!change(request))
            return;
    px_problem_of_error(&request->problem, PX_E_AGAIN);
}

/* ---- verbs ---- */

static void test(struct px_request *request, const struct px_alert *alert)
{
    struct px_json *json = pxi_json(request);
    struct px_delivery made;
    char id[PX_DELIVERY_ID_SIZE];
    int rc = alert->channel_count > 0 ? 0 : PX_E_EMPTY;

    px_json_open(json, '{');
    px_json_key(json, "deliveries");
    px_json_open(json, '[');
    for (unsigned i = 0; i < alert->channel_count && rc == 0; i++) {
        rc = px_reader_alert_test(request->thread->reader, alert->owner, alert->id, alert->channels[i], &made);
        px_delivery_id_format(made.number, id);
        px_json_string(json, px_text_of(id));
    }
    px_json_close(json, ']');
    px_json_close(json, '}');
    request->answer.status = 202;
    if (rc == PX_E_EMPTY)
        px_problem_set(&request->problem, PX_PROBLEM_CONFLICT, "It has no channels: its fires are told on the live streams only");
    else if (rc == PX_E_NOT_FOUND)
        px_problem_set(&request->problem, PX_PROBLEM_UNKNOWN_CHANNEL, "One of its channels is gone");
    else if (rc < 0)
        pxi_keeper_failed(request, rc);
}

typedef int verb(struct px_reader *reader, const char *owner, struct px_alert_id id, uint32_t version, struct px_alert *storedp);

static void act(struct px_request *request, const struct px_alert *alert, verb *what)
{
    struct px_alert stored;
    uint32_t version;

    if (!match_version(request, alert, &version))
        return;
    int rc = what(request->thread->reader, pxi_owner_of(request), alert->id, version, &stored);
    if (rc < 0)
        refused(request, rc);
    else
        answer_with(request, &stored);
}

void pxi_post_alert_verb(struct px_request *request)
{
    static const struct {
        const char *name;
        verb *what; /* NULL: the test */
    } verbs[] = {{":pause", px_reader_alert_pause}, {":resume", px_reader_alert_resume}, {":rearm", px_reader_alert_rearm}, {":test", NULL}};
    const char *colon = strrchr(request->segment, ':');
    struct px_text name = {request->segment, colon ? (size_t)(colon - request->segment) : 0};
    struct px_alert alert;

    for (size_t i = 0; colon && i < PX_COUNT_OF(verbs); i++) {
        if (strcmp(colon, verbs[i].name) != 0)
            continue;
        if (!pxi_alert_fetch(request, name, &alert))
            return;
        if (verbs[i].what)
            act(request, &alert, verbs[i].what);
        else
            test(request, &alert);
        return;
    }
    px_problem_set(&request->problem, PX_PROBLEM_NOT_FOUND, "An alert knows :pause, :resume, :rearm and :test");
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
            px_problem_add(&request->problem, "?state", "must be one of armed waiting cooling paused fired expired");
    }
    return request->problem.kind == PX_PROBLEM_NONE;
}

static void write_alerts(struct px_request *request, const struct px_alert *alerts, uint32_t count, bool more,
                         const struct px_alert_cursor *next)
{
    struct px_json *json = pxi_json(request);
    uint64_t words[PXI_CURSOR_WORDS] = {0};
    char cursor[PXI_CURSOR_SIZE];

    if (!pxi_reserve(request, (size_t)count * PXI_ALERT_BYTES_MAX + 256))
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
