/*
 * The far end of the notify bench: makes alerts that are about to fire, is the webhook's receiver, and says how long a tick takes to it.
 *
 *   pxvenue ── trade, stamped in us ──► engine ── POST, signed ──► notify_sink    now - price_time of the body
 *      └──► journal ──► latest prices ──► alerts one step from them, by the public API, as many as fire
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/error.h"
#include "tests/bench/alerts.h"
#include "tests/bench/notify_sink.h"
#include "tests/bench/processes.h"
#include "tests/bench/rest.h"

#define LIMIT_MS   200.0
#define MAKERS     4
#define BATCH      50
#define TURN_NS    (50 * PX_NS_PER_MS)
#define PACE_LEAST 0.05
#define PACE_MOST  6.0 /* alerts made for each that shall fire: some prices go the other way */

struct settings {
    const char *host, *key, *list, *journal;
    uint16_t port;
    int engine_pid, venue_pid;
    unsigned seconds, warmup, rate, recurring;
};

struct bench {
    struct settings settings;
    struct bench_alerts market;
    int64_t *price; /* the latest of each asset */
    struct sink sink;
    char channel[40];
    uint32_t stop, single; /* single: the server takes no batches */
    uint64_t turn;         /* counts alerts, over all makers */
    uint64_t made, refused, recurring; /* recurring: of those made */
    int64_t per_mille;     /* of the wanted rate that is made: what the makers have learnt */
    pthread_t maker[MAKERS], reader;
};

static bool stopped(struct bench *bench)
{
    return __atomic_load_n(&bench->stop, __ATOMIC_ACQUIRE);
}

static void pause_ns(int64_t ns)
{
    struct timespec time = {ns / PX_NS_PER_S, ns % PX_NS_PER_S};

    nanosleep(&time, NULL);
}

/* ---- prices: the venue's journal, as it grows ---- */

static void note_price(struct bench *bench, const char *line)
{
    char name[32], price[32];
    int64_t mantissa;

    if (sscanf(line, "%31s %*s %31s", name, price) != 2)
        return;
    uint32_t index = (uint32_t)strtoul(name + 1, NULL, 10) - 1; /* A00001USD */
    if (index < bench->market.asset_count &&
        px_decimal_parse(px_text_of(price), bench->market.assets[index].scale, PX_ROUND_EXACT, &mantissa) == 0)
        __atomic_store_n(&bench->price[index], mantissa, __ATOMIC_RELAXED);
}

static void *read_journal(void *argument)
{
    struct bench *bench = argument;
    FILE *file = fopen(bench->settings.journal, "r");
    char line[256];
    size_t len = 0;

    while (file && !stopped(bench)) {
        if (!fgets(line + len, (int)(sizeof line - len), file)) {
            clearerr(file);
            pause_ns(20 * PX_NS_PER_MS);
            continue;
        }
        len += strlen(line + len);
        if (line[len - 1] != '\n' && len < sizeof line - 1)
            continue; /* the rest is still to be written */
        note_price(bench, line);
        len = 0;
    }
    if (file)
        fclose(file);
    return NULL;
}

/* ---- alerts ---- */

/*
 * One step above or below: half of the next ticks cross it. One that recurs crosses either way, and is quiet for so long after a fire that it
 * is never a storm, whose fires would be joined.
 */
static int write_alert(struct bench *bench, bool recurs, char *to, size_t size)
{
    uint64_t turn = __atomic_fetch_add(&bench->turn, 1, __ATOMIC_RELAXED);
    uint32_t index = (uint32_t)(turn * 7919 % bench->market.asset_count);
    const struct bench_asset *asset = &bench->market.assets[index];
    bool up = turn / bench->market.asset_count % 2 == turn % 2;
    int64_t level = __atomic_load_n(&bench->price[index], __ATOMIC_RELAXED) + (up ? asset->tick : -asset->tick);
    char text[PX_DECIMAL_SIZE];

    px_decimal_format(level, asset->scale, text);
    return snprintf(to, size, "{\"symbol\":\"%s\",\"condition\":{\"op\":\"crossing%s\",\"level\":\"%s\"},%s\"channels\":[\"%s\"]}",
                    asset->symbol, recurs ? "" : up ? "_up" : "_down", text,
                    recurs ? "\"frequency\":\"every_time\",\"cooldown\":\"15s\"," : "", bench->channel);
}

