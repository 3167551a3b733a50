/* Channels and deliveries: what the web and notify ask of the keeper, and the words of a fire. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/template.h"
#include "engine/keeper/keeper_private.h"
#include "store/silences.h"

#define PARKED_MS 1000u /* at most */

bool pxi_is_notice(unsigned kind)
{
    return kind == PX_WIRE_CHANNEL_PUT || kind == PX_WIRE_CHANNEL_DELETE || kind == PX_WIRE_CHANNEL_TEST || kind == PX_WIRE_ALERT_TEST ||
           kind == PX_WIRE_DELIVERY_REPLAY || kind == PX_WIRE_DELIVERY_REPLAY_DEAD || kind == PX_WIRE_NOTIFY_TURN ||
           kind == PX_WIRE_SILENCE_PUT || kind == PX_WIRE_SILENCE_DELETE;
}

/* ---- writes, main thread ---- */

static int rows_for(struct pxi_task *task, uint32_t count, size_t size)
{
    free(task->rows); /* a task that was put into a full group is put again */
    task->rows = calloc(PX_MAX(count, 1u), size);
    task->row_count = count;
    return task->rows ? 0 : PX_E_MEMORY;
}

static int put_channel(struct pxi_keeper *keeper, struct pxi_task *task)
{
    const struct px_channel *channel = &task->request.channel;

    if (keeper->tasks.space != PX_SPACE_FINE)
        return PX_E_DISK;
    int error = rows_for(task, 1, sizeof *channel);
    return error ? error : px_channels_put(keeper->alerts, channel, task->rows);
}

static int put_silence(struct pxi_keeper *keeper, struct pxi_task *task)
{
    const struct px_silence *silence = &task->request.silence;

    if (keeper->tasks.space != PX_SPACE_FINE)
        return PX_E_DISK;
    int error = rows_for(task, 1, sizeof *silence);
    return error ? error
                 : px_silences_put(keeper->alerts, silence, keeper->heritage->config->limits.silences_per_owner, task->rows);
}

/* What is due goes to the task. */
static int claim(struct pxi_keeper *keeper, struct pxi_task *task)
{
    uint32_t count = 0;
    int error = px_deliveries_claim(keeper->alerts, px_wall_now(), task->request.turn.want, keeper->jobs, &count, &task->prior);

    if (!error)
        error = rows_for(task, count, sizeof *keeper->jobs);
    if (!error)
        memcpy(task->rows, keeper->jobs, count * sizeof *keeper->jobs);
    return error;
}

/* It waits until something is due. notify has one at a time: another comes from a successor, or from one that has given up on the first. */
static void park(struct pxi_keeper *keeper, struct pxi_task *task)
{
    struct pxi_tasks *tasks = &keeper->tasks;

    task->parked = true;
    tasks->parked = task;
    tasks->parked_until = px_mono_now();
    tasks->parked_until.ns += PX_MIN(task->request.turn.wait_ms, PARKED_MS) * PX_NS_PER_MS;
}

static void unpark(struct pxi_keeper *keeper)
{
    struct pxi_task *task = keeper->tasks.parked;

    keeper->tasks.parked = NULL;
    if (!task)
        return;
    task->parked = false;
    pxi_task_finish(&keeper->tasks, task, 0);
}

/* Reports first: they are about what has been sent. One that finds its delivery touched in this group is for the next. */
static int turn(struct pxi_keeper *keeper, struct pxi_task *task)
{
    const struct px_turn *asked = &task->request.turn;
    int error = 0;

    if (asked->count > PX_REPORTS_MAX || asked->want > PX_JOBS_MAX)
        return PX_E_INVALID;
    if (asked->want > 0)
        unpark(keeper);
    for (uint32_t i = 0; i < asked->count && !error; i++)
        error = px_deliveries_report(keeper->alerts, &asked->report[i]);
    if (!error && (asked->fresh || !keeper->released))
        error = px_deliveries_release(keeper->alerts, px_wall_now());
    keeper->released |= !error;
    if (!error && asked->want > 0)
        error = claim(keeper, task);
    if (!error && asked->want > 0 && task->row_count == 0 && asked->wait_ms > 0)
        park(keeper, task);
    return error;
}

