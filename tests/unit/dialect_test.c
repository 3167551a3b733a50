/* Dialects: hand-written frames, one for each thing a venue can say, and the messages that subscribe. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "feed/dialect.h"

#define SEEN_MAX 64

struct seen {
    int count;
    struct px_feed_event events[SEEN_MAX];
};

static struct seen seen;
static struct px_dialect_parser *parser;

static void collect(void *context, const struct px_feed_event *event)
{
    struct seen *to = context;

    if (to->count < SEEN_MAX)
        to->events[to->count] = *event;
    to->count++;
}

static const struct px_dialect *dialect_of(const char *name)
{
    const struct px_dialect *dialect;

    ck_assert_int_eq(px_dialect_find(name, &dialect), 0);
    return dialect;
}

static int feed_bytes(const char *name, struct px_text frame)
{
    int error;

    px_dialect_parser_destroy(&parser);
    ck_assert_int_eq(px_dialect_parser_create(dialect_of(name), &parser), 0);
    seen.count = 0;
    error = px_dialect_parse(parser, frame, collect, &seen);
    return error;
}

static int feed(const char *name, const char *frame)
{
    return feed_bytes(name, px_text_of(frame));
}

static void expect_text(struct px_text text, const char *expected)
{
    ck_assert_msg(px_text_is(text, expected), "'%.*s' is not '%s'", (int)text.len, text.at, expected);
}

static void expect_one(const char *name, const char *frame, enum px_feed_kind kind)
{
    int error = feed(name, frame);

    ck_assert_msg(error == 0, "%s: %d for %s", name, error, frame);
    ck_assert_int_eq(seen.count, 1);
    ck_assert_msg(seen.events[0].kind == kind, "%s: kind %d for %s", name, (int)seen.events[0].kind, frame);
}

static void expect_format(const char *name, const char *frame)
{
    int error = feed(name, frame);

    ck_assert_msg(error == PX_E_FORMAT, "%s: %d for %s", name, error, frame);
    ck_assert_int_eq(seen.count, 0);
}

START_TEST(test_binance_trade)
{
    expect_one("binance",
               "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1723161255343,\"s\":\"BTCUSDT\",\"t\":"
               "3735683259,\"p\":\"61837.63000000\",\"q\":\"0.02000000\",\"T\":1723161255342,\"m\":true,\"M\":true}}",
               PX_FEED_TRADE);
    expect_text(seen.events[0].symbol, "BTCUSDT");
    expect_text(seen.events[0].price, "61837.63000000");
    expect_text(seen.events[0].size, "0.02000000");
    ck_assert_int_eq(seen.events[0].venue_ns, INT64_C(1723161255342000000));
    ck_assert_uint_eq(seen.events[0].id, 3735683259u);
    ck_assert_int_eq(seen.events[0].side, PX_SIDE_SELL);
    expect_one("binance",
               "{\"e\":\"aggTrade\",\"E\":1,\"s\":\"A\",\"a\":5,\"p\":\"1\",\"q\":\"2\",\"f\":8,\"l\":9,\"T\":7,\"m\":"
               "false}",
               PX_FEED_TRADE);
    ck_assert_uint_eq(seen.events[0].id, 5);
    ck_assert_int_eq(seen.events[0].side, PX_SIDE_BUY);
    expect_one("binance", "{\"e\":\"trade\",\"s\":\"A\",\"t\":5,\"p\":\"1\",\"q\":\"2\",\"T\":1723161255342123}",
               PX_FEED_TRADE);
    ck_assert_int_eq(seen.events[0].venue_ns, INT64_C(1723161255342123000)); /* ?timeUnit=MICROSECOND */
}
END_TEST

START_TEST(test_binance_quote)
{
    expect_one("binance",
               "{\"stream\":\"x@bookTicker\",\"data\":{\"u\":1,\"s\":\"X\",\"b\":\"1.5\",\"B\":\"3\",\"a\":\"1.6\","
               "\"A\":\"4\"}}",
               PX_FEED_QUOTE);
    expect_text(seen.events[0].bid, "1.5");
    expect_text(seen.events[0].bid_size, "3");
    expect_text(seen.events[0].ask, "1.6");
    expect_text(seen.events[0].ask_size, "4");
    ck_assert_int_eq(seen.events[0].venue_ns, 0);
    expect_one("binance",
               "{\"e\":\"bookTicker\",\"u\":1,\"s\":\"X\",\"b\":\"1\",\"B\":\"3\",\"a\":\"2\",\"A\":\"4\",\"T\":12,"
               "\"E\":13}",
               PX_FEED_QUOTE);
    ck_assert_int_eq(seen.events[0].venue_ns, 12000000);
}
END_TEST

