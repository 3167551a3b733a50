/* Blocks of trades and rows of candles: what goes in comes out, and damage is seen. */
#include <check.h>

#include "base/error.h"
#include "store/block.h"
#include "store/candles.h"
#include "tests/recorded_trades.h"

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t random_below(uint64_t n)
{
    return random_word() % n;
}

static struct px_trade trades[PX_BLOCK_TRADES], back[PX_BLOCK_TRADES];
static uint8_t bytes[PX_BLOCK_BYTES_MAX];

static size_t round_trip(const struct px_trade *from, unsigned n)
{
    size_t size = px_block_encode(from, n, bytes);
    unsigned count;

    ck_assert_uint_le(size, sizeof bytes);
    ck_assert_int_eq(px_block_decode(bytes, size, back, &count), 0);
    ck_assert_uint_eq(count, n);
    for (unsigned i = 0; i < n; i++)
        ck_assert_mem_eq(&from[i], &back[i], sizeof back[i]);
    return size;
}

/* A walk whose steps are as wild as `bits` says. */
static void walk(unsigned n, unsigned bits)
{
    struct px_trade trade = {.time_ns = INT64_C(1723118400) * PX_NS_PER_S, .price = 6000000, .sequence = 1};

    for (unsigned i = 0; i < n; i++) {
        trade.time_ns = (int64_t)((uint64_t)trade.time_ns + (random_word() >> (64 - bits)) / 4 * (i % 3));
        trade.recv_ns = (int64_t)((uint64_t)trade.time_ns + (random_word() >> (64 - bits)));
        trade.price = (int64_t)((uint64_t)trade.price + (random_word() >> (64 - bits)) - (UINT64_C(1) << (bits - 1)));
        trade.size = (int64_t)(random_word() >> (64 - bits));
        trade.sequence += 1 + random_below(4);
        trade.trade_id = bits > 40 ? random_word() : trade.trade_id + random_below(3);
        trade.sseq++;
        trade.venue = (px_venue_id)(random_below(20) ? trade.venue : random_below(65536));
        trade.flags = (uint16_t)(random_below(9) ? trade.flags : random_below(4));
        trades[i] = trade;
    }
}

START_TEST(any_trades_come_back)
{
    for (unsigned bits = 1; bits <= 64; bits++) {
        walk(PX_BLOCK_TRADES, bits);
        round_trip(trades, PX_BLOCK_TRADES);
        round_trip(trades, 1 + (unsigned)random_below(PX_BLOCK_TRADES));
    }
    for (unsigned n = 1; n < 200; n++) {
        walk(n, 20);
        round_trip(trades, n);
    }
}
END_TEST

START_TEST(the_edges_of_the_numbers_come_back)
{
    static const int64_t edges[] = {INT64_MIN, INT64_MAX, 0, -1, 1, INT64_MIN + 1};

    for (unsigned i = 0; i < PX_BLOCK_TRADES; i++) {
        int64_t a = edges[random_below(6)], b = edges[random_below(6)];

        trades[i] = (struct px_trade){a, b, (uint64_t)a, b, a, (uint64_t)b, (uint64_t)a, 65535, 65535, 0};
    }
    round_trip(trades, PX_BLOCK_TRADES);
    round_trip(trades, 2);
    round_trip(trades, 3);
}
END_TEST

START_TEST(a_quiet_grid_is_almost_nothing)
{
    for (unsigned i = 0; i < PX_BLOCK_TRADES; i++)
        trades[i] =
            (struct px_trade){.time_ns = i * PX_NS_PER_S, .recv_ns = i * PX_NS_PER_S, .price = 5, .sequence = i, .sseq = 9 + i};
    ck_assert_uint_lt(round_trip(trades, PX_BLOCK_TRADES), 60);
}
END_TEST

