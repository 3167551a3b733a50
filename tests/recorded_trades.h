/* Trades of the recording of Binance (spot, 2024-08-08) as history keeps them; for tests and benchmarks. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/decimal.h"
#include "store/candle.h"

/* The value of `"key":` in a line, up to the next comma or quote. */
static inline struct px_text recorded_field(const char *line, const char *key)
{
    const char *at = strstr(line, key);

    if (!at)
        return PX_TEXT("0");
    at += strlen(key);
    at += *at == '"';
    return (struct px_text){at, strcspn(at, ",\"}")};
}

static inline int64_t recorded_number(const char *line, const char *key, unsigned scale)
{
    int64_t mantissa = 0;

    px_decimal_parse(recorded_field(line, key), scale, PX_ROUND_EXACT, &mantissa);
    return mantissa;
}

/* Reads at most `max` trades of "btcusdt" or "ethusdt"; 0 if the recording is not there. */
static inline unsigned recorded_trades(const char *symbol, struct px_trade *trades, unsigned max)
{
    const char *folder = getenv("PX_RECORDINGS");
    char command[512], *line = NULL;
    size_t room = 0;
    unsigned count = 0;

    snprintf(command, sizeof command, "gzip -dc '%s/hftbacktest-binance/spot/%s_20240808.gz' 2>/dev/null",
             folder ? folder : "../shared/data", symbol);
    FILE *lines = popen(command, "r");
    while (lines && count < max && getline(&line, &room, lines) > 0) {
        if (!strstr(line, "@trade\""))
            continue;
        trades[count] = (struct px_trade){.time_ns = recorded_number(line, "\"T\":", 0) * PX_NS_PER_MS,
                                          .recv_ns = strtoll(line, NULL, 10),
                                          .sequence = UINT64_C(1) << 48 | count,
                                          .price = recorded_number(line, "\"p\":", 2),
                                          .size = recorded_number(line, "\"q\":", 8),
                                          .trade_id = (uint64_t)recorded_number(line, "\"t\":", 0),
                                          .sseq = count + 1};
        count++;
    }
    free(line);
    if (lines)
        pclose(lines);
    return count;
}