START_TEST(test_binance_others)
{
    expect_one("binance", "{\"result\":null,\"id\":1}", PX_FEED_SUBSCRIBED);
    expect_one("binance", "{\"error\":{\"code\":2,\"msg\":\"Invalid request\"},\"id\":1}", PX_FEED_REFUSED);
    expect_text(seen.events[0].message, "Invalid request");
    expect_one("binance", "{\"code\":2,\"msg\":\"Invalid request\"}", PX_FEED_REFUSED);
    expect_one("binance", "{\"e\":\"24hrTicker\",\"s\":\"X\"}", PX_FEED_IGNORED);
    expect_one("binance", "{\"e\":\"forceOrder\",\"o\":{}}", PX_FEED_IGNORED);
    expect_one("binance", "{\"stream\":\"!miniTicker@arr\",\"data\":[{\"e\":\"24hrMiniTicker\"}]}", PX_FEED_IGNORED);
    expect_format("binance", "{\"stream\":\"x@trade\",\"data\":[{\"e\":\"trade\"}]}");
    expect_format("binance", "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":[]}");
    expect_format("binance", "{\"e\":\"trade\",\"s\":\"X\",\"t\":1,\"p\":\"abc\",\"q\":\"1\",\"T\":1}");
    expect_format("binance", "{\"e\":\"trade\",\"s\":\"X\",\"t\":1,\"p\":\"1\",\"q\":\"1\",\"T\":\"soon\"}");
    expect_format("binance", "{\"e\":\"unheard\",\"s\":\"X\"}");
}
END_TEST

START_TEST(test_coinbase)
{
    expect_one("coinbase",
               "{\"type\":\"match\",\"trade_id\":280232,\"side\":\"sell\",\"size\":\"985\",\"price\":\"0.00001305\","
               "\"product_id\":\"SKL-BTC\",\"sequence\":1,\"time\":\"2021-04-17T16:43:37.089723Z\"}",
               PX_FEED_TRADE);
    expect_text(seen.events[0].symbol, "SKL-BTC");
    expect_text(seen.events[0].price, "0.00001305");
    ck_assert_int_eq(seen.events[0].venue_ns, INT64_C(1618677817089723000));
    ck_assert_uint_eq(seen.events[0].id, 280232);
    ck_assert_int_eq(seen.events[0].side, PX_SIDE_BUY);
    ck_assert(!seen.events[0].replayed);
    expect_one("coinbase",
               "{\"type\":\"ticker\",\"product_id\":\"A-B\",\"price\":\"3\",\"best_bid\":\"2\",\"best_ask\":\"4\","
               "\"time\":\"2021-04-17T16:43:37Z\",\"trade_id\":7}",
               PX_FEED_QUOTE);
    ck_assert_uint_eq(seen.events[0].price.len, 0);
    expect_one("coinbase", "{\"type\":\"l2update\",\"product_id\":\"A-B\",\"changes\":[]}", PX_FEED_IGNORED);
    expect_one("coinbase", "{\"type\":\"heartbeat\",\"sequence\":1,\"product_id\":\"A-B\"}", PX_FEED_STATUS);
    expect_one("coinbase", "{\"type\":\"error\",\"message\":\"Failed\",\"reason\":\"X is not valid\"}",
               PX_FEED_REFUSED);
    expect_text(seen.events[0].message, "X is not valid");
    expect_format("coinbase", "{\"type\":\"heartbeat\",\"timestamp\":1}");
    expect_format("coinbase", "{\"type\":\"l2_updates\",\"symbol\":\"BTCGBP\"}");
}
END_TEST

