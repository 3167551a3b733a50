/* The ingest process: venues in, prices and ticks out. */
#include "engine/ingest/ingest_private.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TURN_MS 50 /* the heartbeat wants to be seen */
#define GATE_MS 10
#define EVENTS  64

static int watch_terminate(struct pxi_ingest *ingest)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    ingest->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (ingest->epoll_fd < 0)
        return PX_E_SYSTEM;
    if (epoll_ctl(ingest->epoll_fd, EPOLL_CTL_ADD, ingest->heritage->terminate_fd, &event) != 0)
        return PX_E_SYSTEM;
    return 0;
}

/* The filter goes on from the prices and trade ids that are in force. */
static void seed_filter(struct pxi_ingest *ingest)
{
    for (px_asset_id asset = 0; asset < ingest->config->asset_count; asset++) {
        struct px_detail_value detail = pxi_publisher_detail(ingest->publisher, asset);
        if (detail.sseq > 0)
            pxi_filter_seed(ingest->filter, asset, detail.price, (px_venue_id)detail.venue, detail.trade_id);
    }
}

static int ingest_init(struct pxi_ingest *ingest, const struct px_heritage *heritage)
{
    int error;

    ingest->heritage = heritage;
    ingest->config = heritage->config;
    ingest->stats = px_heritage_stats(heritage);
    ingest->gate.shm = heritage->shm;
    ingest->epoll_fd = -1;
    error = watch_terminate(ingest);
    if (!error)
        error = pxi_normaliser_create(heritage->config, &ingest->normaliser);
    if (!error)
        error = pxi_filter_create(heritage->config, &ingest->filter);
    if (!error)
        error = pxi_arbiter_create(heritage->config, px_mono_now(), &ingest->arbiter);
    if (!error)
        error = pxi_publisher_create(heritage, &ingest->publisher);
    if (error)
        return error;
    pxi_publisher_takeover(ingest->publisher);
    seed_filter(ingest);
    return pxi_links_open(ingest);
}

static void ingest_fini(struct pxi_ingest *ingest)
{
    pxi_links_close(ingest);
    pxi_publisher_destroy(&ingest->publisher);
    pxi_arbiter_destroy(&ingest->arbiter);
    pxi_filter_destroy(&ingest->filter);
    pxi_normaliser_destroy(&ingest->normaliser);
    if (ingest->epoll_fd >= 0)
        close(ingest->epoll_fd);
}

static void look_at_clocks(struct pxi_ingest *ingest)
{
    ingest->recv_ns = px_wall_now();
    ingest->now = px_mono_now();
}

/* Sockets that have something, one batch each. */
static void read_sockets(struct pxi_ingest *ingest, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        if (!events[i].data.ptr)
            continue;
        look_at_clocks(ingest);
        px_connector_ready(events[i].data.ptr, ingest->now);
        pxi_publisher_flush(ingest->publisher);
    }
}

/* What the connections' timers ask for; returns how many ms the loop may sleep. */
static int run_timers(struct pxi_ingest *ingest)
{
    int64_t sleep_ns = TURN_MS * PX_NS_PER_MS;

    for (uint32_t i = 0; i < ingest->link_count; i++) {
        look_at_clocks(ingest);
        sleep_ns = PX_MIN(sleep_ns, px_connector_tick(ingest->links[i].connector, ingest->now));
        pxi_publisher_flush(ingest->publisher);
    }
    return (int)((sleep_ns + PX_NS_PER_MS - 1) / PX_NS_PER_MS);
}

/* Waits while the keeper is behind; true when there is nothing to wait for. */
static bool gate_open(struct pxi_ingest *ingest)
{
    struct pollfd terminate = {.fd = ingest->heritage->terminate_fd, .events = POLLIN};
    bool began;

    if (!pxi_gate_closed(&ingest->gate, px_mono_now(), &began))
        return true;
    if (began) {
        px_stat_add(ingest->stats, PX_STAT_TICK_GATED, 1);
        px_log_limited(PX_LOG_WARN, 1, "ingest_gated why=\"the keeper is three quarters of the ring behind\"");
    }
    poll(&terminate, 1, GATE_MS);
    return false;
}

/* Ingest keeps no reference into the directory, so it never goes online in the RCU domain and may block as it likes. */
static void turn(struct pxi_ingest *ingest, int *timeout_msp)
{
    struct epoll_event events[EVENTS];
    int count;

    px_heritage_beat(ingest->heritage);
    if (!gate_open(ingest))
        return;
    count = epoll_wait(ingest->epoll_fd, events, EVENTS, *timeout_msp);
    read_sockets(ingest, events, count);
    *timeout_msp = run_timers(ingest);
    pxi_links_count(ingest);
}

int px_ingest_main(const struct px_heritage *heritage)
{
    struct pxi_ingest *ingest = calloc(1, sizeof *ingest);
    int timeout_ms = 0, error;

    if (!ingest)
        return PX_E_MEMORY;
    error = ingest_init(ingest, heritage);
    if (!error) {
        px_heritage_ready(heritage);
        px_log(PX_LOG_INFO, "ingest_ready assets=%u connections=%u", heritage->config->asset_count, ingest->link_count);
        while (!px_heritage_terminating(heritage))
            turn(ingest, &timeout_ms);
        px_store_release(&px_heritage_role(heritage)->state, PX_STATE_DRAINING);
        pxi_publisher_flush(ingest->publisher);
    }
    ingest_fini(ingest);
    free(ingest);
    return error;
}
