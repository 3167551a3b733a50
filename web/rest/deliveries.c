/* Deliveries: what became of every notification, and once more for those that were given up. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "web/rest/request_private.h"

#define DELIVERY_BYTES_MAX 4096 /* of one with all its attempts */

static void write_attempt(const struct px_attempt *attempt, struct px_json *json)
{
    px_json_open(json, '{');
    px_json_kv_time(json, "time", attempt->time_ns);
    px_json_key(json, "status");
    if (attempt->status > 0)
        px_json_int(json, attempt->status);
    else
        px_json_null(json);
    px_json_kv_int(json, "latency_us", attempt->latency_us);
    px_json_key(json, "error");
    if (attempt->error[0])
        px_json_string(json, px_text_of(attempt->error));
    else
        px_json_null(json);
    px_json_close(json, '}');
}

static void write_delivery(const struct px_delivery *delivery, bool with_attempts, struct px_json *json)
{
    uint32_t first = delivery->attempts - PX_MIN(delivery->attempts, PX_ATTEMPTS_KEPT);
    bool open = px_delivery_is_open(delivery);
    char id[PX_ALERT_ID_SIZE], name[PX_DELIVERY_NAME_SIZE];

    px_delivery_id_format(delivery->number, id);
    px_delivery_name(delivery, name);
    px_json_open(json, '{');
    px_json_kv_string(json, "id", id);
    px_json_kv_string(json, "webhook_id", name);
    px_json_key(json, "alert_id");
    px_alert_id_format(delivery->alert, id);
    if ((delivery->alert.hi | delivery->alert.lo) != 0)
        px_json_string(json, px_text_of(id));
    else
        px_json_null(json);
    px_json_kv_int(json, "fire", delivery->fire_number);
    px_channel_id_format(delivery->channel, id);
    px_json_kv_string(json, "channel_id", id);
    px_json_kv_string(json, "state", px_delivery_state_name(delivery->state));
    px_json_kv_int(json, "count", delivery->count);
    if (delivery->state == PX_DELIVERY_SILENCED) {
        px_silence_id_format(delivery->silence, id);
        px_json_kv_string(json, "silence_id", id);
    }
    px_json_kv_time(json, "created_at", delivery->created_ns);
    px_json_kv_time(json, "due_at", open ? delivery->due_ns : 0);
    px_json_kv_time(json, "expires_at", delivery->expires_ns);
    px_json_kv_int(json, "attempt_count", delivery->attempts);
    if (with_attempts) {
        px_json_key(json, "attempts");
        px_json_open(json, '[');
        for (uint32_t i = first; i < delivery->attempts; i++)
            write_attempt(&delivery->attempt[i % PX_ATTEMPTS_KEPT], json);
        px_json_close(json, ']');
    }
    px_json_close(json, '}');
}

static void failed(struct px_request *request, int rc)
{
    if (rc == PX_E_NOT_FOUND)
        px_problem_set(&request->problem, PX_PROBLEM_NOT_FOUND, "No delivery of yours has this id");
    else
        pxi_keeper_failed(request, rc);
}

void pxi_get_delivery(struct px_request *request)
{
    struct px_delivery delivery;
    uint64_t number;
    int rc = px_delivery_id_parse(px_text_of(request->segment), &number) < 0
                 ? PX_E_NOT_FOUND
                 : px_reader_delivery_get(request->thread->reader, pxi_owner_of(request), number, &delivery);

    request->answer.cache = "private, no-cache";
    if (rc < 0)
        failed(request, rc);
    else
        write_delivery(&delivery, true, pxi_json(request));
}

/* ---- once more ---- */

