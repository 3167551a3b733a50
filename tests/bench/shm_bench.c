/*
 * Measures the engine's shared memory: the ring beside Redis in the same run, waking a sleeper, the processor time of
 * eight consumers, and what a reader pays for a price, a section under RCU, and a look at everything.
 * tests/bench/shm.sh runs it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "shm/pool.h"
#include "shm/series.h"
#include "tests/bench/shm_ways.h"

#define ASSETS        10000
#define RING_CAPACITY 65536
#define DELAYS_MAX    4096
#define RUNS_MAX      15

/* Shared between the producer and its consumers. */
struct board {
    uint32_t ready, wrong;
    int64_t ended_ns[WAY_CONSUMERS_MAX], cpu_ns[WAY_CONSUMERS_MAX];
    uint32_t delays;
    int64_t delay_ns[DELAYS_MAX];
};

struct figures {
    double events_s, cpu_us, p50_us, p99_us; /* cpu_us: a delivery, of all processes */
};

struct load {
    unsigned consumers, batch;
    uint64_t events;
    int64_t gap_ns; /* between batches; 0: as fast as can be */
};

static struct {
    struct way_stage stage;
    struct board *board;
    int redis_pid;
    unsigned runs;
    bool quick;
} bench;

static void *shared(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    PX_CHECK(memory != MAP_FAILED);
    return memory;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const double *values, unsigned n)
{
    double sorted[RUNS_MAX];

    memcpy(sorted, values, n * sizeof(*values));
    qsort(sorted, n, sizeof(*sorted), compare);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static int64_t own_cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * PX_NS_PER_S + now.tv_nsec;
}

