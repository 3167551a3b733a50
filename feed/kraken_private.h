/* Version 2 of Kraken's messages. Private to feed/kraken*.c. */
#pragma once

#include "feed/dialect_private.h"

#include "base/json_out.h"

/* The frame is an object without "event". */
int pxi_kraken_v2_read(struct pxi_frame *frame);
int pxi_kraken_v2_read_cut(struct pxi_frame *frame);

/* The subscription of symbols first .. end-1 to trades, or else to quotes. */
void pxi_kraken_v2_write(struct px_json *json, const struct px_dialect_request *request, bool trades, uint32_t first,
                         uint32_t end);
