/* From texts to a plan: levels rounded so that comparing mantissas is comparing exactly, and every mistake with a sentence. */
#include "match/condition.h"

#include "base/clock.h"
#include "base/decimal.h"
#include "base/error.h"

#define WINDOW_MAX_S   86400u
#define COOLDOWN_MAX_S (366 * INT64_C(86400))

struct making {
    const struct px_rule *rule;
    unsigned asset_scale;
    struct px_plan *plan;
    struct px_rule_fault fault;
};

static int wrong(struct making *making, enum px_rule_part part, unsigned condition, const char *text)
{
    making->fault = (struct px_rule_fault){part, condition, text};
    return PX_E_INVALID;
}

static bool is_move(unsigned op)
{
    return op >= PX_OP_MOVING_UP && op <= PX_OP_MOVING_DOWN_PCT;
}

/* ---- the series ---- */

/* Bars and windows that have a series, in the order of the series. */
static int index_of(uint32_t seconds, const uint32_t *list, int count)
{
    for (int i = 0; i < count; i++)
        if (list[i] == seconds)
            return i;
    return -1;
}

static int bar_index(uint32_t bar_s)
{
    static const uint32_t bars[] = {60, 300, 900, 3600, 14400, 86400};

    return index_of(bar_s, bars, PX_COUNT_OF(bars));
}

static int window_index(uint32_t window_s)
{
    static const uint32_t windows[] = {60, 300, 900, 3600};

    return index_of(window_s, windows, PX_COUNT_OF(windows));
}

static int move_series(struct making *making, unsigned at, const struct px_condition *condition, struct px_leg *leg)
{
    static const uint8_t first[] = {PX_SERIES_RISE_1M, PX_SERIES_FALL_1M, PX_SERIES_RISE_PCT_1M, PX_SERIES_FALL_PCT_1M};
    int window = window_index(condition->window_s);

    if (condition->source != PX_SOURCE_LAST)
        return wrong(making, PX_RULE_SOURCE, at, "must be last: moves are those of the last price");
    if (window < 0)
        return wrong(making, PX_RULE_WINDOW, at, "must be 1m, 5m, 15m or 1h");
    leg->series = (uint8_t)(first[condition->op - PX_OP_MOVING_UP] + window);
    return 0;
}

static int price_series(struct making *making, unsigned at, const struct px_condition *condition, struct px_leg *leg)
{
    static const uint8_t plain[] = {
        [PX_SOURCE_LAST] = PX_SERIES_LAST,       [PX_SOURCE_BID] = PX_SERIES_BID,
        [PX_SOURCE_ASK] = PX_SERIES_ASK,         [PX_SOURCE_MID] = PX_SERIES_MID,
        [PX_SOURCE_TWAP_1M] = PX_SERIES_TWAP_1M, [PX_SOURCE_TWAP_5M] = PX_SERIES_TWAP_5M,
        [PX_SOURCE_TWAP_15M] = PX_SERIES_TWAP_15M};
    bool at_close = making->rule->frequency == PX_FREQUENCY_ONCE_PER_BAR_CLOSE;
    unsigned source = condition->source;

    if (source < PX_SOURCE_LAST || source > PX_SOURCE_CLOSE)
        return wrong(making, PX_RULE_SOURCE, at, "must be one of last bid ask mid twap_1m twap_5m twap_15m close");
    if (at_close && source != PX_SOURCE_LAST && source != PX_SOURCE_CLOSE)
        return wrong(making, PX_RULE_SOURCE, at, "must be last or close with once_per_bar_close");
    if (source != PX_SOURCE_CLOSE && !at_close) {
        leg->series = plain[source];
        return 0;
    }
    if (bar_index(making->rule->bar_s) < 0)
        return wrong(making, PX_RULE_BAR, at, "must be 1m, 5m, 15m, 1h, 4h or 1d");
    leg->series = (uint8_t)(PX_SERIES_CLOSE_1M + bar_index(making->rule->bar_s));
    return 0;
}

