/*
 * Open blocks: the newest trades of each asset, in memory, and their journal.
 *
 * A trade becomes a record, told from the one before it in its block; the same bytes go into the block's buffer and
 * into the journal's row of the batch. A row is entries of
 *
 *   (difference to the asset before, folded) << 2 | MORE, FIRST or SEAL      varint
 *   a record                                                                 not with SEAL
 *
 * and a checksum. FIRST begins a block, so that a replay knows what it may skip: what comes before it belongs to a
 * block that is sealed further on. A seal and the block's row are in one batch, so each trade is in exactly one of the
 * two.
 *
 * Readers see buffers up to `shown`, under the lock; the writing thread goes on behind that. They look at the buffers
 * first and at the database afterwards: a block that is sealed in between is met twice, and never missed.
 */
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "store/hist_private.h"

#define JOURNAL_FULL (64 * 1024)
#define OPEN_STEP    512         /* bytes that an open block grows by */
#define FIRST_LEAST  60 /* trades in an asset's first block: they differ, so that later seals are spread out */

enum { ENTRY_MORE, ENTRY_FIRST, ENTRY_SEAL };

static const struct px_trade nothing;

/* ---- order ---- */

static int compare(int64_t time_a, uint64_t sequence_a, int64_t time_b, uint64_t sequence_b)
{
    if (time_a != time_b)
        return time_a < time_b ? -1 : 1;
    return sequence_a < sequence_b ? -1 : sequence_a > sequence_b;
}

static int by_time(const void *a, const void *b)
{
    const struct px_trade *x = a, *y = b;

    return compare(x->time_ns, x->sequence, y->time_ns, y->sequence);
}

/* Records into trades in order; almost always they are in order already. */
static unsigned unfold(const uint8_t *bytes, size_t len, struct px_trade *trades)
{
    struct pxi_bytes from = {bytes, bytes + len, false};
    struct px_trade trade = nothing;
    unsigned count = 0;
    bool sorted = true;

    while (from.at < from.end && count < PX_BLOCK_TRADES) {
        pxi_record_take(&from, &trade);
        PX_CHECK(!from.bad); /* our own memory */
        sorted &= count == 0 || by_time(&trades[count - 1], &trade) <= 0;
        trades[count++] = trade;
    }
    if (!sorted)
        qsort(trades, count, sizeof *trades, by_time);
    return count;
}

/* ---- the journal's row ---- */

static void put_entry(struct px_hist *hist, uint32_t stored, unsigned entry, const uint8_t *record, size_t len)
{
    uint8_t *to = hist->journal + hist->journal_len;
    int64_t step = (int64_t)stored - (int64_t)hist->journal_asset;

    to = pxi_put_varint(to, pxi_fold(step) << 2 | entry);
    if (len > 0)
        memcpy(to, record, len);
    hist->journal_asset = stored;
    hist->journal_len = (size_t)(to + len - hist->journal);
    if (hist->journal_len >= JOURNAL_FULL)
        pxi_open_end_row(hist);
}

void pxi_open_end_row(struct px_hist *hist)
{
    uint8_t key[PXI_JOURNAL_KEY];

    if (hist->journal_len == 0)
        return;
    uint8_t *end = pxi_put_crc(hist->journal, hist->journal + hist->journal_len);
    pxi_be64(key, hist->journal_next++);
    pxi_put(&hist->db, PXI_HIST_JOURNAL, key, sizeof key, hist->journal, (size_t)(end - hist->journal));
    hist->journal_len = 0;
    hist->journal_asset = 0;
}

/* ---- the blocks ---- */

void pxi_hist_touch(struct px_hist *hist, uint32_t stored)
{
    if (hist->open[stored].touched)
        return;
    hist->open[stored].touched = true;
    hist->touched[hist->touched_count++] = stored;
}

static void make_room(struct px_hist *hist, struct pxi_open *open)
{
    if (open->size - open->len >= PXI_RECORD_MAX)
        return;
    pthread_mutex_lock(&hist->lock);
    open->size += OPEN_STEP;
    open->bytes = realloc(open->bytes, open->size);
    pthread_mutex_unlock(&hist->lock);
    PX_CHECK(open->bytes);
}

