/* Makes history survive a power cut, every 100 ms, beside the main thread: a slow disk must not hold up fires. */
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "engine/keeper/keeper_private.h"

#define PERIOD_NS (100 * PX_NS_PER_MS)

static void *run(void *context)
{
    struct pxi_syncer *syncer = context;
    const struct timespec period = {0, PERIOD_NS};
    uint64_t synced = 0;

    while (!__atomic_load_n(&syncer->stop, __ATOMIC_ACQUIRE)) {
        uint64_t committed = __atomic_load_n(&syncer->history->committed, __ATOMIC_ACQUIRE);

        if (committed != synced && px_hist_sync(syncer->history->hist) != 0)
            __atomic_store_n(&syncer->failed, true, __ATOMIC_RELEASE); /* the main thread ends the process */
        synced = committed;
        nanosleep(&period, NULL);
    }
    return NULL;
}

int pxi_syncer_start(struct pxi_syncer *syncer, struct pxi_history *history)
{
    *syncer = (struct pxi_syncer){.history = history};
    syncer->running = pthread_create(&syncer->thread, NULL, run, syncer) == 0;
    return syncer->running ? 0 : PX_E_SYSTEM;
}

void pxi_syncer_stop(struct pxi_syncer *syncer)
{
    if (!syncer->running)
        return;
    __atomic_store_n(&syncer->stop, true, __ATOMIC_RELEASE);
    pthread_join(syncer->thread, NULL);
    syncer->running = false;
}
