/*
 * Kills the users of shared memory with SIGKILL for as long as it is told, and asks those who live on what they saw.
 *
 *   latch   no value torn, none going backward             ring   every event right, or an overrun reported
 *   queue   every record acted on in order, at least once
 *   pool    no node changes or turns to poison inside a section; reclaiming goes on after a kill; the account is right
 * after takeovers
 *
 * Usage: shm_kill_test [--seconds N] [--seed N] [--control NAME]
 * A control breaks one rule; the test then succeeds as soon as the fault is seen, and fails when it is not seen in
 * time.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "tests/chaos/shm_kill.h"

static const char *const kind_names[] = {
#define KILL_NAME(NAME, name, count) name,
    KILL_KINDS(KILL_NAME)
#undef KILL_NAME
};

static const struct {
    const char *name, *what;
} controls[] = {
#define KILL_ROW(NAME, name, what) {name, what},
    KILL_CONTROLS(KILL_ROW)
#undef KILL_ROW
};

struct process {
    enum kill_kind kind;
    pid_t pid;
    uint32_t incarnation;
};

#define WAITS_MAX 200000

static struct {
    struct px_shm shm;
    struct kill_arena *arena;
    struct kill_stage stage;
    struct process process[KILL_PROCESSES];
    unsigned processes;
    uint64_t random;
    uint64_t killed[KILL_KIND_COUNT], suicides, inside[KILL_KIND_COUNT]; /* inside: in a publish, in a section */
    uint64_t odd_deaths, forks, moved, last_base;
    uint32_t waits, waits_us[WAITS_MAX], ours_us[WAITS_MAX]; /* from a reader's death to the next reclaim; less queueing for a CPU */
    int64_t seconds;
} test;

static uint64_t dice(uint64_t sides)
{
    test.random = test.random * 6364136223846793005u + 1442695040888963407u;
    return (test.random >> 33) % sides;
}

static void fork_one(unsigned number)
{
    struct process *process = &test.process[number];
    pid_t pid;

    process->incarnation++;
    px_rcu_assign(test.shm.domain, number, getpid(), process->incarnation); /* the child may read at once */
    fflush(NULL);
    pid = fork();
    PX_CHECK(pid >= 0);
    if (pid == 0)
        kill_worker(&test.stage, process->kind, number, process->incarnation);
    px_rcu_forked(test.shm.domain, number, pid, 0);
    process->pid = pid;
    test.forks++;
}

static void count_death(unsigned number, int status)
{
    const struct process *process = &test.process[number];
    uint64_t base = test.arena->base[number];

    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        test.odd_deaths++;
        printf("a %s ended by itself, status 0x%x\n", kind_names[process->kind], status);
    }
    test.killed[process->kind]++;
    if (process->kind == KILL_PRODUCER)
        test.inside[KILL_PRODUCER] += test.shm.ticks->intent != test.shm.ticks->tail;
    if (process->kind == KILL_POOL_READER)
        test.inside[KILL_POOL_READER] += test.shm.rcu_slots->reader[number].seen != 0;
    test.moved += base != 0 && base != test.last_base && base != (uintptr_t)test.shm.base;
    test.last_base = base;
}

/* After the reap: what a supervisor does. */
static void bury(unsigned number, int status)
{
    count_death(number, status);
    if (test.stage.control != KILL_CONTROL_NEVER_CLEARED)
        px_rcu_reaped(test.shm.domain, number);
    else
        test.shm.rcu_slots->reader[number].pid = 0;
    if (test.process[number].kind == KILL_PRODUCER)
        px_wait_wake_always(&test.shm.ticks_yard->need_wake);
    if (test.process[number].kind == KILL_PUSHER)
        px_wait_wake_always(&test.shm.hits->consumer_sleeps);
    test.process[number].pid = 0;
}

static void reap_suicides(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (unsigned i = 0; i < test.processes; i++)
            if (test.process[i].pid == pid) {
                test.suicides++;
                bury(i, status);
                fork_one(i);
            }
}