static void put_block(struct px_hist *hist, const struct pxi_place *place, uint32_t stored,
                      const struct px_trade *trades, unsigned count)
{
    uint8_t key[PXI_TICK_KEY], value[PX_BLOCK_BYTES_MAX];

    pxi_place_key(place, stored, trades[0].time_ns, trades[0].sequence, key);
    pxi_put(&hist->db, place->family, key, sizeof key, value, px_block_encode(trades, count, value));
}

/* What readers are shown stays until the batch is committed. */
static void empty(struct px_hist *hist, struct pxi_open *open)
{
    pthread_mutex_lock(&hist->lock);
    if (open->shown > 0) {
        open->old = open->bytes;
        open->old_len = open->shown;
        open->bytes = NULL;
        open->size = 0;
    }
    open->len = open->shown = 0;
    pthread_mutex_unlock(&hist->lock);
    open->count = 0;
    open->limit = PX_BLOCK_TRADES;
    open->known = false;
}

void pxi_open_seal(struct px_hist *hist, uint32_t stored)
{
    struct px_trade trades[PX_BLOCK_TRADES];
    struct pxi_open *open = &hist->open[stored];

    if (open->count == 0)
        return;
    unsigned count = unfold(open->bytes, open->len, trades);
    PX_CHECK(count == open->count);
    put_block(hist, &pxi_ticks_place, stored, trades, count);
    put_entry(hist, stored, ENTRY_SEAL, NULL, 0);
    open->bound_ns = trades[count - 1].time_ns;
    open->bound_sequence = trades[count - 1].sequence;
    open->bounded = true;
    pxi_hist_touch(hist, stored);
    empty(hist, open);
}

/* The last trade of the newest block on disk. One that cannot be read bounds by its first. */
static void find_bound(struct px_hist *hist, uint32_t stored)
{
    struct pxi_rows rows = {pxi_ticks_place, stored, pxi_scan(&hist->db, PXI_HIST_TICKS)};
    struct px_trade trades[PX_BLOCK_TRADES];
    struct pxi_open *open = &hist->open[stored];
    const uint8_t *key = pxi_rows_seek(&rows, INT64_MAX, UINT64_MAX, PXI_SEEK_UP_TO);
    unsigned count;
    size_t len;

    open->bounded = true;
    open->bound_ns = INT64_MIN;
    open->bound_sequence = 0;
    if (key) {
        const char *value = rocksdb_iter_value(rows.scan, &len);

        open->bound_ns = pxi_rows_time(&rows, key);
        open->bound_sequence = UINT64_MAX;
        if (px_block_decode(value, len, trades, &count) == 0) {
            open->bound_ns = trades[count - 1].time_ns;
            open->bound_sequence = trades[count - 1].sequence;
        }
    }
    pxi_scan_end(rows.scan);
}

/* A block lies within one day, after all sealed ones. */
static bool fits(struct px_hist *hist, uint32_t stored, const struct px_trade *trade)
{
    struct pxi_open *open = &hist->open[stored];

    if (!pxi_trade_counts(trade))
        return false;
    if (!open->bounded)
        find_bound(hist, stored);
    if (compare(trade->time_ns, trade->sequence, open->bound_ns, open->bound_sequence) <= 0)
        return false;
    return open->count == 0 || pxi_day_of(trade->time_ns) >= pxi_day_of(open->previous.time_ns);
}

unsigned pxi_spread(uint32_t stored, unsigned n)
{
    return (unsigned)((uint64_t)(stored * 2654435761u) * n >> 32);
}

static void add(struct px_hist *hist, uint32_t stored, const struct px_trade *trade)
{
    struct pxi_open *open = &hist->open[stored];
    bool first = open->count == 0;

    make_room(hist, open);
    if (first) {
        open->previous = nothing;
        open->since = px_mono_now();
        open->journal = hist->journal_next;
        open->known = true;
    }
    uint8_t *to = open->bytes + open->len;
    size_t len = (size_t)(pxi_record_put(to, &open->previous, trade) - to);
    open->len += (uint32_t)len;
    open->count++;
    open->previous = *trade;
    pxi_hist_touch(hist, stored);
    put_entry(hist, stored, first ? ENTRY_FIRST : ENTRY_MORE, to, len);
}

static bool is_over(const struct pxi_open *open, const struct px_trade *trade)
{
    return open->count > 0 &&
           (open->count >= open->limit || pxi_day_of(trade->time_ns) != pxi_day_of(open->previous.time_ns));
}