static void count_made(struct bench *bench, int status, unsigned count, struct px_text answer)
{
    if (status >= 200 && status < 300)
        __atomic_fetch_add(&bench->made, count, __ATOMIC_RELAXED);
    else if (__atomic_fetch_add(&bench->refused, count, __ATOMIC_RELAXED) == 0)
        fprintf(stderr, "notify: alerts were refused: %d %.*s\n", status, (int)PX_MIN(answer.len, 300), answer.at);
}

static void make_singly(struct bench *bench, struct rest *rest, unsigned count, bool recurs)
{
    struct px_text answer;
    char body[400];

    for (unsigned i = 0; i < count && !stopped(bench); i++) {
        write_alert(bench, recurs, body, sizeof body);
        int status = rest_request(rest, "POST", "/api/v1/alerts", body, &answer);
        count_made(bench, status, 1, answer);
    }
}

static void make(struct bench *bench, struct rest *rest, unsigned count, bool recurs)
{
    char body[BATCH * 320 + 64];
    struct px_text answer;
    size_t len = (size_t)snprintf(body, sizeof body, "{\"alerts\":[");

    if (__atomic_load_n(&bench->single, __ATOMIC_RELAXED)) {
        make_singly(bench, rest, count, recurs);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        len += (size_t)write_alert(bench, recurs, body + len, sizeof body - len);
        body[len++] = i + 1 < count ? ',' : ']';
    }
    memcpy(body + len, "}", 2);
    int status = rest_request(rest, "POST", "/api/v1/alerts:batch", body, &answer);
    if (status == 404 || status == 405)
        __atomic_store_n(&bench->single, 1, __ATOMIC_RELAXED);
    else
        count_made(bench, status, count, answer);
}

/* As many a turn as are wanted, in batches. */
static void *make_alerts(void *argument)
{
    struct bench *bench = argument;
    struct rest rest;
    double owed = 0;
    px_mono before = px_mono_now();

    if (rest_init(&rest, bench->settings.host, bench->settings.port, bench->settings.key) != 0)
        return NULL;
    while (!stopped(bench)) {
        px_mono now = px_mono_now();
        double rate = (double)bench->settings.rate * (double)__atomic_load_n(&bench->per_mille, __ATOMIC_RELAXED) / 1000;

        owed = PX_MIN(owed + rate / MAKERS * (double)px_mono_since(now, before) / 1e9, 10.0 * BATCH);
        before = now;
        for (; owed >= 1 && !stopped(bench); owed -= PX_MIN(owed, BATCH))
            make(bench, &rest, (unsigned)PX_MIN(owed, BATCH), false);
        pause_ns(TURN_NS);
    }
    rest_fini(&rest);
    return NULL;
}

/* ---- the run ---- */

static int64_t metric(struct rest *rest, const char *name)
{
    struct px_text body;

    return rest_request(rest, "GET", "/metrics", NULL, &body) == 200 ? rest_metric(body, name) : -1;
}

/* Watches how many fire, and lets so many more or fewer be made. How many arrive says nothing: when they lag, more would make it worse. */
static void steer(struct bench *bench, struct rest *rest, double seconds)
{
    px_mono began = px_mono_now();
    int64_t before = metric(rest, "pxengine_fires_total");

    while ((double)px_mono_since(px_mono_now(), began) < seconds * 1e9) {
        px_mono turn = px_mono_now();

        pause_ns(PX_NS_PER_S);
        int64_t now = metric(rest, "pxengine_fires_total");
        double got = (double)(now - before) * 1e9 / (double)px_mono_since(px_mono_now(), turn) / bench->settings.rate;
        double pace = (double)bench->per_mille / 1000 * (1 + 0.3 * PX_MAX(PX_MIN(1 - got, 1.0), -1.0));

        before = now;
        pace = PX_MAX(PX_MIN(pace, PACE_MOST), PACE_LEAST);
        __atomic_store_n(&bench->per_mille, (int64_t)(pace * 1000), __ATOMIC_RELAXED);
    }
}

static int wait_ready(struct rest *rest)
{
    struct px_text body;
    int status = 0;

    for (unsigned tries = 0; status != 200 && tries < 300; tries++) {
        status = rest_request(rest, "GET", "/readyz", NULL, &body);
        if (status != 200)
            pause_ns(100 * PX_NS_PER_MS);
    }
    return status == 200 ? 0 : PX_E_TIMEOUT;
}

