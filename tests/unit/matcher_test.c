/* The matcher against the sentence that defines each condition, over random walks; and restarts in the middle. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "engine/evaluator/matcher.h"
#include "match/plan.h"

#define ALERTS 400
#define ASSETS 3

struct model_alert { /* slow and obvious */
    struct px_arm arm;
    bool armed, fired;
};

struct world {
    struct px_matcher *matcher;
    struct model_alert alert[ALERTS];
    bool matched[ALERTS]; /* what the matcher said */
    long twice;
    uint64_t seed;
};

static uint64_t dice(struct world *world, uint64_t n)
{
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (world->seed >> 33) % n;
}

static void on_fired(void *context, struct px_alert_id alert, unsigned op)
{
    struct world *world = context;

    ck_assert_uint_lt(alert.lo, ALERTS);
    world->twice += world->matched[alert.lo];
    world->matched[alert.lo] = true;
    ck_assert_uint_eq(world->alert[alert.lo].arm.op, op);
}

static bool fires(const struct px_arm *arm, int64_t prev, int64_t price)
{
    switch (arm->op) {
    case PX_OP_GREATER_OR_EQUAL:
        return price >= arm->level;
    case PX_OP_LESS_OR_EQUAL:
        return price <= arm->level;
    case PX_OP_CROSSING_UP:
        return prev != PX_PRICE_NONE && prev < arm->level && price >= arm->level;
    default:
        return prev != PX_PRICE_NONE && prev > arm->level && price <= arm->level;
    }
}

static void arm_one(struct world *world, unsigned i, const int64_t *last)
{
    struct model_alert *alert = &world->alert[i];

    if (alert->armed || alert->fired)
        return;
    alert->arm = (struct px_arm){.alert = {1, i},
                                 .asset = (px_asset_id)dice(world, ASSETS),
                                 .op = (uint16_t)(PX_OP_GREATER_OR_EQUAL + dice(world, 4)),
                                 .level = 900 + (int64_t)dice(world, 200)};
    alert->armed = true;
    ck_assert_int_eq(px_matcher_add(world->matcher, &alert->arm, last[alert->arm.asset], on_fired, world), 0);
    bool level = alert->arm.op == PX_OP_GREATER_OR_EQUAL || alert->arm.op == PX_OP_LESS_OR_EQUAL;
    if (level && last[alert->arm.asset] != PX_PRICE_NONE && fires(&alert->arm, PX_PRICE_NONE, last[alert->arm.asset]))
        alert->fired = true;
}

static void remove_one(struct world *world, unsigned i)
{
    struct model_alert *alert = &world->alert[i];
    bool there = alert->armed && !alert->fired;

    if (!alert->armed)
        return;
    ck_assert_int_eq(px_matcher_remove(world->matcher, alert->arm.alert), there ? 0 : PX_E_NOT_FOUND);
    if (there)
        alert->armed = false;
}

/* A new evaluator: everything that is still armed comes again, at the price that was evaluated last. */
static void restart(struct world *world, const int64_t *last)
{
    px_matcher_clear(world->matcher);
    for (unsigned i = 0; i < ALERTS; i++)
        if (world->alert[i].armed && !world->alert[i].fired)
            ck_assert_int_eq(px_matcher_add(world->matcher, &world->alert[i].arm, last[world->alert[i].arm.asset],
                                            on_fired, world),
                             0);
}

static void tick(struct world *world, px_asset_id asset, int64_t price, int64_t *last)
{
    for (unsigned i = 0; i < ALERTS; i++) {
        struct model_alert *alert = &world->alert[i];

        if (alert->armed && !alert->fired && alert->arm.asset == asset && fires(&alert->arm, last[asset], price))
            alert->fired = true;
    }
    px_matcher_price(world->matcher, asset, price, on_fired, world);
    last[asset] = price;
}

static void run(uint64_t seed)
{
    struct world world = {.seed = seed};
    int64_t last[ASSETS] = {PX_PRICE_NONE, PX_PRICE_NONE, PX_PRICE_NONE};

    ck_assert_int_eq(px_matcher_create(ASSETS, &world.matcher), 0);
    for (unsigned step = 0; step < 1500; step++) {
        px_asset_id asset = (px_asset_id)dice(&world, ASSETS);
        int64_t from = last[asset] == PX_PRICE_NONE ? 1000 : last[asset];
        uint64_t what = dice(&world, 100);

        if (what < 30)
            arm_one(&world, (unsigned)dice(&world, ALERTS), last);
        else if (what < 33)
            remove_one(&world, (unsigned)dice(&world, ALERTS));
        else if (what < 34)
            restart(&world, last);
        else
            tick(&world, asset, from - 6 + (int64_t)dice(&world, 13), last);
        for (unsigned i = 0; i < ALERTS; i++)
            if (world.matched[i] != world.alert[i].fired)
                ck_abort_msg("seed %llu step %u alert %u op %u level %lld", (unsigned long long)seed, step, i,
                             world.alert[i].arm.op, (long long)world.alert[i].arm.level);
    }
    ck_assert_int_eq(world.twice, 0);
    px_matcher_destroy(&world.matcher);
}

START_TEST(equals_the_model)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        run(seed);
}
END_TEST

START_TEST(many_on_one_level)
{
    struct px_matcher *matcher;
    struct world *world = calloc(1, sizeof(*world));

    ck_assert_int_eq(px_matcher_create(1, &matcher), 0);
    for (unsigned i = 0; i < ALERTS; i++) {
        world->alert[i].arm = (struct px_arm){.alert = {1, i}, .op = PX_OP_CROSSING_UP, .level = 50};
        ck_assert_int_eq(px_matcher_add(matcher, &world->alert[i].arm, 40, on_fired, world), 0);
    }
    ck_assert_int_eq(px_matcher_add(matcher, &world->alert[0].arm, 40, on_fired, world), 0); /* again: no second entry */
    ck_assert_uint_eq(px_matcher_count(matcher), ALERTS);
    px_matcher_price(matcher, 0, 49, on_fired, world);
    ck_assert_uint_eq(px_matcher_count(matcher), ALERTS);
    px_matcher_price(matcher, 0, 50, on_fired, world);
    ck_assert_uint_eq(px_matcher_count(matcher), 0);
    px_matcher_destroy(&matcher);
    free(world);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("matcher");
    TCase *tcase = tcase_create("matcher");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, equals_the_model);
    tcase_add_test(tcase, many_on_one_level);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
