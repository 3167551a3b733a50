/* The rule of an alert between JSON and the record: shapes here, what makes sense is px_rule_plan's to say. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "web/rest/alert_body_private.h"

#define MAX_FIRES_MAX  INT64_C(1000000000000)
#define DURATION_MAX_S (366 * INT64_C(86400))

/* ---- durations ---- */

static const struct unit {
    char letter;
    int64_t seconds;
} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

/* "90s", "5m", "1h", "2d"; whole seconds. */
static int duration(const char *text, int64_t *secondsp)
{
    char *end;
    long long count = strtoll(text, &end, 10);

    for (size_t i = 0; i < PX_COUNT_OF(units) && end > text; i++) {
        if (*end != units[i].letter || end[1] || text[0] < '0' || text[0] > '9')
            continue;
        if (count > DURATION_MAX_S / units[i].seconds)
            return PX_E_OVERFLOW;
        *secondsp = count * units[i].seconds;
        return 0;
    }
    return PX_E_FORMAT;
}

static bool take_duration(struct pxi_reading *reading, json_t *value, const char *pointer, int64_t *secondsp)
{
    int rc = PX_E_FORMAT;

    if (!value || json_is_null(value))
        return false;
    if (json_is_string(value))
        rc = duration(json_string_value(value), secondsp);
    if (rc == PX_E_OVERFLOW)
        px_problem_add(reading->problem, pointer, "must be at most 366d");
    else if (rc < 0)
        px_problem_add(reading->problem, pointer, "must be a duration such as \"60s\", \"5m\", \"1h\" or \"1d\"");
    return rc == 0;
}

/* In the largest unit that is whole; `below` seconds and less stay seconds. */
static void write_duration(struct px_json *json, const char *key, int64_t seconds, int64_t below)
{
    char text[32];

    for (size_t i = 0; i < PX_COUNT_OF(units); i++) {
        if (seconds % units[i].seconds != 0 || (seconds <= below && units[i].seconds > 1))
            continue;
        snprintf(text, sizeof text, "%lld%c", (long long)(seconds / units[i].seconds), units[i].letter);
        px_json_kv_string(json, key, text);
        return;
    }
}

/* ---- decimals ---- */

/* An exact decimal above 0, kept as it is written. */
static void take_decimal(struct pxi_reading *reading, json_t *value, const char *pointer, char to[PX_LEVEL_SIZE])
{
    int64_t mantissa;

    if (json_is_number(value)) {
        px_problem_add(reading->problem, pointer, "must be a string so that it stays exact");
        return;
    }
    if (!pxi_take_string(reading, value, pointer, to, PX_LEVEL_SIZE))
        return;
    int rc = px_decimal_parse(px_text_of(to), 0, PX_ROUND_UP, &mantissa);
    if (rc == PX_E_OVERFLOW)
        px_problem_add(reading->problem, pointer, "is too large");
    else if (rc < 0)
        px_problem_add(reading->problem, pointer, "must be a decimal number such as \"70000.5\"");
    else if (px_decimal_parse(px_text_of(to), PX_SCALE_MAX, PX_ROUND_UP, &mantissa) == PX_E_OVERFLOW ? to[0] == '-' : mantissa <= 0)
        px_problem_add(reading->problem, pointer, "must be greater than 0");
}

/* ---- a condition ---- */

/* What an operator is told: which members, by name. */
enum shape { SHAPE_LEVEL, SHAPE_CHANNEL, SHAPE_MOVE, SHAPE_STALE };

static enum shape shape_of(unsigned op)
{
    if (px_op_has_two_levels(op))
        return SHAPE_CHANNEL;
    if (op >= PX_OP_MOVING_UP && op <= PX_OP_MOVING_DOWN_PCT)
        return SHAPE_MOVE;
    return op == PX_OP_STALE ? SHAPE_STALE : SHAPE_LEVEL;
}

/* The member that holds condition.level. */
static const char *level_name(unsigned op)
{
    static const char *const names[] = {[SHAPE_LEVEL] = "level", [SHAPE_CHANNEL] = "lower", [SHAPE_MOVE] = "amount", [SHAPE_STALE] = "window"};

    return names[shape_of(op)];
}

/* Each of the numbers belongs to some operators; a null is as good as nothing. */
static json_t *number_of(struct pxi_reading *reading, json_t *object, const char *parent, const char *name, bool wanted, const char *with)
{
    json_t *value = json_object_get(object, name);
    char pointer[PXI_POINTER_SIZE];

    if (json_is_null(value))
        value = NULL;
    pxi_pointer_to(pointer, sizeof pointer, parent, name);
    if (value && !wanted) {
        px_problem_add(reading->problem, pointer, "goes with %s only", with);
        return NULL;
    }
    if (!value && wanted)
        px_problem_add(reading->problem, pointer, "is required");
    return value;
}