int pxi_claims_turn(struct pxi_keeper *keeper)
{
    struct pxi_task *task = keeper->tasks.parked;
    bool over = task && px_mono_since(px_mono_now(), keeper->tasks.parked_until) >= 0;
    int error = 0;

    if (!task || (!over && px_wall_now() < px_deliveries_soonest(keeper->alerts)))
        return 0;
    error = claim(keeper, task);
    if (!error && px_alerts_dirty(keeper->alerts))
        error = px_alerts_commit(keeper->alerts, false);
    if (error)
        return error;
    bool any = task->row_count > 0;
    if (over || any)
        unpark(keeper);
    return any;
}

static int replay_dead(struct pxi_keeper *keeper, struct pxi_task *task)
{
    uint32_t count = 0;
    int error = px_deliveries_replay_dead(keeper->alerts, task->request.alert.owner, PXI_TASKS, &count, &task->more);

    task->prior = count;
    return error;
}

/* As if it fired now, by the last price. */
static struct px_fire fire_of_now(const struct pxi_keeper *keeper, const struct px_alert *alert)
{
    struct px_fire fire = {.alert = alert->id, .asset = alert->asset, .price = PX_PRICE_NONE, .prev = PX_PRICE_NONE, .matched_ns = px_wall_now()};
    struct px_average_value average;
    struct px_detail_value detail;
    struct px_levels_value levels;

    if (alert->asset >= keeper->history.assets)
        return fire;
    px_latch_read(px_shm_detail(keeper->shm, alert->asset), &detail);
    px_latch_read(px_shm_average(keeper->shm, alert->asset), &average);
    px_latch_read(px_shm_levels(keeper->shm, alert->asset), &levels);
    fire.venue = (px_venue_id)detail.venue;
    fire.price = fire.prev = levels.position > 0 ? levels.value[PX_SERIES_LAST] : PX_PRICE_NONE;
    fire.time_ns = average.last_ns;
    fire.recv_ns = detail.recv_ns;
    return fire;
}

static int test_alert(struct pxi_keeper *keeper, struct pxi_task *task)
{
    const struct px_alert *asked = &task->request.alert;
    struct px_alert_event event;
    struct px_alert alert;
    int error = px_alerts_get(keeper->alerts, asked->owner, asked->id, &alert);

    if (!error)
        error = rows_for(task, 1, sizeof(struct px_delivery));
    if (error)
        return error;
    struct px_fire fire = fire_of_now(keeper, &alert);
    px_alerts_would_fire(keeper->alerts, &alert, &fire, &event);
    return px_deliveries_test(keeper->alerts, alert.owner, task->request.channel.id, &event, task->rows);
}

int pxi_notice_put(struct pxi_keeper *keeper, struct pxi_task *task)
{
    const struct px_alert *asked = &task->request.alert;
    int error = 0;

    switch (task->head.kind) {
    case PX_WIRE_CHANNEL_PUT:
        return put_channel(keeper, task);
    case PX_WIRE_CHANNEL_DELETE:
        return px_channels_delete(keeper->alerts, asked->owner, asked->id, asked->version);
    case PX_WIRE_CHANNEL_TEST:
        error = rows_for(task, 1, sizeof(struct px_delivery));
        return error ? error : px_deliveries_test(keeper->alerts, asked->owner, asked->id, NULL, task->rows);
    case PX_WIRE_ALERT_TEST:
        return test_alert(keeper, task);
    case PX_WIRE_DELIVERY_REPLAY:
        error = rows_for(task, 1, sizeof(struct px_delivery));
        return error ? error : px_deliveries_replay(keeper->alerts, asked->owner, task->request.since, task->rows);
    case PX_WIRE_DELIVERY_REPLAY_DEAD:
        return replay_dead(keeper, task);
    case PX_WIRE_SILENCE_PUT:
        return put_silence(keeper, task);
    case PX_WIRE_SILENCE_DELETE:
        return px_silences_delete(keeper->alerts, asked->owner, asked->id);
    case PX_WIRE_NOTIFY_TURN:
        return turn(keeper, task);
    default:
        return PX_E_INVALID;
    }
}

/* ---- reads, server thread ---- */

int pxi_notice_read(const struct pxi_keeper *keeper, unsigned kind, const struct px_wire_request *request, void *rows,
                    struct px_wire_answer *answer)
{
    const struct px_alert *asked = &request->alert;
    uint64_t next = 0;
    int result;

