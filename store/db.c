#include "store/db_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/log.h"

#define CACHE_BYTES   (32u << 20)
#define OPEN_FILES    256
#define JOURNAL_FILES 16

/* One block cache for all databases of the process. It lives as long as the process does. */
static rocksdb_cache_t *shared_cache(void)
{
    static rocksdb_cache_t *cache;

    if (!cache)
        cache = rocksdb_cache_create_lru(CACHE_BYTES);
    return cache;
}

/* Takes the message. */
static int failed(const struct pxi_db *db, const char *what, char *message)
{
    px_log(PX_LOG_ERROR, "store_failed what=%s path=%s error=\"%s\"", what, db->path, message);
    rocksdb_free(message);
    return PX_E_IO;
}

/* Modest: the keeper shares a small machine with the tick path, and most of its rows are written once in order. */
static void set_common(rocksdb_options_t *o)
{
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_create_missing_column_families(o, 1);
    rocksdb_options_set_max_open_files(o, OPEN_FILES);
    rocksdb_options_set_max_background_jobs(o, 2);
    rocksdb_options_set_max_file_opening_threads(o, 1);
    rocksdb_options_set_skip_stats_update_on_db_open(o, 1); /* a start would read in every file for it */
    rocksdb_options_set_bytes_per_sync(o, 1u << 20);
    rocksdb_options_set_keep_log_file_num(o, 4);
    rocksdb_options_set_max_log_file_size(o, 4u << 20);
}

/*
 * What only a text reaches. The buffer remembers where the newest key of each series is, instead of looking for it among all others. And what
 * a start finds in the log stays there: to write it out would be what a start waits for.
 */
static rocksdb_options_t *options_of(const struct pxi_family *family)
{
    rocksdb_options_t *o = rocksdb_options_create(), *with = rocksdb_options_create();
    char text[128], *message = NULL;
    int len = snprintf(text, sizeof text, "avoid_flush_during_recovery=true");

    if (family->series > 0)
        snprintf(text + len, sizeof text - (size_t)len, ";memtable_insert_with_hint_prefix_extractor=rocksdb.FixedPrefix.%u", family->series);
    rocksdb_get_options_from_string(o, text, with, &message);
    if (message)
        px_log(PX_LOG_WARN, "store_slower family=%s error=\"%s\"", family->name, message);
    rocksdb_free(message);
    rocksdb_options_destroy(o);
    return with;
}

/* What docs/design/history.md measured. Packed columns do not get smaller, and are scanned, so no bloom filter. */
static void set_family(struct pxi_db *db, unsigned i, const struct pxi_family *family)
{
    rocksdb_options_t *o = db->options[i] = options_of(family);
    rocksdb_block_based_table_options_t *table = db->table[i] = rocksdb_block_based_options_create();

    set_common(o);
    rocksdb_options_set_write_buffer_size(o, family->buffer_bytes);
    rocksdb_options_set_max_write_buffer_number(o, 3);
    rocksdb_options_set_compression(o,
                                    family->use == PXI_USE_BLOCKS ? rocksdb_no_compression : rocksdb_lz4_compression);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
    rocksdb_block_based_options_set_block_cache(table, shared_cache());
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    rocksdb_block_based_options_set_pin_top_level_index_and_filter(table, 1);
    if (family->use == PXI_USE_KNOWN) /* at the last level a filter would say yes: most of its bytes lie there */
        rocksdb_options_set_optimize_filters_for_hits(o, 1);
    if (family->use == PXI_USE_ROWS || family->use == PXI_USE_KNOWN) { /* in parts: a file's whole filter would push everything else out of the cache */
        rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(10));
        rocksdb_block_based_options_set_index_type(table, rocksdb_block_based_table_index_type_two_level_index_search);
        rocksdb_block_based_options_set_partition_filters(table, 1);
    }
    else
        rocksdb_block_based_options_set_block_size(table, 16 * 1024);
    if (family->use == PXI_USE_JOURNAL) { /* its rows die soon: the later files are merged, the less is left of them */
        rocksdb_options_set_level0_file_num_compaction_trigger(o, JOURNAL_FILES);
        rocksdb_options_set_level0_slowdown_writes_trigger(o, 3 * JOURNAL_FILES);
        rocksdb_options_set_level0_stop_writes_trigger(o, 4 * JOURNAL_FILES);
    }
    rocksdb_options_set_block_based_table_factory(o, table);
}

