/* Between the keeper and the flights: leases come in, reports go out, one exchange for both. */
#include "base/error.h"
#include "base/log.h"
#include "engine/notify/notify_private.h"

#define CROWDED_NS (100 * PX_NS_PER_MS)

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
    for (unsigned i = 0; i < notify->waiting_count; i++)
        if (notify->waiting[i].delivery.number == number)
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

/*
 * What finds all flights of its channel under way waits here for one to land, which takes a fraction of a millisecond where the receiver is
 * quick; the keeper would look at it again much later. One that fails has no claim to that room.
 */
static bool wait_here(struct pxi_notify *notify, struct pxi_gate *gate, const struct px_job *job)
{
    if (gate->failures > 0 || gate->waiting >= PXI_WAITING_EACH || notify->waiting_count == PXI_WAITING)
        return false;
    notify->waiting[notify->waiting_count++] = *job;
    gate->waiting++;
    return true;
}

static void start(struct pxi_notify *notify, const struct px_job *job)
{
    int64_t now_ns = px_wall_now(), until_ns;
    struct pxi_gate *gate = pxi_gate_of(&notify->gates, job->channel.id, now_ns);

    if (is_held(notify, job->delivery.number))
        return;
    if (gate && gate->waiting > 0 && wait_here(notify, gate, job))
        return; /* those that came before go before */
    until_ns = gate ? pxi_gate_pass(gate, pace_of(notify, &job->channel), now_ns) : now_ns + PX_NS_PER_S;
    if (until_ns == PXI_CROWDED && wait_here(notify, gate, job))
        return;
    if (until_ns == PXI_CROWDED)
        until_ns = now_ns + CROWDED_NS;
    if (until_ns > 0)
        defer(notify, job, until_ns);
    else
        pxi_flight_start(notify, job);
}

void pxi_jobs_resume(struct pxi_notify *notify)
{
    int64_t now_ns = px_wall_now();
    unsigned kept = 0;

    for (unsigned i = 0; i < notify->waiting_count; i++) {
        const struct px_job *job = &notify->waiting[i];
        struct pxi_gate *gate = pxi_gate_of(&notify->gates, job->channel.id, now_ns);
        int64_t until_ns = notify->flying < PXI_FLIGHTS ? pxi_gate_pass(gate, pace_of(notify, &job->channel), now_ns) : PXI_CROWDED;

        if (until_ns == PXI_CROWDED) {
            if (kept != i)
                notify->waiting[kept] = *job;
            kept++;
            continue;
        }
        gate->waiting--;
        if (until_ns > 0)
            defer(notify, job, until_ns);
        else
            pxi_flight_start(notify, job);
    }
    notify->waiting_count = kept;
}

/* As many as there is room for, here and in the list of reports, each of which may end as one. */
static uint32_t room(const struct pxi_notify *notify)
{
    unsigned flights = PXI_FLIGHTS - notify->flying;
    unsigned reports = PXI_REPORTS - notify->reports - notify->flying - notify->waiting_count;

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
