/* Alerts, and notifications that were given up. */
#include <stdlib.h>

#include "tools/pxctl/pxctl_private.h"

#define PATH_SIZE 512

/* ---- what is told ---- */

/* What a condition waits for, in words: "crossing_up 70000". */
static void describe(const json_t *condition, char *to, size_t size)
{
    static const char *const members[] = {"level", "lower", "upper", "amount", "window"};
    int len = snprintf(to, size, "%s", pxi_text_of(condition, "op"));

    for (size_t i = 0; i < PX_COUNT_OF(members) && len > 0 && (size_t)len < size; i++)
        if (json_object_get(condition, members[i]))
            len += snprintf(to + len, size - (size_t)len, " %s", pxi_text_of(condition, members[i]));
}

static void print_alert(const json_t *alert)
{
    const json_t *condition = json_object_get(alert, "condition"), *all = json_object_get(alert, "all_of");
    char what[160];

    describe(condition ? condition : json_array_get(all, 0), what, sizeof what);
    printf("%s  %-12s %-32s %-8s fires %lld  %s%s\n", pxi_text_of(alert, "id"), pxi_text_of(alert, "symbol"), what,
           pxi_text_of(alert, "state"), (long long)json_integer_value(json_object_get(alert, "fires")),
           pxi_text_of(alert, "name"), all ? "  (and more conditions)" : "");
}

static void print_delivery(const json_t *delivery)
{
    printf("%s  %-9s alert %s fire %lld  channel %s  attempts %lld  %s\n", pxi_text_of(delivery, "id"),
           pxi_text_of(delivery, "state"), pxi_text_of(delivery, "alert_id"),
           (long long)json_integer_value(json_object_get(delivery, "fire")), pxi_text_of(delivery, "channel_id"),
           (long long)json_integer_value(json_object_get(delivery, "attempt_count")), pxi_text_of(delivery, "created_at"));
}

typedef void print(const json_t *row);

/* One object, or a list under `member`. */
static int tell(const struct pxi_call *call, const struct pxi_reply *reply, const char *member, print *one)
{
    if (call->format == PXI_JSON) {
        puts(reply->len ? reply->body : "{}");
        return PXI_OK;
    }
    json_t *root = json_loadb(reply->body ? reply->body : "", reply->len, 0, NULL), *row;
    size_t i;

    if (!member && root)
        one(root);
    json_array_foreach(member ? json_object_get(root, member) : NULL, i, row)
        one(row);
    if (json_is_string(json_object_get(root, "next_cursor")))
        fputs("There is more: --limit N, or the API's cursor.\n", stderr);
    json_decref(root);
    return PXI_OK;
}

/* Any answer but the expected ones is told as a refusal. */
static int ask(struct pxi_call *call, const char *method, const char *path, const char *body, const char *member, print *one)
{
    struct pxi_reply reply = {0};
    int error = pxi_ask(call, method, path, "application/json", body, body ? strlen(body) : 0, &reply);

    if (!error && reply.status / 100 != 2)
        error = pxi_refused(call, &reply);
    else if (!error)
        error = tell(call, &reply, member, one);
    pxi_reply_free(&reply);
    return error;
}

/* ---- create ---- */

/* Which members the words behind an operator are. */
static const char *const *members_of(const char *op)
{
    static const char *const level[] = {"level", NULL}, *const channel[] = {"lower", "upper", NULL},
                      *const move[] = {"amount", "window", NULL}, *const stale[] = {"window", NULL};

    if (strstr(op, "_channel"))
        return channel;
    if (strncmp(op, "moving_", 7) == 0)
        return move;
    return strcmp(op, "stale") == 0 ? stale : level;
}

static json_t *condition_of(const struct pxi_call *call)
{
    const char *op = call->word[2], *const *members = members_of(op);
    json_t *condition = json_pack("{s:s}", "op", op);
    unsigned word = 3;

    for (; *members && word < call->words; members++, word++)
        json_object_set_new(condition, *members, json_string(call->word[word]));
    if (*members || word < call->words) {
        json_decref(condition);
        return NULL;
    }
    if (pxi_option(call, "--source"))
        json_object_set_new(condition, "source", json_string(pxi_option(call, "--source")));
    return condition;
}

static void set_option(const struct pxi_call *call, json_t *body, const char *option, const char *member, bool in_list)
{
    const char *value = pxi_option(call, option);

    if (value)
        json_object_set_new(body, member, in_list ? json_pack("[s]", value) : json_string(value));
}

