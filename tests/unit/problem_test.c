/* Problem bodies, and the bodies of alerts with all that can be wrong with them. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/error.h"
#include "match/plan.h"
#include "web/rest/alert_body.h"
#include "web/rest/problem.h"

static px_asset_id find(void *ctx, struct px_text text, struct px_symbol *symbolp)
{
    if (!px_text_is(text, "BTC-USDT") && !px_text_is(text, "BTCUSDT"))
        return PX_ASSET_NONE;
    *symbolp = (struct px_symbol){.name = "BTC-USDT", .scale = 2, .size_scale = 8};
    return 0;
}

static struct px_alert alert;
static struct px_problem problem;

static bool read_body(const char *body)
{
    memset(&problem, 0, sizeof problem);
    return px_alert_body_read(px_text_of(body), find, NULL, &alert, &problem);
}

static const char *detail_at(const char *pointer)
{
    for (unsigned i = 0; i < problem.error_count; i++)
        if (strcmp(problem.errors[i].pointer, pointer) == 0)
            return problem.errors[i].detail;
    return NULL;
}

/* One mistake, told with its pointer. */
static void ck_mistake(const char *body, const char *pointer, const char *part)
{
    ck_assert_msg(!read_body(body), "taken: %s", body);
    ck_assert_int_eq(problem.kind, PX_PROBLEM_VALIDATION);
    const char *detail = detail_at(pointer);
    ck_assert_msg(detail != NULL, "no mistake at %s: %s", pointer, body);
    ck_assert_msg(strstr(detail, part) != NULL, "'%s' lacks '%s'", detail, part);
}

static bool read_condition(const char *op, const char *level)
{
    char body[256];

    snprintf(body, sizeof body, "{\"symbol\":\"BTCUSDT\",\"condition\":{\"op\":\"%s\",\"level\":\"%s\"}}", op, level);
    return read_body(body);
}

START_TEST(writes_problems)
{
    char text[1024];
    struct px_json json;
    json_t *root;

    memset(&problem, 0, sizeof problem);
    px_problem_add(&problem, "/a", "must be \"%s\"", "b");
    px_problem_set(&problem, PX_PROBLEM_INTERNAL, "too late");
    px_json_init(&json, text, sizeof text);
    px_problem_write(&problem, PX_TEXT("/x\"y"), "rq_1", &json);
    root = json_loadb(text, json.len, 0, NULL);
    ck_assert_ptr_nonnull(root);
    ck_assert_int_eq(json_integer_value(json_object_get(root, "status")), 422);
    ck_assert_str_eq(json_string_value(json_object_get(root, "code")), "validation");
    ck_assert_str_eq(json_string_value(json_object_get(root, "instance")), "/x\"y");
    ck_assert_str_eq(json_string_value(json_object_get(root, "request_id")), "rq_1");
    ck_assert_uint_eq(json_array_size(json_object_get(root, "errors")), 1);
    json_decref(root);
}
END_TEST

START_TEST(keeps_a_bounded_number_of_mistakes)
{
    memset(&problem, 0, sizeof problem);
    for (int i = 0; i < 100; i++)
        px_problem_add(&problem, "/x", "is wrong");
    ck_assert_uint_eq(problem.error_count, PX_FIELD_ERRORS_MAX);
}
END_TEST

START_TEST(takes_a_whole_alert)
{
    ck_assert(read_body("{\"symbol\":\"BTCUSDT\",\"name\":\"breakout\",\"tags\":[\"x\",\"y\"],\"frequency\":\"once\","
                        "\"condition\":{\"op\":\"crossing_up\",\"source\":\"last\",\"level\":\"70000\"},"
                        "\"message\":\"{{price}}\",\"expires_at\":null}"));
    ck_assert_str_eq(alert.symbol, "BTC-USDT");
    ck_assert_int_eq(alert.rule.condition[0].op, PX_OP_CROSSING_UP);
    ck_assert_str_eq(alert.rule.condition[0].level, "70000");
    ck_assert_int_eq(alert.tag_count, 2);
    ck_assert_int_eq(alert.state, PX_ALERT_ARMED);
}
END_TEST

