/* Requests of clients and the answers to them. */
#include "base/error.h"
#include "base/json_out.h"
#include "web/live/session_private.h"

#define DEPTH_MAX     16
#define TOKEN_MAX     256
#define AUTH_FAILURES 5
#define ANSWER_SIZE   4096
#define LISTED_MAX    400 /* subscriptions in one answer */

/* A request while it is being answered. */
struct request {
    struct px_session *session;
    const char *method; /* NULL = unknown yet */
    json_t *params;     /* object or NULL */
    json_t *id;         /* integer or NULL */
    int64_t time_in;
};

/* --- answers --- */

static void answer_begin(const struct request *request, struct px_json *json, bool success)
{
    struct px_hub *hub = request->session->hub;

    px_json_init(json, hub->scratch, sizeof(hub->scratch));
    px_json_open(json, '{');
    px_json_key(json, "method");
    if (request->method != NULL)
        px_json_string(json, px_text_of(request->method));
    else
        px_json_null(json);
    px_json_kv_bool(json, "success", success);
}

static bool answer_end(const struct request *request, struct px_json *json)
{
    px_json_kv_time(json, "time_in", request->time_in);
    px_json_kv_time(json, "time_out", px_wall_now());
    if (request->id != NULL)
        px_json_kv_int(json, "req_id", json_integer_value(request->id));
    px_json_close(json, '}');
    PX_CHECK(!json->full); /* what comes from the client is cut before it gets here */
    return pxi_session_say(request->session, (struct px_text){json->at, json->len}, (struct px_text){"", 0});
}

static void refuse(const struct request *request, const char *code, const char *words, const char *symbol)
{
    struct px_json json;

    answer_begin(request, &json, false);
    px_json_kv_string(&json, "error", words);
    px_json_kv_string(&json, "code", code);
    if (symbol != NULL) {
        struct px_text text = px_text_of(symbol);

        text.len = PX_MIN(text.len, (size_t)64);
        px_json_key(&json, "symbol");
        px_json_string(&json, text);
    }
    (void)answer_end(request, &json);
}

/* --- parameters --- */

static const char *param_text(const struct request *request, const char *key)
{
    return json_string_value(json_object_get(request->params, key));
}

