/*
 * The far end of the e2e bench: watches the engine as a client does and says how late a tick arrives.
 *
 *   pxvenue ──trade, stamped in us──► engine ──/ws/v1 ticker *──────► tick to client   (now - timestamp)
 *      │                                └──────/ws/v1 alerts────────► tick to alert    (now - price_time)
 *      └──► journal ──► which alerts must have fired, how many ticks there were; against /metrics: how many are lost
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "net/ws.h"
#include "tests/bench/alerts.h"
#include "tests/bench/histogram.h"
#include "tests/bench/processes.h"
#include "tests/bench/rest.h"

#define LIMIT_MS  200.0
#define FIRES_MAX 100000

struct settings {
    const char *host, *key, *list, *journal;
    uint16_t port;
    int engine_pid, venue_pid;
    unsigned seconds, warmup, alerts;
};

/* What was heard, whoever heard it. */
struct bench {
    struct settings settings;
    struct bench_alerts alerts;
    bool measuring;
    int64_t *newest; /* by asset: the time of the latest tick heard, so that a repeat does not count as a delay */
    struct histogram ticks, fires;
    uint64_t updates, frames, bytes, snapshots, repeats, errors;
    uint32_t fire_count;
    char (*fire_ids)[40];
    int epoll;
    bool creating;
    pthread_t creator;
};

struct watcher {
    struct bench *bench;
    struct px_ws *ws;
    const char *name;
    bool alerts, over;
};

/* The text member after `key` ("\"timestamp\":\"") from *atp on; moves *atp behind it. Empty at.at when there is none.
 */
static struct px_text next_member(struct px_text frame, const char *key, size_t *atp)
{
    const char *found = memmem(frame.at + *atp, frame.len - *atp, key, strlen(key)), *end;

    if (!found)
        return (struct px_text){NULL, 0};
    found += strlen(key);
    end = memchr(found, '"', (size_t)(frame.at + frame.len - found));
    if (!end)
        return (struct px_text){NULL, 0};
    *atp = (size_t)(end - frame.at) + 1;
    return (struct px_text){found, (size_t)(end - found)};
}

/* A00017-USD → 16. */
static uint32_t asset_of(struct px_text symbol)
{
    char text[32];

    px_text_copy(text, sizeof(text), symbol);
    return (uint32_t)strtoul(text + 1, NULL, 10) - 1;
}

static void hear_ticks(struct bench *bench, struct px_text frame, int64_t now)
{
    size_t at = 0;
    struct px_text symbol, time;
    int64_t stamp;

    for (;;) {
        symbol = next_member(frame, "\"symbol\":\"", &at);
        time = symbol.at ? next_member(frame, "\"timestamp\":\"", &at) : symbol;
        if (!time.at)
            return;
        uint32_t asset = asset_of(symbol);
        if (asset >= bench->alerts.asset_count || px_rfc3339_parse(time, &stamp) != 0) {
            bench->errors++;
            continue;
        }
        bench->repeats += bench->measuring && stamp <= bench->newest[asset];
        if (bench->measuring && stamp > bench->newest[asset]) {
            histogram_add(&bench->ticks, now - stamp);
            bench->updates++;
        }
        bench->newest[asset] = PX_MAX(bench->newest[asset], stamp);
    }
}

static void hear_fires(struct bench *bench, struct px_text frame, int64_t now)
{
    size_t at = 0;

    for (;;) {
        struct px_text id = next_member(frame, "\"alert_id\":\"", &at);
        if (!id.at)
            return;
        struct px_text time = next_member(frame, "\"price_time\":\"", &at);
        int64_t stamp;
        if (bench->fire_count < FIRES_MAX)
            px_text_copy(bench->fire_ids[bench->fire_count++], sizeof(bench->fire_ids[0]), id);
        if (!time.at || px_rfc3339_parse(time, &stamp) != 0)
            bench->errors++;
        else if (bench->measuring)
            histogram_add(&bench->fires, now - stamp);
    }
}

static bool has(struct px_text frame, const char *word)
{
    return memmem(frame.at, PX_MIN(frame.len, 96), word, strlen(word)) != NULL;
}

