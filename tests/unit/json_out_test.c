/* base/json_out: commas, escapes, invalid UTF-8, and every buffer that is too small. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/json_out.h"

static void write_all(struct px_json *json)
{
    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", "BTC-USD");
    px_json_kv_decimal(json, "price", 6168599, 2);
    px_json_kv_decimal(json, "bid", PX_PRICE_NONE, 2);
    px_json_kv_time(json, "time", 1723161253936061000);
    px_json_kv_time(json, "recv_time", 0);
    px_json_kv_int(json, "seq", INT64_MIN);
    px_json_kv_bool(json, "stale", false);
    px_json_key(json, "list");
    px_json_open(json, '[');
    px_json_int(json, 1);
    px_json_null(json);
    px_json_bool(json, true);
    px_json_open(json, '[');
    px_json_close(json, ']');
    px_json_open(json, '{');
    px_json_close(json, '}');
    px_json_raw(json, PX_TEXT("{\"a\":1}"));
    px_json_close(json, ']');
    px_json_close(json, '}');
}

static const char expected[] =
    "{\"symbol\":\"BTC-USD\",\"price\":\"61685.99\",\"bid\":null,\"time\":\"2024-08-08T23:54:13.936061Z\","
    "\"recv_time\":null,\"seq\":-9223372036854775808,\"stale\":false,\"list\":[1,null,true,[],{},{\"a\":1}]}";

START_TEST(places_commas)
{
    char buffer[512];
    struct px_json json;
    px_json_init(&json, buffer, sizeof buffer);
    write_all(&json);
    ck_assert(!json.full);
    ck_assert_uint_eq(json.len, sizeof expected - 1);
    ck_assert_mem_eq(buffer, expected, json.len);
}
END_TEST

START_TEST(never_writes_past_the_end)
{
    for (size_t size = 0; size <= sizeof expected - 1; size++) {
        char *buffer = malloc(size + 1);
        struct px_json json;
        buffer[size] = 0x55;
        px_json_init(&json, buffer, size);
        write_all(&json);
        ck_assert(json.full == (size < sizeof expected - 1));
        ck_assert(json.len <= size && buffer[size] == 0x55);
        ck_assert_mem_eq(buffer, expected, json.len);
        free(buffer);
    }
}
END_TEST

static const struct {
    struct px_text text;
    const char *json;
} strings[] = {
    {{"", 0}, "\"\""},
    {{"a\"b\\c/", 6}, "\"a\\\"b\\\\c/\""},
    {{"\b\t\n\f\r\x01\x1f\x7f", 8}, "\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\""},
    {{"a\0b", 3}, "\"a\\u0000b\""},
    {{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9}, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
    {{"\xff", 1}, "\"\xef\xbf\xbd\""},
    {{"\xc3", 1}, "\"\xef\xbf\xbd\""},
    {{"\xc0\xaf", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {{"\xe0\x80\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {{"\xf4\x90\x80\x80", 4}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {{"\xe2\x82x", 3}, "\"\xef\xbf\xbd\xef\xbf\xbdx\""},
};

START_TEST(escapes)
{
    for (size_t i = 0; i < PX_COUNT_OF(strings); i++) {
        char buffer[128];
        struct px_json json;
        px_json_init(&json, buffer, sizeof buffer - 1);
        px_json_string(&json, strings[i].text);
        buffer[json.len] = '\0';
        ck_assert_str_eq(buffer, strings[i].json);
    }
}
END_TEST

START_TEST(another_reader_understands)
{
    unsigned seed = 1;
    for (int round = 0; round < 2000; round++) {
        char raw[24], buffer[256];
        for (size_t i = 0; i < sizeof raw; i++)
            raw[i] = (char)(rand_r(&seed) >> 4);
        struct px_json json;
        px_json_init(&json, buffer, sizeof buffer);
        px_json_open(&json, '[');
        px_json_string(&json, (struct px_text){raw, sizeof raw});
        px_json_close(&json, ']');
        json_t *read = json_loadb(buffer, json.len, JSON_ALLOW_NUL, NULL);
        ck_assert_ptr_nonnull(read);
        json_decref(read);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_out");
    TCase *tests = tcase_create("json_out");
    tcase_add_test(tests, places_commas);
    tcase_add_test(tests, never_writes_past_the_end);
    tcase_add_test(tests, escapes);
    tcase_add_test(tests, another_reader_understands);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
