/* The live loop with real sockets: sessions, the relay, refusals, a client that never reads, and the drain. */
#include "web/live/live.h"

#include "net/ws.h"
#include "tests/unit/live_fixture.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 3000

static struct live_fixture fixture;
static struct px_live *live;
static int http_fd;

static void setup(void)
{
    struct px_live_options options = {.host = "127.0.0.1",
                                      .listen_fd = -1,
                                      .slot = 4,
                                      .rcu_slot = PX_LIVE_NO_RCU,
                                      .generation = 3,
                                      .auth = fixture_auth};

    fixture_open(&fixture);
    ck_assert_int_eq(px_listen("127.0.0.1", 0, 0, &http_fd), 0);
    options.http_port = px_listen_port(http_fd);
    options.config = &fixture.config;
    options.shm = &fixture.shm;
    options.watchers = fixture.watchers;
    ck_assert_int_eq(px_live_start(&options, &live), 0);
}

static void teardown(void)
{
    px_live_stop(&live, 100);
    if (http_fd >= 0)
        close(http_fd);
    fixture_close(&fixture);
}

/* --- a client of a few lines --- */

struct client {
    struct px_ws *ws;
    unsigned count;
    px_mono heard_at;
    char last[9000];
};

static void on_message(void *user, struct px_ws *ws, enum px_ws_opcode opcode, struct px_text payload)
{
    struct client *client = user;

    client->count++;
    client->heard_at = px_mono_now();
    (void)px_text_copy(client->last, sizeof(client->last), payload);
}

static void client_open(struct client *client, const char *path, const char *headers)
{
    struct px_stream_target target = {.host = "127.0.0.1", .port = px_live_port(live)};
    struct px_ws_client_request request = {.host = "h", .target = path, .headers = headers};
    struct px_ws_options options = {.callbacks = {.message = on_message}, .user = client};
    struct px_stream *stream;

    memset(client, 0, sizeof(*client));
    ck_assert_int_eq(px_stream_connect(&target, &stream), 0);
    ck_assert_int_eq(px_ws_client_create(&stream, &request, &options, &client->ws), 0);
}

/* Drives the client until `count` messages have come in; what the drive says otherwise. */
static int client_wait(struct client *client, unsigned count)
{
    int64_t until = px_mono_now().ns + WAIT_MS * PX_NS_PER_MS;
    int result = 0;

    while (client->count < count && px_mono_now().ns < until) {
        struct pollfd fd = {.fd = px_ws_fd(client->ws), .events = (short)px_ws_epoll(client->ws)};

        (void)poll(&fd, 1, 100);
        result = px_ws_drive(client->ws);
        if (result < 0)
            break;
    }
    return result;
}

static void client_say(struct client *client, const char *text)
{
    unsigned before = client->count;

    ck_assert_int_eq(px_ws_send(client->ws, PX_WS_TEXT, px_text_of(text)), 0);
    ck_assert_int_ge(client_wait(client, before + 1), 0);
}

static void client_follow(struct client *client)
{
    client_open(client, "/ws/v1", NULL);
    ck_assert_int_eq(client_wait(client, 1), 0);
    client_say(
        client,
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC-USD\"],\"snapshot\":false}}");
}

/* A raw exchange: sends, and reads until the other side ends. */
static void raw(const char *text, char *answer, size_t size)
{
    struct px_address address;
    size_t len = 0;
    ssize_t count;
    int fd;

    ck_assert_int_eq(px_address_resolve("127.0.0.1", px_live_port(live), &address), 0);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address.sockaddr, address.len), 0);
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    while (len + 1 < size && (count = recv(fd, answer + len, size - 1 - len, 0)) > 0)
        len += (size_t)count;
    answer[len] = '\0';
    close(fd);
}

START_TEST(a_tick_reaches_a_client)
{
    struct client client;
    int64_t best = INT64_MAX;

    client_open(&client, "/v2", NULL);
    ck_assert_int_eq(client_wait(&client, 1), 0);
    ck_assert_ptr_nonnull(strstr(client.last, "\"system\":\"online\""));
    client_say(
        &client,
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC-USD\"],\"snapshot\":false}}");
    ck_assert_ptr_nonnull(strstr(client.last, "\"success\":true"));
    for (unsigned i = 0; i < 20; i++) {
        px_mono before;

        usleep(3000); /* the loop sleeps by then: this is the way through the futex */
        while (px_ws_drive(client.ws) == 1)
            ;
        before = px_mono_now();
        fixture_trade(&fixture, 0, 100 + (int64_t)i);
        ck_assert_int_eq(client_wait(&client, client.count + 1), 0);
        best = PX_MIN(best, px_mono_since(client.heard_at, before));
    }
    ck_assert_ptr_nonnull(strstr(client.last, "\"last\":\"1.19\""));
    printf("tick to client: best of 20 is %lld us\n", (long long)(best / PX_NS_PER_US));
    ck_assert_int_lt(best, 20 * PX_NS_PER_MS);
    px_ws_destroy(&client.ws);
}
END_TEST

