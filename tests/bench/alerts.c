#include "tests/bench/alerts.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/error.h"
#include "tests/bench/rest.h"

#define CONNECTIONS 8

static int read_assets(const char *path, struct bench_alerts *alerts)
{
    FILE *file = fopen(path, "r");
    char line[256], tick[32], price[32];
    int error = file ? 0 : PX_E_IO;

    while (!error && fgets(line, sizeof(line), file)) {
        if ((alerts->asset_count & (alerts->asset_count - 1)) == 0) {
            size_t room = alerts->asset_count ? alerts->asset_count * 2 : 1;
            struct bench_asset *more = realloc(alerts->assets, room * sizeof(*more));
            if (!more) {
                error = PX_E_MEMORY;
                break;
            }
            alerts->assets = more;
        }
        struct bench_asset *asset = &alerts->assets[alerts->asset_count++];
        *asset = (struct bench_asset){.scale = 0};
        if (sscanf(line, "%31s %31s %u %*u %31s %31s", asset->venue_name, asset->symbol, &asset->scale, tick, price) !=
                5 ||
            px_decimal_parse(px_text_of(tick), asset->scale, PX_ROUND_EXACT, &asset->tick) != 0 ||
            px_decimal_parse(px_text_of(price), asset->scale, PX_ROUND_EXACT, &asset->price) != 0)
            error = PX_E_FORMAT;
    }
    if (file)
        fclose(file);
    return error ? error : alerts->asset_count ? 0 : PX_E_FORMAT;
}

/* The near ones lie 1 to 10 hundredths of a percent from the start, where a walk comes by; the far ones at twice the
 * price. */
static void choose(struct bench_alerts *alerts, uint32_t index)
{
    struct bench_alert *alert = &alerts->list[index];
    uint64_t place = (uint64_t)index * alerts->asset_count / alerts->count; /* in order of assets */
    struct bench_asset *asset = &alerts->assets[place];
    int64_t steps = asset->price / asset->tick * (1 + index / 4 % 10) / 10000;

    alert->asset = (uint32_t)place;
    alert->up = index % 2;
    if (index % 4 < 2)
        alert->level = asset->price * 2;
    else
        alert->level = asset->price + (alert->up ? 1 : -1) * PX_MAX(steps, 1) * asset->tick;
    if (index % 4 < 2)
        alert->up = true;
    if (asset->alert_count++ == 0)
        asset->first_alert = index;
}

int bench_alerts_plan(const char *list_file, uint32_t count, struct bench_alerts *alertsp)
{
    int error;

    *alertsp = (struct bench_alerts){.count = count};
    error = read_assets(list_file, alertsp);
    alertsp->list = calloc(count ? count : 1, sizeof(*alertsp->list));
    if (!error && !alertsp->list)
        error = PX_E_MEMORY;
    for (uint32_t i = 0; !error && i < count; i++)
        choose(alertsp, i);
    if (error)
        bench_alerts_fini(alertsp);
    return error;
}

void bench_alerts_fini(struct bench_alerts *alerts)
{
    free(alerts->assets);
    free(alerts->list);
    *alerts = (struct bench_alerts){0};
}

struct creator {
    pthread_t thread;
    struct bench_alerts *alerts;
    const char *host, *key;
    uint16_t port;
    uint32_t first;
    uint32_t created, refused;
    char complaint[200];
};

/* "id":"al_…" of the answer. */
static bool read_id(struct px_text body, char id[40])
{
    static const char key[] = "\"id\":\"";
    const char *at = memmem(body.at, body.len, key, sizeof(key) - 1), *end;

    if (!at)
        return false;
    at += sizeof(key) - 1;
    end = memchr(at, '"', (size_t)(body.at + body.len - at));
    return end && px_text_copy(id, 40, (struct px_text){at, (size_t)(end - at)});
}