/* ---- levels ---- */

static int level(struct making *making, enum px_rule_part part, unsigned at, const char *text, unsigned scale, enum px_round round,
                 int64_t *levelp)
{
    int64_t sign = 0;
    int error = px_decimal_parse(px_text_of(text), scale, round, levelp);

    if (error == PX_E_OVERFLOW)
        return wrong(making, part, at, "is too large");
    if (error)
        return wrong(making, part, at, text[0] ? "must be a decimal number such as \"70000.5\"" : "is required");
    if (px_decimal_parse(px_text_of(text), PX_SCALE_MAX, PX_ROUND_UP, &sign) == 0 ? sign <= 0 : text[0] == '-')
        return wrong(making, part, at, "must be greater than 0");
    return *levelp == INT64_MAX || *levelp == PX_PRICE_NONE ? wrong(making, part, at, "is too large") : 0;
}

static int both(struct making *making, unsigned at, const struct px_condition *condition, unsigned scale, int64_t *upp, int64_t *downp)
{
    int error = level(making, PX_RULE_LEVEL, at, condition->level, scale, PX_ROUND_UP, upp);

    return error ? error : level(making, PX_RULE_LEVEL, at, condition->level, scale, PX_ROUND_DOWN, downp);
}

static int channel_bounds(struct making *making, unsigned at, const struct px_condition *condition, unsigned scale, struct px_leg *leg)
{
    int error = level(making, PX_RULE_LEVEL, at, condition->level, scale, PX_ROUND_UP, &leg->a);

    if (!error)
        error = level(making, PX_RULE_UPPER, at, condition->upper, scale, PX_ROUND_DOWN, &leg->b);
    if (!error && leg->a > leg->b)
        return wrong(making, PX_RULE_UPPER, at, "must be above the lower level, with a price between the two");
    return error;
}

static int bounds(struct making *making, unsigned at, const struct px_condition *condition, struct px_leg *leg)
{
    unsigned scale = px_series_scale(leg->series, making->asset_scale);
    int64_t up, down;
    int error;

    if (px_op_has_two_levels(condition->op))
        return channel_bounds(making, at, condition, scale, leg);
    if (condition->upper[0])
        return wrong(making, PX_RULE_UPPER, at, "goes with channels only");
    error = both(making, at, condition, scale, &up, &down);
    if (error)
        return error;
    leg->a = INT64_MIN;
    leg->b = INT64_MAX;
    switch (condition->op) {
    case PX_OP_LESS_OR_EQUAL:
    case PX_OP_CROSSING_DOWN:
        leg->b = down;
        break;
    case PX_OP_LESS_THAN:
        leg->b = up - 1;
        break;
    case PX_OP_GREATER_THAN:
        leg->a = down + 1;
        break;
    case PX_OP_CROSSING:
        leg->a = up;
        leg->b = down;
        break;
    default:
        leg->a = up;
    }
    return 0;
}

static int make_leg(struct making *making, unsigned at)
{
    const struct px_condition *condition = &making->rule->condition[at];
    struct px_leg *leg = &making->plan->leg[at];
    int error;

    if (condition->op < PX_OP_GREATER_OR_EQUAL || condition->op > PX_OP_STALE)
        return wrong(making, PX_RULE_OP, at, "is required");
    leg->op = condition->op;
    if (condition->window_s != 0 && !is_move(condition->op) && condition->op != PX_OP_STALE)
        return wrong(making, PX_RULE_WINDOW, at, "goes with moving_* and stale only");
    if (condition->op == PX_OP_STALE) {
        if (condition->window_s < 1 || condition->window_s > WINDOW_MAX_S)
            return wrong(making, PX_RULE_WINDOW, at, "must be between 1s and 1d");
        leg->series = PX_SERIES_AGE;
        leg->a = (int64_t)condition->window_s * 1000;
        leg->b = INT64_MAX;
        return 0;
    }
    error = is_move(condition->op) ? move_series(making, at, condition, leg) : price_series(making, at, condition, leg);
    return error ? error : bounds(making, at, condition, leg);
}

