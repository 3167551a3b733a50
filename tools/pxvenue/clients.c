#include "tools/pxvenue/clients_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

#define BATCH_SIZE (128u << 10)
#define SWEEP_NS   (1 * PX_NS_PER_S)
#define HEAD_NS    (10 * PX_NS_PER_S) /* from accept to a whole request head */
#define PING_NS    (20 * PX_NS_PER_S) /* as Binance does */
#define SILENT_NS  (60 * PX_NS_PER_S) /* without even a pong */

struct pxi_client {
    struct pxi_clients *home;
    uint32_t number;          /* counts connections; for the log */
    struct px_stream *stream; /* until the upgrade */
    struct px_ws *ws;         /* from then on */
    px_mono since, pinged;
    size_t head_len;
    char head[PX_HTTP_HEAD_MAX];
    uint32_t watching;   /* what epoll was told */
    uint64_t *streams;   /* a bit for each stream */
    uint32_t subscribed; /* bits set */
    bool listening;      /* has asked for anything at all */
    bool bare, over;
    enum pxi_unit unit;
    size_t batch_len;
    char batch[BATCH_SIZE]; /* whole frames */
};

struct pxi_clients {
    struct pxi_clients_setup setup;
    int epoll, listener;
    px_mono swept, asked; /* asked: when a client last subscribed */
    uint32_t count;       /* of list; no holes */
    struct pxi_client *list[PXI_CLIENTS_MAX];
    struct pxi_clients_stats stats;
    char *scratch; /* a frame too long for a batch */
    size_t scratch_size;
};

#define STREAM_WORDS (PXI_STREAMS_MAX / 64)

