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

#define POLL_NS       (250 * PX_NS_PER_MS) /* tests and replays make no event: somebody has to look */
#define KEEPER_MS     500
#define DRAIN_NS      (3 * PX_NS_PER_S) /* what is under way then is leased again after the restart */
#define KEEPER_GAP_NS (100 * PX_NS_PER_MS)

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

static int notify_init(struct pxi_notify *notify, const struct px_heritage *heritage)
{
    struct px_cage cage;

    notify->heritage = heritage;
    notify->stats = px_heritage_stats(heritage);
    notify->fresh = true;
    read_password(notify);
    if (heritage->config->notify.vapid_subject[0] && pxi_vapid_open(heritage->config->data, &notify->vapid) != 0)
        px_log(PX_LOG_ERROR, "push_off"); /* the others must be told all the same; each attempt says why */
    int error = px_cage_enter(heritage->config, &cage); /* what only the engine's own rights can read has been read */
    if (!error)
        error = px_reader_create(cage.data[0] ? cage.data : heritage->config->data, &notify->reader);
    if (error)
        return error;
    px_reader_timeout_set(notify->reader, KEEPER_MS);
    error = pxi_flights_init(notify);
    return error ? error : pxi_waker_start(notify);
}

static void notify_fini(struct pxi_notify *notify)
{
    pxi_waker_stop(notify);
    pxi_flights_fini(notify);
    pxi_vapid_close(&notify->vapid);
    px_reader_destroy(&notify->reader);
}

/* Whether it is time for a word with the keeper. */
static bool is_time(struct pxi_notify *notify, bool keeper_away)
{
    px_mono now = px_mono_now();
    int64_t since = px_mono_since(now, notify->asked);

    if (keeper_away && since < KEEPER_GAP_NS)
        return false;
    if (__atomic_exchange_n(&notify->news, 0, __ATOMIC_ACQ_REL) || notify->reports > 0 || notify->more || notify->fresh)
        return true;
    return since >= POLL_NS || (notify->next_ns > 0 && px_wall_now() >= notify->next_ns);
}

/* How long libcurl may wait when nothing happens. */
static int pause_ms(const struct pxi_notify *notify)
{
    int64_t left = notify->next_ns > 0 ? notify->next_ns - px_wall_now() : POLL_NS;

    if (notify->more)
        return 5; /* others are due, and there was no room */
    return (int)(PX_MAX(PX_MIN(left, POLL_NS / 5), PX_NS_PER_MS) / PX_NS_PER_MS);
}

static void turn(struct pxi_notify *notify, bool *keeper_awayp)
{
    int running;

    if (is_time(notify, *keeper_awayp))
        *keeper_awayp = pxi_jobs_turn(notify) != 0;
    curl_multi_perform(notify->multi, &running);
    pxi_flights_collect(notify);
    if (notify->waiting_count > 0 && !px_heritage_terminating(notify->heritage))
        pxi_jobs_resume(notify);
    px_stat_set(notify->stats, PX_STAT_NOTIFY_FLYING, notify->flying);
    px_heritage_beat(notify->heritage);
    if (notify->reports == 0 || *keeper_awayp)
        curl_multi_poll(notify->multi, NULL, 0, pause_ms(notify), NULL);
}

static void run(struct pxi_notify *notify)
{
    bool keeper_away = false;
    px_mono stopped = {0};

    for (;;) {
        turn(notify, &keeper_away);
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