static void take_number(struct pxi_reading *reading, json_t *object, const char *parent, const char *name, bool wanted, const char *with,
                        char to[PX_LEVEL_SIZE])
{
    json_t *value = number_of(reading, object, parent, name, wanted, with);
    char pointer[PXI_POINTER_SIZE];

    pxi_pointer_to(pointer, sizeof pointer, parent, name);
    if (value)
        take_decimal(reading, value, pointer, to);
}

static void take_numbers(struct pxi_reading *reading, json_t *object, const char *parent, struct px_condition *condition)
{
    enum shape shape = shape_of(condition->op);
    bool channel = shape == SHAPE_CHANNEL, windowed = shape == SHAPE_MOVE || shape == SHAPE_STALE;
    char pointer[PXI_POINTER_SIZE];
    int64_t seconds = 0;

    take_number(reading, object, parent, "level", shape == SHAPE_LEVEL, "comparisons and crossings", condition->level);
    take_number(reading, object, parent, "lower", channel, "channels", condition->level);
    take_number(reading, object, parent, "upper", channel, "channels", condition->upper);
    take_number(reading, object, parent, "amount", shape == SHAPE_MOVE, "moving_*", condition->level);
    json_t *window = number_of(reading, object, parent, "window", windowed, "moving_* and stale");
    pxi_pointer_to(pointer, sizeof pointer, parent, "window");
    if (window && take_duration(reading, window, pointer, &seconds))
        condition->window_s = (uint32_t)seconds;
}

static void take_op(struct pxi_reading *reading, json_t *value, const char *parent, struct px_condition *condition)
{
    char pointer[PXI_POINTER_SIZE];

    pxi_pointer_to(pointer, sizeof pointer, parent, "op");
    condition->op = json_is_string(value) ? (uint8_t)px_op_find(px_text_of(json_string_value(value))) : 0;
    if (condition->op)
        return;
    px_problem_add(reading->problem, pointer, "%s",
                   !value ? "is required"
                          : "must be crossing_up, crossing_down, crossing, >=, >, <=, <, entering_channel, exiting_channel, "
                            "inside_channel, outside_channel, moving_up[_pct], moving_down[_pct] or stale");
}

/* A word out of a table, `fallback` when there is none. */
static unsigned take_word(struct pxi_reading *reading, json_t *value, const char *pointer, unsigned (*find)(struct px_text), unsigned fallback,
                          const char *words)
{
    unsigned number = json_is_string(value) ? find(px_text_of(json_string_value(value))) : 0;

    if (!value || json_is_null(value))
        return fallback;
    if (number == 0)
        px_problem_add(reading->problem, pointer, "must be one of %s", words);
    return number ? number : fallback;
}

static void take_condition(struct pxi_reading *reading, json_t *object, const char *parent, struct px_condition *condition)
{
    static const char *const known[] = {"op", "source", "level", "lower", "upper", "amount", "window", NULL};
    char pointer[PXI_POINTER_SIZE];

    if (!json_is_object(object)) {
        px_problem_add(reading->problem, parent, "must be an object");
        return;
    }
    pxi_check_members(reading, object, parent, known);
    take_op(reading, json_object_get(object, "op"), parent, condition);
    pxi_pointer_to(pointer, sizeof pointer, parent, "source");
    condition->source = (uint8_t)take_word(reading, json_object_get(object, "source"), pointer, px_source_find, PX_SOURCE_LAST,
                                           "last bid ask mid twap_1m twap_5m twap_15m close");
    if (condition->op) {
        take_numbers(reading, object, parent, condition);
        return;
    }
    pxi_pointer_to(pointer, sizeof pointer, parent, "level"); /* all that can be said without knowing what it is for */
    take_decimal(reading, json_object_get(object, "level"), pointer, condition->level);
}

