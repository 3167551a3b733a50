/* Where frames come from: a recording, a random walk or a script. */
#pragma once

#include "base/clock.h"

#define PXI_DONE INT64_MAX

struct pxi_source {
    /*
     * Sends what is due at `now`, but not more than a slice of it. Returns when it wants to be asked again (px_mono ns;
     * not after `now` = at once), or PXI_DONE when there is nothing left.
     */
    int64_t (*pump)(struct pxi_source *source, px_mono now);
};

#define PXI_SLICE 2000 /* frames between two looks at the sockets */
