/* One look at everything. What is read here is other processes' memory: it is copied first, and no index in it is
 * believed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "tools/pxshm/pxshm_private.h"

static bool exists(int32_t pid)
{
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

/* Printable and terminated, whatever a dying process has left. */
static void copy_words(const char *from, char to[PX_LAST_WORDS_SIZE])
{
    size_t i = 0;

    for (; i < PX_LAST_WORDS_SIZE - 1 && from[i] != '\0'; i++)
        to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : ' ';
    to[i] = '\0';
}

static void look_at_role(const struct px_role_slot *slot, unsigned number, int64_t now, struct pxi_role_row *row)
{
    row->slot = *slot;
    row->slot.heartbeat_ns = px_load_acquire(&slot->heartbeat_ns);
    if (row->slot.incarnation == 0 && row->slot.pid == 0)
        return;
    if (row->slot.role == PX_ROLE_WEB)
        snprintf(row->name, sizeof(row->name), "web-%u", number - PX_ROLE_SLOT_WEB);
    else if (number >= PX_ROLE_SLOT_SHARDS)
        snprintf(row->name, sizeof(row->name), "evaluator-%u", number - PX_ROLE_SLOT_SHARDS + 1);
    else
        snprintf(row->name, sizeof(row->name), "%s", px_role_name((enum px_role)row->slot.role));
    row->alive = exists(row->slot.pid);
    row->beat_age_ns = row->slot.heartbeat_ns ? now - row->slot.heartbeat_ns : -1;
    row->age_ns = now - row->slot.started_ns;
    copy_words(row->slot.last_words, row->last_words);
}

static void look_at_ring(const char *name, const struct px_ring *ring, const struct px_ring_yard *yard,
                         struct pxi_ring_row *row)
{
    row->name = name;
    for (unsigned i = 0; i < PX_ROLE_SLOTS; i++)
        row->position[i] = px_load_acquire(&yard->cursor[i].position); /* before tail: no lag looks negative */
    row->tail = px_ring_tail(ring);
    row->intent = px_load_acquire(&ring->intent);
    row->capacity = ring->capacity;
    row->sleepers = px_wait_pending(&yard->need_wake);
}

/* Of one of several evaluators; the first has no number, as it is alone most often. */
static const char *name_of(const char *what, unsigned number)
{
    static const char *const names[][PX_EVALUATORS_MAX] = {{"hits", "hits-1", "hits-2", "hits-3"},
                                                           {"seeds", "seeds-1", "seeds-2", "seeds-3"},
                                                           {"evaluator", "evaluator-1", "evaluator-2", "evaluator-3"}};

    for (unsigned i = 0; i < PX_COUNT_OF(names); i++)
        if (strcmp(names[i][0], what) == 0)
            return names[i][number];
    return what;
}

static void look_at_queue(const char *name, const char *from, const char *to, const struct px_queue *queue,
                          struct pxi_queue_row *row)
{
    row->name = name;
    row->from = from;
    row->to = to;
    row->head = px_queue_head(queue);
    row->tail = px_queue_tail(queue);
    row->capacity = queue->capacity;
    row->sleeper = px_wait_pending(&queue->consumer_sleeps);
}

static void look_at_pool(const struct px_pool *pool, struct pxi_pool_row *row)
{
    const struct px_pool_head *head = pool->head;

    if (!head)
        return;
    *row = (struct pxi_pool_row){.nodes = head->nodes,
                                 .node_bytes = head->node_bytes,
                                 .owner = px_load_relaxed(&head->owner),
                                 .free = px_load_relaxed(&head->free),
                                 .live = px_load_relaxed(&head->live),
                                 .retired = px_load_relaxed(&head->retired),
                                 .reclaimed = px_load_relaxed(&head->reclaimed)};
}

/* Twice, a while apart: a reader that keeps an epoch that has passed holds reclaiming up. */
static void look_at_readers(const struct px_shm *shm, struct pxi_snapshot *snapshot)
{
    const struct timespec pause = {0, PXI_HOLD_LOOK_NS};
    uint64_t first[PX_RCU_READERS];

    for (unsigned i = 0; i < PX_RCU_READERS; i++)
        first[i] = px_load_acquire(&shm->rcu_slots->reader[i].seen);
    nanosleep(&pause, NULL);
    snapshot->epoch = px_load_acquire(&shm->rcu->epoch);
    snapshot->reclaimable = px_rcu_reclaimable(shm->domain);
    snapshot->longest_hold = snapshot->epoch - PX_MIN(snapshot->epoch, snapshot->reclaimable);
    for (unsigned i = 0; i < PX_RCU_READERS; i++) {
        const struct px_rcu_reader *reader = &shm->rcu_slots->reader[i];
        struct pxi_reader_row *row = &snapshot->reader[i];

        row->pid = px_load_acquire(&reader->pid);
        row->incarnation = px_load_relaxed(&reader->incarnation);
        row->seen = px_load_acquire(&reader->seen);
        row->alive = exists(row->pid);
        row->holding = row->seen != 0 && row->seen == first[i] && row->seen < snapshot->epoch;
    }
}

void pxi_look(const struct px_shm *shm, struct pxi_snapshot *snapshot)
{
    uint32_t block = px_load_acquire(&shm->symbol_head->current) & 1;
    int64_t now;

    memset(snapshot, 0, sizeof(*snapshot));
    snapshot->header = *shm->header;
    snapshot->supervisor_alive = exists(shm->header->supervisor_pid);
    snapshot->assets = px_load_relaxed(&shm->symbol_block[block].count);
    snapshot->directory_generation = px_load_relaxed(&shm->symbol_block[block].generation);
    look_at_readers(shm, snapshot);
    now = px_mono_now().ns;
    for (unsigned i = 0; i < PX_ROLE_SLOTS; i++)
        look_at_role(&shm->roles[i], i, now, &snapshot->role[i]);
    look_at_ring("ticks", shm->ticks, shm->ticks_yard, &snapshot->ring[0]);
    look_at_ring("events", shm->events, shm->events_yard, &snapshot->ring[1]);
    for (unsigned i = 0; i < PX_MIN(px_shm_evaluators(shm), (uint32_t)PX_EVALUATORS_MAX); i++) {
        look_at_queue(name_of("hits", i), name_of("evaluator", i), "keeper", px_shm_hits(shm, i), &snapshot->queue[snapshot->queues++]);
        look_at_queue(name_of("seeds", i), "keeper", name_of("evaluator", i), px_shm_seeds(shm, i), &snapshot->queue[snapshot->queues++]);
    }
    look_at_pool(&shm->depth, &snapshot->pool);
    for (unsigned i = 0; i < PX_ROLE_SLOTS; i++)
        for (unsigned stat = 0; stat < PX_STATS; stat++)
            snapshot->stat[stat] += px_load_relaxed(&shm->stats[i].value[stat]);
}
