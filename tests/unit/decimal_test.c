/* base/decimal: exactness, limits at every scale, rounding on both sides of zero. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/error.h"

static int parse(const char *text, unsigned scale, enum px_round round, int64_t *mantissap)
{
    return px_decimal_parse(px_text_of(text), scale, round, mantissap);
}

static const struct {
    const char *text;
    unsigned scale;
    int64_t mantissa;
} good[] = {
    {"61685.99", 2, 6168599},
    {"0", 0, 0},
    {"-0", 2, 0},
    {"0.00", 2, 0},
    {"5", 2, 500},
    {"-5.25", 2, -525},
    {"0.00000001", 8, 1},
    {"1.500000000000000000000000000000", 1, 15},
    {"0000000000000000000000000000000000012.5", 1, 125},
    {"1e3", 0, 1000},
    {"1E+3", 0, 1000},
    {"1.5e3", 0, 1500},
    {"15e-1", 1, 15},
    {"1500e-3", 1, 15},
    {"0e999999999999999999999", 18, 0},
    {"0.000000e-99999999999999999999", 18, 0},
    {"0.0000000000000000000000000000005e31", 0, 5},
    {"50000000000000000000000000000000000e-34", 0, 5},
    {"9223372036854775807", 0, INT64_MAX},
    {"-9223372036854775807", 0, -INT64_MAX},
    {"9.223372036854775807", 18, INT64_MAX},
    {"92233720368547758.07", 2, INT64_MAX},
};

START_TEST(reads_exactly)
{
    for (size_t i = 0; i < PX_COUNT_OF(good); i++) {
        int64_t mantissa = -1;
        ck_assert_msg(parse(good[i].text, good[i].scale, PX_ROUND_EXACT, &mantissa) == 0, "%s", good[i].text);
        ck_assert_msg(mantissa == good[i].mantissa, "%s: %" PRId64, good[i].text, mantissa);
    }
}
END_TEST

static const struct {
    const char *text;
    unsigned scale;
    int error;
} bad[] = {
    {"", 0, PX_E_NOT_DECIMAL},
    {"-", 0, PX_E_NOT_DECIMAL},
    {"+1", 0, PX_E_NOT_DECIMAL},
    {"--1", 0, PX_E_NOT_DECIMAL},
    {".5", 1, PX_E_NOT_DECIMAL},
    {"5.", 1, PX_E_NOT_DECIMAL},
    {"1e", 0, PX_E_NOT_DECIMAL},
    {"1e+", 0, PX_E_NOT_DECIMAL},
    {"1e1.0", 0, PX_E_NOT_DECIMAL},
    {" 1", 0, PX_E_NOT_DECIMAL},
    {"1 ", 0, PX_E_NOT_DECIMAL},
    {"1,5", 1, PX_E_NOT_DECIMAL},
    {"0x10", 0, PX_E_NOT_DECIMAL},
    {"NaN", 0, PX_E_NOT_DECIMAL},
    {"Infinity", 0, PX_E_NOT_DECIMAL},
    {"99999999999999999999999x", 0, PX_E_NOT_DECIMAL},
    {"0.001", 2, PX_E_DIGITS},
    {"1e-3", 2, PX_E_DIGITS},
    {"1e-999999999999", 18, PX_E_DIGITS},
    {"9223372036854775808", 0, PX_E_OVERFLOW},
    {"-9223372036854775808", 0, PX_E_OVERFLOW},
    {"92233720368547758.08", 2, PX_E_OVERFLOW},
    {"18446744073709551616", 0, PX_E_OVERFLOW},
    {"184467440737095516160", 0, PX_E_OVERFLOW},
    {"10", 18, PX_E_OVERFLOW},
    {"1e19", 0, PX_E_OVERFLOW},
    {"1e308", 8, PX_E_OVERFLOW},
    {"1e99999999999999999999999", 0, PX_E_OVERFLOW},
};

START_TEST(refuses)
{
    for (size_t i = 0; i < PX_COUNT_OF(bad); i++) {
        int64_t mantissa = 77;
        int error = parse(bad[i].text, bad[i].scale, PX_ROUND_EXACT, &mantissa);
        ck_assert_msg(error == bad[i].error, "'%s': %s", bad[i].text, px_error_text(error));
        ck_assert_int_eq(mantissa, 77);
    }
    struct px_text nul = {"1\0"
                          "2",
                          3};
    int64_t mantissa;
    ck_assert_int_eq(px_decimal_parse(nul, 0, PX_ROUND_EXACT, &mantissa), PX_E_NOT_DECIMAL);
}
END_TEST

static const struct {
    const char *text;
    unsigned scale;
    int64_t down, up;
} rounded[] = {
    {"1.001", 2, 100, 101},
    {"-1.001", 2, -101, -100},
    {"1.999999999999999999999999", 0, 1, 2},
    {"-1.999999999999999999999999", 0, -2, -1},
    {"0.4", 0, 0, 1},
    {"-0.4", 0, -1, 0},
    {"1e-30", 18, 0, 1},
    {"-1e-30", 18, -1, 0},
    {"1.000", 2, 100, 100},
    {"-1.000", 2, -100, -100},
    {"9223372036854775806.5", 0, INT64_MAX - 1, INT64_MAX},
    {"-9223372036854775806.5", 0, -INT64_MAX, -INT64_MAX + 1},
};

START_TEST(rounds_both_ways)
{
    for (size_t i = 0; i < PX_COUNT_OF(rounded); i++) {
        int64_t down, up;
        ck_assert_int_eq(parse(rounded[i].text, rounded[i].scale, PX_ROUND_DOWN, &down), 0);
        ck_assert_int_eq(parse(rounded[i].text, rounded[i].scale, PX_ROUND_UP, &up), 0);
        ck_assert_msg(down == rounded[i].down && up == rounded[i].up, "%s: %" PRId64 " %" PRId64, rounded[i].text, down,
                      up);
    }
    int64_t mantissa;
    ck_assert_int_eq(parse("9223372036854775807.1", 0, PX_ROUND_UP, &mantissa), PX_E_OVERFLOW);
    ck_assert_int_eq(parse("9223372036854775807.1", 0, PX_ROUND_DOWN, &mantissa), 0);
    ck_assert(mantissa == INT64_MAX);
    ck_assert_int_eq(parse("-9223372036854775807.1", 0, PX_ROUND_DOWN, &mantissa), PX_E_OVERFLOW);
}
END_TEST

START_TEST(formats_and_reads_back)
{
    static const int64_t mantissas[] = {0, 1, -1, 9, 10, 99, 6168599, -525, INT64_MAX, -INT64_MAX};
    for (unsigned scale = 0; scale <= PX_SCALE_MAX; scale++)
        for (size_t i = 0; i < PX_COUNT_OF(mantissas); i++) {
            char text[PX_DECIMAL_SIZE];
            size_t len = px_decimal_format(mantissas[i], scale, text);
            ck_assert_uint_eq(len, strlen(text));
            int64_t back;
            ck_assert_msg(parse(text, scale, PX_ROUND_EXACT, &back) == 0 && back == mantissas[i], "%s", text);
        }
    char text[PX_DECIMAL_SIZE];
    px_decimal_format(6168599, 2, text);
    ck_assert_str_eq(text, "61685.99");
    px_decimal_format(-5, 2, text);
    ck_assert_str_eq(text, "-0.05");
    px_decimal_format(0, 3, text);
    ck_assert_str_eq(text, "0.000");
    px_decimal_format(INT64_MIN, 18, text);
    ck_assert_str_eq(text, "-9.223372036854775808");
    px_decimal_format(INT64_MIN, 0, text);
    ck_assert_str_eq(text, "-9223372036854775808");
}
END_TEST

START_TEST(random_numbers_survive)
{
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        int64_t mantissa = (int64_t)(x >> (i % 64)), back;
        if (mantissa == INT64_MIN)
            continue;
        unsigned scale = (unsigned)i % (PX_SCALE_MAX + 1);
        char text[PX_DECIMAL_SIZE];
        px_decimal_format(mantissa, scale, text);
        ck_assert_msg(parse(text, scale, PX_ROUND_EXACT, &back) == 0 && back == mantissa, "%s", text);
    }
}
END_TEST

START_TEST(tells_the_scale)
{
    static const struct {
        const char *text;
        int scale;
    } rows[] = {{"1", 0},
                {"1.50", 1},
                {"0.01", 2},
                {"0.000", 0},
                {"1e-3", 3},
                {"1.50e1", 0},
                {"100", 0},
                {"100e-2", 0},
                {"150e-2", 1},
                {"1e5", 0},
                {"x", PX_E_NOT_DECIMAL},
                {"1.", PX_E_NOT_DECIMAL},
                {"1e-99999999999999", INT32_MAX}};
    for (size_t i = 0; i < PX_COUNT_OF(rows); i++)
        ck_assert_msg(px_decimal_scale(px_text_of(rows[i].text)) == rows[i].scale, "%s", rows[i].text);
}
END_TEST

START_TEST(powers_of_ten)
{
    int64_t expected = 1;
    for (unsigned n = 0; n <= PX_SCALE_MAX; n++, expected *= n <= PX_SCALE_MAX ? 10 : 1)
        ck_assert(px_pow10(n) == expected);
}
END_TEST

START_TEST(divides_half_to_even)
{
    static const struct {
        int64_t numerator, denominator, quotient;
    } rows[] = {{5, 2, 2},
                {7, 2, 4},
                {-5, 2, -2},
                {-7, 2, -4},
                {1, 2, 0},
                {-1, 2, 0},
                {3, 2, 2},
                {-3, 2, -2},
                {1, 3, 0},
                {2, 3, 1},
                {-2, 3, -1},
                {0, 9, 0},
                {10, 5, 2},
                {INT64_MAX, 1, INT64_MAX},
                {INT64_MIN, 1, INT64_MIN},
                {INT64_MAX, INT64_MAX, 1}};
    for (size_t i = 0; i < PX_COUNT_OF(rows); i++)
        ck_assert(px_div_round(rows[i].numerator, rows[i].denominator) == rows[i].quotient);
    __int128 large = (__int128)INT64_MAX * 4;
    ck_assert(px_div_round(large, 1) == INT64_MAX);
    ck_assert(px_div_round(-large, 1) == INT64_MIN);
    __int128 most = (__int128)(((unsigned __int128)1 << 127) - 1);
    ck_assert(px_div_round(most, most) == 1);
    ck_assert(px_div_round(most / 2, most) == 0); /* just under a half */
    ck_assert(px_div_round(most / 2 + 1, most) == 1);
    ck_assert(px_div_round(-most - 1, most) == -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decimal");
    TCase *tests = tcase_create("decimal");
    tcase_add_test(tests, reads_exactly);
    tcase_add_test(tests, refuses);
    tcase_add_test(tests, rounds_both_ways);
    tcase_add_test(tests, formats_and_reads_back);
    tcase_add_test(tests, random_numbers_survive);
    tcase_add_test(tests, tells_the_scale);
    tcase_add_test(tests, powers_of_ten);
    tcase_add_test(tests, divides_half_to_even);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
