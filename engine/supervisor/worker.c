/* One worker's life: fork, death, back-off. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/supervisor/supervisor_private.h"

#define HEALTHY_NS      (2 * PX_NS_PER_S)  /* so long in service makes the next restart immediate again */
#define INTENSITY_NS    (60 * PX_NS_PER_S) /* more deaths than deaths_ns holds in this time: degraded */
#define BACKOFF_MAX_NS  (5 * PX_NS_PER_S)
#define BACKOFF_STEP_NS (50 * PX_NS_PER_MS)

static void plan(struct pxi_supervisor *supervisor, enum px_role role, unsigned slot, unsigned number,
                 int (*worker_main)(const struct px_heritage *), enum px_shm_access access, int64_t hang_s)
{
    PX_CHECK(supervisor->worker_count < PXI_WORKERS_MAX && slot < PX_ROLE_SLOTS);
    supervisor->worker[supervisor->worker_count++] = (struct pxi_worker){.role = role,
                                                                         .slot = slot,
                                                                         .number = number,
                                                                         .main = worker_main,
                                                                         .access = access,
                                                                         .hang_ns = hang_s * PX_NS_PER_S,
                                                                         .pidfd = -1};
}

void pxi_workers_plan(struct pxi_supervisor *supervisor)
{
    plan(supervisor, PX_ROLE_KEEPER, PX_ROLE_SLOT_KEEPER, 0, px_keeper_main, PX_SHM_READ_WRITE, 20);
    for (unsigned i = 0; i < supervisor->config->evaluators; i++)
        plan(supervisor, PX_ROLE_EVALUATOR, px_evaluator_slot(i), i, px_evaluator_main, PX_SHM_READ_WRITE, 5);
    plan(supervisor, PX_ROLE_INGEST, PX_ROLE_SLOT_INGEST, 0, px_ingest_main, PX_SHM_READ_WRITE, 5);
    plan(supervisor, PX_ROLE_NOTIFY, PX_ROLE_SLOT_NOTIFY, 0, px_notify_main, PX_SHM_READ_ONLY, 20);
    for (unsigned i = 0; i < supervisor->config->web_workers; i++)
        plan(supervisor, PX_ROLE_WEB, PX_ROLE_SLOT_WEB + i, i, px_web_main, PX_SHM_READ_ONLY, 5);
}

/* ---- in the child ---- */

static void set_title(const struct pxi_supervisor *supervisor, const struct pxi_worker *worker)
{
    char name[64];

    if ((supervisor->config->web_workers > 1 && worker->role == PX_ROLE_WEB) || (supervisor->config->evaluators > 1 && worker->role == PX_ROLE_EVALUATOR))
        snprintf(name, sizeof(name), "pxengine: %s %u", px_role_name(worker->role), worker->number);
    else
        snprintf(name, sizeof(name), "pxengine: %s", px_role_name(worker->role));
    memset(supervisor->title, 0, supervisor->title_size);
    px_text_copy(supervisor->title, supervisor->title_size, px_text_of(name));
    snprintf(name, sizeof(name), "px-%s", px_role_name(worker->role));
    prctl(PR_SET_NAME, name);
}

