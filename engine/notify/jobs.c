/* Between the keeper and the flights: leases come in, reports go out, one exchange for both. */
#include "base/error.h"
#include "base/log.h"
#include "engine/notify/notify_private.h"

void pxi_report(struct pxi_notify *notify, const struct px_report *report)
{
    PX_CHECK(notify->reports < PXI_REPORTS); /* claims stop long before */
    notify->report[notify->reports++] = *report;
}

/* Whether an attempt of it is under way, or has been made and the keeper does not know yet. */
static bool is_held(const struct pxi_notify *notify, uint64_t number)
{
    for (unsigned i = 0; i < notify->reports; i++)
        if (notify->report[i].number == number)
            return true;
    return pxi_flight_has(notify, number);
}

static void defer(struct pxi_notify *notify, const struct px_job *job, int64_t until_ns)
{
    struct px_report report = {.number = job->delivery.number,
                               .attempt = job->delivery.attempts + 1,
                               .outcome = PX_OUTCOME_DEFER,
                               .due_ns = until_ns};

    px_stat_add(notify->stats, PX_STAT_NOTIFY_DEFERRED, 1);
    pxi_report(notify, &report);
}

static uint32_t pace_of(const struct pxi_notify *notify, const struct px_channel *channel)
{
    return channel->per_minute > 0 ? channel->per_minute : notify->heritage->config->notify.per_minute;
}

static void start(struct pxi_notify *notify, const struct px_job *job)
{
    int64_t now_ns = px_wall_now(), until_ns;
    struct pxi_gate *gate = pxi_gate_of(&notify->gates, job->channel.id, now_ns);

    if (is_held(notify, job->delivery.number))
        return;
    until_ns = gate ? pxi_gate_pass(gate, pace_of(notify, &job->channel), now_ns) : now_ns + PX_NS_PER_S;
    if (until_ns > 0)
        defer(notify, job, until_ns);
    else
        pxi_flight_start(notify, job);
}

/* As many as there is room for, here and in the list of reports, each of which may end as one. */
static uint32_t room(const struct pxi_notify *notify)
{
    unsigned flights = PXI_FLIGHTS - notify->flying;
    unsigned reports = PXI_REPORTS - notify->reports - notify->flying;

    if (px_heritage_terminating(notify->heritage))
        return 0;
    return (uint32_t)PX_MIN(PX_MIN(flights, reports), PX_JOBS_MAX);
}

int pxi_jobs_turn(struct pxi_notify *notify)
{
    struct px_turn *turn = &notify->turn;
    uint32_t count = 0;

    turn->count = (uint32_t)PX_MIN(notify->reports, PX_REPORTS_MAX);
    turn->want = room(notify);
    turn->fresh = notify->fresh;
    memcpy(turn->report, notify->report, turn->count * sizeof turn->report[0]);
    notify->asked = px_mono_now();
    int error = px_reader_turn(notify->reader, turn, notify->jobs, &count, &notify->next_ns);
    if (error) {
        notify->fresh |= error != PX_E_AGAIN;
        px_log_limited(PX_LOG_WARN, 1, "keeper_unreachable error=\"%s\" reports=%u", px_error_text(error), notify->reports);
        return error;
    }
    notify->fresh = false;
    notify->reports -= turn->count;
    memmove(notify->report, notify->report + turn->count, notify->reports * sizeof notify->report[0]);
    for (uint32_t i = 0; i < count; i++)
        start(notify, &notify->jobs[i]);
    notify->more = notify->reports > 0 || (count == turn->want && turn->want > 0);
    return 0;
}
