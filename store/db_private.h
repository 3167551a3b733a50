/*
 * RocksDB behind a handful of calls, inside store/ and nowhere else. A database is a folder with column families that
 * are named in one list; a batch is one atomic write. Errors of RocksDB are logged here, once, and become PX_E_IO: the
 * outcome of a failed write is unknown, so the caller's process ends and its successor starts from what is on disk.
 */
#pragma once

#include <rocksdb/c.h>

#include "base/types.h"

#define PXI_FAMILIES_MAX 24
#define PXI_PATH_SIZE    320
#define PXI_LOG_BYTES    (128u << 20)

/* How the rows of a family are used; db.c says what that means to RocksDB. */
enum pxi_use {
    PXI_USE_ROWS,   /* small, looked up by key, changed */
    PXI_USE_KNOWN,  /* the same, and a key that is looked up is there, but for what clients make up */
    PXI_USE_BLOCKS, /* packed already, written once, scanned */
    PXI_USE_JOURNAL /* written, trimmed, read after a crash */
};

struct pxi_family {
    const char *name;
    enum pxi_use use;
    size_t buffer_bytes; /* of memory before it goes to a file */
    unsigned series;     /* keys that begin with the same so many bytes are written in order; 0: nothing is known */
};

struct pxi_db {
    char path[PXI_PATH_SIZE];
    rocksdb_t *db;
    rocksdb_options_t *options[PXI_FAMILIES_MAX]; /* the first is the database's too */
    rocksdb_block_based_table_options_t *table[PXI_FAMILIES_MAX];
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *buffered, *synced;
    rocksdb_column_family_handle_t *family[PXI_FAMILIES_MAX];
    unsigned families;
    rocksdb_writebatch_t *batch; /* of the one writing thread */
    uint64_t commits;            /* batches written: what was put since the last one is not seen by any read */
};

/* Makes what is missing. `buffer_bytes` of memory per family before it goes to a file; what is in memory stands in a log too, which a start
 * reads again: up to `log_bytes`. PX_E_IO, PX_E_MEMORY, PX_E_TOO_LARGE. */
int pxi_db_open(struct pxi_db *db, const char *path, const char *const *families, unsigned count, size_t buffer_bytes);
int pxi_db_open_families(struct pxi_db *db, const char *path, const struct pxi_family *families, unsigned count,
                         size_t log_bytes);
void pxi_db_close(struct pxi_db *db); /* a zeroed one is fine */

/* The batch under way; the one writing thread. */
void pxi_put(struct pxi_db *db, unsigned family, const void *key, size_t key_len, const void *value, size_t value_len);
void pxi_delete(struct pxi_db *db, unsigned family, const void *key, size_t key_len);
/* Everything in [from, to): later writes of the same keys stay. */
void pxi_delete_range(struct pxi_db *db, unsigned family, const void *from, const void *to, size_t key_len);
int pxi_commit(struct pxi_db *db, bool sync);
/* Frees files that lie wholly in [from, to), at once. What it leaves behind is deleted by range. */
int pxi_drop_files(struct pxi_db *db, unsigned family, const void *from, const void *to, size_t key_len);
int pxi_db_sync(struct pxi_db *db); /* any thread */

/* Copies at most `size` bytes; PX_E_NOT_FOUND, PX_E_FORMAT (longer than size), PX_E_IO. Any thread. */
int pxi_get(const struct pxi_db *db, unsigned family, const void *key, size_t key_len, void *value, size_t size,
            size_t *lenp);

/* The same for `count` keys that lie one behind the other, in fewer walks through the files than one by one: at most PXI_MANY. Values of `size`
 * bytes each, lens[i] of value i: PXI_NONE if there is none. PX_E_FORMAT (one is longer than size), PX_E_IO. */
#define PXI_MANY 64u
#define PXI_NONE SIZE_MAX
int pxi_get_many(const struct pxi_db *db, unsigned family, unsigned count, const void *keys, size_t key_len, void *values,
                 size_t size, size_t *lens);

rocksdb_iterator_t *pxi_scan(const struct pxi_db *db, unsigned family);

#define PXI_BOUND_MAX 16

/* A scan that does not look at or beyond a key, at what has been deleted there neither. */
struct pxi_bound {
    rocksdb_readoptions_t *read;
    uint8_t to[PXI_BOUND_MAX];
};
rocksdb_iterator_t *pxi_scan_until(const struct pxi_db *db, unsigned family, const void *to, size_t to_len, struct pxi_bound *bound);
void pxi_bound_end(struct pxi_bound *bound); /* after its iterator */

/* Several scans of one moment. The rows' own checksums are looked at by who reads them. */
struct pxi_view {
    const rocksdb_snapshot_t *snapshot;
    rocksdb_readoptions_t *read;
};
void pxi_view_open(const struct pxi_db *db, struct pxi_view *view);
void pxi_view_close(const struct pxi_db *db, struct pxi_view *view); /* after its iterators */
rocksdb_iterator_t *pxi_view_scan(const struct pxi_db *db, const struct pxi_view *view, unsigned family);

/* The iterator's key if it is on a row whose key starts with `prefix` and has `key_len` bytes; else NULL. */
const uint8_t *pxi_scan_key(const rocksdb_iterator_t *scan, const void *prefix, size_t prefix_len, size_t key_len);
/* Destroys the iterator; PX_E_IO if it met an error. */
int pxi_scan_end(rocksdb_iterator_t *scan);