START_TEST(test_kraken_v1)
{
    ck_assert_int_eq(feed("kraken",
                          "[993,[[\"354.1\",\"0.8\",\"1618678142.557535\",\"s\",\"l\",\"\"],"
                          "[\"354.2\",\"0.9\",\"1618678142.557536\",\"b\",\"m\",\"\"]],\"trade\",\"XMR/USD\"]"),
                     0);
    ck_assert_int_eq(seen.count, 2);
    expect_text(seen.events[1].symbol, "XMR/USD");
    expect_text(seen.events[1].price, "354.2");
    ck_assert_int_eq(seen.events[0].venue_ns, INT64_C(1618678142557535000));
    ck_assert_int_eq(seen.events[0].side, PX_SIDE_SELL);
    ck_assert_int_eq(seen.events[1].side, PX_SIDE_BUY);
    expect_one("kraken", "[1,{\"a\":[\"13.2\",35,\"35.7\"],\"b\":[\"13.1\",185,\"185.1\"]},\"ticker\",\"A/B\"]",
               PX_FEED_QUOTE);
    expect_text(seen.events[0].ask_size, "35.7");
    expect_one("kraken", "[1,[\"13.1\",\"13.2\",\"1.5\",\"7\",\"8\"],\"spread\",\"A/B\"]", PX_FEED_QUOTE);
    expect_text(seen.events[0].bid, "13.1");
    expect_one("kraken", "[1,{\"a\":[]},{\"b\":[]},\"book-10\",\"A/B\"]", PX_FEED_IGNORED);
    expect_one("kraken", "{\"event\":\"heartbeat\"}", PX_FEED_STATUS);
    expect_one(
        "kraken",
        "{\"event\":\"subscriptionStatus\",\"errorMessage\":\"Currency pair not supported\",\"status\":\"error\"}",
        PX_FEED_REFUSED);
    expect_format("kraken", "[1,\"hb\"]");
    expect_format("kraken", "[1,[],\"trade\",\"A/B\"]");
    expect_format("kraken", "{\"event\":\"bts:subscription_succeeded\",\"channel\":\"x\",\"data\":{}}");
}
END_TEST

START_TEST(test_kraken_v2)
{
    expect_one("kraken",
               "{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\"MATIC/USD\",\"side\":\"sell\","
               "\"price\":0.5117,\"qty\":40.0,\"ord_type\":\"market\",\"trade_id\":4665906,\"timestamp\":"
               "\"2023-09-25T07:49:37.708706Z\"}]}",
               PX_FEED_TRADE);
    expect_text(seen.events[0].price, "0.5117");
    expect_text(seen.events[0].size, "40.0");
    ck_assert_uint_eq(seen.events[0].id, 4665906);
    expect_one("kraken",
               "{\"channel\":\"ticker\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"ALGO/USD\",\"bid\":0.10025,"
               "\"bid_qty\":740.0,\"ask\":0.10036,\"ask_qty\":1361.44813783,\"last\":0.10035}]}",
               PX_FEED_QUOTE);
    expect_text(seen.events[0].ask_size, "1361.44813783");
    expect_one("kraken", "{\"channel\":\"heartbeat\"}", PX_FEED_STATUS);
    expect_one("kraken", "{\"method\":\"subscribe\",\"result\":{\"channel\":\"trade\"},\"success\":true}",
               PX_FEED_SUBSCRIBED);
    expect_one("kraken", "{\"error\":\"Currency pair not supported X\",\"method\":\"subscribe\",\"success\":false}",
               PX_FEED_REFUSED);
    expect_format("kraken", "{\"channel\":\"live_trades_btcusd\",\"event\":\"trade\",\"data\":{}}");
}
END_TEST

START_TEST(test_not_json)
{
    static const char *const frames[] = {"",      " ",  "x",       "{",         "{}}",        "{}{}",         "[1,2",
                                         "null",  "{}", "{\"e\"}", "{\"e\":}",  "[]",         "[[]]",         "{[]}",
                                         "\"a\"", "1",  "]",       "{\"e\":1}", "{\"type\"}", "{\"type\":[]}"};
    for (size_t i = 0; i < PX_COUNT_OF(frames); i++) {
        expect_format("binance", frames[i]);
        expect_format("coinbase", frames[i]);
        expect_format("kraken", frames[i]);
    }
    ck_assert_int_eq(feed_bytes("binance", PX_TEXT("{\"result\":null,\"id\":1}\0x")), PX_E_FORMAT);
}
END_TEST

