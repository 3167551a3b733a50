/*
 * The book against the oracle over random schedules: alerts of every kind, jumps, cancels, pauses, a keeper that lags behind the evaluator, works hits
 * off in slices, and dies at any commit. The fires must be the same, each with its number and position.
 *
 *     match_oracle_test [--seeds A..B | --count N] [--control checkpoint|near|mass]
 *
 * A control breaks the protocol on purpose; then the test passes when it finds differences.
 */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "tests/match_ram.h"
#include "tests/model/match_oracle.h"

#define STEPS 160
#define QUEUE 8192
#define MASSES 16

enum control { NONE, NO_CHECKPOINT, EARLY_NEAR, NO_MASS };

static const uint8_t series_used[] = {PX_SERIES_LAST, PX_SERIES_BID, PX_SERIES_MID, PX_SERIES_TWAP_1M,
                                      PX_SERIES_CLOSE_1M, PX_SERIES_RISE_1M, PX_SERIES_FALL_PCT_1M, PX_SERIES_AGE};

struct near {
    int64_t up, down;
    uint64_t heard, told;
};

struct masses { /* hits that the checkpoint has passed, in order: some asset's first one has been worked off in part */
    struct {
        struct px_hit hit;
        uint64_t behind; /* of the queue */
        uint32_t stage;  /* how far it has been, px_book_apply */
    } at[MASSES];
    unsigned count;
};

struct durable { /* what survives the keeper, beside the index */
    uint64_t checkpoint; /* hits of the queue that are done, or masses */
    uint32_t stage;      /* of the next one */
    struct masses masses;
    struct oracle_fire fire[ORACLE_FIRES];
    unsigned fires;
    bool ended[ORACLE_ALERTS];
};

struct world {
    uint64_t seed;
    enum control control;
    struct ram ram;
    struct px_book *book;
    struct oracle oracle;
    struct near near[ORACLE_ASSETS][PX_SERIES];
    struct px_hit queue[QUEUE];
    struct masses masses;
    uint32_t stage;       /* of the hit that is next */
    uint64_t told, heard; /* put into the queue; taken by the keeper */
    uint64_t position;
    int64_t time_ns;
    struct durable disk;
    struct oracle_fire pending[ORACLE_FIRES];
    unsigned pendings, group_most, in_group;
    bool doomed; /* the next commit in the middle of a hit is the last thing that this keeper does */
    bool dying;
};

static uint64_t dice(struct world *world, uint64_t n)
{
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (world->seed >> 33) % n;
}

/* ---- the keeper's side ---- */

static void keep_fire(struct world *world, uint64_t alert, uint64_t number, uint64_t position)
{
    PX_CHECK(world->pendings < ORACLE_FIRES);
    world->pending[world->pendings++] = (struct oracle_fire){(uint32_t)alert, (uint32_t)number, position};
}

static int on_fire(void *ctx, const struct px_fired *fired)
{
    struct world *world = ctx;

    if (world->in_group >= world->group_most)
        return PX_E_AGAIN;
    world->in_group++;
    keep_fire(world, fired->alert.lo, fired->fire_number, fired->hit->position);
    return 0;
}

static void on_expired(void *ctx, struct px_alert_id alert)
{
    (void)ctx;
    (void)alert;
}

static void on_near(void *ctx, px_asset_id asset, unsigned series, int64_t up, int64_t down)
{
    struct near *near = &((struct world *)ctx)->near[asset][series];

    near->up = up;
    near->down = down;
}

/* Up to where a series has been heard: not what waits in a mass. */
static uint64_t heard_of(const struct world *world, px_asset_id asset, unsigned series)
{
    for (unsigned i = 0; i < world->disk.masses.count; i++)
        if (world->disk.masses.at[i].hit.asset == asset && world->disk.masses.at[i].hit.series == series)
            return world->disk.masses.at[i].behind - 1;
    return world->disk.checkpoint;
}