static bool param_bool(const struct request *request, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(request->params, key);

    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

/* PXI_CHANNELS if there is none of that name. */
static enum pxi_channel param_channel(const struct request *request)
{
    const char *name = param_text(request, "channel");
    unsigned channel = 0;

    while (channel < PXI_CHANNELS && (name == NULL || strcmp(name, pxi_channel_names[channel]) != 0))
        channel++;
    return channel;
}

/* resume.seq.<symbol> or resume.seq when it is a number; false when there is none. */
static bool param_resume(const struct request *request, const char *symbol, bool *same_epochp, uint64_t *seqp)
{
    const json_t *resume = json_object_get(request->params, "resume");
    const json_t *seq = json_object_get(resume, "seq");
    const char *epoch = json_string_value(json_object_get(resume, "epoch"));

    if (json_is_object(seq))
        seq = json_object_get(seq, symbol);
    if (!json_is_integer(seq) || json_integer_value(seq) < 0)
        return false;
    *same_epochp = epoch != NULL && strcmp(epoch, request->session->hub->epoch) == 0;
    *seqp = (uint64_t)json_integer_value(seq);
    return true;
}

/* --- subscribe --- */

struct wish {
    enum pxi_channel channel;
    bool snapshot;
};

static void acknowledge(const struct request *request, const struct wish *wish, const char *symbol,
                        const bool *recovered, uint64_t seq)
{
    struct px_json json;

    answer_begin(request, &json, true);
    px_json_key(&json, "result");
    px_json_open(&json, '{');
    px_json_kv_string(&json, "channel", pxi_channel_names[wish->channel]);
    if (symbol != NULL)
        px_json_kv_string(&json, "symbol", symbol);
    if (wish->channel == PXI_OHLC)
        px_json_kv_int(&json, "interval", 1);
    px_json_kv_bool(&json, "snapshot", wish->snapshot);
    if (recovered != NULL)
        px_json_kv_bool(&json, "recovered", *recovered);
    px_json_kv_string(&json, "epoch", request->session->hub->epoch);
    px_json_kv_int(&json, "seq", (int64_t)seq);
    px_json_close(&json, '}');
    (void)answer_end(request, &json);
}

/* The subscription, new or old; NULL after an error has been answered. */
static struct pxi_sub *subscribe_asset(const struct request *request, const struct wish *wish, px_asset_id asset,
                                       const char *symbol)
{
    struct px_session *session = request->session;
    struct pxi_sub *sub = pxi_sub_find(session, asset, wish->channel);
    int error;

    if (sub != NULL)
        return sub;
    if (session->sub_count >= session->hub->options.config->limits.subscriptions_per_connection) {
        refuse(request, px_error_code(PX_E_LIMIT), "Too many subscriptions on this connection", symbol);
        return NULL;
    }
    error = pxi_sub_add(session, asset, wish->channel, &sub);
    if (error != 0) {
        refuse(request, px_error_code(error), px_error_text(error), symbol);
        return NULL;
    }
    return sub;
}

/* Trades have no value that stands for all; their snapshot is what the log has. */
static void want_snapshot(struct pxi_sub *sub)
{
    uint64_t *sent = &sub->sent;

    if (sub->channel == PXI_TRADE)
        *sent = PX_MAX(*sent > PXI_TRADE_FRAME ? *sent - PXI_TRADE_FRAME : 0,
                       sub->session->hub->assets[sub->asset].trades->first);
    sub->snapshot = true;
    pxi_sub_mark(sub);
}

static void subscribe_symbol(const struct request *request, const struct wish *wish, const char *symbol)
{
    struct px_hub *hub = request->session->hub;
    const struct px_symbols *directory = &hub->options.shm->directory;
    px_asset_id asset = px_symbols_find(directory, px_text_of(symbol));
    bool resume, same_epoch = false, recovered;
    struct pxi_sub *sub;
    uint64_t had = 0, sseq;

    if (asset == PX_ASSET_NONE) {
        refuse(request, "unknown_symbol", "Unknown symbol", symbol);
        return;
    }
    sub = subscribe_asset(request, wish, asset, symbol);
    if (sub == NULL)
        return;
    sseq = pxi_asset_sseq(hub, asset);
    resume = param_resume(request, symbol, &same_epoch, &had);
    recovered = resume && same_epoch && had == sseq;
    acknowledge(request, wish, px_symbols_get(directory, asset)->name, resume ? &recovered : NULL, sseq);
    if (resume ? !recovered : wish->snapshot)
        want_snapshot(sub);
}

/* All assets, with one acknowledgement; what does not fit into the limit is an error before anything is done. */
static void subscribe_all(const struct request *request, const struct wish *wish)
{
    struct px_session *session = request->session;
    uint32_t count = px_symbols_count(&session->hub->options.shm->directory);

    if ((uint64_t)session->sub_count + count > session->hub->options.config->limits.subscriptions_per_connection) {
        refuse(request, px_error_code(PX_E_LIMIT), "Too many subscriptions on this connection", "*");
        return;
    }
    for (px_asset_id asset = 0; asset < count; asset++) {
        struct pxi_sub *sub = subscribe_asset(request, wish, asset, "*");

        if (sub == NULL)
            return;
        if (wish->snapshot)
            want_snapshot(sub);
    }
    acknowledge(request, wish, "*", NULL, 0);
}

static void subscribe_alerts(const struct request *request, const struct wish *wish)
{
    struct px_session *session = request->session;
    bool same_epoch, resume, recovered;
    uint64_t since = 0;
    int error;

    if (session->owner[0] == '\0') {
        refuse(request, "unauthorized", "Authenticate first", NULL);
        return;
    }
    resume = param_resume(request, "alerts", &same_epoch, &since); /* events count for ever: any epoch will do */
    recovered = resume && session->hub->options.replay != NULL;
    /* The answer goes first, so that the client knows the channel before its first frame. */
    acknowledge(request, wish, NULL, resume ? &recovered : NULL, resume ? since : session->hub->eseq);
    error = pxi_alerts_subscribe(session, resume, since);
    if (error != 0)
        refuse(request, px_error_code(error), px_error_text(error), NULL);
}

/* --- lists of symbols --- */

static bool check_symbols(const struct request *request, const json_t *symbols)
{
    size_t count = json_array_size(symbols);

    if (count == 0 || count > PX_SESSION_SYMBOLS) {
        refuse(request, "validation", "params.symbol must be a list of 1 to 500 symbols", NULL);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!json_is_string(json_array_get(symbols, i))) {
            refuse(request, "validation", "params.symbol must be a list of texts", NULL);
            return false;
        }
    }
    return true;
}

static bool has_star(const json_t *symbols)
{
    for (size_t i = 0; i < json_array_size(symbols); i++)
        if (strcmp(json_string_value(json_array_get(symbols, i)), "*") == 0)
            return true;
    return false;
}

