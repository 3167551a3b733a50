/*
 * The keeper as it is, in a process of its own, in a region of its own: one value that reaches very many alerts of one asset, and what becomes meanwhile of the
 * ticks of another. This process is the evaluator, and who reads the event ring.
 */
#pragma once

#include "base/config.h"

#define JUMP_OTHERS 500 /* alerts of asset 1, each at the next level */

struct jump_plan {
    struct px_config *config; /* asset 0 jumps, asset 1 goes on; the store is in config->data, and nobody has it open */
    uint64_t alerts;          /* to be fired at once, at most at `value` */
    int64_t value;            /* of asset 0 */
    int64_t other;            /* of asset 1: alert k of JUMP_OTHERS waits for other + k */
    uint64_t other_id;        /* lo of its alert 0 */
};

struct jump_figures {
    double first_ms;       /* from the value to the first event that readers see */
    double durable_ms;     /* to the moment when no death can undo any of its fires */
    double told_ms;        /* to the last event */
    double delay_ms;       /* of the next tick of the other asset: from the tick to its event, less what that takes without a jump */
    double delay_most_ms;  /* the same, the worst of those that follow every millisecond until all is told */
    double undisturbed_ms; /* from a tick to its event without a jump, the median */
};

void jump_measure(const struct jump_plan *plan, struct jump_figures *figuresp);
