#include "tests/model/match_oracle.h"

#include "base/clock.h"

/* ---- one condition ---- */

static int cmp(const struct oracle_alert *alert, unsigned leg, int64_t value, int64_t level2)
{
    int64_t a = 2 * value, b = level2 * alert->factor[leg];

    return a < b ? -1 : a > b;
}

static bool inside(const struct oracle_alert *alert, unsigned leg, int64_t c, int64_t by2)
{
    return cmp(alert, leg, c, alert->lo2[leg] + by2) >= 0 && cmp(alert, leg, c, alert->hi2[leg] - by2) <= 0;
}

/* Of a condition on one value; -1: it is one on two. */
static int level_true(const struct oracle_alert *alert, unsigned leg, int64_t c)
{
    int against = cmp(alert, leg, c, alert->lo2[leg]);

    switch (alert->rule.condition[leg].op) {
    case PX_OP_GREATER_OR_EQUAL:
    case PX_OP_MOVING_UP:
    case PX_OP_MOVING_DOWN:
    case PX_OP_MOVING_UP_PCT:
    case PX_OP_MOVING_DOWN_PCT:
        return against >= 0;
    case PX_OP_GREATER_THAN:
        return against > 0;
    case PX_OP_LESS_OR_EQUAL:
        return against <= 0;
    case PX_OP_LESS_THAN:
        return against < 0;
    case PX_OP_INSIDE_CHANNEL:
        return inside(alert, leg, c, 0);
    case PX_OP_OUTSIDE_CHANNEL:
        return !inside(alert, leg, c, 0);
    default:
        return -1;
    }
}

static bool step_true(const struct oracle_alert *alert, unsigned leg, int64_t p, int64_t c)
{
    int64_t level = alert->lo2[leg];

    if (p == PX_PRICE_NONE)
        return false;
    bool up = cmp(alert, leg, p, level) < 0 && cmp(alert, leg, c, level) >= 0;
    bool down = cmp(alert, leg, p, level) > 0 && cmp(alert, leg, c, level) <= 0;
    switch (alert->rule.condition[leg].op) {
    case PX_OP_CROSSING_UP:
    case PX_OP_STALE:
        return up;
    case PX_OP_CROSSING_DOWN:
        return down;
    case PX_OP_CROSSING:
        return up || down;
    case PX_OP_ENTERING_CHANNEL:
        return !inside(alert, leg, p, 0) && inside(alert, leg, c, 0);
    default: /* exiting */
        return inside(alert, leg, p, 0) && !inside(alert, leg, c, 0);
    }
}

static bool rearms(const struct oracle_alert *alert, int64_t c)
{
    int64_t lo = alert->lo2[0], h = alert->h2;

    switch (alert->rule.condition[0].op) {
    case PX_OP_CROSSING_UP:
    case PX_OP_STALE:
        return h ? cmp(alert, 0, c, lo - h) <= 0 : cmp(alert, 0, c, lo) < 0;
    case PX_OP_CROSSING_DOWN:
        return h ? cmp(alert, 0, c, lo + h) >= 0 : cmp(alert, 0, c, lo) > 0;
    case PX_OP_LESS_OR_EQUAL:
    case PX_OP_LESS_THAN:
        return h ? cmp(alert, 0, c, lo + h) >= 0 : !level_true(alert, 0, c);
    case PX_OP_CROSSING:
        return !h || cmp(alert, 0, c, lo - h) <= 0 || cmp(alert, 0, c, lo + h) >= 0;
    case PX_OP_ENTERING_CHANNEL:
    case PX_OP_INSIDE_CHANNEL:
        return h ? cmp(alert, 0, c, lo - h) <= 0 || cmp(alert, 0, c, alert->hi2[0] + h) >= 0 : !inside(alert, 0, c, 0);
    case PX_OP_EXITING_CHANNEL:
    case PX_OP_OUTSIDE_CHANNEL:
        return inside(alert, 0, c, h);
    default:
        return h ? cmp(alert, 0, c, lo - h) <= 0 : !level_true(alert, 0, c);
    }
}

/* ---- fires ---- */

static bool held_back(const struct oracle_alert *alert, int64_t time_ns)
{
    const struct px_rule *rule = &alert->rule;
    int64_t since = time_ns - alert->fired_ns, bar = rule->bar_s * PX_NS_PER_S;

    if (alert->fires == 0)
        return false;
    return (rule->cooldown_ns && since < rule->cooldown_ns) ||
           (rule->frequency == PX_FREQUENCY_ONCE_PER_MINUTE && since < 60 * PX_NS_PER_S) ||
           (rule->frequency == PX_FREQUENCY_ONCE_PER_BAR && time_ns / bar == alert->fired_ns / bar);
}

static void come_true(struct oracle *oracle, struct oracle_alert *alert, const struct oracle_moment *moment)
{
    if (alert->rule.expires_ns && moment->wall_ns >= alert->rule.expires_ns) {
        alert->ended = true;
        return;
    }
    alert->waiting = true;
    if (held_back(alert, moment->time_ns))
        return;
    alert->fires++;
    alert->fired_ns = moment->time_ns;
    PX_CHECK(oracle->fires < ORACLE_FIRES);
    oracle->fire[oracle->fires++] =
        (struct oracle_fire){(uint32_t)(alert - oracle->alert), (uint32_t)alert->fires, moment->position};
    alert->ended = alert->rule.frequency == PX_FREQUENCY_ONCE || (alert->rule.max_fires && alert->fires >= alert->rule.max_fires);
}

