/* REST from the request to the answer: over a region of its own, and a keeper of some lines that answers from arrays.
 */
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
static int64_t kept_prior = PX_PRICE_NONE;
static struct px_range asked_range;
static struct px_alert kept_alerts[8];
static uint32_t kept_alert_count;

static bool all(int fd, void *at, size_t n, bool out)
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

static struct px_alert *kept_find(struct px_alert_id id)
{
    for (uint32_t i = 0; i < kept_alert_count; i++)
        if (kept_alerts[i].id.lo == id.lo && kept_alerts[i].id.hi == id.hi)
            return &kept_alerts[i];
    return NULL;
}

static size_t keep_alert(uint16_t kind, struct px_wire_request *request, struct px_wire_answer *answer,
                         struct px_alert *row)
{
    struct px_alert *found = kept_find(request->alert.id);

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
    } else if (kind == PX_WIRE_ALERT_DELETE) {
        memset(&found->id, 0, sizeof found->id);
        return 0;
    }
    answer->count = 1;
    *row = *found;
    return sizeof *row;
}

static size_t keep_answer(uint16_t kind, struct px_wire_request *request, struct px_wire_answer *answer, void *rows)
{
    switch (kind) {
    case PX_WIRE_CANDLES:
        asked_range = request->range;
        answer->count = PX_MIN(kept_candle_count, request->range.limit);
        answer->more = kept_more;
        answer->prior = kept_prior;
        memcpy(rows, kept_candles, answer->count * sizeof *kept_candles);
        return answer->count * sizeof *kept_candles;
    case PX_WIRE_ALERT_LIST:
        answer->count = kept_alert_count;
        memcpy(rows, kept_alerts, sizeof kept_alerts);
        return answer->count * sizeof *kept_alerts;
    case PX_WIRE_TICKS:
    case PX_WIRE_EVENTS:
    case PX_WIRE_PING:
        return 0;
    default:
        return keep_alert(kind, request, answer, rows);
    }
}

