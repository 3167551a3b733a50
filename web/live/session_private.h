/* What hub, sessions and encoders share. */
#pragma once

#include "web/live/session.h"

#include <jansson.h>
#include <urcu/list.h>

/* name in the protocol; the first PXI_PER_ASSET have symbols */
#define PXI_CHANNEL_TABLE(X)                                                                                           \
    X(TICKER, "ticker")                                                                                                \
    X(TRADE, "trade")                                                                                                  \
    X(OHLC, "ohlc")                                                                                                    \
    X(AVG, "avg")                                                                                                      \
    X(ALERTS, "alerts")                                                                                                \
    X(STATUS, "status")                                                                                                \
    X(HEARTBEAT, "heartbeat")

enum pxi_channel {
#define PXI_CHANNEL_ENUM(NAME, name) PXI_##NAME,
    PXI_CHANNEL_TABLE(PXI_CHANNEL_ENUM)
#undef PXI_CHANNEL_ENUM
        PXI_CHANNELS,
    PXI_PER_ASSET = PXI_ALERTS
};

#define PXI_TRADE_LOG    64  /* trades kept per asset that somebody follows */
#define PXI_TRADE_FRAME  25  /* trades in one frame */
#define PXI_TRADE_TEXT   288 /* one trade in JSON */
#define PXI_TAIL_SIZE    PX_SESSION_MESSAGE_MAX
#define PXI_OWNER_CHAINS 1024

/* One session's interest in one channel of one asset. */
struct pxi_sub {
    struct px_session *session;
    struct pxi_sub *next_dirty;
    uint64_t sent; /* version of the asset's channel that the session has */
    px_asset_id asset;
    uint32_t index; /* in the asset's list */
    uint8_t channel;
    bool dirty;    /* in the session's list */
    bool snapshot; /* the next frame is one */
    bool watches;  /* it is the one that counts its session among the asset's watchers */
    bool dead;     /* unsubscribed while dirty: freed when the list comes to it */
};

struct pxi_sub_list {
    struct pxi_sub **at;
    uint32_t count, size;
};

struct pxi_trade_log {
    uint64_t first; /* number of the first trade that it had room for */
    uint16_t len[PXI_TRADE_LOG];
    char text[PXI_TRADE_LOG][PXI_TRADE_TEXT]; /* trade number n lies at n % PXI_TRADE_LOG */
};

/* The end of a frame, encoded once per asset and round, shared by all who get it. */
struct pxi_tail {
    char *text;
    uint32_t len, size;
    uint64_t version; /* that it was made from; 0 = none yet */
    px_mono made_at;  /* `stale` changes without a tick, so an old one is made again */
};

struct pxi_asset {
    struct pxi_sub_list subs[PXI_PER_ASSET];
    struct pxi_tail tail[PXI_PER_ASSET];
    uint64_t version[PXI_PER_ASSET]; /* how often the channel changed; of trade: the number of trades */
    struct pxi_trade_log *trades;    /* NULL while nobody follows them */
    uint64_t trade_from;             /* first trade in tail[PXI_TRADE] */
    uint64_t average_seen;           /* version of the slot at the last look */
    uint32_t candle_seen;            /* likewise */
    bool fresh;                      /* in hub->fresh */
    int64_t day_count;               /* trades of the day that the evaluator knew of when the ticker was encoded */
    bool unsettled;                  /* a ticker was encoded lately: the evaluator may have been behind */
    bool polled;                     /* in hub->polled */
};

/* An alert's frame without its head, shared by the sessions of its owner. */
struct pxi_alert_text {
    uint32_t refs, len;
    uint64_t eseq;
    char text[];
};

/* What a session that follows alerts has besides. */
struct pxi_alert_queue {
    struct cds_list_head chain; /* in hub->owners */
    struct px_session *session;
    uint64_t eseq;     /* of the newest that was queued; 0 = unknown */
    uint64_t asked_at; /* hub->eseq when the replay was asked for */
    bool behind;       /* the store must fill a gap before live events may be queued */
    bool asked;        /* and is on it */
    unsigned head, count;
    struct pxi_alert_text *at[PX_SESSION_ALERTS_MAX];
};

enum pxi_place { PXI_NOWHERE, PXI_READY, PXI_DELAYED };

