/*
 * A plan in few bytes.
 *
 *   head       bit 0..2 legs, bit 3 waiting, bit 4 gates, bit 5 young, bit 6 plain
 *   plain      one leg, `once`, no hold of its own: op · series << 2 | zone · a or b as a difference to the place's level
 *   gates      frequency · bar · cooldown · expiry · most fires · fires · time of the last one
 *   young      generation · position
 *   each leg   op · series << 2 | zone · a · b · hold_a - a · hold_b - b · crossed, differences folded into varints
 */
#include "base/error.h"
#include "match/plan_private.h"

enum { LEGS = 7, WAITING = 8, GATES = 16, YOUNG = 32, PLAIN = 64 };

struct in {
    const uint8_t *at, *end;
    bool bad;
};

static uint8_t *put(uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}

static uint64_t take(struct in *in)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (in->at == in->end)
            break;
        uint8_t byte = *in->at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    in->bad = true;
    return 0;
}

/* A difference modulo 2^64, small in either direction. */
static uint8_t *put_diff(uint8_t *to, int64_t value, int64_t from)
{
    uint64_t diff = (uint64_t)value - (uint64_t)from;

    return put(to, diff << 1 ^ (0 - (diff >> 63)));
}

static int64_t take_diff(struct in *in, int64_t from)
{
    uint64_t folded = take(in), diff = folded >> 1 ^ (0 - (folded & 1));

    return (int64_t)((uint64_t)from + diff);
}

/* ---- legs ---- */

static bool opens_upward(unsigned op)
{
    switch (op) {
    case PX_OP_GREATER_OR_EQUAL:
    case PX_OP_GREATER_THAN:
    case PX_OP_CROSSING_UP:
    case PX_OP_MOVING_UP:
    case PX_OP_MOVING_DOWN:
    case PX_OP_MOVING_UP_PCT:
    case PX_OP_MOVING_DOWN_PCT:
    case PX_OP_STALE:
        return true;
    default:
        return false;
    }
}

static bool opens_downward(unsigned op)
{
    return op == PX_OP_LESS_OR_EQUAL || op == PX_OP_LESS_THAN || op == PX_OP_CROSSING_DOWN;
}

static bool is_plain(const struct px_plan *plan)
{
    const struct px_leg *leg = &plan->leg[0];

    if (plan->legs != 1 || plan->waiting || plan->frequency != PX_FREQUENCY_ONCE || plan->bar_s != 0 ||
        plan->cooldown_ns != 0 || plan->expires_ns != 0 || plan->max_fires != 0 || plan->fires != 0 || plan->fired_ns != 0 ||
        leg->hold_a != leg->a || leg->hold_b != leg->b || leg->crossed != 0)
        return false;
    return (opens_upward(leg->op) && leg->b == INT64_MAX) || (opens_downward(leg->op) && leg->a == INT64_MIN);
}

static uint8_t *put_leg_head(uint8_t *to, const struct px_leg *leg)
{
    *to++ = leg->op;
    *to++ = (uint8_t)(leg->series << 2 | leg->zone);
    return to;
}

static void take_leg_head(struct in *in, struct px_leg *leg)
{
    uint64_t op = take(in), place = take(in);

    in->bad |= op < PX_OP_GREATER_OR_EQUAL || op > PX_OP_STALE || place >> 2 >= PX_SERIES;
    leg->op = (uint8_t)op;
    leg->series = (uint8_t)(place >> 2);
    leg->zone = (uint8_t)(place & 3);
}

static uint8_t *put_leg(uint8_t *to, const struct px_leg *leg)
{
    to = put_leg_head(to, leg);
    to = put_diff(to, leg->a, 0);
    to = put_diff(to, leg->b, leg->a);
    to = put_diff(to, leg->hold_a, leg->a);
    to = put_diff(to, leg->hold_b, leg->b);
    return put(to, leg->crossed);
}

static void take_leg(struct in *in, struct px_leg *leg)
{
    take_leg_head(in, leg);
    leg->a = take_diff(in, 0);
    leg->b = take_diff(in, leg->a);
    leg->hold_a = take_diff(in, leg->a);
    leg->hold_b = take_diff(in, leg->b);
    leg->crossed = take(in);
}

/* ---- the whole ---- */

