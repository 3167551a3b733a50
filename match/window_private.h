/*
 * The nearest rows of one list, sorted, nearest first.
 *
 *      at[first] ... at[first + count - 1]     everything of the list up to `edge`, which is the last row that is known
 *
 * complete: there is nothing behind the last entry. Not loaded: nothing is known. Private memory.
 */
#pragma once

#include "match/book.h"

#define PXI_INLINE 21 /* bytes of a plan that lie in the entry */

struct pxi_entry {
    int64_t level;
    struct px_alert_id alert;
    uint16_t len; /* > PXI_INLINE: bytes hold a pointer to them */
    uint8_t leg;
    uint8_t bytes[PXI_INLINE];
};
_Static_assert(sizeof(struct pxi_entry) == 48, "windows of millions of alerts are made of these");

struct pxi_window {
    struct pxi_entry *at;
    uint32_t first, count, size;
    uint32_t width; /* rows to fetch when it runs short */
    bool loaded, complete, down;
    bool fresh;  /* the group under way has changed something up to the edge */
    bool behind; /* and something behind it, which a scan would not see yet */
    struct pxi_entry edge; /* level, alert, leg; meaningful when loaded and not complete */
};

/* < 0: a is reached before b. */
int pxi_entry_order(const struct pxi_entry *a, const struct pxi_entry *b, bool down);

static inline struct pxi_entry *pxi_window_at(const struct pxi_window *window, uint32_t i)
{
    return &window->at[window->first + i];
}

/* The index of the entry with this key, or where it would stand; *foundp. */
uint32_t pxi_window_find(const struct pxi_window *window, const struct pxi_entry *key, bool *foundp);

/* Is a row with this key kept in the window, if it exists? */
bool pxi_window_covers(const struct pxi_window *window, const struct pxi_entry *key);

int pxi_window_insert(struct pxi_window *window, const struct pxi_entry *key, const uint8_t *bytes, size_t len); /* replaces; PX_E_MEMORY */
void pxi_window_remove(struct pxi_window *window, uint32_t i);
void pxi_window_trim(struct pxi_window *window, uint32_t count); /* the farthest go, if there are more */
void pxi_window_fit(struct pxi_window *window);                  /* no more memory than it needs */
void pxi_window_clear(struct pxi_window *window);                /* not loaded any more */

static inline const uint8_t *pxi_entry_bytes(const struct pxi_entry *entry)
{
    const uint8_t *far;

    if (entry->len <= PXI_INLINE)
        return entry->bytes;
    memcpy(&far, entry->bytes, sizeof far);
    return far;
}