static void on_message(void *user, struct px_ws *ws, enum px_ws_opcode opcode, struct px_text frame)
{
    struct watcher *watcher = user;
    struct bench *bench = watcher->bench;
    int64_t now = px_wall_now();

    bench->frames++;
    bench->bytes += frame.len;
    if (has(frame, "\"method\"") && memmem(frame.at, frame.len, "\"success\":false", 15)) {
        fprintf(stderr, "e2e: %s: %.*s\n", watcher->name, (int)PX_MIN(frame.len, 300), frame.at);
        bench->errors++;
    } else if (has(frame, "\"channel\":\"alerts\"") && !has(frame, "\"method\"")) {
        hear_fires(bench, frame, now);
    } else if (has(frame, "\"channel\":\"ticker\"") && has(frame, "\"type\":\"snapshot\"")) {
        bench->snapshots++;
    } else if (has(frame, "\"channel\":\"ticker\"") && has(frame, "\"type\":\"update\"")) {
        hear_ticks(bench, frame, now);
    }
}

static void on_open(void *user, struct px_ws *ws)
{
    struct watcher *watcher = user;
    char text[256];
    int len = snprintf(text, sizeof(text), "{\"method\":\"auth\",\"params\":{\"token\":\"%s\"},\"req_id\":1}",
                       watcher->bench->settings.key);

    px_ws_send(ws, PX_WS_TEXT, (struct px_text){text, (size_t)len});
    px_ws_send(
        ws, PX_WS_TEXT,
        watcher->alerts
            ? PX_TEXT("{\"method\":\"subscribe\",\"params\":{\"channel\":\"alerts\"},\"req_id\":2}")
            : PX_TEXT(
                  "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"*\"]},\"req_id\":2}"));
}

static int watch(struct bench *bench, struct watcher *watcher)
{
    struct px_stream_target target = {.host = bench->settings.host, .port = bench->settings.port};
    struct px_ws_client_request request = {.host = bench->settings.host, .target = "/ws/v1"};
    struct px_ws_options options = {.callbacks = {.open = on_open, .message = on_message}, .user = watcher};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = watcher};
    struct px_stream *stream = NULL;
    int error = px_stream_connect(&target, &stream);

    watcher->bench = bench;
    if (!error)
        error = px_ws_client_create(&stream, &request, &options, &watcher->ws);
    if (!error && epoll_ctl(bench->epoll, EPOLL_CTL_ADD, px_ws_fd(watcher->ws), &event) != 0)
        error = PX_E_SYSTEM;
    if (error)
        fprintf(stderr, "e2e: cannot watch: %s\n", px_error_text(error));
    return error;
}

static void drive(struct watcher *watcher)
{
    struct epoll_event event = {.data.ptr = watcher};
    int more = 1;

    while (!watcher->over && more > 0)
        more = px_ws_drive(watcher->ws);
    if (more < 0 && !watcher->over) {
        fprintf(stderr, "e2e: the %s connection ended: %s, code %u\n", watcher->name, px_ws_error(watcher->ws),
                px_ws_close_code(watcher->ws));
        watcher->bench->errors++;
        watcher->over = true;
        epoll_ctl(watcher->bench->epoll, EPOLL_CTL_DEL, px_ws_fd(watcher->ws), NULL);
        return;
    }
    event.events = px_ws_epoll(watcher->ws);
    if (!watcher->over)
        epoll_ctl(watcher->bench->epoll, EPOLL_CTL_MOD, px_ws_fd(watcher->ws), &event);
}

/* Listens until `seconds` are over, or until the flag falls. */
static void listen_for(struct bench *bench, double seconds, const bool *while_true)
{
    px_mono began = px_mono_now();
    struct epoll_event events[8];

    while ((double)px_mono_since(px_mono_now(), began) < seconds * 1e9 &&
           (!while_true || __atomic_load_n(while_true, __ATOMIC_ACQUIRE))) {
        int count = epoll_wait(bench->epoll, events, PX_COUNT_OF(events), 20);
        for (int i = 0; i < count; i++)
            drive(events[i].data.ptr);
    }
}

