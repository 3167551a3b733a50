/* How the engine is: for people (/status), for probes (/livez, /readyz) and for Prometheus (/metrics). All of it is
 * read out of the region. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "web/rest/request_private.h"

#ifndef PX_VERSION
#define PX_VERSION "0.1.0"
#endif

#define BEAT_LIMIT_NS     (3 * PX_NS_PER_S) /* a heart that has not beaten for so long is not ready */
#define METRICS_BYTES_MAX (256 * 1024)

struct worker {
    unsigned slot, number; /* number among those of its role */
    const char *role, *state;
    int32_t pid;
    uint64_t restarts;
    int64_t beat_age_ns; /* -1: never */
    uint32_t longest_loop_us, incarnation;
    bool ready;
};

static enum px_role role_of(unsigned slot)
{
    if (slot >= PX_ROLE_SLOT_SHARDS)
        return PX_ROLE_EVALUATOR;
    return slot >= PX_ROLE_SLOT_WEB ? PX_ROLE_WEB : (enum px_role)slot;
}

static unsigned number_of(unsigned slot)
{
    if (slot >= PX_ROLE_SLOT_SHARDS)
        return slot - PX_ROLE_SLOT_SHARDS + 1;
    return slot >= PX_ROLE_SLOT_WEB ? slot - PX_ROLE_SLOT_WEB : 0;
}

/* Is there a worker in the slot, by the configuration? */
static bool is_used(const struct px_request *request, unsigned slot)
{
    const struct px_config *config = request->rest->heritage->config;

    switch (role_of(slot)) {
    case PX_ROLE_WEB:
        return number_of(slot) < PX_MAX(config->web_workers, 1u);
    case PX_ROLE_EVALUATOR:
        return number_of(slot) < PX_MAX(config->evaluators, 1u);
    default:
        return true;
    }
}

static void look_at(const struct px_request *request, unsigned slot, struct worker *worker)
{
    const struct px_role_slot *role = &request->rest->heritage->shm->roles[slot];
    uint32_t state = px_load_acquire(&role->state);
    int64_t beat = px_load_relaxed(&role->heartbeat_ns);

    *worker = (struct worker){.slot = slot, .role = px_role_name(role_of(slot)), .state = px_role_state_name(state)};
    worker->number = number_of(slot);
    worker->pid = px_load_relaxed(&role->pid);
    worker->restarts = px_load_relaxed(&role->restarts);
    worker->longest_loop_us = px_load_relaxed(&role->longest_loop_us);
    worker->incarnation = px_load_relaxed(&role->incarnation);
    worker->beat_age_ns = beat > 0 ? PX_MAX(px_mono_now().ns - beat, 0) : -1;
    worker->ready = state == PX_STATE_READY && worker->beat_age_ns >= 0 && worker->beat_age_ns < BEAT_LIMIT_NS;
}

/* How far a consumer of the tick ring is behind, in ticks; false if it has not begun. */
static bool lag_of(const struct px_ring *ring, const struct px_ring_yard *yard, unsigned slot, uint64_t *lagp)
{
    uint64_t position = px_load_acquire(&yard->cursor[slot].position), tail = px_ring_tail(ring);

    *lagp = tail > position ? tail - position : 0;
    return position > 0;
}

/* ---- /status ---- */

static void write_worker(struct px_request *request, const struct worker *worker)
{
    const struct px_shm *shm = request->rest->heritage->shm;
    struct px_json *json = pxi_json(request);
    uint64_t lag;

    px_json_open(json, '{');
    px_json_kv_string(json, "role", worker->role);
    px_json_kv_int(json, "worker", worker->number);
    px_json_kv_string(json, "state", worker->state);
    px_json_kv_bool(json, "ready", worker->ready);
    px_json_kv_int(json, "restarts", (int64_t)worker->restarts);
    px_json_key(json, "heartbeat_age_ms");
    if (worker->beat_age_ns >= 0)
        px_json_int(json, worker->beat_age_ns / PX_NS_PER_MS);
    else
        px_json_null(json);
    px_json_key(json, "ring_lag");
    if (lag_of(shm->ticks, shm->ticks_yard, worker->slot, &lag))
        px_json_int(json, (int64_t)lag);
    else
        px_json_null(json);
    px_json_close(json, '}');
}

