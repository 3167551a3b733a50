/* REST from the request to the answer. */
#include "tests/unit/rest_fixture.h"

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

START_TEST(times_what_it_answers)
{
    px_time_observe(&shm.stats[PX_ROLE_SLOT_WEB], PX_TIME_SERVER, PX_TIME_STREAM, 1000000);
    px_time_observe(&shm.stats[PX_ROLE_SLOT_WEB], PX_TIME_SERVER, PX_TIME_STREAM, 1000001);
    px_time_observe(&shm.stats[PX_ROLE_SLOT_WEB + 1], PX_TIME_SERVER, PX_TIME_STREAM, 2 * PX_NS_PER_S);
    ck_assert_int_eq(get("/api/v1/averages/BTC-USDT"), 200);
    ck_assert_int_eq(get("/api/v1/averages/BTC-USDT?interval=1m"), 200);
    ck_assert_int_eq(get("/metrics"), 200);
    ck_has("pxengine_http_handler_seconds_count{class=\"average\"} 1\n");
    ck_has("pxengine_http_handler_seconds_count{class=\"history\"} 1\n");
    ck_has("pxengine_http_server_seconds_bucket{class=\"stream\",le=\"0.0007\"} 0\n");
    ck_has("pxengine_http_server_seconds_bucket{class=\"stream\",le=\"0.001\"} 1\n");
    ck_has("pxengine_http_server_seconds_bucket{class=\"stream\",le=\"0.0015\"} 2\n");
    ck_has("pxengine_http_server_seconds_bucket{class=\"stream\",le=\"1\"} 2\n");
    ck_has("pxengine_http_server_seconds_bucket{class=\"stream\",le=\"+Inf\"} 3\n");
    ck_has("pxengine_http_server_seconds_sum{class=\"stream\"} 2.002000001\n");
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
    if (final)
        kept_final_ns = start_ns + PX_MINUTE_NS;
}

static void keep_nothing(void)
{
    kept_candle_count = 0;
    kept_more = false;
    kept_prior = PX_PRICE_NONE;
    kept_final_ns = INT64_MIN;
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
    kept_final_ns = start;
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?fill=previous&limit=2"), 200);
    ck_has("\"t\":[\"2023-11-14T22:12:00.000000Z\",\"2023-11-14T22:13:00.000000Z\"]");
    ck_has("\"c\":[\"99.00\",\"99.00\"]");
}
END_TEST

/* The end of a stream is its last chunk, and it has none when what it was made of was lost on the way. */
START_TEST(streams_to_an_end_or_breaks_off)
{
    static const char target[] = "/api/v1/candles/BTC-USDT?start=1700000040&limit=1000000";

    keep_nothing();
    keep_candle(INT64_C(1700000040) * PX_NS_PER_S, 10000, true);
    with("Accept", "application/x-ndjson");
    ck_assert_int_eq(get(target), 200);
    ck_has("Transfer-Encoding: chunked\r\n");
    ck_has("{\"t\":\"2023-11-14T22:14:00.000000Z\",\"o\":\"100.00\"");
    ck_has("{\"end\":true,\"rows\":1,\"next_cursor\":null}\n\r\n0\r\n\r\n");
    ck_assert(!client.hung_up);
    kept_more = true; /* and never an end */
    kept_pages = 4;
    ck_assert_int_eq(get(target), 200);
    ck_assert_int_eq(asked_range.start_ns, INT64_C(1700000100) * PX_NS_PER_S);
    ck_lacks("\"end\"");
    ck_lacks("\r\n0\r\n");
    ck_assert(client.hung_up);
    kept_pages = 1;
    ck_assert_int_eq(get(target), 500);
    ck_has("\"code\":\"internal\"");
    with("Accept", "application/json");
    ck_assert_int_eq(get(target), 422);
    ck_has("\"pointer\":\"?limit\"");
}
END_TEST

/* A minute whose trades are still on their way to the rows is not one without trades. */
START_TEST(fills_what_is_final)
{
    const int64_t start = INT64_C(1700000040) * PX_NS_PER_S;

    keep_nothing();
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?fill=null"), 200);
    ck_has("\"t\":[]");
    keep_candle(start, 10000, true);
    kept_final_ns = start + 3 * PX_MINUTE_NS;
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?start=1700000040&end=1700000400&fill=previous"), 200);
    ck_has("\"final\":[true,true,true],\"filled\":[false,true,true]");
    ck_has("max-age=1\r\n");
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?start=1700000040&end=1700000220&fill=null"), 200);
    ck_has("\"final\":[true,true,true],\"filled\":[false,true,true]");
    ck_has("immutable");
    keep_candle(start + 4 * PX_MINUTE_NS, 10100, false);
    ck_assert_int_eq(get("/api/v1/candles/BTC-USDT?start=1700000040&end=1700000400&fill=previous&partial=true"), 200);
    ck_has("\"final\":[true,true,true,false,false,false],\"filled\":[false,true,true,true,false,true]");
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
    ck_assert_int_eq(call("POST", "/api/v1/alerts", alert_body), 411);
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
    tcase_add_test(tests, times_what_it_answers);
    tcase_add_test(tests, says_what_is_not_ready);
    tcase_add_test(tests, tells_candles);
    tcase_add_test(tests, pages_candles);
    tcase_add_test(tests, streams_to_an_end_or_breaks_off);
    tcase_add_test(tests, fills_what_is_final);
    tcase_add_test(tests, joins_the_open_candle);
    tcase_add_test(tests, refuses_bad_ranges);
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