static int wait_ready(const struct settings *settings)
{
    struct rest rest;
    struct px_text body;
    int status = rest_init(&rest, settings->host, settings->port, NULL);

    for (unsigned tries = 0; status != 200 && tries < 300; tries++) {
        status = rest_request(&rest, "GET", "/readyz", NULL, &body);
        if (status != 200)
            usleep(100000);
    }
    if (status != 200)
        fprintf(stderr, "e2e: /readyz says %d after 30 s: %.*s\n", status, (int)PX_MIN(body.len, 300), body.at);
    rest_fini(&rest);
    return status == 200 ? 0 : PX_E_TIMEOUT;
}

static void *create_alerts(void *argument)
{
    struct bench *bench = argument;

    bench_alerts_create(&bench->alerts, bench->settings.host, bench->settings.port, bench->settings.key);
    __atomic_store_n(&bench->creating, false, __ATOMIC_RELEASE);
    return NULL;
}

static int prepare(struct bench *bench, struct watcher *ticker, struct watcher *alerts)
{
    px_mono began = px_mono_now();
    int error = wait_ready(&bench->settings);

    bench->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!error)
        error = watch(bench, ticker);
    if (!error)
        error = watch(bench, alerts);
    if (error)
        return error;
    listen_for(bench, 1, NULL); /* the subscriptions stand before the first alert does */
    bench->creating = true;
    if (pthread_create(&bench->creator, NULL, create_alerts, bench) != 0)
        return PX_E_SYSTEM;
    listen_for(bench, 600, &bench->creating);
    pthread_join(bench->creator, NULL);
    fprintf(stderr, "e2e: %u alerts stand, %u were refused, after %.1f s\n", bench->alerts.created,
            bench->alerts.refused, (double)px_mono_since(px_mono_now(), began) / 1e9);
    listen_for(bench, bench->settings.warmup, NULL);
    return 0;
}

/* What the engine says about itself, once the last tick has gone through. */
struct totals {
    int64_t trades, bad, quarantined, duplicate, late, evaluator_lost, keeper_lost, web_lost, conflated, fires, stored;
};

static int64_t read_totals(const struct bench *bench, struct totals *totalsp)
{
    struct rest rest;
    struct px_text body;

    *totalsp = (struct totals){.trades = -1};
    if (rest_init(&rest, bench->settings.host, bench->settings.port, NULL) != 0)
        return -1;
    if (rest_request(&rest, "GET", "/metrics", NULL, &body) == 200)
        *totalsp = (struct totals){rest_metric(body, "pxengine_trades_total"),
                                   rest_metric(body, "pxengine_ticks_bad_total"),
                                   rest_metric(body, "pxengine_ticks_quarantined_total"),
                                   rest_metric(body, "pxengine_ticks_duplicate_total"),
                                   rest_metric(body, "pxengine_late_ticks_total"),
                                   rest_metric(body, "pxengine_evaluator_overrun_ticks_total"),
                                   rest_metric(body, "pxengine_keeper_overrun_ticks_total"),
                                   rest_metric(body, "pxengine_web_overrun_ticks_total"),
                                   rest_metric(body, "pxengine_websocket_conflated_total"),
                                   rest_metric(body, "pxengine_fires_total"),
                                   rest_metric(body, "pxengine_stored_ticks_total")};
    rest_fini(&rest);
    return totalsp->trades;
}

/* Stops the venue, lets the last ticks through, and compares both books. */
static int settle(struct bench *bench, struct totals *totalsp)
{
    int error;

    kill(bench->settings.venue_pid, SIGTERM);
    listen_for(bench, 2, NULL);
    read_totals(bench, totalsp);
    for (uint32_t i = 0; i < bench->fire_count; i++)
        if (!bench_alerts_fired(&bench->alerts, px_text_of(bench->fire_ids[i])))
            bench->errors++;
    error = bench_alerts_judge(&bench->alerts, bench->settings.journal);
    if (error)
        fprintf(stderr, "e2e: the venue's journal cannot be read\n");
    return error;
}