START_TEST(a_key_in_the_headers_is_an_authentication)
{
    struct client client;

    client_open(&client, "/ws/v1", "Authorization: Bearer good\r\n");
    ck_assert_int_eq(client_wait(&client, 1), 0);
    client_say(&client, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"alerts\"}}");
    ck_assert_ptr_nonnull(strstr(client.last, "\"success\":true"));
    fixture_fire(&fixture, "alice");
    ck_assert_int_eq(client_wait(&client, client.count + 1), 0);
    ck_assert_ptr_nonnull(strstr(client.last, "\"channel\":\"alerts\""));
    px_ws_destroy(&client.ws);

    client_open(&client, "/ws/v1", "X-API-Key: bad\r\n");
    ck_assert_int_eq(client_wait(&client, 1), PX_E_CLOSED);
    ck_assert_uint_eq(px_ws_close_code(client.ws), 4003);
    px_ws_destroy(&client.ws);
}
END_TEST

static const struct {
    const char *request, *answer;
} refused[] = {
    {"GET / HTTP/1.1\n\n", "HTTP/1.1 400 "},
    {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 400 "},
    {"GET /ws/v1 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 426 "},
    {"POST /ws/v1 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 405 "},
};

START_TEST(doubtful_requests_never_reach_the_http_server)
{
    struct pollfd fd = {.fd = http_fd, .events = POLLIN};
    char answer[1000];

    raw(refused[_i].request, answer, sizeof(answer));
    ck_assert_msg(strncmp(answer, refused[_i].answer, strlen(refused[_i].answer)) == 0, "%s", answer);
    ck_assert_int_eq(poll(&fd, 1, 0), 0);
}
END_TEST

/* An HTTP server that echoes the request behind a head, slowly read, and ends. */
static void *http_run(void *arg)
{
    static char bytes[600000];
    size_t len = 0;
    ssize_t count;
    struct pollfd listener = {.fd = http_fd, .events = POLLIN};
    int fd;

    (void)poll(&listener, 1, WAIT_MS);
    fd = accept(http_fd, NULL, NULL);
    while (len < sizeof(bytes) && (count = recv(fd, bytes + len, sizeof(bytes) - len, 0)) > 0) {
        len += (size_t)count;
        if (memmem(bytes, len, "END.", 4) != NULL)
            break;
    }
    for (size_t at = 0; at < len; at += (size_t)count) {
        count = send(fd, bytes + at, len - at, MSG_NOSIGNAL);
        if (count <= 0)
            break;
    }
    close(fd);
    return NULL;
}

START_TEST(other_requests_are_relayed_whole)
{
    size_t size = 500000;
    char *request = malloc(size + 1), *answer = malloc(size + 100);
    pthread_t thread;
    int len;

    ck_assert_int_eq(pthread_create(&thread, NULL, http_run, NULL), 0);
    len = sprintf(request, "POST /api/v1/alerts HTTP/1.1\r\nHost: h\r\nContent-Length: 499000\r\n\r\n");
    memset(request + len, 'b', size - (size_t)len);
    memcpy(request + size - 4, "END.", 5);
    raw(request, answer, size + 100);
    ck_assert_uint_eq(strlen(answer), size);
    ck_assert_int_eq(memcmp(request, answer, size), 0);
    pthread_join(thread, NULL);
    free(request);
    free(answer);
}
END_TEST

START_TEST(without_an_http_server_the_answer_is_503)
{
    char answer[1000];

    close(http_fd);
    http_fd = -1;
    raw("GET / HTTP/1.1\r\nHost: h\r\n\r\n", answer, sizeof(answer));
    ck_assert_msg(strncmp(answer, "HTTP/1.1 503 ", 13) == 0, "%s", answer);
}
END_TEST

START_TEST(connections_are_bounded)
{
    struct client clients[3];
    char answer[1000];

    fixture.config.limits.connections = 3;
    for (int i = 0; i < 3; i++) {
        client_open(&clients[i], "/ws/v1", NULL);
        ck_assert_int_eq(client_wait(&clients[i], 1), 0);
    }
    raw("GET / HTTP/1.1\r\nHost: h\r\n\r\n", answer, sizeof(answer));
    ck_assert_msg(strncmp(answer, "HTTP/1.1 503 ", 13) == 0 || answer[0] == '\0', "%s", answer);
    for (int i = 0; i < 3; i++)
        px_ws_destroy(&clients[i].ws);
}
END_TEST

START_TEST(who_never_reads_delays_nobody)
{
    struct client deaf, keen;
    int64_t worst = 0;
    int small = 4096;

    client_follow(&deaf);
    (void)setsockopt(px_ws_fd(deaf.ws), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    client_follow(&keen);
    for (int i = 0; i < 2000; i++) {
        unsigned before = keen.count;
        px_mono at = px_mono_now();

        fixture_trade(&fixture, 0, 100 + i);
        ck_assert_int_eq(client_wait(&keen, before + 1), 0);
        worst = PX_MAX(worst, px_mono_since(px_mono_now(), at));
    }
    printf("worst of 2000 beside a client that never reads: %lld us\n", (long long)(worst / PX_NS_PER_US));
    ck_assert_int_lt(worst, 500 * PX_NS_PER_MS);
    ck_assert_ptr_nonnull(strstr(keen.last, "\"last\":\"20.99\""));
    /* And when it reads at last, it gets to the newest price without all those between. */
    while (strstr(deaf.last, "\"last\":\"20.99\"") == NULL)
        ck_assert_int_eq(client_wait(&deaf, deaf.count + 1), 0);
    printf("who never read got %u frames of %u\n", deaf.count, keen.count);
    ck_assert_uint_lt(deaf.count, keen.count / 2);
    px_ws_destroy(&deaf.ws);
    px_ws_destroy(&keen.ws);
}
END_TEST

static uint64_t watched(void)
{
    usleep(250000); /* the loop measures itself every 100 ms */
    return px_load_relaxed(&fixture.shm.stats[4].value[PX_STAT_WEB_WATCHED]);
}

START_TEST(the_watched_are_counted)
{
    struct client one, two;

    client_follow(&one);
    client_follow(&two);
    client_say(&two, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"trade\",\"symbol\":[\"BTC-USD\"]}}");
    ck_assert_uint_eq(px_watchers_of(fixture.watchers, 0), 2);
    ck_assert_uint_eq(watched(), 1);
    client_say(&two, "{\"method\":\"unsubscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC-USD\"]}}");
    ck_assert_uint_eq(px_watchers_of(fixture.watchers, 0), 2);
    px_ws_destroy(&two.ws);
    ck_assert_uint_eq(watched(), 1);
    ck_assert_uint_eq(px_watchers_of(fixture.watchers, 0), 1);
    px_ws_destroy(&one.ws);
    ck_assert_uint_eq(watched(), 0);
    ck_assert_uint_eq(px_watchers_of(fixture.watchers, 0), 0);
}
END_TEST

START_TEST(a_drain_says_goodbye)
{
    struct client client;

    client_follow(&client);
    px_live_stop(&live, 100);
    ck_assert_int_eq(client_wait(&client, 1000), PX_E_CLOSED);
    ck_assert_ptr_nonnull(strstr(client.last, "\"system\":\"going_away\""));
    ck_assert_uint_eq(px_ws_close_code(client.ws), PX_WS_RESTART);
    px_ws_destroy(&client.ws);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("live");
    TCase *tests = tcase_create("loop");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, a_tick_reaches_a_client);
    tcase_add_test(tests, a_key_in_the_headers_is_an_authentication);
    tcase_add_loop_test(tests, doubtful_requests_never_reach_the_http_server, 0, (int)PX_COUNT_OF(refused));
    tcase_add_test(tests, other_requests_are_relayed_whole);
    tcase_add_test(tests, without_an_http_server_the_answer_is_503);
    tcase_add_test(tests, connections_are_bounded);
    tcase_add_test(tests, who_never_reads_delays_nobody);
    tcase_add_test(tests, the_watched_are_counted);
    tcase_add_test(tests, a_drain_says_goodbye);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
