/*
 * epoll cannot wait for shared memory, and a futex not for sockets. This thread sleeps on the rings and turns their
 * news into an eventfd, but only when the loop has said that it is idle; a busy loop looks at the rings by itself.
 *
 *   loop    idle = 1 · barrier · looks at the rings once more · epoll_wait · idle = 0
 *   waker   sees news · barrier · idle: 1 -> 0 ? signals : the loop has not looked yet, and will
 *
 * While nobody follows ticks, it sleeps on events alone. The loop says when that changes, and wakes it; the tail that
 * it has not looked at meanwhile then counts as news.
 */
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
    uint64_t ticks = px_ring_tail(shm->ticks), events = px_ring_tail(shm->events);

    while (__atomic_load_n(&live->stop, __ATOMIC_ACQUIRE) != 2) {
        struct px_wait_set set = {.word = {&live->waker_sleeps, &shm->events_yard->need_wake}, .count = 2};
        uint32_t wants = px_load_relaxed(&live->wants_ticks);
        uint64_t tick_tail, event_tail;

        if (wants != 0)
            px_wait_add(&set, &shm->ticks_yard->need_wake);
        px_wait_arm(&set);
        if (px_load_relaxed(&live->wants_ticks) != wants)
            continue;
        tick_tail = wants != 0 ? px_ring_tail(shm->ticks) : ticks;
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
