/* What the loop, its connections, relays and helper threads share. */
#pragma once

#include "net/ws.h"
#include "shm/wait.h"
#include "web/live/live.h"
#include "web/live/session.h"
#include "web/times.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <urcu/list.h>

#define PXI_GATHER_ROOM (32 * 1024) /* of frames in one send */
#define PXI_GATHER_SIZE                                                                                                \
    (PXI_GATHER_ROOM + PX_SESSION_MESSAGE_MAX * 5) /* and an answer that came without asking for room */
#define PXI_RELAY_BUFFER (64 * 1024)

/*
 * What a connection is:
 *
 *   HEAD ── upgrade on /ws/v1, /v2 ──► WS ── close ──► CLOSING ──┐
 *     ├──── any other request ───────► RELAY ────────────────────┼──► dead, freed at the end of the turn
 *     └──── refused ─────────────────► LINGER ───────────────────┘
 */
enum pxi_kind { PXI_HEAD, PXI_WS, PXI_CLOSING, PXI_RELAY, PXI_LINGER, PXI_KINDS };

/* One direction of a relay. */
struct pxi_pipe {
    char *bytes; /* PXI_RELAY_BUFFER when there are any */
    size_t at, len;
    bool ended; /* the source will send no more */
    bool shut;  /* and the destination has been told */
};

struct pxi_conn {
    struct cds_list_head timer; /* in live->by_kind[kind], the earliest deadline first; or in live->dead */
    struct px_live *live;
    enum pxi_kind kind;
    bool dead;
    px_mono deadline;
    struct px_stream *stream; /* HEAD, RELAY, LINGER */
    uint32_t watched;         /* epoll events of the client's socket */
    char *head;               /* HEAD: PX_HTTP_HEAD_MAX bytes from the first read on */
    size_t head_len;
    struct px_ws *ws; /* WS, CLOSING */
    struct px_session *session;
    struct px_stream *upstream; /* RELAY */
    uint32_t upstream_watched;
    struct pxi_pipe up, down;
    px_mono asked; /* RELAY: the GET under way came in; 0: none is */
    enum px_time_class asked_class;
};

struct pxi_replay;

struct px_live {
    struct px_live_options options;
    int listen_fd, epoll_fd, wake_fd, replay_fd;
    uint16_t port;
    struct px_hub *hub;
    struct px_stats *stats;
    pthread_t loop_thread, waker_thread;
    struct pxi_replay *replay;
    struct cds_list_head by_kind[PXI_KINDS], dead;
    uint32_t count, sessions; /* connections */
    px_mono now, accept_again_at;
    bool accepting;
    bool draining;
    px_mono drain_until;
    px_mono measured_at; /* pressure: since when, and the thread's processor time then */
    int64_t cpu_ns;
    struct pxi_conn *gatherer; /* whose frames lie in `gather` */
    size_t gather_len;
    char gather[PXI_GATHER_SIZE];
    char relay[PXI_RELAY_BUFFER];
    /* Written by one thread, read by others. */
    uint32_t idle;         /* the loop sleeps or is about to; taken by the waker, which then signals */
    uint32_t wants_ticks;  /* the loop: somebody follows them */
    uint32_t waker_sleeps; /* a word of shm/wait.h */
    uint32_t stop;         /* 1 = drain, 2 = the waker shall end */
    uint32_t drain_ms;     /* before `stop` */
    int64_t turned_ns;
};

/* --- connection.c --- */
void pxi_conn_accept(struct px_live *live);
void pxi_conn_event(struct pxi_conn *conn, bool upstream, uint32_t events);
void pxi_conn_timers(struct px_live *live);
void pxi_conn_kill(struct pxi_conn *conn); /* now of no more use; freed by pxi_conn_bury */
void pxi_conn_bury(struct px_live *live);
void pxi_conn_kill_all(struct px_live *live);
void pxi_conn_refuse(struct pxi_conn *conn, int status);
void pxi_conn_become(struct pxi_conn *conn, enum pxi_kind kind); /* and its deadline starts */
void pxi_conn_watch(struct pxi_conn *conn, uint32_t events);
void pxi_watch(struct px_live *live, int fd, uint32_t *watchedp, uint32_t events, uint64_t data);

/* --- websocket.c --- */
void pxi_ws_start(struct pxi_conn *conn, const struct px_http_head *request, struct px_text rest);
void pxi_ws_event(struct pxi_conn *conn);
void pxi_ws_tend(struct pxi_conn *conn); /* its ping is due */

/* --- relay.c --- */
void pxi_relay_start(struct pxi_conn *conn, struct px_text bytes);
void pxi_relay_event(struct pxi_conn *conn);

/* --- waker.c: sleeps on the rings and wakes the loop --- */
void *pxi_waker_run(void *live);

/* --- replay.c: asks the keeper on a thread of its own --- */
int pxi_replay_start(struct px_live *live, struct pxi_replay **replayp);
void pxi_replay_stop(struct pxi_replay **replayp);
bool pxi_replay_ask(void *live, uint64_t session, const char *owner, uint64_t since);
void pxi_replay_collect(struct px_live *live); /* replay_fd is readable */
