/*
 * What an alert would have done over stored trades: the same plan as the keeper's, fed with what history holds. Bids, asks and averages are
 * not stored as they were, so conditions on them are refused. Runs in the thread of the request, page by page, so that nobody else waits.
 *
 * An answer that is not complete carries a cursor: the last trade it has looked at, and how the plan stood then. What the plan waits for is read
 * from the body again, and the windows of moves from the trades, so nothing that a cursor says can be more than wrong.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "web/rest/alerts_private.h"

#define TICKS_MAX   1000000 /* looked at by one request */
#define FIRES_MAX   1000 /* after which no other trade is looked at */
#define FIRES_ROOM  (FIRES_MAX + 4 * PX_LEGS_MAX)
#define FIRE_BYTES  256
#define BEFORE_NS   (300 * PX_NS_PER_S) /* how long the price from before the range holds */

struct step {
    int64_t time_ns, price;
};

/* The lowest or highest price of a window, as a queue in which each is beyond all that follow it. */
struct window {
    struct step *step;
    size_t first, end, size;
};

struct fire {
    int64_t time_ns, price;
};

struct run {
    struct px_request *request;
    struct px_plan plan;
    struct window window[PX_LEGS_MAX];
    int64_t known_ns, last_ns, last; /* since when there is a price; the newest trade */
    uint64_t position;
    uint64_t sequence;               /* of the newest trade */
    uint64_t before;                 /* fires that earlier answers told */
    uint32_t ticks, count;
    bool over;
    struct fire *fires;
};

/* ---- series ---- */

static bool is_move(unsigned series)
{
    return series >= PX_SERIES_RISE_1M && series <= PX_SERIES_FALL_PCT_1H;
}

static bool is_close(unsigned series)
{
    return series >= PX_SERIES_CLOSE_1M && series <= PX_SERIES_CLOSE_1D;
}

static int64_t window_ns(unsigned series)
{
    static const int64_t seconds[] = {60, 300, 900, 3600};

    return seconds[(series - PX_SERIES_RISE_1M) % 4] * PX_NS_PER_S;
}

static int64_t bar_ns(unsigned series)
{
    static const int64_t seconds[] = {60, 300, 900, 3600, 14400, 86400};

    return seconds[series - PX_SERIES_CLOSE_1M] * PX_NS_PER_S;
}

static bool is_fall(unsigned series)
{
    return (series >= PX_SERIES_FALL_1M && series <= PX_SERIES_FALL_1H) || series >= PX_SERIES_FALL_PCT_1M;
}

static bool grow(struct window *window)
{
    size_t held = window->end - window->first;

    if (window->end < window->size)
        return true;
    if (window->first > window->size / 2) {
        memmove(window->step, window->step + window->first, held * sizeof *window->step);
    } else {
        size_t size = window->size ? 2 * window->size : 256;
        struct step *more = malloc(size * sizeof *more);

        if (!more)
            return false;
        if (held > 0)
            memcpy(more, window->step + window->first, held * sizeof *more);
        free(window->step);
        window->step = more;
        window->size = size;
    }
    window->first = 0;
    window->end = held;
    return true;
}

/* With the price that held when the window began. */
static bool slide(struct window *window, bool highest, const struct step *now, int64_t width_ns)
{
    while (window->end - window->first >= 2 && window->step[window->first + 1].time_ns <= now->time_ns - width_ns)
        window->first++;
    while (window->end > window->first &&
           (highest ? window->step[window->end - 1].price <= now->price : window->step[window->end - 1].price >= now->price))
        window->end--;
    if (!grow(window))
        return false;
    window->step[window->end++] = *now;
    return true;
}

static int64_t move_of(const struct run *run, unsigned at, unsigned series)
{
    const struct window *window = &run->window[at];
    int64_t from = window->step[window->first].price;
    __int128 by = is_fall(series) ? (__int128)from - run->last : (__int128)run->last - from;

    if (run->last_ns - run->known_ns < window_ns(series) / 2)
        return PX_PRICE_NONE;
    if (series >= PX_SERIES_RISE_PCT_1M)
        by = by * 100 * px_pow10(PX_PERCENT_SCALE) / from;
    return by > INT64_MAX ? INT64_MAX : (int64_t)by;
}