static bool check_interval(const struct request *request, enum pxi_channel channel)
{
    const json_t *interval = json_object_get(request->params, "interval");

    if (channel != PXI_OHLC || interval == NULL || (json_is_integer(interval) && json_integer_value(interval) == 1))
        return true;
    refuse(request, "validation", "params.interval must be 1 (minute)", NULL);
    return false;
}

static void do_subscribe(const struct request *request)
{
    struct wish wish = {param_channel(request), param_bool(request, "snapshot", true)};
    const json_t *symbols = json_object_get(request->params, "symbol");

    if (wish.channel == PXI_CHANNELS) {
        refuse(request, "validation", "Unknown channel", NULL);
    } else if (wish.channel == PXI_ALERTS) {
        subscribe_alerts(request, &wish);
    } else if (wish.channel >= PXI_PER_ASSET) {
        acknowledge(request, &wish, NULL, NULL, request->session->seq); /* status and heartbeat come to everybody */
    } else if (check_symbols(request, symbols) && check_interval(request, wish.channel)) {
        if (has_star(symbols)) {
            subscribe_all(request, &wish);
            return;
        }
        for (size_t i = 0; i < json_array_size(symbols) && !request->session->closed; i++)
            subscribe_symbol(request, &wish, json_string_value(json_array_get(symbols, i)));
    }
}

/* --- unsubscribe --- */

static void acknowledge_end(const struct request *request, enum pxi_channel channel, const char *symbol)
{
    struct px_json json;

    answer_begin(request, &json, true);
    px_json_key(&json, "result");
    px_json_open(&json, '{');
    px_json_kv_string(&json, "channel", pxi_channel_names[channel]);
    if (symbol != NULL)
        px_json_kv_string(&json, "symbol", symbol);
    px_json_close(&json, '}');
    (void)answer_end(request, &json);
}

static void unsubscribe_symbol(const struct request *request, enum pxi_channel channel, const char *symbol)
{
    const struct px_symbols *directory = &request->session->hub->options.shm->directory;
    px_asset_id asset = px_symbols_find(directory, px_text_of(symbol));
    struct pxi_sub *sub = asset == PX_ASSET_NONE ? NULL : pxi_sub_find(request->session, asset, channel);

    if (asset == PX_ASSET_NONE) {
        refuse(request, "unknown_symbol", "Unknown symbol", symbol);
    } else if (sub == NULL) {
        refuse(request, "not_found", "Not subscribed", symbol);
    } else {
        pxi_sub_remove(sub);
        acknowledge_end(request, channel, px_symbols_get(directory, asset)->name);
    }
}

static void unsubscribe_all(const struct request *request, enum pxi_channel channel)
{
    uint32_t count = px_symbols_count(&request->session->hub->options.shm->directory);

    for (px_asset_id asset = 0; asset < count; asset++) {
        struct pxi_sub *sub = pxi_sub_find(request->session, asset, channel);

        if (sub != NULL)
            pxi_sub_remove(sub);
    }
    acknowledge_end(request, channel, "*");
}

static void do_unsubscribe(const struct request *request)
{
    const json_t *symbols = json_object_get(request->params, "symbol");
    enum pxi_channel channel = param_channel(request);

    if (channel == PXI_CHANNELS) {
        refuse(request, "validation", "Unknown channel", NULL);
    } else if (channel >= PXI_PER_ASSET) {
        if (channel == PXI_ALERTS)
            pxi_alerts_unsubscribe(request->session);
        acknowledge_end(request, channel, NULL);
    } else if (check_symbols(request, symbols)) {
        if (has_star(symbols)) {
            unsubscribe_all(request, channel);
            return;
        }
        for (size_t i = 0; i < json_array_size(symbols) && !request->session->closed; i++)
            unsubscribe_symbol(request, channel, json_string_value(json_array_get(symbols, i)));
    }
}

/* --- the small methods --- */

static void do_list(const struct request *request)
{
    struct px_session *session = request->session;
    const struct px_symbols *directory = &session->hub->options.shm->directory;
    struct px_json json;
    uint32_t listed = 0;

    answer_begin(request, &json, true);
    px_json_key(&json, "result");
    px_json_open(&json, '{');
    px_json_key(&json, "subscriptions");
    px_json_open(&json, '[');
    for (uint32_t i = 0; i < session->table_size && listed < LISTED_MAX; i++) {
        if (session->table[i] == NULL)
            continue;
        listed++;
        px_json_open(&json, '{');
        px_json_kv_string(&json, "channel", pxi_channel_names[session->table[i]->channel]);
        px_json_kv_string(&json, "symbol", px_symbols_get(directory, session->table[i]->asset)->name);
        px_json_close(&json, '}');
    }
    if (session->alerts != NULL) {
        px_json_open(&json, '{');
        px_json_kv_string(&json, "channel", pxi_channel_names[PXI_ALERTS]);
        px_json_close(&json, '}');
    }
    px_json_close(&json, ']');
    px_json_kv_int(&json, "total", (int64_t)session->sub_count + (session->alerts != NULL));
    px_json_close(&json, '}');
    (void)answer_end(request, &json);
}