static void set_access(struct pxi_db *db)
{
    db->read = rocksdb_readoptions_create();
    db->buffered = rocksdb_writeoptions_create();
    db->synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(db->synced, 1);
    db->batch = rocksdb_writebatch_create();
}

int pxi_db_open_families(struct pxi_db *db, const char *path, const struct pxi_family *families, unsigned count, size_t log_bytes)
{
    const rocksdb_options_t *options[PXI_FAMILIES_MAX];
    const char *names[PXI_FAMILIES_MAX];
    char *message = NULL;

    memset(db, 0, sizeof *db);
    PX_CHECK(count <= PXI_FAMILIES_MAX);
    if (!px_text_copy(db->path, sizeof db->path, px_text_of(path)))
        return PX_E_TOO_LARGE;
    for (unsigned i = 0; i < count; i++) {
        set_family(db, i, &families[i]);
        options[i] = db->options[i];
        names[i] = families[i].name;
    }
    set_access(db);
    rocksdb_options_set_max_total_wal_size(db->options[0], log_bytes);
    db->db = rocksdb_open_column_families(db->options[0], path, (int)count, names, options, db->family, &message);
    if (message) {
        int error = failed(db, "open", message);

        pxi_db_close(db);
        return error;
    }
    db->families = count;
    return chmod(path, 0700) < 0 ? PX_E_IO : 0; /* RocksDB's files are open to everybody, and hold secrets that sign */
}

int pxi_db_open(struct pxi_db *db, const char *path, const char *const *families, unsigned count, size_t buffer_bytes)
{
    struct pxi_family list[PXI_FAMILIES_MAX];

    for (unsigned i = 0; i < PX_MIN(count, PXI_FAMILIES_MAX); i++)
        list[i] = (struct pxi_family){families[i], PXI_USE_ROWS, buffer_bytes, 0};
    return pxi_db_open_families(db, path, list, count, PXI_LOG_BYTES);
}

/* Debian's RocksDB is built with asserts and aborts when a family's handle outlives its database: handles first. */
void pxi_db_close(struct pxi_db *db)
{
    if (!db->batch)
        return;
    for (unsigned i = 0; i < db->families; i++)
        rocksdb_column_family_handle_destroy(db->family[i]);
    if (db->db)
        rocksdb_close(db->db);
    rocksdb_writebatch_destroy(db->batch);
    rocksdb_writeoptions_destroy(db->synced);
    rocksdb_writeoptions_destroy(db->buffered);
    rocksdb_readoptions_destroy(db->read);
    for (unsigned i = 0; i < PXI_FAMILIES_MAX && db->options[i]; i++) {
        rocksdb_block_based_options_destroy(db->table[i]);
        rocksdb_options_destroy(db->options[i]);
    }
    memset(db, 0, sizeof *db);
}

void pxi_put(struct pxi_db *db, unsigned family, const void *key, size_t key_len, const void *value, size_t value_len)
{
    rocksdb_writebatch_put_cf(db->batch, db->family[family], key, key_len, value, value_len);
}

void pxi_delete(struct pxi_db *db, unsigned family, const void *key, size_t key_len)
{
    rocksdb_writebatch_delete_cf(db->batch, db->family[family], key, key_len);
}

void pxi_delete_range(struct pxi_db *db, unsigned family, const void *from, const void *to, size_t key_len)
{
    rocksdb_writebatch_delete_range_cf(db->batch, db->family[family], from, key_len, to, key_len);
}

int pxi_drop_files(struct pxi_db *db, unsigned family, const void *from, const void *to, size_t key_len)
{
    char *message = NULL;

    rocksdb_delete_file_in_range_cf(db->db, db->family[family], from, key_len, to, key_len, &message);
    return message ? failed(db, "drop", message) : 0;
}

int pxi_commit(struct pxi_db *db, bool sync)
{
    char *message = NULL;

    rocksdb_write(db->db, sync ? db->synced : db->buffered, db->batch, &message);
    rocksdb_writebatch_clear(db->batch);
    db->commits++;
    return message ? failed(db, "write", message) : 0;
}

int pxi_db_sync(struct pxi_db *db)
{
    char *message = NULL;

    rocksdb_flush_wal(db->db, 1, &message);
    return message ? failed(db, "sync", message) : 0;
}

