/* The snapshot for programs: one object on one line. */
#include <stdio.h>

#include "base/json_out.h"
#include "tools/pxshm/pxshm_private.h"

static void put_number(struct px_json *json, const char *key, uint64_t value)
{
    px_json_kv_int(json, key, (int64_t)value);
}

static void put_roles(struct px_json *json, const struct pxi_snapshot *snapshot)
{
    px_json_key(json, "roles");
    px_json_open(json, '[');
    for (unsigned i = 0; i < PX_ROLE_SLOTS; i++) {
        const struct pxi_role_row *row = &snapshot->role[i];

        if (!row->name[0])
            continue;
        px_json_open(json, '{');
        put_number(json, "slot", i);
        px_json_kv_string(json, "role", row->name);
        px_json_kv_int(json, "pid", row->slot.pid);
        px_json_kv_bool(json, "alive", row->alive);
        px_json_kv_string(json, "state", px_role_state_name(row->slot.state));
        put_number(json, "incarnation", row->slot.incarnation);
        px_json_kv_int(json, "heartbeat_age_ns", row->beat_age_ns);
        px_json_kv_int(json, "age_ns", row->age_ns);
        put_number(json, "restarts", row->slot.restarts);
        px_json_kv_int(json, "last_status", row->slot.last_status);
        put_number(json, "longest_loop_us", row->slot.longest_loop_us);
        px_json_kv_string(json, "last_words", row->last_words);
        px_json_close(json, '}');
    }
    px_json_close(json, ']');
}

static void put_ring(struct px_json *json, const struct pxi_snapshot *snapshot, const struct pxi_ring_row *ring)
{
    px_json_key(json, ring->name);
    px_json_open(json, '{');
    put_number(json, "tail", ring->tail);
    put_number(json, "intent", ring->intent);
    put_number(json, "capacity", ring->capacity);
    px_json_kv_bool(json, "sleepers", ring->sleepers);
    px_json_key(json, "consumers");
    px_json_open(json, '[');
    for (unsigned i = 0; i < PX_ROLE_SLOTS; i++) {
        if (ring->position[i] == 0)
            continue;
        px_json_open(json, '{');
        put_number(json, "slot", i);
        px_json_kv_string(json, "role", snapshot->role[i].name);
        put_number(json, "position", ring->position[i]);
        put_number(json, "lag", pxi_lag(ring, i));
        px_json_kv_bool(json, "overtaken", pxi_lag(ring, i) > ring->capacity);
        px_json_close(json, '}');
    }
    px_json_close(json, ']');
    px_json_close(json, '}');
}

static void put_pool(struct px_json *json, const char *name, const struct pxi_pool_row *pool)
{
    px_json_key(json, name);
    px_json_open(json, '{');
    put_number(json, "owner", pool->owner);
    put_number(json, "nodes", pool->nodes);
    put_number(json, "node_bytes", pool->node_bytes);
    put_number(json, "free", pool->free);
    put_number(json, "live", pool->live);
    put_number(json, "retired", pool->retired);
    put_number(json, "reclaimed", pool->reclaimed);
    px_json_close(json, '}');
}

static void put_queue(struct px_json *json, const struct pxi_queue_row *queue)
{
    px_json_key(json, queue->name);
    px_json_open(json, '{');
    put_number(json, "head", queue->head);
    put_number(json, "tail", queue->tail);
    put_number(json, "length", queue->tail - queue->head);
    put_number(json, "capacity", queue->capacity);
    px_json_kv_bool(json, "consumer_sleeps", queue->sleeper);
    px_json_close(json, '}');
}

static void put_readers(struct px_json *json, const struct pxi_snapshot *snapshot)
{
    px_json_key(json, "rcu");
    px_json_open(json, '{');
    put_number(json, "epoch", snapshot->epoch);
    put_number(json, "reclaimable", snapshot->reclaimable);
    px_json_key(json, "readers");
    px_json_open(json, '[');
    for (unsigned i = 0; i < PX_RCU_READERS; i++) {
        const struct pxi_reader_row *row = &snapshot->reader[i];

        if (row->pid == 0 && row->seen == 0)
            continue;
        px_json_open(json, '{');
        put_number(json, "slot", i);
        px_json_kv_int(json, "pid", row->pid);
        px_json_kv_bool(json, "alive", row->alive);
        px_json_kv_bool(json, "online", row->seen != 0);
        put_number(json, "behind", row->seen == 0 ? 0 : snapshot->epoch - PX_MIN(row->seen, snapshot->epoch));
        px_json_kv_bool(json, "holding", row->holding);
        px_json_close(json, '}');
    }
    px_json_close(json, ']');
    px_json_close(json, '}');
}

static void put_header(struct px_json *json, const struct pxi_snapshot *snapshot)
{
    const struct px_shm_header *header = &snapshot->header;
    char hash[24];

    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)header->layout_hash);
    px_json_key(json, "region");
    px_json_open(json, '{');
    put_number(json, "generation", header->generation);
    px_json_kv_bool(json, "ready", header->state == PX_SHM_READY);
    put_number(json, "size", header->size);
    px_json_kv_string(json, "layout", hash);
    px_json_kv_time(json, "created", header->created_ns);
    px_json_kv_int(json, "supervisor_pid", header->supervisor_pid);
    px_json_kv_bool(json, "supervisor_alive", snapshot->supervisor_alive);
    put_number(json, "boots", header->boots);
    px_json_kv_bool(json, "locked", header->flags & PX_SHM_LOCKED);
    px_json_kv_bool(json, "huge_pages", header->flags & (PX_SHM_HUGE_RESERVED | PX_SHM_HUGE_TRANSPARENT));
    put_number(json, "assets", snapshot->assets);
    put_number(json, "assets_capacity", header->params.assets);
    px_json_close(json, '}');
}

void pxi_show_json(const struct pxi_snapshot *snapshot)
{
    static char text[128 * 1024]; /* 20 roles, 40 cursors, 64 readers and the counters take under a third */
    struct px_json json;

    px_json_init(&json, text, sizeof(text));
    px_json_open(&json, '{');
    put_header(&json, snapshot);
    put_roles(&json, snapshot);
    px_json_key(&json, "rings");
    px_json_open(&json, '{');
    for (unsigned i = 0; i < PX_COUNT_OF(snapshot->ring); i++)
        put_ring(&json, snapshot, &snapshot->ring[i]);
    px_json_close(&json, '}');
    px_json_key(&json, "pools");
    px_json_open(&json, '{');
    put_pool(&json, "depth", &snapshot->pool);
    px_json_close(&json, '}');
    px_json_key(&json, "queues");
    px_json_open(&json, '{');
    for (unsigned i = 0; i < snapshot->queues; i++)
        put_queue(&json, &snapshot->queue[i]);
    px_json_close(&json, '}');
    put_readers(&json, snapshot);
    px_json_key(&json, "counters");
    px_json_open(&json, '{');
    for (unsigned i = 0; i < PX_STATS; i++)
        put_number(&json, px_stat_infos[i].name, snapshot->stat[i]);
    px_json_close(&json, '}');
    px_json_close(&json, '}');
    PX_CHECK(!json.full);
    printf("%.*s\n", (int)json.len, text);
}
