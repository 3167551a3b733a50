/*
 * Counters and gauges in shared memory: one row each makes the enum, the name in /metrics and its help text. Every role slot has its own
 * copy of all of them, so each word has one writer; /metrics adds the slots up. They live as long as the region.
 */
#pragma once

#include "base/types.h"
#include "shm/atomic.h"

/* enum, kind (counter, gauge), name after pxengine_, help */
#define PX_STAT_TABLE(X)                                                                                               \
    X(FEED_FRAMES, counter, "feed_frames_total", "Frames received from venues")                                        \
    X(FEED_BYTES, counter, "feed_bytes_total", "Bytes received from venues")                                           \
    X(FEED_ERRORS, counter, "feed_format_errors_total", "Frames that a dialect could not read")                        \
    X(FEED_IGNORED, counter, "feed_ignored_total", "Frames of kinds that the engine has no use for")                   \
    X(FEED_RECONNECTS, counter, "feed_reconnects_total", "Connections to venues that were lost")                       \
    X(FEED_CONNECTED, gauge, "feed_connections", "Connections to venues that are live")                                \
    X(TICK_TRADES, counter, "trades_total", "Trades accepted")                                                         \
    X(TICK_QUOTES, counter, "quotes_total", "Quotes accepted")                                                         \
    X(TICK_UNKNOWN, counter, "ticks_unknown_symbol_total", "Events of symbols that no asset names")                    \
    X(TICK_BAD, counter, "ticks_bad_total", "Events dropped: no decimal, not positive, off the tick size, too large")  \
    X(TICK_DUPLICATE, counter, "ticks_duplicate_total", "Trades seen before, by the venue's trade id")                 \
    X(TICK_QUARANTINED, counter, "ticks_quarantined_total", "Trades held back as outliers")                            \
    X(TICK_SECONDARY, counter, "ticks_secondary_total", "Trades of a fallback source while the primary is fresh")      \
    X(TICK_CROSSED, counter, "quotes_crossed_total", "Quotes with the bid above the ask")                              \
    X(TICK_GATED, counter, "ingest_gated_total", "Times that reading paused because the keeper was behind")            \
    X(EVAL_TICKS, counter, "evaluated_ticks_total", "Ticks evaluated")                                                 \
    X(EVAL_LATE, counter, "late_ticks_total", "Trades over 2 s behind the newest of their symbol, or a minute ahead")   \
    X(EVAL_LOST, counter, "evaluator_overrun_ticks_total", "Ticks that the evaluator was overtaken by")                \
    X(EVAL_HITS, counter, "hits_total", "Values told to the keeper because they may reach a level")                    \
    X(KEEP_TICKS, counter, "stored_ticks_total", "Trades written to history")                                          \
    X(KEEP_LOST, counter, "keeper_overrun_ticks_total", "Ticks that the keeper was overtaken by")                      \
    X(KEEP_CANDLES, counter, "stored_candles_total", "Candles written")                                                \
    X(KEEP_IMPORTED, counter, "imported_rows_total", "Trades and candles taken from imports")                           \
    X(HIST_DAMAGED, gauge, "history_damaged_rows", "Rows of history that could not be read since the keeper started") \
    X(KEEP_SYNCS, counter, "syncs_total", "Synced writes of the alert store")                                          \
    X(KEEP_SYNC_NS, counter, "sync_nanoseconds_total", "Time spent in synced writes")                                  \
    X(KEEP_ALERTS, gauge, "alerts_stored", "Alerts in the store, all states")                                          \
    X(KEEP_FIRES, counter, "fires_total", "Fires made durable")                                                        \
    X(KEEP_REQUESTS, counter, "keeper_requests_total", "Requests served by the keeper")                                \
    X(NOTIFY_SENT, counter, "notifications_sent_total", "Attempts to deliver a notification")                          \
    X(NOTIFY_DELIVERED, counter, "notifications_delivered_total", "Notifications that their receiver took")            \
    X(NOTIFY_FAILED, counter, "notifications_failed_total", "Attempts that failed and will be made again")             \
    X(NOTIFY_DEAD, counter, "notifications_dead_total", "Notifications given up; they can be replayed")                \
    X(NOTIFY_DEFERRED, counter, "notifications_deferred_total", "Notifications held back by a limit of their channel") \
    X(NOTIFY_REFUSED, counter, "notifications_refused_total", "Attempts refused for the address they would reach")     \
    X(NOTIFY_FLYING, gauge, "notifications_in_flight", "Attempts under way")                                           \
    X(WEB_REQUESTS, counter, "http_requests_total", "REST requests answered")                                          \
    X(WEB_ERRORS, counter, "http_errors_total", "REST requests answered with 4xx or 5xx")                              \
    X(WEB_STREAMS, counter, "http_streams_total", "Answers of more rows than a page")                                  \
    X(WEB_STREAMS_CUT, counter, "http_streams_cut_total", "Such answers that broke off")                               \
    X(WEB_CONNECTIONS, gauge, "connections", "Open client connections")                                                \
    X(WEB_SESSIONS, gauge, "websocket_sessions", "Open WebSocket sessions")                                            \
    X(WEB_WATCHED, gauge, "watched_assets", "Assets that a session watches, counted once in each web worker")             \
    X(WEB_SENT, counter, "websocket_frames_total", "WebSocket frames sent")                                            \
    X(WEB_CONFLATED, counter, "websocket_conflated_total", "Updates replaced by a later one before they were sent")    \
    X(WEB_SLOW, counter, "websocket_slow_consumers_total", "Sessions closed because they did not read")                \
    X(WEB_ALERTS, counter, "websocket_alerts_total", "Alert frames sent")                                              \
    X(WEB_REFUSED, counter, "connections_refused_total", "Connections refused at the limit")                           \
    X(WEB_LOST, counter, "web_overrun_ticks_total", "Ticks that a web worker was overtaken by; it resyncs from slots") \
    X(REGION_BOOTS, gauge, "region_boots", "Supervisors that this region has had; over 1 it was taken over warm")      \
    X(REGION_BYTES, gauge, "region_bytes", "Shared memory, all of it reserved")                                        \
    X(REGION_LOCKED, gauge, "region_locked", "1 if the region is locked in memory")                                    \
    X(REGION_HUGE, gauge, "region_huge_pages", "1 if the region lies in huge pages")                                   \
    X(READERS_STUCK, counter, "stuck_readers_total", "Readers of shared memory that were killed because they held on")