/* Copies the value and lets it go; PXI_NONE if there is none. */
static int take(const struct pxi_db *db, rocksdb_pinnableslice_t *slice, char *message, void *value, size_t size, size_t *lenp)
{
    *lenp = PXI_NONE;
    if (message)
        return failed(db, "read", message);
    if (!slice)
        return 0;
    const char *at = rocksdb_pinnableslice_value(slice, lenp);
    bool fits = *lenp <= size;
    if (fits)
        memcpy(value, at, *lenp);
    rocksdb_pinnableslice_destroy(slice);
    return fits ? 0 : PX_E_FORMAT;
}

int pxi_get(const struct pxi_db *db, unsigned family, const void *key, size_t key_len, void *value, size_t size,
            size_t *lenp)
{
    char *message = NULL;
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned_cf(db->db, db->read, db->family[family], key, key_len, &message);
    int error = take(db, slice, message, value, size, lenp);

    return !error && *lenp == PXI_NONE ? PX_E_NOT_FOUND : error;
}

int pxi_get_many(const struct pxi_db *db, unsigned family, unsigned count, const void *keys, size_t key_len, void *values,
                 size_t size, size_t *lens)
{
    rocksdb_pinnableslice_t *slice[PXI_MANY] = {NULL};
    char *message[PXI_MANY] = {NULL};
    const char *key[PXI_MANY] = {NULL};
    size_t len[PXI_MANY] = {0};
    int error = 0;

    PX_CHECK(count <= PXI_MANY);
    for (unsigned i = 0; i < count; i++) {
        key[i] = (const char *)keys + i * key_len;
        len[i] = key_len;
    }
    rocksdb_batched_multi_get_cf(db->db, db->read, db->family[family], count, key, len, slice, message, false);
    for (unsigned i = 0; i < count; i++) {
        int one = take(db, slice[i], message[i], (char *)values + i * size, size, &lens[i]);

        error = error ? error : one;
    }
    return error;
}

rocksdb_iterator_t *pxi_scan(const struct pxi_db *db, unsigned family)
{
    return rocksdb_create_iterator_cf(db->db, db->read, db->family[family]);
}

void pxi_view_open(const struct pxi_db *db, struct pxi_view *view)
{
    view->snapshot = rocksdb_create_snapshot(db->db);
    view->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(view->read, view->snapshot);
    rocksdb_readoptions_set_verify_checksums(view->read, 0);
}

void pxi_view_close(const struct pxi_db *db, struct pxi_view *view)
{
    rocksdb_readoptions_destroy(view->read);
    rocksdb_release_snapshot(db->db, view->snapshot);
}

rocksdb_iterator_t *pxi_view_scan(const struct pxi_db *db, const struct pxi_view *view, unsigned family)
{
    return rocksdb_create_iterator_cf(db->db, view->read, db->family[family]);
}

rocksdb_iterator_t *pxi_scan_until(const struct pxi_db *db, unsigned family, const void *to, size_t to_len, struct pxi_bound *bound)
{
    PX_CHECK(to_len <= sizeof bound->to);
    memcpy(bound->to, to, to_len);
    bound->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_iterate_upper_bound(bound->read, (const char *)bound->to, to_len);
    return rocksdb_create_iterator_cf(db->db, bound->read, db->family[family]);
}

void pxi_bound_end(struct pxi_bound *bound)
{
    rocksdb_readoptions_destroy(bound->read);
}

const uint8_t *pxi_scan_key(const rocksdb_iterator_t *scan, const void *prefix, size_t prefix_len, size_t key_len)
{
    size_t len;

    if (!rocksdb_iter_valid(scan))
        return NULL;
    const char *key = rocksdb_iter_key(scan, &len);
    return len == key_len && memcmp(key, prefix, prefix_len) == 0 ? (const uint8_t *)key : NULL;
}

int pxi_scan_end(rocksdb_iterator_t *scan)
{
    char *message = NULL;

    rocksdb_iter_get_error(scan, &message);
    rocksdb_iter_destroy(scan);
    if (!message)
        return 0;
    px_log(PX_LOG_ERROR, "store_failed what=scan error=\"%s\"", message);
    rocksdb_free(message);
    return PX_E_IO;
}
