#include "tests/bench/alerts_jump.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "engine/heritage.h"

#define GENERATION 2 /* the checkpoint that stands there is of none */
#define QUIET    100 /* ticks before the jump */
#define SETTLE_NS (2 * PX_NS_PER_S) /* what the store does when it has been opened is not what a tick meets */
#define STEP_NS  PX_NS_PER_MS
#define GLANCE_NS (PX_NS_PER_MS / 20)
#define WAIT_NS  (60 * PX_NS_PER_S)
#define AT_ONCE  64

struct jump {
    const struct jump_plan *plan;
    struct px_shm shm;
    struct px_heritage heritage;
    pid_t keeper;
    uint64_t moment, read; /* positions: of hits; in the event ring */
    px_mono pushed[JUMP_OTHERS], seen[JUMP_OTHERS];
    unsigned others, quiet; /* ticks so far; before the jump */
    px_mono jumped, first, last, durable;
    uint64_t behind; /* the jump's hit, in the queue */
    uint64_t fires; /* of the jump, seen so far */
};

static void must(bool fine, const char *what)
{
    if (fine)
        return;
    fprintf(stderr, "alerts_jump: %s\n", what);
    exit(1);
}

static void begin(struct jump *jump)
{
    struct px_config *config = jump->plan->config;
    struct px_shm_params params = {
        .assets = config->asset_count, .tick_capacity = 1024, .event_capacity = 1 << 17, .hit_capacity = 4096, .seed_capacity = 1024};

    config->venue_count = 1;
    config->limits.alerts_per_owner = UINT32_MAX;
    snprintf(config->venues[0].name, sizeof config->venues[0].name, "alpha");
    must(px_shm_create(&params, GENERATION, &jump->shm) == 0, "no region");
    px_symbols_publish(&jump->shm.directory, config, 1);
    px_shm_ready(&jump->shm);
    jump->heritage = (struct px_heritage){
        .config = config, .shm = &jump->shm, .slot = PX_ROLE_SLOT_KEEPER, .incarnation = 1, .generation = GENERATION, .terminate_fd = eventfd(0, 0)};
    jump->keeper = fork();
    if (jump->keeper == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        px_log_init("keeper", PX_LOG_ERROR);
        _exit(px_keeper_main(&jump->heritage) == 0 ? 0 : 1);
    }
}

static void end(struct jump *jump)
{
    uint64_t one = 1;
    int status;

    must(write(jump->heritage.terminate_fd, &one, sizeof one) == sizeof one && waitpid(jump->keeper, &status, 0) == jump->keeper &&
             WIFEXITED(status) && WEXITSTATUS(status) == 0,
         "the keeper ended badly");
    px_shm_detach(&jump->shm);
    close(jump->heritage.terminate_fd);
}

static void push(struct jump *jump, px_asset_id asset, int64_t value)
{
    jump->moment++;
    struct px_hit hit = {.asset = asset,
                         .series = PX_SERIES_LAST,
                         .value = value,
                         .prev = value - 1,
                         .last = value,
                         .last_prev = value - 1,
                         .time_ns = px_wall_now(),
                         .matched_ns = px_wall_now(),
                         .position = jump->moment,
                         .tick = jump->moment};

    must(px_queue_push(jump->shm.hits, &hit) == 0, "no room in the queue");
    px_queue_wake(jump->shm.hits);
}

static void push_other(struct jump *jump)
{
    jump->pushed[jump->others] = px_mono_now();
    push(jump, 1, jump->plan->other + (int64_t)jump->others++);
}

static void note(struct jump *jump, const struct px_alert_event *event, px_mono now)
{
    uint64_t other = event->fire.alert.lo - jump->plan->other_id;

    if (event->fire.asset == 1 && other < JUMP_OTHERS)
        jump->seen[other] = now;
    if (event->fire.asset != 0)
        return;
    if (jump->fires++ == 0)
        jump->first = now;
    jump->last = now;
}