/* What was written when sseq was a column like any other. */
START_TEST(a_block_of_version_1_is_read)
{
    static const uint8_t old[] = {
        0x01, 0x07, 0x03, 0x00, 0x25, 0x80, 0xd3, 0xaa, 0x94, 0xc6, 0xc3, 0xdf, 0xe9, 0x2f, 0x03, 0x32,
        0x05, 0xc0, 0xd0, 0xe8, 0x05, 0x03, 0x2d, 0x04, 0xc8, 0x01, 0x02, 0x24, 0x06, 0xd0, 0x8f, 0x80,
        0x80, 0x80, 0x80, 0x80, 0x03, 0x4a, 0x08, 0x94, 0x04, 0xe8, 0x07, 0x02, 0x24, 0x02, 0x9a, 0x01,
        0x02, 0x02, 0x0a, 0x04, 0x02, 0x01, 0x00, 0x01, 0x01, 0x04, 0x52, 0xe7, 0x7b, 0x02,
    };
    unsigned count;

    ck_assert_int_eq(px_block_decode(old, sizeof old, back, &count), 0);
    ck_assert_uint_eq(count, 3);
    for (unsigned i = 0; i < count; i++) {
        int64_t time_ns = INT64_C(1723118400123000000) + i * i * PX_NS_PER_MS;
        struct px_trade trade = {.time_ns = time_ns,
                                 .recv_ns = time_ns + 500 + i,
                                 .price = 6100000 - i * 3,
                                 .size = 100 + i,
                                 .sequence = UINT64_C(3) << 48 | (1000 + 37 * i * i),
                                 .trade_id = 77 + i,
                                 .sseq = 5 + 2 * i,
                                 .venue = 1,
                                 .flags = i == 2 ? 4 : 0};
        ck_assert_mem_eq(&trade, &back[i], sizeof trade);
    }
}
END_TEST

START_TEST(every_flipped_bit_is_seen)
{
    unsigned count;

    walk(40, 12);
    size_t size = round_trip(trades, 40);
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_eq(px_block_decode(bytes, size, back, &count), PX_E_FORMAT);
        ck_assert_uint_eq(count, 0);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < size; cut++)
        ck_assert_int_eq(px_block_decode(bytes, cut, back, &count), PX_E_FORMAT);
}
END_TEST

START_TEST(recorded_trades_come_back)
{
    static const char *const symbols[] = {"btcusdt", "ethusdt"};
    static struct px_trade recorded[10000];
    size_t total = 0;
    unsigned n = 0;

    for (unsigned symbol = 0; symbol < 2; symbol++) {
        n = recorded_trades(symbols[symbol], recorded, PX_COUNT_OF(recorded));
        if (n == 0)
            return; /* the integration test of the recording says so */
        ck_assert_uint_eq(n, symbol == 0 ? 9757 : 6106);
        total = 0;
        for (unsigned at = 0; at < n; at += PX_BLOCK_TRADES)
            total += round_trip(recorded + at, PX_MIN(n - at, PX_BLOCK_TRADES));
    }
    ck_assert_uint_lt(total, n * 14);
}
END_TEST

START_TEST(any_candles_come_back)
{
    static struct px_candle candles[PX_CANDLES_ROW], again[PX_CANDLES_ROW];
    static uint8_t row[PX_CANDLES_BYTES_MAX];
    unsigned count;

    for (unsigned bits = 1; bits <= 64; bits++) {
        for (unsigned i = 0; i < PX_CANDLES_ROW; i++) {
#define WILD (int64_t)(random_word() >> (64 - bits))
            candles[i] = (struct px_candle){(int64_t)i * PX_MINUTE_NS,
                                            WILD,
                                            WILD,
                                            WILD,
                                            WILD,
                                            WILD,
                                            (uint64_t)WILD,
                                            WILD,
                                            WILD,
                                            true,
                                            (__int128)WILD * WILD,
                                            -(__int128)WILD * WILD};
        }
        size_t size = px_candles_encode(candles, PX_CANDLES_ROW, PX_MINUTE_NS, row);
        ck_assert_int_eq(px_candles_decode(row, size, PX_MINUTE_NS, again, &count), 0);
        ck_assert_uint_eq(count, PX_CANDLES_ROW);
        for (unsigned i = 0; i < count; i++) {
            ck_assert(candles[i].start_ns == again[i].start_ns && candles[i].open == again[i].open);
            ck_assert(candles[i].high == again[i].high && candles[i].low == again[i].low);
            ck_assert(candles[i].close == again[i].close && candles[i].volume == again[i].volume);
            ck_assert(candles[i].count == again[i].count && candles[i].duration_ns == again[i].duration_ns);
            ck_assert(candles[i].last_ns == again[i].last_ns && again[i].final);
            ck_assert(candles[i].area == again[i].area && candles[i].value == again[i].value);
        }
        row[random_below(size)] ^= 4;
        ck_assert_int_eq(px_candles_decode(row, size, PX_MINUTE_NS, again, &count), PX_E_FORMAT);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("block");
    TCase *tcase = tcase_create("block");
    SRunner *runner = srunner_create(suite);

    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, any_trades_come_back);
    tcase_add_test(tcase, the_edges_of_the_numbers_come_back);
    tcase_add_test(tcase, a_quiet_grid_is_almost_nothing);
    tcase_add_test(tcase, a_block_of_version_1_is_read);
    tcase_add_test(tcase, every_flipped_bit_is_seen);
    tcase_add_test(tcase, recorded_trades_come_back);
    tcase_add_test(tcase, any_candles_come_back);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
