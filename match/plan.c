#include "match/plan_private.h"

#include "base/clock.h"
#include "base/error.h"

#define MINUTE_NS (60 * PX_NS_PER_S)

/* ---- zones ---- */

static enum px_zone zone_of(const struct px_leg *leg, int64_t value)
{
    return value < leg->a ? PX_ZONE_BELOW : value > leg->b ? PX_ZONE_ABOVE : PX_ZONE_MIDDLE;
}

bool px_op_has_two_levels(unsigned op)
{
    return op >= PX_OP_ENTERING_CHANNEL && op <= PX_OP_OUTSIDE_CHANNEL;
}

bool px_op_is_level(unsigned op)
{
    switch (op) {
    case PX_OP_CROSSING_UP:
    case PX_OP_CROSSING_DOWN:
    case PX_OP_CROSSING:
    case PX_OP_ENTERING_CHANNEL:
    case PX_OP_EXITING_CHANNEL:
    case PX_OP_STALE:
        return false;
    default:
        return true;
    }
}

/* Of a level condition: does it hold there? */
static bool holds(unsigned op, enum px_zone zone)
{
    return op == PX_OP_OUTSIDE_CHANNEL ? zone == PX_ZONE_BELOW || zone == PX_ZONE_ABOVE : zone == PX_ZONE_MIDDLE;
}

/* Of a crossing: is this step one? */
static bool crosses(unsigned op, enum px_zone from, enum px_zone to)
{
    if (from == PX_ZONE_UNKNOWN || from == to)
        return false;
    switch (op) {
    case PX_OP_CROSSING_UP:
    case PX_OP_STALE:
        return from == PX_ZONE_BELOW;
    case PX_OP_CROSSING_DOWN:
        return from == PX_ZONE_ABOVE;
    case PX_OP_CROSSING:
        return from != PX_ZONE_MIDDLE;
    case PX_OP_ENTERING_CHANNEL:
        return to == PX_ZONE_MIDDLE;
    case PX_OP_EXITING_CHANNEL:
        return from == PX_ZONE_MIDDLE;
    default:
        return false;
    }
}

/* Is it armed again by a value inside of the hold zone? Of the others by one outside. */
static bool rearms_inside(unsigned op)
{
    return op == PX_OP_OUTSIDE_CHANNEL || op == PX_OP_EXITING_CHANNEL;
}

static bool in_hold(const struct px_leg *leg, int64_t value)
{
    return value >= leg->hold_a && value <= leg->hold_b;
}

/* ---- fires ---- */

static bool held_back(const struct px_plan *plan, const struct px_moment *moment)
{
    int64_t since = moment->time_ns - plan->fired_ns;

    if (plan->fires == 0)
        return false;
    if (plan->cooldown_ns > 0 && since < plan->cooldown_ns)
        return true;
    if (plan->frequency == PX_FREQUENCY_ONCE_PER_MINUTE)
        return since < MINUTE_NS;
    if (plan->frequency == PX_FREQUENCY_ONCE_PER_BAR && plan->bar_s > 0) {
        int64_t bar = plan->bar_s * PX_NS_PER_S;
        return moment->time_ns / bar <= plan->fired_ns / bar;
    }
    return false;
}

static bool has_expired(const struct px_plan *plan, const struct px_moment *moment)
{
    return plan->expires_ns > 0 && moment->wall_ns >= plan->expires_ns;
}

static void end(struct px_plan *plan)
{
    plan->legs = 0;
}

/* It has come true: told or held back, it waits to be armed again. */
static enum px_verdict come_true(struct px_plan *plan, const struct px_moment *moment)
{
    plan->waiting = true;
    if (held_back(plan, moment))
        return PX_VERDICT_NOTHING;
    plan->fires++;
    plan->fired_ns = moment->time_ns;
    if (plan->frequency == PX_FREQUENCY_ONCE || (plan->max_fires > 0 && plan->fires >= plan->max_fires)) {
        end(plan);
        return PX_VERDICT_LAST;
    }
    return PX_VERDICT_FIRES;
}

/* ---- several legs ---- */

static bool leg_holds(const struct px_leg *leg, const struct px_moment *moment)
{
    if (px_op_is_level(leg->op))
        return leg->zone != PX_ZONE_UNKNOWN && holds(leg->op, leg->zone);
    return leg->crossed == moment->position + 1;
}