static void judge_all(struct oracle *oracle, struct oracle_alert *alert, const struct oracle_moment *moment)
{
    bool all = true, crossing = false;

    for (unsigned i = 0; i < alert->rule.conditions; i++) {
        int64_t c = oracle->value[alert->asset][alert->series[i]];
        int level = c == PX_PRICE_NONE ? 0 : level_true(alert, i, c);

        if (level_true(alert, i, 0) < 0) {
            crossing = true;
            all = all && alert->crossed[i] == moment->position + 1;
        } else {
            all = all && level == 1;
        }
    }
    if (all && !alert->waiting) {
        come_true(oracle, alert, moment);
        if (crossing) {
            alert->waiting = false;
            memset(alert->crossed, 0, sizeof alert->crossed);
        }
    } else if (!all) {
        alert->waiting = false;
    }
}

static void judge_one(struct oracle *oracle, struct oracle_alert *alert, int64_t p, int64_t c, const struct oracle_moment *moment)
{
    int level = level_true(alert, 0, c);

    if (alert->waiting) {
        alert->waiting = !rearms(alert, c);
        return;
    }
    if (level == 1 || (level < 0 && step_true(alert, 0, p, c))) {
        come_true(oracle, alert, moment);
        if (!alert->ended)
            alert->waiting = !rearms(alert, c);
    }
}

void oracle_value(struct oracle *oracle, px_asset_id asset, unsigned series, int64_t c, const struct oracle_moment *moment)
{
    int64_t p = oracle->value[asset][series];

    oracle->value[asset][series] = c;
    for (unsigned i = 0; i < ORACLE_ALERTS; i++) {
        struct oracle_alert *alert = &oracle->alert[i];
        bool hears = false;

        if (!alert->there || alert->ended || alert->asset != asset)
            continue;
        for (unsigned leg = 0; leg < alert->rule.conditions; leg++) {
            if (alert->series[leg] != series)
                continue;
            hears = true;
            if (alert->rule.conditions > 1 && level_true(alert, leg, c) < 0 && step_true(alert, leg, p, c))
                alert->crossed[leg] = moment->position + 1;
        }
        if (hears && alert->rule.conditions > 1)
            judge_all(oracle, alert, moment);
        else if (hears)
            judge_one(oracle, alert, p, c, moment);
    }
}

/* What an end has shown already is not shown again. */
static bool may_have_crossed(const struct oracle_alert *alert, const struct px_span *span)
{
    int64_t level = alert->lo2[0];

    if (alert->fires > 0 && alert->fired_ns >= PX_MIN(span->low_ns, span->high_ns))
        return false;
    switch (alert->rule.condition[0].op) {
    case PX_OP_CROSSING_UP:
        return span->rise_from < span->rise_to && cmp(alert, 0, span->rise_from, level) < 0 && cmp(alert, 0, span->rise_to, level) >= 0;
    case PX_OP_CROSSING_DOWN:
        return span->fall_from > span->fall_to && cmp(alert, 0, span->fall_from, level) > 0 && cmp(alert, 0, span->fall_to, level) <= 0;
    default:
        return false; /* the ends show what they are */
    }
}

static void between(struct oracle *oracle, px_asset_id asset, unsigned series, const struct oracle_span *span,
                    const struct oracle_moment *moment)
{
    for (unsigned i = 0; i < ORACLE_ALERTS; i++) {
        struct oracle_alert *alert = &oracle->alert[i];

        if (!alert->there || alert->ended || alert->waiting || alert->asset != asset || alert->rule.conditions != 1 ||
            alert->series[0] != series || !may_have_crossed(alert, &span->bounds))
            continue;
        come_true(oracle, alert, moment);
        if (!alert->ended)
            alert->waiting = !rearms(alert, span->last);
    }
}

void oracle_several(struct oracle *oracle, px_asset_id asset, unsigned series, const struct oracle_span *span,
                    const struct oracle_moment *moment)
{
    const struct px_span *bounds = &span->bounds;
    struct oracle_moment high = {moment->position, bounds->high_ns, moment->wall_ns}, low = {moment->position, bounds->low_ns, moment->wall_ns};
    bool high_first = bounds->high_ns <= bounds->low_ns;

    oracle_value(oracle, asset, series, high_first ? bounds->high : bounds->low, high_first ? &high : &low);
    oracle_value(oracle, asset, series, high_first ? bounds->low : bounds->high, high_first ? &low : &high);
    between(oracle, asset, series, span, moment);
    oracle_value(oracle, asset, series, span->last, moment);
}

void oracle_arm(struct oracle *oracle, unsigned at, const struct oracle_moment *moment)
{
    struct oracle_alert *alert = &oracle->alert[at];
    int64_t c = oracle->value[alert->asset][alert->series[0]];

    alert->waiting = false;
    memset(alert->crossed, 0, sizeof alert->crossed);
    if (alert->rule.expires_ns && moment->wall_ns >= alert->rule.expires_ns)
        alert->ended = true;
    else if (alert->rule.conditions > 1)
        judge_all(oracle, alert, moment);
    else if (c != PX_PRICE_NONE && level_true(alert, 0, c) == 1)
        judge_one(oracle, alert, PX_PRICE_NONE, c, moment);
}
