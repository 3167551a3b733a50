/* WebSocket: the handshake's vector, frames in every cut, limits, closes. Both sides speak over a socket pair. */
#include "base/error.h"
#include "net/ws.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define RFC_REQUEST                                                                                                    \
    "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                  \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
#define RFC_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

struct heard {
    int opened, messages, pongs;
    size_t len;
    enum px_ws_opcode opcode;
    char *text;
    struct px_ws *echo; /* answer each message with itself */
};

static void on_open(void *user, struct px_ws *ws)
{
    ((struct heard *)user)->opened++;
}

static void on_message(void *user, struct px_ws *ws, enum px_ws_opcode opcode, struct px_text payload)
{
    struct heard *heard = user;

    heard->messages++;
    heard->opcode = opcode;
    heard->len = payload.len;
    free(heard->text);
    heard->text = calloc(1, payload.len + 1);
    memcpy(heard->text, payload.at, payload.len);
    if (heard->echo != NULL)
        ck_assert_int_eq(px_ws_send(ws, opcode, payload), 0);
}

static void on_pong(void *user, struct px_ws *ws, struct px_text payload)
{
    ((struct heard *)user)->pongs++;
}

static struct px_ws_options options_for(struct heard *heard)
{
    return (struct px_ws_options){.callbacks = {on_open, on_message, on_pong}, .user = heard};
}

/* A server whose other end is a bare descriptor, so that tests write any bytes they like. */
struct bench {
    struct px_ws *ws;
    int peer;
    struct heard heard;
};

static void bench_open_with(struct bench *bench, size_t message_max, size_t output_max)
{
    struct px_ws_options options = options_for(&bench->heard);
    struct px_stream *stream;
    struct px_http_head head;
    char answer[512];
    int pair[2];

    options.message_max = message_max;
    options.output_max = output_max;
    memset(&bench->heard, 0, sizeof(bench->heard));
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(px_stream_adopt(pair[0], NULL, &stream), 0);
    ck_assert_int_gt(px_http_request_parse(PX_TEXT(RFC_REQUEST), &head), 0);
    ck_assert_int_eq(px_ws_request_check(&head), 0);
    ck_assert_int_eq(px_ws_server_create(&stream, &head, (struct px_text){"", 0}, &options, &bench->ws), 0);
    ck_assert_ptr_null(stream);
    bench->peer = pair[1];
    ck_assert_int_eq(px_ws_drive(bench->ws), 0);
    ck_assert_int_gt(recv(bench->peer, answer, sizeof(answer), 0), 0);
}

static void bench_open(struct bench *bench)
{
    bench_open_with(bench, 0, 0);
}

static void bench_close(struct bench *bench)
{
    px_ws_destroy(&bench->ws);
    close(bench->peer);
    free(bench->heard.text);
}

/* A masked frame with any first byte. */
static size_t frame(unsigned char *to, unsigned first, const void *payload, size_t len)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    unsigned char head[PX_WS_FRAME_HEAD_MAX];
    size_t head_len = px_ws_frame_head(head, PX_WS_TEXT, len);

    memcpy(to, head, head_len);
    to[0] = (unsigned char)first;
    to[1] |= 0x80;
    memcpy(to + head_len, mask, 4);
    for (size_t i = 0; i < len; i++)
        to[head_len + 4 + i] = ((const unsigned char *)payload)[i] ^ mask[i & 3];
    return head_len + 4 + len;
}