static void watch(struct pxi_client *client)
{
    struct pxi_clients *clients = client->home;
    int fd = client->ws ? px_ws_fd(client->ws) : px_stream_fd(client->stream);
    uint32_t wish = client->ws ? px_ws_epoll(client->ws) : px_stream_epoll(client->stream, false);
    struct epoll_event event = {.events = wish, .data.ptr = client};

    if (wish == client->watching)
        return;
    PX_CHECK(epoll_ctl(clients->epoll, client->watching ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0);
    client->watching = wish;
}

/* The connection is over: it hears nothing more, and is freed at the end of the round, for this may be one of its
 * callbacks. */
static void end(struct pxi_client *client, const char *why)
{
    if (client->over)
        return;
    client->over = true;
    px_log(PX_LOG_INFO, "client_gone client=%u reason=\"%s\" subscriptions=%u", client->number, why,
           client->subscribed);
    if (client->watching)
        epoll_ctl(client->home->epoll, EPOLL_CTL_DEL, client->ws ? px_ws_fd(client->ws) : px_stream_fd(client->stream),
                  NULL);
}

static void bury(struct pxi_clients *clients)
{
    for (uint32_t i = 0; i < clients->count;) {
        struct pxi_client *client = clients->list[i];
        if (!client->over) {
            i++;
            continue;
        }
        px_ws_destroy(&client->ws);
        px_stream_close(&client->stream);
        free(client->streams);
        free(client);
        clients->list[i] = clients->list[--clients->count];
    }
}

/* Hands the batch over to the socket; a client that leaves too much waiting is cut off. */
static void push(struct pxi_client *client, const void *bytes, size_t len)
{
    struct pxi_clients *clients = client->home;
    int error = px_ws_send_frames(client->ws, bytes, len);

    if (error == PX_E_FULL) {
        clients->stats.slow++;
        end(client, "does not read");
    } else if (error == PX_E_IO) {
        end(client, px_ws_error(client->ws));
    } else if (error == 0) {
        clients->stats.sends++;
        clients->stats.bytes += len;
        watch(client);
    }
}

static void flush(struct pxi_client *client)
{
    size_t len = client->batch_len;

    client->batch_len = 0;
    if (len && !client->over)
        push(client, client->batch, len);
}

/* A frame longer than a batch goes alone. */
static void push_long(struct pxi_client *client, struct px_text text)
{
    struct pxi_clients *clients = client->home;
    size_t need = text.len + PX_WS_FRAME_HEAD_MAX;

    flush(client);
    if (client->over)
        return;
    if (clients->scratch_size < need) {
        char *more = realloc(clients->scratch, need);
        if (!more) {
            end(client, "out of memory");
            return;
        }
        clients->scratch = more;
        clients->scratch_size = need;
    }
    push(client, clients->scratch,
         (size_t)px_ws_frame_encode(clients->scratch, clients->scratch_size, PX_WS_TEXT, text.at, text.len));
}

static void add_to_batch(struct pxi_client *client, struct px_text text)
{
    if (text.len + PX_WS_FRAME_HEAD_MAX > BATCH_SIZE - client->batch_len)
        flush(client);
    if (text.len + PX_WS_FRAME_HEAD_MAX > BATCH_SIZE) {
        push_long(client, text);
    } else if (!client->over) {
        client->batch_len += (size_t)px_ws_frame_encode(client->batch + client->batch_len,
                                                        BATCH_SIZE - client->batch_len, PX_WS_TEXT, text.at, text.len);
    }
    client->home->stats.frames++;
}

/* {"stream":"NAME","data":DATA} → DATA */
static struct px_text bare(const struct pxi_clients *clients, const struct pxi_frame *frame, struct px_text text)
{
    static const char head[] = "{\"stream\":\"", middle[] = "\",\"data\":";
    size_t skip = sizeof(head) - 1 + sizeof(middle) - 1;

    if (frame->stream == PXI_STREAM_ALL)
        return text;
    skip += pxi_streams_name(clients->setup.streams, frame->stream).len;
    return text.len > skip + 1 ? (struct px_text){text.at + skip, text.len - skip - 1} : text;
}

unsigned pxi_clients_send(struct pxi_clients *clients, const struct pxi_frame *frame)
{
    unsigned heard = 0;

    for (uint32_t i = 0; i < clients->count; i++) {
        struct pxi_client *client = clients->list[i];
        if (client->over || !client->ws || !pxi_client_subscribed(client, frame->stream))
            continue;
        struct px_text text = frame->text[frame->text[client->unit].len ? client->unit : PXI_UNIT_MS];
        add_to_batch(client, client->bare ? bare(clients, frame, text) : text);
        heard++;
    }
    return heard;
}

bool pxi_clients_flush(struct pxi_clients *clients)
{
    bool room = true;

    for (uint32_t i = 0; i < clients->count; i++) {
        struct pxi_client *client = clients->list[i];
        flush(client);
        if (!client->over && client->ws && px_ws_pending(client->ws) > PXI_CLIENT_OUTPUT_PAUSE)
            room = false;
    }
    return room;
}

bool pxi_clients_any(const struct pxi_clients *clients)
{
    return clients->count > 0;
}

bool pxi_clients_idle(const struct pxi_clients *clients)
{
    for (uint32_t i = 0; i < clients->count; i++) {
        const struct pxi_client *client = clients->list[i];
        if (!client->over && client->ws && (client->batch_len || px_ws_pending(client->ws)))
            return false;
    }
    return true;
}

bool pxi_clients_ready(const struct pxi_clients *clients, unsigned wanted, unsigned settle_ms)
{
    unsigned listening = 0;

    for (uint32_t i = 0; i < clients->count; i++)
        listening += !clients->list[i]->over && clients->list[i]->listening;
    return listening >= wanted && px_mono_since(px_mono_now(), clients->asked) >= settle_ms * PX_NS_PER_MS;
}

static void on_message(void *user, struct px_ws *ws, enum px_ws_opcode opcode, struct px_text payload)
{
    struct pxi_client *client = user;

    if (opcode == PX_WS_TEXT)
        client->home->setup.message(client->home->setup.user, client, payload);
}

static void refuse(struct pxi_client *client, int status)
{
    char answer[160];
    int len = snprintf(
        answer, sizeof(answer),
        "HTTP/1.1 %d Refused\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);

    px_stream_write(client->stream, answer, (size_t)len);
    client->home->stats.refused++;
    end(client, "no WebSocket upgrade");
}

static void upgrade(struct pxi_client *client, const struct px_http_head *request, size_t head_len)
{
    struct pxi_clients *clients = client->home;
    struct px_text rest = {client->head + head_len, client->head_len - head_len};
    struct px_ws_options options = {.callbacks = {.message = on_message},
                                    .user = client,
                                    .message_max = PXI_CLIENT_INBOUND_MAX,
                                    .output_max = PXI_CLIENT_OUTPUT_MAX};

    if (px_ws_server_create(&client->stream, request, rest, &options, &client->ws) != 0) {
        end(client, "no memory for the upgrade");
        return;
    }
    px_log(PX_LOG_INFO, "client_open client=%u target_bytes=%zu", client->number, request->target.len);
    clients->setup.open(clients->setup.user, client, request->path, request->query);
}

static void read_head(struct pxi_client *client)
{
    struct px_http_head request;
    ssize_t got =
        px_stream_read(client->stream, client->head + client->head_len, sizeof(client->head) - client->head_len);

    if (got == PX_E_AGAIN)
        return;
    if (got < 0) {
        end(client, got == PX_E_CLOSED ? "closed before the upgrade" : px_stream_error(client->stream));
        return;
    }
    client->head_len += (size_t)got;
    int len = px_http_request_parse((struct px_text){client->head, client->head_len}, &request);
    if (len == PX_E_AGAIN && client->head_len < sizeof(client->head))
        return;
    int status = len < 0 ? 400 : px_ws_request_check(&request);
    if (status)
        refuse(client, status);
    else
        upgrade(client, &request, (size_t)len);
}

static void serve(struct pxi_client *client)
{
    int more = 1;

    if (client->over)
        return;
    if (!client->ws)
        read_head(client);
    while (client->ws && !client->over && more > 0) {
        more = px_ws_drive(client->ws);
        if (more < 0)
            end(client, more == PX_E_CLOSED ? "closed" : px_ws_error(client->ws));
    }
    if (!client->over)
        watch(client);
}

/* False when nobody waits. */
static bool accept_one(struct pxi_clients *clients)
{
    struct px_stream *stream = NULL;
    struct pxi_client *client;

    if (px_stream_accept(clients->listener, clients->setup.tls, &stream) != 0)
        return false;
    client = clients->count < PXI_CLIENTS_MAX ? calloc(1, sizeof(*client)) : NULL;
    if (client)
        client->streams = calloc(STREAM_WORDS, sizeof(uint64_t));
    if (!client || !client->streams) {
        free(client);
        clients->stats.refused++;
        px_stream_close(&stream);
        return true;
    }
    client->home = clients;
    client->number = (uint32_t)++clients->stats.connections;
    client->stream = stream;
    client->since = client->pinged = px_mono_now();
    clients->list[clients->count++] = client;
    watch(client);
    serve(client);
    return true;
}

/* Pings, and the end of those who say nothing. */
static void sweep(struct pxi_clients *clients, px_mono now)
{
    for (uint32_t i = 0; i < clients->count; i++) {
        struct pxi_client *client = clients->list[i];
        if (client->over)
            continue;
        if (!client->ws && px_mono_since(now, client->since) > HEAD_NS) {
            end(client, "no request in time");
        } else if (client->ws && px_mono_since(now, px_ws_heard(client->ws)) > SILENT_NS) {
            end(client, "silent");
        } else if (client->ws && px_mono_since(now, client->pinged) > PING_NS) {
            client->pinged = now;
            if (px_ws_ping(client->ws, (struct px_text){"", 0}) == 0)
                watch(client);
        }
    }
}

void pxi_clients_poll(struct pxi_clients *clients, int timeout_ms)
{
    struct epoll_event events[64];
    int count = epoll_wait(clients->epoll, events, PX_COUNT_OF(events), timeout_ms);
    px_mono now = px_mono_now();

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr)
            serve(events[i].data.ptr);
        else
            while (accept_one(clients))
                ;
    }
    if (px_mono_since(now, clients->swept) > SWEEP_NS) {
        clients->swept = now;
        sweep(clients, now);
    }
    bury(clients);
}

