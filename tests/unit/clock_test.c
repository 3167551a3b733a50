/* base/clock: RFC 3339 in both directions, and epoch integers told apart by magnitude. */
#include <check.h>
#include <inttypes.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"

static const struct {
    const char *text;
    int64_t ns;
} good[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"2024-08-08T23:54:13.936061Z", 1723161253936061000},
    {"2024-08-08T23:54:13.936061789Z", 1723161253936061789},
    {"2024-08-09T01:54:13.936061+02:00", 1723161253936061000},
    {"2024-08-08t18:24:13.936061-05:30", 1723161253936061000},
    {"2000-02-29T00:00:00z", 951782400000000000},
    {"1969-12-31T23:59:59.5Z", -500000000},
    {"2016-12-31T23:59:60Z", 1483228800000000000},
    {"2262-04-11T23:47:16.854775807Z", INT64_MAX},
};

START_TEST(reads_rfc3339)
{
    for (size_t i = 0; i < PX_COUNT_OF(good); i++) {
        int64_t ns = 1;
        ck_assert_msg(px_rfc3339_parse(px_text_of(good[i].text), &ns) == 0, "%s", good[i].text);
        ck_assert_msg(ns == good[i].ns, "%s: %" PRId64, good[i].text, ns);
    }
}
END_TEST

START_TEST(refuses_what_is_no_time)
{
    static const char *const bad[] = {
        "",
        "2024",
        "2024-08-08",
        "2024-08-08T23:54:13",
        "2024-08-08 23:54:13Z",
        "2024-08-08T23:54:13.Z",
        "2024-08-08T23:54:13.1234567890Z",
        "2024-13-08T23:54:13Z",
        "2024-00-08T23:54:13Z",
        "2024-02-30T23:54:13Z",
        "2023-02-29T23:54:13Z",
        "1900-02-29T00:00:00Z",
        "2024-08-08T24:00:00Z",
        "2024-08-08T23:60:00Z",
        "2024-08-08T23:54:61Z",
        "2024-08-08T23:54:60Z",
        "2024-08-08T23:54:13+0200",
        "2024-08-08T23:54:13+24:00",
        "2024-08-08T23:54:13Z ",
        "2262-04-11T23:47:16.854775808Z",
        "9999-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "-024-08-08T23:54:13Z",
    };
    for (size_t i = 0; i < PX_COUNT_OF(bad); i++) {
        int64_t ns = 77;
        ck_assert_msg(px_rfc3339_parse(px_text_of(bad[i]), &ns) == PX_E_FORMAT, "%s", bad[i]);
        ck_assert_int_eq(ns, 77);
    }
}
END_TEST

START_TEST(writes_what_the_c_library_writes)
{
    for (int64_t day = 0; day < 106000; day += 13) {
        int64_t seconds = day * 86400 + day % 86400;
        char ours[PX_RFC3339_SIZE], theirs[PX_RFC3339_SIZE];
        ck_assert_uint_eq(px_rfc3339_format(seconds * PX_NS_PER_S + 1999, ours), 27);
        time_t when = seconds;
        struct tm tm;
        gmtime_r(&when, &tm);
        strftime(theirs, sizeof theirs, "%Y-%m-%dT%H:%M:%S.000001Z", &tm);
        ck_assert_str_eq(ours, theirs);
        int64_t back;
        ck_assert_int_eq(px_rfc3339_parse(px_text_of(ours), &back), 0);
        ck_assert(back == seconds * PX_NS_PER_S + 1000);
    }
}
END_TEST

START_TEST(writes_the_limits)
{
    char text[PX_RFC3339_SIZE];
    px_rfc3339_format(INT64_MAX, text);
    ck_assert_str_eq(text, "2262-04-11T23:47:16.854775Z");
    px_rfc3339_format(0, text);
    ck_assert_str_eq(text, "1970-01-01T00:00:00.000000Z");
    px_rfc3339_format(-1, text);
    ck_assert_str_eq(text, "1969-12-31T23:59:59.999999Z");
    ck_assert_uint_eq(px_rfc3339_format(INT64_MIN, text), 27);
}
END_TEST

START_TEST(tells_units_by_magnitude)
{
    static const struct {
        const char *text;
        int64_t ns;
    } rows[] = {{"0", 0},
                {"1723161253", 1723161253000000000},
                {"1723161253936", 1723161253936000000},
                {"1723161253936061", 1723161253936061000},
                {"1723161253936061789", 1723161253936061789},
                {"100000000000", 100000000000000000},
                {"100000000000000", 100000000000000000},
                {"100000000000000000", 100000000000000000},
                {"1970-01-01T00:00:01Z", 1000000000}};
    for (size_t i = 0; i < PX_COUNT_OF(rows); i++) {
        int64_t ns = -1;
        ck_assert_msg(px_time_parse(px_text_of(rows[i].text), &ns) == 0, "%s", rows[i].text);
        ck_assert_msg(ns == rows[i].ns, "%s: %" PRId64, rows[i].text, ns);
    }
    static const char *const bad[] = {"", "-1", "1.5", "1e9", "99999999999", "9223372036854775808", "12x"};
    for (size_t i = 0; i < PX_COUNT_OF(bad); i++) {
        int64_t ns = 77;
        ck_assert_msg(px_time_parse(px_text_of(bad[i]), &ns) == PX_E_FORMAT, "%s", bad[i]);
        ck_assert_int_eq(ns, 77);
    }
}
END_TEST

START_TEST(clocks_run)
{
    px_mono a = px_mono_now(), b = px_mono_now();
    ck_assert(px_mono_since(b, a) >= 0);
    ck_assert(px_wall_now() > INT64_C(1600000000) * PX_NS_PER_S);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tests = tcase_create("clock");
    tcase_add_test(tests, reads_rfc3339);
    tcase_add_test(tests, refuses_what_is_no_time);
    tcase_add_test(tests, writes_what_the_c_library_writes);
    tcase_add_test(tests, writes_the_limits);
    tcase_add_test(tests, tells_units_by_magnitude);
    tcase_add_test(tests, clocks_run);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
