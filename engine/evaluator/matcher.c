#include "engine/evaluator/matcher.h"

#include <stdlib.h>

#include "base/error.h"
#include "match/plan.h"

enum side { UP, DOWN, UNPLACED, SIDES };

struct entry { /* one an armed alert, in a dense array; index + 1 is its name inside here */
    struct px_alert_id alert;
    int64_t level;
    px_asset_id asset;
    uint16_t op;
    uint16_t side; /* enum side in which it lies */
    uint32_t next_free;
};

struct place {
    int64_t level;
    uint32_t entry;
};

/* Sorted so that the nearest is last: a fire pops, and the nearest is one load away. */
struct list {
    struct place *at;
    uint32_t count, size;
};

struct px_matcher {
    struct list *list; /* assets * SIDES */
    uint32_t assets;
    struct entry *entry;
    uint32_t entry_count, entry_size, free; /* free: index + 1 */
    uint32_t *bucket;                       /* open addressing by alert id; entry + 1, 0 = empty */
    uint32_t bucket_count;
    uint64_t armed;
};

#define FIRST_BUCKETS 1024u

int px_matcher_create(uint32_t assets, struct px_matcher **matcherp)
{
    struct px_matcher *matcher = calloc(1, sizeof(*matcher));

    if (matcher == NULL)
        return PX_E_MEMORY;
    matcher->assets = assets;
    matcher->list = calloc((size_t)assets * SIDES, sizeof(*matcher->list));
    matcher->bucket_count = FIRST_BUCKETS;
    matcher->bucket = calloc(matcher->bucket_count, sizeof(*matcher->bucket));
    if (matcher->list == NULL || matcher->bucket == NULL) {
        px_matcher_destroy(&matcher);
        return PX_E_MEMORY;
    }
    *matcherp = matcher;
    return 0;
}

void px_matcher_destroy(struct px_matcher **matcherp)
{
    struct px_matcher *matcher = *matcherp;

    for (size_t i = 0; matcher->list != NULL && i < (size_t)matcher->assets * SIDES; i++)
        free(matcher->list[i].at);
    free(matcher->list);
    free(matcher->entry);
    free(matcher->bucket);
    free(matcher);
    *matcherp = NULL;
}

void px_matcher_clear(struct px_matcher *matcher)
{
    for (size_t i = 0; i < (size_t)matcher->assets * SIDES; i++)
        matcher->list[i].count = 0;
    memset(matcher->bucket, 0, matcher->bucket_count * sizeof(*matcher->bucket));
    matcher->entry_count = matcher->free = 0;
    matcher->armed = 0;
}

uint64_t px_matcher_count(const struct px_matcher *matcher)
{
    return matcher->armed;
}

/* ---- alerts by id ---- */

static uint32_t bucket_of(const struct px_matcher *matcher, struct px_alert_id alert)
{
    uint64_t hash = (alert.lo ^ alert.hi) * UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t)(hash >> 32) & (matcher->bucket_count - 1);
}

static uint32_t find_bucket(const struct px_matcher *matcher, struct px_alert_id alert)
{
    uint32_t at = bucket_of(matcher, alert);

    for (; matcher->bucket[at] != 0; at = (at + 1) & (matcher->bucket_count - 1)) {
        const struct entry *entry = &matcher->entry[matcher->bucket[at] - 1];

        if (entry->alert.hi == alert.hi && entry->alert.lo == alert.lo)
            break;
    }
    return at;
}

/* Removal by moving the followers up, so that no tombstones pile up. */
static void bucket_remove(struct px_matcher *matcher, uint32_t hole)
{
    uint32_t mask = matcher->bucket_count - 1, at = hole;

    for (;;) {
        at = (at + 1) & mask;
        if (matcher->bucket[at] == 0)
            break;
        uint32_t home = bucket_of(matcher, matcher->entry[matcher->bucket[at] - 1].alert);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            matcher->bucket[hole] = matcher->bucket[at];
            hole = at;
        }
    }
    matcher->bucket[hole] = 0;
}

static int grow_buckets(struct px_matcher *matcher)
{
    uint32_t count = matcher->bucket_count;
    uint32_t *old = matcher->bucket, *bucket;

    if (matcher->armed + 1 <= count / 2)
        return 0;
    bucket = calloc((size_t)count * 2, sizeof(*bucket));
    if (bucket == NULL)
        return PX_E_MEMORY;
    matcher->bucket = bucket;
    matcher->bucket_count = count * 2;
    for (uint32_t i = 0; i < count; i++)
        if (old[i] != 0)
            bucket[find_bucket(matcher, matcher->entry[old[i] - 1].alert)] = old[i];
    free(old);
    return 0;
}

