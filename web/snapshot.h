/*
 * What requests need of configuration that may change while they run: the keys and the limits, as one immutable
 * snapshot. Who changes something publishes a new one; who reads never waits for it, and sees all of the old or all of
 * the new. A replaced snapshot is freed after its last reader.
 */
#pragma once

#include "base/config.h"
#include "base/keys.h"

#define PX_SNAPSHOTS_PENDING 32 /* replaced ones that wait for their readers; 84 KB each */

struct px_snapshot {
    uint64_t number; /* from 1, one more with each */
    struct px_config_limits limits;
    struct px_keys keys;
};

struct px_snapshots;

/*
 * Publishes the first: the limits of `config`, which outlives it, and the keys of its data folder. A file that is no
 * key file leaves nobody with access, and is logged. PX_E_MEMORY. Blocks on the disk.
 */
int px_snapshots_open(const struct px_config *config, struct px_snapshots **snapshotsp);

/* No thread may read any more. Waits for pending frees. *snapshotsp may be NULL. */
void px_snapshots_close(struct px_snapshots **snapshotsp);

/* ---- the writer: one thread, outside of any read section ---- */

/*
 * Replaces the snapshot; what is NULL stays as it is. Both are copied. PX_E_MEMORY: nothing has changed. Waits for a
 * grace period when PX_SNAPSHOTS_PENDING are waiting already.
 */
int px_snapshots_publish(struct px_snapshots *snapshots, const struct px_config_limits *limits,
                         const struct px_keys *keys);

/*
 * Publishes the keys if their file has changed since the last look, by its inode, size and time. A file that cannot be
 * read leaves them as they are: a half-written edit must not lock everybody out. About once a second. Blocks on the
 * disk.
 */
void px_snapshots_poll(struct px_snapshots *snapshots);

/* ---- readers: any thread that is registered with liburcu; wait-free ---- */

/* The present snapshot, valid until px_snapshot_leave. Nothing between the two may block. */
const struct px_snapshot *px_snapshot_enter(const struct px_snapshots *snapshots);
void px_snapshot_leave(const struct px_snapshot *snapshot);

/* Copies the key that `text` proves, or PX_E_FORBIDDEN. */
int px_snapshots_verify(const struct px_snapshots *snapshots, struct px_text text, struct px_key *keyp);

void px_snapshots_limits(const struct px_snapshots *snapshots, struct px_config_limits *limitsp);

/* Replaced ones that are not freed yet. */
uint32_t px_snapshots_pending(const struct px_snapshots *snapshots);