/* ---- the plan ---- */

static void feed(struct run *run, unsigned leg, int64_t value, int64_t time_ns)
{
    struct px_moment moment = {++run->position, time_ns, time_ns};
    enum px_verdict verdict = run->over || value == PX_PRICE_NONE ? PX_VERDICT_NOTHING : px_plan_value(&run->plan, leg, value, &moment);

    if (verdict == PX_VERDICT_FIRES || verdict == PX_VERDICT_LAST)
        run->fires[run->count++] = (struct fire){time_ns, run->last};
    run->over |= verdict == PX_VERDICT_LAST || verdict == PX_VERDICT_EXPIRED;
}

/* Legs of one series hear its value together, by the first of them. */
static bool is_first(const struct px_plan *plan, unsigned at)
{
    for (unsigned i = 0; i < at; i++)
        if (plan->leg[i].series == plan->leg[at].series)
            return false;
    return true;
}

/* What time alone has done up to this trade: bars that have closed, silence. */
static void pass_time(struct run *run, int64_t now_ns)
{
    for (unsigned i = 0; i < run->plan.legs && run->last != PX_PRICE_NONE; i++) {
        const struct px_leg *leg = &run->plan.leg[i];
        int64_t width = is_close(leg->series) ? bar_ns(leg->series) : 0;

        if (!is_first(&run->plan, i))
            continue;
        if (leg->series == PX_SERIES_AGE && now_ns - run->last_ns >= leg->a * PX_NS_PER_MS)
            feed(run, i, leg->a, run->last_ns + leg->a * PX_NS_PER_MS);
        else if (width > 0 && now_ns / width > run->last_ns / width)
            feed(run, i, run->last, (run->last_ns / width + 1) * width);
    }
}

static void hear(struct run *run, int64_t now_ns)
{
    for (unsigned i = 0; i < run->plan.legs; i++) {
        unsigned series = run->plan.leg[i].series;

        if (!is_first(&run->plan, i))
            continue;
        if (series == PX_SERIES_LAST)
            feed(run, i, run->last, now_ns);
        else if (series == PX_SERIES_AGE)
            feed(run, i, 0, now_ns);
        else if (is_move(series))
            feed(run, i, move_of(run, i, series), now_ns);
    }
}

static int take_trade(struct run *run, const struct px_trade *trade)
{
    struct step now = {trade->time_ns, trade->price};

    if ((trade->flags & PX_TICK_QUARANTINED) || (run->last != PX_PRICE_NONE && trade->time_ns < run->last_ns)) /* late: fires nothing */
        return 0;
    if (run->last == PX_PRICE_NONE)
        run->known_ns = trade->time_ns;
    pass_time(run, trade->time_ns);
    for (unsigned i = 0; i < run->plan.legs; i++) {
        unsigned series = run->plan.leg[i].series;

        if (is_move(series) && !slide(&run->window[i], is_fall(series), &now, window_ns(series)))
            return PX_E_MEMORY;
    }
    run->last = trade->price;
    run->last_ns = trade->time_ns;
    run->sequence = trade->sequence;
    hear(run, trade->time_ns);
    return 0;
}

/* ---- over history ---- */

/* The last trade before that time, at most so long before. */
static int trade_before(struct run *run, px_asset_id asset, int64_t time_ns, int64_t within_ns, struct px_trade *tradep, bool *foundp)
{
    struct px_range range = {.start_ns = PX_TIME_NONE, .end_ns = time_ns, .limit = 1, .descending = true};
    struct px_page page;
    int rc = px_reader_ticks(run->request->thread->reader, asset, false, &range, tradep, &page);

    *foundp = rc == 0 && page.count == 1 && tradep->time_ns >= time_ns - within_ns;
    return rc;
}