START_TEST(keeps_levels_as_they_are_written)
{
    static const struct {
        const char *op, *level;
        unsigned kept;
    } rows[] = {
        {">=", "100.005", PX_OP_GREATER_OR_EQUAL}, {"<=", "100.005", PX_OP_LESS_OR_EQUAL},
        {">", "100", PX_OP_GREATER_THAN},          {"<", "100", PX_OP_LESS_THAN},
        {"crossing_down", "1.999", PX_OP_CROSSING_DOWN}, {"greater_than", "1e2", PX_OP_GREATER_THAN},
    };

    for (size_t i = 0; i < PX_COUNT_OF(rows); i++) {
        ck_assert(read_condition(rows[i].op, rows[i].level));
        ck_assert_uint_eq(alert.rule.condition[0].op, rows[i].kept);
        ck_assert_str_eq(alert.rule.condition[0].level, rows[i].level);
    }
}
END_TEST

START_TEST(refuses_levels)
{
    ck_mistake("{\"symbol\":\"BTCUSDT\",\"condition\":{\"op\":\">=\",\"level\":70000}}", "/condition/level",
               "must be a string so that it stays exact");
    ck_mistake("{\"symbol\":\"BTCUSDT\",\"condition\":{\"op\":\">=\"}}", "/condition/level", "is required");
    static const char *const none[] = {"0", "-1", "0.000", "-0.001", "0e5"};
    for (size_t i = 0; i < PX_COUNT_OF(none); i++) {
        ck_assert(!read_condition(">=", none[i]));
        ck_assert_str_eq(detail_at("/condition/level"), "must be greater than 0");
    }
    static const char *const bad[] = {"", "x", "1,5", "0x10", "NaN", " 1", "1 ", "1e"};
    for (size_t i = 0; i < PX_COUNT_OF(bad); i++) {
        ck_assert(!read_condition(">=", bad[i]));
        ck_assert_ptr_nonnull(strstr(detail_at("/condition/level"), "must be a decimal"));
    }
    ck_assert(!read_condition(">=", "99999999999999999999"));
    ck_assert_str_eq(detail_at("/condition/level"), "is too large");
    ck_assert(!read_condition(">=", "0.00000000000000000000000000000000000000000001"));
    ck_assert_ptr_nonnull(strstr(detail_at("/condition/level"), "at most 39"));
    ck_assert(read_condition(">=", "0.0000000000000000000001"));
    ck_assert_str_eq(alert.rule.condition[0].level, "0.0000000000000000000001");
}
END_TEST

#define BODY(condition, more) "{\"symbol\":\"BTCUSDT\",\"condition\":{" condition "}" more "}"

