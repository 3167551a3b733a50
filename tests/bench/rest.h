/* The little of a REST client that a bench needs: blocking, one connection kept alive. */
#pragma once

#include "base/types.h"

#define REST_BODY_MAX (1u << 20)

struct rest {
    const char *host, *key; /* key: X-API-Key, or NULL */
    uint16_t port;
    int fd; /* -1 = not connected */
    size_t len, head_len, body_len;
    char *bytes; /* of the latest answer */
};

int rest_init(struct rest *rest, const char *host, uint16_t port, const char *key);
void rest_fini(struct rest *rest);

/*
 * One request; body may be NULL. Returns the HTTP status, or a negative error. The answer's body is at *bodyp until the
 * next request. Connects anew when the server has closed the connection. Gives up after 10 s without an answer.
 */
int rest_request(struct rest *rest, const char *method, const char *path, const char *body, struct px_text *bodyp);

/* The sum of a metric over all its labels in a text of /metrics; -1 when it does not occur. */
int64_t rest_metric(struct px_text metrics, const char *name);