static void create_one(struct creator *creator, struct rest *rest, struct bench_alert *alert)
{
    const struct bench_asset *asset = &creator->alerts->assets[alert->asset];
    char level[PX_DECIMAL_SIZE], body[300];
    struct px_text answer;

    px_decimal_format(alert->level, asset->scale, level);
    snprintf(body, sizeof(body),
             "{\"symbol\":\"%s\",\"condition\":{\"op\":\"crossing_%s\",\"source\":\"last\",\"level\":\"%s\"},"
             "\"frequency\":\"once\"}",
             asset->symbol, alert->up ? "up" : "down", level);
    alert->asked_us = px_wall_now() / PX_NS_PER_US;
    int status = rest_request(rest, "POST", "/api/v1/alerts", body, &answer);
    if ((status == 201 || status == 200) && read_id(answer, alert->id)) {
        alert->armed_us = px_wall_now() / PX_NS_PER_US;
        creator->created++;
    } else if (creator->refused++ == 0) {
        snprintf(creator->complaint, sizeof(creator->complaint), "status %d: %.*s", status,
                 (int)PX_MIN(answer.len, 160), answer.at);
    }
}

static void *create_some(void *argument)
{
    struct creator *creator = argument;
    struct rest rest;

    if (rest_init(&rest, creator->host, creator->port, creator->key) != 0)
        return NULL;
    for (uint32_t i = creator->first; i < creator->alerts->count; i += CONNECTIONS)
        create_one(creator, &rest, &creator->alerts->list[i]);
    rest_fini(&rest);
    return NULL;
}

int bench_alerts_create(struct bench_alerts *alerts, const char *host, uint16_t port, const char *key)
{
    struct creator creators[CONNECTIONS];

    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        creators[i] = (struct creator){.alerts = alerts, .host = host, .port = port, .key = key, .first = i};
        if (pthread_create(&creators[i].thread, NULL, create_some, &creators[i]) != 0)
            return PX_E_SYSTEM; /* the bench ends with it */
    }
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        pthread_join(creators[i].thread, NULL);
        alerts->created += creators[i].created;
        alerts->refused += creators[i].refused;
        if (creators[i].complaint[0])
            fprintf(stderr, "e2e: an alert was refused: %s\n", creators[i].complaint);
    }
    return 0;
}

/* Fires are few against the ticks, so looking through the list is good enough for a bench. */
bool bench_alerts_fired(struct bench_alerts *alerts, struct px_text id)
{
    for (uint32_t i = 0; i < alerts->count; i++)
        if (px_text_is(id, alerts->list[i].id)) {
            alerts->list[i].fired = true;
            return true;
        }
    return false;
}

static void judge_tick(struct bench_alerts *alerts, const struct bench_asset *asset, int64_t before, int64_t now,
                       int64_t time_us)
{
    for (uint32_t i = asset->first_alert; i < asset->first_alert + asset->alert_count; i++) {
        struct bench_alert *alert = &alerts->list[i];
        bool crossed =
            alert->up ? before < alert->level && alert->level <= now : before > alert->level && alert->level >= now;
        if (!crossed || !alert->armed_us)
            continue;
        alert->may |= time_us >= alert->asked_us;
        alert->must |= time_us > alert->armed_us;
    }
}

int bench_alerts_judge(struct bench_alerts *alerts, const char *journal_file)
{
    FILE *file = fopen(journal_file, "r");
    int64_t *last = calloc(alerts->asset_count, sizeof(*last)); /* 0 = none yet */
    char line[256], name[32], price[32], fate[16];
    long long number, time_us;
    int64_t now;

    while (file && last && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%31s %lld %31s %*s %lld %15s", name, &number, price, &time_us, fate) != 5 ||
            strcmp(fate, "sent"))
            continue;
        uint32_t index = (uint32_t)strtoul(name + 1, NULL, 10) - 1; /* A00001USD */
        if (index >= alerts->asset_count ||
            px_decimal_parse(px_text_of(price), alerts->assets[index].scale, PX_ROUND_EXACT, &now) != 0)
            continue;
        alerts->ticks_sent++;
        if (last[index])
            judge_tick(alerts, &alerts->assets[index], last[index], now, time_us);
        last[index] = now;
    }
    int error = !file ? PX_E_IO : !last ? PX_E_MEMORY : 0;
    if (file)
        fclose(file);
    free(last);
    return error;
}