static int take_entry(struct px_matcher *matcher, uint32_t *entryp)
{
    if (matcher->free != 0) {
        *entryp = matcher->free - 1;
        matcher->free = matcher->entry[*entryp].next_free;
        return 0;
    }
    if (matcher->entry_count == matcher->entry_size) {
        uint32_t size = matcher->entry_size == 0 ? 1024 : matcher->entry_size * 2;
        struct entry *entry = realloc(matcher->entry, (size_t)size * sizeof(*entry));

        if (entry == NULL)
            return PX_E_MEMORY;
        matcher->entry = entry;
        matcher->entry_size = size;
    }
    *entryp = matcher->entry_count++;
    return 0;
}

/* ---- the ordered lists ---- */

static struct list *list_of(struct px_matcher *matcher, px_asset_id asset, enum side side)
{
    return &matcher->list[(size_t)asset * SIDES + side];
}

/* The position of the first place that lies nearer to the price than `level`; equal levels keep their order of arrival. */
static uint32_t list_position(const struct list *list, enum side side, int64_t level)
{
    uint32_t low = 0, high = list->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        bool farther = side == DOWN ? list->at[middle].level < level : list->at[middle].level > level;

        if (farther)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int list_insert(struct px_matcher *matcher, uint32_t entry, enum side side)
{
    struct list *list = list_of(matcher, matcher->entry[entry].asset, side);
    int64_t level = matcher->entry[entry].level;
    uint32_t at;

    if (list->count == list->size) {
        uint32_t size = list->size == 0 ? 4 : list->size * 2;
        struct place *place = realloc(list->at, (size_t)size * sizeof(*place));

        if (place == NULL)
            return PX_E_MEMORY;
        list->at = place;
        list->size = size;
    }
    at = side == UNPLACED ? list->count : list_position(list, side, level);
    memmove(&list->at[at + 1], &list->at[at], (list->count - at) * sizeof(*list->at));
    list->at[at] = (struct place){level, entry};
    list->count++;
    matcher->entry[entry].side = (uint16_t)side;
    return 0;
}

static void list_remove(struct px_matcher *matcher, uint32_t entry)
{
    enum side side = matcher->entry[entry].side;
    struct list *list = list_of(matcher, matcher->entry[entry].asset, side);
    uint32_t at = side == UNPLACED ? 0 : list_position(list, side, matcher->entry[entry].level);

    while (list->at[at].entry != entry) {
        at++;
        PX_CHECK(at < list->count);
    }
    memmove(&list->at[at], &list->at[at + 1], (list->count - at - 1) * sizeof(*list->at));
    list->count--;
}

/* ---- conditions ---- */

static bool is_crossing(unsigned op)
{
    return op == PX_OP_CROSSING_UP || op == PX_OP_CROSSING_DOWN;
}

static enum side fires_from(unsigned op)
{
    return op == PX_OP_GREATER_OR_EQUAL || op == PX_OP_CROSSING_UP ? UP : DOWN;
}

static bool reached(enum side side, int64_t level, int64_t price)
{
    return side == UP ? price >= level : price <= level;
}

static void forget(struct px_matcher *matcher, uint32_t entry)
{
    bucket_remove(matcher, find_bucket(matcher, matcher->entry[entry].alert));
    matcher->entry[entry].next_free = matcher->free;
    matcher->free = entry + 1;
    matcher->armed--;
}

/*
 * Where an alert waits, given the last price. A crossing up with L <= p waits in `down` with level L - 1: when the price has fallen below L it
 * moves to `up`.
 */
static enum side place_for(const struct entry *entry, int64_t last)
{
    enum side side = fires_from(entry->op);

    if (!is_crossing(entry->op))
        return side;
    if (last == PX_PRICE_NONE)
        return UNPLACED;
    return reached(side, entry->level, last) ? (side == UP ? DOWN : UP) : side;
}

static int64_t waiting_level(const struct entry *entry, int64_t level, enum side side)
{
    enum side fires = fires_from(entry->op);

    if (side == UNPLACED || side == fires)
        return level;
    return fires == UP ? level - 1 : level + 1;
}

static int64_t firing_level(const struct entry *entry)
{
    enum side fires = fires_from(entry->op);

    if (entry->side == UNPLACED || entry->side == fires)
        return entry->level;
    return fires == UP ? entry->level + 1 : entry->level - 1;
}

static int put(struct px_matcher *matcher, uint32_t entry, int64_t level, int64_t last)
{
    struct entry *e = &matcher->entry[entry];
    enum side side;

    e->level = level;
    side = place_for(e, last);
    e->level = waiting_level(e, level, side);
    return list_insert(matcher, entry, side);
}

int px_matcher_add(struct px_matcher *matcher, const struct px_arm *arm, int64_t last, px_matcher_fired *fired,
                   void *context)
{
    uint32_t entry, at;

    PX_CHECK(arm->asset < matcher->assets);
    if (matcher->bucket[find_bucket(matcher, arm->alert)] != 0)
        return 0;
    if (!is_crossing(arm->op) && last != PX_PRICE_NONE && reached(fires_from(arm->op), arm->level, last)) {
        fired(context, arm->alert, arm->op);
        return 0;
    }
    if (grow_buckets(matcher) < 0 || take_entry(matcher, &entry) < 0)
        return PX_E_MEMORY;
    matcher->entry[entry] = (struct entry){.alert = arm->alert, .asset = arm->asset, .op = arm->op};
    at = find_bucket(matcher, arm->alert);
    matcher->bucket[at] = entry + 1;
    matcher->armed++;
    if (put(matcher, entry, arm->level, last) < 0) {
        forget(matcher, entry);
        return PX_E_MEMORY;
    }
    return 0;
}

int px_matcher_remove(struct px_matcher *matcher, struct px_alert_id alert)
{
    uint32_t entry = matcher->bucket[find_bucket(matcher, alert)];

    if (entry == 0)
        return PX_E_NOT_FOUND;
    list_remove(matcher, entry - 1);
    forget(matcher, entry - 1);
    return 0;
}

/* Takes what the price has reached off one side: it fires, or a crossing that has gone to its right side changes over. */
static void sweep(struct px_matcher *matcher, px_asset_id asset, enum side side, int64_t price, px_matcher_fired *fired,
                  void *context)
{
    struct list *list = list_of(matcher, asset, side);

    while (list->count > 0 && reached(side, list->at[list->count - 1].level, price)) {
        uint32_t entry = list->at[--list->count].entry;
        struct entry *e = &matcher->entry[entry];

        if (fires_from(e->op) == side) {
            struct px_alert_id alert = e->alert;
            unsigned op = e->op;

            forget(matcher, entry);
            fired(context, alert, op);
        } else {
            int result = put(matcher, entry, firing_level(e), price);

            PX_CHECK(result == 0); /* growth of a list by one; out of memory here ends the process, and its successor reloads */
        }
    }
}

static void place_waiting(struct px_matcher *matcher, px_asset_id asset, int64_t price)
{
    struct list *list = list_of(matcher, asset, UNPLACED);

    while (list->count > 0) {
        uint32_t entry = list->at[--list->count].entry;
        int result = put(matcher, entry, matcher->entry[entry].level, price);

        PX_CHECK(result == 0);
    }
}

void px_matcher_price(struct px_matcher *matcher, px_asset_id asset, int64_t price, px_matcher_fired *fired,
                      void *context)
{
    PX_CHECK(asset < matcher->assets);
    sweep(matcher, asset, UP, price, fired, context);
    sweep(matcher, asset, DOWN, price, fired, context);
    place_waiting(matcher, asset, price);
}

/* ---- several prices at once ---- */

static void fire(struct px_matcher *matcher, uint32_t entry, px_matcher_fired *fired, void *context)
{
    struct px_alert_id alert = matcher->entry[entry].alert;
    unsigned op = matcher->entry[entry].op;

    forget(matcher, entry);
    fired(context, alert, op);
}

/* What was reached and waits to fire there does; what waited for the other side is set aside. */
static void sweep_span(struct px_matcher *matcher, px_asset_id asset, enum side side, int64_t price, px_matcher_fired *fired,
                       void *context)
{
    struct list *list = list_of(matcher, asset, side);

    while (list->count > 0 && reached(side, list->at[list->count - 1].level, price)) {
        uint32_t entry = list->at[--list->count].entry;
        struct entry *e = &matcher->entry[entry];
        int result = 0;

        if (fires_from(e->op) == side) {
            fire(matcher, entry, fired, context);
        } else {
            e->level = firing_level(e);
            result = list_insert(matcher, entry, UNPLACED);
        }
        PX_CHECK(result == 0); /* as in sweep */
    }
}

static bool crossed_back(const struct entry *entry, const struct px_bounds *span)
{
    if (entry->op == PX_OP_CROSSING_UP)
        return span->rise_from < entry->level && entry->level <= span->rise_to;
    return entry->op == PX_OP_CROSSING_DOWN && span->fall_to <= entry->level && entry->level < span->fall_from;
}

void px_matcher_span(struct px_matcher *matcher, px_asset_id asset, const struct px_bounds *span, px_matcher_fired *fired,
                     void *context)
{
    struct list *aside = list_of(matcher, asset, UNPLACED);

    PX_CHECK(asset < matcher->assets && span->low <= span->last && span->last <= span->high);
    sweep_span(matcher, asset, UP, span->high, fired, context);
    sweep_span(matcher, asset, DOWN, span->low, fired, context);
    while (aside->count > 0) {
        uint32_t entry = aside->at[--aside->count].entry;
        int result = 0;

        if (crossed_back(&matcher->entry[entry], span))
            fire(matcher, entry, fired, context);
        else
            result = put(matcher, entry, matcher->entry[entry].level, span->last);
        PX_CHECK(result == 0);
    }
}