static void print_processes(const struct processes *processes, double seconds, double *totalp)
{
    *totalp = 0;
    printf("\n%-36s %10s\n", "process", "CPU");
    for (size_t i = 0; i < processes->count; i++) {
        double cores = process_cores(&processes->list[i], seconds);
        *totalp += cores;
        printf("%-36s %8.1f %%\n", processes->list[i].title, cores * 100);
    }
    printf("%-36s %8.1f %%\n", "all of the engine", *totalp * 100);
}

static void print_delays(const char *name, const struct histogram *histogram)
{
    printf("%-36s %10.2f %10.2f %10.2f %10llu\n", name, histogram_ms(histogram, 500), histogram_ms(histogram, 990),
           (double)histogram->max_ns / 1e6, (unsigned long long)histogram->count);
}

struct verdict {
    unsigned must, missing, surplus;
    int64_t ticks_lost;
    bool good;
};

static struct verdict judge(const struct bench *bench, const struct totals *totals)
{
    struct verdict verdict = {.ticks_lost = totals->trades < 0 ? -1 : bench->alerts.ticks_sent - totals->trades};

    for (uint32_t i = 0; i < bench->alerts.count; i++) {
        const struct bench_alert *alert = &bench->alerts.list[i];
        verdict.must += alert->must;
        verdict.missing += alert->must && !alert->fired;
        verdict.surplus += alert->fired && !alert->may;
    }
    verdict.good = verdict.ticks_lost == 0 && !verdict.missing && !verdict.surplus && !bench->errors &&
                   bench->ticks.count && histogram_ms(&bench->ticks, 990) < LIMIT_MS &&
                   histogram_ms(&bench->fires, 990) < LIMIT_MS;
    return verdict;
}

static void print_report(const struct bench *bench, const struct processes *processes, const struct totals *totals,
                         double seconds)
{
    struct verdict verdict = judge(bench, totals);
    double cores;

    printf("%u assets, 1 tick/s each, %u alerts, %.0f s\n\n", bench->alerts.asset_count, bench->alerts.created,
           seconds);
    printf("%-36s %10s %10s %10s %10s\n", "delay, ms", "p50", "p99", "max", "count");
    print_delays("tick to WebSocket client", &bench->ticks);
    print_delays("tick to alert frame", &bench->fires);
    print_processes(processes, seconds, &cores);
    printf("\nticks sent by the venue %lld, accepted %lld, lost %lld; bad %lld, quarantined %lld, duplicate %lld, late "
           "%lld\n",
           (long long)bench->alerts.ticks_sent, (long long)totals->trades, (long long)verdict.ticks_lost,
           (long long)totals->bad, (long long)totals->quarantined, (long long)totals->duplicate,
           (long long)totals->late);
    printf("overrun: evaluator %lld, keeper %lld, web %lld; stored %lld; updates heard %llu (%.0f/s), conflated %lld\n",
           (long long)totals->evaluator_lost, (long long)totals->keeper_lost, (long long)totals->web_lost,
           (long long)totals->stored, (unsigned long long)bench->updates, (double)bench->updates / seconds,
           (long long)totals->conflated);
    printf("alerts: %u heard, %lld durable; %u had to fire, %u of them missing; %u fired without cause; errors %llu\n",
           bench->fire_count, (long long)totals->fires, verdict.must, verdict.missing, verdict.surplus,
           (unsigned long long)bench->errors);
    printf("limit %.0f ms at p99, nothing lost: %s\n", LIMIT_MS, verdict.good ? "kept" : "NOT KEPT");
    printf("{\"bench\":\"e2e\",\"metrics\":{\"tick_to_ws_p50_ms\":%.3f,\"tick_to_ws_p99_ms\":%.3f,"
           "\"tick_to_ws_max_ms\":%.3f,\"tick_to_alert_p50_ms\":%.3f,\"tick_to_alert_p99_ms\":%.3f,"
           "\"tick_to_alert_max_ms\":%.3f,\"ticks_lost\":%lld,\"alerts_missing\":%u,\"alerts_surplus\":%u,"
           "\"cpu_cores\":%.3f}}\n",
           histogram_ms(&bench->ticks, 500), histogram_ms(&bench->ticks, 990), (double)bench->ticks.max_ns / 1e6,
           histogram_ms(&bench->fires, 500), histogram_ms(&bench->fires, 990), (double)bench->fires.max_ns / 1e6,
           (long long)verdict.ticks_lost, verdict.missing, verdict.surplus, cores);
}

