/*
 * The HTTP server of a web worker: civetweb on loopback, a thread a connection, and every request handed to web/rest.
 * Strangers meet the live loop first, which relays to this port.
 */
#pragma once

#include "web/rest/rest.h"

#define PX_SERVER_THREADS 32

struct px_server;

/*
 * Listens on host:port (port 0: the kernel chooses) and starts the threads, each with its own px_rest_thread.
 * PX_E_EXISTS when the port is taken or civetweb refuses for another reason, which it logs; PX_E_MEMORY. After the fork
 * only.
 */
int px_server_start(struct px_rest *rest, const char *host, uint16_t port, struct px_server **serverp);

uint16_t px_server_port(const struct px_server *server);

/* Lets requests in progress end, joins the threads. May take some seconds. *serverp may be NULL. */
void px_server_stop(struct px_server **serverp);