/* Every kind of condition, and that writing what was read says the same again. */
START_TEST(takes_every_condition)
{
    static const char *const bodies[] = {
        BODY("\"op\":\"crossing\",\"source\":\"mid\",\"level\":\"100.0005\"", ""),
        BODY("\"op\":\"entering_channel\",\"source\":\"bid\",\"lower\":\"1\",\"upper\":\"2.5\"", ""),
        BODY("\"op\":\"exiting_channel\",\"source\":\"ask\",\"lower\":\"1\",\"upper\":\"2\"", ""),
        BODY("\"op\":\"inside_channel\",\"source\":\"twap_1m\",\"lower\":\"1\",\"upper\":\"2\"", ""),
        BODY("\"op\":\"outside_channel\",\"source\":\"twap_15m\",\"lower\":\"1\",\"upper\":\"2\"", ""),
        BODY("\"op\":\"moving_up\",\"source\":\"last\",\"amount\":\"500\",\"window\":\"5m\"", ""),
        BODY("\"op\":\"moving_down_pct\",\"source\":\"last\",\"amount\":\"2.5\",\"window\":\"1h\"", ""),
        BODY("\"op\":\"stale\",\"source\":\"last\",\"window\":\"45s\"", ""),
        BODY("\"op\":\"greater_than\",\"source\":\"close\",\"level\":\"1\"", ",\"bar\":\"15m\""),
        BODY("\"op\":\"crossing_up\",\"source\":\"last\",\"level\":\"1\"", ",\"frequency\":\"once_per_bar_close\",\"bar\":\"4h\""),
        BODY("\"op\":\"crossing_up\",\"source\":\"last\",\"level\":\"70\"",
             ",\"frequency\":\"every_time\",\"hysteresis\":{\"abs\":\"50\"},\"cooldown\":\"60s\",\"max_fires\":100,"
             "\"expires_at\":\"2100-01-01T00:00:00.000000Z\""),
        BODY("\"op\":\"less_or_equal\",\"source\":\"last\",\"level\":\"70\"", ",\"hysteresis\":{\"pct\":\"0.5\"},\"cooldown\":\"2d\""),
        "{\"symbol\":\"BTCUSDT\",\"all_of\":[{\"op\":\"greater_than\",\"source\":\"last\",\"level\":\"1\"},"
        "{\"op\":\"stale\",\"source\":\"last\",\"window\":\"60s\"}]}",
    };

    for (size_t i = 0; i < PX_COUNT_OF(bodies); i++) {
        char text[2048];
        struct px_json json;
        const char *name;
        json_t *value;

        ck_assert_msg(read_body(bodies[i]), "%s: %s %s", bodies[i], problem.errors[0].pointer, problem.errors[0].detail);
        px_json_init(&json, text, sizeof text);
        px_alert_write(&alert, &json);
        json_t *said = json_loads(bodies[i], 0, NULL), *told = json_loadb(text, json.len, 0, NULL);
        json_object_foreach(said, name, value)
        {
            if (strcmp(name, "symbol") != 0)
                ck_assert_msg(json_equal(value, json_object_get(told, name)), "%s of %s: %.*s", name, bodies[i], (int)json.len, text);
        }
        json_decref(said);
        json_decref(told);
    }
}
END_TEST

START_TEST(refuses_what_makes_no_sense)
{
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\",\"source\":\"index\"", ""), "/condition/source", "last bid ask");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\"", ",\"frequency\":\"twice\""), "/frequency", "every_time");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\"", ",\"frequency\":\"once_per_bar\""), "/bar", "must be 1m");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\",\"source\":\"close\"", ",\"bar\":\"7m\""), "/bar", "must be 1m");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\"", ",\"bar\":\"1m\""), "/bar", "goes with");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\"", ",\"cooldown\":60"), "/cooldown", "a duration");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\"", ",\"cooldown\":\"1.5h\""), "/cooldown", "a duration");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\"", ",\"cooldown\":\"400d\""), "/cooldown", "at most 366d");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\"", ",\"max_fires\":0"), "/max_fires", "from 1");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\"", ",\"expires_at\":\"2001-01-01T00:00:00Z\""), "/expires_at", "future");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\"", ",\"expires_at\":\"soon\""), "/expires_at", "must be a time");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\"", ",\"hysteresis\":{}"), "/hysteresis", "must be {\"abs\"");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\"", ",\"hysteresis\":{\"pct\":1}"), "/hysteresis/pct", "must be a string");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\",\"upper\":\"2\"", ""), "/condition/upper", "channels only");
    ck_mistake(BODY("\"op\":\"inside_channel\",\"level\":\"1\",\"upper\":\"2\"", ""), "/condition/lower", "is required");
    ck_mistake(BODY("\"op\":\"inside_channel\",\"lower\":\"3\",\"upper\":\"2\"", ""), "/condition/upper", "above the lower");
    ck_mistake(BODY("\"op\":\"moving_up\",\"amount\":\"3\",\"window\":\"2m\"", ""), "/condition/window", "1m, 5m, 15m or 1h");
    ck_mistake(BODY("\"op\":\"moving_up\",\"amount\":\"3\"", ""), "/condition/window", "is required");
    ck_mistake(BODY("\"op\":\"moving_up\",\"amount\":\"3\",\"window\":\"1m\",\"source\":\"bid\"", ""), "/condition/source", "must be last");
    ck_mistake(BODY("\"op\":\"stale\",\"window\":\"2d\"", ""), "/condition/window", "1s and 1d");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\"", ",\"colour\":1"), "/colour", "not a member");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\",\"a/b~\":1", ""), "/condition/a~1b~0", "not a member");
    ck_mistake(BODY("\"op\":\">=\",\"level\":\"1\"", ",\"all_of\":[]"), "/all_of", "leave one of them out");
    ck_mistake("{\"symbol\":\"BTCUSDT\",\"all_of\":[{\"op\":\">\",\"level\":\"1\"}]}", "/all_of", "2 to 5");
    ck_mistake("{\"symbol\":\"BTCUSDT\",\"all_of\":[{\"op\":\">\",\"level\":\"1\"},{\"op\":\"stale\"}]}", "/all_of/1/window", "is required");
    ck_mistake("{\"symbol\":\"BTCUSDT\",\"all_of\":[{\"op\":\">\",\"level\":\"1\"},{\"op\":\"<\",\"level\":\"9\"}],\"hysteresis\":{\"abs\":\"1\"}}",
               "/hysteresis/abs", "single condition");
    ck_assert(!read_condition("above", "1"));
    ck_assert_ptr_nonnull(strstr(detail_at("/condition/op"), "must be crossing_up"));
}
END_TEST

