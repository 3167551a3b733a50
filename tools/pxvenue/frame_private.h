/* One message on its way to the clients, and what became of it. */
#pragma once

#include "base/types.h"

/* Binance stamps in milliseconds, or in microseconds for who asks for them. */
enum pxi_unit { PXI_UNIT_MS, PXI_UNIT_US, PXI_UNITS };

enum pxi_frame_kind { PXI_FRAME_OTHER, PXI_FRAME_TRADE, PXI_FRAME_QUOTE };

#define PXI_STREAM_ALL UINT32_MAX /* heard by every client that has subscribed to anything */

struct pxi_frame {
    struct px_text text[PXI_UNITS]; /* text[PXI_UNIT_US].len == 0: the same in both units */
    uint32_t stream;                /* index into the streams, or PXI_STREAM_ALL */
    enum pxi_frame_kind kind;
};

/* name, word in the journal and in the summary */
#define PXI_FATE_TABLE(X)                                                                                              \
    X(SENT, "sent")                                                                                                    \
    X(UNHEARD, "unheard")                                                                                              \
    X(DROPPED, "dropped")                                                                                              \
    X(GARBLED, "garbled")                                                                                              \
    X(DUPLICATED, "duplicated")                                                                                        \
    X(DELAYED, "delayed")                                                                                              \
    X(REORDERED, "reordered")

enum pxi_fate {
#define PXI_FATE_ENUM(name, word) PXI_FATE_##name,
    PXI_FATE_TABLE(PXI_FATE_ENUM)
#undef PXI_FATE_ENUM
        PXI_FATES
};

const char *pxi_fate_word(enum pxi_fate fate);
