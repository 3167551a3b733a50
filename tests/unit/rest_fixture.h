/* What tests of REST stand on: a region of their own, and a keeper of some lines that answers from arrays. */
#pragma once

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "engine/heritage.h"
#include "store/wire.h"
#include "web/rcu.h"
#include "web/rest/rest.h"
#include "web/server.h"
#include "web/snapshot.h"
#include "web/watchers.h"

#ifdef PX_TSAN
/* What liburcu does inside is hidden from the sanitizer, and so is that a question on a socket comes before its answer.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:liburcu.so\nrace:keep_answer\nrace:keep_alert\nrace:kept_find\n";
}
#endif

static char data[64];
static struct px_config config;
static struct px_shm shm;
static struct px_heritage heritage;
static struct px_snapshots *snapshots;
static struct px_watchers *watchers;
static struct px_rest *rest;
static struct px_rest_thread *thread;
static char key[PX_KEY_TEXT_SIZE], reader_key[PX_KEY_TEXT_SIZE];

/* ---- a keeper ---- */

static struct px_candle kept_candles[8];
static uint32_t kept_candle_count;
static bool kept_more;
static unsigned kept_pages; /* of candles that are answered before the store fails; 0: it never does */
static int64_t kept_prior = PX_PRICE_NONE, kept_final_ns = INT64_MIN;
static struct px_range asked_range;
static struct px_alert kept_alerts[8];
static struct px_alert kept_batch[16];
static uint32_t kept_alert_count, kept_tests, kept_haste; /* haste: versions that somebody else makes before the next change */

