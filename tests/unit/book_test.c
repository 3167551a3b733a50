/* The book over an index in memory. */
#include <check.h>
#include <stdio.h>

#include "tests/match_ram.h"

#define ASSETS 3

struct world {
    struct ram ram;
    struct px_book *book;
    unsigned fired, expired, full_every; /* full_every: each n-th fire finds the group full once */
    bool refused;
    struct px_fired last;
    int64_t up, down; /* near of the last price of asset 0 */
    uint64_t position;
};

static int on_fire(void *ctx, const struct px_fired *fired)
{
    struct world *world = ctx;

    if (world->full_every && !world->refused && (world->fired + 1) % world->full_every == 0) {
        world->refused = true;
        return PX_E_AGAIN;
    }
    world->refused = false;
    world->fired++;
    world->last = *fired;
    return 0;
}

static void on_expired(void *ctx, struct px_alert_id alert)
{
    (void)alert;
    ((struct world *)ctx)->expired++;
}

static void on_near(void *ctx, px_asset_id asset, unsigned series, int64_t up, int64_t down)
{
    struct world *world = ctx;

    if (asset == 0 && series == PX_SERIES_LAST) {
        world->up = up;
        world->down = down;
    }
}

static void on_committed(void *ctx)
{
    px_book_settled(((struct world *)ctx)->book);
}

static void open_book(struct world *world, size_t bytes)
{
    struct px_index index = ram_index(&world->ram);
    struct px_book_out out = {world, on_fire, on_expired, on_near};

    ck_assert_int_eq(px_book_create(ASSETS, bytes, &index, &out, &world->book), 0);
}

static void begin(struct world *world, size_t bytes)
{
    *world = (struct world){.up = INT64_MAX, .down = INT64_MIN, .position = 1};
    ram_init(&world->ram, ASSETS);
    world->ram.committed = on_committed;
    world->ram.ctx = world;
    open_book(world, bytes);
}

static void end(struct world *world)
{
    px_book_destroy(&world->book);
    ram_fini(&world->ram);
}

static struct px_plan plan_of(unsigned op, int64_t a, int64_t b, unsigned frequency)
{
    return (struct px_plan){.frequency = (uint8_t)frequency,
                            .legs = 1,
                            .leg = {{.op = (uint8_t)op, .series = PX_SERIES_LAST, .a = a, .b = b, .hold_a = a, .hold_b = b}}};
}

static void add(struct world *world, uint64_t id, struct px_plan plan, int64_t last)
{
    int64_t value[PX_SERIES];
    struct px_moment moment = {.position = world->position};

    for (unsigned i = 0; i < PX_SERIES; i++)
        value[i] = last;
    PX_CHECK(px_plan_arm(&plan, value, &moment) == PX_VERDICT_NOTHING); /* asked very often */
    PX_CHECK(px_book_add(world->book, (struct px_alert_id){1, id}, 0, &plan) == 0); /* asked very often */
}

static void apply(struct world *world, const struct px_hit *hit)
{
    uint32_t stage = 0;

    ck_assert_int_eq(px_book_apply(world->book, hit, 1, &stage), 0);
}

static struct px_hit price(struct world *world, int64_t value)
{
    world->position++;
    return (struct px_hit){.series = PX_SERIES_LAST,
                           .value = value,
                           .prev = PX_PRICE_NONE,
                           .time_ns = (int64_t)world->position * 1000,
                           .position = world->position};
}

static void tick(struct world *world, int64_t value)
{
    struct px_hit hit = price(world, value);

    apply(world, &hit);
}

START_TEST(near_is_lowered_at_once_and_raised_by_the_commit)
{
    struct world world;

    begin(&world, 1 << 20);
    px_book_load(world.book, 0, PX_SERIES_LAST);
    add(&world, 1, plan_of(PX_OP_GREATER_OR_EQUAL, 100, INT64_MAX, PX_FREQUENCY_ONCE), 50);
    ck_assert_int_eq(world.up, 100);
    ram_settle(&world.ram);
    add(&world, 2, plan_of(PX_OP_GREATER_OR_EQUAL, 90, INT64_MAX, PX_FREQUENCY_ONCE), 50);
    ck_assert_int_eq(world.up, 90);
    ram_settle(&world.ram);
    tick(&world, 95);
    ck_assert_uint_eq(world.fired, 1);
    ck_assert_int_eq(world.up, 90);
    ram_settle(&world.ram);
    ck_assert_int_eq(world.up, 100);
    px_book_attend(world.book, 0, PX_SERIES_LAST);
    ck_assert_int_eq(world.up, INT64_MIN);
    ram_settle(&world.ram);
    ck_assert_int_eq(world.up, 100);
    ck_assert_int_eq(world.down, INT64_MIN);
    end(&world);
}
END_TEST