/* A text of 700 KB: `head`, as many levels as fit, `tail`. */
static struct px_text big_frame(const char *head, const char *tail)
{
    static char text[720 * 1024];
    size_t len = (size_t)snprintf(text, sizeof text, "%s[", head);

    while (len < 700 * 1024)
        len += (size_t)snprintf(text + len, sizeof text - len, "[\"0.000022900\",\"13355.87450757\"],");
    len += (size_t)snprintf(text + len, sizeof text - len, "[\"1\",\"2\"]]%s", tail);
    return (struct px_text){text, len};
}

static void expect_big(const char *name, const char *head, const char *tail, int expected)
{
    ck_assert_int_eq(feed_bytes(name, big_frame(head, tail)), expected);
    ck_assert_int_eq(seen.count, expected ? 0 : 1);
    if (!expected)
        ck_assert_int_eq(seen.events[0].kind, PX_FEED_IGNORED);
}

START_TEST(test_big_frames)
{
    expect_big("binance", "{\"stream\":\"x@depth\",\"data\":{\"e\":\"depthUpdate\",\"b\":", "}}", 0);
    expect_big("binance", "{\"e\":\"depthUpdate\",\"b\":", "}", 0);
    expect_big("binance", "{\"lastUpdateId\":1,\"bids\":", "}", 0);
    expect_big("binance", "{\"e\":\"trade\",\"b\":", "}", PX_E_TOO_LARGE);
    expect_big("binance", "{\"table\":\"orderBookL2\",\"data\":", "}", PX_E_FORMAT);
    expect_big("coinbase", "{\"type\":\"snapshot\",\"product_id\":\"A-B\",\"asks\":", "}", 0);
    expect_big("coinbase", "{\"type\":\"match\",\"x\":", "}", PX_E_TOO_LARGE);
    expect_big("coinbase", "{\"table\":\"orderBookL2\",\"data\":", "}", PX_E_FORMAT);
    expect_big("kraken", "[1,{\"as\":", "},\"book-1000\",\"XBT/USD\"]", 0);
    expect_big("kraken", "[1,", ",\"trade\",\"XBT/USD\"]", PX_E_TOO_LARGE);
    expect_big("kraken", "{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":", "}", 0);
    expect_big("kraken", "{\"table\":\"orderBookL2\",\"data\":", "}", PX_E_FORMAT);
    expect_big("kraken", "[17082,", "]", PX_E_FORMAT);
}
END_TEST

static char message[PX_DIALECT_MESSAGE_SIZE];

static void expect_message(const char *name, const struct px_dialect_request *request, uint32_t number,
                           const char *expected)
{
    size_t len = 0;

    ck_assert_int_eq(px_dialect_subscribe(dialect_of(name), request, number, message, sizeof message, &len), 0);
    expect_text((struct px_text){message, len}, expected);
}

static void expect_no_message(const char *name, const struct px_dialect_request *request, uint32_t number)
{
    size_t len = 0;

    ck_assert_int_eq(px_dialect_subscribe(dialect_of(name), request, number, message, sizeof message, &len),
                     PX_E_EMPTY);
}

static void expect_path(const char *name, struct px_dialect_request request, const char *configured,
                        const char *expected)
{
    char path[PX_DIALECT_PATH_SIZE];

    request.path = px_text_of(configured);
    ck_assert_int_eq(px_dialect_path(dialect_of(name), &request, path, sizeof path), 0);
    ck_assert_str_eq(path, expected);
}

