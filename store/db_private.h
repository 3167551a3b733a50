/*
 * RocksDB behind a handful of calls, inside store/ and nowhere else. A database is a folder with column families that
 * are named in one list; a batch is one atomic write. Errors of RocksDB are logged here, once, and become PX_E_IO: the
 * outcome of a failed write is unknown, so the caller's process ends and its successor starts from what is on disk.
 */
#pragma once

#include <rocksdb/c.h>

#include "base/types.h"

#define PXI_FAMILIES_MAX 16
#define PXI_PATH_SIZE    320

struct pxi_db {
    char path[PXI_PATH_SIZE];
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *buffered, *synced;
    rocksdb_column_family_handle_t *family[PXI_FAMILIES_MAX];
    unsigned families;
    rocksdb_writebatch_t *batch; /* of the one writing thread */
};

/* Makes what is missing. `buffer_bytes` of memory per family before it goes to a file. PX_E_IO, PX_E_MEMORY,
 * PX_E_TOO_LARGE. */
int pxi_db_open(struct pxi_db *db, const char *path, const char *const *families, unsigned count, size_t buffer_bytes);
void pxi_db_close(struct pxi_db *db); /* a zeroed one is fine */

/* The batch under way; the one writing thread. */
void pxi_put(struct pxi_db *db, unsigned family, const void *key, size_t key_len, const void *value, size_t value_len);
void pxi_delete(struct pxi_db *db, unsigned family, const void *key, size_t key_len);
int pxi_commit(struct pxi_db *db, bool sync);
int pxi_db_sync(struct pxi_db *db); /* any thread */

/* Copies at most `size` bytes; PX_E_NOT_FOUND, PX_E_FORMAT (longer than size), PX_E_IO. Any thread. */
int pxi_get(const struct pxi_db *db, unsigned family, const void *key, size_t key_len, void *value, size_t size,
            size_t *lenp);

rocksdb_iterator_t *pxi_scan(const struct pxi_db *db, unsigned family);

/* The iterator's key if it is on a row whose key starts with `prefix` and has `key_len` bytes; else NULL. */
const uint8_t *pxi_scan_key(const rocksdb_iterator_t *scan, const void *prefix, size_t prefix_len, size_t key_len);
/* Destroys the iterator; PX_E_IO if it met an error. */
int pxi_scan_end(rocksdb_iterator_t *scan);
