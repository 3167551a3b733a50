/* The connector against a venue in the same thread: URLs, subscribing, events, a lost connection, back-off. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "feed/connector.h"
#include "feed/url.h"
#include "net/ws.h"

#define TRADE "{\"e\":\"trade\",\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"1.5\",\"q\":\"2\",\"T\":3,\"m\":true}"

static struct {
    int listen_fd;
    struct px_stream *stream;
    struct px_ws *ws;
    char head[4096], target[256], said[1024];
    size_t head_len;
} venue;

static struct {
    int epoll_fd;
    struct px_connector *connector;
    unsigned trades, lost;
} client;

static void venue_heard(void *user, struct px_ws *ws, enum px_ws_opcode opcode, struct px_text payload)
{
    px_text_copy(venue.said, sizeof venue.said, payload);
}

static void venue_greet(void)
{
    struct px_ws_options options = {.callbacks.message = venue_heard};
    struct px_http_head head;
    ssize_t n = px_stream_read(venue.stream, venue.head + venue.head_len, sizeof venue.head - venue.head_len);
    int size;

    if (n <= 0)
        return;
    venue.head_len += (size_t)n;
    size = px_http_request_parse((struct px_text){venue.head, venue.head_len}, &head);
    if (size <= 0)
        return;
    ck_assert_int_eq(px_ws_request_check(&head), 0);
    px_text_copy(venue.target, sizeof venue.target, head.target);
    ck_assert_int_eq(px_ws_server_create(&venue.stream, &head, PX_TEXT(""), &options, &venue.ws), 0);
}

static void venue_turn(void)
{
    if (!venue.stream && !venue.ws && px_stream_accept(venue.listen_fd, NULL, &venue.stream) == 0)
        venue.head_len = 0;
    if (venue.stream)
        venue_greet();
    if (venue.ws)
        px_ws_drive(venue.ws);
}

static void turn(void)
{
    struct epoll_event events[4];
    int n = epoll_wait(client.epoll_fd, events, 4, 1);

    for (int i = 0; i < n; i++)
        px_connector_ready(events[i].data.ptr, px_mono_now());
    px_connector_tick(client.connector, px_mono_now());
    venue_turn();
}

static bool reaches(enum px_connector_state state)
{
    for (int i = 0; i < 3000; i++) {
        if (px_connector_state(client.connector) == state)
            return true;
        turn();
    }
    return false;
}

static void on_event(void *context, const struct px_feed_event *event)
{
    client.trades += event->kind == PX_FEED_TRADE;
}

static void on_lost(void *context)
{
    client.lost++;
}

static int create(const char *url)
{
    static const struct px_text symbols[] = {{"BTCUSDT", 7}};
    struct px_connector_options options = {.name = "test",
                                           .url = url,
                                           .symbols = symbols,
                                           .symbol_count = 1,
                                           .epoll_fd = client.epoll_fd,
                                           .sink = on_event,
                                           .lost = on_lost};

    ck_assert_int_eq(px_dialect_find("binance", &options.dialect), 0);
    return px_connector_create(&options, &client.connector);
}

static void open_both(const char *path)
{
    char url[128];

    px_log_level_set(PX_LOG_ERROR);
    client.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    ck_assert_int_eq(px_listen("127.0.0.1", 0, 0, &venue.listen_fd), 0);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u%s", px_listen_port(venue.listen_fd), path);
    ck_assert_int_eq(create(url), 0);
}

static void close_both(void)
{
    px_connector_destroy(&client.connector);
    px_ws_destroy(&venue.ws);
    px_stream_close(&venue.stream);
    close(venue.listen_fd);
    close(client.epoll_fd);
    client.trades = client.lost = 0;
}

static void expect_trade(unsigned count)
{
    ck_assert_int_eq(px_ws_send(venue.ws, PX_WS_TEXT, PX_TEXT(TRADE)), 0);
    for (int i = 0; i < 1000 && client.trades < count; i++)
        turn();
    ck_assert_uint_eq(client.trades, count);
}

START_TEST(test_live_and_lost)
{
    open_both("");
    ck_assert(reaches(PX_CONNECTOR_LIVE));
    ck_assert_str_eq(venue.target, "/stream?streams=btcusdt@trade/btcusdt@bookTicker");
    expect_trade(1);
    px_ws_destroy(&venue.ws);
    for (int i = 0; i < 1000 && client.lost == 0; i++)
        turn();
    ck_assert_uint_eq(client.lost, 1);
    ck_assert(px_connector_state(client.connector) < PX_CONNECTOR_LIVE);
    ck_assert(reaches(PX_CONNECTOR_LIVE));
    expect_trade(2);
    ck_assert_uint_eq(px_connector_counters(client.connector)->reconnects, 1);
    ck_assert_uint_eq(px_connector_counters(client.connector)->frames, 2);
    close_both();
}
END_TEST

START_TEST(test_subscribe_by_message)
{
    open_both("/ws");
    ck_assert(reaches(PX_CONNECTOR_LIVE));
    for (int i = 0; i < 1000 && !venue.said[0]; i++)
        turn();
    ck_assert_str_eq(venue.target, "/ws");
    ck_assert_str_eq(venue.said,
                     "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\",\"btcusdt@bookTicker\"],\"id\":1}");
    close_both();
}
END_TEST

START_TEST(test_garbage_is_counted)
{
    open_both("");
    ck_assert(reaches(PX_CONNECTOR_LIVE));
    ck_assert_int_eq(px_ws_send(venue.ws, PX_WS_TEXT, PX_TEXT("<html>")), 0);
    expect_trade(1);
    ck_assert_uint_eq(px_connector_counters(client.connector)->errors, 1);
    ck_assert_uint_eq(px_connector_counters(client.connector)->events[PX_FEED_TRADE], 1);
    close_both();
}
END_TEST

/* Nobody listens: the first retry is immediate, the later ones wait. */
START_TEST(test_backoff)
{
    px_mono start;

    open_both("");
    close(venue.listen_fd);
    venue.listen_fd = -1;
    start = px_mono_now();
    while (px_mono_since(px_mono_now(), start) < 300 * PX_NS_PER_MS) {
        px_connector_tick(client.connector, px_mono_now());
        usleep(1000);
    }
    ck_assert_uint_ge(px_connector_counters(client.connector)->attempts, 2);
    ck_assert_uint_lt(px_connector_counters(client.connector)->attempts, 40);
    ck_assert_uint_eq(client.lost, 0);
    close_both();
}
END_TEST