/* A seal moves the bound: a trade that is late by less than a block may have come to lie behind it. */
void pxi_open_put(struct px_hist *hist, uint32_t stored, const struct px_trade *trade)
{
    bool fit = fits(hist, stored, trade);

    if (fit && is_over(&hist->open[stored], trade)) {
        pxi_open_seal(hist, stored);
        fit = fits(hist, stored, trade);
    }
    if (!fit) {
        put_block(hist, &pxi_aside_place, stored, trade, 1);
        return;
    }
    hist->newest_ns = PX_MAX(hist->newest_ns, trade->time_ns);
    add(hist, stored, trade);
}

void pxi_open_show(struct px_hist *hist)
{
    pthread_mutex_lock(&hist->lock);
    for (uint32_t i = 0; i < hist->touched_count; i++) {
        struct pxi_open *open = &hist->open[hist->touched[i]];
        struct pxi_candles *candles = &hist->candles[hist->touched[i]];

        open->shown = open->len;
        free(open->old);
        open->old = NULL;
        open->old_len = 0;
        open->touched = false;
        candles->shown = candles->loaded;
        for (unsigned level = 0; level < PXI_LEVELS; level++) {
            candles->shown_end_ns[level] = candles->level[level].end_ns;
            candles->shown_fresh_ns[level] = candles->level[level].fresh_ns;
        }
    }
    pthread_mutex_unlock(&hist->lock);
    hist->touched_count = 0;
}

int pxi_open_copy(const struct px_hist *hist, uint32_t stored, struct px_trade *trades, unsigned *countp)
{
    const struct pxi_open *open = &hist->open[stored];
    pthread_mutex_t *lock = (pthread_mutex_t *)&hist->lock;

    *countp = 0;
    pthread_mutex_lock(lock);
    size_t len = open->old_len ? open->old_len : open->shown;
    uint8_t *bytes = malloc(len + 1);
    if (bytes && len > 0)
        memcpy(bytes, open->old_len ? open->old : open->bytes, len);
    pthread_mutex_unlock(lock);
    if (!bytes)
        return PX_E_MEMORY;
    *countp = unfold(bytes, len, trades);
    free(bytes);
    return 0;
}

/* ---- after a restart ---- */

static void replay_record(struct px_hist *hist, uint32_t stored, unsigned entry, uint64_t row, struct pxi_bytes *from)
{
    struct pxi_open *open = &hist->open[stored];
    struct px_trade scratch = nothing;

    if (entry == ENTRY_FIRST) {
        open->len = open->count = 0;
        open->previous = nothing;
        open->journal = row;
        open->known = true;
    }
    const uint8_t *record = from->at;
    pxi_record_take(from, open->known ? &open->previous : &scratch);
    if (from->bad || !open->known || open->count >= PX_BLOCK_TRADES)
        return;
    make_room(hist, open);
    memcpy(open->bytes + open->len, record, (size_t)(from->at - record));
    open->len += (uint32_t)(from->at - record);
    open->count++;
    hist->newest_ns = PX_MAX(hist->newest_ns, open->previous.time_ns);
}

static bool replay_row(struct px_hist *hist, uint64_t row, const char *bytes, size_t len)
{
    struct pxi_bytes from = {(const uint8_t *)bytes, (const uint8_t *)bytes + len, false};
    int64_t stored = 0;

    if (!pxi_crc_ok(bytes, len))
        return false;
    for (from.end -= PXI_CRC_BYTES; from.at < from.end && !from.bad;) {
        uint64_t head = pxi_take_varint(&from);
        unsigned entry = head & 3;

        stored = pxi_plus(stored, pxi_unfold(head >> 2));
        if (from.bad || stored < 0 || stored >= hist->stored_assets || entry > ENTRY_SEAL)
            return false;
        if (entry != ENTRY_SEAL) {
            replay_record(hist, (uint32_t)stored, entry, row, &from);
            continue;
        }
        hist->open[stored].len = hist->open[stored].count = 0;
        hist->open[stored].known = false;
    }
    return !from.bad;
}

/* What follows a damaged row is told from records that are lost: it is skipped, up to the next FIRST. */
static void break_blocks(struct px_hist *hist)
{
    for (uint32_t stored = 0; stored < hist->stored_assets; stored++)
        hist->open[stored].known = false;
}

