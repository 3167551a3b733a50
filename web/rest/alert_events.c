/* The fires of alerts, as they were told. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "web/rest/alerts_private.h"

#define EVENT_BYTES_MAX 4096 /* of one in an answer, every byte of its texts escaped */

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
    uint64_t newest = count > 0 ? PX_MAX(events[0].eseq, events[count - 1].eseq) : since;
    snprintf(next, sizeof next, "%s-%llu", request->rest->epoch, (unsigned long long)newest);
    px_json_kv_string(json, "next_since", next);
    px_json_kv_bool(json, "more", more);
    px_json_close(json, '}');
}

static void get_events(struct px_request *request, struct px_alert_id alert)
{
    struct px_event_query query = {.owner = pxi_owner_of(request), .alert = alert};
    int64_t limit = PXI_PAGE;
    uint32_t count;
    bool more;

    bool good = pxi_param_int(request, "limit", 1, PX_PAGE_MAX, &limit);
    good &= pxi_param_order(request, &query.descending);
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

void pxi_get_events(struct px_request *request)
{
    get_events(request, (struct px_alert_id){0, 0});
}

/* Those of an alert that is gone stand among all events still. */
void pxi_get_alert_events(struct px_request *request)
{
    struct px_alert alert;

    if (pxi_alert_fetch(request, px_text_of(request->segment), &alert))
        get_events(request, alert.id);
}
