/* From a rule's texts to its numbers, and what is said of rules that are wrong. */
#include <check.h>
#include <stdio.h>

#include "base/error.h"
#include "match/condition.h"

static struct px_rule rule_of(unsigned op, const char *level, const char *upper, const char *hysteresis)
{
    struct px_rule rule = {.conditions = 1, .frequency = PX_FREQUENCY_EVERY_TIME};

    rule.condition[0].op = (uint8_t)op;
    rule.condition[0].source = PX_SOURCE_LAST;
    strcpy(rule.condition[0].level, level);
    strcpy(rule.condition[0].upper, upper);
    strcpy(rule.hysteresis, hysteresis);
    return rule;
}

#define MIN INT64_MIN
#define MAX INT64_MAX

static const struct row {
    unsigned op;
    const char *level, *upper, *hysteresis;
    bool pct;
    int64_t a, b, hold_a, hold_b;
} rows[] = {
    {PX_OP_GREATER_OR_EQUAL, "1.005", "", "", false, 101, MAX, 101, MAX},
    {PX_OP_GREATER_THAN, "1", "", "", false, 101, MAX, 101, MAX},
    {PX_OP_GREATER_THAN, "1.005", "", "", false, 101, MAX, 101, MAX},
    {PX_OP_LESS_OR_EQUAL, "1.005", "", "", false, MIN, 100, MIN, 100},
    {PX_OP_LESS_THAN, "1", "", "", false, MIN, 99, MIN, 99},
    {PX_OP_LESS_THAN, "1.005", "", "", false, MIN, 100, MIN, 100},
    {PX_OP_CROSSING, "1.005", "", "", false, 101, 100, 101, 100},
    {PX_OP_INSIDE_CHANNEL, "1.005", "1.995", "", false, 101, 199, 101, 199},
    {PX_OP_CROSSING_UP, "1", "", "0.1", false, 100, MAX, 91, MAX},
    {PX_OP_CROSSING_UP, "1.005", "", "0.105", false, 101, MAX, 91, MAX}, /* armed at 0.90 exactly */
    {PX_OP_CROSSING_UP, "1", "", "0.105", false, 100, MAX, 90, MAX},
    {PX_OP_CROSSING_DOWN, "1", "", "0.105", false, MIN, 100, MIN, 110},
    {PX_OP_CROSSING_UP, "70000", "", "1", true, 7000000, MAX, 6930001, MAX},
    {PX_OP_OUTSIDE_CHANNEL, "1", "2", "0.105", false, 100, 200, 111, 189},
    {PX_OP_INSIDE_CHANNEL, "1", "2", "10", true, 100, 200, 91, 209},
};

START_TEST(rounded_so_that_comparing_is_exact)
{
    const struct row *row = &rows[_i];
    struct px_rule rule = rule_of(row->op, row->level, row->upper, row->hysteresis);
    struct px_plan plan;

    rule.hysteresis_pct = row->pct;
    ck_assert_int_eq(px_rule_plan(&rule, 2, &plan, NULL), 0);
    ck_assert_int_eq(plan.leg[0].a, row->a);
    ck_assert_int_eq(plan.leg[0].b, row->b);
    ck_assert_int_eq(plan.leg[0].hold_a, row->hold_a);
    ck_assert_int_eq(plan.leg[0].hold_b, row->hold_b);
}
END_TEST

static void wrong(const struct px_rule *rule, enum px_rule_part part)
{
    struct px_rule_fault fault;
    struct px_plan plan;

    ck_assert_int_eq(px_rule_plan(rule, 2, &plan, &fault), PX_E_INVALID);
    ck_assert_int_eq(fault.part, part);
    ck_assert_ptr_nonnull(fault.text);
}

START_TEST(mistakes_are_told)
{
    struct px_rule rule = rule_of(PX_OP_CROSSING_UP, "abc", "", "");

    wrong(&rule, PX_RULE_LEVEL);
    strcpy(rule.condition[0].level, "-1");
    wrong(&rule, PX_RULE_LEVEL);
    strcpy(rule.condition[0].level, "0");
    wrong(&rule, PX_RULE_LEVEL);
    strcpy(rule.condition[0].level, "99999999999999999999999");
    wrong(&rule, PX_RULE_LEVEL);
    rule = rule_of(0, "1", "", "");
    wrong(&rule, PX_RULE_OP);
    rule = rule_of(PX_OP_CROSSING_UP, "1", "2", "");
    wrong(&rule, PX_RULE_UPPER);
    rule = rule_of(PX_OP_INSIDE_CHANNEL, "2", "1", "");
    wrong(&rule, PX_RULE_UPPER);
    rule = rule_of(PX_OP_INSIDE_CHANNEL, "1.001", "1.009", ""); /* nothing lies between */
    wrong(&rule, PX_RULE_UPPER);
    rule = rule_of(PX_OP_OUTSIDE_CHANNEL, "1", "2", "0.6");
    wrong(&rule, PX_RULE_HYSTERESIS);
    rule = rule_of(PX_OP_CROSSING_UP, "1", "", "0.5");
    rule.conditions = 2;
    rule.condition[1] = rule.condition[0];
    wrong(&rule, PX_RULE_HYSTERESIS);
    rule.conditions = 6;
    wrong(&rule, PX_RULE_COUNT);
    rule = rule_of(PX_OP_MOVING_UP, "1", "", "");
    wrong(&rule, PX_RULE_WINDOW);
    rule = rule_of(PX_OP_CROSSING_UP, "1", "", "");
    rule.frequency = PX_FREQUENCY_ONCE_PER_BAR;
    wrong(&rule, PX_RULE_BAR);
    rule.frequency = 9;
    wrong(&rule, PX_RULE_FREQUENCY);
    rule = rule_of(PX_OP_CROSSING_UP, "1", "", "");
    rule.condition[0].source = 99;
    wrong(&rule, PX_RULE_SOURCE);
}
END_TEST

START_TEST(series_of_sources_and_windows)
{
    struct px_rule rule = rule_of(PX_OP_MOVING_DOWN_PCT, "1.5", "", "");
    struct px_plan plan;

    rule.condition[0].window_s = 900;
    ck_assert_int_eq(px_rule_plan(&rule, 2, &plan, NULL), 0);
    ck_assert_int_eq(plan.leg[0].series, PX_SERIES_FALL_PCT_15M);
    ck_assert_int_eq(plan.leg[0].a, 1500000);
    rule = rule_of(PX_OP_CROSSING_UP, "1", "", "");
    rule.frequency = PX_FREQUENCY_ONCE_PER_BAR_CLOSE;
    rule.bar_s = 14400;
    ck_assert_int_eq(px_rule_plan(&rule, 2, &plan, NULL), 0);
    ck_assert_int_eq(plan.leg[0].series, PX_SERIES_CLOSE_4H);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("condition");
    TCase *tcase = tcase_create("condition");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tcase, rounded_so_that_comparing_is_exact, 0, PX_COUNT_OF(rows));
    tcase_add_test(tcase, mistakes_are_told);
    tcase_add_test(tcase, series_of_sources_and_windows);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