static int make_channel(struct bench *bench, struct rest *rest)
{
    char body[200];
    struct px_text answer;

    snprintf(body, sizeof body, "{\"type\":\"webhook\",\"url\":\"http://127.0.0.1:%u/hook\"}", bench->sink.port);
    int status = rest_request(rest, "POST", "/api/v1/channels", body, &answer);
    const char *at = status == 201 ? memmem(answer.at, answer.len, "\"id\":\"", 6) : NULL;
    if (!at) {
        fprintf(stderr, "notify: no channel: %d %.*s\n", status, (int)PX_MIN(answer.len, 300), answer.at);
        return PX_E_FORMAT;
    }
    px_text_copy(bench->channel, sizeof bench->channel, (struct px_text){at + 6, strcspn(at + 6, "\"")});
    return 0;
}

static int begin(struct bench *bench, struct rest *rest)
{
    int error = wait_ready(rest);

    if (!error)
        error = sink_start(&bench->sink);
    if (!error)
        error = make_channel(bench, rest);
    if (error)
        return error;
    bench->per_mille = 1500;
    if (pthread_create(&bench->reader, NULL, read_journal, bench) != 0)
        return PX_E_SYSTEM;
    pause_ns(2 * PX_NS_PER_S); /* every asset has a price */
    for (unsigned made = 0; made < bench->settings.recurring; made += BATCH)
        make(bench, rest, (unsigned)PX_MIN(bench->settings.recurring - made, BATCH), true);
    bench->recurring = bench->made;
    for (unsigned i = 0; i < MAKERS; i++)
        if (pthread_create(&bench->maker[i], NULL, make_alerts, bench) != 0)
            return PX_E_SYSTEM;
    steer(bench, rest, bench->settings.warmup);
    return 0;
}

/* No more ticks; what has fired has some seconds to arrive. */
static int64_t settle(struct bench *bench, struct rest *rest)
{
    int64_t fires = -1;

    __atomic_store_n(&bench->stop, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < MAKERS; i++)
        pthread_join(bench->maker[i], NULL);
    kill(bench->settings.venue_pid, SIGTERM);
    pthread_join(bench->reader, NULL);
    for (unsigned i = 0; i < 100; i++) {
        pause_ns(100 * PX_NS_PER_MS);
        fires = metric(rest, "pxengine_fires_total");
        if (i > 10 && fires == (int64_t)__atomic_load_n(&bench->sink.distinct, __ATOMIC_RELAXED))
            break;
    }
    return fires;
}

static void print_delays(const char *name, const struct histogram *histogram)
{
    printf("%-36s %10.2f %10.2f %10.2f %10.2f %10llu\n", name, histogram_ms(histogram, 500), histogram_ms(histogram, 990),
           histogram_ms(histogram, 999), (double)histogram->max_ns / 1e6, (unsigned long long)histogram->count);
}

static bool report(struct bench *bench, const struct processes *processes, double seconds, int64_t fires)
{
    const struct sink *sink = &bench->sink;
    const struct histogram *delay = &sink->tick_to_request;
    double rate = (double)delay->count / seconds, p99 = histogram_ms(delay, 990), cores = 0;
    int64_t missing = fires - (int64_t)sink->distinct;
    bool good = missing == 0 && sink->errors == 0 && p99 < LIMIT_MS && rate > 0.7 * bench->settings.rate;

    printf("%u assets, 1 tick/s each, %.0f s, %.0f fires/s told to one webhook (%u wanted)\n\n", bench->market.asset_count, seconds, rate,
           bench->settings.rate);
    printf("%-36s %10s %10s %10s %10s %10s\n", "delay, ms", "p50", "p99", "p99.9", "max", "count");
    print_delays("tick sent to matched", &sink->tick_to_match);
    print_delays("tick received to request received", &sink->received_to_request);
    print_delays("tick sent to request received", delay);
    printf("\n%-36s %10s\n", "process", "CPU");
    for (size_t i = 0; i < processes->count; i++) {
        cores += process_cores(&processes->list[i], seconds);
        printf("%-36s %8.1f %%\n", processes->list[i].title, process_cores(&processes->list[i], seconds) * 100);
    }
    printf("%-36s %8.1f %%\n", "all of the engine", cores * 100);
    printf("\nalerts made %llu, %llu of them recurring, refused %llu%s; fires %lld, requests %llu, missing %lld, repeated %llu, connections %llu, errors %llu\n",
           (unsigned long long)bench->made, (unsigned long long)bench->recurring, (unsigned long long)bench->refused, bench->single ? ", one by one" : "", (long long)fires,
           (unsigned long long)sink->requests, (long long)missing, (unsigned long long)sink->repeats,
           (unsigned long long)sink->connections, (unsigned long long)sink->errors);
    printf("limit %.0f ms at p99, nothing missing, at least 7 in 10 of the rate: %s\n", LIMIT_MS, good ? "kept" : "NOT KEPT");
    printf("{\"bench\":\"notify\",\"metrics\":{\"tick_to_webhook_p50_ms\":%.3f,\"tick_to_webhook_p99_ms\":%.3f,"
           "\"tick_to_webhook_max_ms\":%.3f,\"received_to_webhook_p99_ms\":%.3f,\"tick_to_match_p99_ms\":%.3f,\"fires_per_s\":%.1f,\"missing\":%lld,\"repeated\":%llu,"
           "\"cpu_cores\":%.3f}}\n",
           histogram_ms(delay, 500), p99, (double)delay->max_ns / 1e6, histogram_ms(&sink->received_to_request, 990),
           histogram_ms(&sink->tick_to_match, 990), rate, (long long)missing,
           (unsigned long long)sink->repeats, cores);
    return good;
}

