/* Inside match/. */
#pragma once

#include "match/plan.h"

/* The crossing that px_plan_crossed_within has found; `value` is the last one of the span. */
enum px_verdict pxi_plan_crossed(struct px_plan *plan, int64_t value, const struct px_moment *moment);
