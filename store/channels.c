/* Channels: one row each, in the database of the alerts. */
#include "base/clock.h"
#include "base/error.h"
#include "store/alerts_private.h"
#include "store/hist_private.h"

static int read_row(const void *value, size_t len, struct px_channel *channelp)
{
    return px_channel_decode(value, len, channelp);
}

int pxi_channel_of(const struct px_alerts *alerts, const char *owner, struct px_alert_id id, struct px_channel *channelp)
{
    uint8_t key[PXI_ALERT_KEY], value[PX_CHANNEL_ENCODED_MAX];
    size_t len;

    pxi_alert_key(key, owner, id);
    int error = pxi_get(&alerts->db, PXI_ALERTS_CHANNELS, key, sizeof key, value, sizeof value, &len);
    return error ? error : read_row(value, len, channelp);
}

int px_channels_get(const struct px_alerts *alerts, const char *owner, struct px_alert_id id, struct px_channel *channelp)
{
    char holder[PX_OWNER_SIZE] = "";
    uint8_t key[16];
    size_t len;

    pxi_id_key(key, id);
    int error = pxi_get(&alerts->db, PXI_ALERTS_OWNERS, key, 16, holder, sizeof holder - 1, &len);
    if (error)
        return error;
    if (owner && owner[0] && strcmp(owner, holder) != 0)
        return PX_E_NOT_FOUND;
    return pxi_channel_of(alerts, holder, id, channelp);
}

void pxi_channel_put(struct px_alerts *alerts, const struct px_channel *channel)
{
    uint8_t key[PXI_ALERT_KEY], value[PX_CHANNEL_ENCODED_MAX];

    pxi_alert_key(key, channel->owner, channel->id);
    pxi_put(&alerts->db, PXI_ALERTS_CHANNELS, key, sizeof key, value, px_channel_encode(channel, value));
}

/* Few an owner may have, so counting is a short walk. */
static int count_of(const struct px_alerts *alerts, const char *owner, unsigned *countp)
{
    uint8_t from[PXI_ALERT_KEY];
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_CHANNELS);

    *countp = 0;
    pxi_alert_key(from, owner, (struct px_alert_id){0, 0});
    rocksdb_iter_seek(scan, (char *)from, sizeof from);
    for (; pxi_scan_key(scan, from, PX_OWNER_SIZE, PXI_ALERT_KEY); rocksdb_iter_next(scan))
        ++*countp;
    return pxi_scan_end(scan);
}

static int create(struct px_alerts *alerts, const struct px_channel *channel, struct px_channel *storedp)
{
    uint8_t key[16];
    unsigned count;
    int error = px_channels_get(alerts, NULL, channel->id, storedp);

    if (error == 0)
        return strcmp(storedp->owner, channel->owner) == 0 ? PX_E_EXISTS : PX_E_FORBIDDEN;
    if (error != PX_E_NOT_FOUND)
        return error;
    error = count_of(alerts, channel->owner, &count);
    if (error)
        return error;
    if (count >= PX_CHANNELS_PER_OWNER)
        return PX_E_LIMIT;
    *storedp = *channel;
    storedp->version = 1;
    storedp->created_ns = px_wall_now();
    pxi_id_key(key, channel->id);
    pxi_put(&alerts->db, PXI_ALERTS_OWNERS, key, sizeof key, channel->owner, strlen(channel->owner));
    return 0;
}

static int replace(struct px_alerts *alerts, const struct px_channel *channel, struct px_channel *storedp)
{
    struct px_channel before;
    int error = px_channels_get(alerts, channel->owner, channel->id, &before);

    if (error)
        return error;
    if (before.version != channel->version)
        return PX_E_PRECONDITION;
    *storedp = *channel;
    storedp->version++;
    storedp->created_ns = before.created_ns;
    return 0;
}

int px_channels_put(struct px_alerts *alerts, const struct px_channel *channel, struct px_channel *storedp)
{
    if (px_channel_check(channel))
        return PX_E_INVALID;
    if (!pxi_may_touch(alerts, channel->id))
        return PX_E_AGAIN;
    int error = channel->version == 0 ? create(alerts, channel, storedp) : replace(alerts, channel, storedp);
    if (error)
        return error;
    pxi_touch(alerts, channel->id);
    pxi_channel_put(alerts, storedp);
    return 0;
}

int px_channels_delete(struct px_alerts *alerts, const char *owner, struct px_alert_id id, uint32_t version)
{
    struct px_channel channel;
    uint8_t key[PXI_ALERT_KEY];

    if (!pxi_may_touch(alerts, id))
        return PX_E_AGAIN;
    int error = px_channels_get(alerts, owner, id, &channel);
    if (error)
        return error;
    if (version != 0 && version != channel.version)
        return PX_E_PRECONDITION;
    pxi_touch(alerts, id);
    pxi_alert_key(key, channel.owner, id);
    pxi_delete(&alerts->db, PXI_ALERTS_CHANNELS, key, sizeof key);
    pxi_delete(&alerts->db, PXI_ALERTS_OWNERS, key + PX_OWNER_SIZE, 16);
    return 0;
}

int px_channels_list(const struct px_alerts *alerts, const char *owner, const struct px_alert_cursor *after, uint32_t limit,
                     struct px_channel *list, uint32_t *countp, bool *morep, struct px_alert_cursor *nextp)
{
    size_t prefix_len = owner && owner[0] ? PX_OWNER_SIZE : 0, len;
    rocksdb_iterator_t *scan = pxi_scan(&alerts->db, PXI_ALERTS_CHANNELS);
    uint8_t from[PXI_ALERT_KEY];
    const uint8_t *key;
    int error = 0;

    *countp = 0;
    *morep = false;
    *nextp = *after;
    pxi_alert_key(from, prefix_len ? owner : after->owner, after->id);
    rocksdb_iter_seek(scan, (char *)from, sizeof from);
    for (; !error && (key = pxi_scan_key(scan, from, prefix_len, PXI_ALERT_KEY)) != NULL; rocksdb_iter_next(scan)) {
        if ((after->id.hi | after->id.lo) != 0 && memcmp(key, from, sizeof from) == 0)
            continue; /* the last one of the page before */
        *morep = *countp == limit;
        if (*morep)
            break;
        const char *value = rocksdb_iter_value(scan, &len);
        error = read_row(value, len, &list[*countp]);
        memcpy(nextp->owner, list[*countp].owner, sizeof nextp->owner);
        nextp->id = list[*countp].id;
        *countp += error == 0;
    }
    int scan_error = pxi_scan_end(scan);
    return error ? error : scan_error;
}