struct feed {
    uint32_t assets, fresh; /* whose last tick came from this venue */
    int64_t recv_ns;        /* newest */
};

static void survey_feeds(const struct px_request *request, struct feed feeds[PX_VENUES_MAX])
{
    const struct px_config *config = request->rest->heritage->config;
    struct px_detail_value detail;
    int64_t now = px_wall_now();

    for (px_asset_id asset = 0; asset < config->asset_count; asset++) {
        px_latch_read(px_shm_detail(request->rest->heritage->shm, asset), &detail);
        if (detail.sseq == 0 || detail.venue >= config->venue_count)
            continue;
        struct feed *feed = &feeds[detail.venue];
        feed->assets++;
        feed->fresh += now - detail.recv_ns <= (int64_t)config->venues[detail.venue].stale_after_ms * PX_NS_PER_MS;
        feed->recv_ns = PX_MAX(feed->recv_ns, detail.recv_ns);
    }
}

static void write_feeds(struct px_request *request)
{
    const struct px_config *config = request->rest->heritage->config;
    struct px_json *json = pxi_json(request);
    struct feed feeds[PX_VENUES_MAX] = {0};

    survey_feeds(request, feeds);
    px_json_key(json, "feeds");
    px_json_open(json, '[');
    for (uint32_t i = 0; i < config->venue_count; i++) {
        px_json_open(json, '{');
        px_json_kv_string(json, "name", config->venues[i].name);
        px_json_kv_string(json, "dialect", config->venues[i].dialect);
        px_json_kv_string(json, "state", feeds[i].fresh ? "live" : feeds[i].assets ? "stale" : "waiting");
        px_json_kv_int(json, "assets", feeds[i].assets);
        px_json_kv_int(json, "fresh", feeds[i].fresh);
        px_json_kv_time(json, "last_recv_time", feeds[i].recv_ns);
        px_json_close(json, '}');
    }
    px_json_close(json, ']');
}

void pxi_get_status(struct px_request *request)
{
    struct px_json *json = pxi_json(request);
    struct worker worker;
    bool ready = true;

    for (unsigned slot = 0; slot < PX_ROLE_SLOTS; slot++) {
        if (!is_used(request, slot))
            continue;
        look_at(request, slot, &worker);
        ready &= worker.ready;
    }
    px_json_open(json, '{');
    px_json_kv_string(json, "version", PX_VERSION);
    px_json_kv_string(json, "epoch", request->rest->epoch);
    px_json_kv_time(json, "time", px_wall_now());
    px_json_kv_time(json, "started_time", request->rest->heritage->shm->header->created_ns);
    px_json_kv_string(json, "state", ready ? "ready" : "degraded");
    px_json_kv_int(json, "assets", request->rest->heritage->config->asset_count);
    write_feeds(request);
    px_json_key(json, "workers");
    px_json_open(json, '[');
    for (unsigned slot = 0; slot < PX_ROLE_SLOTS; slot++) {
        if (!is_used(request, slot))
            continue;
        look_at(request, slot, &worker);
        write_worker(request, &worker);
    }
    px_json_close(json, ']');
    px_json_close(json, '}');
}

/* ---- probes ---- */

void pxi_get_livez(struct px_request *request)
{
    px_json_open(pxi_json(request), '{');
    px_json_kv_string(pxi_json(request), "status", "ok");
    px_json_close(pxi_json(request), '}');
}

static void write_checks(struct px_request *request)
{
    struct px_json *json = pxi_json(request);
    struct worker worker;

    px_json_key(json, "workers");
    px_json_open(json, '[');
    for (unsigned slot = 0; slot < PX_ROLE_SLOTS; slot++) {
        if (!is_used(request, slot))
            continue;
        look_at(request, slot, &worker);
        write_worker(request, &worker);
    }
    px_json_close(json, ']');
}

