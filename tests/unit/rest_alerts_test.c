/* Alerts over REST: made, changed, many at once, and what keys, states and versions do not allow. */
#include "tests/unit/rest_fixture.h"

START_TEST(asks_for_keys)
{
    ck_assert_int_eq(get("/api/v1/alerts"), 401);
    ck_has("WWW-Authenticate: Bearer");
    ck_lacks("Access-Control-Allow-Origin");
    with("X-API-Key", "px_aaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    ck_assert_int_eq(get("/api/v1/alerts"), 401);
    ck_assert_int_eq(get("/api/v1/time"), 401);
    with("X-API-Key", reader_key);
    ck_assert_int_eq(call("POST", "/api/v1/alerts", alert_body), 403);
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
    ck_assert_int_eq(call("POST", "/api/v1/alerts", alert_body), 201);
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

/* A pause, a change, and what their states and versions do not allow. */
START_TEST(changes_alerts)
{
    char id[64], target[128], verb[160];

    kept_alert_count = 0;
    with("X-API-Key", key);
    ck_assert_int_eq(call("POST", "/api/v1/alerts", alert_body), 201);
    member("id", id, sizeof id);
    snprintf(target, sizeof target, "/api/v1/alerts/%s", id);
    ck_assert_int_eq(call("PATCH", target, "{\"condition\":{\"level\":\"71000\"},\"cooldown\":\"5m\"}"), 200);
    ck_has("ETag: \"2\"\r\n");
    ck_has("\"level\":\"71000\"");
    ck_has("\"cooldown\":\"5m\"");
    kept_haste = 3;
    ck_assert_int_eq(call("PATCH", target, "{\"name\":\"again\"}"), 200);
    ck_has("ETag: \"6\"\r\n");
    ck_assert_int_eq(call("PATCH", target, "{\"condition\":{\"level\":\"x\"},\"state\":\"fired\"}"), 422);
    ck_has("/condition/level");
    ck_has("/state");
    with("If-Match", "\"1\"");
    ck_assert_int_eq(call("PATCH", target, "{\"name\":\"n\"}"), 412);
    snprintf(verb, sizeof verb, "%s:pause", target);
    ck_assert_int_eq(call("POST", verb, ""), 412);
    with("If-Match", "\"6\"");
    ck_assert_int_eq(call("POST", verb, ""), 200);
    ck_has("\"state\":\"paused\"");
    with("If-Match", "*");
    snprintf(verb, sizeof verb, "%s:resume", target);
    ck_assert_int_eq(call("POST", verb, ""), 200);
    ck_assert_int_eq(call("POST", verb, ""), 409);
    snprintf(verb, sizeof verb, "%s:rearm", target);
    ck_assert_int_eq(call("POST", verb, ""), 200);
    snprintf(verb, sizeof verb, "%s:jump", target);
    ck_assert_int_eq(call("POST", verb, ""), 404);
    snprintf(verb, sizeof verb, "%s/events", target);
    ck_assert_int_eq(get(verb), 200);
    ck_has("\"events\":[]");
    ck_assert_int_eq(get("/api/v1/alerts/al_x/events"), 404);
    snprintf(verb, sizeof verb, "%s:test", target);
    ck_assert_int_eq(call("POST", verb, ""), 409);
    ck_assert_int_eq(call("PATCH", target, "{\"channels\":[\"ch_00000000000000000000000001\",\"ch_00000000000000000000000002\"]}"), 200);
    ck_assert_int_eq(call("POST", verb, ""), 202);
    ck_has("{\"deliveries\":[\"dl_");
    ck_assert_uint_eq(kept_tests, 2);
}
END_TEST

START_TEST(makes_many_alerts)
{
    static const char *const many =
        "{\"alerts\":[{\"symbol\":\"BTC-USDT\",\"condition\":{\"op\":\">\",\"level\":\"1\"}},"
        "{\"symbol\":\"XX-YY\",\"condition\":{\"op\":\">\",\"level\":\"1\"}},"
        "{\"symbol\":\"BTC-USDT\",\"condition\":{\"op\":\"moving_up\",\"amount\":\"-1\",\"window\":\"9m\"}},"
        "{\"symbol\":\"ETH-USDT\",\"condition\":{\"op\":\"crossing\",\"level\":\"2\"}}]}";

    kept_alert_count = 0;
    with("X-API-Key", key);
    with("Idempotency-Key", "many");
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(call("POST", "/api/v1/alerts:batch", many), 207);
        ck_has("{\"results\":[{\"status\":201,\"alert\":{\"id\":\"al_");
        ck_has("{\"status\":404,\"problem\":{");
        ck_has("{\"status\":422,\"problem\":{");
        ck_has("{\"pointer\":\"/condition/amount\",\"detail\":\"must be greater than 0\"}");
        ck_has("\"pointer\":\"/condition/window\"");
        ck_has("\"created\":2,\"failed\":2}");
        ck_assert_uint_eq(kept_alert_count, 2);
    }
    ck_assert_int_eq(call("POST", "/api/v1/alerts:batch",
                          "{\"alerts\":[{\"symbol\":\"BTC-USDT\",\"condition\":{\"op\":\">\",\"level\":\"3\"}}]}"), 207);
    ck_has("idempotency_conflict");
    ck_has("\"created\":0,\"failed\":1}");
    ck_assert_int_eq(call("POST", "/api/v1/alerts:batch", "{\"alerts\":[]}"), 422);
    ck_assert_int_eq(call("POST", "/api/v1/alerts:batch", "[]"), 422);
    kept_alert_count = PX_COUNT_OF(kept_alerts);
    with("Idempotency-Key", "more");
    ck_assert_int_eq(call("POST", "/api/v1/alerts:batch", many), 207);
    ck_has("A key may hold 1000 alerts");
}
END_TEST

/* What waits is told in tests/integration/60_alerts_test.py, where a keeper publishes it. */
START_TEST(tells_that_nothing_waits)
{
    ck_assert_int_eq(get("/api/v1/assets/BTC-USDT/alert-depth?source=mid&limit=5"), 200);
    ck_has("\"source\":\"mid\",\"price\":null,\"above\":{\"levels\":[],\"more\":false},\"below\":{\"levels\":[],\"more\":false}}");
    ck_assert_int_eq(get("/api/v1/assets/XX-YY/alert-depth"), 404);
    ck_assert_int_eq(get("/api/v1/assets/BTC-USDT/alert-depth?source=close&limit=32"), 422);
    ck_has("?source");
    ck_has("?limit");
}
END_TEST

START_TEST(repeats_a_create)
{
    char first[64], second[64];

    kept_alert_count = 0;
    with("X-API-Key", key);
    with("Idempotency-Key", "once");
    ck_assert_int_eq(call("POST", "/api/v1/alerts", alert_body), 201);
    member("id", first, sizeof first);
    ck_assert_int_eq(call("POST", "/api/v1/alerts", alert_body), 201);
    member("id", second, sizeof second);
    ck_assert_str_eq(first, second);
    ck_assert_uint_eq(kept_alert_count, 1);
    ck_assert_int_eq(
        call("POST", "/api/v1/alerts", "{\"symbol\":\"BTC-USDT\",\"condition\":{\"op\":\">=\",\"level\":\"70001\"}}"),
        422);
    ck_has("idempotency_conflict");
    with("Idempotency-Key", "");
    ck_assert_int_eq(call("POST", "/api/v1/alerts", alert_body), 400);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rest_alerts");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, asks_for_keys);
    tcase_add_test(tests, makes_and_deletes_alerts);
    tcase_add_test(tests, changes_alerts);
    tcase_add_test(tests, makes_many_alerts);
    tcase_add_test(tests, tells_that_nothing_waits);
    tcase_add_test(tests, repeats_a_create);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