/* How long a process has been ready to run without a CPU, ns, as the kernel counts it (proc_pid_schedstat); 0 if it is gone. */
static int64_t queued_ns(pid_t pid)
{
    char path[64];
    long long ran = 0, queued = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%lld %lld", &ran, &queued) != 2)
        queued = 0;
    fclose(file);
    return queued;
}

/* Those on whom reclaiming waits: the owner, and readers that may be inside a section. */
static bool is_awaited(const struct process *process)
{
    return process->pid != 0 && (process->kind == KILL_OWNER || process->kind == KILL_POOL_READER);
}

struct queueing {
    pid_t pid[KILL_PROCESSES];
    int64_t ns[KILL_PROCESSES];
};

static void note_queueing(struct queueing *before)
{
    memset(before, 0, sizeof(*before));
    for (unsigned i = 0; i < test.processes; i++)
        if (is_awaited(&test.process[i])) {
            before->pid[i] = test.process[i].pid;
            before->ns[i] = queued_ns(before->pid[i]);
        }
}

/* What the machine made them wait since then; what one that died meanwhile had waited is not counted. */
static int64_t queueing_us(const struct queueing *before)
{
    int64_t ns = 0;

    for (unsigned i = 0; i < test.processes; i++)
        if (is_awaited(&test.process[i]))
            ns += queued_ns(test.process[i].pid) - (test.process[i].pid == before->pid[i] ? before->ns[i] : 0);
    return ns / PX_NS_PER_US;
}

/* Until the pool's owner reclaims again; deaths of owners meanwhile are dealt with and do not stop the clock. */
static void wait_for_reclaim(void)
{
    uint64_t before = __atomic_load_n(&test.arena->reclaimed, __ATOMIC_RELAXED);
    px_mono start = px_mono_now();
    struct queueing queueing;
    int64_t us = 0, ours;

    note_queueing(&queueing);
    while (__atomic_load_n(&test.arena->reclaimed, __ATOMIC_RELAXED) == before && us < 3000000) {
        usleep(100);
        reap_suicides();
        us = px_mono_since(px_mono_now(), start) / PX_NS_PER_US;
    }
    ours = us - queueing_us(&queueing);
    if (test.waits < WAITS_MAX) {
        test.waits_us[test.waits] = (uint32_t)us;
        test.ours_us[test.waits++] = ours > 0 ? (uint32_t)ours : 0;
    }
}

static void kill_one(unsigned number)
{
    int status;

    if (test.process[number].pid == 0 || kill(test.process[number].pid, SIGKILL) < 0)
        return;
    while (waitpid(test.process[number].pid, &status, 0) < 0)
        PX_CHECK(errno == EINTR);
    bury(number, status);
    if (test.process[number].kind == KILL_POOL_READER)
        wait_for_reclaim();
    if (test.stage.control == KILL_CONTROL_NEVER_CLEARED && test.shm.rcu_slots->reader[number].seen != 0)
        return; /* its slot is lost, so it has no successor */
    fork_one(number);
}

/* The control: a reader is stopped inside a section, and its slot cleared as if it had been reaped. */
static void clear_by_heartbeat(unsigned number)
{
    pid_t pid = test.process[number].pid;

    kill(pid, SIGSTOP);
    if (px_load_relaxed(&test.shm.rcu_slots->reader[number].seen) != 0) {
        px_store_release(&test.shm.rcu_slots->reader[number].seen, 0);
        usleep(5000);
    }
    kill(pid, SIGCONT);
}

