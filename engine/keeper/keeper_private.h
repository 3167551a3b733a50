/*
 * Inside engine/keeper/. One main thread that writes, one server thread that reads and talks to the web workers, one
 * that syncs history:
 *
 *   tick ring ──► history.c ──► hist/ ◄───────────── reads ┐
 *   hit queues ─► judge.c ────► alerts/ ─► tell.c ─► event ring   server.c ◄──► keeper.sock
 *                 masses.c ───┘
 *   tasks ──────► tasks.c ────► alerts/                          (alert writes go to the main thread as tasks)
 *   start ──────► seeds.c ────► seed queue
 */
#pragma once

#include <pthread.h>

#include "engine/heritage.h"
#include "engine/keeper/minutes.h"
#include "match/book.h"
#include "store/armed.h"
#include "store/deliveries.h"
#include "store/hist.h"
#include "store/space.h"
#include "store/wire.h"

#define PXI_TICK_BATCH 1024
#define PXI_HITS       4096 /* in one group */
#define PXI_TELL_MAX   512  /* events told at once */
#define PXI_TASKS      256  /* alert writes under way */

/* ---- history.c: ticks into rows ---- */

struct pxi_series {
    struct px_minutes minutes;
    struct px_hist_last last; /* newest counted trade, for seeds */
    bool known, dirty;        /* last is something; rows on disk are older than this */
    bool seeds;               /* the next three are from before this region's first tick */
    int64_t seed_price;
    struct px_candle seed_day, seed_minute; /* count 0: none */
};

struct pxi_history {
    struct px_hist *hist;
    struct pxi_series *series; /* per asset */
    int64_t *final_ns;         /* per asset, as committed; the server thread reads it */
    uint32_t assets;
    uint64_t position, generation; /* in the tick ring */
    uint64_t readable; /* position, of what the server thread can read */
    px_mono flushed, trimmed;
    px_asset_id flush_at; /* the next asset to flush */
    uint64_t committed; /* batches, for the syncing thread */
    struct px_tick tick[PXI_TICK_BATCH];
};

/* ---- tasks.c: an alert write, from the server thread to the main thread and back ---- */

enum pxi_task_state {
    PXI_TASK_FREE,
    PXI_TASK_QUEUED,
    PXI_TASK_COMMITTING,
    PXI_TASK_DONE
};

struct pxi_task {
    enum pxi_task_state state;
    unsigned client; /* of the server, and which of those that had the place */
    uint32_t serial;
    px_mono since;   /* it has been waiting */
    uint64_t behind; /* of its alert's levels: what had been told when it was looked at first, + 1; 0: not yet */
    struct px_wire_head head;
    struct px_wire_request request;
    struct px_alert *batch; /* records that came with the request, range.limit of them; whoever takes the finished task frees them */
    struct px_alert stored; /* answered, of an alert */
    void *rows;             /* answered, of anything else; whoever takes the finished task frees it */
    uint32_t row_count;
    bool more;
    int64_t prior;
    int result;
    bool parked; /* notify's, which waits for something to be due */
};

/* FIFO of task numbers, as large as there are tasks. */
struct pxi_fifo {
    uint16_t number[PXI_TASKS];
    unsigned first, count;
};

struct pxi_tasks {
    pthread_mutex_t lock; /* of the two lists below and of free tasks; never held over disk or network */
    struct pxi_fifo queued, done;
    struct pxi_task task[PXI_TASKS];
    uint32_t news;    /* wake word of the main thread */
    int done_fd;      /* eventfd: wakes the server thread */
    enum px_space space;
    px_mono looked; /* at the disk */
    struct pxi_task *parked; /* one at most; in no list */
    px_mono parked_until;
};

/* ---- seeds.c: what a new evaluator has to know ---- */

enum pxi_stream { PXI_STREAM_NONE, PXI_STREAM_RESET, PXI_STREAM_SEED, PXI_STREAM_READY };

struct pxi_seeds {
    enum pxi_stream stream;
    uint32_t served; /* incarnation of the evaluator; 0 = none */
    uint32_t asset;  /* next to be seeded */
};

/* ---- hits.c: the hit queues of all evaluators as one ---- */

struct pxi_hits {
    struct px_queue *queue[PX_EVALUATORS_MAX];
    uint64_t position[PX_EVALUATORS_MAX]; /* of the next hit that is to be looked at */
    unsigned count, hand;                 /* ; whose turn it is */
    uint32_t stage;                       /* how far the hit that was given last has been, px_book_apply */
};

