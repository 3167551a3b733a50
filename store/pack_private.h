/* Inside store/: numbers and texts one after another in a row of bytes. A row that does not fit what is read is `bad`, once and for all. */
#pragma once

#include "base/types.h"

struct pxi_bytes {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static inline uint8_t *pxi_pack(uint8_t *to, const void *from, size_t n)
{
    memcpy(to, from, n);
    return to + n;
}

static inline uint8_t *pxi_pack_text(uint8_t *to, const char *text, size_t size)
{
    uint16_t n = (uint16_t)strnlen(text, size - 1);

    return pxi_pack(pxi_pack(to, &n, sizeof n), text, n);
}

static inline void pxi_take(struct pxi_bytes *from, void *to, size_t n)
{
    if (from->bad || from->left < n) {
        from->bad = true;
        return;
    }
    memcpy(to, from->at, n);
    from->at += n;
    from->left -= n;
}

/* `to` has been zeroed, so the text is terminated. */
static inline void pxi_take_text(struct pxi_bytes *from, char *to, size_t size)
{
    uint16_t n = 0;

    pxi_take(from, &n, sizeof n);
    if (n >= size)
        from->bad = true;
    else
        pxi_take(from, to, n);
}
