/* The index of a book in memory: sorted rows a list, and a group under way that scans do not see until it is committed. */
#pragma once

#include <stdlib.h>

#include "base/error.h"
#include "match/book.h"

#define RAM_INLINE 38

struct ram_row {
    int64_t level;
    struct px_alert_id alert;
    uint8_t leg, len; /* len > RAM_INLINE: bytes hold a pointer */
    uint8_t bytes[RAM_INLINE];
};

struct ram_list {
    struct ram_row *row;
    uint32_t first, count, size;
};

struct ram_op {
    bool drop;
    struct px_row row;
};

struct ram {
    struct ram_list *list; /* asset, series, down */
    uint32_t assets;
    struct ram_op *op; /* the group under way */
    uint32_t ops, op_size;
    uint64_t scans, settles;
    void (*committed)(void *ctx); /* after each commit */
    void *ctx;
};

static inline struct ram_list *ram_list(struct ram *ram, px_asset_id asset, const struct px_place *place)
{
    return &ram->list[((size_t)asset * PX_SERIES + place->series) * 2 + place->down];
}

static inline int ram_order(const struct ram_row *row, int64_t level, struct px_alert_id alert, unsigned leg, bool down)
{
    if (row->level != level)
        return (row->level < level) != down ? -1 : 1;
    if (row->alert.hi != alert.hi)
        return row->alert.hi < alert.hi ? -1 : 1;
    if (row->alert.lo != alert.lo)
        return row->alert.lo < alert.lo ? -1 : 1;
    return (int)row->leg - (int)leg;
}

static inline uint32_t ram_find(const struct ram_list *list, const struct px_place *place, struct px_alert_id alert, bool *foundp)
{
    uint32_t low = list->first, high = list->first + list->count;

    *foundp = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = ram_order(&list->row[middle], place->level, alert, place->leg, place->down);

        if (order == 0) {
            *foundp = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline const uint8_t *ram_bytes(const struct ram_row *row)
{
    const uint8_t *far;

    if (row->len <= RAM_INLINE)
        return row->bytes;
    memcpy(&far, row->bytes, sizeof far);
    return far;
}

static inline void ram_free(struct ram_row *row)
{
    if (row->len > RAM_INLINE)
        free((void *)(uintptr_t)ram_bytes(row));
}

static inline void ram_keep(struct ram_row *row, const struct px_row *from)
{
    *row = (struct ram_row){from->place.level, from->alert, from->place.leg, (uint8_t)from->len, {0}};
    PX_CHECK(from->len < 256);
    if (from->len <= RAM_INLINE) {
        memcpy(row->bytes, from->bytes, from->len);
        return;
    }
    uint8_t *far = malloc(from->len);
    PX_CHECK(far != NULL);
    memcpy(far, from->bytes, from->len);
    memcpy(row->bytes, &far, sizeof far);
}

static inline void ram_remove(struct ram_list *list, uint32_t i)
{
    ram_free(&list->row[i]);
    list->count--;
    if (i == list->first)
        list->first++;
    else
        memmove(&list->row[i], &list->row[i + 1], (list->first + list->count - i) * sizeof *list->row);
}

static inline void ram_insert(struct ram_list *list, uint32_t i, const struct px_row *row)
{
    if (i == list->first && list->first > 0) {
        list->first--;
        i--;
    } else {
        if (list->first + list->count == list->size) {
            list->size = list->size == 0 ? 8 : list->size * 2;
            list->row = realloc(list->row, list->size * sizeof *list->row);
            PX_CHECK(list->row != NULL);
        }
        memmove(&list->row[i + 1], &list->row[i], (list->first + list->count - i) * sizeof *list->row);
    }
    list->count++;
    ram_keep(&list->row[i], row);
}

static inline void ram_apply(struct ram *ram, const struct ram_op *op)
{
    struct ram_list *list = ram_list(ram, op->row.asset, &op->row.place);
    bool found;
    uint32_t i = ram_find(list, &op->row.place, op->row.alert, &found);

    if (found)
        ram_remove(list, i);
    if (found && !op->drop)
        i = ram_find(list, &op->row.place, op->row.alert, &found);
    if (!op->drop)
        ram_insert(list, i, &op->row);
}

static inline struct ram_op *ram_next(struct ram *ram)
{
    if (ram->ops == ram->op_size) {
        ram->op_size = ram->op_size == 0 ? 64 : ram->op_size * 2;
        ram->op = realloc(ram->op, ram->op_size * sizeof *ram->op);
        PX_CHECK(ram->op != NULL);
    }
    return &ram->op[ram->ops++];
}

static inline void ram_put(void *ctx, const struct px_row *row)
{
    *ram_next(ctx) = (struct ram_op){false, *row};
}

static inline void ram_drop(void *ctx, px_asset_id asset, const struct px_place *place, struct px_alert_id alert)
{
    *ram_next(ctx) = (struct ram_op){true, {.alert = alert, .asset = asset, .place = *place}};
}

static inline int ram_settle(void *ctx)
{
    struct ram *ram = ctx;

    for (uint32_t i = 0; i < ram->ops; i++)
        ram_apply(ram, &ram->op[i]);
    ram->ops = 0;
    ram->settles++;
    if (ram->committed)
        ram->committed(ram->ctx);
    return 0;
}

static inline void ram_row(const struct ram_row *from, px_asset_id asset, const struct px_place *of, struct px_row *rowp)
{
    *rowp = (struct px_row){.alert = from->alert, .asset = asset, .place = *of, .len = from->len};
    rowp->place.level = from->level;
    rowp->place.leg = from->leg;
    memcpy(rowp->bytes, ram_bytes(from), from->len);
}

static inline int ram_scan(void *ctx, const struct px_row *after, unsigned limit, struct px_row *rows, unsigned *countp)
{
    struct ram *ram = ctx;
    const struct ram_list *list = ram_list(ram, after->asset, &after->place);
    bool found = false;
    uint32_t i = after->len == 0 ? list->first : ram_find(list, &after->place, after->alert, &found) + found;

    ram->scans++;
    for (*countp = 0; *countp < limit && i < list->first + list->count; i++)
        ram_row(&list->row[i], after->asset, &after->place, &rows[(*countp)++]);
    return 0;
}

static inline int ram_get(void *ctx, px_asset_id asset, const struct px_place *place, struct px_alert_id alert, struct px_row *rowp)
{
    const struct ram_list *list = ram_list(ctx, asset, place);
    bool found;
    uint32_t i = ram_find(list, place, alert, &found);

    if (!found)
        return PX_E_NOT_FOUND;
    ram_row(&list->row[i], asset, place, rowp);
    return 0;
}

static inline void ram_init(struct ram *ram, uint32_t assets)
{
    *ram = (struct ram){.assets = assets, .list = calloc((size_t)assets * PX_SERIES * 2, sizeof(struct ram_list))};
    PX_CHECK(ram->list != NULL);
}

static inline void ram_fini(struct ram *ram)
{
    for (size_t i = 0; i < (size_t)ram->assets * PX_SERIES * 2; i++) {
        for (uint32_t k = 0; k < ram->list[i].count; k++)
            ram_free(&ram->list[i].row[ram->list[i].first + k]);
        free(ram->list[i].row);
    }
    free(ram->list);
    free(ram->op);
}

static inline struct px_index ram_index(struct ram *ram)
{
    return (struct px_index){ram, ram_put, ram_drop, ram_scan, ram_get, ram_settle};
}
