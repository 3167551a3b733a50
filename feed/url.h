/* The parts of a WebSocket address. */
#pragma once

#include "base/error.h"
#include "base/types.h"

struct px_url {
    bool tls;            /* wss: */
    uint16_t port;       /* 80 or 443 where none is given */
    char host[128];      /* without the brackets of an IPv6 address */
    char authority[144]; /* for the Host header: with the port unless it is the usual one */
    struct px_text path; /* points into the text; with its query; "" when there is none */
};

/* Reads ws://host[:port][/path] or wss://…; no user names, no fragments. PX_E_FORMAT. Never blocks; any process. */
int px_url_parse(struct px_text text, struct px_url *urlp);