START_TEST(two_legs_of_one_series_hear_a_value_together)
{
    struct world world;
    struct px_plan plan = plan_of(PX_OP_GREATER_OR_EQUAL, 10, INT64_MAX, PX_FREQUENCY_EVERY_TIME);

    begin(&world, 1 << 20);
    plan.legs = 2;
    plan.leg[1] = plan.leg[0];
    plan.leg[1].op = PX_OP_LESS_OR_EQUAL;
    plan.leg[1].a = plan.leg[1].hold_a = INT64_MIN;
    plan.leg[1].b = plan.leg[1].hold_b = 20;
    add(&world, 1, plan, 5);
    tick(&world, 25); /* beyond both: the two are never true at once */
    ck_assert_uint_eq(world.fired, 0);
    tick(&world, 15);
    ck_assert_uint_eq(world.fired, 1);
    tick(&world, 5);
    tick(&world, 25);
    ck_assert_uint_eq(world.fired, 1);
    end(&world);
}
END_TEST

/* From 103 to 95, in between up to 102 from 98: the ends do not show that 100 was crossed upward. */
static struct px_hit bounce(struct world *world)
{
    struct px_hit hit = price(world, 96);

    hit.prev = 103;
    hit.flags = PX_HIT_SPAN;
    hit.span = (struct px_span){95, 105, hit.time_ns - 1, hit.time_ns - 2, 98, 102, 105, 95};
    return hit;
}

START_TEST(a_span_shows_what_crossed_within)
{
    struct world world;

    begin(&world, 1 << 20);
    add(&world, 1, plan_of(PX_OP_CROSSING_UP, 100, INT64_MAX, PX_FREQUENCY_EVERY_TIME), 103);
    struct px_hit hit = bounce(&world);
    uint32_t stage = 0;
    ck_assert_int_eq(px_book_apply(world.book, &hit, 1, &stage), 0);
    ck_assert_uint_eq(world.fired, 1);
    ck_assert_uint_eq(stage, 3);
    for (stage = 2; stage <= 3; stage++) {
        uint32_t again = stage;
        ck_assert_int_eq(px_book_apply(world.book, &hit, 1, &again), 0);
    }
    ck_assert_uint_eq(world.fired, 1);
    end(&world);
}
END_TEST

START_TEST(a_span_that_is_held_back_comes_to_an_end)
{
    struct world world;
    struct px_plan plan = plan_of(PX_OP_CROSSING_UP, 100, INT64_MAX, PX_FREQUENCY_EVERY_TIME);

    begin(&world, 1 << 20);
    plan.cooldown_ns = INT64_C(1) << 40;
    add(&world, 1, plan, 90);
    tick(&world, 103);
    ck_assert_uint_eq(world.fired, 1);
    struct px_hit hit = bounce(&world);
    apply(&world, &hit);
    ck_assert_uint_eq(world.fired, 1);
    end(&world);
}
END_TEST

START_TEST(found_as_the_group_under_way_has_it)
{
    struct world world;
    struct px_plan plan = plan_of(PX_OP_GREATER_OR_EQUAL, 100, INT64_MAX, PX_FREQUENCY_ONCE), found;
    struct px_alert_id id = {1, 1};

    begin(&world, 1 << 20);
    add(&world, 1, plan, 50); /* the list is not loaded: it is in the group alone */
    ck_assert_int_eq(px_book_find(world.book, id, 0, &plan, &found), 0);
    ck_assert_int_eq(found.leg[0].a, 100);
    tick(&world, 100);
    ck_assert_uint_eq(world.fired, 1);
    ck_assert_int_eq(px_book_find(world.book, id, 0, &plan, &found), PX_E_NOT_FOUND);
    add(&world, 2, plan, 50);
    ck_assert_int_eq(px_book_remove(world.book, (struct px_alert_id){1, 2}, 0, &plan), 0);
    tick(&world, 200);
    ck_assert_uint_eq(world.fired, 1);
    end(&world);
}
END_TEST