static bool all_hold(const struct px_plan *plan, const struct px_moment *moment)
{
    for (unsigned i = 0; i < plan->legs; i++)
        if (!leg_holds(&plan->leg[i], moment))
            return false;
    return true;
}

/* A crossing holds for a moment only, so with one among them nothing has to be waited for. */
static bool has_crossing(const struct px_plan *plan)
{
    for (unsigned i = 0; i < plan->legs; i++)
        if (!px_op_is_level(plan->leg[i].op))
            return true;
    return false;
}

static enum px_verdict judge_all(struct px_plan *plan, const struct px_moment *moment)
{
    bool all = all_hold(plan, moment);

    if (!all)
        plan->waiting = false;
    if (!all || plan->waiting)
        return PX_VERDICT_NOTHING;
    enum px_verdict verdict = come_true(plan, moment);
    if (verdict != PX_VERDICT_LAST && has_crossing(plan)) {
        plan->waiting = false;
        for (unsigned i = 0; i < plan->legs; i++)
            plan->leg[i].crossed = 0; /* once a crossing */
    }
    return verdict;
}

/* ---- values ---- */

/* Waiting, the zone is that of the hold zone. A value that lies where it is armed again ends the wait, and fires nothing. */
static void wait_or_rearm(struct px_plan *plan, int64_t value)
{
    struct px_leg *leg = &plan->leg[0];

    plan->waiting = in_hold(leg, value) != rearms_inside(leg->op);
    if (plan->waiting)
        leg->zone = value < leg->hold_a ? PX_ZONE_BELOW : value > leg->hold_b ? PX_ZONE_ABOVE : PX_ZONE_MIDDLE;
    else
        leg->zone = (uint8_t)zone_of(leg, value);
}

static enum px_verdict single_true(struct px_plan *plan, int64_t value, const struct px_moment *moment)
{
    enum px_verdict verdict = come_true(plan, moment);

    if (verdict != PX_VERDICT_LAST)
        wait_or_rearm(plan, value);
    return verdict;
}

static enum px_verdict single_value(struct px_plan *plan, int64_t value, const struct px_moment *moment)
{
    struct px_leg *leg = &plan->leg[0];
    enum px_zone from = leg->zone, to = zone_of(leg, value);

    if (plan->waiting) {
        wait_or_rearm(plan, value);
        return PX_VERDICT_NOTHING;
    }
    leg->zone = (uint8_t)to;
    bool fires = px_op_is_level(leg->op) ? holds(leg->op, to) : crosses(leg->op, from, to);
    return fires ? single_true(plan, value, moment) : PX_VERDICT_NOTHING;
}

/* All legs of the series hear it before anything is judged: else one would be true beside what another was a value ago. */
static enum px_verdict one_of_several(struct px_plan *plan, unsigned at, int64_t value, const struct px_moment *moment)
{
    for (unsigned i = 0; i < plan->legs; i++) {
        struct px_leg *leg = &plan->leg[i];
        enum px_zone from = leg->zone, to = zone_of(leg, value);

        if (leg->series != plan->leg[at].series)
            continue;
        leg->zone = (uint8_t)to;
        if (crosses(leg->op, from, to))
            leg->crossed = moment->position + 1;
    }
    return judge_all(plan, moment);
}

enum px_verdict px_plan_value(struct px_plan *plan, unsigned leg, int64_t value, const struct px_moment *moment)
{
    PX_CHECK(leg < plan->legs && value != PX_PRICE_NONE);
    plan->young_generation = plan->young_position = 0;
    if (has_expired(plan, moment)) {
        end(plan);
        return PX_VERDICT_EXPIRED;
    }
    return plan->legs == 1 ? single_value(plan, value, moment) : one_of_several(plan, leg, value, moment);
}

