/* The plan of an alert: the contract's table row by row, what holds of places over small domains, and the bytes. */
#include <check.h>
#include <stdio.h>

#include "base/error.h"
#include "match/condition.h"

#define DOMAIN 7

/* Asked millions of times: Check's own assertions write to a pipe each. */
#define MUST(condition) ((condition) ? (void)0 : ck_abort_msg("%s", #condition))

static struct px_plan plan_of(unsigned op, const char *level, const char *upper, const char *hysteresis, unsigned frequency)
{
    struct px_rule rule = {.conditions = 1, .frequency = (uint8_t)frequency};
    struct px_plan plan;

    rule.condition[0].op = (uint8_t)op;
    rule.condition[0].source = PX_SOURCE_LAST;
    strcpy(rule.condition[0].level, level);
    strcpy(rule.condition[0].upper, upper);
    strcpy(rule.hysteresis, hysteresis);
    ck_assert_int_eq(px_rule_plan(&rule, 0, &plan, NULL), 0);
    return plan;
}

static enum px_verdict arm(struct px_plan *plan, int64_t last)
{
    int64_t value[PX_SERIES];
    struct px_moment moment = {1, 1, 1};

    for (unsigned i = 0; i < PX_SERIES; i++)
        value[i] = last;
    return px_plan_arm(plan, value, &moment);
}

static enum px_verdict next(struct px_plan *plan, int64_t value)
{
    static uint64_t position = 2;
    struct px_moment moment = {++position, (int64_t)position, 1};

    return px_plan_value(plan, 0, value, &moment);
}

static const struct row {
    unsigned op;
    const char *level, *upper;
    int64_t p, c;
    bool fires;
} rows[] = {
    {PX_OP_CROSSING_UP, "5", "", 4, 5, true},         {PX_OP_CROSSING_UP, "5", "", 5, 6, false},
    {PX_OP_CROSSING_UP, "5.5", "", 5, 6, true},       {PX_OP_CROSSING_UP, "5.5", "", 4, 5, false},
    {PX_OP_CROSSING_DOWN, "5", "", 6, 5, true},       {PX_OP_CROSSING_DOWN, "5", "", 5, 4, false},
    {PX_OP_CROSSING_DOWN, "5.5", "", 6, 5, true},     {PX_OP_CROSSING, "5", "", 4, 5, true},
    {PX_OP_CROSSING, "5", "", 6, 4, true},            {PX_OP_CROSSING, "5", "", 5, 4, false},
    {PX_OP_CROSSING, "5.5", "", 5, 6, true},          {PX_OP_GREATER_OR_EQUAL, "5", "", 4, 5, true},
    {PX_OP_GREATER_THAN, "5", "", 4, 5, false},       {PX_OP_GREATER_THAN, "5", "", 4, 6, true},
    {PX_OP_GREATER_THAN, "5.5", "", 4, 6, true},      {PX_OP_LESS_OR_EQUAL, "5", "", 6, 5, true},
    {PX_OP_LESS_THAN, "5", "", 6, 5, false},          {PX_OP_LESS_THAN, "5.5", "", 6, 5, true},
    {PX_OP_ENTERING_CHANNEL, "3", "5", 2, 3, true},   {PX_OP_ENTERING_CHANNEL, "3", "5", 2, 6, false},
    {PX_OP_ENTERING_CHANNEL, "3", "5", 6, 5, true},   {PX_OP_EXITING_CHANNEL, "3", "5", 5, 6, true},
    {PX_OP_EXITING_CHANNEL, "3", "5", 2, 6, false},   {PX_OP_INSIDE_CHANNEL, "3", "5", 6, 4, true},
    {PX_OP_INSIDE_CHANNEL, "3", "5", 6, 2, false},    {PX_OP_OUTSIDE_CHANNEL, "3", "5", 4, 6, true},
    {PX_OP_OUTSIDE_CHANNEL, "3.5", "4.5", 4, 3, true},
};

START_TEST(the_table)
{
    const struct row *row = &rows[_i];
    struct px_plan plan = plan_of(row->op, row->level, row->upper, "", PX_FREQUENCY_ONCE);

    ck_assert_int_eq(arm(&plan, row->p), PX_VERDICT_NOTHING);
    ck_assert_int_eq(next(&plan, row->c), row->fires ? PX_VERDICT_LAST : PX_VERDICT_NOTHING);
    plan = plan_of(row->op, row->level, row->upper, "", PX_FREQUENCY_ONCE);
    if (row->fires) /* already true when created */
        ck_assert_int_eq(arm(&plan, row->c), px_op_is_level(row->op) ? PX_VERDICT_LAST : PX_VERDICT_NOTHING);
}
END_TEST

/*
 * The values of a well-known example of alerts with resets: above 60, 70, 80 and down again below 50, 60, 70. Three alerts with hysteresis 10
 * rise and are armed again where each level is entered and reset there. (There the reset of one level is judged only while it is the highest.)
 */
START_TEST(resets_of_three_levels)
{
    static const int64_t values[] = {61, 73, 64, 85, 62, 56, 47};
    static const struct {
        const char *level;
        unsigned fires_at, armed_at;
    } levels[] = {{"60", 0, 6}, {"70", 1, 5}, {"80", 3, 4}};

    for (unsigned k = 0; k < PX_COUNT_OF(levels); k++) {
        struct px_plan plan = plan_of(PX_OP_GREATER_THAN, levels[k].level, "", "10", PX_FREQUENCY_EVERY_TIME);

        arm(&plan, 0);
        for (unsigned i = 0; i < PX_COUNT_OF(values); i++) {
            ck_assert_int_eq(next(&plan, values[i]), i == levels[k].fires_at ? PX_VERDICT_FIRES : PX_VERDICT_NOTHING);
            ck_assert_int_eq(plan.waiting, i >= levels[k].fires_at && i < levels[k].armed_at);
        }
    }
}
END_TEST