/* A broken block takes no more records. It may have been sealed whole where the journal cannot be read. */
static void end_broken(struct px_hist *hist, uint32_t stored)
{
    struct pxi_open *open = &hist->open[stored];
    struct px_trade trades[PX_BLOCK_TRADES];
    uint8_t key[PXI_TICK_KEY], value[PX_BLOCK_BYTES_MAX];
    size_t len;

    if (open->known || open->count == 0)
        return;
    unfold(open->bytes, open->len, trades);
    pxi_place_key(&pxi_ticks_place, stored, trades[0].time_ns, trades[0].sequence, key);
    if (pxi_get(&hist->db, PXI_HIST_TICKS, key, sizeof key, value, sizeof value, &len) == PX_E_NOT_FOUND)
        pxi_open_seal(hist, stored);
    else
        empty(hist, open);
}

static void begin_blocks(struct px_hist *hist)
{
    px_mono now = px_mono_now();

    for (uint32_t stored = 0; stored < hist->stored_assets; stored++) {
        struct pxi_open *open = &hist->open[stored];

        end_broken(hist, stored);
        open->shown = open->len;
        open->limit = (uint16_t)(FIRST_LEAST + pxi_spread(stored, PX_BLOCK_TRADES - FIRST_LEAST));
        open->since = now;
    }
}

int pxi_open_init(struct px_hist *hist)
{
    rocksdb_iterator_t *scan = pxi_scan(&hist->db, PXI_HIST_JOURNAL);
    const uint8_t *key;
    size_t len;

    hist->journal_next = 1;
    for (rocksdb_iter_seek_to_first(scan); (key = pxi_scan_key(scan, "", 0, PXI_JOURNAL_KEY));
         rocksdb_iter_next(scan)) {
        uint64_t row = pxi_from_be64(key);
        const char *value = rocksdb_iter_value(scan, &len);

        hist->journal_next = row + 1;
        if (!replay_row(hist, row, value, len)) {
            pxi_hist_damaged(hist, "journal", 0, (int64_t)row);
            break_blocks(hist);
        }
    }
    begin_blocks(hist);
    return pxi_scan_end(scan);
}

void pxi_open_fini(struct px_hist *hist)
{
    for (uint32_t stored = 0; hist->open && stored < hist->stored_assets; stored++) {
        free(hist->open[stored].bytes);
        free(hist->open[stored].old);
    }
    free(hist->open);
    hist->open = NULL;
}

/* ---- what has no hurry ---- */

#define OPEN_NS (600 * PX_NS_PER_S)

static bool too_old(const struct px_hist *hist, uint32_t stored)
{
    const struct pxi_open *open = &hist->open[stored];
    int64_t limit_ns = OPEN_NS / PX_BLOCK_TRADES * open->limit; /* as long as the first ones differ */

    return open->count > 0 && px_mono_since(px_mono_now(), open->since) > limit_ns;
}

int px_hist_tend(struct px_hist *hist, px_asset_id asset)
{
    PX_CHECK(asset < hist->assets);
    uint32_t stored = hist->stored[asset];
    bool seals = too_old(hist, stored);

    if (seals)
        pxi_open_seal(hist, stored);
    int loaded = pxi_candles_load(hist, stored);
    int packed = loaded < 0 ? loaded : pxi_candles_pack(hist, stored);
    return packed < 0 ? packed : seals + loaded + packed + pxi_candles_retain(hist, stored);
}

/*
 * Files are dropped at once, batches are synced a little later: so it is files below the last trim that go, whose
 * blocks have been on disk for long.
 */
int px_hist_trim(struct px_hist *hist)
{
    uint64_t oldest = hist->journal_next;
    uint8_t from[PXI_JOURNAL_KEY], to[PXI_JOURNAL_KEY];
    int error = 0;

    PX_CHECK(hist->journal_len == 0);
    for (uint32_t stored = 0; stored < hist->stored_assets; stored++)
        if (hist->open[stored].count > 0)
            oldest = PX_MIN(oldest, hist->open[stored].journal);
    if (oldest <= hist->journal_trimmed)
        return 0;
    pxi_be64(from, 0);
    pxi_be64(to, hist->journal_trimmed);
    if (hist->journal_trimmed > 0)
        error = pxi_drop_files(&hist->db, PXI_HIST_JOURNAL, from, to, sizeof from);
    pxi_be64(from, hist->journal_trimmed);
    pxi_be64(to, oldest);
    pxi_delete_range(&hist->db, PXI_HIST_JOURNAL, from, to, sizeof from);
    hist->journal_trimmed = oldest;
    return error ? error : 1;
}
