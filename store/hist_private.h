/* Inside store/hist*.c and store/codec.c: keys, values and the open database. */
#pragma once

#include "store/db_private.h"
#include "store/hist.h"

enum { PXI_HIST_DEFAULT, PXI_HIST_TICKS, PXI_HIST_CANDLES, PXI_HIST_META, PXI_HIST_FAMILIES };

struct px_hist {
    struct pxi_db db;
    const struct px_names *names;
    uint32_t *stored; /* of the configuration's assets */
    uint32_t assets;
    uint16_t venue_stored[PX_VENUES_MAX];    /* of the configuration's venues */
    uint16_t venue_today[PX_VENUES_MAX * 8]; /* of stored venues; PX_VENUE_NONE: no longer configured */
};

/*   0            4          12          20
 *   | asset BE   | time BE  | sequence  |     time with its sign bit turned, so that bytes sort as numbers do */
#define PXI_TICK_KEY 20
/*   0            4            8          16
 *   | asset BE   | seconds BE | start BE |  */
#define PXI_CANDLE_KEY   16
#define PXI_TRADE_MAX    96
#define PXI_CANDLE_BYTES 98

void pxi_be32(uint8_t *to, uint32_t value);
void pxi_be64(uint8_t *to, uint64_t value);
uint32_t pxi_from_be32(const uint8_t *at);
uint64_t pxi_from_be64(const uint8_t *at);
void pxi_be_time(uint8_t *to, int64_t time_ns);
int64_t pxi_from_be_time(const uint8_t *at);

void pxi_tick_key(uint8_t key[PXI_TICK_KEY], uint32_t stored, int64_t time_ns, uint64_t sequence);
void pxi_candle_key(uint8_t key[PXI_CANDLE_KEY], uint32_t stored, int64_t start_ns);

/* One row per trade; blocks of many would be a change of these two and of the scans in hist_read.c. */
size_t pxi_trade_encode(const struct px_trade *trade, uint8_t bytes[PXI_TRADE_MAX]);
int pxi_trade_decode(const uint8_t *key, const void *bytes, size_t n, struct px_trade *tradep);
size_t pxi_candle_encode(const struct px_candle *candle, uint8_t bytes[PXI_CANDLE_BYTES]);
int pxi_candle_decode(const uint8_t *key, const void *bytes, size_t n, struct px_candle *candlep);

/* The row that an iterator stands on, if it is one of this asset. PX_E_EMPTY past the asset's rows. */
int pxi_trade_at(const struct px_hist *hist, const rocksdb_iterator_t *scan, uint32_t stored, struct px_trade *tradep);
int pxi_candle_at(const rocksdb_iterator_t *scan, uint32_t stored, struct px_candle *candlep);
