/*
 * What goes over <data>/keeper.sock (SOCK_STREAM): a frame is a struct px_wire_head and `bytes` bytes of body. Requests
 * have one fixed body for all kinds; answers have an answer struct and then rows. Both ends are one binary on one
 * machine, so structs go as they lie in memory; `version` refuses an end that was built otherwise. A peer that breaks a
 * rule is disconnected. An IMPORT has its rows behind the fixed body: px_trade, or px_candle if interval_s is given; a
 * batch its records, range.limit of them.
 */
#pragma once

#include "store/reader.h"

#define PX_WIRE_VERSION  3
#define PX_WIRE_BODY_MAX (4 * 1024 * 1024)
#define PX_KEEPER_SOCKET "keeper.sock"

/* kind, row type of the answer */
#define PX_WIRE_TABLE(X)                                                                                               \
    X(PING, char)                                                                                                      \
    X(ALERT_CREATE, struct px_alert)                                                                                   \
    X(ALERT_GET, struct px_alert)                                                                                      \
    X(ALERT_DELETE, char)                                                                                              \
    X(ALERT_UPDATE, struct px_alert)                                                                                   \
    X(ALERT_PAUSE, struct px_alert)                                                                                    \
    X(ALERT_RESUME, struct px_alert)                                                                                   \
    X(ALERT_REARM, struct px_alert)                                                                                    \
    X(ALERT_LIST, struct px_alert)                                                                                     \
    X(EVENTS, struct px_alert_event)                                                                                   \
    X(CANDLES, struct px_candle)                                                                                       \
    X(TICKS, struct px_trade)                                                                                          \
    X(IMPORT, struct px_import_report)                                                                                 \
    X(CHANNEL_PUT, struct px_channel)                                                                                  \
    X(CHANNEL_GET, struct px_channel)                                                                                  \
    X(CHANNEL_DELETE, char)                                                                                            \
    X(CHANNEL_LIST, struct px_channel)                                                                                 \
    X(CHANNEL_TEST, struct px_delivery)                                                                                \
    X(ALERT_TEST, struct px_delivery)                                                                                  \
    X(DELIVERY_GET, struct px_delivery)                                                                                \
    X(DELIVERY_LIST, struct px_delivery)                                                                               \
    X(DELIVERY_REPLAY, struct px_delivery)                                                                             \
    X(DELIVERY_REPLAY_DEAD, char)                                                                                      \
    X(NOTIFY_TURN, struct px_job)                                                                                      \
    X(SILENCE_PUT, struct px_silence)                                                                                  \
    X(SILENCE_GET, struct px_silence)                                                                                  \
    X(SILENCE_DELETE, char)                                                                                            \
    X(SILENCE_LIST, struct px_silence)                                                                                 \
    X(ALERT_BATCH, struct px_alert_result)

enum px_wire_kind {
    PX_WIRE_NONE,
#define PX_WIRE_ENUM(NAME, row) PX_WIRE_##NAME,
    PX_WIRE_TABLE(PX_WIRE_ENUM)
#undef PX_WIRE_ENUM
        PX_WIRE_KINDS
};

struct px_wire_head {
    uint32_t bytes; /* of the body */
    uint16_t version;
    uint16_t kind; /* enum px_wire_kind; an answer repeats it */
    uint64_t id;   /* of the request; an answer repeats it */
};
_Static_assert(sizeof(struct px_wire_head) == 16, "a frame's head");

/* Body of every request; what a kind does not need is zero. */
struct px_wire_request {
    struct px_alert
        alert; /* create: the record; else id, owner ("" = anybody), symbol, tags[0], state as filters, version;
               channels and deliveries use id, owner, state and version in the same way, `since` is a delivery's number */
    struct px_alert_cursor after;
    struct px_range range; /* limit for lists too */
    uint64_t since;
    px_asset_id asset;
    uint32_t interval_s;
    bool flag; /* candles: partial; ticks: quarantined */
    union {
        struct px_channel channel; /* put: the record */
        struct px_turn turn;
        struct px_silence silence; /* put: the record */
    };
};

/* Opens every answer; `count` rows follow, aligned for the widest member of any. */
struct px_wire_answer {
    _Alignas(16) int32_t result; /* 0 or PX_E_* */
    uint32_t count;
    bool more;
    struct px_cursor next;
    struct px_alert_cursor next_alert;
    int64_t prior, final_ns;
    uint64_t position;
};
_Static_assert(sizeof(struct px_wire_answer) % 16 == 0, "rows follow aligned");
