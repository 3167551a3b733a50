/*
 * A webhook receiver that is quick: one epoll thread, HTTP/1.1 over kept connections, 204 for everything. It notes when each request was
 * whole, and against the times in its body how long it took; a webhook-id that came before is a repeat.
 */
#pragma once

#include <pthread.h>

#include "tests/bench/histogram.h"

#define SINK_CONNECTIONS 512
#define SINK_REQUEST_MAX 16384
#define SINK_IDS         (1u << 22) /* places for webhook-ids; enough for three million */

struct sink_connection {
    int fd;
    size_t len;
    char bytes[SINK_REQUEST_MAX + 1];
};

struct sink {
    int listen_fd, epoll_fd;
    uint16_t port;
    uint32_t stop;      /* flag between the threads, as `measuring` */
    uint32_t measuring;
    pthread_t thread;
    uint64_t requests, distinct, repeats, errors, connections; /* read by others with relaxed loads */
    struct histogram tick_to_request, received_to_request, tick_to_match; /* while measuring */
    uint64_t *ids;
    struct sink_connection *connection[SINK_CONNECTIONS];
};

int sink_start(struct sink *sink); /* on a port of 127.0.0.1 that it chooses */
void sink_stop(struct sink *sink);
