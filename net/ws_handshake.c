/* The HTTP exchange that opens a WebSocket: both sides. */
#include "base/error.h"
#include "net/ws_private.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_LEN      24
#define GUID         "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define REQUEST_SIZE 4096

void pxi_ws_accept(struct px_text key, char accept[PXI_WS_ACCEPT_SIZE])
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    unsigned char text[KEY_LEN + sizeof(GUID)];

    PX_CHECK(key.len == KEY_LEN);
    memcpy(text, key.at, KEY_LEN);
    memcpy(text + KEY_LEN, GUID, sizeof(GUID));
    SHA1(text, KEY_LEN + sizeof(GUID) - 1, digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
}

/* 16 bytes in base64: 22 characters and two signs of equality. */
static bool is_key(struct px_text key)
{
    for (size_t i = 0; i < key.len && i < KEY_LEN - 2; i++) {
        char c = key.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/'))
            return false;
    }
    return key.len == KEY_LEN && memcmp(key.at + KEY_LEN - 2, "==", 2) == 0;
}

static size_t count_of(const struct px_http_head *head, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < head->header_count; i++)
        count += px_http_text_is(head->headers[i].name, name);
    return count;
}

/* --- server --- */

int px_ws_request_check(const struct px_http_head *request)
{
    if (!px_text_is(request->method, "GET"))
        return 405;
    if (request->minor != 1 || request->content_length > 0 || request->chunked)
        return 400;
    if (!px_http_header_has(request, "upgrade", "websocket") || !px_http_header_has(request, "connection", "upgrade"))
        return 426;
    if (!px_text_eq(px_http_header_find(request, "sec-websocket-version"), PX_TEXT("13")))
        return 426;
    if (count_of(request, "sec-websocket-key") != 1 || !is_key(px_http_header_find(request, "sec-websocket-key")))
        return 400;
    return 0;
}

static int answer_upgrade(struct px_ws *ws, const struct px_http_head *request)
{
    char accept[PXI_WS_ACCEPT_SIZE], text[256];
    unsigned char *at;
    int len, error;

    pxi_ws_accept(px_http_header_find(request, "sec-websocket-key"), accept);
    len = snprintf(text, sizeof(text),
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: %s\r\n\r\n",
                   accept);
    PX_CHECK(len > 0 && (size_t)len < sizeof(text));
    error = pxi_ws_output(ws, (size_t)len, PXI_WS_OUTPUT_SLACK, &at);
    if (error == 0)
        memcpy(at, text, (size_t)len);
    return error;
}

static int keep_early(struct px_ws *ws, struct px_text rest)
{
    if (rest.len == 0)
        return 0;
    if (rest.len > PX_HTTP_HEAD_MAX)
        return PX_E_TOO_LARGE;
    ws->early = malloc(rest.len);
    if (ws->early == NULL)
        return PX_E_MEMORY;
    memcpy(ws->early, rest.at, rest.len);
    ws->early_len = rest.len;
    return 0;
}

static struct px_ws *ws_new(const struct px_ws_options *options, bool server)
{
    struct px_ws *ws = calloc(1, sizeof(*ws));

    if (ws == NULL)
        return NULL;
    ws->options = *options;
    ws->server = server;
    ws->heard = px_mono_now();
    if (ws->options.message_max == 0)
        ws->options.message_max = server ? 64 * 1024 : 16 * 1024 * 1024;
    if (ws->options.output_max == 0)
        ws->options.output_max = 256 * 1024;
    return ws;
}

/* The stream goes over to the connection only now that nothing can fail any more. */
static int ws_born(struct px_ws *ws, struct px_stream **streamp, struct px_ws **wsp, int error)
{
    if (error != 0) {
        px_ws_destroy(&ws);
        *wsp = NULL;
        return error;
    }
    ws->stream = *streamp;
    *streamp = NULL;
    *wsp = ws;
    return 0;
}

int px_ws_server_create(struct px_stream **streamp, const struct px_http_head *request, struct px_text rest,
                        const struct px_ws_options *options, struct px_ws **wsp)
{
    struct px_ws *ws = ws_new(options, true);
    int error;

    if (ws == NULL)
        return PX_E_MEMORY;
    ws->state = PXI_WS_OPEN;
    error = answer_upgrade(ws, request);
    if (error == 0)
        error = keep_early(ws, rest);
    return ws_born(ws, streamp, wsp, error);
}

