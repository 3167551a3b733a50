/* Streams over TCP and TLS, and the WebSocket client, with both sides in one thread. */
#include "base/error.h"
#include "net/ws.h"

#include <check.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS 2000

static char cert_file[64], key_file[64];

/* A certificate for localhost that signs itself, good for an hour. */
static void make_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    FILE *file;

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_set_pubkey(cert, key);
    X509_add_ext(cert, names, -1);
    ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
    snprintf(cert_file, sizeof(cert_file), "/tmp/net_test.%d.cert", (int)getpid());
    snprintf(key_file, sizeof(key_file), "/tmp/net_test.%d.key", (int)getpid());
    file = fopen(cert_file, "w");
    PEM_write_X509(file, cert);
    fclose(file);
    file = fopen(key_file, "w");
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_EXTENSION_free(names);
    X509_free(cert);
    EVP_PKEY_free(key);
}

struct pair {
    struct px_stream *client, *server;
    struct px_tls *client_tls, *server_tls;
    int listen_fd;
};

static void pair_open(struct pair *pair, const char *name, bool tls, const char *ca_file)
{
    struct px_stream_target target = {.host = name};
    struct px_address address;
    struct pollfd listener;

    memset(pair, 0, sizeof(*pair));
    if (tls) {
        make_certificate();
        ck_assert_int_eq(px_tls_server_create(cert_file, key_file, &pair->server_tls), 0);
        ck_assert_int_eq(px_tls_client_create(ca_file, &pair->client_tls), 0);
    }
    ck_assert_int_eq(px_listen("127.0.0.1", 0, PX_LISTEN_REUSEPORT, &pair->listen_fd), 0);
    target.port = px_listen_port(pair->listen_fd);
    target.tls = pair->client_tls;
    ck_assert_int_eq(px_address_resolve("127.0.0.1", target.port, &address), 0);
    target.address = &address;
    ck_assert_int_eq(px_stream_connect(&target, &pair->client), 0);
    listener = (struct pollfd){.fd = pair->listen_fd, .events = POLLIN};
    ck_assert_int_eq(poll(&listener, 1, 1000), 1);
    ck_assert_int_eq(px_stream_accept(pair->listen_fd, pair->server_tls, &pair->server), 0);
}

static void pair_close(struct pair *pair)
{
    px_stream_close(&pair->client);
    px_stream_close(&pair->server);
    px_tls_destroy(&pair->client_tls);
    px_tls_destroy(&pair->server_tls);
    close(pair->listen_fd);
    if (cert_file[0] != '\0') {
        unlink(cert_file);
        unlink(key_file);
    }
}

/* Both sides go on with the handshake; the client's last word. */
static int shake(struct pair *pair)
{
    int client = PX_E_AGAIN, server = PX_E_AGAIN;

    for (int i = 0; i < ROUNDS && (client == PX_E_AGAIN || (client == 0 && server == PX_E_AGAIN)); i++) {
        client = px_stream_handshake(pair->client);
        server = px_stream_handshake(pair->server);
        if (client == PX_E_AGAIN)
            usleep(100);
    }
    return client;
}

/* Half a megabyte one way, in whatever pieces the kernel takes, then the end. */
static void move_bytes(struct px_stream *from, struct px_stream *to)
{
    static char sent[500000], got[500000];
    size_t out = 0, in = 0;
    ssize_t count;

    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)(i * 7);
    while (in < sizeof(got)) {
        count = out < sizeof(sent) ? px_stream_write(from, sent + out, sizeof(sent) - out) : PX_E_AGAIN;
        ck_assert(count > 0 || count == PX_E_AGAIN);
        out += count > 0 ? (size_t)count : 0;
        count = px_stream_read(to, got + in, sizeof(got) - in);
        ck_assert(count > 0 || count == PX_E_AGAIN);
        in += count > 0 ? (size_t)count : 0;
    }
    ck_assert_mem_eq(sent, got, sizeof(sent));
}

START_TEST(bytes_go_both_ways)
{
    struct pair pair;
    char byte;
    ssize_t count = PX_E_AGAIN;

    pair_open(&pair, "localhost", _i == 1, cert_file);
    ck_assert_int_eq(shake(&pair), 0);
    move_bytes(pair.client, pair.server);
    move_bytes(pair.server, pair.client);
    px_stream_shutdown_write(pair.client);
    for (int i = 0; i < ROUNDS && count == PX_E_AGAIN; i++)
        count = px_stream_read(pair.server, &byte, 1);
    ck_assert_int_eq(count, PX_E_CLOSED);
    move_bytes(pair.server, pair.client); /* half closed: the other half goes on */
    pair_close(&pair);
}
END_TEST

