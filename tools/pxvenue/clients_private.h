/*
 * The connected clients: one epoll loop, WebSocket over plain TCP or TLS. Each client has the set of streams it has
 * asked for; frames for it gather in its batch and leave in one send.
 */
#pragma once

#include "net/stream.h"
#include "net/ws.h"
#include "tools/pxvenue/frame_private.h"
#include "tools/pxvenue/streams_private.h"

#define PXI_CLIENTS_MAX         1024
#define PXI_CLIENT_INBOUND_MAX  (1u << 20)  /* bytes of one message from a client */
#define PXI_CLIENT_OUTPUT_MAX   (64u << 20) /* a client that lets more than this wait is cut off, as real venues do */
#define PXI_CLIENT_OUTPUT_PAUSE (1u << 20)  /* --speed max waits for a client above this */

struct pxi_clients;
struct pxi_client;

struct pxi_clients_setup {
    const char *host;
    uint16_t port;      /* 0 = the kernel chooses */
    struct px_tls *tls; /* NULL = plain; not owned */
    struct pxi_streams *streams;
    void *user;
    void (*open)(void *user, struct pxi_client *client, struct px_text path, struct px_text query);
    void (*message)(void *user, struct pxi_client *client, struct px_text message);
};

struct pxi_clients_stats {
    uint64_t connections, refused, slow, cut; /* slow: cut off for not reading; cut: by --disconnect */
    uint64_t sends, frames, bytes;            /* over all clients; a frame to two clients counts twice */
};

/* Listens. The error of px_listen, PX_E_MEMORY, PX_E_SYSTEM. */
int pxi_clients_create(const struct pxi_clients_setup *setup, struct pxi_clients **clientsp);
void pxi_clients_destroy(struct pxi_clients **clientsp);
uint16_t pxi_clients_port(const struct pxi_clients *clients);
const struct pxi_clients_stats *pxi_clients_stats(const struct pxi_clients *clients);

/* Serves sockets, waiting for at most `timeout_ms`. */
void pxi_clients_poll(struct pxi_clients *clients, int timeout_ms);

/* Adds the frame to the batch of every client that has subscribed to its stream. Returns how many there are. */
unsigned pxi_clients_send(struct pxi_clients *clients, const struct pxi_frame *frame);

/* Sends all batches; false when a client's output is above PXI_CLIENT_OUTPUT_PAUSE. */
bool pxi_clients_flush(struct pxi_clients *clients);

bool pxi_clients_any(const struct pxi_clients *clients);  /* somebody is connected */
bool pxi_clients_idle(const struct pxi_clients *clients); /* nothing waits to be sent */

/* At least `wanted` clients have subscribed, and the last subscription is `settle_ms` old. */
bool pxi_clients_ready(const struct pxi_clients *clients, unsigned wanted, unsigned settle_ms);

/* Cuts all connections without a word, or with a close frame 1000. */
void pxi_clients_cut(struct pxi_clients *clients);
void pxi_clients_close(struct pxi_clients *clients);

/* To one client, around its subscriptions. Dropped when the client is beyond its bound. */
void pxi_client_say(struct pxi_client *client, struct px_text message);

/* Hears everything of PXI_STREAM_ALL, and `stream` unless it is PXI_STREAM_NONE. */
void pxi_client_subscribe(struct pxi_client *client, uint32_t stream);
void pxi_client_unsubscribe(struct pxi_client *client, uint32_t stream);
uint32_t pxi_client_subscriptions(const struct pxi_client *client);
bool pxi_client_subscribed(const struct pxi_client *client, uint32_t stream);

void pxi_client_unit_set(struct pxi_client *client, enum pxi_unit unit);

/* Binance's /ws: the "data" member alone, without the stream's name around it. */
void pxi_client_bare_set(struct pxi_client *client);
