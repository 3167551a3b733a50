/* Many alerts by one request: each is made or refused by itself. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "web/rest/alerts_private.h"
#include "web/ulid.h"

#define REFUSAL_BYTES_MAX 8192

struct batch {
    struct px_request *request;
    struct px_text key;
    json_t *items;
    struct pxi_known_channels known;
    uint32_t count, sent; /* sent: those that the keeper is asked about */
    struct px_alert *alerts;
    struct px_alert_result *results;
    int32_t *at; /* per item: where it is among the sent ones; -1: wrong by itself */
};

/* The same body gives the same tokens again, each in its place. */
static void name_item(struct batch *batch, uint32_t i, struct px_alert *alert)
{
    char own[PXI_KEY_LEN_MAX + 24];

    px_ulid_make(px_wall_now(), &alert->id);
    if (!batch->key.at)
        return;
    int len = snprintf(own, sizeof own, "batch %u %.*s", i, (int)batch->key.len, batch->key.at);
    px_ulid_derive(alert->owner, (struct px_text){own, (size_t)len}, &alert->token);
}

static bool read_item(struct batch *batch, uint32_t i, struct px_alert *alert, struct px_problem *problem)
{
    problem->kind = PX_PROBLEM_NONE;
    problem->error_count = problem->retry_after_s = 0;
    if (!px_alert_body_take(json_array_get(batch->items, i), pxi_alert_asset, batch->request, alert, problem))
        return false;
    snprintf(alert->owner, sizeof alert->owner, "%s", batch->request->key.id);
    name_item(batch, i, alert);
    return pxi_own_channels(batch->request, alert, &batch->known, problem);
}

static void read_items(struct batch *batch, struct px_problem *problem)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        bool good = read_item(batch, i, &batch->alerts[batch->sent], problem);

        batch->at[i] = good ? (int32_t)batch->sent++ : -1;
    }
}

/* ---- the answer ---- */

static void write_problem(struct batch *batch, const struct px_problem *problem, struct px_json *json)
{
    px_json_kv_int(json, "status", px_problem_status(problem->kind));
    px_json_key(json, "problem");
    px_problem_write(problem, batch->request->exchange->path, batch->request->id, json);
}

static bool write_item(struct batch *batch, uint32_t i, struct px_json *json, struct px_problem *problem)
{
    struct px_alert again;

    if (batch->at[i] < 0) { /* once more: keeping what was wrong with each would take megabytes */
        if (read_item(batch, i, &again, problem)) /* nothing is wrong with it: its channels could not be looked up a moment ago */
            px_problem_of_error(problem, PX_E_AGAIN);
        write_problem(batch, problem, json);
        return false;
    }
    const struct px_alert *asked = &batch->alerts[batch->at[i]];
    const struct px_alert_result *result = &batch->results[batch->at[i]];
    int rc = result->result;
    problem->kind = PX_PROBLEM_NONE;
    problem->error_count = problem->retry_after_s = 0;
    if (rc == PX_E_EXISTS && batch->key.at && !px_alert_body_same(asked, &result->alert))
        px_problem_set(problem, PX_PROBLEM_IDEMPOTENCY_CONFLICT, "This Idempotency-Key has made another alert in this place");
    else if (rc != 0 && rc != PX_E_EXISTS)
        pxi_alert_refused(batch->request, rc, problem);
    if (problem->kind != PX_PROBLEM_NONE) {
        write_problem(batch, problem, json);
        return false;
    }
    px_json_kv_int(json, "status", 201);
    px_json_key(json, "alert");
    px_alert_write(&result->alert, json);
    return true;
}

static void write_results(struct batch *batch, struct px_problem *problem)
{
    struct px_json *json = pxi_json(batch->request);
    uint32_t made = 0;

    if (!pxi_reserve(batch->request, (size_t)batch->sent * PXI_ALERT_BYTES_MAX + (batch->count - batch->sent) * REFUSAL_BYTES_MAX + 256))
        return;
    batch->request->answer.status = 207;
    px_json_open(json, '{');
    px_json_key(json, "results");
    px_json_open(json, '[');
    for (uint32_t i = 0; i < batch->count; i++) {
        px_json_open(json, '{');
        made += write_item(batch, i, json, problem);
        px_json_close(json, '}');
    }
    px_json_close(json, ']');
    px_json_kv_int(json, "created", made);
    px_json_kv_int(json, "failed", batch->count - made);
    px_json_close(json, '}');
}

/* ---- the request ---- */

static void run(struct batch *batch)
{
    struct px_problem *problem = malloc(sizeof *problem);

    batch->alerts = calloc(batch->count, sizeof *batch->alerts);
    batch->results = calloc(batch->count, sizeof *batch->results);
    batch->at = calloc(batch->count, sizeof *batch->at);
    int rc = batch->alerts && batch->results && batch->at && problem ? 0 : PX_E_MEMORY;
    if (rc == 0)
        read_items(batch, problem);
    if (rc == 0 && batch->sent > 0)
        rc = px_reader_alert_batch(batch->request->thread->reader, batch->alerts, batch->sent, batch->results);
    if (rc < 0)
        pxi_keeper_failed(batch->request, rc);
    else
        write_results(batch, problem);
    free(batch->alerts);
    free(batch->results);
    free(batch->at);
    free(problem);
}

void pxi_post_alert_batch(struct px_request *request)
{
    struct batch batch = {.request = request};
    json_t *root;

    if (!pxi_idempotency_key(request, &batch.key) || !(root = px_body_parse(request->body, &request->problem)))
        return;
    batch.items = json_object_get(root, "alerts");
    if (!json_is_object(root) || json_object_size(root) != 1 || !json_is_array(batch.items) || json_array_size(batch.items) < 1 ||
        json_array_size(batch.items) > PX_BATCH_MAX) {
        px_problem_add(&request->problem, "/alerts", "must be an array of 1 to %d alerts, and the only member", PX_BATCH_MAX);
    } else {
        batch.count = (uint32_t)json_array_size(batch.items);
        pxi_charge(request, batch.count - 1); /* as if each had come by itself */
        run(&batch);
    }
    json_decref(root);
}
