/* Commands that look. */
#include <stdlib.h>
#include <unistd.h>

#include "tools/pxctl/pxctl_private.h"

#define PATH_SIZE 16384

static int fetch(struct pxi_call *call, const char *path, const char *accept, struct pxi_reply *reply)
{
    if (pxi_ask(call, "GET", path, accept, NULL, 0, reply) != PXI_OK)
        return PXI_FAILED;
    return reply->status == 200 ? PXI_OK : pxi_refused(call, reply);
}

const char *pxi_text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text && *text ? text : "-";
}

/* ---- price, and watch by looking ---- */

static void list_path(struct pxi_call *call, char *path)
{
    char list[PATH_SIZE / 4] = "";
    size_t len = 0;

    for (unsigned i = 0; i < call->words && len < sizeof list; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i ? "," : "", call->word[i]);
    pxi_path(path, PATH_SIZE, "/api/v1/prices", "", "symbols", list, NULL);
}

static void print_price(const json_t *price)
{
    const json_t *minutes = json_object_get(json_object_get(price, "averages"), "5m");

    printf("%-12s %16s  bid %s ask %s  5m twap %s  %s  %lld ms%s\n", pxi_text_of(price, "symbol"), pxi_text_of(price, "price"),
           pxi_text_of(price, "bid"), pxi_text_of(price, "ask"), pxi_text_of(minutes, "twap"), pxi_text_of(price, "venue"),
           (long long)json_integer_value(json_object_get(price, "age_ms")),
           json_is_true(json_object_get(price, "stale")) ? "  STALE" : "");
}

int pxi_price(struct pxi_call *call)
{
    char path[PATH_SIZE];
    struct pxi_reply reply = {0};
    json_t *price;
    size_t i;

    list_path(call, path);
    int error = fetch(call, path, "application/json", &reply);
    if (!error && call->format == PXI_JSON) {
        puts(reply.body);
    } else if (!error) {
        json_t *root = json_loadb(reply.body, reply.len, 0, NULL);

        json_array_foreach(json_object_get(root, "prices"), i, price)
            print_price(price);
        json_decref(root);
    }
    pxi_reply_free(&reply);
    return error;
}

/* Prints those whose sequence has moved on. */
static void print_moved(const struct pxi_call *call, const json_t *root, long long *seen, long *left)
{
    json_t *price;
    size_t i;

    json_array_foreach(json_object_get(root, "prices"), i, price) {
        long long seq = (long long)json_integer_value(json_object_get(price, "seq"));

        if (i >= PX_COUNT_OF(call->word) || seq == seen[i] || *left == 0)
            continue;
        seen[i] = seq;
        *left -= *left > 0;
        if (call->format == PXI_JSON) {
            char *line = json_dumps(price, JSON_COMPACT);

            puts(line ? line : "");
            free(line);
        } else {
            print_price(price);
        }
    }
    fflush(stdout);
}

int pxi_watch_looking(struct pxi_call *call)
{
    const char *count = pxi_option(call, "--count"), *every = pxi_option(call, "--every");
    long left = count ? strtol(count, NULL, 10) : -1, pause_ms = every ? strtol(every, NULL, 10) : 500;
    static long long seen[PX_COUNT_OF(call->word)];
    char path[PATH_SIZE];
    struct pxi_reply reply = {0};
    int error = PXI_OK;

    list_path(call, path);
    while (!error && left != 0) {
        error = fetch(call, path, "application/json", &reply);
        if (!error) {
            json_t *root = json_loadb(reply.body, reply.len, 0, NULL);

            print_moved(call, root, seen, &left);
            json_decref(root);
        }
        pxi_reply_free(&reply);
        if (!error && left != 0)
            usleep((useconds_t)PX_MIN(PX_MAX(pause_ms, 10), 60000) * 1000);
    }
    return error;
}

/* ---- status ---- */

static void print_workers(const json_t *root)
{
    json_t *worker;
    size_t i;

    json_array_foreach(json_object_get(root, "workers"), i, worker) {
        printf("  %-12s pid %-8lld restarts %lld\n", pxi_text_of(worker, "role"),
               (long long)json_integer_value(json_object_get(worker, "pid")),
               (long long)json_integer_value(json_object_get(worker, "restarts")));
    }
}

int pxi_status(struct pxi_call *call)
{
    struct pxi_reply reply = {0};
    int error = fetch(call, "/api/v1/status", "application/json", &reply);

    if (!error && call->format == PXI_JSON) {
        puts(reply.body);
    } else if (!error) {
        json_t *root = json_loadb(reply.body, reply.len, 0, NULL);

        printf("%s  version %s  epoch %s\n", pxi_text_of(root, "state"), pxi_text_of(root, "version"), pxi_text_of(root, "epoch"));
        print_workers(root);
        if (strcmp(pxi_text_of(root, "state"), "ready") != 0)
            error = PXI_FAILED;
        json_decref(root);
    }
    pxi_reply_free(&reply);
    return error;
}

/* ---- candles, ticks ---- */

/* CSV with its columns below each other. */
static void print_columns(const char *csv)
{
    unsigned width[32] = {0}, column = 0, len = 0;

    for (const char *at = csv; *at; at++) {
        if (*at != ',' && *at != '\n') {
            len++;
            continue;
        }
        if (column < PX_COUNT_OF(width))
            width[column] = PX_MAX(width[column], len);
        column = *at == '\n' ? 0 : column + 1;
        len = 0;
    }
    for (const char *at = csv; *at; column = *at++ == '\n' ? 0 : column + 1) {
        size_t n = strcspn(at, ",\n");

        printf("%*.*s%s", column < PX_COUNT_OF(width) ? (int)width[column] : 0, (int)n, at, at[n] == '\n' ? "\n" : "  ");
        at += n;
        if (!*at)
            break;
    }
}

static int show_rows(struct pxi_call *call, const char *path)
{
    struct pxi_reply reply = {0};
    int error = fetch(call, path, call->format == PXI_JSON ? "application/json" : "text/csv", &reply);

    if (!error && call->format == PXI_TEXT)
        print_columns(reply.body ? reply.body : "");
    else if (!error)
        printf("%s%s", reply.body ? reply.body : "", call->format == PXI_JSON ? "\n" : "");
    if (!error && reply.next[0] && call->format == PXI_TEXT)
        fputs("There is more: --limit N, or --start and --end, or `pxctl export`.\n", stderr);
    pxi_reply_free(&reply);
    return error;
}

int pxi_candles(struct pxi_call *call)
{
    char path[2048];

    pxi_path(path, sizeof path, "/api/v1/candles/", call->word[0], "interval", pxi_option(call, "--interval"), "start",
             pxi_option(call, "--start"), "end", pxi_option(call, "--end"), "limit", pxi_option(call, "--limit"), "fill",
             pxi_option(call, "--fill"), "partial", pxi_option(call, "--partial") ? "true" : NULL, NULL);
    return show_rows(call, path);
}

int pxi_ticks(struct pxi_call *call)
{
    char path[2048];

    pxi_path(path, sizeof path, "/api/v1/ticks/", call->word[0], "start", pxi_option(call, "--start"), "end",
             pxi_option(call, "--end"), "limit", pxi_option(call, "--limit"), "include",
             pxi_option(call, "--quarantined") ? "quarantined" : NULL, NULL);
    return show_rows(call, path);
}