static int terminate_signal_fd(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* SIGINT goes to the whole terminal group: the supervisor alone decides what it means. */
static void set_signals(void)
{
    sigset_t set;

    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

/* The lock of the data folder stays open on purpose: nobody else can have the folder while one of us lives. */
static void close_supervisors(const struct pxi_supervisor *supervisor, const struct pxi_worker *worker)
{
    close(supervisor->epoll_fd);
    close(supervisor->signal_fd);
    if (worker->role != PX_ROLE_WEB && supervisor->listen_fd >= 0)
        close(supervisor->listen_fd);
    for (unsigned i = 0; i < supervisor->worker_count; i++)
        if (supervisor->worker[i].pidfd >= 0)
            close(supervisor->worker[i].pidfd);
}

/*
 * Every process has the region at an address of its own. A writer moves the mapping that it has inherited, since nobody
 * can make another; a reader gives it up and gets one that cannot write.
 */
static int take_region(struct pxi_supervisor *supervisor, enum px_shm_access access, struct px_shm *own,
                       char reason[PX_SHM_REASON_SIZE])
{
    int result;

    if (access == PX_SHM_READ_WRITE) {
        *own = supervisor->shm;
        snprintf(reason, PX_SHM_REASON_SIZE, "no address space to move the region to");
        return px_shm_move(own);
    }
    result = px_shm_attach(supervisor->shm.files, access, own, reason);
    if (result == 0)
        px_shm_detach(&supervisor->shm);
    return result;
}

_Noreturn static void child(struct pxi_supervisor *supervisor, const struct pxi_worker *worker, pid_t parent)
{
    struct px_heritage heritage = {.config = supervisor->config,
                                   .slot = worker->slot,
                                   .worker = worker->number,
                                   .generation = supervisor->generation,
                                   .listen_fd = worker->role == PX_ROLE_WEB ? supervisor->listen_fd : -1};
    char reason[PX_SHM_REASON_SIZE];
    struct px_shm own;
    int result;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); /* it died before the line above */
    set_signals();
    set_title(supervisor, worker);
    px_log_init(px_role_name(worker->role), supervisor->config->log_level);
    heritage.terminate_fd = terminate_signal_fd();
    close_supervisors(supervisor, worker);
    result = take_region(supervisor, worker->access, &own, reason);
    if (result < 0) {
        px_log(PX_LOG_ERROR, "attach-refused reason=\"%s\"", reason);
        _exit(1);
    }
    heritage.shm = &own;
    heritage.incarnation = px_load_relaxed(&own.roles[worker->slot].incarnation);
    px_last_words_set(own.roles[worker->slot].last_words, PX_LAST_WORDS_SIZE);
    px_heritage_beat(&heritage);
    result = worker->main(&heritage);
    if (result < 0)
        px_log(PX_LOG_ERROR, "ended error=\"%s\"", px_error_text(result));
    exit(result < 0 ? 1 : 0);
}

/* ---- in the supervisor ---- */

static void watch_pid(struct pxi_supervisor *supervisor, struct pxi_worker *worker)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = worker};

    worker->pidfd = (int)syscall(SYS_pidfd_open, worker->pid, 0);
    PX_CHECK(worker->pidfd >= 0);
    PX_CHECK(epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_ADD, worker->pidfd, &event) == 0);
}

unsigned pxi_worker_readers(const struct pxi_worker *worker, unsigned slots[PXI_READERS_MAX])
{
    slots[0] = worker->slot;
    slots[1] = PX_RCU_SLOT_LIVE + worker->number;
    return worker->role == PX_ROLE_WEB ? 2 : 1;
}

static void readers_assign(struct px_rcu_view domain, const struct pxi_worker *worker, pid_t pid, uint32_t incarnation)
{
    unsigned slots[PXI_READERS_MAX], count = pxi_worker_readers(worker, slots);

    for (unsigned i = 0; i < count; i++)
        px_rcu_assign(domain, slots[i], pid, incarnation);
}

static void readers_forked(struct px_rcu_view domain, const struct pxi_worker *worker, pid_t pid)
{
    unsigned slots[PXI_READERS_MAX], count = pxi_worker_readers(worker, slots);

    for (unsigned i = 0; i < count; i++)
        px_rcu_forked(domain, slots[i], pid, pxi_start_time(pid));
}

static void readers_reaped(struct px_rcu_view domain, const struct pxi_worker *worker)
{
    unsigned slots[PXI_READERS_MAX], count = pxi_worker_readers(worker, slots);

    for (unsigned i = 0; i < count; i++)
        px_rcu_reaped(domain, slots[i]);
}