/* ---- hysteresis ---- */

static int add_to(struct making *making, int64_t value, __int128 by, int64_t *sump)
{
    __int128 sum = (__int128)value + by;

    if (sum >= INT64_MAX || sum <= INT64_MIN)
        return wrong(making, PX_RULE_HYSTERESIS, 0, "is too large");
    *sump = (int64_t)sum;
    return 0;
}

/* The hysteresis at the series' scale, rounded up: a value is back only when the exact one is. */
static int width(struct making *making, const struct px_leg *leg, unsigned scale, int64_t *widthp)
{
    const struct px_rule *rule = making->rule;
    int64_t percent, base;
    int error;

    if (!rule->hysteresis_pct)
        return level(making, PX_RULE_HYSTERESIS, 0, rule->hysteresis, scale, PX_ROUND_UP, widthp);
    error = level(making, PX_RULE_HYSTERESIS, 0, rule->hysteresis, PX_PERCENT_SCALE, PX_ROUND_UP, &percent);
    if (error)
        return error;
    base = leg->a != INT64_MIN ? leg->a : leg->b;
    __int128 exact = (__int128)base * percent, unit = 100 * (__int128)px_pow10(PX_PERCENT_SCALE);
    return add_to(making, 0, (exact + unit - 1) / unit, widthp);
}

/* level + sign * hysteresis as texts, exactly, then rounded to the series' scale. PX_E_*: the numbers have too many digits for that. */
static int exact_edge(struct making *making, const char *text, unsigned scale, int sign, bool up, __int128 *edgep)
{
    struct px_text level_text = px_text_of(text), by_text = px_text_of(making->rule->hysteresis);
    unsigned fine = (unsigned)PX_MAX(PX_MAX(px_decimal_scale(level_text), px_decimal_scale(by_text)), (int)scale);
    int64_t at, by;

    if (fine > PX_SCALE_MAX)
        return PX_E_OVERFLOW;
    int error = px_decimal_parse(level_text, fine, PX_ROUND_EXACT, &at);
    if (!error)
        error = px_decimal_parse(by_text, fine, PX_ROUND_EXACT, &by);
    if (error)
        return error;
    __int128 sum = (__int128)at + sign * (__int128)by, unit = px_pow10(fine - scale), rest = sum % unit;
    *edgep = sum / unit + (up && rest > 0) - (!up && rest < 0);
    return 0;
}

/* Where a value is back: at level + sign * hysteresis; a percentage is a whole number of mantissas already. */
static int edge(struct making *making, const char *text, const struct px_leg *leg, int sign, bool up, int64_t plus, int64_t *edgep)
{
    unsigned scale = px_series_scale(leg->series, making->asset_scale);
    int64_t h, at;
    __int128 exact;

    int error = width(making, leg, scale, &h);
    if (!error && !making->rule->hysteresis_pct && exact_edge(making, text, scale, sign, up, &exact) == 0)
        return add_to(making, plus, exact, edgep);
    if (!error)
        error = level(making, PX_RULE_LEVEL, 0, text, scale, up ? PX_ROUND_UP : PX_ROUND_DOWN, &at);
    return error ? error : add_to(making, at, sign * (__int128)h + plus, edgep);
}

/*
 * Where it waits. Without hysteresis that is where the condition holds. With h it ends at c <= L - h or c >= L + h, of the exact L; of
 * what is armed again inside of a channel, h within it.
 */