static void send_all(int fd, const void *bytes, size_t len)
{
    ck_assert_int_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void say(struct bench *bench, unsigned first, const void *payload, size_t len)
{
    static unsigned char bytes[300000];

    send_all(bench->peer, bytes, frame(bytes, first, payload, len));
}

/* The server has closed with this code and now waits for the peer's end. */
static void expect_close(struct bench *bench, unsigned code)
{
    unsigned char bytes[256];
    ssize_t count;

    ck_assert_int_eq(px_ws_drive(bench->ws), 0);
    count = recv(bench->peer, bytes, sizeof(bytes), 0);
    ck_assert_int_ge(count, 4);
    ck_assert_uint_eq(bytes[0], 0x88);
    ck_assert_uint_eq((unsigned)bytes[2] << 8 | bytes[3], code);
    ck_assert_int_eq(recv(bench->peer, bytes, sizeof(bytes), 0), 0);
    shutdown(bench->peer, SHUT_WR);
    ck_assert_int_eq(px_ws_drive(bench->ws), PX_E_CLOSED);
    ck_assert_uint_eq(px_ws_close_code(bench->ws), code);
}

START_TEST(the_rfcs_handshake)
{
    struct heard heard = {0};
    struct px_ws_options options = options_for(&heard);
    struct px_stream *stream;
    struct px_http_head head;
    struct px_ws *ws;
    char answer[512] = "";
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(px_stream_adopt(pair[0], NULL, &stream), 0);
    ck_assert_int_gt(px_http_request_parse(PX_TEXT(RFC_REQUEST), &head), 0);
    ck_assert_int_eq(px_ws_server_create(&stream, &head, (struct px_text){"", 0}, &options, &ws), 0);
    ck_assert_int_eq(px_ws_drive(ws), 0);
    ck_assert_int_gt(recv(pair[1], answer, sizeof(answer) - 1, 0), 0);
    ck_assert_ptr_nonnull(strstr(answer, "Sec-WebSocket-Accept: " RFC_ACCEPT "\r\n"));
    px_ws_destroy(&ws);
    close(pair[1]);
}
END_TEST

static const struct {
    int status;
    const char *text;
} requests[] = {
    {405, "POST / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"},
    {426, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
    {426, "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n\r\n"},
    {400,
     "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
          "Sec-WebSocket-Key: short\r\n\r\n"},
    {400, "GET / HTTP/1.0\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"},
};

START_TEST(a_bad_upgrade_gets_its_status)
{
    struct px_http_head head;

    ck_assert_int_gt(px_http_request_parse(px_text_of(requests[_i].text), &head), 0);
    ck_assert_int_eq(px_ws_request_check(&head), requests[_i].status);
}
END_TEST

START_TEST(lengths_around_every_border_are_echoed)
{
    static const size_t lengths[] = {0, 1, 125, 126, 127, 4095, 4096, 4097, 16384, 65535, 65536};
    static char payload[65536], answer[65536 + 16];
    struct bench bench;

    memset(payload, 'x', sizeof(payload));
    bench_open(&bench);
    bench.heard.echo = bench.ws;
    for (size_t i = 0; i < PX_COUNT_OF(lengths); i++) {
        unsigned char head[PX_WS_FRAME_HEAD_MAX];
        size_t want = lengths[i] + px_ws_frame_head(head, PX_WS_TEXT, lengths[i]);
        size_t got = 0;

        say(&bench, 0x81, payload, lengths[i]);
        while (got < want) {
            ssize_t count;
            ck_assert_int_ge(px_ws_drive(bench.ws), 0);
            count = recv(bench.peer, answer + got, want - got, MSG_DONTWAIT);
            got += count > 0 ? (size_t)count : 0;
        }
        ck_assert_uint_eq(bench.heard.len, lengths[i]);
        ck_assert_mem_eq(answer, head, want - lengths[i]);
        ck_assert_uint_eq(px_ws_pending(bench.ws), 0);
    }
    bench_close(&bench);
}
END_TEST

/* Text in two fragments with a ping between, a binary message, and a text whose length takes two bytes. */
static size_t conversation(unsigned char *bytes)
{
    char long_text[200];
    size_t len = 0;

    memset(long_text, 'y', sizeof(long_text));
    len += frame(bytes + len, 0x01, "Hel", 3);
    len += frame(bytes + len, 0x89, "!", 1);
    len += frame(bytes + len, 0x80, "lo", 2);
    len += frame(bytes + len, 0x82, "\xff\x00", 2);
    len += frame(bytes + len, 0x81, long_text, sizeof(long_text));
    return len;
}

START_TEST(a_conversation_cut_at_every_byte)
{
    unsigned char bytes[512], pong[8];
    size_t len = conversation(bytes);

    for (size_t cut = 0; cut <= len; cut++) {
        struct bench bench;

        bench_open(&bench);
        if (cut > 0)
            send_all(bench.peer, bytes, cut);
        ck_assert_int_eq(px_ws_drive(bench.ws), 0);
        if (cut < len)
            send_all(bench.peer, bytes + cut, len - cut);
        ck_assert_int_eq(px_ws_drive(bench.ws), 0);
        ck_assert_int_eq(bench.heard.messages, 3);
        ck_assert_uint_eq(bench.heard.len, 200);
        ck_assert_int_eq(recv(bench.peer, pong, sizeof(pong), 0), 3);
        ck_assert_mem_eq(pong, "\x8a\x01!", 3);
        bench_close(&bench);
    }
}
END_TEST

START_TEST(a_conversation_byte_by_byte)
{
    unsigned char bytes[512];
    size_t len = conversation(bytes);
    struct bench bench;

    bench_open(&bench);
    for (size_t i = 0; i < len; i++) {
        send_all(bench.peer, bytes + i, 1);
        ck_assert_int_eq(px_ws_drive(bench.ws), 0);
        if (bench.heard.messages == 1)
            ck_assert_str_eq(bench.heard.text, "Hello");
    }
    ck_assert_int_eq(bench.heard.messages, 3);
    bench_close(&bench);
}
END_TEST

START_TEST(bytes_behind_the_head_are_not_lost)
{
    struct heard heard = {0};
    struct px_ws_options options = options_for(&heard);
    unsigned char bytes[64];
    struct px_stream *stream;
    struct px_http_head head;
    struct px_ws *ws;
    int pair[2];
    size_t len = frame(bytes, 0x81, "early", 5);

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(px_stream_adopt(pair[0], NULL, &stream), 0);
    ck_assert_int_gt(px_http_request_parse(PX_TEXT(RFC_REQUEST), &head), 0);
    ck_assert_int_eq(px_ws_server_create(&stream, &head, (struct px_text){(char *)bytes, len}, &options, &ws), 0);
    ck_assert_int_eq(px_ws_drive(ws), 0);
    ck_assert_int_eq(heard.messages, 1);
    ck_assert_str_eq(heard.text, "early");
    free(heard.text);
    px_ws_destroy(&ws);
    close(pair[1]);
}
END_TEST

START_TEST(protocol_errors_close_with_1002)
{
    static const struct {
        const char *bytes;
        size_t len;
    } wrong[] = {
        {"\x81\x02hi", 4},                        /* no mask */
        {"\xc1\x80\0\0\0\0", 6},                  /* RSV1 */
        {"\xa1\x80\0\0\0\0", 6},                  /* RSV2 */
        {"\x91\x80\0\0\0\0", 6},                  /* RSV3 */
        {"\x83\x80\0\0\0\0", 6},                  /* opcode 3 */
        {"\x8b\x80\0\0\0\0", 6},                  /* opcode 11 */
        {"\x80\x80\0\0\0\0", 6},                  /* continues nothing */
        {"\x01\x80\0\0\0\0\x81\x80\0\0\0\0", 12}, /* a message inside a message */
        {"\x09\x80\0\0\0\0", 6},                  /* a fragmented ping */
        {"\x89\xfe\0\x7e\0\0\0\0", 8},            /* a ping of 126 bytes */
        {"\x81\xfe\0\x05\0\0\0\0hello", 13},      /* a length that is not the shortest */
        {"\x88\x81\0\0\0\0x", 7},                 /* half a close code */
        {"\x88\x82\0\0\0\0\x03\xed", 8},          /* close code 1005 */
    };
    struct bench bench;

    bench_open(&bench);
    send_all(bench.peer, wrong[_i].bytes, wrong[_i].len);
    expect_close(&bench, PX_WS_PROTOCOL);
    ck_assert_int_eq(bench.heard.messages, 0);
    bench_close(&bench);
}
END_TEST

START_TEST(text_must_be_utf8)
{
    static const char *const wrong[] = {"\xff",     "a\xc0\xaf",   "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                        "\xe2\x82", "12345678\x80"};
    struct bench bench;

    for (size_t i = 0; i < PX_COUNT_OF(wrong); i++) {
        bench_open(&bench);
        say(&bench, 0x81, wrong[i], strlen(wrong[i]));
        expect_close(&bench, PX_WS_NOT_UTF8);
        bench_close(&bench);
    }
    bench_open(&bench);
    say(&bench, 0x01, "\xe2\x82", 2); /* a character cut by a fragment is whole in the message */
    say(&bench, 0x80, "\xac", 1);
    ck_assert_int_eq(px_ws_drive(bench.ws), 0);
    ck_assert_str_eq(bench.heard.text, "\xe2\x82\xac");
    bench_close(&bench);
}
END_TEST

START_TEST(a_big_message_is_refused_by_its_first_bytes)
{
    struct bench bench;

    bench_open_with(&bench, 1000, 0);
    send_all(bench.peer, "\x81\xff\0\0\0\0\x7f\xff\xff\xff\0\0\0\0x", 15); /* promises 2 GiB */
    expect_close(&bench, PX_WS_TOO_BIG);
    bench_close(&bench);
}
END_TEST

START_TEST(a_big_message_in_fragments_is_refused)
{
    char piece[600] = "";
    struct bench bench;

    memset(piece, 'a', sizeof(piece));
    bench_open_with(&bench, 1000, 0);
    say(&bench, 0x01, piece, sizeof(piece));
    ck_assert_int_eq(px_ws_drive(bench.ws), 0);
    say(&bench, 0x80, piece, sizeof(piece));
    expect_close(&bench, PX_WS_TOO_BIG);
    bench_close(&bench);
}
END_TEST

START_TEST(a_close_is_echoed)
{
    unsigned char bytes[64];
    struct bench bench;

    bench_open(&bench);
    say(&bench, 0x88,
        "\x0f\xa1"
        "bye",
        5); /* 4001 */
    ck_assert_int_eq(px_ws_drive(bench.ws), PX_E_CLOSED);
    ck_assert_uint_eq(px_ws_close_code(bench.ws), 4001);
    ck_assert_int_eq(recv(bench.peer, bytes, sizeof(bytes), 0), 4);
    ck_assert_mem_eq(bytes, "\x88\x02\x0f\xa1", 4);
    bench_close(&bench);

    bench_open(&bench);
    say(&bench, 0x88, "", 0);
    ck_assert_int_eq(px_ws_drive(bench.ws), PX_E_CLOSED);
    ck_assert_uint_eq(px_ws_close_code(bench.ws), PX_WS_NO_STATUS);
    ck_assert_int_eq(recv(bench.peer, bytes, sizeof(bytes), 0), 2);
    bench_close(&bench);
}
END_TEST

START_TEST(a_vanished_peer_is_abnormal)
{
    struct bench bench;

    bench_open(&bench);
    shutdown(bench.peer, SHUT_RDWR);
    ck_assert_int_eq(px_ws_drive(bench.ws), PX_E_CLOSED);
    ck_assert_uint_eq(px_ws_close_code(bench.ws), PX_WS_ABNORMAL);
    ck_assert_int_eq(px_ws_send(bench.ws, PX_WS_TEXT, PX_TEXT("x")), PX_E_CLOSED);
    bench_close(&bench);
}
END_TEST

START_TEST(a_full_output_says_so_and_cuts_no_frame)
{
    static unsigned char run[3000];
    struct bench bench;
    size_t sent = 0, got = 0;
    ssize_t count;

    bench_open_with(&bench, 0, 8192);
    memset(run, 'z', sizeof(run));
    ck_assert_int_eq(px_ws_frame_head(run, PX_WS_TEXT, sizeof(run) - 4), 4);
    while (px_ws_send_frames(bench.ws, run, sizeof(run)) == 0)
        sent += sizeof(run);
    ck_assert_int_eq(px_ws_send_frames(bench.ws, run, sizeof(run)), PX_E_FULL);
    ck_assert_uint_le(px_ws_pending(bench.ws), 8192);
    ck_assert_uint_gt(px_ws_pending(bench.ws), 0);
    ck_assert_int_eq(px_ws_flush(bench.ws), PX_E_AGAIN);
    while (got < sent) {
        static unsigned char bytes[65536];
        count = recv(bench.peer, bytes, sizeof(bytes), MSG_DONTWAIT);
        got += count > 0 ? (size_t)count : 0;
        ck_assert_int_ne(px_ws_flush(bench.ws), PX_E_IO);
    }
    ck_assert_uint_eq(got, sent);
    ck_assert_uint_eq(px_ws_pending(bench.ws), 0);
    bench_close(&bench);
}
END_TEST

START_TEST(a_ping_flood_is_bounded)
{
    unsigned char ping[140];
    char payload[125] = "";
    size_t len = frame(ping, 0x89, payload, sizeof(payload));
    struct bench bench;

    bench_open_with(&bench, 0, 4096);
    for (int i = 0; i < 20000; i++) {
        if (send(bench.peer, ping, len, MSG_DONTWAIT) != (ssize_t)len)
            break;
        ck_assert_int_ge(px_ws_drive(bench.ws), 0);
    }
    ck_assert_uint_le(px_ws_pending(bench.ws), 4096 + 1024);
    bench_close(&bench);
}
END_TEST

START_TEST(a_frame_is_encoded_whole_or_not)
{
    char bytes[16];

    ck_assert_int_eq(px_ws_frame_encode(bytes, sizeof(bytes), PX_WS_TEXT, "Hello", 5), 7);
    ck_assert_mem_eq(bytes, "\x81\x05Hello", 7);
    ck_assert_int_eq(px_ws_frame_encode(bytes, 6, PX_WS_TEXT, "Hello", 5), PX_E_TOO_LARGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ws");
    TCase *tests = tcase_create("server");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, the_rfcs_handshake);
    tcase_add_loop_test(tests, a_bad_upgrade_gets_its_status, 0, (int)PX_COUNT_OF(requests));
    tcase_add_test(tests, lengths_around_every_border_are_echoed);
    tcase_add_test(tests, a_conversation_cut_at_every_byte);
    tcase_add_test(tests, a_conversation_byte_by_byte);
    tcase_add_test(tests, bytes_behind_the_head_are_not_lost);
    tcase_add_loop_test(tests, protocol_errors_close_with_1002, 0, 13);
    tcase_add_test(tests, text_must_be_utf8);
    tcase_add_test(tests, a_big_message_is_refused_by_its_first_bytes);
    tcase_add_test(tests, a_big_message_in_fragments_is_refused);
    tcase_add_test(tests, a_close_is_echoed);
    tcase_add_test(tests, a_vanished_peer_is_abnormal);
    tcase_add_test(tests, a_full_output_says_so_and_cuts_no_frame);
    tcase_add_test(tests, a_ping_flood_is_bounded);
    tcase_add_test(tests, a_frame_is_encoded_whole_or_not);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