static uint8_t *put_gates(uint8_t *to, const struct px_plan *plan)
{
    *to++ = plan->frequency;
    to = put(to, plan->bar_s);
    to = put_diff(to, plan->cooldown_ns, 0);
    to = put_diff(to, plan->expires_ns, 0);
    to = put(to, plan->max_fires);
    to = put(to, plan->fires);
    return put_diff(to, plan->fired_ns, 0);
}

static void take_gates(struct in *in, struct px_plan *plan)
{
    uint64_t frequency = take(in);

    in->bad |= frequency < PX_FREQUENCY_ONCE || frequency > PX_FREQUENCY_ONCE_PER_BAR_CLOSE;
    plan->frequency = (uint8_t)frequency;
    uint64_t bar_s = take(in);
    in->bad |= bar_s > UINT32_MAX;
    plan->bar_s = (uint32_t)bar_s;
    plan->cooldown_ns = take_diff(in, 0);
    plan->expires_ns = take_diff(in, 0);
    plan->max_fires = take(in);
    plan->fires = take(in);
    plan->fired_ns = take_diff(in, 0);
}

static bool has_gates(const struct px_plan *plan)
{
    return plan->frequency != PX_FREQUENCY_ONCE || plan->bar_s != 0 || plan->cooldown_ns != 0 || plan->expires_ns != 0 ||
           plan->max_fires != 0 || plan->fires != 0 || plan->fired_ns != 0;
}

size_t px_plan_encode(const struct px_plan *plan, const struct px_place *at, uint8_t bytes[PX_PLAN_BYTES_MAX])
{
    bool plain = is_plain(plan), young = plan->young_generation != 0, gates = has_gates(plan);
    const struct px_leg *leg = &plan->leg[0];
    uint8_t *to = bytes;

    *to++ = (uint8_t)(plan->legs | (plan->waiting ? WAITING : 0) | (gates ? GATES : 0) | (young ? YOUNG : 0) |
                      (plain ? PLAIN : 0));
    if (young) {
        to = put(to, plan->young_generation);
        to = put(to, plan->young_position);
    }
    if (plain) {
        to = put_leg_head(to, leg);
        return (size_t)(put_diff(to, opens_upward(leg->op) ? leg->a : leg->b, at->level) - bytes);
    }
    if (gates)
        to = put_gates(to, plan);
    for (unsigned i = 0; i < plan->legs; i++)
        to = put_leg(to, &plan->leg[i]);
    return (size_t)(to - bytes);
}

static void take_plain(struct in *in, const struct px_place *at, struct px_leg *leg)
{
    take_leg_head(in, leg);
    int64_t level = take_diff(in, at->level);

    in->bad |= !opens_upward(leg->op) && !opens_downward(leg->op);
    leg->a = opens_upward(leg->op) ? level : INT64_MIN;
    leg->b = opens_upward(leg->op) ? INT64_MAX : level;
    leg->hold_a = leg->a;
    leg->hold_b = leg->b;
}

int px_plan_decode(const void *bytes, size_t n, const struct px_place *at, struct px_plan *planp)
{
    struct in in = {bytes, (const uint8_t *)bytes + n, false};
    uint64_t head = n > 0 ? *in.at++ : 0;
    unsigned legs = (unsigned)head & LEGS;

    memset(planp, 0, sizeof *planp);
    if (legs == 0 || legs > PX_LEGS_MAX || head & 0x80 || ((head & PLAIN) && (legs != 1 || head & (GATES | WAITING))) ||
        at->leg >= legs)
        return PX_E_FORMAT;
    planp->legs = (uint8_t)legs;
    planp->waiting = (head & WAITING) != 0;
    planp->frequency = PX_FREQUENCY_ONCE;
    if (head & YOUNG) {
        planp->young_generation = take(&in);
        planp->young_position = take(&in);
        in.bad |= planp->young_generation == 0;
    }
    if (head & GATES)
        take_gates(&in, planp);
    if (head & PLAIN)
        take_plain(&in, at, &planp->leg[0]);
    for (unsigned i = 0; i < legs && !(head & PLAIN); i++)
        take_leg(&in, &planp->leg[i]);
    return in.bad || in.at != in.end ? PX_E_FORMAT : 0;
}