/* Of all threads of the server, in nanoseconds. */
static int64_t redis_cpu_ns(void)
{
    char path[300];
    struct dirent *entry;
    int64_t total = 0;
    DIR *tasks;

    snprintf(path, sizeof(path), "/proc/%d/task", bench.redis_pid);
    tasks = opendir(path);
    PX_CHECK(tasks);
    while ((entry = readdir(tasks))) {
        long long ns = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", bench.redis_pid, entry->d_name);
        file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (file && fscanf(file, "%lld", &ns) == 1)
            total += ns;
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return total;
}

/* ---- events from one process to others ---- */

static _Noreturn void consume(enum way way, const struct load *load, unsigned number)
{
    static struct px_tick events[WAY_RECEIVE_MAX];
    struct way_end *end = way_open_consumer(&bench.stage, way, number);
    struct board *board = bench.board;
    int64_t cpu = own_cpu_ns();
    uint64_t seen = 0;

    __atomic_fetch_add(&board->ready, 1, __ATOMIC_RELEASE);
    while (seen < load->events) {
        unsigned n = way_receive(end, events);
        int64_t now = load->gap_ns ? px_mono_now().ns : 0;

        for (unsigned i = 0; i < n; i++, seen++) {
            if (events[i].sseq != seen)
                __atomic_fetch_add(&board->wrong, 1, __ATOMIC_RELAXED);
            if (number == 0 && load->gap_ns && board->delays < DELAYS_MAX)
                board->delay_ns[board->delays++] = now - events[i].time_ns;
        }
    }
    board->ended_ns[number] = px_mono_now().ns;
    board->cpu_ns[number] = own_cpu_ns() - cpu;
    _exit(0);
}

static void sleep_until(int64_t ns)
{
    struct timespec until = {ns / PX_NS_PER_S, ns % PX_NS_PER_S};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void produce(struct way_end *end, const struct load *load)
{
    struct px_tick events[256];
    int64_t due = px_mono_now().ns;

    memset(events, 0, sizeof(events));
    for (uint64_t sent = 0; sent < load->events; sent += load->batch) {
        int64_t now = 0;

        if (load->gap_ns) {
            sleep_until(due += load->gap_ns);
            now = px_mono_now().ns;
        }
        for (unsigned i = 0; i < load->batch; i++) {
            events[i].sseq = sent + i;
            events[i].time_ns = now;
        }
        way_send(end, events, load->batch);
    }
}

static double percentile_us(unsigned per_mille)
{
    static double sorted[DELAYS_MAX];
    unsigned n = bench.board->delays;

    if (n == 0)
        return 0;
    for (unsigned i = 0; i < n; i++)
        sorted[i] = (double)bench.board->delay_ns[i] / 1e3;
    qsort(sorted, n, sizeof(*sorted), compare);
    return sorted[(n - 1) * per_mille / 1000];
}

static struct figures measure(enum way way, const struct load *load)
{
    struct board *board = bench.board;
    struct way_end *end;
    int64_t began, ended = 0, cpu;
    int status;

    PX_CHECK(load->events % load->batch == 0);
    memset(board, 0, sizeof(*board));
    bench.stage.consumers = load->consumers;
    way_reset(&bench.stage, way);
    fflush(NULL);
    for (unsigned i = 0; i < load->consumers; i++)
        if (fork() == 0)
            consume(way, load, i);
    end = way_open_producer(&bench.stage, way);
    while (__atomic_load_n(&board->ready, __ATOMIC_ACQUIRE) < load->consumers)
        usleep(500);
    usleep(5000);
    cpu = own_cpu_ns() + redis_cpu_ns();
    began = px_mono_now().ns;
    produce(end, load);
    for (unsigned i = 0; i < load->consumers; i++) {
        PX_CHECK(wait(&status) > 0);
        if (status != 0)
            exit(1);
    }
    cpu = own_cpu_ns() + redis_cpu_ns() - cpu;
    way_close(end);
    for (unsigned i = 0; i < load->consumers; i++) {
        ended = PX_MAX(ended, board->ended_ns[i]);
        cpu += board->cpu_ns[i];
    }
    if (board->wrong > 0)
        printf("%s: %u events out of order\n", way_name(way), board->wrong);
    return (struct figures){(double)load->events * 1e9 / (double)(ended - began),
                            (double)cpu / 1e3 / (double)(load->events * load->consumers), percentile_us(500),
                            percentile_us(990)};
}

/* Alternates between the ways, so that the machine's moods meet them all; medians per way. */
static void alternate(const struct load *loads, unsigned ways, unsigned runs, struct figures *medians)
{
    static double events[WAY_COUNT][RUNS_MAX], cpu[WAY_COUNT][RUNS_MAX], p50[WAY_COUNT][RUNS_MAX],
        p99[WAY_COUNT][RUNS_MAX];

    for (unsigned run = 0; run < runs; run++)
        for (unsigned way = 0; way < ways; way++) {
            struct figures one = measure((enum way)way, &loads[way]);

            events[way][run] = one.events_s;
            cpu[way][run] = one.cpu_us;
            p50[way][run] = one.p50_us;
            p99[way][run] = one.p99_us;
        }
    for (unsigned way = 0; way < ways; way++)
        medians[way] = (struct figures){median(events[way], runs), median(cpu[way], runs), median(p50[way], runs),
                                        median(p99[way], runs)};
}

static void throughput(unsigned batch, struct figures *medians)
{
    uint64_t redis = batch == 1 ? 12000 : 256000, ring = batch == 1 ? 1000000 : 12800000;
    struct load loads[WAY_COUNT];

    for (unsigned way = 0; way < WAY_COUNT; way++)
        loads[way] = (struct load){1, batch, (way == WAY_RING ? ring : redis) * (bench.quick ? 1 : 3), 0};
    alternate(loads, WAY_COUNT, bench.runs, medians);
    printf("\nEvents of 64 bytes, one process to one process, lossless, batches of %u\n", batch);
    printf("  %-22s %14s %12s %14s\n", "", "events/s", "ring is", "cpu us/event");
    for (unsigned way = 0; way < WAY_COUNT; way++)
        printf("  %-22s %14.0f %11.1fx %14.3f\n", way_name((enum way)way), medians[way].events_s,
               medians[WAY_RING].events_s / medians[way].events_s, medians[way].cpu_us);
}

static void waking(struct figures *medians)
{
    struct load load = {1, 1, bench.quick ? 400 : 2000, PX_NS_PER_MS};
    const struct load loads[] = {load, load, load};

    alternate(loads, WAY_STREAMS_UNIX, bench.runs, medians);
    printf("\nWaking a sleeping consumer, one event a millisecond\n");
    printf("  %-22s %14s %12s %14s\n", "", "p50 us", "p99 us", "ring is (p50)");
    for (unsigned way = 0; way < WAY_STREAMS_UNIX; way++)
        printf("  %-22s %14.1f %12.1f %13.1fx\n", way_name((enum way)way), medians[way].p50_us, medians[way].p99_us,
               medians[way].p50_us / medians[WAY_RING].p50_us);
}

static void fan_out(unsigned batch, struct figures *medians)
{
    struct load load = {WAY_CONSUMERS_MAX, batch, (bench.quick ? 500 : 2000) * (uint64_t)batch, PX_NS_PER_MS};
    const struct load loads[] = {load, load, load};

    alternate(loads, WAY_STREAMS_UNIX, bench.runs, medians);
    printf("\nOne process to 8 sleeping consumers, %u events a millisecond\n", batch);
    printf("  %-22s %16s %12s\n", "", "cpu us/delivery", "ring is");
    for (unsigned way = 0; way < WAY_STREAMS_UNIX; way++)
        printf("  %-22s %16.3f %11.1fx\n", way_name((enum way)way), medians[way].cpu_us,
               medians[way].cpu_us / medians[WAY_RING].cpu_us);
}

/* ---- readers ---- */

static double section_ns(void)
{
    enum { LOOPS = 5000000 };
    struct px_rcu *rcu = shared(sizeof(*rcu) + sizeof(struct px_rcu_slots));
    struct px_rcu_view domain = {rcu, (struct px_rcu_slots *)(rcu + 1)};
    px_mono began;

    px_rcu_init(domain.rcu, domain.slots, 1);
    began = px_mono_now();
    for (unsigned i = 0; i < LOOPS; i++) {
        px_rcu_online(domain, 3);
        px_rcu_offline(domain, 3);
    }
    return (double)px_mono_since(px_mono_now(), began) / LOOPS;
}

static double pool_cycle_ns(void)
{
    enum { NODES = 100000, LOOPS = 1000000, HELD = 1000 };
    static uint32_t held[HELD];
    size_t bytes = px_pool_bytes(NODES, 128);
    void *memory = shared(bytes);
    struct px_rcu *rcu = shared(sizeof(*rcu) + sizeof(struct px_rcu_slots));
    struct px_rcu_view domain = {rcu, (struct px_rcu_slots *)(rcu + 1)};
    struct px_pool_owner owner;
    struct px_pool pool;
    px_mono began;
    int64_t ns;

    memset(held, 0, sizeof(held));
    px_rcu_init(domain.rcu, domain.slots, 1);
    px_pool_format(memory, NODES, 128, "node");
    PX_CHECK(px_pool_attach(memory, bytes, "node", 128, &pool) == 0);
    PX_CHECK(px_pool_own(&owner, pool, domain, 1, false) == 0);
    px_pool_owned(&owner);
    began = px_mono_now();
    for (unsigned i = 0; i < LOOPS; i++) {
        uint32_t old = held[i % HELD];

        PX_CHECK(px_pool_alloc(&owner, &held[i % HELD]) == 0);
        if (old != 0)
            px_pool_retire(&owner, old);
        if (i % 64 == 0)
            px_pool_reclaim(&owner);
    }
    ns = px_mono_since(px_mono_now(), began);
    px_pool_disown(&owner);
    munmap(memory, bytes);
    return (double)ns / LOOPS;
}

/* 10,000 writes a second, ten a millisecond, until it is killed. */
static _Noreturn void write_prices(px_price_slot *slots)
{
    int64_t due = px_mono_now().ns;
    uint64_t random = 1;

    for (int64_t n = 1;; n++) {
        struct px_price_value value = {n, n, (uint64_t)n};

        random = random * 6364136223846793005u + 1442695040888963407u;
        px_latch_write(&slots[(random >> 33) % ASSETS], &value);
        if (n % 10 == 0)
            sleep_until(due += PX_NS_PER_MS);
    }
}

struct reading {
    double latch_ns, resync_us, mget_us;
};

static double read_at_random_ns(const px_price_slot *slots)
{
    enum { LOOPS = 5000000 };
    static uint16_t order[65536];
    struct px_price_value value;
    volatile uint64_t sink;
    uint64_t sum = 0;
    px_mono began;

    for (unsigned i = 0; i < PX_COUNT_OF(order); i++)
        order[i] = (uint16_t)((i * UINT64_C(2654435761)) % ASSETS);
    began = px_mono_now();
    for (unsigned i = 0; i < LOOPS; i++) {
        px_latch_read(&slots[order[i % PX_COUNT_OF(order)]], &value);
        sum += value.sseq;
    }
    sink = sum;
    (void)sink;
    return (double)px_mono_since(px_mono_now(), began) / LOOPS;
}

static double resync_us(const px_price_slot *slots)
{
    static struct px_price_value values[ASSETS];
    double runs[RUNS_MAX];

    for (unsigned run = 0; run < RUNS_MAX; run++) {
        px_mono began = px_mono_now();

        for (unsigned i = 0; i < ASSETS; i++)
            px_latch_read(&slots[i], &values[i]);
        runs[run] = (double)px_mono_since(px_mono_now(), began) / 1e3;
    }
    return median(runs, RUNS_MAX);
}

static struct reading reading(void)
{
    px_price_slot *slots = shared(ASSETS * sizeof(*slots));
    double latch[RUNS_MAX], resync[RUNS_MAX], mget[RUNS_MAX];
    pid_t writer = fork();

    if (writer == 0)
        write_prices(slots);
    for (unsigned run = 0; run < bench.runs; run++) {
        latch[run] = read_at_random_ns(slots);
        resync[run] = resync_us(slots);
        mget[run] = way_mget_us(&bench.stage, ASSETS);
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    munmap(slots, ASSETS * sizeof(*slots));
    return (struct reading){median(latch, bench.runs), median(resync, bench.runs), median(mget, bench.runs)};
}

/* ---- all of it ---- */

/* How often the better of two Redis sockets fits into the ring's figure. */
static double times(double unix_socket, double tcp)
{
    return PX_MIN(unix_socket, tcp);
}

static void run_all(void)
{
    struct figures one[WAY_COUNT], many[WAY_COUNT], wake[WAY_COUNT], fan10[WAY_COUNT], fan100[WAY_COUNT];
    double section[RUNS_MAX], cycle[RUNS_MAX], section_median, cycle_median;
    struct reading prices;

    throughput(1, one);
    throughput(64, many);
    waking(wake);
    fan_out(10, fan10);
    fan_out(100, fan100);
    prices = reading();
    for (unsigned run = 0; run < bench.runs; run++) {
        section[run] = section_ns();
        cycle[run] = pool_cycle_ns();
    }
    section_median = median(section, bench.runs);
    cycle_median = median(cycle, bench.runs);
    printf("\nReaders, 10,000 assets, 10,000 writes a second beside them\n");
    printf("  one price, at random      %10.2f ns\n", prices.latch_ns);
    printf("  all prices                %10.2f us   (MGET of as many: %.0f us)\n", prices.resync_us, prices.mget_us);
    printf("  a section under RCU       %10.2f ns\n", section_median);
    printf("  node out, retired, back   %10.2f ns\n", cycle_median);

#define AGAINST(ours, theirs, first, second, member)                                                                   \
    times(theirs[first].member / ours[WAY_RING].member, theirs[second].member / ours[WAY_RING].member)
#define FASTER(list, first, second)                                                                                    \
    times(list[WAY_RING].events_s / list[first].events_s, list[WAY_RING].events_s / list[second].events_s)
    printf("{\"bench\":\"shm\",\"metrics\":{");
    printf("\"events_vs_pubsub_b1\":%.1f,\"events_vs_streams_b1\":%.1f,", FASTER(one, WAY_PUBSUB_UNIX, WAY_PUBSUB_TCP),
           FASTER(one, WAY_STREAMS_UNIX, WAY_STREAMS_TCP));
    printf("\"events_vs_pubsub_b64\":%.1f,\"events_vs_streams_b64\":%.1f,",
           FASTER(many, WAY_PUBSUB_UNIX, WAY_PUBSUB_TCP), FASTER(many, WAY_STREAMS_UNIX, WAY_STREAMS_TCP));
    printf("\"wake_p50_vs_pubsub\":%.2f,\"wake_p99_vs_pubsub\":%.2f,",
           AGAINST(wake, wake, WAY_PUBSUB_UNIX, WAY_PUBSUB_TCP, p50_us),
           AGAINST(wake, wake, WAY_PUBSUB_UNIX, WAY_PUBSUB_TCP, p99_us));
    printf("\"cpu_fanout_vs_pubsub_b10\":%.2f,\"cpu_fanout_vs_pubsub_b100\":%.2f,",
           AGAINST(fan10, fan10, WAY_PUBSUB_UNIX, WAY_PUBSUB_TCP, cpu_us),
           AGAINST(fan100, fan100, WAY_PUBSUB_UNIX, WAY_PUBSUB_TCP, cpu_us));
    printf("\"resync_vs_mget\":%.0f,\"events_per_s_b1\":%.0f,\"events_per_s_b64\":%.0f,\"wake_p50_us\":%.1f,",
           prices.mget_us / prices.resync_us, one[WAY_RING].events_s, many[WAY_RING].events_s, wake[WAY_RING].p50_us);
    printf("\"wake_p99_us\":%.1f,\"rcu_section_ns\":%.2f,\"latch_read_ns\":%.2f,\"resync_10k_us\":%.1f,"
           "\"pool_cycle_ns\":%.1f}}\n",
           wake[WAY_RING].p99_us, section_median, prices.latch_ns, prices.resync_us, cycle_median);
}

int main(int count, char **list)
{
    if (count < 4) {
        fprintf(stderr, "Usage: %s REDIS-SOCKET REDIS-PORT REDIS-PID [--quick]; tests/bench/shm.sh does it\n", list[0]);
        return 64;
    }
    bench.stage.unix_path = list[1];
    bench.stage.port = (uint16_t)atoi(list[2]);
    bench.redis_pid = atoi(list[3]);
    bench.quick = count > 4 && strcmp(list[4], "--quick") == 0;
    bench.runs = bench.quick ? 3 : 7;
    bench.board = shared(sizeof(*bench.board));
    bench.stage.ring = shared(px_ring_bytes(RING_CAPACITY, sizeof(struct px_tick)));
    bench.stage.yard = shared(sizeof(*bench.stage.yard));
    px_ring_init(bench.stage.ring, RING_CAPACITY, sizeof(struct px_tick), 0);
    run_all();
    return 0;
}
