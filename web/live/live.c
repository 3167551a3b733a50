/* The live loop: one turn after the other, until it is stopped. */
#include "web/live/live.h"
#include "base/error.h"
#include "base/log.h"
#include "web/live/live_private.h"
#include "web/rcu.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define MEASURE_NS (100 * PX_NS_PER_MS)

/* --- a turn --- */

static int add_listener(struct px_live *live)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, /* one worker wakes, not all who share the socket */
                                .data.u64 = (uint64_t)(uintptr_t)&live->listen_fd};

    return epoll_ctl(live->epoll_fd, EPOLL_CTL_ADD, live->listen_fd, &event);
}

/* The kernel wakes the first of those who wait: who has had his turn goes to the end of the queue. */
static void stand_in_line_again(struct px_live *live)
{
    if (!live->accepting)
        return;
    (void)epoll_ctl(live->epoll_fd, EPOLL_CTL_DEL, live->listen_fd, NULL);
    live->accepting = add_listener(live) == 0;
}

static void on_event(struct px_live *live, const struct epoll_event *event)
{
    uint64_t count;

    if (event->data.u64 == (uint64_t)(uintptr_t)&live->listen_fd) {
        pxi_conn_accept(live);
        stand_in_line_again(live);
    } else if (event->data.u64 == (uint64_t)(uintptr_t)&live->wake_fd)
        (void)eventfd_read(live->wake_fd, &count);
    else if (event->data.u64 == (uint64_t)(uintptr_t)&live->replay_fd) {
        (void)eventfd_read(live->replay_fd, &count);
        pxi_replay_collect(live);
    } else
        pxi_conn_event((struct pxi_conn *)(uintptr_t)(event->data.u64 & ~UINT64_C(1)), (event->data.u64 & 1) != 0,
                       event->events);
}

/* Accepting stops in a drain, and pauses without descriptors. */
static void watch_listener(struct px_live *live)
{
    bool wanted = !live->draining && px_mono_since(live->now, live->accept_again_at) >= 0;

    if (wanted == live->accepting)
        return;
    if (!wanted)
        (void)epoll_ctl(live->epoll_fd, EPOLL_CTL_DEL, live->listen_fd, NULL);
    live->accepting = wanted && add_listener(live) == 0;
}

static void begin_drain(struct px_live *live)
{
    live->draining = true;
    live->drain_until.ns = live->now.ns + (int64_t)live->drain_ms * PX_NS_PER_MS;
    watch_listener(live);
    close(live->listen_fd); /* connections go to the other workers from now on */
    live->listen_fd = -1;
    px_hub_going_away(live->hub);
    while (!cds_list_empty(&live->by_kind[PXI_HEAD]))
        pxi_conn_kill(cds_list_first_entry(&live->by_kind[PXI_HEAD], struct pxi_conn, timer));
}

static bool is_drained(const struct px_live *live)
{
    return live->draining && (live->count == 0 || px_mono_since(live->now, live->drain_until) >= 0);
}

/* The waker may be asleep on the other ring alone. */
static void want_ticks(struct px_live *live)
{
    uint32_t wants = px_hub_wants_ticks(live->hub);

    if (wants == live->wants_ticks)
        return;
    px_store_relaxed(&live->wants_ticks, wants);
    px_wait_wake(&live->waker_sleeps);
}

/* How long the loop may sleep, in ms. Says that it is idle before it looks at the rings for the last time. */
static int sleep_ms(struct px_live *live, bool more)
{
    if (more || !cds_list_empty(&live->dead))
        return 0;
    want_ticks(live);
    px_store_relaxed(&live->idle, 1);
    px_smp_mb(); /* pairs with the waker's */
    if (px_hub_has_news(live->hub))
        return 0;
    return (int)((px_hub_due_ns(live->hub, live->now) + PX_NS_PER_MS - 1) / PX_NS_PER_MS);
}

/* Processor time of this thread. The time between sleeps would not do: on a crowded machine most of it is waiting for a
 * core. */
static int64_t thread_cpu_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * PX_NS_PER_S + time.tv_nsec;
}

/* Every 100 ms: which part of a core the loop took. */
static void measure(struct px_live *live)
{
    int64_t span = px_mono_since(live->now, live->measured_at);
    int64_t cpu_ns;

    if (span < MEASURE_NS)
        return;
    cpu_ns = thread_cpu_ns();
    px_hub_pressure(live->hub, (unsigned)((cpu_ns - live->cpu_ns) * 1000 / span));
    live->cpu_ns = cpu_ns;
    live->measured_at = live->now;
    px_stat_set(live->stats, PX_STAT_WEB_CONNECTIONS, live->count);
    px_stat_set(live->stats, PX_STAT_WEB_SESSIONS, live->sessions);
    px_stat_set(live->stats, PX_STAT_WEB_WATCHED, px_watchers_assets(live->options.watchers));
}

static void rcu(struct px_live *live, bool online)
{
    if (live->options.rcu_slot == PX_LIVE_NO_RCU)
        return;
    if (online)
        px_rcu_online(live->options.shm->domain, live->options.rcu_slot);
    else
        px_rcu_offline(live->options.shm->domain, live->options.rcu_slot);
}

