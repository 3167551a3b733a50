/*
 * Any bytes as an HTTP head and as WebSocket frames to a server. Besides what the sanitizers see: a head's slices lie
 * inside of it, and frames mean the same whole as cut in two.
 */
#include "base/error.h"
#include "net/ws.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const char upgrade[] = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

struct heard {
    uint64_t hash;
    unsigned messages, close_code;
};

static void check_slice(struct px_text whole, struct px_text slice)
{
    PX_CHECK(slice.len == 0 || (slice.at >= whole.at && slice.at + slice.len <= whole.at + whole.len));
}

static void try_head(struct px_text bytes)
{
    struct px_http_head head;
    char value[64];
    int len = px_http_request_parse(bytes, &head);

    PX_CHECK(len <= (int)bytes.len);
    if (len > 0) {
        struct px_text whole = {bytes.at, (size_t)len};

        check_slice(whole, head.method);
        check_slice(whole, head.path);
        check_slice(whole, head.query);
        for (size_t i = 0; i < head.header_count; i++) {
            check_slice(whole, head.headers[i].name);
            check_slice(whole, head.headers[i].value);
        }
        (void)px_http_query_find(head.query, "a", value, sizeof(value), NULL);
        (void)px_ws_request_check(&head);
    }
    (void)px_http_response_parse(bytes, &head);
    (void)px_http_decode(bytes, true, value, sizeof(value), NULL);
}

static void on_message(void *user, struct px_ws *ws, enum px_ws_opcode opcode, struct px_text payload)
{
    struct heard *heard = user;

    heard->messages++;
    heard->hash = heard->hash * 31 + opcode;
    for (size_t i = 0; i < payload.len; i++)
        heard->hash = heard->hash * 31 + (unsigned char)payload.at[i];
}

static void give(int fd, struct px_ws *ws, const uint8_t *bytes, size_t len)
{
    if (len > 0 && send(fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
        return;
    (void)px_ws_drive(ws);
}

static struct heard listen_to(const uint8_t *bytes, size_t len, size_t cut)
{
    struct heard heard = {0, 0, 0};
    struct px_ws_options options = {.callbacks = {.message = on_message}, .user = &heard, .message_max = 1000};
    struct px_stream *stream;
    struct px_http_head head;
    struct px_ws *ws;
    int pair[2];

    PX_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    PX_CHECK(px_stream_adopt(pair[0], NULL, &stream) == 0);
    PX_CHECK(px_http_request_parse(PX_TEXT(upgrade), &head) > 0);
    PX_CHECK(px_ws_server_create(&stream, &head, (struct px_text){"", 0}, &options, &ws) == 0);
    give(pair[1], ws, bytes, cut);
    give(pair[1], ws, bytes + cut, len - cut);
    heard.close_code = px_ws_close_code(ws);
    px_ws_destroy(&ws);
    close(pair[1]);
    return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heard whole, halves;

    if (size == 0)
        return 0;
    try_head((struct px_text){(const char *)data + 1, size - 1});
    whole = listen_to(data + 1, size - 1, 0);
    halves = listen_to(data + 1, size - 1, data[0] % size);
    PX_CHECK(whole.messages == halves.messages && whole.hash == halves.hash && whole.close_code == halves.close_code);
    return 0;
}