/* The price that stood when the range began arms the plan, as a present price arms an alert that is made. */
static int arm(struct run *run, px_asset_id asset, int64_t start_ns)
{
    struct px_moment moment = {++run->position, start_ns, start_ns};
    int64_t values[PX_SERIES];
    struct px_trade trade;
    bool found;
    int rc = trade_before(run, asset, start_ns, BEFORE_NS, &trade, &found);

    for (unsigned i = 0; i < PX_SERIES; i++)
        values[i] = PX_PRICE_NONE;
    run->last = PX_PRICE_NONE;
    if (found) {
        values[PX_SERIES_LAST] = run->last = trade.price;
        run->known_ns = run->last_ns = trade.time_ns;
        for (unsigned i = 0; i < run->plan.legs && rc == 0; i++)
            if (is_move(run->plan.leg[i].series) &&
                !slide(&run->window[i], false, &(struct step){trade.time_ns, trade.price}, window_ns(run->plan.leg[i].series)))
                rc = PX_E_MEMORY;
    }
    enum px_verdict verdict = rc == 0 ? px_plan_arm(&run->plan, values, &moment) : PX_VERDICT_NOTHING;
    if (verdict == PX_VERDICT_FIRES || verdict == PX_VERDICT_LAST)
        run->fires[run->count++] = (struct fire){start_ns, run->last};
    run->over = verdict == PX_VERDICT_LAST || verdict == PX_VERDICT_EXPIRED;
    return rc;
}

static bool is_full(const struct run *run)
{
    return run->over || run->count >= FIRES_MAX || run->ticks >= TICKS_MAX;
}

static int walk(struct run *run, px_asset_id asset, struct px_range *range, bool *completep)
{
    struct px_trade *trades = malloc(range->limit * sizeof *trades);
    struct px_page page = {.more = true};
    int rc = trades ? 0 : PX_E_MEMORY;
    uint32_t left = 0;

    while (rc == 0 && page.more && !is_full(run)) {
        rc = px_reader_ticks(run->request->thread->reader, asset, false, range, trades, &page);
        for (left = rc == 0 ? page.count : 0; rc == 0 && left > 0 && !is_full(run); left--, run->ticks++)
            rc = take_trade(run, &trades[page.count - left]);
        range->cursor = page.next;
    }
    *completep = run->over || (!page.more && left == 0);
    if (rc == 0 && *completep && !run->over)
        pass_time(run, PX_MIN(range->end_ns, px_wall_now()));
    free(trades);
    return rc;
}

/* ---- going on ---- */

enum { AT_TIME, AT_SEQUENCE, AT_PLAN, AT_FIRED, AT_PRICE };
_Static_assert(AT_PRICE < PXI_CURSOR_WORDS, "fits a cursor");

#define PLAN_BITS 16 /* waiting, and two bits for the zone of each leg; above them the fires */

static void write_cursor(const struct run *run, struct px_json *json)
{
    uint64_t bits = run->plan.waiting, words[PXI_CURSOR_WORDS] = {0};
    char cursor[PXI_CURSOR_SIZE];

    for (unsigned i = 0; i < run->plan.legs; i++)
        bits |= (uint64_t)run->plan.leg[i].zone << (1 + 2 * i);
    words[AT_TIME] = (uint64_t)run->last_ns;
    words[AT_SEQUENCE] = run->sequence;
    words[AT_PLAN] = bits | run->plan.fires << PLAN_BITS;
    words[AT_FIRED] = (uint64_t)run->plan.fired_ns;
    words[AT_PRICE] = (uint64_t)run->last;
    pxi_cursor_write(words, PXI_CURSOR_WORDS, cursor);
    px_json_string(json, px_text_of(cursor));
}

static void read_cursor(const uint64_t words[PXI_CURSOR_WORDS], struct run *run, struct px_range *range)
{
    run->plan.waiting = words[AT_PLAN] & 1;
    for (unsigned i = 0; i < run->plan.legs; i++)
        run->plan.leg[i].zone = words[AT_PLAN] >> (1 + 2 * i) & 3;
    run->plan.fires = run->before = words[AT_PLAN] >> PLAN_BITS;
    run->plan.fired_ns = (int64_t)words[AT_FIRED];
    run->last = (int64_t)words[AT_PRICE];
    run->last_ns = (int64_t)words[AT_TIME];
    run->sequence = words[AT_SEQUENCE];
    range->cursor = (struct px_cursor){.set = true, .time_ns = run->last_ns, .sequence = run->sequence};
}

