#include "engine/supervisor/supervisor_private.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/error.h"

#define EXIT_CONFIG 78 /* EX_CONFIG of sysexits.h: a restart will not help */
#define TURN_MS     20
#define DRAIN_NS    (10 * PX_NS_PER_S)

static int open_signals(struct pxi_supervisor *supervisor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    supervisor->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    supervisor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (supervisor->signal_fd < 0 || supervisor->epoll_fd < 0)
        return PX_E_SYSTEM;
    return epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_ADD, supervisor->signal_fd, &event) < 0 ? PX_E_SYSTEM : 0;
}

static void begin_stop(struct pxi_supervisor *supervisor)
{
    if (supervisor->stopping)
        return;
    supervisor->stopping = true;
    supervisor->stop_began = px_mono_now();
    px_log(PX_LOG_INFO, "stopping");
    pxi_notify("STOPPING=1");
    if (supervisor->listen_is_passed)
        return;
    close(supervisor->listen_fd); /* with that of the web workers the last: who comes now is refused at once */
    supervisor->listen_fd = -1;
}

static void take_signals(struct pxi_supervisor *supervisor)
{
    struct signalfd_siginfo info;

    while (read(supervisor->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP)
            px_log(PX_LOG_WARN, "reload-unsupported hint=\"restart to use a changed configuration\"");
        else
            begin_stop(supervisor);
    }
}

/* In this order, each when the one before has gone: no new clients, no new ticks, no new fires, then the store. */
static void drain(struct pxi_supervisor *supervisor)
{
    static const enum px_role order[] = {PX_ROLE_WEB, PX_ROLE_INGEST, PX_ROLE_EVALUATOR, PX_ROLE_NOTIFY, PX_ROLE_KEEPER};
    bool late = px_mono_since(px_mono_now(), supervisor->stop_began) > DRAIN_NS;

    for (unsigned i = 0; i < PX_COUNT_OF(order); i++) {
        bool running = false;

        for (unsigned w = 0; w < supervisor->worker_count; w++) {
            struct pxi_worker *worker = &supervisor->worker[w];

            if (worker->pid == 0 || worker->role != order[i])
                continue;
            running = true;
            kill(worker->pid, late ? SIGKILL : SIGTERM);
        }
        if (running && !late)
            return;
    }
}

static bool any_running(const struct pxi_supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->worker_count; i++)
        if (supervisor->worker[i].pid != 0)
            return true;
    return false;
}

static void announce(struct pxi_supervisor *supervisor)
{
    if (supervisor->announced || supervisor->stopping)
        return;
    for (unsigned i = 0; i < supervisor->worker_count; i++)
        if (px_load_acquire(&supervisor->shm.roles[supervisor->worker[i].slot].state) != PX_STATE_READY)
            return;
    supervisor->announced = true;
    px_log(PX_LOG_INFO, "ready listen=%s:%u", supervisor->config->listen_host, supervisor->config->listen_port);
    pxi_notify("READY=1");
}

static void turn(struct pxi_supervisor *supervisor)
{
    struct epoll_event events[PXI_WORKERS_MAX + 1];
    int n = epoll_wait(supervisor->epoll_fd, events, PX_COUNT_OF(events), TURN_MS);

    px_store_relaxed(&supervisor->shm.roles[0].heartbeat_ns, px_mono_now().ns);
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == NULL)
            take_signals(supervisor);
        else
            pxi_worker_reap(supervisor, events[i].data.ptr);
    }
    pxi_workers_watch(supervisor);
    announce(supervisor);
    if (supervisor->stopping)
        drain(supervisor);
}

/* 0 or an exit code. */
static int start(struct pxi_supervisor *supervisor)
{
    int code;

    pxi_passed_take(supervisor);
    if (pxi_data_open(supervisor) < 0)
        return EXIT_CONFIG;
    code = pxi_listen_open(supervisor);
    if (code != 0)
        return code;
    if (pxi_region_open(supervisor) < 0 || open_signals(supervisor) < 0)
        return 1;
    pxi_passed_close(supervisor);
    pxi_workers_plan(supervisor);
    supervisor->watched = px_mono_now();
    return 0;
}

int px_supervisor_run(const struct px_config *config, char *title, size_t title_size)
{
    struct pxi_supervisor supervisor = {.config = config,
                                        .lock_fd = -1,
                                        .signal_fd = -1,
                                        .epoll_fd = -1,
                                        .listen_fd = -1,
                                        .title = title,
                                        .title_size = title_size};
    int code;

    px_log_init("supervisor", config->log_level);
    code = start(&supervisor);
    if (code != 0)
        return code;
    while (!supervisor.stopping || any_running(&supervisor))
        turn(&supervisor);
    px_log(PX_LOG_INFO, "stopped");
    px_shm_detach(&supervisor.shm);
    close(supervisor.signal_fd);
    close(supervisor.epoll_fd);
    close(supervisor.lock_fd);
    return 0;
}
