/* The snapshot for people. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "tools/pxshm/pxshm_private.h"

static const char *const region_states[] = {"building", "ready"};

/* "12 us", "3.4 ms", "5 s", "2 h 10 m"; four places alternate, so that one line can show several. */
static const char *duration(int64_t ns)
{
    static char texts[4][32];
    static unsigned next;
    char *text = texts[next++ % PX_COUNT_OF(texts)];
    int64_t s = ns / PX_NS_PER_S;

    if (ns < 0)
        snprintf(text, sizeof(texts[0]), "-");
    else if (ns < PX_NS_PER_MS)
        snprintf(text, sizeof(texts[0]), "%" PRId64 " us", ns / PX_NS_PER_US);
    else if (ns < 10 * PX_NS_PER_S)
        snprintf(text, sizeof(texts[0]), "%" PRId64 " ms", ns / PX_NS_PER_MS);
    else if (s < 600)
        snprintf(text, sizeof(texts[0]), "%" PRId64 " s", s);
    else if (s < 86400)
        snprintf(text, sizeof(texts[0]), "%" PRId64 " h %" PRId64 " m", s / 3600, s / 60 % 60);
    else
        snprintf(text, sizeof(texts[0]), "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
    return text;
}

static void show_header(const struct pxi_snapshot *snapshot)
{
    const struct px_shm_header *header = &snapshot->header;
    char created[PX_RFC3339_SIZE] = "";

    px_rfc3339_format(header->created_ns, created);
    printf("region     k%" PRIu64 "  %s  %.1f MiB  layout %016" PRIx64 "  abi %u.%u\n", header->generation,
           header->state < PX_COUNT_OF(region_states) ? region_states[header->state] : "unknown",
           (double)header->size / 1048576, header->layout_hash, header->abi_major, header->abi_minor);
    printf("created    %s, start %u by supervisor %d%s\n", created, header->boots, header->supervisor_pid,
           snapshot->supervisor_alive ? "" : " (dead)");
    printf("memory     %s, %s\n", header->flags & PX_SHM_LOCKED ? "locked" : "not locked: it may be swapped out",
           header->flags & PX_SHM_HUGE_RESERVED      ? "reserved huge pages"
           : header->flags & PX_SHM_HUGE_TRANSPARENT ? "transparent huge pages"
                                                     : "small pages");
    printf("directory  %u of %u assets, configuration %u\n", snapshot->assets, header->params.assets,
           snapshot->directory_generation);
}

static void show_roles(const struct pxi_snapshot *snapshot)
{
    printf("\n%-4s %-12s %9s %-10s %9s %10s %9s %10s\n", "slot", "role", "pid", "state", "beat", "running", "restarts",
           "worst loop");
    for (unsigned i = 0; i < PX_ROLE_SLOTS; i++) {
        const struct pxi_role_row *row = &snapshot->role[i];
        const struct px_role_slot *slot = &row->slot;

        if (!row->name[0])
            continue;
        printf("%-4u %-12s %9d %-10s %9s %10s %9" PRIu64 " %10s%s\n", i, row->name, slot->pid,
               px_role_state_name(slot->state), duration(row->beat_age_ns), slot->pid ? duration(row->age_ns) : "-",
               slot->restarts, duration(slot->longest_loop_us * PX_NS_PER_US),
               slot->pid && !row->alive ? "  NO SUCH PROCESS" : "");
        if (slot->restarts > 0)
            printf("     last end: %s %d%s%s\n", slot->last_status < 0 ? "signal" : "exit code",
                   slot->last_status < 0 ? -slot->last_status : slot->last_status,
                   row->last_words[0] ? ", last words: " : "", row->last_words);
    }
}

static void show_rings(const struct pxi_snapshot *snapshot)
{
    for (unsigned r = 0; r < PX_COUNT_OF(snapshot->ring); r++) {
        const struct pxi_ring_row *ring = &snapshot->ring[r];

        printf("\nring %-7s tail %" PRIu64 "  holds %" PRIu64 "%s%s\n", ring->name, ring->tail, ring->capacity,
               ring->intent != ring->tail ? "  publishing" : "", ring->sleepers ? "  somebody sleeps" : "");
        for (unsigned i = 0; i < PX_ROLE_SLOTS; i++) {
            uint64_t lag = pxi_lag(ring, i);

            if (ring->position[i] == 0)
                continue;
            printf("  %-12s at %" PRIu64 "  lag %" PRIu64 " (%" PRIu64 " %% of the ring)%s\n",
                   snapshot->role[i].name[0] ? snapshot->role[i].name : "?", ring->position[i], lag,
                   lag * 100 / PX_MAX(ring->capacity, 1), lag > ring->capacity ? "  OVERTAKEN" : "");
        }
    }
    printf("\n");
    for (unsigned q = 0; q < snapshot->queues; q++) {
        const struct pxi_queue_row *queue = &snapshot->queue[q];

        printf("queue %-6s %s to %s: %" PRIu64 " of %" PRIu64 " waiting, %" PRIu64 " so far%s\n", queue->name,
               queue->from, queue->to, queue->tail - queue->head, queue->capacity, queue->tail,
               queue->sleeper ? "  consumer sleeps" : "");
    }
    printf("pool  depth  of incarnation %u: %u nodes of %u bytes, %" PRIu64 " free, %" PRIu64 " live, %" PRIu64 " retired, %" PRIu64
           " reclaimed so far\n",
           snapshot->pool.owner, snapshot->pool.nodes, snapshot->pool.node_bytes, snapshot->pool.free, snapshot->pool.live,
           snapshot->pool.retired, snapshot->pool.reclaimed);
}

static void show_readers(const struct pxi_snapshot *snapshot)
{
    printf("\nrcu  epoch %" PRIu64 ", reclaimable up to %" PRIu64 "\n", snapshot->epoch, snapshot->reclaimable);
    for (unsigned i = 0; i < PX_RCU_READERS; i++) {
        const struct pxi_reader_row *row = &snapshot->reader[i];

        if (row->pid == 0 && row->seen == 0)
            continue;
        printf("  slot %-3u %-12s pid %-8d ", i, i < PX_ROLE_SLOTS ? snapshot->role[i].name : "", row->pid);
        if (row->seen == 0)
            printf("offline");
        else
            printf("online, %" PRIu64 " epochs behind", snapshot->epoch - PX_MIN(row->seen, snapshot->epoch));
        printf("%s%s\n", row->holding ? ", for over 50 ms" : "",
               row->alive || row->pid == 0 ? "" : "  DEAD, NOT REAPED");
    }
}

void pxi_show_text(const struct pxi_snapshot *snapshot, bool zeroes)
{
    show_header(snapshot);
    show_roles(snapshot);
    show_rings(snapshot);
    show_readers(snapshot);
    printf("\ncounters, over all processes%s\n", zeroes ? "" : " (those at 0 with --all)");
    for (unsigned i = 0; i < PX_STATS; i++)
        if (zeroes || snapshot->stat[i] != 0)
            printf("  %-36s %20" PRIu64 "  %s\n", px_stat_infos[i].name, snapshot->stat[i], px_stat_infos[i].help);
}