void pxi_clients_cut(struct pxi_clients *clients)
{
    for (uint32_t i = 0; i < clients->count; i++) {
        if (clients->list[i]->over)
            continue;
        end(clients->list[i], "cut off on purpose");
        clients->stats.cut++;
    }
    bury(clients);
}

void pxi_clients_close(struct pxi_clients *clients)
{
    for (uint32_t i = 0; i < clients->count; i++) {
        struct pxi_client *client = clients->list[i];
        if (client->over || !client->ws || !px_ws_is_open(client->ws))
            continue;
        px_ws_close(client->ws, PX_WS_NORMAL, "the recording has ended");
        serve(client);
    }
}

void pxi_client_say(struct pxi_client *client, struct px_text message)
{
    flush(client);
    if (!client->over && px_ws_send(client->ws, PX_WS_TEXT, message) == 0)
        watch(client);
}

void pxi_client_subscribe(struct pxi_client *client, uint32_t stream)
{
    client->listening = true;
    client->home->asked = px_mono_now();
    if (stream == PXI_STREAM_NONE || pxi_client_subscribed(client, stream))
        return;
    client->streams[stream / 64] |= UINT64_C(1) << (stream % 64);
    client->subscribed++;
}

void pxi_client_unsubscribe(struct pxi_client *client, uint32_t stream)
{
    if (stream == PXI_STREAM_NONE || !pxi_client_subscribed(client, stream))
        return;
    client->streams[stream / 64] &= ~(UINT64_C(1) << (stream % 64));
    client->subscribed--;
}

