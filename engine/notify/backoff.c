#include "engine/notify/backoff.h"

#include "base/clock.h"

#define LEAST_NS (100 * PX_NS_PER_MS)
#define FIRST_NS PX_NS_PER_S
#define MOST_NS  (120 * PX_NS_PER_S)
#define ASKED_NS (3600 * PX_NS_PER_S)

int64_t px_backoff_ns(const struct px_backoff *backoff, uint64_t random)
{
    unsigned doublings = PX_MIN(backoff->attempts > 0 ? backoff->attempts - 1 : 0, 10u);
    int64_t bound = PX_MIN((backoff->slow ? 4 : 1) * FIRST_NS << doublings, MOST_NS);
    int64_t wait = LEAST_NS + (int64_t)(random % (uint64_t)(bound - LEAST_NS));
    int64_t asked = PX_MIN(backoff->retry_after_ns, ASKED_NS);

    return asked > 0 ? asked + wait / 8 : wait; /* a little apart, for those that were asked the same */
}