START_TEST(test_subscribe)
{
    struct px_text symbols[] = {PX_TEXT("BTCUSDT"), PX_TEXT("ETHUSDT")};
    struct px_text pairs[] = {PX_TEXT("XBT/USD"), PX_TEXT("ETH/USD")};
    struct px_dialect_request request = {PX_TEXT(""), symbols, 2}, kraken = {PX_TEXT("/"), pairs, 2};

    expect_path("binance", request, "/",
                "/stream?streams=btcusdt@trade/btcusdt@bookTicker/ethusdt@trade/ethusdt@bookTicker");
    expect_path("binance", request, "/test/stream",
                "/test/stream?streams=btcusdt@trade/btcusdt@bookTicker/ethusdt@trade/ethusdt@bookTicker");
    expect_path("binance", request, "/ws", "/ws");
    expect_no_message("binance", &request, 0);
    request.path = PX_TEXT("/ws");
    expect_message("binance", &request, 0,
                   "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\",\"btcusdt@bookTicker\",\"ethusdt@trade\","
                   "\"ethusdt@bookTicker\"],\"id\":1}");
    expect_no_message("binance", &request, 1);
    expect_message(
        "coinbase", &request, 0,
        "{\"type\":\"subscribe\",\"product_ids\":[\"BTCUSDT\",\"ETHUSDT\"],\"channels\":[\"matches\",\"ticker\"]}");
    expect_no_message("coinbase", &request, 1);
    expect_path("coinbase", request, "", "/");
    expect_message(
        "kraken", &kraken, 1,
        "{\"event\":\"subscribe\",\"pair\":[\"XBT/USD\",\"ETH/USD\"],\"subscription\":{\"name\":\"spread\"}}");
    kraken.path = PX_TEXT("/v2");
    expect_path("kraken", kraken, "/v2", "/v2");
    expect_message("kraken", &kraken, 0,
                   "{\"method\":\"subscribe\",\"params\":{\"channel\":\"trade\",\"symbol\":[\"XBT/USD\",\"ETH/USD\"],"
                   "\"snapshot\":true}}");
    expect_no_message("kraken", &kraken, 2);
}
END_TEST

/* Every dialect's largest request: each message fits, and a bad symbol is refused before anything is said. */
START_TEST(test_subscribe_many)
{
    static const char *const names[] = {"binance", "coinbase", "kraken"};
    static struct px_text symbols[2000];
    struct px_dialect_request request = {PX_TEXT(""), symbols, 0};
    size_t len;

    for (size_t i = 0; i < PX_COUNT_OF(symbols); i++)
        symbols[i] = PX_TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZ/ABCD");
    for (size_t i = 0; i < PX_COUNT_OF(names); i++) {
        const struct px_dialect *dialect = dialect_of(names[i]);
        uint32_t number = 0;
        int error;

        request.count = dialect->symbols_max;
        while ((error = px_dialect_subscribe(dialect, &request, number, message, sizeof message, &len)) == 0)
            number++;
        ck_assert_int_eq(error, PX_E_EMPTY);
        ck_assert_uint_gt(number, 4);
        request.count++;
        ck_assert_int_eq(px_dialect_subscribe(dialect, &request, 0, message, sizeof message, &len), PX_E_RANGE);
    }
    symbols[0] = PX_TEXT("A\"]B");
    request.count = 1;
    ck_assert_int_eq(px_dialect_subscribe(dialect_of("kraken"), &request, 0, message, sizeof message, &len),
                     PX_E_RANGE);
}
END_TEST

START_TEST(test_names)
{
    const struct px_dialect *dialect;
    char sentence[128];

    ck_assert_int_eq(px_dialect_find("bitfinex", &dialect), PX_E_UNKNOWN_VENUE);
    ck_assert_int_eq(px_dialect_for_host(PX_TEXT("api.bitfinex.com"), &dialect), PX_E_UNKNOWN_VENUE);
    ck_assert_int_eq(px_dialect_for_host(PX_TEXT("Stream.Binance.com"), &dialect), 0);
    ck_assert_str_eq(dialect->name, "binance");
    ck_assert_int_eq(px_dialect_for_host(PX_TEXT("ws-feed.pro.coinbase.com"), &dialect), 0);
    ck_assert_int_eq(px_dialect_for_host(PX_TEXT("ws.kraken.com"), &dialect), 0);
    px_dialect_refusal(PX_TEXT("bitfinex"), sentence, sizeof sentence);
    ck_assert_str_eq(sentence, "no dialect for 'bitfinex'; known are binance, coinbase, kraken");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dialect");
    TCase *tcase = tcase_create("dialect");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, test_binance_trade);
    tcase_add_test(tcase, test_binance_quote);
    tcase_add_test(tcase, test_binance_others);
    tcase_add_test(tcase, test_coinbase);
    tcase_add_test(tcase, test_kraken_v1);
    tcase_add_test(tcase, test_kraken_v2);
    tcase_add_test(tcase, test_not_json);
    tcase_add_test(tcase, test_big_frames);
    tcase_add_test(tcase, test_subscribe);
    tcase_add_test(tcase, test_subscribe_many);
    tcase_add_test(tcase, test_names);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    px_dialect_parser_destroy(&parser);
    return failures != 0;
}
