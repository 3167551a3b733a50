/* Waits on the event ring, which libcurl cannot, and wakes the main thread when a fire has made deliveries. */
#include "base/error.h"
#include "engine/notify/notify_private.h"

#define SLEEP_NS (100 * PX_NS_PER_MS)
#define BATCH    32

/* True when one of the events since *positionp has something to deliver, or when some were missed. */
static bool look(const struct px_shm *shm, uint64_t *positionp)
{
    struct px_alert_event events[BATCH];
    uint64_t count;
    bool news = false;

    for (;;) {
        int error = px_ring_read(shm->events, *positionp, events, BATCH, &count);

        if (error) {
            *positionp = px_ring_oldest(shm->events);
            news = true;
            continue;
        }
        if (count == 0)
            return news;
        for (uint64_t i = 0; i < count; i++)
            news |= events[i].deliveries > 0;
        *positionp += count;
    }
}

static void *run(void *context)
{
    struct pxi_notify *notify = context;
    struct px_shm *shm = notify->heritage->shm;
    uint64_t position = px_ring_tail(shm->events);

    while (!px_load_acquire(&notify->stop)) {
        struct px_wait_set set = {.count = 0};

        if (look(shm, &position)) {
            px_store_release(&notify->news, 1);
            curl_multi_wakeup(notify->multi);
        }
        px_ring_report(shm->events_yard, notify->heritage->slot, position);
        px_wait_add(&set, &shm->events_yard->need_wake);
        px_wait_arm(&set);
        if (px_ring_tail(shm->events) == position)
            px_wait_sleep(&set, SLEEP_NS);
    }
    return NULL;
}

int pxi_waker_start(struct pxi_notify *notify)
{
    notify->waking = pthread_create(&notify->thread, NULL, run, notify) == 0;
    return notify->waking ? 0 : PX_E_SYSTEM;
}

void pxi_waker_stop(struct pxi_notify *notify)
{
    if (!notify->waking)
        return;
    px_store_release(&notify->stop, 1);
    pthread_join(notify->thread, NULL);
    notify->waking = false;
}