    switch (kind) {
    case PX_WIRE_CHANNEL_GET:
        result = px_channels_get(keeper->alerts, asked->owner, asked->id, rows);
        answer->count = result == 0;
        return result;
    case PX_WIRE_CHANNEL_LIST:
        return px_channels_list(keeper->alerts, asked->owner, &request->after, request->range.limit, rows, &answer->count,
                                &answer->more, &answer->next_alert);
    case PX_WIRE_SILENCE_GET:
        result = px_silences_get(keeper->alerts, asked->owner, asked->id, rows);
        answer->count = result == 0;
        return result;
    case PX_WIRE_SILENCE_LIST:
        return px_silences_list(keeper->alerts, asked->owner, &request->after, request->range.limit, rows, &answer->count,
                                &answer->more, &answer->next_alert);
    case PX_WIRE_DELIVERY_GET:
        result = px_deliveries_get(keeper->alerts, asked->owner, request->since, rows);
        answer->count = result == 0;
        return result;
    case PX_WIRE_DELIVERY_LIST:
        result = px_deliveries_list(keeper->alerts, asked->owner, (enum px_delivery_state)asked->state, request->since,
                                    request->range.limit, rows, &answer->count, &answer->more, &next);
        answer->prior = (int64_t)next;
        return result;
    default:
        return PX_E_INVALID;
    }
}

/* ---- the words ---- */

struct words {
    const struct pxi_keeper *keeper;
    const struct px_alert *alert;
    const struct px_alert_event *event;
    struct px_candle_value candle;
};

/* "2026-08-08T23:54:13Z", as charts write it. */
static void time_word(int64_t ns, char *to)
{
    px_rfc3339_format(PX_MAX(ns, 0), to);
    memcpy(to + 19, "Z", 2);
}

static bool price_word(int64_t price, unsigned scale, char *to)
{
    if (price == PX_PRICE_NONE)
        return false;
    px_decimal_format(price, scale, to);
    return true;
}

static bool word(void *ctx, struct px_text name, char to[PX_TEMPLATE_WORD])
{
    const struct words *words = ctx;
    const struct px_fire *fire = &words->event->fire;
    const struct px_config *config = words->keeper->heritage->config;
    const struct px_config_asset *asset = &config->assets[fire->asset];
    const struct px_candle_value *candle = &words->candle;

    if (px_text_is(name, "ticker"))
        return px_text_copy(to, PX_TEMPLATE_WORD, px_text_of(words->alert->symbol));
    if (px_text_is(name, "exchange"))
        return px_text_copy(to, PX_TEMPLATE_WORD,
                            px_text_of(fire->venue < config->venue_count ? config->venues[fire->venue].name : ""));
    if (px_text_is(name, "price") || px_text_is(name, "close"))
        return price_word(fire->price, asset->scale, to);
    if (px_text_is(name, "open"))
        return price_word(candle->open, asset->scale, to);
    if (px_text_is(name, "high"))
        return price_word(PX_MAX(candle->high, fire->price), asset->scale, to);
    if (px_text_is(name, "low"))
        return price_word(PX_MIN(candle->low, fire->price), asset->scale, to);
    if (px_text_is(name, "volume"))
        return price_word(candle->volume, asset->size_scale, to);
    if (px_text_is(name, "level"))
        return px_text_copy(to, PX_TEMPLATE_WORD, px_text_of(words->event->level));
    if (px_text_is(name, "interval"))
        return px_text_copy(to, PX_TEMPLATE_WORD, PX_TEXT("1"));
    if (px_text_is(name, "time"))
        time_word(candle->start_ns, to);
    else if (px_text_is(name, "timenow"))
        time_word(fire->matched_ns, to);
    else if (px_text_is(name, "alert.id"))
        px_alert_id_format(words->alert->id, to);
    else
        return false;
    return true;
}

/* The open minute is where the fire's own price stands, or is about to: it is at most milliseconds behind. */
void pxi_notice_render(void *ctx, const struct px_alert *alert, const struct px_alert_event *event,
                       char message[PX_ALERT_MESSAGE_SIZE])
{
    struct words words = {.keeper = ctx, .alert = alert, .event = event};
    const struct px_fire *fire = &event->fire;
    struct px_candle_pair pair;

    if (fire->asset >= words.keeper->history.assets)
        return;
    px_latch_read(px_shm_candle(words.keeper->shm, fire->asset), &pair);
    words.candle = pair.open;
    if (words.candle.start_ns == 0)
        words.candle = (struct px_candle_value){.start_ns = fire->time_ns - fire->time_ns % (60 * PX_NS_PER_S),
                                                .open = fire->price, .high = fire->price, .low = fire->price};
    px_template_render(px_text_of(alert->message), word, &words, message, PX_ALERT_MESSAGE_SIZE);
}