static void take_conditions(struct pxi_reading *reading, json_t *root)
{
    json_t *one = json_object_get(root, "condition"), *all = json_object_get(root, "all_of");
    struct px_rule *rule = &reading->alert->rule;
    char parent[32];

    one = json_is_null(one) ? NULL : one;
    all = json_is_null(all) ? NULL : all;
    rule->conditions = 1;
    if (one && all)
        px_problem_add(reading->problem, "/all_of", "stands in the place of condition: leave one of them out");
    else if (!one && !all)
        px_problem_add(reading->problem, "/condition", "is required, or all_of");
    if (one)
        take_condition(reading, one, "/condition", &rule->condition[0]);
    if (one || !all)
        return;
    if (!json_is_array(all) || json_array_size(all) < 2 || json_array_size(all) > PX_LEGS_MAX) {
        px_problem_add(reading->problem, "/all_of", "must be an array of 2 to %d conditions", PX_LEGS_MAX);
        return;
    }
    rule->conditions = (uint8_t)json_array_size(all);
    for (unsigned i = 0; i < rule->conditions; i++) {
        snprintf(parent, sizeof parent, "/all_of/%u", i);
        take_condition(reading, json_array_get(all, i), parent, &rule->condition[i]);
    }
}

/* ---- when, and how often ---- */

static void take_hysteresis(struct pxi_reading *reading, json_t *object)
{
    static const char *const known[] = {"abs", "pct", NULL};
    struct px_rule *rule = &reading->alert->rule;
    json_t *abs = json_object_get(object, "abs"), *pct = json_object_get(object, "pct");

    if (!object || json_is_null(object))
        return;
    if (!json_is_object(object) || (abs != NULL) == (pct != NULL)) {
        px_problem_add(reading->problem, "/hysteresis", "must be {\"abs\": \"50\"} or {\"pct\": \"0.5\"}");
        return;
    }
    pxi_check_members(reading, object, "/hysteresis", known);
    rule->hysteresis_pct = pct != NULL;
    take_decimal(reading, pct ? pct : abs, pct ? "/hysteresis/pct" : "/hysteresis/abs", rule->hysteresis);
}

static void take_max_fires(struct pxi_reading *reading, json_t *value)
{
    if (!value || json_is_null(value))
        return;
    if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > MAX_FIRES_MAX)
        px_problem_add(reading->problem, "/max_fires", "must be a whole number from 1, or null for no end");
    else
        reading->alert->rule.max_fires = (uint64_t)json_integer_value(value);
}

static void take_expiry(struct pxi_reading *reading, json_t *value)
{
    int64_t ns = 0;

    if (!value || json_is_null(value))
        return;
    if (!json_is_string(value) || px_time_parse(px_text_of(json_string_value(value)), &ns) < 0)
        px_problem_add(reading->problem, "/expires_at", "must be a time such as \"2030-01-31T12:00:00Z\", or null for never");
    else if (ns <= px_wall_now() && ns / PX_NS_PER_US != reading->kept_expires_ns / PX_NS_PER_US)
        px_problem_add(reading->problem, "/expires_at", "must lie in the future");
    else
        reading->alert->rule.expires_ns = ns;
}

static void take_gates(struct pxi_reading *reading, json_t *root)
{
    struct px_rule *rule = &reading->alert->rule;
    int64_t bar_s = 0, cooldown_s = 0;

    rule->frequency = (uint8_t)take_word(reading, json_object_get(root, "frequency"), "/frequency", px_frequency_find, PX_FREQUENCY_ONCE,
                                         "once every_time once_per_minute once_per_bar once_per_bar_close");
    if (take_duration(reading, json_object_get(root, "bar"), "/bar", &bar_s))
        rule->bar_s = (uint32_t)bar_s;
    if (take_duration(reading, json_object_get(root, "cooldown"), "/cooldown", &cooldown_s))
        rule->cooldown_ns = cooldown_s * PX_NS_PER_S;
    take_hysteresis(reading, json_object_get(root, "hysteresis"));
    take_max_fires(reading, json_object_get(root, "max_fires"));
    take_expiry(reading, json_object_get(root, "expires_at"));
}

/* ---- does it make sense? ---- */

/* Where a fault is, in the words of the body. */
static void point_at(const struct px_rule *rule, const struct px_rule_fault *fault, char *pointer, size_t size)
{
    const char *name = "", *root = NULL;
    char parent[32] = "/condition";

    if (rule->conditions > 1)
        snprintf(parent, sizeof parent, "/all_of/%u", fault->condition);
    switch (fault->part) {
    case PX_RULE_OP: name = "op"; break;
    case PX_RULE_SOURCE: name = "source"; break;
    case PX_RULE_LEVEL: name = level_name(rule->condition[fault->condition].op); break;
    case PX_RULE_UPPER: name = "upper"; break;
    case PX_RULE_WINDOW: name = "window"; break;
    case PX_RULE_HYSTERESIS: root = rule->hysteresis_pct ? "/hysteresis/pct" : "/hysteresis/abs"; break;
    case PX_RULE_FREQUENCY: root = "/frequency"; break;
    case PX_RULE_BAR: root = "/bar"; break;
    case PX_RULE_COUNT:
    case PX_RULE_FINE: root = "/cooldown"; break;
    }
    if (root)
        snprintf(pointer, size, "%s", root);
    else
        snprintf(pointer, size, "%s/%s", parent, name);
}