enum px_stat {
#define PX_STAT_ENUM(NAME, kind, name, help) PX_STAT_##NAME,
    PX_STAT_TABLE(PX_STAT_ENUM)
#undef PX_STAT_ENUM
        PX_STATS
};

/*
 * How long requests take, as histograms. HANDLER: from the request's head to the last byte of the answer, in the thread that serves.
 * SERVER: from the client's bytes to the first bytes of the answer on their way back, in the loop that owns the socket: with both
 * hand-overs between threads, GET alone.
 */
#define PX_TIME_STAGE_TABLE(X)                                                                                         \
    X(HANDLER, "http_handler_seconds", "Time to serve a REST request, in its thread")                                  \
    X(SERVER, "http_server_seconds", "Time from a GET's bytes to those of its answer, at the public socket")

#define PX_TIME_CLASS_TABLE(X)                                                                                         \
    X(PRICE, "price")                                                                                                  \
    X(AVERAGE, "average") /* the live windows */                                                                       \
    X(HISTORY, "history") /* a page of candles, averages or ticks */                                                   \
    X(STREAM, "stream")   /* more than a page: to its end */                                                           \
    X(ALERTS, "alerts")                                                                                                \
    X(OTHER, "other")

enum px_time_stage {
#define PX_TIME_ENUM(NAME, name, help) PX_TIME_##NAME,
    PX_TIME_STAGE_TABLE(PX_TIME_ENUM)
#undef PX_TIME_ENUM
        PX_TIME_STAGES
};

enum px_time_class {
#define PX_TIME_ENUM(NAME, name) PX_TIME_##NAME,
    PX_TIME_CLASS_TABLE(PX_TIME_ENUM)
#undef PX_TIME_ENUM
        PX_TIME_CLASSES
};

#define PX_TIME_BOUNDS 31 /* 10 us to 1 s, six a decade */
extern const uint32_t px_time_bounds_us[PX_TIME_BOUNDS];

struct px_times {
    uint64_t count[PX_TIME_BOUNDS + 1], sum_ns; /* count: above the bound before it, up to its own; the last has none */
};

struct px_stats {
    _Alignas(PX_FALSE_SHARING) uint64_t value[PX_STATS];
    struct px_times times[PX_TIME_STAGES][PX_TIME_CLASSES];
};

struct px_stat_info {
    const char *kind, *name, *help;
};
extern const struct px_stat_info px_stat_infos[PX_STATS];

/* The owner of the role slot, from any of its threads. */
static inline void px_stat_add(struct px_stats *stats, enum px_stat stat, uint64_t n)
{
    __atomic_fetch_add(&stats->value[stat], n, __ATOMIC_RELAXED);
}

/* Likewise. */
void px_time_observe(struct px_stats *stats, enum px_time_stage stage, enum px_time_class class, int64_t took_ns);

static inline void px_stat_set(struct px_stats *stats, enum px_stat stat, uint64_t n)
{
    px_store_relaxed(&stats->value[stat], n);
}
