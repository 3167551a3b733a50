/* Query strings, percent encoding, routes, cursors, buckets. */
#include <check.h>
#include <stdlib.h>

#include "base/error.h"
#include "store/alert.h"
#include "web/rest/query.h"
#include "web/rest/rate.h"
#include "web/rest/request_private.h"
#include "web/rest/route.h"
#include "web/ulid.h"

static int decode(const char *from, char *to, size_t size)
{
    size_t len;

    return px_percent_decode(px_text_of(from), false, to, size, &len);
}

START_TEST(decodes_escapes)
{
    char text[16];

    ck_assert_int_eq(decode("BTC%2FUSD", text, sizeof text), 0);
    ck_assert_str_eq(text, "BTC/USD");
    ck_assert_int_eq(decode("a+b", text, sizeof text), 0);
    ck_assert_str_eq(text, "a+b");
}
END_TEST

START_TEST(refuses_bad_escapes)
{
    static const char *const bad[] = {"%", "%2", "a%zz", "%00", "x%0a", "%7f", "%-1", "% 1"};
    char text[16];

    for (size_t i = 0; i < PX_COUNT_OF(bad); i++)
        ck_assert_int_eq(decode(bad[i], text, sizeof text), PX_E_FORMAT);
    ck_assert_int_eq(decode("0123456789abcdef", text, sizeof text), PX_E_TOO_LARGE);
}
END_TEST

START_TEST(encodes)
{
    char text[32];

    ck_assert_int_eq(px_percent_encode(PX_TEXT("a b/\xc3\xa9~"), text, sizeof text), 0);
    ck_assert_str_eq(text, "a%20b%2F%C3%A9~");
    ck_assert_int_eq(px_percent_encode(PX_TEXT("///////////////"), text, sizeof text), PX_E_TOO_LARGE);
}
END_TEST

START_TEST(splits_queries)
{
    static struct px_query query;
    struct px_text text;

    ck_assert_int_eq(px_query_parse(PX_TEXT("symbols=A%2CB&limit=10&&empty=&bare&q=a+b"), &query), 0);
    ck_assert(px_query_get(&query, "symbols", &text) && px_text_is(text, "A,B"));
    ck_assert(px_query_get(&query, "empty", &text) && text.len == 0);
    ck_assert(px_query_get(&query, "bare", &text) && text.len == 0);
    ck_assert(px_query_get(&query, "q", &text) && px_text_is(text, "a b"));
    ck_assert(!px_query_get(&query, "other", &text));
    ck_assert_int_eq(px_query_parse(PX_TEXT("a=1&a=2"), &query), PX_E_EXISTS);
    ck_assert_int_eq(px_query_parse(PX_TEXT("a=%"), &query), PX_E_FORMAT);
    ck_assert_int_eq(px_query_parse(PX_TEXT("a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q"), &query), PX_E_TOO_LARGE);
}
END_TEST

START_TEST(reads_numbers)
{
    static struct px_query query;
    int64_t value = 7;
    bool yes = false;

    ck_assert_int_eq(px_query_parse(PX_TEXT("a=12&b=-1&c=99999999999999999999&d=&t=true&u=maybe"), &query), 0);
    ck_assert_int_eq(px_query_int(&query, "none", 1, 20, &value), 0);
    ck_assert_int_eq(value, 7);
    ck_assert_int_eq(px_query_int(&query, "a", 1, 20, &value), 0);
    ck_assert_int_eq(value, 12);
    ck_assert_int_eq(px_query_int(&query, "a", 1, 11, &value), PX_E_RANGE);
    ck_assert_int_eq(px_query_int(&query, "b", -5, 11, &value), PX_E_RANGE);
    ck_assert_int_eq(px_query_int(&query, "c", 1, INT64_MAX, &value), PX_E_RANGE);
    ck_assert_int_eq(px_query_int(&query, "d", 0, 11, &value), PX_E_RANGE);
    ck_assert_int_eq(px_query_bool(&query, "t", &yes), 0);
    ck_assert(yes);
    ck_assert_int_eq(px_query_bool(&query, "u", &yes), PX_E_RANGE);
}
END_TEST

START_TEST(finds_routes)
{
    char methods[64];
    struct px_route_match match = px_route_find(PX_GET, PX_TEXT("/api/v1/prices/BTC%2FUSD"));

    ck_assert(match.route && px_text_is(match.segment, "BTC%2FUSD"));
    ck_assert_ptr_null(px_route_find(PX_GET, PX_TEXT("/api/v1/prices/")).route);
    ck_assert_uint_eq(px_route_find(PX_GET, PX_TEXT("/api/v1/prices/a/b")).methods, 0);
    ck_assert_uint_eq(px_route_find(PX_GET, PX_TEXT("/api/v1/prices2")).methods, 0);
    match = px_route_find(PX_DELETE, PX_TEXT("/api/v1/alerts"));
    ck_assert_ptr_null(match.route);
    ck_assert_uint_eq(match.methods, PX_GET | PX_POST);
    px_methods_text(match.methods, methods, sizeof methods);
    ck_assert_str_eq(methods, "GET, HEAD, POST, OPTIONS");
    ck_assert_int_eq(px_method_of("HEAD"), PX_GET);
    ck_assert_int_eq(px_method_of("get"), PX_METHOD_OTHER);
}
END_TEST

