/*
 * A reader that is stopped inside its section: the supervisor kills it, reaps it, and only then clears its slot. A
 * reader that nobody waits for, and one that is slow but goes on, are let live.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/supervisor/supervisor_private.h"

#define MS      PX_NS_PER_MS
#define HOLD_MS 400 /* of the slow reader: less than the supervisor bears */

/* Who reads: an evaluator in the slot of its role; the live thread of the last web worker, in the slot beside its
 * role's. */
static const struct reader {
    const char *name;
    enum px_role role;
    unsigned slot, number, reads_in;
} readers[] = {
    {"an evaluator", PX_ROLE_EVALUATOR, PX_ROLE_SLOT_EVALUATOR, 0, PX_ROLE_SLOT_EVALUATOR},
    {"a live thread", PX_ROLE_WEB, PX_ROLE_SLOT_WEB + 15, 15, PX_RCU_SLOT_LIVE + 15},
};
static const struct reader *reader;

static struct pxi_supervisor supervisor;
static struct px_config config;
static char title[64], folder[32];

#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static void nap(int64_t ns)
{
    const struct timespec pause = {ns / PX_NS_PER_S, ns % PX_NS_PER_S};

    nanosleep(&pause, NULL);
}

/* The first one stops inside its section, the second holds on for long and again, but not for ever. */
static int hold(const struct px_heritage *heritage)
{
    while (!px_heritage_terminating(heritage)) {
        px_rcu_online(heritage->shm->domain, reader->reads_in);
        if (heritage->incarnation == 1)
            raise(SIGSTOP);
        nap(HOLD_MS * MS);
        px_rcu_offline(heritage->shm->domain, reader->reads_in);
    }
    return 0;
}

int px_evaluator_main(const struct px_heritage *heritage)
{
    return hold(heritage);
}
int px_web_main(const struct px_heritage *heritage)
{
    return hold(heritage);
}

static int unused(void)
{
    return PX_E_SYSTEM;
}
int px_ingest_main(const struct px_heritage *heritage)
{
    return unused();
}
int px_keeper_main(const struct px_heritage *heritage)
{
    return unused();
}
int px_notify_main(const struct px_heritage *heritage)
{
    return unused();
}

static uint64_t seen(void)
{
    return px_load_acquire(&supervisor.shm.rcu_slots->reader[reader->reads_in].seen);
}

/* One turn of a supervisor; `reap` false leaves the dead lie. */
static void turn(bool reap)
{
    struct epoll_event event;

    if (!reap)
        nap(20 * MS);
    else if (epoll_wait(supervisor.epoll_fd, &event, 1, 20) == 1)
        pxi_worker_reap(&supervisor, event.data.ptr);
    pxi_workers_watch(&supervisor);
}

static void turns(int64_t ns)
{
    for (px_mono began = px_mono_now(); px_mono_since(px_mono_now(), began) < ns;)
        turn(true);
}

static uint64_t killed(void)
{
    return px_load_relaxed(&supervisor.shm.stats[0].value[PX_STAT_READERS_STUCK]);
}

static void start(void)
{
    static struct px_config_asset asset = {.symbol = "A-USD", .scale = 2};

    snprintf(folder, sizeof(folder), "/tmp/px-reader-XXXXXX");
    EXPECT(mkdtemp(folder) != NULL);
    px_text_copy(config.data, sizeof(config.data), px_text_of(folder));
    config.log_level = PX_LOG_WARN;
    config.assets = &asset;
    config.asset_count = 1;
    config.web_workers = 16;
    supervisor = (struct pxi_supervisor){
        .config = &config, .signal_fd = -1, .listen_fd = -1, .title = title, .title_size = sizeof(title)};
    supervisor.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    EXPECT(pxi_data_open(&supervisor) == 0 && pxi_region_open(&supervisor) == 0);
    supervisor.worker[0] =
        (struct pxi_worker){.role = reader->role,
                            .slot = reader->slot,
                            .number = reader->number,
                            .main = reader->role == PX_ROLE_WEB ? px_web_main : px_evaluator_main,
                            .access = reader->role == PX_ROLE_WEB ? PX_SHM_READ_ONLY : PX_SHM_READ_WRITE,
                            .hang_ns = 60 * PX_NS_PER_S,
                            .pidfd = -1};
    supervisor.worker_count = 1;
    supervisor.watched = px_mono_now();
}

static void end(void)
{
    char path[64];

    supervisor.stopping = true;
    kill(supervisor.worker[0].pid, SIGKILL);
    while (supervisor.worker[0].pid != 0)
        turn(true);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, i == 0 ? "lock" : "generation");
        unlink(path);
    }
    rmdir(folder);
    px_shm_detach(&supervisor.shm);
    close(supervisor.epoll_fd);
    close(supervisor.lock_fd);
}

static void stopped_reader(void)
{
    struct px_rcu_view domain = supervisor.shm.domain;
    px_mono began;
    uint64_t epoch;

    while (seen() == 0)
        turn(true);
    turns(1500 * MS);
    EXPECT(killed() == 0 && seen() != 0); /* it holds nothing that anybody wants */
    epoch = px_rcu_retire(domain);
    began = px_mono_now();
    while (killed() == 0) {
        EXPECT(px_mono_since(px_mono_now(), began) < 5 * PX_NS_PER_S);
        turn(false);
    }
    EXPECT(px_mono_since(px_mono_now(), began) >= 1000 * MS);
    nap(50 * MS);
    EXPECT(seen() != 0 && px_rcu_reclaimable(domain) < epoch); /* dead, and not yet reaped */
    while (supervisor.shm.roles[reader->slot].pid != 0 && supervisor.shm.roles[reader->slot].incarnation == 1)
        turn(true);
    EXPECT(px_rcu_reclaimable(domain) >= epoch);
    printf("%s stopped in its section: killed and cleared after %lld ms\n", reader->name,
           (long long)(px_mono_since(px_mono_now(), began) / MS));
}

static void slow_reader(void)
{
    uint64_t before = killed();
    px_mono began = px_mono_now();

    while (px_mono_since(px_mono_now(), began) < 2500 * MS) {
        px_rcu_retire(supervisor.shm.domain);
        turn(true);
    }
    EXPECT(supervisor.shm.roles[reader->slot].incarnation == 2 && killed() == before);
}

int main(void)
{
    px_log_init("test", PX_LOG_WARN);
    for (unsigned i = 0; i < PX_COUNT_OF(readers); i++) {
        reader = &readers[i];
        start();
        stopped_reader();
        slow_reader();
        end();
    }
    return 0;
}
