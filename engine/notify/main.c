/*
 * notify: the one process that reaches out to users' addresses. It opens no store and writes nothing but its own counters; what it sends
 * is leased from the keeper, and what became of it is told there.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "engine/notify/cage.h"
#include "engine/notify/notify_private.h"

#define KEEPER_MS 500
#define DRAIN_NS  (3 * PX_NS_PER_S) /* what is under way then is leased again after the restart */

/* The first line of the file; an unreadable one is told, and then mail is refused by the server, which is told too. */
static void read_password(struct pxi_notify *notify)
{
    const char *path = notify->heritage->config->notify.smtp.password_file;
    int fd = path[0] ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd >= 0 ? read(fd, notify->smtp_password, sizeof notify->smtp_password - 1) : 0;

    if (fd >= 0)
        close(fd);
    if (n < 0 || (path[0] && fd < 0))
        px_log(PX_LOG_ERROR, "password_file_unreadable path=%s", path);
    notify->smtp_password[PX_MAX(n, 0)] = '\0';
    notify->smtp_password[strcspn(notify->smtp_password, "\r\n")] = '\0';
}

static int open_exchange(struct pxi_exchange *exchange, const char *data)
{
    int error = px_reader_create(data, &exchange->reader);

    if (!error)
        px_reader_timeout_set(exchange->reader, KEEPER_MS);
    return error;
}

static int notify_init(struct pxi_notify *notify, const struct px_heritage *heritage)
{
    struct px_cage cage;
    const char *data;

    notify->heritage = heritage;
    notify->stats = px_heritage_stats(heritage);
    notify->fresh = true;
    pxi_jobs_init(notify);
    read_password(notify);
    if (heritage->config->notify.vapid_subject[0] && pxi_vapid_open(heritage->config->data, &notify->vapid) != 0)
        px_log(PX_LOG_ERROR, "push_off"); /* the others must be told all the same; each attempt says why */
    int error = px_cage_enter(heritage->config, &cage); /* what only the engine's own rights can read has been read */
    if (error)
        return error;
    data = cage.data[0] ? cage.data : heritage->config->data;
    error = open_exchange(&notify->claims, data);
    if (!error)
        error = open_exchange(&notify->reporting, data);
    return error ? error : pxi_flights_init(notify);
}

static void notify_fini(struct pxi_notify *notify)
{
    pxi_flights_fini(notify);
    pxi_vapid_close(&notify->vapid);
    px_reader_destroy(&notify->claims.reader);
    px_reader_destroy(&notify->reporting.reader);
}

static void turn(struct pxi_notify *notify)
{
    struct curl_waitfd fds[2];
    int running, timeout_ms;

    pxi_jobs_turn(notify);
    curl_multi_perform(notify->multi, &running);
    pxi_flights_collect(notify);
    if (notify->waiting_count > 0 && !px_heritage_terminating(notify->heritage))
        pxi_jobs_resume(notify);
    px_stat_set(notify->stats, PX_STAT_NOTIFY_FLYING, notify->flying);
    px_heritage_beat(notify->heritage);
    unsigned count = pxi_jobs_wait(notify, fds, &timeout_ms);
    curl_multi_poll(notify->multi, fds, count, timeout_ms, NULL);
}

static void run(struct pxi_notify *notify)
{
    px_mono stopped = {0};

    for (;;) {
        turn(notify);
        if (!px_heritage_terminating(notify->heritage))
            continue;
        if (stopped.ns == 0)
            stopped = px_mono_now();
        if ((notify->flying == 0 && notify->reports == 0) || px_mono_since(px_mono_now(), stopped) > DRAIN_NS)
            return;
    }
}

int px_notify_main(const struct px_heritage *heritage)
{
    struct pxi_notify *notify = calloc(1, sizeof *notify);

    if (!notify)
        return PX_E_MEMORY;
    int error = notify_init(notify, heritage);
    if (error == 0) {
        px_heritage_ready(heritage);
        px_log(PX_LOG_INFO, "serving mail=%d push=%d", heritage->config->notify.smtp.url[0] != '\0', notify->vapid.key != NULL);
        run(notify);
    }
    notify_fini(notify);
    free(notify);
    return error;
}