START_TEST(cursors_come_back)
{
    uint64_t words[PXI_CURSOR_WORDS] = {1, UINT64_MAX, 0, 42, UINT64_C(0x0123456789abcdef)}, back[PXI_CURSOR_WORDS];
    char text[PXI_CURSOR_SIZE];

    for (unsigned count = 1; count <= PXI_CURSOR_WORDS; count++) {
        pxi_cursor_write(words, count, text);
        ck_assert_int_eq(pxi_cursor_read(px_text_of(text), back, count), 0);
        ck_assert_mem_eq(words, back, count * sizeof *words);
    }
    ck_assert_int_eq(pxi_cursor_read(PX_TEXT(""), back, 2), PX_E_FORMAT);
    ck_assert_int_eq(pxi_cursor_read(PX_TEXT("!!!!!!!!!!!"), back, 1), PX_E_FORMAT);
    ck_assert_int_eq(pxi_cursor_read(PX_TEXT("AAAAAAAAAAB"), back, 1), PX_E_FORMAT); /* bits left over */
}
END_TEST

START_TEST(lists_etags)
{
    ck_assert(pxi_etag_listed("\"k3-1\"", "\"k3-1\""));
    ck_assert(pxi_etag_listed("\"a\", W/\"k3-1\" ", "\"k3-1\""));
    ck_assert(pxi_etag_listed("*", "\"k3-1\""));
    ck_assert(!pxi_etag_listed("\"k3-10\"", "\"k3-1\""));
    ck_assert(!pxi_etag_listed("", "\"k3-1\""));
}
END_TEST

START_TEST(buckets_empty_and_fill)
{
    struct px_rates *rates = px_rates_create();
    struct px_rate_state state;
    px_mono now = {1000 * PX_NS_PER_S};

    for (int i = 0; i < 20; i++) {
        px_rates_take(rates, PX_TEXT("a"), 10, now, &state);
        ck_assert(state.allowed);
    }
    ck_assert_uint_eq(state.remaining, 0);
    px_rates_take(rates, PX_TEXT("a"), 10, now, &state);
    ck_assert(!state.allowed && state.retry_s == 1 && state.limit == 20);
    px_rates_take(rates, PX_TEXT("b"), 10, now, &state);
    ck_assert(state.allowed && state.remaining == 19);
    now.ns += PX_NS_PER_S / 10;
    px_rates_take(rates, PX_TEXT("a"), 10, now, &state);
    ck_assert(state.allowed);
    px_rates_take(rates, PX_TEXT("a"), 10, now, &state);
    ck_assert(!state.allowed);

    px_rates_take(rates, PX_TEXT("c"), 10, now, &state);
    px_rates_charge(rates, PX_TEXT("c"), 10, 99, now, &state); /* a batch of a hundred: what comes next waits eight seconds */
    ck_assert(state.allowed && state.remaining == 0 && state.reset_s == 10);
    now.ns += 8 * PX_NS_PER_S;
    px_rates_take(rates, PX_TEXT("c"), 10, now, &state);
    ck_assert(!state.allowed && state.retry_s == 1);
    now.ns += PX_NS_PER_S / 10;
    px_rates_take(rates, PX_TEXT("c"), 10, now, &state);
    ck_assert(state.allowed && state.remaining == 0);
    px_rates_destroy(&rates);
}
END_TEST

START_TEST(buckets_are_bounded)
{
    struct px_rates *rates = px_rates_create();
    struct px_rate_state state;
    char name[32];

    for (int i = 0; i < 100000; i++) {
        int len = snprintf(name, sizeof name, "10.0.%d", i);
        px_rates_take(rates, (struct px_text){name, (size_t)len}, 1, (px_mono){i + 1}, &state);
        ck_assert(state.allowed);
    }
    px_rates_destroy(&rates);
}
END_TEST

START_TEST(names_alerts)
{
    struct px_alert_id a, b;

    px_ulid_derive("owner", PX_TEXT("key"), &a);
    px_ulid_derive("owner", PX_TEXT("key"), &b);
    ck_assert(a.hi == b.hi && a.lo == b.lo);
    px_ulid_derive("owne", PX_TEXT("rkey"), &b);
    ck_assert(a.hi != b.hi);
    px_ulid_make(1700000000000 * PX_NS_PER_MS, &a);
    px_ulid_make(1700000000001 * PX_NS_PER_MS, &b);
    ck_assert_uint_eq(a.hi >> 16, UINT64_C(1700000000000));
    ck_assert(a.hi < b.hi);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("query");
    TCase *tests = tcase_create("all");

    tcase_add_test(tests, decodes_escapes);
    tcase_add_test(tests, refuses_bad_escapes);
    tcase_add_test(tests, encodes);
    tcase_add_test(tests, splits_queries);
    tcase_add_test(tests, reads_numbers);
    tcase_add_test(tests, finds_routes);
    tcase_add_test(tests, cursors_come_back);
    tcase_add_test(tests, lists_etags);
    tcase_add_test(tests, buckets_empty_and_fill);
    tcase_add_test(tests, buckets_are_bounded);
    tcase_add_test(tests, names_alerts);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
