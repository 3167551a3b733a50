/*
 * A market told line by line, for tests that must know each tick:
 *
 *   <delay_ms> <symbol> <price> <size>      after a pause of delay_ms, this trade; price and size go out as they stand
 * here # a remark, or an empty line
 */
#pragma once

#include "tools/pxvenue/market_private.h"

#define PXI_SCRIPT_LINES_MAX (1u << 20)

struct pxi_script;

/* Reads all of it. On an error prints file, line and reason. PX_E_IO, PX_E_FORMAT, PX_E_TOO_LARGE, PX_E_MEMORY. */
int pxi_script_open(const char *path, struct pxi_script **scriptp);
void pxi_script_close(struct pxi_script **scriptp);

/* The symbols that occur, "BTCUSD,ETHUSD", and how many they are; lives as long as the script. */
const char *pxi_script_symbols(const struct pxi_script *script, uint32_t *countp);

/* The source; each symbol must be an asset of the market, else PX_E_NOT_FOUND. */
int pxi_script_source(struct pxi_script *script, struct pxi_market *market, struct pxi_source **sourcep);
