/* The names that clients subscribe to ("btcusdt@trade"), each with a dense number. */
#pragma once

#include "base/types.h"

#define PXI_STREAM_NONE     UINT32_MAX
#define PXI_STREAMS_MAX     (1u << 18)
#define PXI_STREAM_NAME_MAX 63

struct pxi_streams;

/* Room for PXI_STREAMS_MAX names. PX_E_MEMORY. */
int pxi_streams_create(struct pxi_streams **streamsp);
void pxi_streams_destroy(struct pxi_streams **streamsp);

/* The number of `name`, which is added if it is new. PX_E_FULL, PX_E_TOO_LARGE, PX_E_MEMORY. */
int pxi_streams_add(struct pxi_streams *streams, struct px_text name, uint32_t *idp);

/* PXI_STREAM_NONE if nobody added it. */
uint32_t pxi_streams_find(const struct pxi_streams *streams, struct px_text name);

uint32_t pxi_streams_count(const struct pxi_streams *streams);

/* Terminated; valid until destroy. */
struct px_text pxi_streams_name(const struct pxi_streams *streams, uint32_t id);