static void do_ping(const struct request *request)
{
    struct px_json json;

    px_json_init(&json, request->session->hub->scratch, ANSWER_SIZE);
    px_json_open(&json, '{');
    px_json_kv_string(&json, "method", "pong");
    (void)answer_end(request, &json);
}

static void do_auth(const struct request *request)
{
    struct px_session *session = request->session;
    const struct px_hub_options *options = &session->hub->options;
    const char *token = param_text(request, "token");
    char owner[PX_LIVE_OWNER_SIZE] = "";
    unsigned scopes = 0;
    struct px_json json;

    if (token == NULL || strlen(token) > TOKEN_MAX || options->auth == NULL ||
        options->auth(options->auth_user, px_text_of(token), owner, &scopes) != 0) {
        refuse(request, "unauthorized", "The key was not accepted", NULL);
        if (++session->auth_failures >= AUTH_FAILURES)
            pxi_session_close(session, PX_CLOSE_AUTH, "not authenticated");
        return;
    }
    if (strncmp(owner, session->owner, sizeof(owner)) != 0)
        pxi_alerts_unsubscribe(
            session); /* another principal: the former one's alerts are no longer this client's business */
    memcpy(session->owner, owner, sizeof(owner));
    session->scopes = scopes;
    answer_begin(request, &json, true);
    px_json_key(&json, "result");
    px_json_open(&json, '{');
    px_json_kv_string(&json, "owner", session->owner);
    px_json_close(&json, '}');
    (void)answer_end(request, &json);
}

/* Events stay in the store and can be asked for again; the client's word that it has them needs no more than an answer.
 */
static void do_ack(const struct request *request)
{
    const json_t *seq = json_object_get(request->params, "seq");
    struct px_json json;

    if (param_channel(request) != PXI_ALERTS || !json_is_integer(seq)) {
        refuse(request, "validation", "params.channel must be \"alerts\" and params.seq a number", NULL);
        return;
    }
    if (request->session->alerts == NULL) {
        refuse(request, "not_found", "Not subscribed", NULL);
        return;
    }
    answer_begin(request, &json, true);
    px_json_key(&json, "result");
    px_json_open(&json, '{');
    px_json_kv_string(&json, "channel", pxi_channel_names[PXI_ALERTS]);
    px_json_kv_int(&json, "seq", json_integer_value(seq));
    px_json_close(&json, '}');
    (void)answer_end(request, &json);
}

static const struct {
    const char *name;
    void (*run)(const struct request *request);
} methods[] = {
    {"subscribe", do_subscribe},
    {"unsubscribe", do_unsubscribe},
    {"list_subscriptions", do_list},
    {"ping", do_ping},
    {"auth", do_auth},
    {"ack", do_ack},
};

/* --- reading --- */

/* jansson recurses with the nesting; this looks at brackets outside of strings before it is let in. */
static bool is_shallow(struct px_text text)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > DEPTH_MAX)
                return false;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return true;
}

static void run(struct request *request, const json_t *root)
{
    json_t *id = json_object_get(root, "req_id");
    const char *method = json_string_value(json_object_get(root, "method"));

    if (json_is_integer(id))
        request->id = id;
    request->params = json_object_get(root, "params");
    if (method == NULL || (request->params != NULL && !json_is_object(request->params)) ||
        (id != NULL && request->id == NULL)) {
        refuse(request, "bad_request", "Malformed request", NULL);
        return;
    }
    for (size_t i = 0; i < PX_COUNT_OF(methods); i++) {
        if (strcmp(method, methods[i].name) == 0) {
            request->method = methods[i].name;
            methods[i].run(request);
            return;
        }
    }
    refuse(request, "bad_request", "Unknown method", NULL);
}

void pxi_session_request(struct px_session *session, struct px_text text)
{
    struct request request = {.session = session, .time_in = px_wall_now()};
    json_t *root = NULL;

    if (text.len <= PX_SESSION_TEXT_MAX && is_shallow(text))
        root = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(root))
        run(&request, root);
    else
        refuse(&request, "bad_request", "Malformed JSON", NULL);
    json_decref(root);
}