static int run(struct bench *bench)
{
    struct watcher ticker = {.name = "ticker"}, alerts = {.name = "alerts", .alerts = true};
    struct processes processes;
    struct totals totals;
    px_mono began;
    int error = prepare(bench, &ticker, &alerts);

    if (error)
        return error;
    processes_begin(&processes, bench->settings.engine_pid);
    began = px_mono_now();
    bench->measuring = true;
    listen_for(bench, bench->settings.seconds, NULL);
    bench->measuring = false;
    processes_end(&processes, bench->settings.engine_pid);
    double seconds = (double)px_mono_since(px_mono_now(), began) / 1e9;
    error = settle(bench, &totals);
    print_report(bench, &processes, &totals, seconds);
    px_ws_destroy(&ticker.ws);
    px_ws_destroy(&alerts.ws);
    return error ? error : judge(bench, &totals).good ? 0 : PX_E_RANGE;
}

static int read_settings(int argc, char **argv, struct settings *settingsp)
{
    static const struct option options[] = {
        {"port", 1, NULL, 'p'},   {"key", 1, NULL, 'k'},   {"list", 1, NULL, 'l'},    {"journal", 1, NULL, 'j'},
        {"engine", 1, NULL, 'e'}, {"venue", 1, NULL, 'v'}, {"seconds", 1, NULL, 's'}, {"warm-up", 1, NULL, 'w'},
        {"alerts", 1, NULL, 'a'}, {NULL, 0, NULL, 0}};
    int option;

    *settingsp = (struct settings){.host = "127.0.0.1", .seconds = 60, .warmup = 5, .alerts = 5000};
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        unsigned number = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;
        switch (option) {
        case 'p':
            settingsp->port = (uint16_t)number;
            break;
        case 'k':
            settingsp->key = optarg;
            break;
        case 'l':
            settingsp->list = optarg;
            break;
        case 'j':
            settingsp->journal = optarg;
            break;
        case 'e':
            settingsp->engine_pid = (int)number;
            break;
        case 'v':
            settingsp->venue_pid = (int)number;
            break;
        case 's':
            settingsp->seconds = number;
            break;
        case 'w':
            settingsp->warmup = number;
            break;
        case 'a':
            settingsp->alerts = number;
            break;
        default:
            return PX_E_INVALID;
        }
    }
    bool whole = settingsp->port && settingsp->key && settingsp->list && settingsp->journal &&
                 settingsp->engine_pid > 0 && settingsp->venue_pid > 0;
    return whole ? 0 : PX_E_INVALID;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    int error = read_settings(argc, argv, &bench.settings);

    if (error) {
        fprintf(stderr, "e2e_client is started by e2e.sh with --port --key --list --journal --engine --venue\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    histogram_clear(&bench.ticks);
    histogram_clear(&bench.fires);
    error = bench_alerts_plan(bench.settings.list, bench.settings.alerts, &bench.alerts);
    bench.newest = calloc(bench.alerts.asset_count ? bench.alerts.asset_count : 1, sizeof(*bench.newest));
    bench.fire_ids = calloc(FIRES_MAX, sizeof(*bench.fire_ids));
    if (!error && bench.newest && bench.fire_ids)
        error = run(&bench);
    if (error)
        fprintf(stderr, "e2e: %s\n", error == PX_E_RANGE ? "the limit was not kept" : px_error_text(error));
    bench_alerts_fini(&bench.alerts);
    free(bench.newest);
    free(bench.fire_ids);
    return error ? 1 : 0;
}