START_TEST(a_certificate_is_verified)
{
    struct pair pair;

    pair_open(&pair, "localhost", true, NULL); /* the system does not know this authority */
    ck_assert_int_eq(shake(&pair), PX_E_IO);
    ck_assert_ptr_nonnull(strstr(px_stream_error(pair.client), "certificate verify failed"));
    pair_close(&pair);

    pair_open(&pair, "example.com", true, cert_file); /* it does, but the name is another one */
    ck_assert_int_eq(shake(&pair), PX_E_IO);
    ck_assert_ptr_nonnull(strstr(px_stream_error(pair.client), "certificate verify failed"));
    pair_close(&pair);
}
END_TEST

START_TEST(files_that_are_no_certificates_are_refused)
{
    struct px_tls *tls = NULL;

    ck_assert_int_eq(px_tls_client_create("/nonexistent", &tls), PX_E_IO);
    ck_assert_int_eq(px_tls_server_create("/dev/null", "/dev/null", &tls), PX_E_IO);
    ck_assert_ptr_null(tls);
}
END_TEST

START_TEST(a_refused_connection_says_why)
{
    struct px_stream_target target = {.host = "127.0.0.1"};
    struct px_stream *stream;
    int fd, error = PX_E_AGAIN;

    ck_assert_int_eq(px_listen("127.0.0.1", 0, 0, &fd), 0);
    target.port = px_listen_port(fd);
    ck_assert_int_eq(px_listen("127.0.0.1", target.port, 0, &(int){0}), PX_E_EXISTS);
    close(fd);
    ck_assert_int_eq(px_stream_connect(&target, &stream), 0);
    for (int i = 0; i < ROUNDS && error == PX_E_AGAIN; i++)
        error = px_stream_handshake(stream);
    ck_assert_int_eq(error, PX_E_IO);
    ck_assert_ptr_nonnull(strstr(px_stream_error(stream), "refused"));
    px_stream_close(&stream);
}
END_TEST

/* --- the client of the WebSocket --- */

struct heard {
    int opened, messages, pongs;
    size_t len;
};

static void on_open(void *user, struct px_ws *ws)
{
    ((struct heard *)user)->opened++;
    ck_assert_int_eq(px_ws_send(ws, PX_WS_TEXT, PX_TEXT("hello")), 0);
}

static void on_message(void *user, struct px_ws *ws, enum px_ws_opcode opcode, struct px_text payload)
{
    ((struct heard *)user)->messages++;
    ((struct heard *)user)->len = payload.len;
}

static void on_pong(void *user, struct px_ws *ws, struct px_text payload)
{
    ck_assert(px_text_is(payload, "mark"));
    ((struct heard *)user)->pongs++;
}

static struct px_ws *accept_ws(struct px_stream **streamp, struct px_ws *client, struct heard *heard)
{
    struct px_ws_options options = {.callbacks = {NULL, on_message, NULL}, .user = heard, .output_max = 4 << 20};
    struct px_http_head head;
    struct px_ws *ws;
    char bytes[2048];
    size_t len = 0;
    int parsed = PX_E_AGAIN;

    for (int i = 0; i < ROUNDS && parsed == PX_E_AGAIN; i++) {
        ssize_t count = px_stream_read(*streamp, bytes + len, sizeof(bytes) - len);

        len += count > 0 ? (size_t)count : 0;
        parsed = px_http_request_parse((struct px_text){bytes, len}, &head);
        ck_assert_int_eq(px_ws_drive(client), 0);
    }
    ck_assert_int_gt(parsed, 0);
    ck_assert_int_eq(px_ws_request_check(&head), 0);
    ck_assert(px_text_is(px_http_header_find(&head, "x-more"), "yes"));
    ck_assert_int_eq(
        px_ws_server_create(streamp, &head, (struct px_text){bytes + parsed, len - (size_t)parsed}, &options, &ws), 0);
    return ws;
}