static void look(struct jump *jump)
{
    static struct px_alert_event events[AT_ONCE];
    uint64_t count;

    must(px_ring_read(jump->shm.events, jump->read, events, AT_ONCE, &count) == 0, "the ring ran away");
    px_mono now = px_mono_now();
    for (uint64_t i = 0; i < count; i++)
        note(jump, &events[i], now);
    jump->read += count;
    if (jump->durable.ns == 0 && jump->jumped.ns != 0 && px_queue_head(jump->shm.hits) >= jump->behind)
        jump->durable = now;
}

/* As readers of the ring do, so that the keeper and the threads of its store have the cores to themselves. That the jump is durable wakes nobody. */
static void rest(struct jump *jump, int64_t most_ns)
{
    struct px_wait_set set = {.word = {&jump->shm.events_yard->need_wake}, .count = 1};
    bool awaits_durable = jump->jumped.ns != 0 && jump->durable.ns == 0;

    px_wait_arm(&set);
    if (most_ns > 0 && px_ring_tail(jump->shm.events) == jump->read)
        px_wait_sleep(&set, awaits_durable ? PX_MIN(most_ns, GLANCE_NS) : most_ns);
}

static void wait_for_other(struct jump *jump, unsigned other)
{
    px_mono began = px_mono_now();

    while (jump->seen[other].ns == 0) {
        look(jump);
        rest(jump, jump->seen[other].ns == 0 ? STEP_NS : 0);
        must(px_mono_since(px_mono_now(), began) < WAIT_NS, "no event");
    }
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static double taken_ms(const struct jump *jump, unsigned other)
{
    return (double)px_mono_since(jump->seen[other], jump->pushed[other]) / 1e6;
}

static double undisturbed(struct jump *jump)
{
    double ms[QUIET];
    px_mono opened = px_mono_now();

    push_other(jump);
    wait_for_other(jump, 0);
    while (px_mono_since(px_mono_now(), opened) < SETTLE_NS)
        rest(jump, SETTLE_NS);
    for (unsigned i = 0; i < QUIET; i++) {
        px_mono began = px_mono_now();

        push_other(jump);
        wait_for_other(jump, jump->others - 1);
        ms[i] = taken_ms(jump, jump->others - 1);
        while (px_mono_since(px_mono_now(), began) < STEP_NS) {
            look(jump);
            rest(jump, STEP_NS - px_mono_since(px_mono_now(), began));
        }
    }
    qsort(ms, QUIET, sizeof *ms, compare);
    return ms[QUIET / 2];
}

/* The other asset's ticks go on every millisecond, until all is told or there are no more of its alerts. */
static void storm(struct jump *jump)
{
    jump->quiet = jump->others;
    jump->jumped = px_mono_now();
    push(jump, 0, jump->plan->value);
    jump->behind = px_queue_tail(jump->shm.hits);
    push_other(jump);
    while (jump->fires < jump->plan->alerts) {
        look(jump);
        if (jump->others < JUMP_OTHERS && px_mono_since(px_mono_now(), jump->pushed[jump->others - 1]) >= STEP_NS)
            push_other(jump);
        rest(jump, STEP_NS - px_mono_since(px_mono_now(), jump->pushed[jump->others - 1]));
        must(px_mono_since(px_mono_now(), jump->jumped) < WAIT_NS, "the jump did not come to an end");
    }
    wait_for_other(jump, jump->others - 1);
}

void jump_measure(const struct jump_plan *plan, struct jump_figures *figuresp)
{
    static struct jump jump;

    jump = (struct jump){.plan = plan};
    begin(&jump);
    figuresp->undisturbed_ms = undisturbed(&jump);
    jump.fires = 0;
    storm(&jump);
    figuresp->first_ms = (double)px_mono_since(jump.first, jump.jumped) / 1e6;
    figuresp->durable_ms = (double)px_mono_since(jump.durable, jump.jumped) / 1e6;
    figuresp->told_ms = (double)px_mono_since(jump.last, jump.jumped) / 1e6;
    figuresp->delay_ms = taken_ms(&jump, jump.quiet) - figuresp->undisturbed_ms;
    figuresp->delay_most_ms = 0;
    for (unsigned i = jump.quiet; i < jump.others; i++)
        figuresp->delay_most_ms = PX_MAX(figuresp->delay_most_ms, taken_ms(&jump, i) - figuresp->undisturbed_ms);
    end(&jump);
}
