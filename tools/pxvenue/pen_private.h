/* Puts a message together in a buffer that is known to be large enough. */
#pragma once

#include "base/clock.h"
#include "base/types.h"

#define PXI_MESSAGE_SIZE 1024 /* the longest made-up message: a few symbols and decimals of at most 31 bytes each */

struct pxi_pen {
    char *at;
    size_t len, size;
};

static inline void pxi_put(struct pxi_pen *pen, struct px_text text)
{
    PX_CHECK(text.len <= pen->size - pen->len);
    memcpy(pen->at + pen->len, text.at, text.len);
    pen->len += text.len;
}

static inline void pxi_puts(struct pxi_pen *pen, const char *terminated)
{
    pxi_put(pen, px_text_of(terminated));
}

static inline void pxi_put_int(struct pxi_pen *pen, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    pxi_put(pen, (struct px_text){digits + at, sizeof(digits) - at});
}

static inline void pxi_put_rfc3339(struct pxi_pen *pen, int64_t ns)
{
    char text[PX_RFC3339_SIZE];

    pxi_put(pen, (struct px_text){text, px_rfc3339_format(ns, text)});
}
