/*
 * epoll cannot wait for shared memory, and a futex not for sockets. This thread sleeps on the rings and turns their
 * news into an eventfd, but only when the loop has said that it is idle; a busy loop looks at the rings by itself.
 *
 *   loop    idle = 1 · barrier · looks at the rings once more · epoll_wait · idle = 0
 *   waker   sees news · barrier · idle: 1 -> 0 ? signals : the loop has not looked yet, and will
 */
#include "shm/wait.h"
#include "web/live/live_private.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SLEEP_NS (100 * PX_NS_PER_MS)

static void signal_loop(struct px_live *live)
{
    uint32_t was = 1;

    px_smp_mb(); /* pairs with the barrier in the loop: it sees the news, or we see that it is idle */
    if (__atomic_compare_exchange_n(&live->idle, &was, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        (void)eventfd_write(live->wake_fd, 1);
}

void *pxi_waker_run(void *arg)
{
    struct px_live *live = arg;
    const struct px_shm *shm = live->options.shm;
    struct px_wait_set set = {.count = 0};
    uint64_t ticks = px_ring_tail(shm->ticks), events = px_ring_tail(shm->events);

    px_wait_add(&set, &shm->ticks_yard->need_wake);
    px_wait_add(&set, &shm->events_yard->need_wake);
    while (__atomic_load_n(&live->stop, __ATOMIC_ACQUIRE) != 2) {
        uint64_t tick_tail, event_tail;

        px_wait_arm(&set);
        tick_tail = px_ring_tail(shm->ticks);
        event_tail = px_ring_tail(shm->events);
        if (tick_tail == ticks && event_tail == events) {
            px_wait_sleep(&set, SLEEP_NS);
            continue;
        }
        ticks = tick_tail;
        events = event_tail;
        signal_loop(live);
    }
    return NULL;
}