static uint64_t faults(void)
{
    const struct kill_arena *arena = test.arena;

    return arena->latch.bad + arena->latch.backward + arena->ring.bad + arena->queue.bad + arena->pool.bad +
           arena->accounts_wrong + test.odd_deaths;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static uint32_t wait_us(const uint32_t *sorted, unsigned per_mille)
{
    return test.waits == 0 ? 0 : sorted[(uint64_t)(test.waits - 1) * per_mille / 1000];
}

/* Reclaiming has stopped: the last wait went over three seconds. */
static bool stuck(void)
{
    return test.waits > 0 && test.waits_us[test.waits - 1] >= 3000000;
}

static void run(void)
{
    px_mono start = px_mono_now();
    bool control = test.stage.control != KILL_CONTROL_NONE;

    while (px_mono_since(px_mono_now(), start) < test.seconds * PX_NS_PER_S && !stuck() && !(control && faults() > 0)) {
        unsigned number = (unsigned)dice(test.processes);

        usleep((useconds_t)dice(4000));
        reap_suicides();
        if (test.stage.control == KILL_CONTROL_HEARTBEAT_CLEAR && test.process[number].kind == KILL_POOL_READER)
            clear_by_heartbeat(number);
        else
            kill_one(number);
    }
}

/* Everybody dies; then the account of the pool must be right to the last node. */
static void end(void)
{
    struct px_pool_owner owner;
    struct px_pool pool;
    int status, live;

    for (unsigned i = 0; i < test.processes; i++) {
        if (test.process[i].pid == 0)
            continue;
        kill(test.process[i].pid, SIGKILL);
        waitpid(test.process[i].pid, &status, 0);
        bury(i, status);
    }
    PX_CHECK(kill_pool_attach(test.arena->pool_memory, kill_pool_bytes(KILL_NODES), &pool) == 0);
    PX_CHECK(px_pool_own(&owner, pool, test.shm.domain, 1, true) == 0);
    live = kill_mark_roots(&owner, test.arena);
    if (live >= 0)
        px_pool_owned(&owner);
    if (test.stage.control == KILL_CONTROL_NONE &&
        (live < 0 || px_pool_free(&owner) + (uint64_t)live != KILL_NODES || px_pool_retired(&owner) != 0))
        test.arena->accounts_wrong++;
    px_pool_disown(&owner);
}

static void report(void)
{
    const struct kill_arena *arena = test.arena;
    uint64_t kills = 0;

    for (unsigned i = 0; i < KILL_KIND_COUNT; i++)
        kills += test.killed[i];
    qsort(test.waits_us, test.waits, sizeof(test.waits_us[0]), ascending);
    qsort(test.ours_us, test.waits, sizeof(test.ours_us[0]), ascending);
    printf("kills %llu, of them between two stores by themselves %llu; at another address than before %llu of %llu\n",
           (unsigned long long)kills, (unsigned long long)test.suicides, (unsigned long long)test.moved,
           (unsigned long long)test.forks);
    for (unsigned i = 0; i < KILL_KIND_COUNT; i++)
        printf("  %-14s %6llu%s", kind_names[i], (unsigned long long)test.killed[i],
               i == KILL_PRODUCER || i == KILL_POOL_READER ? "" : "\n");
    printf("\n");
    printf("  inside a publish %llu, inside a section %llu\n", (unsigned long long)test.inside[KILL_PRODUCER],
           (unsigned long long)test.inside[KILL_POOL_READER]);
    printf("latch: %llu reads, %llu torn, %llu backward\n", (unsigned long long)arena->latch.checks,
           (unsigned long long)arena->latch.bad, (unsigned long long)arena->latch.backward);
    printf("ring:  %llu events, %llu wrong, %llu overruns reported\n", (unsigned long long)arena->ring.checks,
           (unsigned long long)arena->ring.bad, (unsigned long long)arena->ring.overruns);
    printf("queue: %llu records, %llu lost or wrong\n", (unsigned long long)arena->queue.checks,
           (unsigned long long)arena->queue.bad);
    printf("pool:  %llu nodes, %llu changed or poisoned, %llu reclaimed, %llu takeovers, %llu accounts wrong\n",
           (unsigned long long)arena->pool.checks, (unsigned long long)arena->pool.bad,
           (unsigned long long)arena->reclaimed, (unsigned long long)arena->takeovers,
           (unsigned long long)arena->accounts_wrong);
    printf("reclaiming after a reader's death: %u times, p50 %u us, p99 %u us, longest %u us\n", test.waits,
           wait_us(test.waits_us, 500), wait_us(test.waits_us, 990), wait_us(test.waits_us, 1000));
    printf("  without the time that owner and readers queued for a CPU: p50 %u us, p99 %u us, longest %u us\n",
           wait_us(test.ours_us, 500), wait_us(test.ours_us, 990), wait_us(test.ours_us, 1000));
}

static void set_stage(void)
{
    static const struct px_shm_params params = {
        .assets = KILL_ASSETS, .tick_capacity = KILL_RING, .event_capacity = 8, .hit_capacity = 32, .seed_capacity = 8};
    static const unsigned counts[] = {
#define KILL_COUNT(NAME, name, count) count,
        KILL_KINDS(KILL_COUNT)
#undef KILL_COUNT
    };
    int fd = memfd_create("pxengine-kill-test", MFD_CLOEXEC);

    PX_CHECK(px_shm_create(&params, 1, &test.shm) == 0);
    px_shm_ready(&test.shm);
    PX_CHECK(px_shm_seal(&test.shm) == 0);
    PX_CHECK(fd >= 0 && ftruncate(fd, (off_t)kill_arena_bytes()) == 0);
    test.arena = mmap(NULL, kill_arena_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    PX_CHECK(test.arena != MAP_FAILED);
    kill_pool_format(test.arena->pool_memory, KILL_NODES);
    test.stage.region = test.shm.files;
    test.stage.arena_fd = fd;
    test.stage.parents_view = &test.shm;
    test.stage.parents_arena = test.arena;
    for (unsigned kind = 0; kind < KILL_KIND_COUNT; kind++)
        for (unsigned i = 0; i < counts[kind]; i++)
            test.process[test.processes++].kind = (enum kill_kind)kind;
    for (unsigned i = 0; i < test.processes; i++)
        fork_one(i);
}

static bool read_options(int count, char **list)
{
    test.seconds = 10;
    test.stage.seed = (uint64_t)px_wall_now();
    for (int i = 1; i < count; i += 2) {
        const char *value = i + 1 < count ? list[i + 1] : "";
        unsigned control = 0;

        if (strcmp(list[i], "--seconds") == 0 && atoll(value) > 0) {
            test.seconds = atoll(value);
        } else if (strcmp(list[i], "--seed") == 0 && *value) {
            test.stage.seed = strtoull(value, NULL, 10);
        } else if (strcmp(list[i], "--control") == 0) {
            while (control < KILL_CONTROL_COUNT && strcmp(controls[control].name, value) != 0)
                control++;
            if (control == KILL_CONTROL_COUNT)
                return false;
            test.stage.control = (enum kill_control)control;
        } else {
            return false;
        }
    }
    test.random = test.stage.seed;
    return true;
}

int main(int count, char **list)
{
    bool seen;

    if (!read_options(count, list)) {
        fprintf(stderr, "Usage: %s [--seconds N] [--seed N] [--control NAME], NAME one of:\n", list[0]);
        for (unsigned i = 1; i < KILL_CONTROL_COUNT; i++)
            fprintf(stderr, "  %-16s %s\n", controls[i].name, controls[i].what);
        return 64;
    }
    printf("seed %llu\n", (unsigned long long)test.stage.seed);
    set_stage();
    run();
    seen = stuck();
    end();
    report();
    if (test.stage.control == KILL_CONTROL_NONE)
        return faults() > 0 || seen || wait_us(test.ours_us, 1000) > 100000 || test.arena->latch.checks == 0 ||
               test.arena->ring.checks == 0 || test.arena->queue.checks == 0 || test.arena->pool.checks == 0;
    seen |= faults() > 0;
    printf("control: %s: %s\n", controls[test.stage.control].what, seen ? "seen" : "NOT SEEN");
    return !seen;
}