static int run(struct bench *bench)
{
    struct processes processes;
    struct rest rest;
    int error = rest_init(&rest, bench->settings.host, bench->settings.port, bench->settings.key);

    if (!error)
        error = begin(bench, &rest);
    if (error)
        return error;
    processes_begin(&processes, bench->settings.engine_pid);
    px_mono began = px_mono_now();
    __atomic_store_n(&bench->sink.measuring, 1, __ATOMIC_RELEASE);
    steer(bench, &rest, bench->settings.seconds);
    __atomic_store_n(&bench->sink.measuring, 0, __ATOMIC_RELEASE);
    double seconds = (double)px_mono_since(px_mono_now(), began) / 1e9;
    processes_end(&processes, bench->settings.engine_pid);
    int64_t fires = settle(bench, &rest);
    rest_fini(&rest);
    bool good = report(bench, &processes, seconds, fires);
    sink_stop(&bench->sink);
    return good ? 0 : PX_E_RANGE;
}

static int read_settings(int argc, char **argv, struct settings *settingsp)
{
    static const struct option options[] = {
        {"port", 1, NULL, 'p'},   {"key", 1, NULL, 'k'},   {"list", 1, NULL, 'l'},    {"journal", 1, NULL, 'j'},
        {"engine", 1, NULL, 'e'}, {"venue", 1, NULL, 'v'}, {"seconds", 1, NULL, 's'}, {"warm-up", 1, NULL, 'w'},
        {"rate", 1, NULL, 'r'},   {"recurring", 1, NULL, 'c'}, {NULL, 0, NULL, 0}};
    int option;

    *settingsp = (struct settings){.host = "127.0.0.1", .seconds = 60, .warmup = 10, .rate = 1000, .recurring = 10000};
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
        case 'r':
            settingsp->rate = number;
            break;
        case 'c':
            settingsp->recurring = number;
            break;
        default:
            return PX_E_INVALID;
        }
    }
    return settingsp->port && settingsp->key && settingsp->list && settingsp->journal && settingsp->engine_pid > 0 &&
                   settingsp->venue_pid > 0 && settingsp->rate > 0
               ? 0
               : PX_E_INVALID;
}

int main(int argc, char **argv)
{
    static struct bench bench;

    if (read_settings(argc, argv, &bench.settings)) {
        fprintf(stderr, "notify_client is started by notify.sh with --port --key --list --journal --engine --venue\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    int error = bench_alerts_plan(bench.settings.list, 0, &bench.market);
    bench.price = calloc(bench.market.asset_count + 1, sizeof *bench.price);
    for (uint32_t i = 0; !error && bench.price && i < bench.market.asset_count; i++)
        bench.price[i] = bench.market.assets[i].price;
    if (!error)
        error = bench.price ? run(&bench) : PX_E_MEMORY;
    if (error)
        fprintf(stderr, "notify: %s\n", error == PX_E_RANGE ? "the limit was not kept" : px_error_text(error));
    bench_alerts_fini(&bench.market);
    free(bench.price);
    return error ? 1 : 0;
}