START_TEST(test_urls)
{
    static const char *const bad[] = {
        "",           "http://a",  "ws://",    "ws://:80",  "ws://a:0", "ws://a:65536", "ws://a:8x",    "ws://u@a/",
        "ws://a/b c", "ws://[::1", "ws://a?x", "ws://a/#x", "wss:/a",   "ws://a:80:80", "ws://[::1]80", "ws://u:p@a/"};
    struct px_url url;

    for (size_t i = 0; i < PX_COUNT_OF(bad); i++)
        ck_assert_msg(px_url_parse(px_text_of(bad[i]), &url) == PX_E_FORMAT, "%s", bad[i]);
    ck_assert_int_eq(px_url_parse(PX_TEXT("wss://stream.binance.com:9443/stream?x=1"), &url), 0);
    ck_assert(url.tls);
    ck_assert_str_eq(url.host, "stream.binance.com");
    ck_assert_str_eq(url.authority, "stream.binance.com:9443");
    ck_assert_uint_eq(url.port, 9443);
    ck_assert(px_text_is(url.path, "/stream?x=1"));
    ck_assert_int_eq(px_url_parse(PX_TEXT("ws://[::1]:80"), &url), 0);
    ck_assert_str_eq(url.host, "::1");
    ck_assert_str_eq(url.authority, "[::1]");
    ck_assert_uint_eq(url.path.len, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector");
    TCase *tcase = tcase_create("connector");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_set_timeout(tcase, 20);
    tcase_add_test(tcase, test_urls);
    tcase_add_test(tcase, test_live_and_lost);
    tcase_add_test(tcase, test_subscribe_by_message);
    tcase_add_test(tcase, test_garbage_is_counted);
    tcase_add_test(tcase, test_backoff);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