void pxi_hits_init(struct pxi_hits *hits, const struct px_shm *shm);
void pxi_hits_resume(struct pxi_hits *hits, const struct px_alerts_checkpoint *checkpoint);
void pxi_hits_note(const struct pxi_hits *hits, struct px_alerts_checkpoint *checkpoint);
bool pxi_hits_next(struct pxi_hits *hits, struct px_hit *hit); /* the same again until it is passed */
uint64_t pxi_hits_pass(struct pxi_hits *hits);                 /* returns its queue's position behind it */
void pxi_hits_consume(struct pxi_hits *hits);                  /* what has been passed */
bool pxi_hits_wait(const struct pxi_hits *hits);               /* some have not been looked at */
bool pxi_hits_queued(const struct pxi_hits *hits);             /* or not consumed */
void pxi_hits_await(const struct pxi_hits *hits, struct px_wait_set *set);
/* May there be hits of the asset that are not newer than the values of this position, and would bring others? Looks at `most`. */
bool pxi_hits_older(const struct pxi_hits *hits, px_asset_id asset, uint64_t position, unsigned most);

/* ---- judge.c ---- */

struct pxi_heard { /* a hit of the group: its series is heard up to here once it is durable */
    px_asset_id asset;
    uint32_t series;
    uint64_t position;
};

struct pxi_judge {
    struct px_book *book;
    unsigned heard_count, first_told;
    struct pxi_heard heard[PXI_HITS];
    struct px_hit hit;
    struct px_alert *list; /* of those that expire */
    px_mono expired;
};

/* ---- masses.c: hits that are worked off in slices ---- */

struct pxi_mass;
struct pxi_masses {
    struct pxi_mass **first, **last; /* per asset, in their order */
    px_asset_id *busy;               /* assets that have some */
    unsigned busy_count, hand;       /* ; whose turn it is */
    uint32_t count;
    uint64_t number;          /* of the newest */
    struct pxi_mass *current; /* in px_book_apply */
    px_mono worked;           /* the last slice */
};

/* ---- depth.c: what waits where, for everybody to see ---- */

struct pxi_depth {
    struct px_pool_owner pool;
    uint32_t *dirty; /* asset * PX_SERIES + series, those whose blocks are behind */
    bool *queued;    /* one a series of an asset: stands in `dirty` */
    uint32_t dirty_count, dirty_size;
    px_mono published;
    bool owned;
};

/* import.c: from the server thread to the main thread and back; `state` says whose the rest is. */
struct pxi_import {
    uint32_t state, count, at;
    struct px_wire_request request;
    void *rows; /* px_trade, or px_candle with an interval */
    struct px_import_report report;
    int result;
};

struct pxi_server; /* server.c */

struct pxi_syncer { /* syncer.c */
    struct pxi_history *history;
    pthread_t thread;
    bool running, stop, failed;
};

struct pxi_keeper {
    const struct px_heritage *heritage;
    struct px_shm *shm;
    struct px_stats *stats;
    struct px_names *names;
    struct px_alerts *alerts;
    struct pxi_history history;
    struct pxi_tasks tasks;
    struct pxi_seeds seeds[PX_EVALUATORS_MAX];
    struct pxi_hits hits;
    struct pxi_judge judge;
    struct pxi_masses masses;
    struct pxi_depth depth;
    struct pxi_import import;
    struct pxi_syncer syncer;
    struct pxi_server *server;
    struct px_alert_event *events; /* PXI_TELL_MAX */
    struct px_job *jobs;           /* PX_JOBS_MAX, for claims */
    bool released; /* the leases of before this keeper */
};

/* Each turn does a bounded piece of work. > 0: there was some; 0: none; PX_E_*: the store failed and the process must
 * end. */
int pxi_history_init(struct pxi_keeper *keeper);
void pxi_history_fini(struct pxi_keeper *keeper);
int pxi_history_turn(struct pxi_keeper *keeper);
/* Commits what an import has put; minutes up to newest_ns are final then. */
int pxi_history_imported(struct pxi_keeper *keeper, px_asset_id asset, int64_t newest_ns);

/* Server thread: takes the rows if 0. PX_E_AGAIN, PX_E_INVALID. */
size_t pxi_import_row_size(const struct px_wire_request *request);
int pxi_import_submit(struct pxi_keeper *keeper, const struct px_wire_request *request, void **rowsp, uint32_t count);
bool pxi_import_take(struct pxi_keeper *keeper, int *resultp, struct px_import_report *reportp); /* it is over */
bool pxi_import_queued(const struct pxi_keeper *keeper);
int pxi_import_turn(struct pxi_keeper *keeper);

int pxi_history_flush(struct pxi_keeper *keeper, bool everything); /* open minutes; else at most once a second */

