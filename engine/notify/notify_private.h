/*
 * Inside engine/notify/. One thread, which owns libcurl and has two exchanges with the keeper, waiting for neither:
 *
 *   keeper.sock ◄──── "I have room": the answer comes when something is due ────► jobs.c
 *        ▲                                                      jobs │   ▲ reports
 *        └──────── reports, some at a time ──────────────────────────┼───┤
 *                                                                    ▼   │
 *                                            gates.c ──► flights.c (libcurl multi)
 *                                        limits of a       body.c sign.c    webhook
 *                                          channel         mail.c           e-mail
 *                                                          push.c           web push
 *
 * Nothing durable lives here: what this process holds is leased from the keeper, and comes again when it dies.
 */
#pragma once

#include <curl/curl.h>

#include "base/clock.h"
#include "engine/heritage.h"
#include "store/reader.h"

#define PXI_FLIGHTS      256  /* attempts under way */
#define PXI_FLIGHTS_EACH 16   /* of them to one channel, so that a dead receiver leaves room for the others */
#define PXI_GATES        1024 /* channels whose pace is known; the one longest unused is forgotten */
#define PXI_WAITING      1024 /* jobs that wait here for a flight of their channel to land */
#define PXI_WAITING_EACH 512  /* of them for one channel: what a busy machine brings at once is sent without going back to the keeper */
#define PXI_REPORTS      (2 * PXI_FLIGHTS + PXI_WAITING)
#define PXI_BODY_MAX     8192
#define PXI_REPLY_MAX    (64 * 1024)
#define PXI_DEADLINE_MS  5000

/* ---- gates.c: how fast a channel may be told ---- */

struct pxi_gate {
    struct px_alert_id channel; /* {0, 0}: free */
    int64_t used_ns;            /* wall; for forgetting */
    int64_t closed_until_ns;    /* wall; what the receiver asked for, or its last failures */
    int64_t tokens_ns;          /* time saved up: a notification costs 60 s / per_minute */
    uint32_t flying, failures;  /* attempts under way; failures in a row */
    uint32_t waiting;           /* jobs in notify's list */
};

struct pxi_gates {
    struct pxi_gate gate[PXI_GATES];
};

/* The channel's gate, made when it is new. NULL when all of them have attempts under way. */
struct pxi_gate *pxi_gate_of(struct pxi_gates *gates, struct px_alert_id channel, int64_t now_ns);

#define PXI_CROWDED (-1) /* it may go as soon as one of the channel's flights has landed */

/* 0: it may go, and is counted; PXI_CROWDED; else when to ask again (wall). per_minute 0: no bound. */
int64_t pxi_gate_pass(struct pxi_gate *gate, uint32_t per_minute, int64_t now_ns);

/* ---- flights.c ---- */

struct pxi_flight {
    CURL *easy; /* kept over flights, with its settings made anew for each */
    struct curl_slist *headers;
    struct pxi_notify *notify;
    struct px_job job;
    bool used, sent; /* sent: what the receiver answers is this attempt's */
    int64_t began_ns;
    px_mono began;
    size_t reply_len, body_len, body_sent;
    bool refused; /* by its address */
    char signature[104];
    char body[PXI_BODY_MAX + 512];
    char error[CURL_ERROR_SIZE];
};

/* A push service's key pair of ours: VAPID. */
struct pxi_vapid {
    void *key;           /* EVP_PKEY; NULL: no web push */
    char public_key[96]; /* base64url, as browsers want it */
};

/* With the keeper, over a connection of its own. */
struct pxi_exchange {
    struct px_reader *reader;
    struct px_turn turn;
    bool under_way;
    px_mono since; /* it began; when it is not under way, it ended */
    int64_t rest_ns; /* since then, before the next one */
};

struct pxi_waiting {
    uint64_t number; /* of the delivery */
    uint16_t place;
};

struct pxi_notify {
    const struct px_heritage *heritage;
    struct px_stats *stats;
    CURLM *multi;
    struct pxi_gates gates;
    struct pxi_vapid vapid;
    char smtp_password[128];
    struct pxi_flight flight[PXI_FLIGHTS];
    unsigned flying;
    struct px_report report[PXI_REPORTS]; /* for the keeper, in order */
    unsigned reports;
    struct pxi_waiting waiting[PXI_WAITING]; /* in the order in which they came */
    unsigned waiting_count;
    struct px_job place[PXI_WAITING]; /* jobs are large, so they stay where they are while the list above moves up */
    uint16_t free_place[PXI_WAITING]; /* PXI_WAITING - waiting_count of them */
    struct pxi_exchange claims, reporting;
    struct px_job jobs[PX_JOBS_MAX];
    bool fresh; /* no lease is known here */
};

int pxi_flights_init(struct pxi_notify *notify);
void pxi_flights_fini(struct pxi_notify *notify);
void pxi_flight_start(struct pxi_notify *notify, const struct px_job *job);
void pxi_flights_collect(struct pxi_notify *notify); /* those that have ended, into reports */
bool pxi_flight_has(const struct pxi_notify *notify, uint64_t number);

/* ---- jobs.c: between the keeper and the flights ---- */

/* Begins and ends exchanges, and starts what they bring. Never waits long. */
void pxi_jobs_turn(struct pxi_notify *notify);
/* Where news of the keeper will come from; returns how many of them. Up to 2. */
unsigned pxi_jobs_wait(const struct pxi_notify *notify, struct curl_waitfd fds[2], int *timeout_msp);
void pxi_jobs_init(struct pxi_notify *notify);
void pxi_jobs_resume(struct pxi_notify *notify); /* starts what has waited long enough */
void pxi_report(struct pxi_notify *notify, const struct px_report *report);

/* ---- what is sent ---- */

/*
 * The notification in JSON, or the rendered message; returns the length, 0 when it does not fit. *jsonp: it is JSON. Where the list of
 * fires does not fit, their number has to do.
 */
size_t pxi_body_write(const struct pxi_notify *notify, const struct px_job *job, char *body, size_t size, bool *jsonp);

/* No alert stands behind it. */
bool pxi_is_bare(const struct px_job *job);

/* What a notification says that no alert has caused: a test, or the code by which the channel's owner shows that it is read. */
#define PXI_TEST_SIZE 64
void pxi_test_message(const struct px_channel *channel, char to[PXI_TEST_SIZE]);

/* Whole mails: headers and text. Returns the length, 0 when it does not fit. */
size_t pxi_mail_write(const struct pxi_notify *notify, const struct px_job *job, int64_t now_ns, char *to, size_t size);

/* Reads or makes <data>/vapid.pem, and tells browsers' key in <data>/vapid.pub. */
int pxi_vapid_open(const char *data, struct pxi_vapid *vapid);
void pxi_vapid_close(struct pxi_vapid *vapid);
/* "Authorization: vapid t=…, k=…" for the push service of `endpoint`. */
int pxi_vapid_header(const struct pxi_vapid *vapid, const char *subject, const char *endpoint, int64_t now_s, char *to,
                     size_t size);
