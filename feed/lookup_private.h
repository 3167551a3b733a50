/*
 * One look-up of a host's address on a thread of its own, because the system's resolver blocks. Given up at any time:
 * the thread then ends by itself and frees what is left. Private to feed/.
 */
#pragma once

#include "net/stream.h"

struct pxi_lookup;

/* PX_E_MEMORY, PX_E_SYSTEM. */
int pxi_lookup_start(const char *host, uint16_t port, struct pxi_lookup **lookupp);

/* PX_E_AGAIN while it runs; then 0 with the address, or PX_E_NOT_FOUND. Never blocks. */
int pxi_lookup_poll(struct pxi_lookup *lookup, struct px_address *addressp);

/* Sets *lookupp to NULL, which it may be. Never blocks. */
void pxi_lookup_end(struct pxi_lookup **lookupp);