struct px_session {
    struct cds_list_head all;   /* in hub->sessions, longest untouched first */
    struct cds_list_head queue; /* in hub->ready or hub->delayed, as `place` says */
    struct px_hub *hub;
    const struct px_session_sink *sink;
    void *connection;
    uint64_t id, seq;
    enum pxi_place place;
    bool closed;
    bool blocked; /* wanted to send and the sink had no room */
    px_mono blocked_since, sent_at, touched_at;
    char owner[PX_LIVE_OWNER_SIZE]; /* "" = not authenticated */
    unsigned scopes, auth_failures;
    int64_t tokens_milli; /* requests that it may still make, in thousandths */
    px_mono tokens_at;
    unsigned over_rate;
    struct pxi_sub **table; /* open addressing by asset and channel */
    uint32_t sub_count, table_size;
    struct pxi_sub *dirty, **dirty_end;
    struct pxi_alert_queue *alerts; /* NULL = not subscribed */
};

struct px_hub {
    struct px_hub_options options;
    struct pxi_asset *assets;
    uint32_t asset_count;
    struct px_stats *stats;
    struct cds_list_head sessions, ready, delayed;
    struct cds_list_head owners[PXI_OWNER_CHAINS];
    uint64_t next_id, eseq;
    uint64_t tick_position, event_position;
    uint32_t tick_subs; /* of tickers and trades: without any the tick ring is passed over */
    int64_t gather_ns;
    px_mono now, poll_at;
    px_asset_id *polled;
    uint32_t polled_count, polled_size;
    px_asset_id *fresh; /* assets of the batch in hand */
    char epoch[24];
    char head[128];
    char scratch[32 * 1024];
    struct px_tick ticks[1024];
};

extern const char *const pxi_channel_names[PXI_CHANNELS];

/* --- hub.c: subscriptions --- */
struct pxi_sub *pxi_sub_find(const struct px_session *session, px_asset_id asset, enum pxi_channel channel);
int pxi_sub_add(struct px_session *session, px_asset_id asset, enum pxi_channel channel, struct pxi_sub **subp);
void pxi_sub_remove(struct pxi_sub *sub);
void pxi_subs_clear(struct px_session *session);
void pxi_sub_mark(struct pxi_sub *sub);
void pxi_ticker_made(struct px_hub *hub, px_asset_id asset, int64_t day_count);

/* --- hub_serve.c: who is served when --- */
void pxi_session_wake(struct px_session *session);  /* has something to send */
void pxi_session_serve(struct px_session *session); /* sends it, as far as there is room */
void pxi_session_unqueue(struct px_session *session);
void pxi_session_close(struct px_session *session, unsigned code, const char *reason);
bool pxi_session_say(struct px_session *session, struct px_text head, struct px_text tail);
void pxi_session_sent(struct px_session *session); /* flushes and notes the time */
bool pxi_session_frame(struct px_session *session, enum pxi_channel channel, bool snapshot, struct px_text tail);
bool pxi_hub_serve(struct px_hub *hub, unsigned slice); /* true: more are ready */
void pxi_hub_timers(struct px_hub *hub);
int64_t pxi_hub_next_timer(struct px_hub *hub);

/* --- encode.c: the end of a frame, from `,"data":` on; hub->scratch or the asset's shared text --- */
struct px_text pxi_encode_tail(struct px_hub *hub, px_asset_id asset, enum pxi_channel channel);
struct px_text pxi_encode_trades(struct px_hub *hub, px_asset_id asset, uint64_t from, uint64_t to);
void pxi_trade_note(struct px_hub *hub, const struct px_tick *tick);
struct pxi_alert_text *pxi_encode_alert(struct px_hub *hub, const struct px_alert_event *event);
struct px_text pxi_encode_status(struct px_hub *hub, const char *system, uint64_t connection,
                                 uint32_t reconnect_after_ms);
uint64_t pxi_asset_sseq(const struct px_hub *hub, px_asset_id asset);

/* --- alerts.c --- */
int pxi_alerts_subscribe(struct px_session *session, bool resume, uint64_t since);
void pxi_alerts_unsubscribe(struct px_session *session);
bool pxi_alerts_read(struct px_hub *hub);          /* the event ring; true = more */
bool pxi_alerts_serve(struct px_session *session); /* false = no room */
void pxi_alerts_catch_up(struct px_session *session);

/* --- session_methods.c --- */
void pxi_session_request(struct px_session *session, struct px_text text);
