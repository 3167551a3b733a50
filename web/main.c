/*
 * A web worker: REST threads behind a loopback port, the live loop on the public one, and this thread, which beats the
 * heart, follows the key file and waits for the end.
 */
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "engine/heritage.h"
#include "web/live/live.h"
#include "web/quick.h"
#include "web/rcu.h"
#include "web/rest/rest.h"
#include "web/server.h"
#include "web/snapshot.h"
#include "web/watchers.h"

#define TURN_MS      50
#define CHORE_NS     PX_NS_PER_S
#define LIVE_HANG_NS (2 * PX_NS_PER_S) /* a live loop that has not turned for so long stops the heart */
#define DRAIN_MS     3000

struct web {
    const struct px_heritage *heritage;
    struct px_snapshots *snapshots;
    struct px_watchers *watchers;
    struct px_rest *rest;
    struct px_server *server;
    struct px_quick *quick;
    struct px_live *live;
    px_mono chores_done;
};

/* ---- the live loop's question: whose key is this? ---- */

static int authenticate(void *user, struct px_text token, char owner[PX_LIVE_OWNER_SIZE], unsigned *scopesp)
{
    struct web *web = user;
    struct px_key key;

    int rc = px_snapshots_verify(web->snapshots, token, &key);

    if (rc < 0)
        return rc;
    px_text_copy(owner, PX_LIVE_OWNER_SIZE, px_text_of(key.id));
    *scopesp = key.scopes;
    return 0;
}

/* ---- start ---- */

static int start_live(struct web *web)
{
    const struct px_config *config = web->heritage->config;
    struct px_live_options options = {
        .host = config->listen_host,
        .port = config->listen_port,
        .listen_fd = web->heritage->listen_fd,
        .http_port = px_server_port(web->server),
        .config = config,
        .shm = web->heritage->shm,
        .slot = web->heritage->slot,
        .rcu_slot = PX_RCU_SLOT_LIVE + web->heritage->worker,
        .watchers = web->watchers,
        .generation = web->heritage->generation,
        .data = config->data,
        .auth = authenticate,
        .auth_user = web,
        .quick = px_quick_serve,
        .quick_user = web->quick,
    };

    return px_live_start(&options, &web->live);
}

static int start(struct web *web)
{
    int rc = px_snapshots_open(web->heritage->config, &web->snapshots);

    if (rc == 0)
        rc = px_watchers_create(web->heritage->shm->header->params.assets, &web->watchers);
    if (rc == 0)
        rc = px_rest_create(web->heritage, web->snapshots, web->watchers, &web->rest);
    if (rc == 0)
        rc = px_server_start(web->rest, "127.0.0.1", 0, &web->server);
    if (rc == 0)
        rc = px_quick_create(web->rest, &web->quick);
    if (rc == 0)
        rc = start_live(web);
    return rc;
}

static void stop(struct web *web)
{
    px_live_stop(&web->live, DRAIN_MS);
    px_quick_destroy(&web->quick);
    px_server_stop(&web->server);
    px_rest_destroy(&web->rest);
    px_watchers_destroy(&web->watchers);
    px_snapshots_close(&web->snapshots);
}

/* ---- the loop ---- */

/*
 * A reader's slot is this process's once it carries its pid; the supervisor writes that when it knows the pid, perhaps
 * after we run. Going online in a slot that is still being given away would be refused.
 */
static void go_online(const struct px_heritage *heritage)
{
    const struct px_rcu_reader *reader = &heritage->shm->domain.slots->reader[heritage->slot];
    px_mono began = px_mono_now();

    while (px_load_acquire(&reader->pid) != getpid() && px_mono_since(px_mono_now(), began) < PX_NS_PER_S)
        usleep(1000);
    px_rcu_online(heritage->shm->domain, heritage->slot);
}

/* HTTP threads look at the directory inside liburcu's read sections: once those are over, they hold nothing of the
 * region. The live thread has a slot of its own. Every turn, since a reader that holds up a writer for a second is
 * taken for stuck. */
static void quiesce(const struct px_heritage *heritage)
{
    if (!px_rcu_behind(heritage->shm->domain, heritage->slot))
        return;
    urcu_memb_synchronize_rcu();
    px_rcu_quiesce(heritage->shm->domain, heritage->slot);
}

static void do_chores(struct web *web)
{
    px_mono now = px_mono_now();

    if (px_mono_since(now, web->chores_done) < CHORE_NS)
        return;
    web->chores_done = now;
    px_snapshots_poll(web->snapshots);
}

static void run(struct web *web)
{
    struct pollfd end = {.fd = web->heritage->terminate_fd, .events = POLLIN};

    while (!px_heritage_terminating(web->heritage)) {
        if (px_mono_now().ns - px_live_turned_ns(web->live) < LIVE_HANG_NS)
            px_heritage_beat(web->heritage);
        quiesce(web->heritage);
        do_chores(web);
        poll(&end, 1, TURN_MS);
    }
}

int px_web_main(const struct px_heritage *heritage)
{
    struct web web = {.heritage = heritage};

    urcu_memb_register_thread();
    go_online(heritage);
    int rc = start(&web);
    if (rc < 0)
        px_log(PX_LOG_ERROR, "web_start_failed error=\"%s\"", px_error_text(rc));
    else
        px_log(PX_LOG_INFO, "web_serves host=%s port=%u http_port=%u", heritage->config->listen_host,
               px_live_port(web.live), px_server_port(web.server));
    if (rc == 0) {
        px_heritage_ready(heritage);
        run(&web);
    }
    stop(&web);
    px_rcu_offline(heritage->shm->domain, heritage->slot);
    urcu_memb_unregister_thread();
    return rc;
}