/* A commit: rows, fires and checkpoint at once. What a dying keeper would do after it is lost. */
static int commit(void *ctx)
{
    struct world *world = ctx;

    if (world->dying)
        return PX_E_CLOSED;
    ram_settle(&world->ram);
    for (unsigned i = 0; i < world->pendings; i++)
        world->disk.fire[world->disk.fires++] = world->pending[i];
    world->pendings = world->in_group = 0;
    if (world->control != NO_CHECKPOINT || !world->doomed)
        world->disk.checkpoint = world->heard;
    world->disk.stage = world->stage;
    if (world->control != NO_MASS || !world->doomed)
        world->disk.masses = world->masses;
    if (world->doomed) {
        world->dying = true;
        return PX_E_CLOSED;
    }
    for (px_asset_id asset = 0; asset < ORACLE_ASSETS; asset++)
        for (unsigned i = 0; i < PX_SERIES; i++)
            world->near[asset][i].heard = heard_of(world, asset, i);
    px_book_settled(world->book);
    return 0;
}

/* The index calls of the book go to the commit above. */
static struct world *the_world;

static int settle_world(void *ctx)
{
    (void)ctx;
    return commit(the_world);
}

static void open_book(struct world *world)
{
    struct px_index index = ram_index(&world->ram);
    struct px_book_out out = {world, on_fire, on_expired, on_near};
    uint32_t width = 2 + (uint32_t)dice(world, 10);

    index.settle = settle_world;
    PX_CHECK(px_book_create(ORACLE_ASSETS, dice(world, 2) ? 1 << 20 : 1024, &index, &out, &world->book) == 0);
    px_book_widths(world->book, width, width * 4);
    for (px_asset_id asset = 0; asset < ORACLE_ASSETS; asset++)
        for (unsigned i = 0; i < PX_COUNT_OF(series_used); i++)
            PX_CHECK(px_book_load(world->book, asset, series_used[i]) == 0);
}

static void die(struct world *world)
{
    world->ram.ops = 0;
    world->pendings = world->in_group = 0;
    world->doomed = world->dying = false;
    px_book_destroy(&world->book);
    world->heard = world->disk.checkpoint;
    world->stage = world->disk.stage;
    world->masses = world->disk.masses;
    open_book(world);
}

/* The oldest mass of the asset, or `count`. */
static unsigned mass_of(const struct masses *masses, px_asset_id asset)
{
    unsigned at = 0;

    while (at < masses->count && masses->at[at].hit.asset != asset)
        at++;
    return at;
}

/* Some moves of the hit, or all of them; PX_E_AGAIN: there are more. */
static int some_of(struct world *world, const struct px_hit *hit, uint32_t *stagep)
{
    px_book_slice(world->book, dice(world, 3) == 0 ? 1 + (uint32_t)dice(world, 3) : 0);
    return px_book_apply(world->book, hit, 1, stagep);
}

static void work_off(struct world *world, unsigned at)
{
    struct masses *masses = &world->masses;
    int error = some_of(world, &masses->at[at].hit, &masses->at[at].stage);

    if (world->dying) {
        die(world);
        return;
    }
    PX_CHECK(error == 0 || error == PX_E_AGAIN);
    if (error == PX_E_AGAIN)
        return;
    memmove(&masses->at[at], &masses->at[at + 1], (masses->count - at - 1) * sizeof masses->at[0]);
    masses->count--;
}

static void put_off(struct world *world, const struct px_hit *hit)
{
    struct masses *masses = &world->masses;

    PX_CHECK(masses->count < MASSES);
    masses->at[masses->count].hit = *hit;
    masses->at[masses->count].stage = world->stage;
    masses->at[masses->count++].behind = ++world->heard;
    world->stage = 0;
}

static void hear_one(struct world *world)
{
    const struct px_hit *hit = &world->queue[world->heard % QUEUE];
    unsigned first = mass_of(&world->masses, hit->asset);

    if (world->masses.count == MASSES) {
        work_off(world, mass_of(&world->masses, world->masses.at[0].hit.asset));
        return;
    }
    if (first < world->masses.count) {
        put_off(world, hit);
        return;
    }
    int error = some_of(world, hit, &world->stage);
    if (world->dying) {
        die(world);
        return;
    }
    PX_CHECK(error == 0 || error == PX_E_AGAIN);
    if (error == PX_E_AGAIN) {
        put_off(world, hit);
    } else {
        world->stage = 0;
        world->heard++;
    }
}