/* Says what is not ready by name: "keeper is starting". */
static void blame(struct px_request *request, const struct worker *worker)
{
    char pointer[40];

    px_problem_set(&request->problem, PX_PROBLEM_NOT_READY, "%s %u is %s", worker->role, worker->number,
                   worker->beat_age_ns >= BEAT_LIMIT_NS ? "silent" : worker->state);
    request->problem.retry_after_s = 1;
    snprintf(pointer, sizeof pointer, "/%s/%u", worker->role, worker->number);
    if (worker->beat_age_ns >= BEAT_LIMIT_NS)
        px_problem_add(&request->problem, pointer, "is %s, last heartbeat %lld ms ago", worker->state,
                       (long long)(worker->beat_age_ns / PX_NS_PER_MS));
    else
        px_problem_add(&request->problem, pointer, "is %s", worker->state);
}

void pxi_get_readyz(struct px_request *request)
{
    struct px_json *json = pxi_json(request);
    struct worker worker;
    struct px_text text;

    for (unsigned slot = 0; slot < PX_ROLE_SLOTS; slot++) {
        if (!is_used(request, slot))
            continue;
        look_at(request, slot, &worker);
        if (!worker.ready)
            blame(request, &worker);
    }
    px_json_open(json, '{');
    px_json_kv_string(json, "status", "ready");
    if (px_query_get(&request->query, "verbose", &text))
        write_checks(request);
    px_json_close(json, '}');
}

/* ---- /metrics ---- */

void pxi_say(struct px_request *request, const char *format, ...)
{
    struct px_json *json = pxi_json(request);
    size_t room = json->size - json->len;
    va_list args;

    va_start(args, format);
    int n = vsnprintf(json->at + json->len, room, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= room)
        json->full = true;
    else
        json->len += (size_t)n;
}

void pxi_say_family(struct px_request *request, const char *name, const char *kind, const char *help)
{
    pxi_say(request, "# HELP pxengine_%s %s\n# TYPE pxengine_%s %s\n", name, help, name, kind);
}

/* Prometheus counts time in seconds; the region counts it in nanoseconds, which have no fraction. */
static void say_stat(struct px_request *request, const struct px_stat_info *info, uint64_t total)
{
    const char *unit = strstr(info->name, "nanoseconds");
    char name[96];

    snprintf(name, sizeof name, "%s", info->name);
    if (unit)
        snprintf(name, sizeof name, "%.*s%s", (int)(unit - info->name), info->name, unit + 4);
    pxi_say_family(request, name, info->kind, info->help);
    if (unit)
        pxi_say(request, "pxengine_%s %.9f\n", name, (double)total / 1e9);
    else
        pxi_say(request, "pxengine_%s %llu\n", name, (unsigned long long)total);
}

static void say_stats(struct px_request *request)
{
    const struct px_shm *shm = request->rest->heritage->shm;

    for (unsigned i = 0; i < PX_STATS; i++) {
        uint64_t total = 0;
        for (unsigned slot = 0; slot < PX_ROLE_SLOTS; slot++)
            total += px_load_relaxed(&shm->stats[slot].value[i]);
        say_stat(request, &px_stat_infos[i], total);
    }
}

/* User and system time of a process, in seconds; negative when it has gone. */
static double cpu_seconds(int32_t pid)
{
    char path[40], text[512];
    unsigned long long user = 0, kernel = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *from = pid > 0 ? fopen(path, "re") : NULL;
    if (!from)
        return -1;
    bool read = fgets(text, sizeof text, from) != NULL;
    fclose(from);
    const char *rest = read ? strrchr(text, ')') : NULL; /* the name before it may hold anything */
    if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &kernel) != 2)
        return -1;
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double up_of(const struct worker *worker)
{
    return worker->ready;
}

static double restarts_of(const struct worker *worker)
{
    return (double)worker->restarts;
}

static double beat_of(const struct worker *worker)
{
    return worker->beat_age_ns < 0 ? -1 : (double)worker->beat_age_ns / 1e9;
}

static double loop_of(const struct worker *worker)
{
    return worker->longest_loop_us / 1e6;
}

static double cpu_of(const struct worker *worker)
{
    return cpu_seconds(worker->pid);
}