static int hold(struct making *making, const struct px_condition *condition, struct px_leg *leg)
{
    bool inward = leg->op == PX_OP_OUTSIDE_CHANNEL || leg->op == PX_OP_EXITING_CHANNEL;
    const char *lower = condition->level, *upper = px_op_has_two_levels(leg->op) ? condition->upper : condition->level;
    int error = 0;

    leg->hold_a = leg->a;
    leg->hold_b = leg->b;
    if (!making->rule->hysteresis[0])
        return 0;
    if (making->plan->legs > 1)
        return wrong(making, PX_RULE_HYSTERESIS, 0, "goes with a single condition");
    if (leg->op == PX_OP_STALE)
        return wrong(making, PX_RULE_HYSTERESIS, 0, "does not go with stale: any tick arms it again");
    if (leg->a != INT64_MIN)
        error = inward ? edge(making, lower, leg, 1, true, 0, &leg->hold_a) : edge(making, lower, leg, -1, false, 1, &leg->hold_a);
    if (!error && leg->b != INT64_MAX)
        error = inward ? edge(making, upper, leg, -1, false, 0, &leg->hold_b) : edge(making, upper, leg, 1, true, -1, &leg->hold_b);
    if (!error && inward && leg->hold_a > leg->hold_b)
        return wrong(making, PX_RULE_HYSTERESIS, 0, "must leave some of the channel, or it is never armed again");
    return error;
}

/* ---- the whole ---- */

static int gates(struct making *making)
{
    const struct px_rule *rule = making->rule;
    struct px_plan *plan = making->plan;
    bool bars = rule->frequency == PX_FREQUENCY_ONCE_PER_BAR || rule->frequency == PX_FREQUENCY_ONCE_PER_BAR_CLOSE;
    bool closes = rule->condition[0].source == PX_SOURCE_CLOSE;

    for (unsigned i = 1; i < rule->conditions; i++)
        closes |= rule->condition[i].source == PX_SOURCE_CLOSE;
    if (rule->frequency < PX_FREQUENCY_ONCE || rule->frequency > PX_FREQUENCY_ONCE_PER_BAR_CLOSE)
        return wrong(making, PX_RULE_FREQUENCY, 0, "must be one of once every_time once_per_minute once_per_bar once_per_bar_close");
    if ((bars || closes) && bar_index(rule->bar_s) < 0)
        return wrong(making, PX_RULE_BAR, 0, "must be 1m, 5m, 15m, 1h, 4h or 1d");
    if (!bars && !closes && rule->bar_s != 0)
        return wrong(making, PX_RULE_BAR, 0, "goes with once_per_bar, once_per_bar_close and source close only");
    if (rule->cooldown_ns < 0 || rule->cooldown_ns > COOLDOWN_MAX_S * PX_NS_PER_S)
        return wrong(making, PX_RULE_COUNT, 0, "must be between 0s and 366d");
    plan->frequency = rule->frequency;
    plan->bar_s = rule->frequency == PX_FREQUENCY_ONCE_PER_BAR ? rule->bar_s : 0;
    plan->cooldown_ns = rule->cooldown_ns;
    plan->expires_ns = rule->expires_ns;
    plan->max_fires = rule->max_fires;
    return 0;
}

static int make(struct making *making)
{
    const struct px_rule *rule = making->rule;
    int error = 0;

    if (rule->conditions < 1 || rule->conditions > PX_LEGS_MAX)
        return wrong(making, PX_RULE_COUNT, 0, "must have one to five conditions");
    making->plan->legs = rule->conditions;
    for (unsigned i = 0; i < rule->conditions && !error; i++)
        error = make_leg(making, i);
    if (!error)
        error = gates(making);
    for (unsigned i = 0; i < rule->conditions && !error; i++)
        error = hold(making, &rule->condition[i], &making->plan->leg[i]);
    return error;
}

int px_rule_plan(const struct px_rule *rule, unsigned asset_scale, struct px_plan *planp, struct px_rule_fault *faultp)
{
    struct making making = {.rule = rule, .asset_scale = asset_scale, .plan = planp};

    memset(planp, 0, sizeof *planp);
    int error = make(&making);
    if (faultp)
        *faultp = making.fault;
    return error;
}