START_TEST(the_young_are_passed_over_by_older_hits)
{
    struct world world;
    struct px_plan plan = plan_of(PX_OP_GREATER_OR_EQUAL, 100, INT64_MAX, PX_FREQUENCY_ONCE);

    begin(&world, 1 << 20);
    add(&world, 1, plan, 50);
    plan.young_generation = 1;
    plan.young_position = 10;
    add(&world, 0, plan, 50);
    tick(&world, 100);
    ck_assert_uint_eq(world.fired, 1);
    ck_assert_uint_eq(world.last.alert.lo, 1);
    world.position = 10;
    tick(&world, 100);
    ck_assert_uint_eq(world.fired, 2);
    end(&world);
}
END_TEST

#if defined(PX_ASAN) || defined(PX_TSAN)
#define VERY_MANY 20000 /* the index in memory is slow there */
#else
#define VERY_MANY 100000
#endif

START_TEST(one_value_reaches_very_many)
{
    struct world world;
    struct px_book_stats stats;
    struct px_plan plan = plan_of(PX_OP_GREATER_OR_EQUAL, 100, INT64_MAX, PX_FREQUENCY_ONCE);

    begin(&world, 1 << 20);
    for (uint64_t id = 0; id < VERY_MANY; id++) {
        plan.leg[0].a = plan.leg[0].hold_a = 100 + (int64_t)(id % 977);
        add(&world, id, plan, 50);
        if (id % 1000 == 0)
            ram_settle(&world.ram);
    }
    ram_settle(&world.ram);
    world.full_every = 1000;
    uint32_t op_size = world.ram.op_size;
    tick(&world, 5000);
    ck_assert_uint_eq(world.fired, VERY_MANY);
    px_book_stats(world.book, &stats);
    ck_assert_uint_eq(stats.resident, 0);
    ck_assert_uint_le(stats.bytes, 1 << 20);
    ck_assert_uint_le(world.ram.op_size, PX_MAX(op_size, 16384u));
    end(&world);
}
END_TEST

START_TEST(memory_stays_within_its_bound)
{
    struct world world;
    struct px_book_stats stats;
    const size_t most = 64 << 10;
    struct px_plan plan = plan_of(PX_OP_GREATER_OR_EQUAL, 0, INT64_MAX, PX_FREQUENCY_ONCE);

    begin(&world, most);
    for (unsigned series = 0; series < PX_SERIES; series++) /* empty and known: all that comes goes into the window */
        ck_assert_int_eq(px_book_load(world.book, 0, series), 0);
    for (uint64_t id = 0; id < 20010; id++) {
        plan.leg[0].a = plan.leg[0].hold_a = 100 + (int64_t)(id / PX_SERIES);
        plan.leg[0].series = (uint8_t)(id % PX_SERIES);
        add(&world, id, plan, 50);
    }
    ram_settle(&world.ram);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_int_ge(px_book_tend(world.book), 0);
    px_book_stats(world.book, &stats);
    ck_assert_uint_le(stats.bytes, most + 128 * 48); /* the one in use may be as wide as it needs */
    ck_assert_uint_le(stats.resident * 48, stats.bytes);
    ck_assert_uint_lt(stats.refills, 1200);
    for (unsigned series = 0; series < PX_SERIES; series++) {
        struct px_hit hit = price(&world, 100000);

        hit.series = series;
        apply(&world, &hit);
    }
    ck_assert_uint_eq(world.fired, 20010);
    end(&world);
}
END_TEST

/* The group under way is not seen by a scan: neither rows that a window has given up since, nor that those are gone which it had before. */
START_TEST(what_a_window_gives_up_is_committed_before_it_is_looked_for)
{
    struct world world;

    begin(&world, 1 << 20);
    px_book_widths(world.book, 4, 16);
    px_book_load(world.book, 0, PX_SERIES_LAST);
    for (int64_t level = 100; level < 160; level++)
        add(&world, (uint64_t)level, plan_of(PX_OP_GREATER_OR_EQUAL, level, INT64_MAX, PX_FREQUENCY_ONCE), 50);
    tick(&world, 102);
    ck_assert_uint_eq(world.fired, 3);
    ram_settle(&world.ram);
    tick(&world, 105);
    ck_assert_uint_eq(world.fired, 6);
    for (int64_t level = 99; level >= 60; level--) /* each of them nearer than all that the window has */
        add(&world, (uint64_t)level, plan_of(PX_OP_GREATER_OR_EQUAL, level, INT64_MAX, PX_FREQUENCY_ONCE), 50);
    tick(&world, 110);
    ck_assert_uint_eq(world.fired, 6 + 40 + 5);
    tick(&world, 1000);
    ck_assert_uint_eq(world.fired, 60 + 40);
    end(&world);
}
END_TEST