void pxi_worker_fork(struct pxi_supervisor *supervisor, struct pxi_worker *worker)
{
    struct px_role_slot *slot = &supervisor->shm.roles[worker->slot];
    pid_t parent = getpid(), pid;

    slot->role = worker->role;
    slot->incarnation++;
    slot->started_ns = px_mono_now().ns;
    slot->longest_loop_us = 0;
    px_store_release(&slot->heartbeat_ns, slot->started_ns);
    px_store_release(&slot->state, PX_STATE_STARTING);
    readers_assign(supervisor->shm.domain, worker, parent, slot->incarnation); /* the child may read at once */
    pid = fork();
    if (pid == 0)
        child(supervisor, worker, parent);
    worker->started = px_mono_now();
    if (pid < 0) { /* no memory or no process left on the machine: try again later */
        px_log(PX_LOG_ERROR, "fork-failed role=%s error=%d", px_role_name(worker->role), errno);
        readers_reaped(supervisor->shm.domain, worker);
        worker->due.ns = worker->started.ns + PX_NS_PER_S;
        return;
    }
    worker->pid = pid;
    worker->aborted.ns = 0;
    memset(worker->held, 0, sizeof(worker->held));
    readers_forked(supervisor->shm.domain, worker, pid);
    px_store_release(&slot->pid, pid);
    watch_pid(supervisor, worker);
    px_log(PX_LOG_INFO, "forked role=%s pid=%d incarnation=%u", px_role_name(worker->role), pid, slot->incarnation);
}

/* 0, then 50 ms doubling to 5 s with jitter, so that workers which die together do not come back together. */
static int64_t backoff_ns(const struct pxi_worker *worker)
{
    int64_t ns;

    if (worker->failures <= 1)
        return 0;
    ns = PX_MIN(BACKOFF_STEP_NS << PX_MIN(worker->failures - 2, 10u), BACKOFF_MAX_NS);
    return ns / 2 +
           (int64_t)(((uint64_t)worker->pid * 2654435761u + (uint64_t)worker->started.ns) % (uint64_t)(ns / 2));
}

static bool died_too_often(struct pxi_worker *worker, int64_t now_ns)
{
    unsigned kept = PX_COUNT_OF(worker->deaths_ns);
    int64_t oldest = worker->deaths_ns[worker->death_count % kept];

    worker->deaths_ns[worker->death_count++ % kept] = now_ns;
    return worker->death_count > kept && now_ns - oldest < INTENSITY_NS;
}

/* Whoever slept on a word that the dead process was about to wake would sleep to its time-out. */
static void wake_sleepers(struct px_shm *shm)
{
    px_wait_wake_always(&shm->ticks_yard->need_wake);
    px_wait_wake_always(&shm->events_yard->need_wake);
    for (unsigned i = 0; i < px_shm_evaluators(shm); i++) {
        px_wait_wake_always(&px_shm_hits(shm, i)->consumer_sleeps);
        px_wait_wake_always(&px_shm_seeds(shm, i)->consumer_sleeps);
    }
}

static void log_death(const struct pxi_worker *worker, const struct px_role_slot *slot, const siginfo_t *info)
{
    bool killed = info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED;

    px_log(killed || info->si_status != 0 ? PX_LOG_WARN : PX_LOG_INFO, "ended role=%s pid=%d %s=%d last-words=\"%.*s\"",
           px_role_name(worker->role), worker->pid, killed ? "signal" : "status", info->si_status,
           (int)strnlen(slot->last_words, PX_LAST_WORDS_SIZE), slot->last_words);
}

void pxi_worker_reap(struct pxi_supervisor *supervisor, struct pxi_worker *worker)
{
    struct px_role_slot *slot = &supervisor->shm.roles[worker->slot];
    px_mono now = px_mono_now();
    siginfo_t info = {0};
    bool healthy;

    if (waitid(P_PID, (id_t)worker->pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return;
    epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_DEL, worker->pidfd,
              NULL); /* a forked worker may hold a copy: closing is not enough */
    close(worker->pidfd);
    worker->pidfd = -1;
    readers_reaped(supervisor->shm.domain, worker);
    log_death(worker, slot, &info);
    healthy = slot->state == PX_STATE_READY && px_mono_since(now, worker->started) > HEALTHY_NS;
    worker->failures = healthy ? 1 : worker->failures + 1;
    worker->due.ns = now.ns + backoff_ns(worker);
    worker->pid = 0;
    slot->pid = 0;
    slot->restarts++;
    slot->last_status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    px_store_release(&slot->state, died_too_often(worker, now.ns) && !healthy ? PX_STATE_DEGRADED : PX_STATE_DEAD);
    wake_sleepers(&supervisor->shm);
}
