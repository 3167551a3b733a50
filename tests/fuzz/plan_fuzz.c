/* Any bytes as the plan of an alert: nothing outside them is touched, what is read is written back to the same, and its places stay in bounds. */
#include <stdlib.h>

#include "match/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct px_place at = {0}, place[PX_CANDIDATES_MAX];
    struct px_plan plan, again;
    uint8_t back[PX_PLAN_BYTES_MAX];

    if (n < 9)
        return 0;
    memcpy(&at.level, bytes, 8);
    at.leg = bytes[8] & 7;
    if (px_plan_decode(bytes + 9, n - 9, &at, &plan) != 0)
        return 0;
    size_t size = px_plan_encode(&plan, &at, back);
    if (size > sizeof back || px_plan_decode(back, size, &at, &again) != 0 || memcmp(&plan, &again, sizeof plan) != 0)
        abort();
    if (px_plan_places(&plan, place) > PX_PLACES_MAX || px_plan_candidates(&plan, place) > PX_CANDIDATES_MAX)
        abort();
    return 0;
}