/* Nothing of the group lies behind the edge: the commit can wait. */
START_TEST(a_scan_of_what_is_committed_asks_for_no_commit)
{
    struct world world;
    struct px_book_stats stats;

    begin(&world, 1 << 20);
    px_book_widths(world.book, 4, 4);
    for (int64_t level = 100; level < 160; level++)
        add(&world, (uint64_t)level, plan_of(PX_OP_GREATER_OR_EQUAL, level, INT64_MAX, PX_FREQUENCY_ONCE), 50);
    ram_settle(&world.ram);
    uint64_t before = world.ram.settles;
    tick(&world, 140);
    px_book_stats(world.book, &stats);
    ck_assert_uint_eq(world.fired, 41);
    ck_assert_uint_ge(stats.refills, 10);
    ck_assert_uint_eq(world.ram.settles, before);
    end(&world);
}
END_TEST

/* Until its lists have been looked at, anything may be reached. */
START_TEST(what_is_expected_is_loaded_when_there_is_time)
{
    struct world world;

    begin(&world, 1 << 20);
    add(&world, 1, plan_of(PX_OP_GREATER_OR_EQUAL, 100, INT64_MAX, PX_FREQUENCY_ONCE), 50);
    ram_settle(&world.ram);
    ck_assert_int_eq(px_book_expect(world.book, 0, PX_SERIES_LAST), 0);
    ck_assert(world.up == INT64_MIN && world.down == INT64_MAX);
    while (px_book_tend(world.book) > 0)
        ;
    ck_assert(world.up == 100 && world.down == INT64_MIN);
    end(&world);
}
END_TEST

START_TEST(depth_counts_levels)
{
    struct world world;
    struct px_depth_level depth[4];
    bool more;

    begin(&world, 1 << 20);
    px_book_load(world.book, 0, PX_SERIES_LAST);
    for (uint64_t id = 0; id < 30; id++)
        add(&world, id, plan_of(PX_OP_GREATER_OR_EQUAL, 100 + (int64_t)id / 3, INT64_MAX, PX_FREQUENCY_ONCE), 50);
    ck_assert_uint_eq(px_book_depth(world.book, 0, PX_SERIES_LAST, false, depth, 4, &more), 4);
    ck_assert(more);
    ck_assert_int_eq(depth[3].level, 103);
    ck_assert_uint_eq(depth[3].count, 3);
    ck_assert_uint_eq(px_book_depth(world.book, 1, PX_SERIES_LAST, false, depth, 4, &more), 0);
    ck_assert(!more);
    end(&world);
}
END_TEST

START_TEST(expires_instead_of_firing)
{
    struct world world;
    struct px_plan plan = plan_of(PX_OP_GREATER_OR_EQUAL, 100, INT64_MAX, PX_FREQUENCY_ONCE);

    begin(&world, 1 << 20);
    plan.expires_ns = 1000;
    add(&world, 1, plan, 50);
    struct px_hit hit = price(&world, 100);
    hit.matched_ns = 1000;
    apply(&world, &hit);
    ck_assert_uint_eq(world.fired, 0);
    ck_assert_uint_eq(world.expired, 1);
    apply(&world, &hit);
    ck_assert_uint_eq(world.expired, 1);
    end(&world);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("book");
    TCase *tcase = tcase_create("book");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, near_is_lowered_at_once_and_raised_by_the_commit);
    tcase_add_test(tcase, two_legs_of_one_series_hear_a_value_together);
    tcase_add_test(tcase, a_span_shows_what_crossed_within);
    tcase_add_test(tcase, a_span_that_is_held_back_comes_to_an_end);
    tcase_add_test(tcase, found_as_the_group_under_way_has_it);
    tcase_add_test(tcase, the_young_are_passed_over_by_older_hits);
    tcase_add_test(tcase, one_value_reaches_very_many);
    tcase_add_test(tcase, memory_stays_within_its_bound);
    tcase_add_test(tcase, what_a_window_gives_up_is_committed_before_it_is_looked_for);
    tcase_add_test(tcase, a_scan_of_what_is_committed_asks_for_no_commit);
    tcase_add_test(tcase, what_is_expected_is_loaded_when_there_is_time);
    tcase_add_test(tcase, depth_counts_levels);
    tcase_add_test(tcase, expires_instead_of_firing);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