enum px_verdict px_plan_arm(struct px_plan *plan, const int64_t value[PX_SERIES], const struct px_moment *moment)
{
    plan->waiting = false;
    for (unsigned i = 0; i < plan->legs; i++) {
        struct px_leg *leg = &plan->leg[i];
        int64_t now = value[leg->series];

        leg->crossed = 0;
        leg->zone = (uint8_t)(now == PX_PRICE_NONE ? PX_ZONE_UNKNOWN : zone_of(leg, now));
    }
    if (has_expired(plan, moment)) {
        end(plan);
        return PX_VERDICT_EXPIRED;
    }
    if (plan->legs > 1)
        return judge_all(plan, moment);
    if (plan->leg[0].zone == PX_ZONE_UNKNOWN || !px_op_is_level(plan->leg[0].op) || !holds(plan->leg[0].op, plan->leg[0].zone))
        return PX_VERDICT_NOTHING;
    return single_true(plan, value[plan->leg[0].series], moment);
}

bool px_plan_crossed_within(const struct px_plan *plan, const struct px_span *span)
{
    const struct px_leg *leg = &plan->leg[0];

    if (plan->legs != 1 || plan->waiting)
        return false;
    if (leg->op == PX_OP_CROSSING_UP)
        return span->rise_from < leg->a && leg->a <= span->rise_to;
    return leg->op == PX_OP_CROSSING_DOWN && span->fall_to <= leg->b && leg->b < span->fall_from;
}

enum px_verdict pxi_plan_crossed(struct px_plan *plan, int64_t value, const struct px_moment *moment)
{
    plan->young_generation = plan->young_position = 0;
    if (has_expired(plan, moment)) {
        end(plan);
        return PX_VERDICT_EXPIRED;
    }
    return single_true(plan, value, moment);
}

/* ---- places ---- */

struct list {
    struct px_place *place;
    unsigned count;
};

static void add(struct list *list, unsigned leg, unsigned series, bool down, int64_t level)
{
    for (unsigned i = 0; i < list->count; i++) {
        const struct px_place *place = &list->place[i];

        if (place->leg == leg && place->down == down && place->level == level)
            return;
    }
    list->place[list->count++] =
        (struct px_place){.level = level, .series = (uint8_t)series, .down = down, .leg = (uint8_t)leg};
}

/* Where the value leaves [a, b] upward and downward. */
static void leave(struct list *list, unsigned at, const struct px_leg *leg, int64_t a, int64_t b)
{
    if (b < INT64_MAX)
        add(list, at, leg->series, false, b + 1);
    if (a > INT64_MIN)
        add(list, at, leg->series, true, a - 1);
}

static void zone_places(struct list *list, unsigned at, const struct px_leg *leg, enum px_zone zone)
{
    switch (zone) {
    case PX_ZONE_UNKNOWN:
        add(list, at, leg->series, false, PX_PRICE_NONE);
        break;
    case PX_ZONE_BELOW:
        add(list, at, leg->series, false, leg->a);
        break;
    case PX_ZONE_MIDDLE:
        leave(list, at, leg, leg->a, leg->b);
        break;
    case PX_ZONE_ABOVE:
        add(list, at, leg->series, true, leg->b);
        break;
    }
}

/* Out of the hold zone on either side; or into it, from the side where the value is. */
static void waiting_places(struct list *list, const struct px_leg *leg, enum px_zone zone)
{
    if (!rearms_inside(leg->op))
        leave(list, 0, leg, leg->hold_a, leg->hold_b);
    else if (zone == PX_ZONE_BELOW)
        add(list, 0, leg->series, false, leg->hold_a);
    else if (zone == PX_ZONE_ABOVE)
        add(list, 0, leg->series, true, leg->hold_b);
}

unsigned px_plan_places(const struct px_plan *plan, struct px_place place[PX_PLACES_MAX])
{
    struct list list = {place, 0};

    for (unsigned i = 0; i < plan->legs; i++) {
        if (plan->legs == 1 && plan->waiting)
            waiting_places(&list, &plan->leg[i], plan->leg[i].zone);
        else
            zone_places(&list, i, &plan->leg[i], plan->leg[i].zone);
    }
    return list.count;
}

unsigned px_plan_candidates(const struct px_plan *plan, struct px_place place[PX_CANDIDATES_MAX])
{
    struct list list = {place, 0};

    for (unsigned i = 0; i < plan->legs; i++) {
        for (unsigned zone = PX_ZONE_UNKNOWN; zone <= PX_ZONE_ABOVE; zone++) {
            zone_places(&list, i, &plan->leg[i], zone);
            if (plan->legs == 1)
                waiting_places(&list, &plan->leg[i], zone);
        }
    }
    return list.count;
}
