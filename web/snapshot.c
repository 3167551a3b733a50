/* One pointer under liburcu, replaced whole. */
#include "web/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/log.h"
#include "shm/atomic.h"
#include "web/rcu.h"

struct held {
    struct px_snapshot snapshot;
    struct px_snapshots *owner;
    struct rcu_head rcu;
};

struct px_snapshots {
    struct held *current; /* under RCU; never NULL while threads read */
    uint32_t pending;     /* +1 by the writer, -1 by liburcu's thread */
    const char *data;
    char path[300];
    struct stat seen; /* of the key file; zero: there was none */
};

/* ---- publishing ---- */

static void held_free(struct rcu_head *head)
{
    struct held *held = caa_container_of(head, struct held, rcu);

    PX_MEMB_UNREACHABLE(held);
    __atomic_fetch_sub(&held->owner->pending, 1, __ATOMIC_RELEASE);
    free(held);
}

/* What readers had is freed behind them. A writer who is faster than they are waits for them here. */
static void retire(struct px_snapshots *snapshots, struct held *held)
{
    if (px_load_acquire(&snapshots->pending) >= PX_SNAPSHOTS_PENDING)
        urcu_memb_barrier();
    __atomic_fetch_add(&snapshots->pending, 1, __ATOMIC_RELAXED);
    PX_MEMB_LEFT(held);
    px_memb_free_later(&held->rcu, held_free);
}

int px_snapshots_publish(struct px_snapshots *snapshots, const struct px_config_limits *limits,
                         const struct px_keys *keys)
{
    struct held *old = snapshots->current, *held = malloc(sizeof *held);

    if (!held)
        return PX_E_MEMORY;
    held->owner = snapshots;
    held->snapshot.number = old ? old->snapshot.number + 1 : 1;
    held->snapshot.limits = limits ? *limits : old->snapshot.limits;
    held->snapshot.keys = keys ? *keys : old->snapshot.keys;
    PX_MEMB_FILLED(held);
    px_memb_assign(snapshots->current, held);
    if (old)
        retire(snapshots, old);
    return 0;
}

/* ---- the key file ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void load_keys(struct px_snapshots *snapshots)
{
    struct px_keys *keys = malloc(sizeof *keys);
    int rc = keys ? px_keys_load(snapshots->data, keys) : PX_E_MEMORY;

    if (rc == 0)
        rc = px_snapshots_publish(snapshots, NULL, keys);
    if (rc < 0)
        px_log(PX_LOG_ERROR, "keys_refused file=%s error=\"%s\"", snapshots->path, px_error_text(rc));
    else
        px_log(PX_LOG_INFO, "keys_loaded count=%u", keys->count);
    free(keys);
}

void px_snapshots_poll(struct px_snapshots *snapshots)
{
    struct stat now;

    if (stat(snapshots->path, &now) != 0)
        now = (struct stat){0};
    if (same_file(&now, &snapshots->seen))
        return;
    snapshots->seen = now;
    load_keys(snapshots);
}

/* ---- its life ---- */

int px_snapshots_open(const struct px_config *config, struct px_snapshots **snapshotsp)
{
    static const struct px_keys nobody;
    struct px_snapshots *snapshots = calloc(1, sizeof *snapshots);

    if (!snapshots || px_snapshots_publish(snapshots, &config->limits, &nobody) < 0) {
        free(snapshots);
        return PX_E_MEMORY;
    }
    snapshots->data = config->data;
    snprintf(snapshots->path, sizeof snapshots->path, "%s/keys", config->data);
    px_snapshots_poll(snapshots);
    *snapshotsp = snapshots;
    return 0;
}

void px_snapshots_close(struct px_snapshots **snapshotsp)
{
    struct px_snapshots *snapshots = *snapshotsp;

    if (!snapshots)
        return;
    retire(snapshots, snapshots->current);
    urcu_memb_barrier();
    PX_CHECK(px_load_acquire(&snapshots->pending) == 0);
    free(snapshots);
    *snapshotsp = NULL;
}

/* ---- reading ---- */

const struct px_snapshot *px_snapshot_enter(const struct px_snapshots *snapshots)
{
    urcu_memb_read_lock();
    struct held *held = px_memb_dereference(snapshots->current);
    PX_MEMB_REACHED(held);
    return &held->snapshot;
}

void px_snapshot_leave(const struct px_snapshot *snapshot)
{
    PX_MEMB_LEFT(caa_container_of(snapshot, struct held, snapshot));
    urcu_memb_read_unlock();
}

int px_snapshots_verify(const struct px_snapshots *snapshots, struct px_text text, struct px_key *keyp)
{
    const struct px_snapshot *snapshot = px_snapshot_enter(snapshots);
    const struct px_key *key;
    int rc = px_keys_verify(&snapshot->keys, text, &key);

    if (rc == 0)
        *keyp = *key;
    px_snapshot_leave(snapshot);
    return rc;
}

void px_snapshots_limits(const struct px_snapshots *snapshots, struct px_config_limits *limitsp)
{
    const struct px_snapshot *snapshot = px_snapshot_enter(snapshots);

    *limitsp = snapshot->limits;
    px_snapshot_leave(snapshot);
}

uint32_t px_snapshots_pending(const struct px_snapshots *snapshots)
{
    return px_load_acquire(&snapshots->pending);
}