static void drain(struct world *world)
{
    world->doomed = false;
    while (world->heard < world->told || world->masses.count > 0) {
        if (world->heard < world->told)
            hear_one(world);
        else
            work_off(world, 0);
    }
    PX_CHECK(commit(world) == 0);
}

/* ---- the evaluator's side ---- */

static int64_t factor_of(unsigned series)
{
    int64_t factor = 1;

    for (unsigned i = px_series_scale(series, 0); i > 0; i--)
        factor *= 10;
    return factor;
}

static bool reached(const struct near *near, int64_t value)
{
    return value >= near->up || value <= near->down || near->heard < near->told;
}

static void one_value(struct world *world, px_asset_id asset, unsigned series, int64_t value)
{
    struct near *near = &world->near[asset][series];
    struct oracle_moment moment = {world->position, world->time_ns, world->time_ns};
    int64_t prev = world->oracle.value[asset][series];

    oracle_value(&world->oracle, asset, series, value, &moment);
    if (!reached(near, value))
        return;
    PX_CHECK(world->told - world->disk.checkpoint < QUEUE);
    world->queue[world->told++ % QUEUE] = (struct px_hit){.asset = asset,
                                                          .series = series,
                                                          .value = value,
                                                          .prev = prev,
                                                          .time_ns = world->time_ns,
                                                          .matched_ns = world->time_ns,
                                                          .position = world->position};
    near->told = world->told;
    if (world->control == EARLY_NEAR) { /* as if it had gone from the front before anything is committed */
        near->heard = world->told;
        near->up = INT64_MAX;
        near->down = INT64_MIN;
    }
}

static void one_step(struct px_span *bounds, int64_t from, int64_t to, int64_t time_ns)
{
    if (to > from) {
        bounds->rise_from = PX_MIN(bounds->rise_from, from);
        bounds->rise_to = PX_MAX(bounds->rise_to, to);
    } else if (to < from) {
        bounds->fall_from = PX_MAX(bounds->fall_from, from);
        bounds->fall_to = PX_MIN(bounds->fall_to, to);
    }
    if (to > bounds->high || bounds->high == INT64_MIN) {
        bounds->high = to;
        bounds->high_ns = time_ns;
    }
    if (to < bounds->low) {
        bounds->low = to;
        bounds->low_ns = time_ns;
    }
}

/* Up to six values that nobody has looked at one by one. */
static struct oracle_span random_span(struct world *world, int64_t before)
{
    struct oracle_span span = {.bounds = {.low = INT64_MAX, .high = INT64_MIN, .rise_from = INT64_MAX, .rise_to = INT64_MIN,
                                          .fall_from = INT64_MIN, .fall_to = INT64_MAX}, .last = before};

    for (uint64_t n = 2 + dice(world, 5); n > 0; n--) {
        int64_t value = PX_MAX(span.last + ((int64_t)dice(world, 13) - 6), 0);

        world->time_ns += PX_NS_PER_S;
        one_step(&span.bounds, span.last, value, world->time_ns);
        span.last = value;
    }
    return span;
}

static void several_values(struct world *world, px_asset_id asset)
{
    struct near *near = &world->near[asset][PX_SERIES_LAST];
    int64_t prev = world->oracle.value[asset][PX_SERIES_LAST];
    struct oracle_span span = random_span(world, prev);
    struct oracle_moment moment = {world->position, world->time_ns, world->time_ns};
    bool far = !reached(near, span.last) && span.bounds.high < near->up && span.bounds.low > near->down;

    oracle_several(&world->oracle, asset, PX_SERIES_LAST, &span, &moment);
    if (far)
        return;
    PX_CHECK(world->told - world->disk.checkpoint < QUEUE);
    world->queue[world->told++ % QUEUE] = (struct px_hit){.asset = asset,
                                                          .flags = PX_HIT_LATE | PX_HIT_SPAN,
                                                          .series = PX_SERIES_LAST,
                                                          .value = span.last,
                                                          .prev = prev,
                                                          .time_ns = world->time_ns,
                                                          .matched_ns = world->time_ns,
                                                          .position = world->position,
                                                          .span = span.bounds};
    near->told = world->told;
}

