#include "match/window_private.h"

#include <stdlib.h>

#include "base/error.h"

static int compare_ids(struct px_alert_id a, struct px_alert_id b)
{
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return a.lo == b.lo ? 0 : a.lo < b.lo ? -1 : 1;
}

int pxi_entry_order(const struct pxi_entry *a, const struct pxi_entry *b, bool down)
{
    if (a->level != b->level)
        return (a->level < b->level) != down ? -1 : 1;
    int ids = compare_ids(a->alert, b->alert);
    return ids != 0 ? ids : (int)a->leg - (int)b->leg;
}

uint32_t pxi_window_find(const struct pxi_window *window, const struct pxi_entry *key, bool *foundp)
{
    uint32_t low = 0, high = window->count;

    *foundp = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = pxi_entry_order(pxi_window_at(window, middle), key, window->down);

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

bool pxi_window_covers(const struct pxi_window *window, const struct pxi_entry *key)
{
    return window->loaded && (window->complete || pxi_entry_order(key, &window->edge, window->down) <= 0);
}

static void forget(struct pxi_entry *entry)
{
    if (entry->len > PXI_INLINE)
        free((void *)(uintptr_t)pxi_entry_bytes(entry));
}

static int keep(struct pxi_entry *entry, const uint8_t *bytes, size_t len)
{
    entry->len = (uint16_t)len;
    if (len <= PXI_INLINE) {
        memcpy(entry->bytes, bytes, len);
        return 0;
    }
    uint8_t *far = malloc(len);
    if (!far)
        return PX_E_MEMORY;
    memcpy(far, bytes, len);
    memcpy(entry->bytes, &far, sizeof far);
    return 0;
}

static int make_room(struct pxi_window *window)
{
    if (window->first + window->count < window->size)
        return 0;
    if (window->first > window->size / 4) {
        memmove(window->at, pxi_window_at(window, 0), window->count * sizeof *window->at);
        window->first = 0;
        return 0;
    }
    uint32_t size = PX_MAX(window->size * 2, 8u);
    struct pxi_entry *at = realloc(window->at, size * sizeof *at);
    if (!at)
        return PX_E_MEMORY;
    window->at = at;
    window->size = size;
    return 0;
}

int pxi_window_insert(struct pxi_window *window, const struct pxi_entry *key, const uint8_t *bytes, size_t len)
{
    struct pxi_entry entry = *key;
    bool found;
    uint32_t i = pxi_window_find(window, key, &found);

    if (keep(&entry, bytes, len))
        return PX_E_MEMORY;
    if (found) {
        forget(pxi_window_at(window, i));
        *pxi_window_at(window, i) = entry;
        return 0;
    }
    if (i == 0 && window->first > 0) { /* before the first: there is room where others have gone */
        window->first--;
    } else {
        if (make_room(window))
            return PX_E_MEMORY;
        memmove(pxi_window_at(window, i + 1), pxi_window_at(window, i), (window->count - i) * sizeof entry);
    }
    window->count++;
    *pxi_window_at(window, i) = entry;
    return 0;
}

void pxi_window_remove(struct pxi_window *window, uint32_t i)
{
    forget(pxi_window_at(window, i));
    window->count--;
    if (i == 0)
        window->first = window->count > 0 ? window->first + 1 : 0;
    else
        memmove(pxi_window_at(window, i), pxi_window_at(window, i + 1), (window->count - i) * sizeof *window->at);
}

void pxi_window_trim(struct pxi_window *window, uint32_t count)
{
    if (window->count <= count)
        return;
    for (uint32_t i = count; i < window->count; i++)
        forget(pxi_window_at(window, i));
    window->count = count;
    window->complete = false;
    window->behind |= window->fresh;
    if (count == 0) {
        pxi_window_clear(window);
        return;
    }
    window->edge = *pxi_window_at(window, count - 1);
    if (window->size > 4 * count + 64)
        pxi_window_fit(window);
}

void pxi_window_fit(struct pxi_window *window)
{
    struct pxi_entry *at;

    if (window->size == window->count || window->count == 0) {
        if (window->count == 0 && window->size > 0) {
            free(window->at);
            window->at = NULL;
            window->first = window->size = 0;
        }
        return;
    }
    memmove(window->at, pxi_window_at(window, 0), window->count * sizeof *at);
    window->first = 0;
    at = realloc(window->at, window->count * sizeof *at);
    if (!at)
        return;
    window->at = at;
    window->size = window->count;
}

void pxi_window_clear(struct pxi_window *window)
{
    for (uint32_t i = 0; i < window->count; i++)
        forget(pxi_window_at(window, i));
    free(window->at);
    window->at = NULL;
    window->first = window->count = window->size = 0;
    window->loaded = window->complete = false;
}