static void turn(struct px_live *live)
{
    struct epoll_event events[EVENTS_MAX];
    bool more = px_hub_turn(live->hub, live->now);
    int count;

    pxi_conn_timers(live);
    pxi_conn_bury(live);
    watch_listener(live);
    rcu(live, false);
    count = epoll_wait(live->epoll_fd, events, EVENTS_MAX, sleep_ms(live, more));
    rcu(live, true);
    px_store_relaxed(&live->idle, 0);
    live->now = px_mono_now();
    __atomic_store_n(&live->turned_ns, live->now.ns, __ATOMIC_RELAXED);
    for (int i = 0; i < count; i++)
        on_event(live, &events[i]);
    pxi_conn_bury(live);
    measure(live);
}

static void *live_run(void *arg)
{
    struct px_live *live = arg;

    urcu_memb_register_thread();
    rcu(live, true);
    while (!is_drained(live)) {
        if (!live->draining && __atomic_load_n(&live->stop, __ATOMIC_ACQUIRE) == 1)
            begin_drain(live);
        turn(live);
    }
    pxi_conn_kill_all(live);
    rcu(live, false);
    urcu_memb_unregister_thread();
    return NULL;
}

/* --- start and stop --- */

static void free_live(struct px_live *live)
{
    pxi_replay_stop(&live->replay);
    px_hub_destroy(&live->hub);
    for (size_t i = 0; i < 4; i++) {
        int fd = ((const int[]){live->listen_fd, live->epoll_fd, live->wake_fd, live->replay_fd})[i];

        if (fd >= 0)
            close(fd);
    }
    free(live);
}

static int open_files(struct px_live *live)
{
    struct epoll_event wake = {.events = EPOLLIN, .data.u64 = (uint64_t)(uintptr_t)&live->wake_fd};
    struct epoll_event replay = {.events = EPOLLIN, .data.u64 = (uint64_t)(uintptr_t)&live->replay_fd};
    int error = 0;

    live->listen_fd = live->options.listen_fd;
    if (live->listen_fd < 0)
        error = px_listen(live->options.host, live->options.port, PX_LISTEN_REUSEPORT, &live->listen_fd);
    if (error != 0)
        return error;
    live->port = px_listen_port(live->listen_fd);
    live->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    live->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    live->replay_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (live->epoll_fd < 0 || live->wake_fd < 0 || live->replay_fd < 0 ||
        epoll_ctl(live->epoll_fd, EPOLL_CTL_ADD, live->wake_fd, &wake) != 0 ||
        epoll_ctl(live->epoll_fd, EPOLL_CTL_ADD, live->replay_fd, &replay) != 0)
        return PX_E_SYSTEM;
    return 0;
}

static int open_hub(struct px_live *live)
{
    const struct px_live_options *options = &live->options;
    struct px_hub_options hub = {.shm = options->shm,
                                 .config = options->config,
                                 .watchers = options->watchers,
                                 .slot = options->slot,
                                 .generation = options->generation,
                                 .auth = options->auth,
                                 .auth_user = options->auth_user,
                                 .replay = options->data != NULL ? pxi_replay_ask : NULL,
                                 .replay_user = live,
                                 .gather_ms = options->gather_ms};
    int error = px_hub_create(&hub, &live->hub);

    if (error == 0 && options->data != NULL)
        error = pxi_replay_start(live, &live->replay);
    return error;
}

static int start_threads(struct px_live *live)
{
    if (pthread_create(&live->waker_thread, NULL, pxi_waker_run, live) != 0)
        return PX_E_SYSTEM;
    if (pthread_create(&live->loop_thread, NULL, live_run, live) != 0) {
        __atomic_store_n(&live->stop, 2, __ATOMIC_RELEASE);
        pthread_join(live->waker_thread, NULL);
        return PX_E_SYSTEM;
    }
    return 0;
}

/* public API */

int px_live_start(const struct px_live_options *options, struct px_live **livep)
{
    struct px_live *live = calloc(1, sizeof(*live));
    int error;

    if (live == NULL)
        return PX_E_MEMORY;
    live->options = *options;
    live->listen_fd = live->epoll_fd = live->wake_fd = live->replay_fd = -1;
    live->stats = &options->shm->stats[options->slot];
    live->now = live->accept_again_at = live->measured_at = px_mono_now();
    live->turned_ns = live->now.ns;
    for (int kind = 0; kind < PXI_KINDS; kind++)
        CDS_INIT_LIST_HEAD(&live->by_kind[kind]);
    CDS_INIT_LIST_HEAD(&live->dead);
    error = open_files(live);
    if (error == 0)
        error = open_hub(live);
    if (error == 0)
        error = start_threads(live);
    if (error != 0) {
        free_live(live);
        return error;
    }
    px_log(PX_LOG_INFO, "live_listening host=%s port=%u", options->host, live->port);
    *livep = live;
    return 0;
}

uint16_t px_live_port(const struct px_live *live)
{
    return live->port;
}

int64_t px_live_turned_ns(const struct px_live *live)
{
    return __atomic_load_n(&live->turned_ns, __ATOMIC_RELAXED);
}

void px_live_stop(struct px_live **livep, uint32_t drain_ms)
{
    struct px_live *live = *livep;

    if (live == NULL)
        return;
    live->drain_ms = drain_ms;
    __atomic_store_n(&live->stop, 1, __ATOMIC_RELEASE);
    (void)eventfd_write(live->wake_fd, 1);
    pthread_join(live->loop_thread, NULL);
    __atomic_store_n(&live->stop, 2, __ATOMIC_RELEASE);
    pthread_join(live->waker_thread, NULL); /* its sleep is at most 100 ms */
    free_live(live);
    *livep = NULL;
}