static const struct {
    const char *name, *kind, *help;
    double (*value)(const struct worker *worker); /* negative: unknown, no line */
} worker_metrics[] = {
    {"worker_up", "gauge", "1 if the worker is ready and its heart beats", up_of},
    {"worker_restarts_total", "counter", "Times that the supervisor has started the worker again", restarts_of},
    {"worker_heartbeat_age_seconds", "gauge", "Time since the work loop's last turn", beat_of},
    {"worker_longest_loop_seconds", "gauge", "Longest turn of the work loop since it started", loop_of},
    {"worker_cpu_seconds_total", "counter", "CPU time of the worker's process", cpu_of},
};

static void say_workers(struct px_request *request)
{
    struct worker worker;

    for (size_t i = 0; i < PX_COUNT_OF(worker_metrics); i++) {
        pxi_say_family(request, worker_metrics[i].name, worker_metrics[i].kind, worker_metrics[i].help);
        for (unsigned slot = 0; slot < PX_ROLE_SLOTS; slot++) {
            if (!is_used(request, slot))
                continue;
            look_at(request, slot, &worker);
            double value = worker_metrics[i].value(&worker);
            if (value >= 0)
                pxi_say(request, "pxengine_%s{role=\"%s\",worker=\"%u\"} %.9g\n", worker_metrics[i].name, worker.role,
                    worker.number, value);
        }
    }
}

static void say_lag(struct px_request *request, const char *ring_name, const struct px_ring *ring,
                    const struct px_ring_yard *yard)
{
    struct worker worker;
    uint64_t lag;

    for (unsigned slot = 0; slot < PX_ROLE_SLOTS; slot++) {
        if (!is_used(request, slot))
            continue;
        look_at(request, slot, &worker);
        if (lag_of(ring, yard, slot, &lag))
            pxi_say(request, "pxengine_ring_lag{ring=\"%s\",role=\"%s\",worker=\"%u\"} %llu\n", ring_name, worker.role,
                worker.number, (unsigned long long)lag);
    }
}

static void say_shared(struct px_request *request)
{
    const struct px_shm *shm = request->rest->heritage->shm;

    pxi_say_family(request, "ring_lag", "gauge", "Events that a consumer of a ring has yet to read");
    say_lag(request, "ticks", shm->ticks, shm->ticks_yard);
    say_lag(request, "events", shm->events, shm->events_yard);
    pxi_say_family(request, "ring_published_total", "counter", "Events published to a ring in this epoch");
    pxi_say(request, "pxengine_ring_published_total{ring=\"ticks\"} %llu\n", (unsigned long long)px_ring_tail(shm->ticks));
    pxi_say(request, "pxengine_ring_published_total{ring=\"events\"} %llu\n",
        (unsigned long long)px_ring_tail(shm->events));
    pxi_say_family(request, "queue_length", "gauge", "Records in a queue that its consumer has not acted on");
    for (unsigned i = 0; i < px_shm_evaluators(shm); i++) {
        pxi_say(request, "pxengine_queue_length{queue=\"hits\",evaluator=\"%u\"} %llu\n", i,
                (unsigned long long)px_queue_length(px_shm_hits(shm, i)));
        pxi_say(request, "pxengine_queue_length{queue=\"seeds\",evaluator=\"%u\"} %llu\n", i,
                (unsigned long long)px_queue_length(px_shm_seeds(shm, i)));
    }
    pxi_say_family(request, "assets", "gauge", "Assets configured");
    pxi_say(request, "pxengine_assets %u\n", request->rest->heritage->config->asset_count);
    pxi_say_family(request, "build_info", "gauge", "1, with the version and the epoch as labels");
    pxi_say(request, "pxengine_build_info{version=\"%s\",epoch=\"%s\"} 1\n", PX_VERSION, request->rest->epoch);
}

void pxi_get_metrics(struct px_request *request)
{
    if (!pxi_reserve(request, METRICS_BYTES_MAX))
        return;
    request->answer.type = "text/plain; version=0.0.4; charset=utf-8";
    say_stats(request);
    say_workers(request);
    say_shared(request);
    pxi_say_times(request);
}