/* Since when there was a price in the whole of the range. */
static int find_known(struct run *run, px_asset_id asset, int64_t start_ns)
{
    struct px_range range = {.start_ns = start_ns, .end_ns = run->last_ns + 1, .limit = 1};
    struct px_trade trade;
    struct px_page page;
    bool found;
    int rc = trade_before(run, asset, start_ns, BEFORE_NS, &trade, &found);

    if (rc == 0 && !found) {
        rc = px_reader_ticks(run->request->thread->reader, asset, false, &range, &trade, &page);
        found = rc == 0 && page.count == 1;
    }
    run->known_ns = found ? trade.time_ns : run->last_ns;
    return rc;
}

static bool is_behind(const struct px_trade *trade, const struct run *run)
{
    return trade->time_ns > run->last_ns || (trade->time_ns == run->last_ns && trade->sequence > run->sequence);
}

/* The window of a move as it stood at the cursor: the price that held when it began, and what came since. */
static int refill(struct run *run, px_asset_id asset, unsigned at, struct px_trade *trades)
{
    unsigned series = run->plan.leg[at].series;
    int64_t width = window_ns(series), from_ns = PX_MAX(run->last_ns - width, run->known_ns);
    struct px_range range = {.start_ns = from_ns, .end_ns = run->last_ns + 1, .limit = PX_PAGE_MAX};
    struct px_page page = {.more = true};
    bool found, full = false;
    int rc = trade_before(run, asset, from_ns, from_ns - run->known_ns, &trades[0], &found);

    if (found && !slide(&run->window[at], is_fall(series), &(struct step){trades[0].time_ns, trades[0].price}, width))
        return PX_E_MEMORY;
    while (rc == 0 && page.more && !full) {
        rc = px_reader_ticks(run->request->thread->reader, asset, false, &range, trades, &page);
        for (uint32_t i = 0; rc == 0 && i < page.count && !(full = is_behind(&trades[i], run)); i++)
            if (!(trades[i].flags & PX_TICK_QUARANTINED) &&
                !slide(&run->window[at], is_fall(series), &(struct step){trades[i].time_ns, trades[i].price}, width))
                rc = PX_E_MEMORY;
        range.cursor = page.next;
    }
    return rc;
}

static int resume(struct run *run, px_asset_id asset, int64_t start_ns)
{
    struct px_trade *trades = malloc(PX_PAGE_MAX * sizeof *trades);
    int rc = trades ? find_known(run, asset, start_ns) : PX_E_MEMORY;

    for (unsigned i = 0; i < run->plan.legs && rc == 0; i++)
        if (is_move(run->plan.leg[i].series))
            rc = refill(run, asset, i, trades);
    free(trades);
    return rc;
}

/* ---- request and answer ---- */

static bool take_time(struct px_request *request, json_t *root, const char *name, int64_t *nsp)
{
    json_t *value = json_object_get(root, name);
    char pointer[32];
    bool good = json_is_string(value) && px_time_parse(px_text_of(json_string_value(value)), nsp) == 0;

    snprintf(pointer, sizeof pointer, "/%s", name);
    if (!good)
        px_problem_add(&request->problem, pointer, value ? "must be a time such as \"2030-01-31T12:00:00Z\"" : "is required");
    json_object_del(root, name);
    return good;
}

static void check_sources(struct px_request *request, const struct px_alert *alert, const struct px_plan *plan)
{
    char pointer[40] = "/condition/source";

    for (unsigned i = 0; i < plan->legs; i++) {
        unsigned series = plan->leg[i].series;

        if (alert->rule.conditions > 1)
            snprintf(pointer, sizeof pointer, "/all_of/%u/source", i);
        if (series != PX_SERIES_LAST && series != PX_SERIES_AGE && !is_close(series) && !is_move(series))
            px_problem_add(&request->problem, pointer, "must be last or close: no others are stored as they were");
    }
}