/* --- client --- */

static bool is_clean(const char *text, char lowest)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < (unsigned char)lowest || *text == 127)
            return false;
    return true;
}

static int ask_upgrade(struct px_ws *ws, const struct px_ws_client_request *request)
{
    unsigned char nonce[16], *at;
    char key[KEY_LEN + 1], text[REQUEST_SIZE];
    int len, error;

    if (!is_clean(request->host, '!') || !is_clean(request->target, '!') || request->target[0] != '/')
        return PX_E_INVALID;
    PX_CHECK(RAND_bytes(nonce, sizeof(nonce)) == 1);
    EVP_EncodeBlock((unsigned char *)key, nonce, sizeof(nonce));
    pxi_ws_accept(px_text_of(key), ws->upgrade->accept);
    len = snprintf(text, sizeof(text),
                   "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                   request->target, request->host, key, request->headers != NULL ? request->headers : "");
    if (len < 0 || (size_t)len >= sizeof(text))
        return PX_E_TOO_LARGE;
    error = pxi_ws_output(ws, (size_t)len, REQUEST_SIZE, &at);
    if (error == 0)
        memcpy(at, text, (size_t)len);
    return error;
}

int px_ws_client_create(struct px_stream **streamp, const struct px_ws_client_request *request,
                        const struct px_ws_options *options, struct px_ws **wsp)
{
    struct px_ws *ws = ws_new(options, false);
    int error = PX_E_MEMORY;

    if (ws == NULL)
        return PX_E_MEMORY;
    ws->state = PXI_WS_UPGRADING;
    ws->upgrade = calloc(1, sizeof(*ws->upgrade));
    if (ws->upgrade != NULL)
        error = ask_upgrade(ws, request);
    return ws_born(ws, streamp, wsp, error);
}

/* What an answer must have: 101, the two header lines, the digest of our key, and nothing that we did not offer. */
static int check_answer(struct px_ws *ws, const struct px_http_head *head)
{
    struct px_text accept = px_http_header_find(head, "sec-websocket-accept");
    char words[64];

    if (head->status != 101) {
        snprintf(words, sizeof(words), "handshake: status %d", head->status);
        return pxi_ws_fail(ws, words);
    }
    if (!px_http_header_has(head, "upgrade", "websocket") || !px_http_header_has(head, "connection", "upgrade"))
        return pxi_ws_fail(ws, "handshake: no upgrade");
    if (count_of(head, "sec-websocket-accept") != 1 || !px_text_is(accept, ws->upgrade->accept))
        return pxi_ws_fail(ws, "handshake: wrong Sec-WebSocket-Accept");
    if (count_of(head, "sec-websocket-extensions") != 0 || count_of(head, "sec-websocket-protocol") != 0)
        return pxi_ws_fail(ws, "handshake: an extension or protocol that was not offered");
    return 0;
}

int pxi_ws_upgrade_take(struct px_ws *ws, const unsigned char *bytes, size_t len)
{
    struct pxi_ws_upgrade *upgrade = ws->upgrade;
    size_t room = sizeof(upgrade->head) - upgrade->len;
    size_t before = upgrade->len, taken = PX_MIN(room, len);
    struct px_http_head head;
    int parsed, error;

    memcpy(upgrade->head + upgrade->len, bytes, taken);
    upgrade->len += taken;
    parsed = px_http_response_parse((struct px_text){upgrade->head, upgrade->len}, &head);
    if (parsed == PX_E_AGAIN)
        return 0;
    if (parsed < 0)
        return pxi_ws_fail(ws, "handshake: malformed answer");
    error = check_answer(ws, &head);
    if (error != 0)
        return error;
    free(upgrade);
    ws->upgrade = NULL;
    ws->state = PXI_WS_OPEN;
    if (ws->options.callbacks.open != NULL)
        ws->options.callbacks.open(ws->options.user, ws);
    /* The head ends within these bytes, because without them it was not whole. */
    return pxi_ws_take(ws, bytes + ((size_t)parsed - before), len - ((size_t)parsed - before));
}