static inline bool all(int fd, void *at, size_t n, bool out)
{
    for (char *p = at; n > 0;) {
        ssize_t done = out ? write(fd, p, n) : read(fd, p, n);
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

static inline struct px_alert *kept_find(struct px_alert_id id)
{
    for (uint32_t i = 0; i < kept_alert_count; i++)
        if (kept_alerts[i].id.lo == id.lo && kept_alerts[i].id.hi == id.hi)
            return &kept_alerts[i];
    return NULL;
}

static inline struct px_alert *kept_by_token(struct px_alert_id token)
{
    for (uint32_t i = 0; (token.hi | token.lo) != 0 && i < kept_alert_count; i++)
        if (kept_alerts[i].token.lo == token.lo && kept_alerts[i].token.hi == token.hi)
            return &kept_alerts[i];
    return NULL;
}

static inline size_t keep_alert(uint16_t kind, struct px_wire_request *request, struct px_wire_answer *answer,
                         struct px_alert *row)
{
    struct px_alert *found = kind == PX_WIRE_ALERT_CREATE ? kept_by_token(request->alert.token) : kept_find(request->alert.id);

    if (kind == PX_WIRE_ALERT_CREATE && found) {
        answer->result = PX_E_EXISTS;
    } else if (kind == PX_WIRE_ALERT_CREATE) {
        found = &kept_alerts[kept_alert_count++];
        *found = request->alert;
        found->version = 1;
        found->created_ns = px_wall_now();
    } else if (!found || (request->alert.owner[0] && strcmp(found->owner, request->alert.owner) != 0)) {
        answer->result = PX_E_NOT_FOUND;
        return 0;
    } else if (kind == PX_WIRE_ALERT_UPDATE && kept_haste > 0) {
        found->version += kept_haste;
        kept_haste = 0;
        answer->result = PX_E_PRECONDITION;
        return 0;
    } else if (request->alert.version != 0 && request->alert.version != found->version) {
        answer->result = PX_E_PRECONDITION;
        return 0;
    } else if (kind == PX_WIRE_ALERT_DELETE) {
        memset(&found->id, 0, sizeof found->id);
        return 0;
    } else if (kind == PX_WIRE_ALERT_UPDATE) {
        request->alert.version = found->version + 1;
        *found = request->alert;
    } else if (kind == PX_WIRE_ALERT_RESUME && found->state != PX_ALERT_PAUSED) {
        answer->result = PX_E_CONFLICT;
        return 0;
    } else if (kind != PX_WIRE_ALERT_GET) {
        found->state = kind == PX_WIRE_ALERT_PAUSE ? PX_ALERT_PAUSED : PX_ALERT_ARMED;
        found->version++;
    }
    answer->count = 1;
    *row = *found;
    return sizeof *row;
}

static inline size_t keep_batch(struct px_wire_request *request, struct px_wire_answer *answer, struct px_alert_result *rows)
{
    for (uint32_t i = 0; i < request->range.limit; i++) {
        struct px_wire_request one = {.alert = kept_batch[i]};
        struct px_wire_answer of = {.result = 0};

        if (kept_alert_count == PX_COUNT_OF(kept_alerts) && !kept_find(one.alert.id))
            of.result = PX_E_LIMIT;
        else
            keep_alert(PX_WIRE_ALERT_CREATE, &one, &of, &rows[i].alert);
        rows[i].result = of.result;
    }
    answer->count = request->range.limit;
    return answer->count * sizeof *rows;
}

static inline size_t keep_answer(uint16_t kind, struct px_wire_request *request, struct px_wire_answer *answer, void *rows)
{
    switch (kind) {
    case PX_WIRE_CANDLES:
        asked_range = request->range;
        if (kept_pages > 0 && --kept_pages == 0) {
            answer->result = PX_E_IO;
            return 0;
        }
        answer->count = PX_MIN(kept_candle_count, request->range.limit);
        answer->more = kept_more;
        answer->prior = kept_prior;
        answer->final_ns = kept_final_ns;
        memcpy(rows, kept_candles, answer->count * sizeof *kept_candles);
        return answer->count * sizeof *kept_candles;
    case PX_WIRE_ALERT_LIST:
        answer->count = kept_alert_count;
        memcpy(rows, kept_alerts, sizeof kept_alerts);
        return answer->count * sizeof *kept_alerts;
    case PX_WIRE_ALERT_BATCH:
        return keep_batch(request, answer, rows);
    case PX_WIRE_ALERT_TEST:
    case PX_WIRE_CHANNEL_TEST:
        answer->count = 1;
        *(struct px_delivery *)rows = (struct px_delivery){.number = ++kept_tests};
        return sizeof(struct px_delivery);
    case PX_WIRE_CHANNEL_GET:
        answer->count = 1;
        memset(rows, 0, sizeof(struct px_channel));
        return sizeof(struct px_channel);
    case PX_WIRE_TICKS:
    case PX_WIRE_EVENTS:
    case PX_WIRE_PING:
        return 0;
    default:
        return keep_alert(kind, request, answer, rows);
    }
}

static inline void *keep(void *unused)
{
    static union {
        char bytes[65536];
        struct px_candle aligned;
    } rows;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s/" PX_KEEPER_SOCKET, data);
    PX_CHECK(bind(listener, (void *)&address, sizeof address) == 0 && listen(listener, 8) == 0);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        struct px_wire_head head;
        struct px_wire_request request;
        while (all(fd, &head, sizeof head, false) && all(fd, &request, sizeof request, false)) {
            struct px_wire_answer answer = {.prior = PX_PRICE_NONE};
            if (head.bytes > sizeof request && !all(fd, kept_batch, head.bytes - sizeof request, false))
                break;
            size_t n = keep_answer(head.kind, &request, &answer, &rows);
            head.bytes = (uint32_t)(sizeof answer + n);
            if (!all(fd, &head, sizeof head, true) || !all(fd, &answer, sizeof answer, true) ||
                !all(fd, &rows, n, true))
                break;
        }
        close(fd);
    }
    return NULL;
}

/* ---- a client ---- */

struct client {
    const char *headers[8][2];
    const char *body;
    size_t at;
    char answer[512 * 1024];
    size_t len;
    bool hung_up;
};
static struct client client;

static inline const char *get_header(void *ctx, const char *name)
{
    for (int i = 0; i < 8 && client.headers[i][0]; i++)
        if (strcasecmp(client.headers[i][0], name) == 0)
            return client.headers[i][1];
    return NULL;
}

static inline int read_body(void *ctx, char *to, size_t size)
{
    size_t n = PX_MIN(size, PX_MIN(strlen(client.body) - client.at, (size_t)7));

    memcpy(to, client.body + client.at, n);
    client.at += n;
    return (int)n;
}

static inline int take_answer(void *ctx, const char *at, size_t len)
{
    PX_CHECK(client.len + len < sizeof client.answer);
    memcpy(client.answer + client.len, at, len);
    client.len += len;
    client.answer[client.len] = '\0';
    return 0;
}

static inline void hang_up(void *ctx)
{
    client.hung_up = true;
}

static inline void with(const char *name, const char *value)
{
    for (int i = 0; i < 8; i++) {
        if (client.headers[i][0] && strcasecmp(client.headers[i][0], name) != 0)
            continue;
        client.headers[i][0] = name;
        client.headers[i][1] = value;
        return;
    }
}

static inline int call(const char *method, const char *target, const char *body)
{
    const char *mark = strchr(target, '?');
    struct px_exchange exchange = {.method = method,
                                   .peer = "192.0.2.1",
                                   .content_length = body ? (int64_t)strlen(body) : -1,
                                   .header = get_header,
                                   .read = read_body,
                                   .write = take_answer,
                                   .hang_up = hang_up};

    exchange.path = (struct px_text){target, mark ? (size_t)(mark - target) : strlen(target)};
    exchange.query = px_text_of(mark ? mark + 1 : "");
    client.body = body ? body : "";
    client.at = client.len = 0;
    client.hung_up = false;
    int status = px_rest_serve(thread, &exchange);
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    ck_assert_msg(strncmp(client.answer, line, strlen(line)) == 0, "%.200s", client.answer);
    ck_assert_ptr_nonnull(strstr(client.answer, "\r\nX-Request-Id: rq_"));
    return status;
}

static inline int get(const char *target)
{
    return call("GET", target, NULL);
}

static inline void ck_has(const char *part)
{
    ck_assert_msg(strstr(client.answer, part) != NULL, "no '%s' in:\n%.3000s", part, client.answer);
}

static inline void ck_lacks(const char *part)
{
    ck_assert_msg(strstr(client.answer, part) == NULL, "'%s' in:\n%.3000s", part, client.answer);
}

/* The number or text after "name":" in the body, into `to`. */
static inline void member(const char *name, char *to, size_t size)
{
    char mark[64];

    snprintf(mark, sizeof mark, "\"%s\":\"", name);
    const char *at = strstr(client.answer, mark);
    ck_assert_ptr_nonnull(at);
    at += strlen(mark);
    px_text_copy(to, size, (struct px_text){at, strcspn(at, "\"")});
}

/* ---- the stage ---- */

static inline void make_config(void)
{
    snprintf(config.data, sizeof config.data, "%s", data);
    config.web_workers = 1;
    config.limits = (struct px_config_limits){1000, 2048, 100, 100, 1000000, 100};
    config.venue_count = 1;
    snprintf(config.venues[0].name, sizeof config.venues[0].name, "binance");
    config.venues[0].stale_after_ms = 10000;
    config.asset_count = 2;
    config.assets = calloc(2, sizeof *config.assets);
    for (int i = 0; i < 2; i++) {
        struct px_config_asset *asset = &config.assets[i];
        snprintf(asset->symbol, sizeof asset->symbol, "%s", i ? "ETH-USDT" : "BTC-USDT");
        snprintf(asset->aliases[0], sizeof asset->aliases[0], "%s", i ? "ETH/USDT" : "BTC/USDT");
        asset->alias_count = asset->source_count = 1;
        asset->scale = 2;
        asset->size_scale = 8;
    }
}

static inline void begin(void)
{
    struct px_shm_params params = {
        .assets = 8, .tick_capacity = 64, .event_capacity = 64, .hit_capacity = 64, .seed_capacity = 64};
    pthread_t keeper;

    snprintf(data, sizeof data, "/tmp/px_rest_test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(data));
    make_config();
    ck_assert_int_eq(px_shm_create(&params, 3, &shm), 0);
    px_symbols_publish(&shm.directory, &config, 1);
    px_shm_ready(&shm);
    heritage = (struct px_heritage){
        .config = &config, .shm = &shm, .slot = PX_ROLE_SLOT_WEB, .generation = 3, .terminate_fd = -1};
    ck_assert_int_eq(px_key_create(data, NULL, "prices:read,alerts:write", key), 0);
    ck_assert_int_eq(px_key_create(data, NULL, "prices:read", reader_key), 0);
    urcu_memb_register_thread();
    ck_assert_int_eq(px_snapshots_open(&config, &snapshots), 0);
    ck_assert_int_eq(px_watchers_create(8, &watchers), 0);
    ck_assert_int_eq(px_rest_create(&heritage, snapshots, watchers, &rest), 0);
    ck_assert_int_eq(px_rest_thread_create(rest, &thread), 0);
    pthread_create(&keeper, NULL, keep, NULL);
    pthread_detach(keeper);
    for (int i = 0; i < 100 && access(data, F_OK) == 0; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/" PX_KEEPER_SOCKET, data);
        if (access(path, F_OK) == 0)
            break;
        usleep(1000);
    }
    memset(&client, 0, sizeof client);
}

static inline void end(void)
{
    char command[128];

    px_rest_thread_destroy(&thread);
    px_rest_destroy(&rest);
    px_watchers_destroy(&watchers);
    px_snapshots_close(&snapshots);
    urcu_memb_unregister_thread();
    px_shm_detach(&shm);
    free(config.assets);
    snprintf(command, sizeof command, "rm -r %s", data);
    ck_assert_int_eq(system(command), 0);
}

static inline void trade(int64_t price, uint64_t sseq)
{
    int64_t now = px_wall_now();
    struct px_detail_value detail = {.price = price,
                                     .size = 50000000,
                                     .bid = price - 1,
                                     .ask = PX_PRICE_NONE,
                                     .time_ns = now,
                                     .recv_ns = now,
                                     .sseq = sseq,
                                     .fresh_sources = 1};
    px_latch_write(px_shm_detail(&shm, 0), &detail);
}

/* An alert. */
static const char *const alert_body = "{\"symbol\":\"BTC/USDT\",\"condition\":{\"op\":\">=\",\"level\":\"70000\"}}";
