/* What paths there are, as one table. Pure; any process, any thread. */
#pragma once

#include "base/types.h"

struct px_request;

enum px_method { PX_GET = 1, PX_POST = 2, PX_DELETE = 4, PX_OPTIONS = 8, PX_METHOD_OTHER = 16, PX_PATCH = 32 };

enum px_access {
    PX_ACCESS_FREE,   /* everybody, and no bucket counts it: probes */
    PX_ACCESS_PUBLIC, /* everybody, from any origin */
    PX_ACCESS_ALERTS, /* keys with alerts:write */
    PX_ACCESS_IMPORT, /* keys with admin, and a larger body */
};

/* method, path ("*": one segment, given to the handler decoded), access, handler */
#define PX_ROUTE_TABLE(X)                                                                                              \
    X(GET, "/api/v1/time", PUBLIC, pxi_get_time)                                                                       \
    X(GET, "/api/v1/status", PUBLIC, pxi_get_status)                                                                   \
    X(GET, "/api/v1/assets", PUBLIC, pxi_get_assets)                                                                   \
    X(GET, "/api/v1/assets/*", PUBLIC, pxi_get_asset)                                                                  \
    X(GET, "/api/v1/assets/*/alert-depth", PUBLIC, pxi_get_alert_depth)                                                \
    X(GET, "/api/v1/prices", PUBLIC, pxi_get_prices)                                                                   \
    X(GET, "/api/v1/prices/*", PUBLIC, pxi_get_price)                                                                  \
    X(GET, "/api/v1/averages/*", PUBLIC, pxi_get_averages)                                                             \
    X(GET, "/api/v1/candles/*", PUBLIC, pxi_get_candles)                                                               \
    X(GET, "/api/v1/ticks/*", PUBLIC, pxi_get_ticks)                                                                   \
    X(POST, "/api/v1/alerts", ALERTS, pxi_post_alert)                                                                  \
    X(GET, "/api/v1/alerts", ALERTS, pxi_get_alerts)                                                                   \
    X(POST, "/api/v1/alerts:batch", ALERTS, pxi_post_alert_batch)                                                      \
    X(POST, "/api/v1/alerts:backtest", ALERTS, pxi_post_backtest)                                                      \
    X(GET, "/api/v1/alerts/*", ALERTS, pxi_get_alert)                                                                  \
    X(POST, "/api/v1/alerts/*", ALERTS, pxi_post_alert_verb)                                                           \
    X(PATCH, "/api/v1/alerts/*", ALERTS, pxi_patch_alert)                                                              \
    X(GET, "/api/v1/alerts/*/events", ALERTS, pxi_get_alert_events)                                                    \
    X(DELETE, "/api/v1/alerts/*", ALERTS, pxi_delete_alert)                                                            \
    X(GET, "/api/v1/events", ALERTS, pxi_get_events)                                                                   \
    X(POST, "/api/v1/channels", ALERTS, pxi_post_channel)                                                              \
    X(GET, "/api/v1/channels", ALERTS, pxi_get_channels)                                                               \
    X(GET, "/api/v1/channels/*", ALERTS, pxi_get_channel)                                                              \
    X(POST, "/api/v1/channels/*", ALERTS, pxi_post_channel_verb)                                                       \
    X(PATCH, "/api/v1/channels/*", ALERTS, pxi_patch_channel)                                                          \
    X(DELETE, "/api/v1/channels/*", ALERTS, pxi_delete_channel)                                                        \
    X(POST, "/api/v1/silences", ALERTS, pxi_post_silence)                                                              \
    X(GET, "/api/v1/silences", ALERTS, pxi_get_silences)                                                               \
    X(GET, "/api/v1/silences/*", ALERTS, pxi_get_silence)                                                              \
    X(DELETE, "/api/v1/silences/*", ALERTS, pxi_delete_silence)                                                        \
    X(POST, "/api/v1/import/ticks/*", IMPORT, pxi_post_import_ticks)                                                   \
    X(POST, "/api/v1/import/candles/*", IMPORT, pxi_post_import_candles)                                               \
    X(GET, "/api/v1/push-key", PUBLIC, pxi_get_push_key)                                                               \
    X(GET, "/api/v1/deliveries", ALERTS, pxi_get_deliveries)                                                           \
    X(POST, "/api/v1/deliveries:replay", ALERTS, pxi_post_replay)                                                      \
    X(GET, "/api/v1/deliveries/*", ALERTS, pxi_get_delivery)                                                           \
    X(POST, "/api/v1/deliveries/*", ALERTS, pxi_post_delivery_verb)                                                    \
    X(GET, "/livez", FREE, pxi_get_livez)                                                                              \
    X(GET, "/readyz", FREE, pxi_get_readyz)                                                                            \
    X(GET, "/metrics", FREE, pxi_get_metrics)

typedef void px_handler(struct px_request *request);

#define PX_ROUTE_DECLARE(method, path, access, handler) px_handler handler;
PX_ROUTE_TABLE(PX_ROUTE_DECLARE)
#undef PX_ROUTE_DECLARE

struct px_route {
    enum px_method method;
    const char *path;
    enum px_access access;
    px_handler *handler;
};

struct px_route_match {
    const struct px_route *route; /* NULL: no such path, or not with this method */
    unsigned methods;             /* that the path knows; 0: no such path */
    enum px_access access;        /* of the path's first row */
    struct px_text segment;       /* what stood at "*", still encoded */
};

enum px_method px_method_of(const char *name); /* HEAD is a GET whose body stays here */

/* `path` is raw, without the query. */
struct px_route_match px_route_find(enum px_method method, struct px_text path);

/* "GET, HEAD, OPTIONS" for an Allow header. */
void px_methods_text(unsigned methods, char *text, size_t size);