static bool patch(const char *body)
{
    memset(&problem, 0, sizeof problem);
    return px_alert_body_patch(px_text_of(body), find, NULL, &alert, &problem);
}

START_TEST(merges_changes)
{
    ck_assert(read_body(BODY("\"op\":\">=\",\"level\":\"5\"", ",\"name\":\"n\",\"tags\":[\"x\"],\"cooldown\":\"60s\",\"hysteresis\":{\"abs\":\"1\"}")));
    alert.rule.expires_ns = 1000; /* has passed; a change of something else does not mind */
    alert.version = 7;
    ck_assert(patch("{\"condition\":{\"level\":\"6\"},\"cooldown\":null,\"hysteresis\":{\"pct\":\"2\"}}"));
    ck_assert_str_eq(alert.rule.condition[0].level, "6");
    ck_assert_int_eq(alert.rule.condition[0].op, PX_OP_GREATER_OR_EQUAL);
    ck_assert_int_eq(alert.rule.cooldown_ns, 0);
    ck_assert(alert.rule.hysteresis_pct && strcmp(alert.rule.hysteresis, "2") == 0);
    ck_assert_str_eq(alert.name, "n");
    ck_assert_str_eq(alert.tags[0], "x");
    ck_assert_uint_eq(alert.version, 7);
    ck_assert(patch("{\"hysteresis\":null,\"all_of\":[{\"op\":\">\",\"level\":\"1\"},{\"op\":\"<\",\"level\":\"9\"}]}"));
    ck_assert_uint_eq(alert.rule.conditions, 2);
    ck_assert(patch("{\"condition\":{\"op\":\"<\",\"level\":\"1\"}}"));
    ck_assert_uint_eq(alert.rule.conditions, 1);
    ck_assert(!patch("{\"symbol\":\"XX\"}"));
    ck_assert(!patch("{\"condition\":{\"level\":null}}"));
    ck_assert_str_eq(detail_at("/condition/level"), "is required");
    ck_assert(!patch("{\"state\":\"fired\"}"));
    ck_assert(!patch("[]"));
    ck_assert_uint_eq(alert.rule.conditions, 1);
}
END_TEST

START_TEST(tells_all_mistakes_at_once)
{
    ck_assert(!read_body("{\"symbol\":5,\"name\":[],\"tags\":\"x\",\"condition\":{\"op\":1,\"level\":2}}"));
    ck_assert_uint_eq(problem.error_count, 5);
    ck_assert(!read_body("{}"));
    ck_assert(detail_at("/symbol") && detail_at("/condition"));
    ck_mistake("[]", "", "must be an object");
    ck_mistake("{\"symbol\":\"BTCUSDT\",\"condition\":{\"op\":\">=\",\"level\":\"1\"},\"tags\":[\"\"]}", "/tags/0",
               "empty");
}
END_TEST