/* Opens the alerts, and all that stands on them. */
int pxi_judge_init(struct pxi_keeper *keeper);
void pxi_judge_fini(struct pxi_keeper *keeper);
int pxi_judge_turn(struct pxi_keeper *keeper);
int pxi_judge_expire(struct pxi_keeper *keeper);
int pxi_judge_tend(struct pxi_keeper *keeper); /* windows that are not loaded yet, or run short */
int pxi_judge_commit(struct pxi_keeper *keeper, bool sync); /* the group under way, with the checkpoint */
/* Places the alert, as it stands in the group, by present values; takes it out of the index. */
int pxi_judge_arm(struct pxi_keeper *keeper, const struct px_alert *alert);
int pxi_judge_disarm(struct pxi_keeper *keeper, const struct px_alert *alert);

/* There are hits of the asset to be worked off, or fires that the rows of its alerts do not know of: who changes one of them waits. */
bool pxi_judge_unsettled(const struct pxi_keeper *keeper, px_asset_id asset);
bool pxi_judge_waits(const struct pxi_keeper *keeper); /* a hit that has not been looked at */
/* The hit's series is heard up to the position once the group is durable. */
void pxi_judge_heard(struct pxi_keeper *keeper, const struct px_hit *hit, uint64_t behind);

int pxi_masses_init(struct pxi_keeper *keeper);
int pxi_masses_finish_old(struct pxi_keeper *keeper);
void pxi_masses_fini(struct pxi_keeper *keeper);
bool pxi_masses_busy(const struct pxi_keeper *keeper, px_asset_id asset);
bool pxi_masses_room(const struct pxi_keeper *keeper);
/* Into the group under way. */
int pxi_masses_add(struct pxi_keeper *keeper, const struct px_hit *hit, uint32_t stage, uint64_t behind);
void pxi_masses_note(struct pxi_keeper *keeper); /* before a commit: how far the present one has been */
int pxi_masses_turn(struct pxi_keeper *keeper);
int pxi_masses_finish(struct pxi_keeper *keeper, px_asset_id asset); /* all of that asset, at once. Commits */

int pxi_tell_init(struct pxi_keeper *keeper);
void pxi_tell_fini(struct pxi_keeper *keeper);
int pxi_tell_turn(struct pxi_keeper *keeper, unsigned most);

int pxi_depth_init(struct pxi_keeper *keeper);
void pxi_depth_fini(struct pxi_keeper *keeper);
void pxi_depth_touch(struct pxi_keeper *keeper, px_asset_id asset, unsigned series);
int pxi_depth_turn(struct pxi_keeper *keeper);

int pxi_seeds_turn(struct pxi_keeper *keeper);

int pxi_tasks_init(struct pxi_keeper *keeper);
void pxi_tasks_fini(struct pxi_keeper *keeper);
int pxi_tasks_turn(struct pxi_keeper *keeper);
bool pxi_tasks_queued(struct pxi_tasks *tasks);
bool pxi_is_write(unsigned kind); /* enum px_wire_kind: goes to the main thread */
bool pxi_answers_alert(unsigned kind);
/* Server thread: PX_E_AGAIN when there are too many already. Takes *batchp, or leaves it. */
int pxi_task_submit(struct pxi_tasks *tasks, const struct px_wire_head *head, const struct px_wire_request *request,
                    struct px_alert **batchp, unsigned client, uint32_t serial);
bool pxi_task_take(struct pxi_tasks *tasks, struct pxi_task *taskp); /* a finished one */
void pxi_task_finish(struct pxi_tasks *tasks, struct pxi_task *task, int result); /* main thread: it is answered */
/* notices.c: writes of channels and deliveries, as part of the group under way. */
bool pxi_is_notice(unsigned kind);
int pxi_notice_put(struct pxi_keeper *keeper, struct pxi_task *task);
/* Gives what is due to the exchange that waits for it. Between two groups. */
int pxi_claims_turn(struct pxi_keeper *keeper);
void pxi_notice_render(void *ctx, const struct px_alert *alert, const struct px_alert_event *event,
                       char message[PX_ALERT_MESSAGE_SIZE]);
int pxi_notice_read(const struct pxi_keeper *keeper, unsigned kind, const struct px_wire_request *request, void *rows,
                    struct px_wire_answer *answer);

int pxi_syncer_start(struct pxi_syncer *syncer, struct pxi_history *history);
void pxi_syncer_stop(struct pxi_syncer *syncer);

/* The thread that serves <data>/keeper.sock. */
int pxi_server_create(struct pxi_keeper *keeper, struct pxi_server **serverp);
void pxi_server_destroy(struct pxi_server **serverp);

/* Kills the process at the place and count that PX_CRASH_AT="name:count" names; a test enumerates them. Else nothing.
 */
void pxi_crash_point(const char *name);
