/* The command line. */
#pragma once

#include "base/types.h"
#include "tools/pxvenue/faults_private.h"

#define PXI_FILES_MAX 64

struct pxi_options {
    char *files[PXI_FILES_MAX]; /* --replay */
    uint32_t file_count;
    uint64_t speed_milli; /* 0 = max */
    bool loop, restamp, everything;

    uint32_t assets, symbol_count;
    const char *prefix, *symbols, *script;
    uint32_t rate_count, rate_period;
    uint64_t ticks;
    bool no_quotes, list;
    const char *dialect;
    enum pxi_unit unit;

    struct pxi_faults_setup faults; /* its seed is the seed of everything */
    bool seed_given;

    const char *host, *journal, *cert, *key;
    uint32_t port, clients, settle_ms;
    bool exit_when_done, close_when_done, quiet, help;
};

/* The defaults, then argv. Prints what is wrong to standard error: PX_E_INVALID. The texts point into argv. */
int pxi_options_read(int argc, char **argv, struct pxi_options *optionsp);

void pxi_options_help(void);
