/* The keeper: the one process that writes the store. Nothing is told before it is durable, and nothing durable is told
 * twice. */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/log.h"
#include "engine/keeper/keeper_private.h"
#include "store/heap.h"

#define REST_NS  (20 * PX_NS_PER_MS)  /* nothing to do: the heartbeat wants to run */
#define PACE_NS  (5 * PX_NS_PER_MS)   /* ticks are flowing: gather some instead of being woken by each */
#define DRAIN_NS (5 * PX_NS_PER_S)

static int keeper_init(struct pxi_keeper *keeper, const struct px_heritage *heritage)
{
    keeper->heritage = heritage;
    keeper->tasks.done_fd = -1;
    keeper->shm = heritage->shm;
    keeper->stats = px_heritage_stats(heritage);
    int error = px_names_create(heritage->config, &keeper->names);
    if (!error)
        error = pxi_tasks_init(keeper);
    if (!error)
        error = pxi_history_init(keeper);
    if (!error)
        error = pxi_judge_init(keeper);
    if (!error)
        error = pxi_syncer_start(&keeper->syncer, &keeper->history);
    if (!error)
        error = pxi_server_create(keeper, &keeper->server);
    return error;
}

static void keeper_fini(struct pxi_keeper *keeper)
{
    pxi_server_destroy(&keeper->server);
    pxi_syncer_stop(&keeper->syncer);
    pxi_judge_fini(keeper);
    pxi_history_fini(keeper);
    pxi_tasks_fini(keeper);
    free(keeper->import.rows);
    px_names_destroy(&keeper->names);
}

/* One after the other, until one fails; the sum of the work. */
static int in_order(struct pxi_keeper *keeper, int (*const *turns)(struct pxi_keeper *))
{
    int worked = 0;

    for (; *turns; turns++) {
        int result = (*turns)(keeper);

        if (result < 0)
            return result;
        worked += result;
    }
    return worked;
}

static int tell(struct pxi_keeper *keeper)
{
    return pxi_tell_turn(keeper, PXI_TELL_MAX);
}

/* > 0: worked. Hits first: somebody waits to be told. */
static int turn(struct pxi_keeper *keeper, bool *ticksp)
{
    static int (*const turns[])(struct pxi_keeper *) = {pxi_judge_turn,   tell,           pxi_claims_turn,  pxi_masses_turn, pxi_tasks_turn, pxi_import_turn,
                                                        pxi_judge_expire, pxi_seeds_turn, pxi_judge_tend, pxi_depth_turn,  NULL};
    int worked = in_order(keeper, turns);
    int ticks = worked < 0 ? worked : pxi_history_turn(keeper);
    int flushed = ticks < 0 ? ticks : pxi_history_flush(keeper, false);

    *ticksp = ticks > 0;
    if (__atomic_load_n(&keeper->syncer.failed, __ATOMIC_ACQUIRE))
        return PX_E_IO;
    return flushed < 0 ? flushed : worked;
}

static bool has_news(struct pxi_keeper *keeper, bool ticks_too)
{
    return pxi_hits_queued(&keeper->hits) || pxi_tasks_queued(&keeper->tasks) || pxi_import_queued(keeper) ||
           (ticks_too && px_ring_tail(keeper->shm->ticks) != keeper->history.position);
}

/* While ticks flow they need no wake of their own: a few milliseconds of them make one batch. A full batch is no rest
 * at all. */
static void rest(struct pxi_keeper *keeper, bool ticks)
{
    bool backlog = px_ring_tail(keeper->shm->ticks) - keeper->history.position >= PXI_TICK_BATCH / 2;
    struct px_wait_set set = {.count = 0};

    if (backlog)
        return;
    pxi_hits_await(&keeper->hits, &set);
    px_wait_add(&set, &keeper->tasks.news);
    if (!ticks)
        px_wait_add(&set, &keeper->shm->ticks_yard->need_wake);
    px_wait_arm(&set);
    if (!has_news(keeper, !ticks))
        px_wait_sleep(&set, ticks ? PACE_NS : REST_NS);
}

/* What the others left in the rings, for a bounded time; then everything onto the disk. */
static int drain(struct pxi_keeper *keeper)
{
    px_mono start = px_mono_now();
    bool ticks = true;
    int result = 1;

    while (result >= 0 && (result > 0 || ticks) && px_mono_since(px_mono_now(), start) < DRAIN_NS) {
        result = turn(keeper, &ticks);
        px_heritage_beat(keeper->heritage);
    }
    if (result >= 0)
        result = pxi_history_flush(keeper, true);
    return result < 0 ? result : 0;
}

static int run(struct pxi_keeper *keeper)
{
    bool ticks;

    while (!px_heritage_terminating(keeper->heritage)) {
        int result = turn(keeper, &ticks);

        if (result < 0)
            return result;
        px_heritage_beat(keeper->heritage);
        if (result == 0)
            rest(keeper, ticks);
    }
    return drain(keeper);
}

int px_keeper_main(const struct px_heritage *heritage)
{
    struct pxi_keeper *keeper = calloc(1, sizeof *keeper);

    px_heap_steady();
    if (!keeper)
        return PX_E_MEMORY;
    int result = keeper_init(keeper, heritage);
    if (result == 0) {
        px_heritage_ready(heritage);
        px_log(PX_LOG_INFO, "serving alerts=%llu", (unsigned long long)px_alerts_count(keeper->alerts));
        result = run(keeper);
    }
    if (result)
        px_log(PX_LOG_ERROR, "keeper_ends error=\"%s\"", px_error_text(result));
    keeper_fini(keeper);
    free(keeper);
    return result;
}
