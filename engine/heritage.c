#include "engine/heritage.h"

#include <poll.h>

#include "base/clock.h"

#define LOOK_NS (5 * PX_NS_PER_MS) /* a system call for the signal at most this often */

void px_heritage_beat(const struct px_heritage *heritage)
{
    struct px_role_slot *role = px_heritage_role(heritage);
    int64_t now_ns = px_mono_now().ns, before_ns = px_load_relaxed(&role->heartbeat_ns);
    int64_t turn_us = (now_ns - before_ns) / PX_NS_PER_US;

    if (px_load_relaxed(&role->state) == PX_STATE_READY && turn_us > px_load_relaxed(&role->longest_loop_us))
        px_store_relaxed(&role->longest_loop_us, (uint32_t)PX_MIN(turn_us, UINT32_MAX));
    px_store_relaxed(&role->heartbeat_ns, now_ns);
}

bool px_heritage_terminating(const struct px_heritage *heritage)
{
    static int64_t looked_ns; /* one worker a process, one work loop a worker */
    static bool terminating;
    struct pollfd fd = {.fd = heritage->terminate_fd, .events = POLLIN};
    int64_t now_ns = px_mono_now().ns;

    if (terminating || now_ns - looked_ns < LOOK_NS)
        return terminating;
    looked_ns = now_ns;
    terminating = poll(&fd, 1, 0) > 0;
    if (terminating)
        px_store_release(&px_heritage_role(heritage)->state, PX_STATE_DRAINING);
    return terminating;
}
