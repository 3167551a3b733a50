/* Between the keeper and the flights: leases come in, reports go out, an exchange for each, so that neither waits for the other. */
#include <poll.h>

#include "base/error.h"
#include "base/log.h"
#include "engine/notify/notify_private.h"

#define CROWDED_NS (100 * PX_NS_PER_MS)
#define WAIT_MS    200                  /* a claim may wait for something to be due */
#define LATE_NS    (700 * PX_NS_PER_MS) /* an answer that is not there is given up */
#define GATHER_NS  (2 * PX_NS_PER_MS)   /* between two reports: nobody waits for them */
#define AWAY_NS    (100 * PX_NS_PER_MS) /* after a failure */
#define POLL_MS    50

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
        if (notify->waiting[i].number == number)
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
    uint16_t place = notify->free_place[PXI_WAITING - notify->waiting_count - 1];
    notify->place[place] = *job;
    notify->waiting[notify->waiting_count++] = (struct pxi_waiting){job->delivery.number, place};
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
    if (notify->flying == PXI_FLIGHTS) /* others have set out since it was asked for */
        until_ns = PXI_CROWDED;
    else
        until_ns = gate ? pxi_gate_pass(gate, pace_of(notify, &job->channel), now_ns) : now_ns + PX_NS_PER_S;
    if (until_ns == PXI_CROWDED && gate && wait_here(notify, gate, job))
        return;
    if (until_ns == PXI_CROWDED)
        until_ns = now_ns + CROWDED_NS;
    if (until_ns > 0)
        defer(notify, job, until_ns);
    else
        pxi_flight_start(notify, job);
}

void pxi_jobs_init(struct pxi_notify *notify)
{
    for (unsigned i = 0; i < PXI_WAITING; i++)
        notify->free_place[i] = (uint16_t)i;
}

void pxi_jobs_resume(struct pxi_notify *notify)
{
    int64_t now_ns = px_wall_now();
    unsigned kept = 0, freed = PXI_WAITING - notify->waiting_count;

    for (unsigned i = 0; i < notify->waiting_count; i++) {
        const struct px_job *job = &notify->place[notify->waiting[i].place];
        struct pxi_gate *gate = pxi_gate_of(&notify->gates, job->channel.id, now_ns);
        int64_t until_ns = notify->flying < PXI_FLIGHTS ? pxi_gate_pass(gate, pace_of(notify, &job->channel), now_ns) : PXI_CROWDED;

        if (until_ns == PXI_CROWDED) {
            notify->waiting[kept++] = notify->waiting[i];
            continue;
        }
        gate->waiting--;
        if (until_ns > 0)
            defer(notify, job, until_ns);
        else
            pxi_flight_start(notify, job);
        notify->free_place[freed++] = notify->waiting[i].place;
    }
    notify->waiting_count = kept;
}

/* As many as there is room for, here and in the list of reports, each of which may end as one. */
static uint32_t room(const struct pxi_notify *notify)
{
    unsigned flights = PXI_FLIGHTS - notify->flying;
    unsigned reports = PXI_REPORTS - notify->reports - notify->flying - notify->waiting_count;

    return (uint32_t)PX_MIN(PX_MIN(flights, reports), PX_JOBS_MAX);
}

/* ---- exchanges ---- */

static bool may_begin(const struct pxi_exchange *exchange)
{
    return !exchange->under_way && px_mono_since(px_mono_now(), exchange->since) >= exchange->rest_ns;
}

static void end(struct pxi_exchange *exchange, int64_t rest_ns)
{
    exchange->under_way = false;
    exchange->since = px_mono_now();
    exchange->rest_ns = rest_ns;
}

static void failed(struct pxi_notify *notify, struct pxi_exchange *exchange, int error)
{
    px_log_limited(PX_LOG_WARN, 1, "keeper_unreachable error=\"%s\" reports=%u", px_error_text(error), notify->reports);
    px_reader_turn_cancel(exchange->reader);
    end(exchange, AWAY_NS);
    notify->fresh |= exchange == &notify->claims; /* what a lost answer has leased is nobody's */
}

static void begin(struct pxi_notify *notify, struct pxi_exchange *exchange)
{
    int error = px_reader_turn_begin(exchange->reader, &exchange->turn);

    exchange->since = px_mono_now();
    exchange->under_way = error == 0;
    if (error)
        failed(notify, exchange, error);
}

/* Its answer is there, or has not come. */
static bool is_over(const struct pxi_exchange *exchange)
{
    struct pollfd fd = {.fd = px_reader_turn_fd(exchange->reader), .events = POLLIN};

    return exchange->under_way && (poll(&fd, 1, 0) > 0 || px_mono_since(px_mono_now(), exchange->since) > LATE_NS);
}

static void report(struct pxi_notify *notify)
{
    struct pxi_exchange *exchange = &notify->reporting;
    struct px_turn *turn = &exchange->turn;
    uint32_t none;

    if (is_over(exchange)) {
        int error = px_reader_turn_end(exchange->reader, NULL, &none);

        if (error) {
            failed(notify, exchange, error);
        } else {
            notify->reports -= turn->count;
            memmove(notify->report, notify->report + turn->count, notify->reports * sizeof notify->report[0]);
            end(exchange, notify->reports >= PX_REPORTS_MAX ? 0 : GATHER_NS);
        }
    }
    if (notify->reports == 0 || !may_begin(exchange))
        return;
    turn->count = (uint32_t)PX_MIN(notify->reports, PX_REPORTS_MAX);
    memcpy(turn->report, notify->report, turn->count * sizeof turn->report[0]);
    begin(notify, exchange);
}

static void take_jobs(struct pxi_notify *notify)
{
    uint32_t count = 0;
    int error = px_reader_turn_end(notify->claims.reader, notify->jobs, &count);

    if (error) {
        failed(notify, &notify->claims, error);
        return;
    }
    notify->fresh = false;
    end(&notify->claims, 0);
    for (uint32_t i = 0; i < count; i++)
        start(notify, &notify->jobs[i]);
}

static void claim(struct pxi_notify *notify)
{
    struct pxi_exchange *exchange = &notify->claims;

    if (px_heritage_terminating(notify->heritage)) {
        px_reader_turn_cancel(exchange->reader);
        exchange->under_way = false;
        return;
    }
    if (is_over(exchange))
        take_jobs(notify);
    if (!may_begin(exchange))
        return;
    exchange->turn = (struct px_turn){.want = room(notify), .wait_ms = WAIT_MS, .fresh = notify->fresh};
    if (exchange->turn.want > 0)
        begin(notify, exchange);
}

void pxi_jobs_turn(struct pxi_notify *notify)
{
    claim(notify);
    report(notify);
}

unsigned pxi_jobs_wait(const struct pxi_notify *notify, struct curl_waitfd fds[2], int *timeout_msp)
{
    const struct pxi_exchange *exchanges[] = {&notify->claims, &notify->reporting};
    unsigned count = 0;

    for (unsigned i = 0; i < PX_COUNT_OF(exchanges); i++)
        if (exchanges[i]->under_way)
            fds[count++] = (struct curl_waitfd){.fd = px_reader_turn_fd(exchanges[i]->reader), .events = CURL_WAIT_POLLIN};
    *timeout_msp = POLL_MS;
    if (notify->reports > 0 && !notify->reporting.under_way)
        *timeout_msp = (int)(PX_MIN(notify->reporting.rest_ns, POLL_MS * PX_NS_PER_MS) / PX_NS_PER_MS) + 1;
    return count;
}
