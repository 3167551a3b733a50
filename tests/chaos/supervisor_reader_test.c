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

#define SLOT    PX_ROLE_SLOT_EVALUATOR
#define MS      PX_NS_PER_MS
#define HOLD_MS 400 /* of the slow reader: less than the supervisor bears */

static struct pxi_supervisor supervisor;
static struct px_config config;
static char title[64], folder[] = "/tmp/px-reader-XXXXXX";

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
int px_evaluator_main(const struct px_heritage *heritage)
{
    while (!px_heritage_terminating(heritage)) {
        px_rcu_online(heritage->shm->domain, heritage->slot);
        if (heritage->incarnation == 1)
            raise(SIGSTOP);
        nap(HOLD_MS * MS);
        px_rcu_offline(heritage->shm->domain, heritage->slot);
    }
    return 0;
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
int px_web_main(const struct px_heritage *heritage)
{
    return unused();
}

int px_notify_main(const struct px_heritage *heritage)
{
    return unused();
}

static uint64_t seen(void)
{
    return px_load_acquire(&supervisor.shm.rcu_slots->reader[SLOT].seen);
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

    EXPECT(mkdtemp(folder) != NULL);
    px_text_copy(config.data, sizeof(config.data), px_text_of(folder));
    config.log_level = PX_LOG_WARN;
    config.assets = &asset;
    config.asset_count = 1;
    config.web_workers = 1;
    supervisor = (struct pxi_supervisor){
        .config = &config, .signal_fd = -1, .listen_fd = -1, .title = title, .title_size = sizeof(title)};
    supervisor.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    EXPECT(pxi_data_open(&supervisor) == 0 && pxi_region_open(&supervisor) == 0);
    supervisor.worker[0] = (struct pxi_worker){.role = PX_ROLE_EVALUATOR,
                                               .slot = SLOT,
                                               .main = px_evaluator_main,
                                               .access = PX_SHM_READ_WRITE,
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
    while (supervisor.shm.roles[SLOT].pid != 0 && supervisor.shm.roles[SLOT].incarnation == 1)
        turn(true);
    EXPECT(px_rcu_reclaimable(domain) >= epoch);
    printf("a stopped reader: killed and cleared after %lld ms\n",
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
    EXPECT(supervisor.shm.roles[SLOT].incarnation == 2 && killed() == before);
}

int main(void)
{
    px_log_init("test", PX_LOG_WARN);
    start();
    stopped_reader();
    slow_reader();
    end();
    return 0;
}
