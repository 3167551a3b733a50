/* The codec of history's blocks on one core: trades a second in and out, and bytes a trade. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/block.h"
#include "store/candles.h"
#include "tests/recorded_trades.h"

#define TRADES (PX_BLOCK_TRADES * 256)

static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static uint8_t bytes[TRADES / PX_BLOCK_TRADES + 1][PX_BLOCK_BYTES_MAX];

static void measure(const char *name, const struct px_trade *trades, unsigned n, unsigned rounds)
{
    static struct px_trade back[PX_BLOCK_TRADES];
    size_t sizes[TRADES / PX_BLOCK_TRADES + 1], total = 0;
    unsigned blocks = 0, count;

    double start = now();
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned at = blocks = 0; at < n; at += PX_BLOCK_TRADES, blocks++)
            sizes[blocks] = px_block_encode(trades + at, PX_MIN(n - at, PX_BLOCK_TRADES), bytes[blocks]);
    double encoded = now();
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < blocks; i++)
            px_block_decode(bytes[i], sizes[i], back, &count);
    double decoded = now();
    for (unsigned i = 0; i < blocks; i++)
        total += sizes[i];
    printf("%-34s %7.2f %9.1f %9.1f\n", name, (double)total / n, n / 1e6 * rounds / (encoded - start),
           n / 1e6 * rounds / (decoded - encoded));
}

/* One asset of a grid of one tick a second; a third of the prices stay. */
static void grid(struct px_trade *trades, bool full)
{
    int64_t price = 5000000;

    for (unsigned i = 0; i < TRADES; i++) {
        price += random_below(100) < 35 ? 0 : (int64_t)random_below(5) - 2;
        trades[i] =
            (struct px_trade){.time_ns = (int64_t)i * PX_NS_PER_S, .price = price, .sequence = i * UINT64_C(10000)};
        trades[i].recv_ns = trades[i].time_ns + (full ? (int64_t)random_below(PX_NS_PER_MS) : 0);
        trades[i].size = full ? (int64_t)random_below(1000) * 100000 : 0;
        trades[i].sseq = trades[i].trade_id = full ? i : 0;
        trades[i].sequence += full ? random_below(2000) : 0;
    }
}

int main(int argc, char **argv)
{
    struct px_trade *trades = calloc(TRADES, sizeof *trades);
    unsigned rounds = argc > 1 && strcmp(argv[1], "--quick") == 0 ? 2 : 20, n;

    printf("%-34s %7s %9s %9s\n", "", "bytes", "M/s in", "M/s out");
    grid(trades, false);
    measure("grid 1/s, time and price", trades, TRADES, rounds);
    grid(trades, true);
    measure("grid 1/s, all columns random", trades, TRADES, rounds);
    for (unsigned i = 0; i < 2; i++) {
        n = recorded_trades(i ? "ethusdt" : "btcusdt", trades, TRADES);
        if (n > 0)
            measure(i ? "binance eth-usdt, all columns" : "binance btc-usdt, all columns", trades, n, rounds * 15);
        for (unsigned k = 0; k < n; k++) {
            trades[k].recv_ns = trades[k].time_ns;
            trades[k].size = 0;
            trades[k].trade_id = trades[k].sseq;
            trades[k].sequence = k;
        }
        if (n > 0)
            measure(i ? "binance eth-usdt, time and price" : "binance btc-usdt, time and price", trades, n,
                    rounds * 15);
    }
    free(trades);
    return 0;
}