static int create(struct pxi_call *call)
{
    json_t *condition = call->words >= 3 ? condition_of(call) : NULL, *body;

    if (!condition) {
        pxi_complain("call it as: pxctl alert create SYMBOL OP LEVEL, or LOWER UPPER, AMOUNT WINDOW, WINDOW as the operator wants");
        return PXI_USAGE;
    }
    body = json_pack("{s:s, s:o}", "symbol", call->word[1], "condition", condition);
    set_option(call, body, "--name", "name", false);
    set_option(call, body, "--frequency", "frequency", false);
    set_option(call, body, "--cooldown", "cooldown", false);
    set_option(call, body, "--message", "message", false);
    set_option(call, body, "--expires", "expires_at", false);
    set_option(call, body, "--channel", "channels", true);
    set_option(call, body, "--tag", "tags", true);
    char *text = json_dumps(body, JSON_COMPACT);
    int error = ask(call, "POST", "/api/v1/alerts", text, NULL, print_alert);
    free(text);
    json_decref(body);
    return error;
}

/* ---- the others ---- */

static int list(struct pxi_call *call)
{
    char path[PATH_SIZE];

    pxi_path(path, sizeof path, "/api/v1/alerts", "", "symbol", call->words > 1 ? call->word[1] : NULL, "state",
             pxi_option(call, "--state"), "tag", pxi_option(call, "--tag"), "limit", pxi_option(call, "--limit"), NULL);
    return ask(call, "GET", path, NULL, "alerts", print_alert);
}

static void print_gone(const json_t *nothing)
{
}

static void print_test(const json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);

    puts(text ? text : "");
    free(text);
}

int pxi_alert(struct pxi_call *call)
{
    static const struct {
        const char *name, *method, *verb;
        print *one;
    } verbs[] = {{"show", "GET", "", print_alert},          {"cancel", "DELETE", "", print_gone},
                 {"rm", "DELETE", "", print_gone},          {"pause", "POST", ":pause", print_alert},
                 {"resume", "POST", ":resume", print_alert}, {"rearm", "POST", ":rearm", print_alert},
                 {"test", "POST", ":test", print_test}};
    const char *what = call->word[0];
    char path[PATH_SIZE];

    if (strcmp(what, "create") == 0 || strcmp(what, "add") == 0)
        return create(call);
    if (strcmp(what, "list") == 0 || strcmp(what, "ls") == 0)
        return list(call);
    for (size_t i = 0; i < PX_COUNT_OF(verbs); i++) {
        if (strcmp(what, verbs[i].name) != 0 || call->words != 2)
            continue;
        pxi_path(path, sizeof path - 16, "/api/v1/alerts/", call->word[1], NULL);
        strncat(path, verbs[i].verb, 15);
        return ask(call, verbs[i].method, path, strcmp(verbs[i].method, "POST") == 0 ? "" : NULL, NULL, verbs[i].one);
    }
    pxi_complain("'alert %s' with %u words is none of: create list show cancel pause resume rearm test; `pxctl alert --help` has examples",
                 what, call->words - 1);
    return PXI_USAGE;
}

static void print_replayed(const json_t *answer)
{
    if (json_object_get(answer, "replayed"))
        printf("%lld sent again\n", (long long)json_integer_value(json_object_get(answer, "replayed")));
    else
        print_delivery(answer);
}

int pxi_dlq(struct pxi_call *call)
{
    char path[PATH_SIZE];

    if (strcmp(call->word[0], "list") == 0 && call->words == 1) {
        const char *state = pxi_option(call, "--state");

        pxi_path(path, sizeof path, "/api/v1/deliveries", "", "state", state ? state : "dead", "limit",
                 pxi_option(call, "--limit"), NULL);
        return ask(call, "GET", path, NULL, "deliveries", print_delivery);
    }
    if (strcmp(call->word[0], "replay") == 0 && call->words == 1)
        return ask(call, "POST", "/api/v1/deliveries:replay", "", NULL, print_replayed);
    if (strcmp(call->word[0], "replay") == 0) {
        pxi_path(path, sizeof path - 16, "/api/v1/deliveries/", call->word[1], NULL);
        strncat(path, ":replay", 15);
        return ask(call, "POST", path, "", NULL, print_replayed);
    }
    pxi_complain("'dlq %s' is none of: list replay", call->word[0]);
    return PXI_USAGE;
}