static void *keep(void *unused)
{
    static union {
        char bytes[16384];
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

static const char *get_header(void *ctx, const char *name)
{
    for (int i = 0; i < 8 && client.headers[i][0]; i++)
        if (strcasecmp(client.headers[i][0], name) == 0)
            return client.headers[i][1];
    return NULL;
}

static int read_body(void *ctx, char *to, size_t size)
{
    size_t n = PX_MIN(size, PX_MIN(strlen(client.body) - client.at, (size_t)7));

    memcpy(to, client.body + client.at, n);
    client.at += n;
    return (int)n;
}

static int take_answer(void *ctx, const char *at, size_t len)
{
    PX_CHECK(client.len + len < sizeof client.answer);
    memcpy(client.answer + client.len, at, len);
    client.len += len;
    client.answer[client.len] = '\0';
    return 0;
}

static void hang_up(void *ctx)
{
    client.hung_up = true;
}

static void with(const char *name, const char *value)
{
    for (int i = 0; i < 8; i++) {
        if (client.headers[i][0] && strcasecmp(client.headers[i][0], name) != 0)
            continue;
        client.headers[i][0] = name;
        client.headers[i][1] = value;
        return;
    }
}

static int call(const char *method, const char *target, const char *body)
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

static int get(const char *target)
{
    return call("GET", target, NULL);
}

static void ck_has(const char *part)
{
    ck_assert_msg(strstr(client.answer, part) != NULL, "no '%s' in:\n%.3000s", part, client.answer);
}

static void ck_lacks(const char *part)
{
    ck_assert_msg(strstr(client.answer, part) == NULL, "'%s' in:\n%.3000s", part, client.answer);
}

/* The number or text after "name":" in the body, into `to`. */
static void member(const char *name, char *to, size_t size)
{
    char mark[64];

    snprintf(mark, sizeof mark, "\"%s\":\"", name);
    const char *at = strstr(client.answer, mark);
    ck_assert_ptr_nonnull(at);
    at += strlen(mark);
    px_text_copy(to, size, (struct px_text){at, strcspn(at, "\"")});
}

/* ---- the stage ---- */

static void make_config(void)
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

static void begin(void)
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

static void end(void)
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

static void trade(int64_t price, uint64_t sseq)
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

/* ---- prices ---- */

START_TEST(tells_the_time)
{
    ck_assert_int_eq(get("/api/v1/time"), 200);
    ck_has("\"time\":\"20");
    ck_has("Content-Type: application/json\r\n");
    ck_has("Access-Control-Allow-Origin: *\r\n");
    ck_has("RateLimit-Limit: ");
}
END_TEST

START_TEST(tells_prices)
{
    ck_assert_int_eq(get("/api/v1/prices/ETH-USDT"), 200);
    ck_has("\"price\":null");
    ck_has("\"stale\":true");
    trade(6168599, 41);
    ck_assert_int_eq(get("/api/v1/prices/BTC%2FUSDT"), 200);
    ck_has("\"symbol\":\"BTC-USDT\",\"price\":\"61685.99\",\"bid\":\"61685.98\",\"ask\":null,\"size\":\"0.50000000\"");
    ck_has("\"stale\":false");
    ck_has("\"venue\":\"binance\"");
    ck_has("\"averages\":{\"1m\":{\"twap\":null");
    ck_has("ETag: \"k3-41\"\r\n");
    with("If-None-Match", "\"k3-41\"");
    ck_assert_int_eq(get("/api/v1/prices/BTC-USDT"), 304);
    ck_lacks("Content-Length");
    trade(6168600, 42);
    ck_assert_int_eq(get("/api/v1/prices/BTC-USDT"), 200);
    ck_assert_int_eq(get("/api/v1/prices?symbols=BTC-USDT,ETH-USDT"), 200);
    ck_has("{\"prices\":[{\"symbol\":\"BTC-USDT\"");
    ck_assert_int_eq(get("/api/v1/prices?symbols=BTC-USDT,XX"), 404);
    ck_has("\"code\":\"unknown_symbol\"");
    ck_assert_int_eq(get("/api/v1/prices"), 422);
    ck_has("\"pointer\":\"?symbols\"");
}
END_TEST

START_TEST(lists_assets)
{
    ck_assert_int_eq(get("/api/v1/assets?limit=1"), 200);
    ck_has("\"symbol\":\"BTC-USDT\",\"decimals\":2");
    ck_has("Link: </api/v1/assets?limit=1&cursor=");
    char cursor[64], target[128];
    member("next_cursor", cursor, sizeof cursor);
    snprintf(target, sizeof target, "/api/v1/assets?limit=1&cursor=%s", cursor);
    ck_assert_int_eq(get(target), 200);
    ck_has("ETH-USDT");
    ck_has("\"next_cursor\":null");
    ck_assert_int_eq(get("/api/v1/assets?q=eth"), 200);
    ck_lacks("BTC-USDT");
    ck_assert_int_eq(px_watchers_add(watchers, 1), 0);
    ck_assert_int_eq(px_watchers_add(watchers, 1), 0);
    ck_assert_int_eq(get("/api/v1/assets/ETH%2fUSDT"), 200);
    ck_has("\"watchers\":2");
    ck_has("Cache-Control: no-cache\r\n");
    px_watchers_remove(watchers, 1);
    ck_assert_int_eq(get("/api/v1/assets/ETH%2fUSDT"), 200);
    ck_has("\"watchers\":1");
    ck_assert_int_eq(get("/api/v1/assets/nothing"), 404);
    ck_assert_int_eq(get("/api/v1/assets?cursor=x"), 422);
}
END_TEST

START_TEST(refuses_nonsense)
{
    char path[400] = "/api/v1/prices/";

    ck_assert_int_eq(get("/api/v1/prices/%00"), 400);
    ck_assert_int_eq(get("/api/v1/prices/%zz"), 400);
    ck_assert_int_eq(get("/api/v1/prices?symbols=%"), 400);
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?limit=1&limit=2"), 400);
    memset(path + strlen(path), 'A', 300);
    ck_assert_int_eq(get(path), 404);
    ck_assert_int_eq(get("/api/v1/nothing"), 404);
    ck_has("Content-Type: application/problem+json\r\n");
    ck_has("\"code\":\"not_found\"");
    ck_assert_int_eq(call("PUT", "/api/v1/alerts", NULL), 405);
    ck_has("Allow: GET, HEAD, POST, OPTIONS\r\n");
    ck_assert_int_eq(call("OPTIONS", "/api/v1/prices/x", NULL), 204);
    ck_has("Access-Control-Allow-Methods: GET, HEAD\r\n");
    ck_assert_int_eq(call("HEAD", "/api/v1/time", NULL), 200);
    ck_assert_str_eq(client.answer + client.len - 4, "\r\n\r\n");
}
END_TEST

START_TEST(packs_when_welcome)
{
    with("Accept-Encoding", "br, gzip;q=0.5");
    ck_assert_int_eq(get("/metrics"), 200);
    ck_has("Content-Encoding: gzip\r\n");
    with("Accept-Encoding", "gzip;q=0, *");
    ck_assert_int_eq(get("/metrics"), 200);
    ck_lacks("Content-Encoding");
    ck_has("# TYPE pxengine_http_requests_total counter\n");
    ck_has("pxengine_worker_up{role=\"keeper\",worker=\"0\"} 0\n");
}
END_TEST

START_TEST(says_what_is_not_ready)
{
    ck_assert_int_eq(get("/livez"), 200);
    ck_assert_int_eq(get("/readyz"), 503);
    ck_has("\"pointer\":\"/keeper/0\"");
    ck_has("Retry-After: 1\r\n");
    for (unsigned slot = 0; slot <= PX_ROLE_SLOT_WEB; slot++) {
        shm.roles[slot].state = PX_STATE_READY;
        shm.roles[slot].heartbeat_ns = px_mono_now().ns;
    }
    ck_assert_int_eq(get("/readyz?verbose"), 200);
    ck_has("\"role\":\"keeper\"");
    shm.roles[PX_ROLE_SLOT_KEEPER].state = PX_STATE_DEGRADED;
    shm.roles[PX_ROLE_SLOT_INGEST].heartbeat_ns = px_mono_now().ns - 60 * PX_NS_PER_S;
    ck_assert_int_eq(get("/readyz"), 503);
    ck_has("is degraded");
    ck_has("last heartbeat 60");
    ck_assert_int_eq(get("/api/v1/status"), 200);
    ck_has("\"epoch\":\"k3\"");
    ck_has("\"state\":\"degraded\"");
}
END_TEST

/* ---- candles ---- */

static void keep_candle(int64_t start_ns, int64_t price, bool final)
{
    kept_candles[kept_candle_count++] = (struct px_candle){.start_ns = start_ns,
                                                           .open = price,
                                                           .high = price + 5,
                                                           .low = price - 5,
                                                           .close = price,
                                                           .volume = 100000000,
                                                           .count = 3,
                                                           .duration_ns = PX_MINUTE_NS,
                                                           .last_ns = start_ns + PX_MINUTE_NS - 1,
                                                           .final = final,
                                                           .area = (__int128)price * PX_MINUTE_NS,
                                                           .value = (__int128)price * 100000000};
}

static void keep_nothing(void)
{
    kept_candle_count = 0;
    kept_more = false;
    kept_prior = PX_PRICE_NONE;
}

START_TEST(tells_candles)
{
    const int64_t start = INT64_C(1700000040) * PX_NS_PER_S;

    keep_nothing();
    keep_candle(start, 10000, true);
    keep_candle(start + 3 * PX_MINUTE_NS, 10100, true);
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?start=1700000040&end=1700000280"), 200);
    ck_has("\"t\":[\"2023-11-14T22:14:00.000000Z\",\"2023-11-14T22:17:00.000000Z\"],\"o\":[\"100.00\",\"101.00\"]");
    ck_has("\"twap\":[\"100.0000\",\"101.0000\"]");
    ck_has("\"final\":[true,true],\"filled\":[false,false]");
    ck_has("immutable");
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?start=1700000040&end=1700000280&order=desc"), 200);
    ck_assert(asked_range.descending);
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?start=1700000040&end=1700000280&fill=previous"), 200);
    ck_has("\"c\":[\"100.00\",\"100.00\",\"100.00\",\"101.00\"]");
    ck_has("\"n\":[3,0,0,3]");
    ck_has("\"filled\":[false,true,true,false]");
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?start=1700000040&end=1700000280&fill=null"), 200);
    ck_has("\"c\":[\"100.00\",null,null,\"101.00\"]");
    ck_assert_int_eq(get("/api/v1/averages/BTC-USDT?interval=1m&start=1700000040"), 200);
    ck_has("\"coverage\":[1.000000,1.000000]");
    ck_assert_int_eq(get("/api/v1/averages/BTC-USDT"), 200);
    ck_has("\"1h\":{");
}
END_TEST

START_TEST(pages_candles)
{
    const int64_t start = INT64_C(1700000040) * PX_NS_PER_S;
    char cursor[64], target[256];

    keep_nothing();
    keep_candle(start, 10000, true);
    keep_candle(start + 5 * PX_MINUTE_NS, 10100, true);
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?start=1700000040&fill=previous&limit=3"), 200);
    ck_has("\"filled\":[false,true,true]");
    member("next_cursor", cursor, sizeof cursor);
    snprintf(target, sizeof target, "/api/v1/candles/BTC-USDT?start=1700000040&limit=3&cursor=%s", cursor);
    ck_assert_int_eq(get(target), 200);
    ck_assert_int_eq(asked_range.start_ns, start + 3 * PX_MINUTE_NS);
    kept_more = true;
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?end=1700001000&limit=2"), 200);
    member("next_cursor", cursor, sizeof cursor);
    snprintf(target, sizeof target, "/api/v1/candles/BTC-USDT?end=1700001000&limit=2&cursor=%s", cursor);
    ck_assert_int_eq(get(target), 200);
    ck_assert_int_eq(asked_range.end_ns, start);
    keep_nothing();
    kept_prior = 9900;
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?fill=previous&limit=2"), 200);
    ck_has("\"c\":[\"99.00\",\"99.00\"]");
}
END_TEST

START_TEST(joins_the_open_candle)
{
    int64_t minute = px_candle_start(px_wall_now(), 60);
    struct px_candle_pair open = {.open = {.start_ns = minute,
                                           .open = 200,
                                           .high = 210,
                                           .low = 190,
                                           .close = 205,
                                           .volume = 7,
                                           .count = 2,
                                           .duration_ns = 1,
                                           .area_lo = 200,
                                           .last_ns = minute + 5}};
    px_latch_write(px_shm_candle(&shm, 0), &open);
    keep_nothing();
    keep_candle(minute - PX_MINUTE_NS, 10000, true);
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT"), 200);
    ck_has("\"c\":[\"100.00\"]");
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?partial=true"), 200);
    ck_has("\"c\":[\"100.00\",\"2.05\"]");
    ck_has("\"final\":[true,false]");
    ck_has("max-age=1\r\n");
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?partial=true&limit=1"), 200);
    ck_has("\"c\":[\"2.05\"]");
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?partial=true&end=1700000000"), 200);
    ck_has("\"c\":[\"100.00\"]");
    keep_nothing();
    keep_candle(px_candle_start(minute, 604800), 10000, false);
    kept_candles[0].last_ns = minute - 1;
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?interval=1w&partial=true"), 200);
    ck_has("\"o\":[\"100.00\"],\"h\":[\"100.05\"],\"l\":[\"1.90\"],\"c\":[\"2.05\"]");
    ck_has("\"n\":[5]");
}
END_TEST

START_TEST(refuses_bad_ranges)
{
    static const char *const bad[] = {
        "interval=7m", "interval=7s", "limit=0",       "limit=5001", "start=yesterday",
        "order=up",    "fill=zero",   "partial=maybe", "cursor=abc", "start=99999999999999999999999"};
    char target[128];

    for (size_t i = 0; i < PX_COUNT_OF(bad); i++) {
        snprintf(target, sizeof target, "/api/v1/candles/BTC-USDT?%s", bad[i]);
        ck_assert_msg(get(target) == 422, "%s", target);
    }
    keep_nothing();
    static const char *const wild[] = {"start=0",
                                       "end=0",
                                       "start=1600-01-01T00:00:00Z",
                                       "start=9223372036854775807",
                                       "end=9223372036854775807",
                                       "start=9223372036854775807&interval=1w&fill=null"};
    for (size_t i = 0; i < PX_COUNT_OF(wild); i++) {
        snprintf(target, sizeof target, "/api/v1/candles/BTC-USDT?fill=previous&%s", wild[i]);
        snprintf(target, sizeof target, "/api/v1/candles/BTC-USDT?%s", wild[i]);
        get(target);
        ck_assert_msg(get(target) == 200 || get(target) == 422, "%s", target);
    }
    ck_assert_int_eq(get("/api/v1/ticks/BTC-USDT?include=all"), 422);
    ck_assert_int_eq(get("/api/v1/ticks/BTC-USDT?include=quarantined"), 200);
    ck_has("\"ticks\":[],\"next_cursor\":null");
}
END_TEST

/* ---- alerts ---- */

static const char *const body = "{\"symbol\":\"BTC/USDT\",\"condition\":{\"op\":\">=\",\"level\":\"70000\"}}";

START_TEST(asks_for_keys)
{
    ck_assert_int_eq(get("/api/v1/alerts"), 401);
    ck_has("WWW-Authenticate: Bearer");
    ck_lacks("Access-Control-Allow-Origin");
    with("X-API-Key", "px_aaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    ck_assert_int_eq(get("/api/v1/alerts"), 401);
    ck_assert_int_eq(get("/api/v1/time"), 401);
    with("X-API-Key", reader_key);
    ck_assert_int_eq(call("POST", "/api/v1/alerts", body), 403);
    with("X-API-Key", key);
    ck_assert_int_eq(get("/api/v1/alerts"), 200);
}
END_TEST

START_TEST(makes_and_deletes_alerts)
{
    char id[64], target[128];
    char bearer[96];

    kept_alert_count = 0;
    snprintf(bearer, sizeof bearer, "Bearer %s", key);
    with("Authorization", bearer);
    ck_assert_int_eq(call("POST", "/api/v1/alerts", body), 201);
    ck_has("ETag: \"1\"\r\n");
    ck_has("\"op\":\"greater_or_equal\",\"source\":\"last\",\"level\":\"70000\"");
    member("id", id, sizeof id);
    snprintf(target, sizeof target, "/api/v1/alerts/%s", id);
    ck_has(target);
    ck_assert_int_eq(get(target), 200);
    with("If-Match", "\"2\"");
    ck_assert_int_eq(call("DELETE", target, NULL), 412);
    with("If-Match", "\"1\"");
    ck_assert_int_eq(call("DELETE", target, NULL), 204);
    ck_assert_int_eq(call("DELETE", target, NULL), 404);
    ck_has("unknown_alert");
    ck_assert_int_eq(get("/api/v1/alerts/al_x"), 404);
    ck_assert_int_eq(get("/api/v1/alerts?state=nonsense"), 422);
    ck_assert_int_eq(get("/api/v1/events?since=k3-17"), 200);
    ck_has("\"next_since\":\"k3-17\"");
    ck_assert_int_eq(get("/api/v1/events?since=x"), 422);
}
END_TEST

START_TEST(repeats_a_create)
{
    char first[64], second[64];

    kept_alert_count = 0;
    with("X-API-Key", key);
    with("Idempotency-Key", "once");
    ck_assert_int_eq(call("POST", "/api/v1/alerts", body), 201);
    member("id", first, sizeof first);
    ck_assert_int_eq(call("POST", "/api/v1/alerts", body), 201);
    member("id", second, sizeof second);
    ck_assert_str_eq(first, second);
    ck_assert_uint_eq(kept_alert_count, 1);
    ck_assert_int_eq(
        call("POST", "/api/v1/alerts", "{\"symbol\":\"BTC-USDT\",\"condition\":{\"op\":\">=\",\"level\":\"70001\"}}"),
        422);
    ck_has("idempotency_conflict");
    with("Idempotency-Key", "");
    ck_assert_int_eq(call("POST", "/api/v1/alerts", body), 400);
}
END_TEST

START_TEST(bounds_bodies)
{
    static char large[4096];

    with("X-API-Key", key);
    memset(large, ' ', sizeof large - 1);
    ck_assert_int_eq(call("POST", "/api/v1/alerts", large), 413);
    ck_assert(client.hung_up && client.at == 0);
    ck_assert_int_eq(call("POST", "/api/v1/alerts", NULL), 411);
    ck_assert_int_eq(call("POST", "/api/v1/alerts", "{"), 400);
    ck_has("line 1, column 1");
    with("Transfer-Encoding", "chunked");
    ck_assert_int_eq(call("POST", "/api/v1/alerts", body), 411);
    ck_assert(client.hung_up);
    ck_has("Connection: close\r\n");
}
END_TEST

START_TEST(slows_the_hasty)
{
    struct px_config_limits limits = config.limits;
    int status = 200;

    limits.requests_per_second = 2;
    ck_assert_int_eq(px_snapshots_publish(snapshots, &limits, NULL), 0);
    for (int i = 0; i < 10 && status == 200; i++)
        status = get("/api/v1/time");
    ck_assert_int_eq(status, 429);
    ck_has("Retry-After: 1\r\n");
    ck_has("RateLimit-Remaining: 0\r\n");
    ck_assert_int_eq(get("/livez"), 200);
    with("X-API-Key", key);
    ck_assert_int_eq(get("/api/v1/time"), 200);
}
END_TEST

/* ---- the server ---- */

static size_t talk(uint16_t port, const char *request, char *answer, size_t size)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t len = 0;
    ssize_t n;

    ck_assert_int_eq(connect(fd, (void *)&address, sizeof address), 0);
    ck_assert_int_eq(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    while (len < size - 1 && (n = read(fd, answer + len, size - 1 - len)) > 0)
        len += (size_t)n;
    answer[len] = '\0';
    close(fd);
    return len;
}

START_TEST(serves_over_sockets)
{
    static char answer[65536];
    struct px_server *server;

    ck_assert_int_eq(px_server_start(rest, "127.0.0.1", 0, &server), 0);
    uint16_t port = px_server_port(server);
    talk(port, "GET /api/v1/prices/BTC%2FUSDT?x=%41 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer,
         sizeof answer);
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 200 OK"));
    talk(port, "GET /api/v1/../v1/time HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer, sizeof answer);
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 404"));
    talk(port, "nonsense\r\n\r\n", answer, sizeof answer);
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 400"));
    ck_assert_ptr_nonnull(strstr(answer, "application/problem+json"));
    talk(port,
         "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
         "OPTIONS /api/v1/time HTTP/1.1\r\nHost: x\r\nOrigin: http://y\r\nAccess-Control-Request-Method: GET\r\n"
         "Connection: close\r\n\r\n",
         answer, sizeof answer);
    ck_assert_ptr_nonnull(strstr(answer, "{\"status\":\"ok\"}"));
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 204"));
    ck_assert_ptr_nonnull(strstr(answer, "Access-Control-Max-Age"));
    talk(port,
         "POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: "
         "close\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
         answer, sizeof answer);
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 411"));
    px_mono began = px_mono_now(); /* a body that never comes holds no thread */
    talk(port, "POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n", answer, sizeof answer);
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 401"));
    ck_assert_int_lt(px_mono_since(px_mono_now(), began), 2 * PX_NS_PER_S);
    px_server_stop(&server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rest");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, tells_the_time);
    tcase_add_test(tests, tells_prices);
    tcase_add_test(tests, lists_assets);
    tcase_add_test(tests, refuses_nonsense);
    tcase_add_test(tests, packs_when_welcome);
    tcase_add_test(tests, says_what_is_not_ready);
    tcase_add_test(tests, tells_candles);
    tcase_add_test(tests, pages_candles);
    tcase_add_test(tests, joins_the_open_candle);
    tcase_add_test(tests, refuses_bad_ranges);
    tcase_add_test(tests, asks_for_keys);
    tcase_add_test(tests, makes_and_deletes_alerts);
    tcase_add_test(tests, repeats_a_create);
    tcase_add_test(tests, bounds_bodies);
    tcase_add_test(tests, slows_the_hasty);
    tcase_add_test(tests, serves_over_sockets);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
