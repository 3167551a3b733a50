/* How the engine is doing: feeds, and what its processes take; and its configuration before it is used. */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/pxctl/pxctl_private.h"

#define ROLES_MAX 64

static int fetch(struct pxi_call *call, const char *path, struct pxi_reply *reply)
{
    if (pxi_ask(call, "GET", path, "application/json", NULL, 0, reply) != PXI_OK)
        return PXI_FAILED;
    return reply->status == 200 ? PXI_OK : pxi_refused(call, reply);
}

/* ---- feed ---- */

static long long number_of(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}

/* Fails when one that has assets is not live: for scripts that watch. */
static int print_feeds(const json_t *root)
{
    json_t *feed;
    size_t i;
    int error = PXI_OK;

    json_array_foreach(json_object_get(root, "feeds"), i, feed) {
        printf("%-12s %-10s %-8s %lld of %lld assets fresh  last %s\n", pxi_text_of(feed, "name"), pxi_text_of(feed, "dialect"),
               pxi_text_of(feed, "state"), number_of(feed, "fresh"), number_of(feed, "assets"), pxi_text_of(feed, "last_recv_time"));
        if (strcmp(pxi_text_of(feed, "state"), "live") != 0)
            error = PXI_FAILED;
    }
    return error;
}

int pxi_feed(struct pxi_call *call)
{
    struct pxi_reply reply = {0};
    int error = fetch(call, "/api/v1/status", &reply);

    if (!error) {
        json_t *root = json_loadb(reply.body, reply.len, 0, NULL);
        char *feeds = json_dumps(json_object_get(root, "feeds"), JSON_COMPACT);

        if (call->format == PXI_JSON)
            puts(feeds ? feeds : "[]");
        else
            error = print_feeds(root);
        free(feeds);
        json_decref(root);
    }
    pxi_reply_free(&reply);
    return error;
}

/* ---- top ---- */

struct look {
    px_mono at;
    double stored, requests, frames;
    struct {
        char name[40];
        double cpu;
    } role[ROLES_MAX];
    unsigned roles;
};

/* The number of a line of /metrics that begins with `name`; false when it is another line. */
static bool is_metric(const char *line, const char *name, double *valuep)
{
    size_t len = strlen(name);
    const char *blank = strchr(line, ' ');

    if (strncmp(line, name, len) != 0 || !blank || (line[len] != ' ' && line[len] != '{'))
        return false;
    *valuep = strtod(blank + 1, NULL);
    return true;
}

static void take_line(struct look *look, const char *line)
{
    char role[24] = "", worker[8] = "";
    double value;

    if (is_metric(line, "pxengine_stored_ticks_total", &value))
        look->stored = value;
    else if (is_metric(line, "pxengine_http_requests_total", &value))
        look->requests = value;
    else if (is_metric(line, "pxengine_websocket_frames_total", &value))
        look->frames = value;
    else if (look->roles < ROLES_MAX && is_metric(line, "pxengine_worker_cpu_seconds_total", &value) &&
             sscanf(line, "%*[^{]{role=\"%23[^\"]\",worker=\"%7[^\"]\"", role, worker) == 2) {
        snprintf(look->role[look->roles].name, sizeof look->role[0].name, "%s %s", role, worker);
        look->role[look->roles++].cpu = value;
    }
}

static int look_at(struct pxi_call *call, struct look *look)
{
    struct pxi_reply reply = {0};
    int error = fetch(call, "/metrics", &reply);

    *look = (struct look){.at = px_mono_now()};
    for (char *line = error ? NULL : reply.body, *end; line && *line; line = end) {
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = '\0';
        take_line(look, line);
    }
    pxi_reply_free(&reply);
    return error;
}

static void print_top(const struct pxi_call *call, const struct look *before, const struct look *now)
{
    double seconds = (double)px_mono_since(now->at, before->at) / 1e9;
    bool json = call->format == PXI_JSON;

    printf(json ? "{\"ticks_per_s\":%.0f,\"requests_per_s\":%.0f,\"frames_per_s\":%.0f,\"cores\":{"
                : "ticks %.0f/s  requests %.0f/s  frames %.0f/s  cores:",
           (now->stored - before->stored) / seconds, (now->requests - before->requests) / seconds,
           (now->frames - before->frames) / seconds);
    for (unsigned i = 0; i < PX_MIN(now->roles, before->roles); i++) {
        double share = (now->role[i].cpu - before->role[i].cpu) / seconds;

        if (json)
            printf("%s\"%s\":%.3f", i ? "," : "", now->role[i].name, PX_MAX(share, 0));
        else
            printf("  %s %.2f", now->role[i].name, PX_MAX(share, 0));
    }
    puts(json ? "}}" : "");
    fflush(stdout);
}

int pxi_top(struct pxi_call *call)
{
    const char *count = pxi_option(call, "--count"), *every = pxi_option(call, "--every");
    long left = count ? strtol(count, NULL, 10) : -1, pause_ms = every ? strtol(every, NULL, 10) : 1000;
    struct look before, now;
    int error = look_at(call, &before);

    for (; !error && left != 0; left -= left > 0) {
        usleep((useconds_t)PX_MIN(PX_MAX(pause_ms, 100), 60000) * 1000);
        error = look_at(call, &now);
        if (!error)
            print_top(call, &before, &now);
        before = now;
    }
    return error;
}

/* ---- config ---- */

/* The engine reads its own configuration best: the one beside this program, else the one in the path. */
int pxi_config(struct pxi_call *call)
{
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 16);
    const char *file = call->word[1];

    if (strcmp(call->word[0], "check") != 0) {
        pxi_complain("'config %s' is none of: check", call->word[0]);
        return PXI_USAGE;
    }
    path[PX_MAX(len, 0)] = '\0';
    char *slash = strrchr(path, '/');
    if (slash) {
        snprintf(slash + 1, 16, "pxengine");
        execl(path, "pxengine", "config", "check", file, (char *)NULL);
    }
    execlp("pxengine", "pxengine", "config", "check", file, (char *)NULL);
    return pxi_complain("pxengine is neither beside pxctl nor in the path, and it is what reads its configuration");
}