static bool is_told(const struct px_problem *problem, const char *pointer)
{
    for (unsigned i = 0; i < problem->error_count; i++)
        if (strcmp(problem->errors[i].pointer, pointer) == 0)
            return true;
    return false;
}

static void tell(struct pxi_reading *reading, struct px_rule_fault fault, unsigned condition)
{
    char pointer[PXI_POINTER_SIZE];

    fault.condition = condition;
    point_at(&reading->alert->rule, &fault, pointer, sizeof pointer);
    if (!is_told(reading->problem, pointer))
        px_problem_add(reading->problem, pointer, "%s", fault.text);
}

/* A plan stops at its first fault; each condition by itself, and then the whole, tell all that clients would stumble over. */
static void check_sense(struct pxi_reading *reading)
{
    const struct px_rule *rule = &reading->alert->rule;
    struct px_rule_fault fault;
    struct px_plan plan;

    for (unsigned i = 0; i < rule->conditions; i++) {
        struct px_rule part = {.conditions = 1, .frequency = rule->frequency, .bar_s = rule->bar_s};
        part.condition[0] = rule->condition[i];
        if (rule->condition[i].op && px_rule_plan(&part, reading->symbol.scale, &plan, &fault) && fault.part != PX_RULE_BAR)
            tell(reading, fault, i);
    }
    if (px_rule_plan(rule, reading->symbol.scale, &plan, &fault))
        tell(reading, fault, fault.condition);
}

void pxi_rule_read(struct pxi_reading *reading, json_t *root)
{
    take_conditions(reading, root);
    take_gates(reading, root);
    if (reading->alert->rule.condition[0].op && reading->alert->symbol[0])
        check_sense(reading);
}

/* ---- the way out ---- */

static void write_condition(const struct px_condition *condition, struct px_json *json)
{
    enum shape shape = shape_of(condition->op);

    px_json_open(json, '{');
    px_json_kv_string(json, "op", px_op_name(condition->op));
    px_json_kv_string(json, "source", px_source_name(condition->source));
    if (shape != SHAPE_STALE)
        px_json_kv_string(json, level_name(condition->op), condition->level);
    if (shape == SHAPE_CHANNEL)
        px_json_kv_string(json, "upper", condition->upper);
    if (condition->window_s)
        write_duration(json, "window", condition->window_s, shape == SHAPE_STALE ? 60 : 0);
    px_json_close(json, '}');
}

static void write_conditions(const struct px_rule *rule, struct px_json *json)
{
    if (rule->conditions == 1) {
        px_json_key(json, "condition");
        write_condition(&rule->condition[0], json);
        return;
    }
    px_json_key(json, "all_of");
    px_json_open(json, '[');
    for (unsigned i = 0; i < rule->conditions; i++)
        write_condition(&rule->condition[i], json);
    px_json_close(json, ']');
}

static void write_null(struct px_json *json, const char *key)
{
    px_json_key(json, key);
    px_json_null(json);
}

static void write_hysteresis(const struct px_rule *rule, struct px_json *json)
{
    if (!rule->hysteresis[0]) {
        write_null(json, "hysteresis");
        return;
    }
    px_json_key(json, "hysteresis");
    px_json_open(json, '{');
    px_json_kv_string(json, rule->hysteresis_pct ? "pct" : "abs", rule->hysteresis);
    px_json_close(json, '}');
}

void pxi_rule_write(const struct px_rule *rule, struct px_json *json)
{
    write_conditions(rule, json);
    px_json_kv_string(json, "frequency", px_frequency_name(rule->frequency));
    if (rule->bar_s)
        write_duration(json, "bar", rule->bar_s, 0);
    write_hysteresis(rule, json);
    if (rule->cooldown_ns)
        write_duration(json, "cooldown", rule->cooldown_ns / PX_NS_PER_S, 60);
    else
        write_null(json, "cooldown");
    if (rule->max_fires)
        px_json_kv_int(json, "max_fires", (int64_t)rule->max_fires);
    else
        write_null(json, "max_fires");
    px_json_kv_time(json, "expires_at", rule->expires_ns);
}