START_TEST(knows_its_symbols)
{
    ck_assert(!read_body("{\"symbol\":\"XX-YY\",\"condition\":{\"op\":\">=\",\"level\":\"1\"}}"));
    ck_assert_int_eq(problem.kind, PX_PROBLEM_UNKNOWN_SYMBOL);
}
END_TEST

START_TEST(tells_where_json_breaks)
{
    char deep[2048];

    ck_assert(!read_body("{\n  \"symbol\": }"));
    ck_assert_int_eq(problem.kind, PX_PROBLEM_BAD_REQUEST);
    ck_assert_ptr_nonnull(strstr(problem.detail, "line 2, column 13"));
    ck_assert(!read_body(""));
    ck_assert_int_eq(problem.kind, PX_PROBLEM_BAD_REQUEST);
    ck_assert(!read_body("{\"symbol\":\"a\",\"symbol\":\"b\"}"));
    ck_assert_int_eq(problem.kind, PX_PROBLEM_BAD_REQUEST);
    ck_assert(!read_body("{\"symbol\":\"a\\u0000b\"}"));
    ck_assert_int_eq(problem.kind, PX_PROBLEM_BAD_REQUEST);
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    ck_assert(!read_body(deep));
    ck_assert_ptr_nonnull(strstr(problem.detail, "deeper"));
}
END_TEST

START_TEST(bounds_texts)
{
    char body[1024], name[65], message[257];

    memset(name, 'n', 64);
    memset(message, 'm', 256);
    name[64] = message[256] = '\0';
    static const char *const form =
        "{\"symbol\":\"BTCUSDT\",\"condition\":{\"op\":\">=\",\"level\":\"1\"},\"name\":\"%s\",\"message\":\"%s\"}";
    snprintf(body, sizeof body, form, name, message);
    ck_assert(!read_body(body));
    ck_assert_str_eq(detail_at("/name"), "must have at most 63 bytes");
    ck_assert_str_eq(detail_at("/message"), "must have at most 255 bytes");
    snprintf(body, sizeof body, form, name + 1, message + 1);
    ck_assert(read_body(body));
}
END_TEST

START_TEST(writes_alerts)
{
    char text[2048];
    struct px_json json;

    ck_assert(read_condition("<=", "5"));
    alert.id = (struct px_alert_id){1, 2};
    alert.version = 3;
    px_json_init(&json, text, sizeof text);
    px_alert_write(&alert, &json);
    json_t *root = json_loadb(text, json.len, 0, NULL);
    ck_assert_ptr_nonnull(root);
    json_t *condition = json_object_get(root, "condition");
    ck_assert_str_eq(json_string_value(json_object_get(condition, "op")), "less_or_equal");
    ck_assert_str_eq(json_string_value(json_object_get(condition, "level")), "5");
    ck_assert_str_eq(json_string_value(json_object_get(root, "state")), "armed");
    ck_assert(json_is_null(json_object_get(root, "last_fired_at")));
    json_decref(root);
}
END_TEST

START_TEST(compares_bodies)
{
    struct px_alert first;

    ck_assert(read_condition(">=", "5"));
    first = alert;
    first.version = 9;
    first.state = PX_ALERT_FIRED;
    ck_assert(px_alert_body_same(&first, &alert));
    ck_assert(read_condition(">=", "6"));
    ck_assert(!px_alert_body_same(&first, &alert));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("problem");
    TCase *tests = tcase_create("all");

    tcase_add_test(tests, writes_problems);
    tcase_add_test(tests, keeps_a_bounded_number_of_mistakes);
    tcase_add_test(tests, takes_a_whole_alert);
    tcase_add_test(tests, keeps_levels_as_they_are_written);
    tcase_add_test(tests, refuses_levels);
    tcase_add_test(tests, takes_every_condition);
    tcase_add_test(tests, refuses_what_makes_no_sense);
    tcase_add_test(tests, merges_changes);
    tcase_add_test(tests, tells_all_mistakes_at_once);
    tcase_add_test(tests, knows_its_symbols);
    tcase_add_test(tests, tells_where_json_breaks);
    tcase_add_test(tests, bounds_texts);
    tcase_add_test(tests, writes_alerts);
    tcase_add_test(tests, compares_bodies);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
