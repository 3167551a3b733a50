/* The pace of each channel: so many a minute, so many at once, and none while the receiver has asked for a pause. */
#include "engine/notify/notify_private.h"

#define BURST_NS (10 * PX_NS_PER_S) /* time that a quiet channel saves up */

static bool is(const struct pxi_gate *gate, struct px_alert_id channel)
{
    return gate->channel.hi == channel.hi && gate->channel.lo == channel.lo;
}

struct pxi_gate *pxi_gate_of(struct pxi_gates *gates, struct px_alert_id channel, int64_t now_ns)
{
    struct pxi_gate *oldest = NULL;

    for (unsigned i = 0; i < PXI_GATES; i++) {
        struct pxi_gate *gate = &gates->gate[i];

        if (is(gate, channel)) {
            gate->used_ns = now_ns;
            return gate;
        }
        if (gate->flying + gate->waiting == 0 && (!oldest || gate->used_ns < oldest->used_ns))
            oldest = gate;
    }
    if (oldest)
        *oldest = (struct pxi_gate){.channel = channel, .used_ns = now_ns, .tokens_ns = now_ns - BURST_NS};
    return oldest;
}

/* tokens_ns is the time at which the next one is paid for; it never lies further back than what may be saved. */
int64_t pxi_gate_pass(struct pxi_gate *gate, uint32_t per_minute, int64_t now_ns)
{
    int64_t price = per_minute > 0 ? 60 * PX_NS_PER_S / per_minute : 0;

    if (now_ns < gate->closed_until_ns)
        return gate->closed_until_ns;
    if (gate->flying >= PXI_FLIGHTS_EACH)
        return PXI_CROWDED;
    if (price > 0) {
        gate->tokens_ns = PX_MAX(gate->tokens_ns, now_ns - PX_MAX(BURST_NS, price));
        if (gate->tokens_ns + price > now_ns)
            return gate->tokens_ns + price;
        gate->tokens_ns += price;
    }
    gate->flying++;
    return 0;
}