static bool reaches(const struct px_plan *plan, int64_t value)
{
    struct px_place place[PX_PLACES_MAX];
    unsigned count = px_plan_places(plan, place);

    for (unsigned i = 0; i < count; i++)
        if (px_place_reached(place[i].level, place[i].down, value))
            return true;
    return false;
}

static void check_bytes(const struct px_plan *plan)
{
    struct px_place place[PX_PLACES_MAX], candidate[PX_CANDIDATES_MAX];
    unsigned count = px_plan_places(plan, place), candidates = px_plan_candidates(plan, candidate);
    uint8_t bytes[PX_PLAN_BYTES_MAX];
    struct px_plan back;

    for (unsigned i = 0; i < count; i++) {
        size_t n = px_plan_encode(plan, &place[i], bytes);
        bool listed = false;

        MUST(px_plan_decode(bytes, n, &place[i], &back) == 0);
        MUST(memcmp(plan, &back, sizeof back) == 0);
        for (size_t cut = 0; cut < n; cut++)
            MUST(px_plan_decode(bytes, cut, &place[i], &back) == PX_E_FORMAT);
        for (unsigned k = 0; k < candidates; k++)
            listed |= candidate[k].level == place[i].level && candidate[k].down == place[i].down && candidate[k].leg == place[i].leg;
        MUST(listed);
    }
}

/* All sequences of three values from all starts: no place is reached after a value, and what reaches none changes nothing. */
static void all_sequences(struct px_plan plan)
{
    for (int64_t start = -1; start < DOMAIN; start++)
        for (int64_t sequence = 0; sequence < DOMAIN * DOMAIN * DOMAIN; sequence++) {
            struct px_plan at = plan;
            int64_t rest = sequence;

            arm(&at, start < 0 ? PX_PRICE_NONE : start);
            for (unsigned i = 0; i < 3 && at.legs > 0; i++, rest /= DOMAIN) {
                struct px_plan before = at;
                bool reached = reaches(&at, rest % DOMAIN);

                check_bytes(&at);
                next(&at, rest % DOMAIN);
                MUST(at.legs == 0 || !reaches(&at, rest % DOMAIN));
                MUST(reached || memcmp(&before, &at, sizeof at) == 0);
            }
        }
}

START_TEST(places_tell_all)
{
    unsigned op = PX_OP_GREATER_OR_EQUAL + (unsigned)_i;
    bool two = px_op_has_two_levels(op);
    static const char *const hysteresis[] = {"", "1", "0.5", "2"};

    for (unsigned h = 0; h < PX_COUNT_OF(hysteresis); h++)
        for (unsigned half = 0; half < 2; half++) {
            bool inward = op == PX_OP_EXITING_CHANNEL || op == PX_OP_OUTSIDE_CHANNEL;

            if (inward && h == 3) /* leaves nothing of the channel */
                continue;
            all_sequences(plan_of(op, half ? "2.5" : "2", two ? "5.5" : "", hysteresis[h], PX_FREQUENCY_EVERY_TIME));
        }
}
END_TEST

START_TEST(few_bytes_and_one_place)
{
    struct px_plan plan = plan_of(PX_OP_GREATER_OR_EQUAL, "7000050", "", "", PX_FREQUENCY_ONCE);
    struct px_place place[PX_PLACES_MAX];
    uint8_t bytes[PX_PLAN_BYTES_MAX];

    arm(&plan, 6900000);
    ck_assert_uint_eq(px_plan_places(&plan, place), 1);
    ck_assert_uint_le(px_plan_encode(&plan, &place[0], bytes), 6);
}
END_TEST

START_TEST(gates)
{
    struct px_plan plan = plan_of(PX_OP_CROSSING_UP, "5", "", "", PX_FREQUENCY_ONCE_PER_MINUTE);
    const int64_t s = 1000000000;
    int64_t value[PX_SERIES] = {0};

    plan.max_fires = 2;
    plan.expires_ns = 1000;
    px_plan_arm(&plan, value, &(struct px_moment){1, 0, 0});
    ck_assert_int_eq(px_plan_value(&plan, 0, 5, &(struct px_moment){2, s, 1}), PX_VERDICT_FIRES);
    ck_assert_int_eq(px_plan_value(&plan, 0, 4, &(struct px_moment){3, 2 * s, 1}), PX_VERDICT_NOTHING);
    ck_assert_int_eq(px_plan_value(&plan, 0, 5, &(struct px_moment){4, 61 * s - 1, 1}), PX_VERDICT_NOTHING); /* held back, waits */
    ck_assert_uint_eq(plan.fires, 1);
    ck_assert_int_eq(px_plan_value(&plan, 0, 4, &(struct px_moment){5, 61 * s, 1}), PX_VERDICT_NOTHING);
    struct px_plan late = plan;
    ck_assert_int_eq(px_plan_value(&late, 0, 5, &(struct px_moment){6, 61 * s, 1000}), PX_VERDICT_EXPIRED);
    ck_assert_int_eq(px_plan_value(&plan, 0, 5, &(struct px_moment){6, 61 * s, 999}), PX_VERDICT_LAST);
    ck_assert_uint_eq(plan.fires, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *tcase = tcase_create("plan");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, the_table, 0, PX_COUNT_OF(rows));
    tcase_add_test(tcase, resets_of_three_levels);
    tcase_add_loop_test(tcase, places_tell_all, 0, PX_OP_OUTSIDE_CHANNEL);
    tcase_add_test(tcase, few_bytes_and_one_place);
    tcase_add_test(tcase, gates);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
