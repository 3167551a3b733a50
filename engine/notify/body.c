/* What a receiver reads: the standard notification, or the owner's own words. */
#include <jansson.h>
#include <stdio.h>

#include "base/json_out.h"
#include "engine/notify/notify_private.h"
#include "match/plan.h"

static void write_fire(const struct pxi_notify *notify, const struct px_job *job, struct px_json *json)
{
    const struct px_config *config = notify->heritage->config;
    const struct px_alert_event *event = &job->event;
    const struct px_fire *fire = &event->fire;
    const struct px_config_asset *asset = fire->asset < config->asset_count ? &config->assets[fire->asset] : NULL;
    char id[PX_ALERT_ID_SIZE], epoch[24];

    px_alert_id_format(fire->alert, id);
    snprintf(epoch, sizeof epoch, "k%llu", (unsigned long long)notify->heritage->generation);
    px_json_kv_string(json, "alert_id", id);
    px_json_kv_int(json, "fire", event->fire_number);
    px_json_kv_string(json, "name", event->name);
    px_json_kv_string(json, "symbol", asset ? asset->symbol : "");
    px_json_kv_string(json, "op", px_op_name(event->op));
    px_json_kv_string(json, "level", event->level);
    px_json_kv_decimal(json, "price", asset ? fire->price : PX_PRICE_NONE, event->scale);
    px_json_kv_decimal(json, "prev", asset ? fire->prev : PX_PRICE_NONE, event->scale);
    px_json_kv_time(json, "price_time", fire->time_ns);
    px_json_kv_time(json, "recv_time", fire->recv_ns);
    px_json_kv_time(json, "matched_time", fire->matched_ns);
    px_json_kv_string(json, "venue", fire->venue < config->venue_count ? config->venues[fire->venue].name : "");
    px_json_kv_int(json, "seq", (int64_t)event->eseq);
    px_json_kv_string(json, "epoch", epoch);
    px_json_kv_bool(json, "late", fire->flags & PX_FIRE_LATE);
    px_json_kv_int(json, "count", job->delivery.count);
    px_json_kv_string(json, "message", event->message);
}

static size_t write_standard(const struct pxi_notify *notify, const struct px_job *job, char *body)
{
    bool test = job->delivery.eseq == 0;
    struct px_json json;
    char id[PX_ALERT_ID_SIZE];

    px_json_init(&json, body, PXI_BODY_MAX);
    px_json_open(&json, '{');
    px_json_kv_string(&json, "type", test ? "channel.test" : "alert.fired");
    px_json_kv_time(&json, "timestamp", test ? job->delivery.created_ns : job->event.fire.matched_ns);
    px_json_key(&json, "data");
    px_json_open(&json, '{');
    if (test) {
        px_channel_id_format(job->channel.id, id);
        px_json_kv_string(&json, "channel_id", id);
        px_json_kv_string(&json, "message", "This is a test.");
    } else {
        write_fire(notify, job, &json);
    }
    px_json_close(&json, '}');
    px_json_close(&json, '}');
    return json.full ? 0 : json.len;
}

/* A receiver that goes by the type must not be told that something else is JSON. Messages are short, so depth is no danger. */
static bool is_json(const char *text, size_t len)
{
    json_t *root = json_loadb(text, len, JSON_DECODE_ANY, NULL);

    json_decref(root);
    return root != NULL;
}

size_t pxi_body_write(const struct pxi_notify *notify, const struct px_job *job, char body[PXI_BODY_MAX], bool *jsonp)
{
    const char *message = job->delivery.eseq == 0 ? "This is a test." : job->event.message;

    *jsonp = true;
    if (job->channel.format != PX_FORMAT_RAW || !message[0])
        return write_standard(notify, job, body);
    px_text_copy(body, PXI_BODY_MAX, px_text_of(message));
    *jsonp = is_json(body, strlen(body));
    return strlen(body);
}