static void one_moment(struct world *world)
{
    px_asset_id asset = (px_asset_id)dice(world, ORACLE_ASSETS);

    world->position++;
    world->time_ns += (int64_t)(1 + dice(world, 20)) * PX_NS_PER_S;
    if (world->control == NONE && world->oracle.value[asset][PX_SERIES_LAST] != PX_PRICE_NONE && dice(world, 10) == 0) {
        several_values(world, asset);
        return;
    }
    for (unsigned i = 0; i < PX_COUNT_OF(series_used); i++) {
        unsigned series = series_used[i];
        int64_t factor = factor_of(series), last = world->oracle.value[asset][series];
        int64_t value = dice(world, 5) == 0 || last == PX_PRICE_NONE ? (int64_t)dice(world, 24) * factor
                                                                    : last + ((int64_t)dice(world, 7) - 3) * factor;

        if (dice(world, 8) == 0 && factor > 1)
            value += factor / 2;
        if (dice(world, 2))
            one_value(world, asset, series, PX_MAX(value, 0));
    }
}

/* ---- commands ---- */

static void text_of(int64_t halves, char text[PX_LEVEL_SIZE])
{
    snprintf(text, PX_LEVEL_SIZE, "%lld%s", (long long)halves / 2, halves % 2 ? ".5" : "");
}

static void random_condition(struct world *world, struct oracle_alert *alert, unsigned at)
{
    static const uint8_t sources[] = {PX_SOURCE_LAST, PX_SOURCE_LAST, PX_SOURCE_BID, PX_SOURCE_MID, PX_SOURCE_TWAP_1M};
    static const uint8_t ops[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, PX_OP_MOVING_UP, PX_OP_MOVING_DOWN_PCT, PX_OP_STALE};
    struct px_condition *condition = &alert->rule.condition[at];

    condition->op = ops[dice(world, PX_COUNT_OF(ops))];
    condition->source = sources[dice(world, PX_COUNT_OF(sources))];
    alert->lo2[at] = 2 + (int64_t)dice(world, 40);
    alert->hi2[at] = alert->lo2[at] + 2 + (int64_t)dice(world, 14);
    if (condition->op == PX_OP_STALE) {
        condition->source = PX_SOURCE_LAST;
        alert->lo2[at] += alert->lo2[at] % 2;
        condition->window_s = (uint32_t)alert->lo2[at] / 2;
        return;
    }
    text_of(alert->lo2[at], condition->level);
    if (condition->op >= PX_OP_MOVING_UP) {
        condition->source = PX_SOURCE_LAST;
        condition->window_s = 60;
    }
    if (px_op_has_two_levels(condition->op))
        text_of(alert->hi2[at], condition->upper);
}

static void random_rule(struct world *world, struct oracle_alert *alert)
{
    struct px_rule *rule = &alert->rule;

    *alert = (struct oracle_alert){.asset = (px_asset_id)dice(world, ORACLE_ASSETS)};
    rule->conditions = dice(world, 4) == 0 ? (uint8_t)(2 + dice(world, 4)) : 1;
    for (unsigned i = 0; i < rule->conditions; i++)
        random_condition(world, alert, i);
    rule->frequency = (uint8_t)(dice(world, 3) == 0 ? PX_FREQUENCY_ONCE : PX_FREQUENCY_ONCE + dice(world, 5));
    if (rule->frequency == PX_FREQUENCY_ONCE_PER_BAR || rule->frequency == PX_FREQUENCY_ONCE_PER_BAR_CLOSE)
        rule->bar_s = 60;
    if (rule->frequency == PX_FREQUENCY_ONCE_PER_BAR_CLOSE)
        for (unsigned i = 0; i < rule->conditions; i++)
            rule->condition[i].source = PX_SOURCE_LAST;
    if (dice(world, 4) == 0)
        rule->cooldown_ns = (int64_t)(1 + dice(world, 90)) * PX_NS_PER_S;
    if (dice(world, 4) == 0)
        rule->max_fires = 1 + dice(world, 4);
    if (dice(world, 8) == 0)
        rule->expires_ns = world->time_ns + (int64_t)(1 + dice(world, 600)) * PX_NS_PER_S;
    if (rule->conditions == 1 && rule->condition[0].op != PX_OP_STALE && dice(world, 3) == 0) {
        alert->h2 = 1 + (int64_t)dice(world, 8);
        text_of(alert->h2, rule->hysteresis);
    }
}

