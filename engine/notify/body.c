/* What a receiver reads: the standard notification, or the owner's own words. */
#include <jansson.h>
#include <stdio.h>

#include "base/json_out.h"
#include "engine/notify/notify_private.h"
#include "match/plan.h"

void pxi_test_message(const struct px_channel *channel, char to[PXI_TEST_SIZE])
{
    if (channel->code[0])
        snprintf(to, PXI_TEST_SIZE, "The code to verify this channel is %s.", channel->code);
    else
        snprintf(to, PXI_TEST_SIZE, "This is a test.");
}

bool pxi_is_bare(const struct px_job *job)
{
    return (job->event.fire.alert.hi | job->event.fire.alert.lo) == 0;
}

static const struct px_config_asset *asset_of(const struct px_config *config, const struct px_fire *fire)
{
    return fire->asset < config->asset_count ? &config->assets[fire->asset] : NULL;
}

static void write_what(const struct px_config *config, struct px_json *json, const struct px_fire *fire, uint32_t number,
                       const char *name, unsigned op, const char *level, unsigned scale)
{
    const struct px_config_asset *asset = asset_of(config, fire);
    char id[PX_ALERT_ID_SIZE];

    px_alert_id_format(fire->alert, id);
    px_json_kv_string(json, "alert_id", id);
    px_json_kv_int(json, "fire", number);
    px_json_kv_string(json, "name", name);
    px_json_kv_string(json, "symbol", asset ? asset->symbol : "");
    px_json_kv_string(json, "op", px_op_name(op));
    px_json_kv_string(json, "level", level);
    px_json_kv_decimal(json, "price", asset ? fire->price : PX_PRICE_NONE, scale);
}

/* All the fires that one notification tells of, the first one too, as far as they are kept. */
static void write_fires(const struct px_config *config, const struct px_job *job, struct px_json *json)
{
    const struct px_alert_event *event = &job->event;

    px_json_key(json, "fires");
    px_json_open(json, '[');
    px_json_open(json, '{');
    write_what(config, json, &event->fire, event->fire_number, event->name, event->op, event->level, event->scale);
    px_json_kv_time(json, "matched_time", event->fire.matched_ns);
    px_json_close(json, '}');
    for (uint32_t i = 0; i < job->told_count; i++) {
        const struct px_told *told = &job->told[i];

        px_json_open(json, '{');
        write_what(config, json, &told->fire, told->fire_number, told->name, told->op, told->level, told->scale);
        px_json_kv_time(json, "matched_time", told->fire.matched_ns);
        px_json_close(json, '}');
    }
    px_json_close(json, ']');
}

static void write_fire(const struct pxi_notify *notify, const struct px_job *job, bool with_fires, struct px_json *json)
{
    const struct px_config *config = notify->heritage->config;
    const struct px_alert_event *event = &job->event;
    const struct px_fire *fire = &event->fire;
    char epoch[24];

    snprintf(epoch, sizeof epoch, "k%llu", (unsigned long long)notify->heritage->generation);
    write_what(config, json, fire, event->fire_number, event->name, event->op, event->level, event->scale);
    px_json_kv_decimal(json, "prev", asset_of(config, fire) ? fire->prev : PX_PRICE_NONE, event->scale);
    px_json_kv_time(json, "price_time", fire->time_ns);
    px_json_kv_time(json, "recv_time", fire->recv_ns);
    px_json_kv_time(json, "matched_time", fire->matched_ns);
    px_json_kv_string(json, "venue", fire->venue < config->venue_count ? config->venues[fire->venue].name : "");
    px_json_kv_int(json, "seq", (int64_t)event->eseq);
    px_json_kv_string(json, "epoch", epoch);
    px_json_kv_bool(json, "late", fire->flags & PX_FIRE_LATE);
    px_json_kv_int(json, "count", job->delivery.count);
    px_json_kv_string(json, "message", event->message);
    if (with_fires)
        write_fires(config, job, json);
}

static size_t write_standard(const struct pxi_notify *notify, const struct px_job *job, bool with_fires, char *body, size_t size)
{
    bool test = pxi_is_bare(job);
    const char *type = job->channel.code[0] ? "channel.verify" : "channel.test";
    struct px_json json;
    char id[PX_ALERT_ID_SIZE], message[PXI_TEST_SIZE];

    pxi_test_message(&job->channel, message);
    px_json_init(&json, body, size);
    px_json_open(&json, '{');
    px_json_kv_string(&json, "type", test ? type : job->delivery.eseq == 0 ? "alert.test" : "alert.fired");
    px_json_kv_time(&json, "timestamp", test ? job->delivery.created_ns : job->event.fire.matched_ns);
    px_json_key(&json, "data");
    px_json_open(&json, '{');
    if (test) {
        px_channel_id_format(job->channel.id, id);
        px_json_kv_string(&json, "channel_id", id);
        px_json_kv_string(&json, "message", message);
        if (job->channel.code[0])
            px_json_kv_string(&json, "code", job->channel.code);
    } else {
        write_fire(notify, job, with_fires, &json);
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

size_t pxi_body_write(const struct pxi_notify *notify, const struct px_job *job, char *body, size_t size, bool *jsonp)
{
    const char *message = job->event.message;
    char test[PXI_TEST_SIZE];

    if (pxi_is_bare(job)) {
        pxi_test_message(&job->channel, test);
        message = test;
    }
    *jsonp = true;
    if (job->channel.format != PX_FORMAT_RAW || !message[0]) {
        size_t len = write_standard(notify, job, job->told_count > 0, body, size);

        return len > 0 || job->told_count == 0 ? len : write_standard(notify, job, false, body, size);
    }
    px_text_copy(body, size, px_text_of(message));
    *jsonp = is_json(body, strlen(body));
    return strlen(body);
}