uint32_t pxi_client_subscriptions(const struct pxi_client *client)
{
    return client->subscribed;
}

bool pxi_client_subscribed(const struct pxi_client *client, uint32_t stream)
{
    if (stream == PXI_STREAM_ALL)
        return client->listening;
    return client->streams[stream / 64] >> (stream % 64) & 1;
}

void pxi_client_unit_set(struct pxi_client *client, enum pxi_unit unit)
{
    client->unit = unit;
}

void pxi_client_bare_set(struct pxi_client *client)
{
    client->bare = true;
}

int pxi_clients_create(const struct pxi_clients_setup *setup, struct pxi_clients **clientsp)
{
    struct pxi_clients *clients = calloc(1, sizeof(*clients));
    struct epoll_event event = {.events = EPOLLIN};
    int error = PX_E_MEMORY;

    if (!clients)
        return error;
    clients->setup = *setup;
    clients->listener = -1;
    clients->epoll = epoll_create1(EPOLL_CLOEXEC);
    error = clients->epoll < 0 ? PX_E_SYSTEM : px_listen(setup->host, setup->port, 0, &clients->listener);
    if (!error && epoll_ctl(clients->epoll, EPOLL_CTL_ADD, clients->listener, &event) != 0)
        error = PX_E_SYSTEM;
    if (error) {
        pxi_clients_destroy(&clients);
        return error;
    }
    clients->swept = px_mono_now();
    *clientsp = clients;
    return 0;
}

void pxi_clients_destroy(struct pxi_clients **clientsp)
{
    struct pxi_clients *clients = *clientsp;

    if (!clients)
        return;
    for (uint32_t i = 0; i < clients->count; i++)
        end(clients->list[i], "the venue ends");
    bury(clients);
    if (clients->listener >= 0)
        close(clients->listener);
    if (clients->epoll >= 0)
        close(clients->epoll);
    free(clients->scratch);
    free(clients);
    *clientsp = NULL;
}

uint16_t pxi_clients_port(const struct pxi_clients *clients)
{
    return px_listen_port(clients->listener);
}

const struct pxi_clients_stats *pxi_clients_stats(const struct pxi_clients *clients)
{
    return &clients->stats;
}