static void drive(struct px_ws *a, struct px_ws *b, const int *counter, int wanted)
{
    for (int i = 0; i < ROUNDS && *counter < wanted; i++) {
        ck_assert_int_ge(px_ws_drive(a), 0);
        ck_assert_int_ge(px_ws_drive(b), 0);
    }
    ck_assert_int_eq(*counter, wanted);
}

START_TEST(client_and_server_understand_each_other)
{
    static char big[700000];
    struct px_ws_client_request request = {"localhost:1", "/ws?a=b", "X-More: yes\r\n"};
    struct heard at_client = {0}, at_server = {0};
    struct px_ws_options options = {.callbacks = {on_open, on_message, on_pong}, .user = &at_client};
    struct px_ws *client, *server;
    struct pair pair;
    int end = 0;

    pair_open(&pair, "localhost", _i == 1, cert_file);
    ck_assert_int_eq(px_ws_client_create(&pair.client, &request, &options, &client), 0);
    ck_assert_int_eq(px_ws_send(client, PX_WS_TEXT, PX_TEXT("too early")), PX_E_AGAIN);
    server = accept_ws(&pair.server, client, &at_server);
    drive(client, server, &at_server.messages, 1);
    ck_assert_int_eq(at_client.opened, 1);
    ck_assert_uint_eq(at_server.len, 5);

    memset(big, 'x', sizeof(big));
    ck_assert_int_eq(px_ws_send(server, PX_WS_TEXT, (struct px_text){big, sizeof(big)}), 0);
    drive(client, server, &at_client.messages, 1);
    ck_assert_uint_eq(at_client.len, sizeof(big));

    ck_assert_int_eq(px_ws_ping(client, PX_TEXT("mark")), 0);
    drive(client, server, &at_client.pongs, 1);

    px_ws_close(client, 4001, "bye");
    for (int i = 0; i < ROUNDS && end == 0; i++) {
        (void)px_ws_drive(client);
        end = px_ws_drive(server);
    }
    ck_assert_int_eq(end, PX_E_CLOSED);
    ck_assert_uint_eq(px_ws_close_code(server), 4001);
    px_ws_destroy(&client);
    px_ws_destroy(&server);
    pair_close(&pair);
}
END_TEST

static const char *const answers[] = {
    "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
    "AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.1 101 x\r\n\r\n",
    "SSH-2.0-x\r\n",
};

START_TEST(a_wrong_answer_is_no_handshake)
{
    struct px_ws_client_request request = {"h", "/", NULL};
    struct px_ws_options options = {0};
    struct px_stream *stream;
    struct px_ws *ws;
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(px_stream_adopt(pair[0], NULL, &stream), 0);
    ck_assert_int_eq(px_ws_client_create(&stream, &request, &options, &ws), 0);
    ck_assert_int_gt(send(pair[1], answers[_i], strlen(answers[_i]), 0), 0);
    ck_assert_int_eq(px_ws_drive(ws), PX_E_IO);
    ck_assert_ptr_nonnull(strstr(px_ws_error(ws), "handshake"));
    px_ws_destroy(&ws);
    close(pair[1]);
}
END_TEST

START_TEST(a_client_asks_for_nothing_dirty)
{
    static const struct px_ws_client_request requests[] = {
        {"h\r\nX: y", "/", NULL}, {"h", "/a b", NULL}, {"h", "x", NULL}};
    struct px_ws_options options = {0};
    struct px_stream *stream;
    struct px_ws *ws;
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(px_stream_adopt(pair[0], NULL, &stream), 0);
    for (size_t i = 0; i < PX_COUNT_OF(requests); i++)
        ck_assert_int_eq(px_ws_client_create(&stream, &requests[i], &options, &ws), PX_E_INVALID);
    px_stream_close(&stream);
    close(pair[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net");
    TCase *tests = tcase_create("streams");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 30);
    tcase_add_loop_test(tests, bytes_go_both_ways, 0, 2);
    tcase_add_test(tests, a_certificate_is_verified);
    tcase_add_test(tests, files_that_are_no_certificates_are_refused);
    tcase_add_test(tests, a_refused_connection_says_why);
    tcase_add_loop_test(tests, client_and_server_understand_each_other, 0, 2);
    tcase_add_loop_test(tests, a_wrong_answer_is_no_handshake, 0, (int)PX_COUNT_OF(answers));
    tcase_add_test(tests, a_client_asks_for_nothing_dirty);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