static void put_alert(struct world *world, unsigned at, struct px_plan *plan)
{
    struct oracle_alert *alert = &world->oracle.alert[at];
    struct oracle_moment moment = {world->position, world->time_ns, world->time_ns};
    struct px_moment now = {world->position, world->time_ns, world->time_ns};

    for (unsigned i = 0; i < plan->legs; i++)
        px_book_attend(world->book, alert->asset, plan->leg[i].series);
    oracle_arm(&world->oracle, at, &moment);
    enum px_verdict verdict = px_plan_arm(plan, world->oracle.value[alert->asset], &now);
    if (verdict == PX_VERDICT_FIRES || verdict == PX_VERDICT_LAST)
        keep_fire(world, at, plan->fires, world->position);
    plan->young_generation = 1;
    plan->young_position = world->position + 1; /* a span of that very moment has other values too */
    if (verdict != PX_VERDICT_LAST && verdict != PX_VERDICT_EXPIRED)
        PX_CHECK(px_book_add(world->book, (struct px_alert_id){1, at}, alert->asset, plan) == 0);
    world->doomed = false;
    PX_CHECK(commit(world) == 0);
}

static void add_one(struct world *world, unsigned at)
{
    struct oracle_alert *alert = &world->oracle.alert[at];
    struct px_plan plan;

    if (alert->there)
        return;
    random_rule(world, alert);
    if (px_rule_plan(&alert->rule, 0, &plan, NULL) != 0)
        return; /* a hysteresis that leaves nothing, and the like */
    alert->there = true;
    for (unsigned i = 0; i < plan.legs; i++) {
        alert->series[i] = plan.leg[i].series;
        alert->factor[i] = factor_of(plan.leg[i].series);
    }
    put_alert(world, at, &plan);
}

/* Paused and armed again, or taken away. */
static void rearm_one(struct world *world, unsigned at)
{
    struct oracle_alert *alert = &world->oracle.alert[at];
    struct px_plan made, plan;

    if (!alert->there || alert->ended || world->control != NONE)
        return;
    drain(world);
    px_rule_plan(&alert->rule, 0, &made, NULL);
    int error = px_book_find(world->book, (struct px_alert_id){1, at}, alert->asset, &made, &plan);
    if (error != 0) /* expired without a word, in the oracle not yet */
        return;
    PX_CHECK(plan.fires == alert->fires);
    PX_CHECK(px_book_remove(world->book, (struct px_alert_id){1, at}, alert->asset, &made) == 0);
    if (dice(world, 2)) {
        PX_CHECK(commit(world) == 0);
        alert->ended = true;
        return;
    }
    made.fires = plan.fires;
    made.fired_ns = plan.fired_ns;
    put_alert(world, at, &made);
}

/* ---- schedules ---- */

static void step(struct world *world)
{
    uint64_t what = dice(world, 100);

    if (what < 20)
        add_one(world, (unsigned)dice(world, ORACLE_ALERTS));
    else if (what < 23)
        rearm_one(world, (unsigned)dice(world, ORACLE_ALERTS));
    else if (what < 26)
        die(world);
    else if (what < 30)
        world->doomed = true;
    else if (what < 33)
        (void)(px_book_tend(world->book) < 0 && world->dying ? (die(world), 0) : 0);
    else if (what < 60)
        one_moment(world);
    else if (what < 84 && world->heard < world->told)
        hear_one(world);
    else if (what < 92 && world->masses.count > 0)
        work_off(world, mass_of(&world->masses, world->masses.at[dice(world, world->masses.count)].hit.asset));
    else if (!world->doomed)
        PX_CHECK(commit(world) == 0);
}

