/*
 * Workers that do not go on. A heart that does not beat: SIGABRT for a core, then SIGKILL. A reader that stays at an
 * old epoch while a writer waits for it: SIGKILL at once, since nothing can be reclaimed meanwhile. In both cases the
 * slot is cleared by the reap and not before: a process that is merely stopped still holds what it reached.
 */
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/supervisor/supervisor_private.h"

#define ABORT_NS (1 * PX_NS_PER_S) /* from SIGABRT to SIGKILL */
#define HELD_NS  (1 * PX_NS_PER_S)
#define STEP_NS                                                                                                        \
    (100 * PX_NS_PER_MS) /* when we have slept ourselves, they may have been asleep with us: so much counts at most */

static void send(const struct pxi_worker *worker, int number)
{
    syscall(SYS_pidfd_send_signal, worker->pidfd, number, NULL, 0);
}

static void end_hang(struct pxi_worker *worker, int64_t age_ns)
{
    if (worker->aborted.ns == 0) {
        px_log(PX_LOG_WARN, "hung role=%s pid=%d ms=%lld action=abort", px_role_name(worker->role), worker->pid,
               (long long)(age_ns / PX_NS_PER_MS));
        worker->aborted = px_mono_now();
        send(worker, SIGABRT);
    } else if (px_mono_since(px_mono_now(), worker->aborted) > ABORT_NS) {
        send(worker, SIGKILL);
    }
}

static void watch_heart(struct pxi_supervisor *supervisor, struct pxi_worker *worker)
{
    const struct px_role_slot *slot = &supervisor->shm.roles[worker->slot];
    int64_t age_ns = px_mono_now().ns - px_load_acquire(&slot->heartbeat_ns);

    if (px_load_acquire(&slot->state) == PX_STATE_READY && age_ns > worker->hang_ns)
        end_hang(worker, age_ns);
}

/* Has the reader been at one old epoch for too long? */
static bool holds_on(struct px_rcu_view domain, struct pxi_worker *worker, unsigned reader, unsigned slot,
                     int64_t step_ns)
{
    uint64_t seen = px_load_relaxed(&domain.slots->reader[slot].seen);

    if (!px_rcu_behind(domain, slot) || seen != worker->held[reader].epoch) {
        worker->held[reader].epoch = seen;
        worker->held[reader].ns = 0;
        return false;
    }
    worker->held[reader].ns += step_ns;
    return worker->held[reader].ns > HELD_NS;
}

static void end_reader(struct pxi_supervisor *supervisor, struct pxi_worker *worker, unsigned reader, unsigned slot)
{
    px_log(PX_LOG_WARN, "reader-stuck role=%s pid=%d slot=%u held=%llu epoch=%llu ms=%lld action=kill",
           px_role_name(worker->role), worker->pid, slot, (unsigned long long)worker->held[reader].epoch,
           (unsigned long long)px_load_relaxed(&supervisor->shm.rcu->epoch),
           (long long)(worker->held[reader].ns / PX_NS_PER_MS));
    memset(worker->held, 0, sizeof(worker->held));
    px_stat_add(&supervisor->shm.stats[0], PX_STAT_READERS_STUCK, 1);
    send(worker, SIGKILL);
}

/* The kill ends all readers of the process, so one is enough. */
static void watch_readers(struct pxi_supervisor *supervisor, struct pxi_worker *worker, int64_t step_ns)
{
    unsigned slots[PXI_READERS_MAX], count = pxi_worker_readers(worker, slots), stuck = count;

    for (unsigned i = 0; i < count; i++)
        if (holds_on(supervisor->shm.domain, worker, i, slots[i], step_ns))
            stuck = i;
    if (stuck < count)
        end_reader(supervisor, worker, stuck, slots[stuck]);
}

void pxi_workers_watch(struct pxi_supervisor *supervisor)
{
    px_mono now = px_mono_now();
    int64_t step_ns = PX_MIN(px_mono_since(now, supervisor->watched), STEP_NS);

    supervisor->watched = now;
    for (unsigned i = 0; i < supervisor->worker_count; i++) {
        struct pxi_worker *worker = &supervisor->worker[i];

        if (worker->pid == 0) {
            if (!supervisor->stopping && now.ns >= worker->due.ns)
                pxi_worker_fork(supervisor, worker);
            continue;
        }
        watch_heart(supervisor, worker);
        watch_readers(supervisor, worker, step_ns);
    }
}
