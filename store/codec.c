/* Keys that sort as their numbers do, and where the rows of an asset are. */
#include "base/error.h"
#include "store/hist_private.h"

#define DAY_NS (86400 * PX_NS_PER_S)

const struct pxi_place pxi_ticks_place = {PXI_HIST_TICKS, 1, -1, PXI_TICK_KEY};
const struct pxi_place pxi_aside_place = {PXI_HIST_ASIDE, 1, -1, PXI_TICK_KEY};
const struct pxi_place pxi_imported_place = {PXI_HIST_IMPORTED, 1, -1, PXI_TICK_KEY};

void pxi_be32(uint8_t *to, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(to, &value, sizeof value);
}

void pxi_be64(uint8_t *to, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(to, &value, sizeof value);
}

uint32_t pxi_from_be32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return __builtin_bswap32(value);
}

uint64_t pxi_from_be64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return __builtin_bswap64(value);
}

void pxi_be_time(uint8_t *to, int64_t time_ns)
{
    pxi_be64(to, (uint64_t)time_ns ^ UINT64_C(1) << 63);
}

int64_t pxi_from_be_time(const uint8_t *at)
{
    return (int64_t)(pxi_from_be64(at) ^ UINT64_C(1) << 63);
}

static uint16_t bucket_of(int64_t time_ns, unsigned days)
{
    int64_t bucket = days ? time_ns / (DAY_NS * days) : 0;

    return (uint16_t)PX_MIN(PX_MAX(bucket, 0), UINT16_MAX);
}

uint16_t pxi_day_of(int64_t time_ns)
{
    return bucket_of(time_ns, 1);
}

static uint8_t *put_prefix(const struct pxi_place *place, uint32_t bucket, uint32_t stored, uint8_t *key)
{
    if (place->level >= 0)
        *key++ = (uint8_t)place->level;
    *key++ = (uint8_t)(bucket >> 8);
    *key++ = (uint8_t)bucket;
    pxi_be32(key, stored);
    return key + 4;
}

static void key_in(const struct pxi_place *place, uint32_t bucket, uint32_t stored, int64_t time_ns, uint64_t sequence,
                   uint8_t *key)
{
    uint8_t *end = key + place->key_len;

    key = put_prefix(place, bucket, stored, key);
    pxi_be_time(key, time_ns);
    if (key + 8 < end)
        pxi_be64(key + 8, sequence);
}

void pxi_place_key(const struct pxi_place *place, uint32_t stored, int64_t time_ns, uint64_t sequence, uint8_t *key)
{
    key_in(place, bucket_of(time_ns, place->days), stored, time_ns, sequence, key);
}

void pxi_place_bucket(const struct pxi_place *place, uint32_t bucket, uint8_t *key)
{
    key_in(place, bucket, 0, INT64_MIN, 0, key);
}

/* ---- rows ---- */

struct where {
    uint32_t bucket, stored;
};

/* The row that the scan stands on. False: none of this place. */
static bool look(const struct pxi_rows *rows, struct where *wherep)
{
    size_t len;

    if (!rocksdb_iter_valid(rows->scan))
        return false;
    const uint8_t *key = (const uint8_t *)rocksdb_iter_key(rows->scan, &len);
    if (len != rows->place.key_len || (rows->place.level >= 0 && *key++ != rows->place.level))
        return false;
    *wherep = (struct where){(uint32_t)key[0] << 8 | key[1], pxi_from_be32(key + 2)};
    return true;
}

static void jump(struct pxi_rows *rows, uint32_t bucket, int64_t time_ns, uint64_t sequence, bool backward)
{
    uint8_t key[PXI_TICK_KEY];

    key_in(&rows->place, bucket, rows->stored, time_ns, sequence, key);
    if (backward)
        rocksdb_iter_seek_for_prev(rows->scan, (char *)key, rows->place.key_len);
    else
        rocksdb_iter_seek(rows->scan, (char *)key, rows->place.key_len);
}

/* From bucket to bucket, over those in which nobody has rows, until it stands on a row of the asset. */
static const uint8_t *settle(struct pxi_rows *rows, uint32_t bucket, bool backward)
{
    struct where where;
    size_t len;

    while (look(rows, &where)) {
        if (where.stored == rows->stored)
            return (const uint8_t *)rocksdb_iter_key(rows->scan, &len);
        bool beyond = backward ? where.stored < rows->stored : where.stored > rows->stored;
        bool moved = where.bucket != bucket;

        bucket = where.bucket;
        if (!moved || beyond) { /* the asset has nothing in this bucket */
            if (backward ? bucket == 0 : bucket == UINT16_MAX)
                return NULL;
            bucket = backward ? bucket - 1 : bucket + 1;
        }
        jump(rows, bucket, backward ? INT64_MAX : INT64_MIN, backward ? UINT64_MAX : 0, backward);
    }
    return NULL;
}

const uint8_t *pxi_rows_seek(struct pxi_rows *rows, int64_t time_ns, uint64_t sequence, enum pxi_seek how)
{
    uint32_t bucket = bucket_of(time_ns, rows->place.days);
    struct where where;
    size_t len;

    if (how != PXI_SEEK_FROM)
        jump(rows, bucket, time_ns, sequence, true);
    if (how == PXI_SEEK_UP_TO)
        return settle(rows, bucket, true);
    if (how == PXI_SEEK_COVERING && look(rows, &where) && where.bucket == bucket && where.stored == rows->stored)
        return (const uint8_t *)rocksdb_iter_key(rows->scan, &len);
    jump(rows, bucket, time_ns, sequence, false);
    return settle(rows, bucket, false);
}

const uint8_t *pxi_rows_step(struct pxi_rows *rows, bool backward)
{
    struct where where;

    if (!look(rows, &where))
        return NULL;
    if (backward)
        rocksdb_iter_prev(rows->scan);
    else
        rocksdb_iter_next(rows->scan);
    return settle(rows, where.bucket, backward);
}

int64_t pxi_rows_time(const struct pxi_rows *rows, const uint8_t *key)
{
    return pxi_from_be_time(key + (rows->place.level >= 0) + 6);
}