static void write_run(struct run *run, const struct px_symbol *symbol, bool complete, int64_t end_ns)
{
    struct px_json *json = pxi_json(run->request);

    if (!pxi_reserve(run->request, run->count * FIRE_BYTES + 512))
        return;
    px_json_open(json, '{');
    px_json_kv_string(json, "symbol", symbol->name);
    px_json_kv_int(json, "ticks", run->ticks);
    px_json_kv_bool(json, "complete", complete);
    px_json_kv_time(json, "until_time", complete ? end_ns : run->last_ns);
    px_json_key(json, "next_cursor");
    if (complete)
        px_json_null(json);
    else
        write_cursor(run, json);
    px_json_key(json, "fires");
    px_json_open(json, '[');
    for (uint32_t i = 0; i < run->count; i++) {
        px_json_open(json, '{');
        px_json_kv_int(json, "fire", (int64_t)run->before + i + 1);
        px_json_kv_time(json, "time", run->fires[i].time_ns);
        px_json_kv_decimal(json, "price", run->fires[i].price, symbol->scale);
        px_json_close(json, '}');
    }
    px_json_close(json, ']');
    px_json_close(json, '}');
}

static void test(struct px_request *request, const struct px_alert *alert, const struct px_symbol *symbol, struct px_range *range,
                 const uint64_t *cursor)
{
    struct run run = {.request = request};
    bool complete = false;
    int rc = px_rule_plan(&alert->rule, symbol->scale, &run.plan, NULL);

    if (rc == 0)
        check_sources(request, alert, &run.plan);
    if (request->problem.kind != PX_PROBLEM_NONE)
        return;
    run.fires = malloc(FIRES_ROOM * sizeof *run.fires);
    rc = rc == 0 && !run.fires ? PX_E_MEMORY : rc;
    if (rc == 0 && cursor)
        read_cursor(cursor, &run, range);
    if (rc == 0)
        rc = cursor ? resume(&run, alert->asset, range->start_ns) : arm(&run, alert->asset, range->start_ns);
    if (rc == 0)
        rc = walk(&run, alert->asset, range, &complete);
    if (rc < 0)
        pxi_keeper_failed(request, rc);
    else
        write_run(&run, symbol, complete, range->end_ns);
    for (unsigned i = 0; i < PX_LEGS_MAX; i++)
        free(run.window[i].step);
    free(run.fires);
}

/* False: there is none. */
static bool take_cursor(struct px_request *request, json_t *root, uint64_t words[PXI_CURSOR_WORDS])
{
    json_t *value = json_object_get(root, "cursor");
    bool any = value && !json_is_null(value);

    if (any && (!json_is_string(value) || pxi_cursor_read(px_text_of(json_string_value(value)), words, PXI_CURSOR_WORDS) < 0))
        px_problem_add(&request->problem, "/cursor", "is not one that an answer gave");
    json_object_del(root, "cursor");
    return any;
}

void pxi_post_backtest(struct px_request *request)
{
    struct px_range range = {.limit = PX_PAGE_MAX};
    uint64_t cursor[PXI_CURSOR_WORDS];
    struct px_symbol symbol;
    struct px_alert alert;
    json_t *root = px_body_parse(request->body, &request->problem);

    if (!root)
        return;
    bool good = take_time(request, root, "start", &range.start_ns);
    good &= take_time(request, root, "end", &range.end_ns);
    if (good && range.start_ns >= range.end_ns)
        px_problem_add(&request->problem, "/end", "must be later than start");
    bool again = take_cursor(request, root, cursor);
    px_alert_body_take(root, pxi_alert_asset, request, &alert, &request->problem);
    json_decref(root);
    if (request->problem.kind == PX_PROBLEM_NONE && pxi_asset_at(request, alert.asset, &symbol))
        test(request, &alert, &symbol, &range, again ? cursor : NULL);
}