void pxi_post_delivery_verb(struct px_request *request)
{
    const char *colon = strrchr(request->segment, ':');
    struct px_delivery delivery;
    uint64_t number;

    if (!colon || strcmp(colon, ":replay") != 0) {
        px_problem_set(&request->problem, PX_PROBLEM_NOT_FOUND, "A delivery knows :replay");
        return;
    }
    int rc = px_delivery_id_parse((struct px_text){request->segment, (size_t)(colon - request->segment)}, &number) < 0
                 ? PX_E_NOT_FOUND
                 : px_reader_delivery_replay(request->thread->reader, pxi_owner_of(request), number, &delivery);
    if (rc == PX_E_EXISTS)
        px_problem_set(&request->problem, PX_PROBLEM_CONFLICT, "It is under way");
    else if (rc < 0)
        failed(request, rc);
    if (rc < 0)
        return;
    request->answer.status = 202;
    write_delivery(&delivery, true, pxi_json(request));
}

/* The caller's own dead ones, an admin's too: nobody sends other people's notifications again by one slip. */
void pxi_post_replay(struct px_request *request)
{
    struct px_json *json = pxi_json(request);
    uint32_t count, all = 0;
    bool more = true;
    int rc = 0;

    for (unsigned i = 0; i < 16 && more && rc == 0; i++) {
        rc = px_reader_delivery_replay_dead(request->thread->reader, request->key.id, &count, &more);
        all += rc == 0 ? count : 0;
        more &= rc == 0 && count > 0;
    }
    if (rc < 0) {
        pxi_keeper_failed(request, rc);
        return;
    }
    request->answer.status = 202;
    px_json_open(json, '{');
    px_json_kv_int(json, "replayed", all);
    px_json_kv_bool(json, "more", more);
    px_json_close(json, '}');
}

/* ---- many ---- */

static bool param_filters(struct px_request *request, enum px_delivery_state *statep, uint64_t *beforep)
{
    struct px_text text;

    if (px_query_get(&request->query, "state", &text)) {
        *statep = px_delivery_state_find(text);
        if (*statep == PX_DELIVERY_ANY)
            px_problem_add(&request->problem, "?state", "must be one of pending delivering delivered failed dead silenced");
    }
    if (px_query_get(&request->query, "cursor", &text) && pxi_cursor_read(text, beforep, 1) < 0)
        px_problem_add(&request->problem, "?cursor", "is not one that an answer gave");
    return request->problem.kind == PX_PROBLEM_NONE;
}

static void write_deliveries(struct px_request *request, const struct px_delivery *list, uint32_t count, bool more,
                             uint64_t next)
{
    struct px_json *json = pxi_json(request);
    char cursor[PXI_CURSOR_SIZE];

    if (!pxi_reserve(request, (size_t)count * DELIVERY_BYTES_MAX + 256))
        return;
    px_json_open(json, '{');
    px_json_key(json, "deliveries");
    px_json_open(json, '[');
    for (uint32_t i = 0; i < count; i++)
        write_delivery(&list[i], false, json);
    px_json_close(json, ']');
    pxi_cursor_write(&next, 1, cursor);
    pxi_write_next(request, more ? cursor : NULL);
    px_json_close(json, '}');
}

void pxi_get_deliveries(struct px_request *request)
{
    enum px_delivery_state state = PX_DELIVERY_ANY;
    uint64_t before = 0, next = 0;
    int64_t limit = PXI_PAGE;
    uint32_t count;
    bool more;

    bool good = pxi_param_int(request, "limit", 1, PX_PAGE_MAX, &limit);
    if (!param_filters(request, &state, &before) || !good)
        return;
    uint32_t most = (uint32_t)PX_MIN(limit, PXI_ALERTS_PAGE_MAX);
    struct px_delivery *list = malloc(most * sizeof *list);
    int rc = list ? px_reader_delivery_list(request->thread->reader, pxi_owner_of(request), state, before, most, list, &count,
                                            &more, &next)
                  : PX_E_MEMORY;
    request->answer.cache = "private, no-cache";
    if (rc < 0)
        pxi_keeper_failed(request, rc);
    else
        write_deliveries(request, list, count, more, next);
    free(list);
}