static int compare(const void *left, const void *right)
{
    const struct oracle_fire *a = left, *b = right;

    if (a->alert != b->alert)
        return a->alert < b->alert ? -1 : 1;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

static void show(const char *who, const struct world *world, const struct oracle_fire *fire)
{
    const struct px_rule *rule = &world->oracle.alert[fire->alert].rule;

    printf("  %s: alert %u fire %u position %llu; %u conditions, frequency %u, hysteresis '%s'\n", who, fire->alert, fire->number,
           (unsigned long long)fire->position, rule->conditions, rule->frequency, rule->hysteresis);
    for (unsigned i = 0; i < rule->conditions; i++)
        printf("    %s of source %u, %s .. %s, window %u\n", px_op_name(rule->condition[i].op), rule->condition[i].source,
               rule->condition[i].level, rule->condition[i].upper, rule->condition[i].window_s);
}

static bool same(struct world *world, uint64_t seed, bool quiet)
{
    struct oracle_fire *a = world->oracle.fire, *b = world->disk.fire;
    unsigned n = world->oracle.fires, m = world->disk.fires;

    qsort(a, n, sizeof *a, compare);
    qsort(b, m, sizeof *b, compare);
    for (unsigned i = 0; i < PX_MAX(n, m); i++) {
        if (i < n && i < m && compare(&a[i], &b[i]) == 0)
            continue;
        if (!quiet) {
            printf("seed %llu: the fires differ (oracle %u, book %u)\n", (unsigned long long)seed, n, m);
            if (i < n)
                show("oracle", world, &a[i]);
            if (i < m)
                show("book  ", world, &b[i]);
        }
        return false;
    }
    return true;
}

static bool run(uint64_t seed, enum control control, uint64_t *firesp)
{
    static struct world world;

    memset(&world, 0, sizeof world);
    world.seed = seed * 2654435761u + 1;
    world.control = control;
    world.time_ns = INT64_C(1700000000) * PX_NS_PER_S;
    ram_init(&world.ram, ORACLE_ASSETS);
    the_world = &world;
    for (px_asset_id asset = 0; asset < ORACLE_ASSETS; asset++)
        for (unsigned i = 0; i < PX_SERIES; i++) {
            world.oracle.value[asset][i] = PX_PRICE_NONE;
            world.near[asset][i] = (struct near){INT64_MAX, INT64_MIN, 0, 0};
        }
    world.group_most = 1 + (unsigned)dice(&world, 6);
    open_book(&world);
    for (unsigned i = 0; i < STEPS; i++)
        step(&world);
    drain(&world);
    *firesp += world.oracle.fires;
    bool equal = same(&world, seed, control != NONE);
    px_book_destroy(&world.book);
    ram_fini(&world.ram);
    return equal;
}

int main(int argc, char **argv)
{
    unsigned long long from = 1, to = 20000, fires = 0, differ = 0;
    enum control control = NONE;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seeds") == 0)
            sscanf(argv[i + 1], "%llu..%llu", &from, &to);
        else if (strcmp(argv[i], "--count") == 0)
            to = from + strtoull(argv[i + 1], NULL, 10) - 1;
        else if (strcmp(argv[i], "--control") == 0)
            control = strcmp(argv[i + 1], "near") == 0 ? EARLY_NEAR : strcmp(argv[i + 1], "mass") == 0 ? NO_MASS : NO_CHECKPOINT;
    }
    time_t began = time(NULL);
    for (unsigned long long seed = from; seed <= to && differ < (control == NONE ? 5 : to); seed++) {
        uint64_t of_seed = 0;

        differ += !run(seed, control, &of_seed);
        fires += of_seed;
    }
    printf("seeds %llu..%llu: %llu fires, %llu schedules differ, %ld s\n", from, to, fires, differ, (long)(time(NULL) - began));
    return control == NONE ? differ != 0 : differ == 0;
}
