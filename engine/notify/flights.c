/*
 * Attempts under way, by libcurl's multi interface: connections are kept, HTTP/2 is used where it is offered. Every socket is checked when
 * it is opened, with the address that the kernel will be given: names, rebinding and spellings make no difference to it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/log.h"
#include "engine/notify/backoff.h"
#include "engine/notify/notify_private.h"
#include "engine/notify/push.h"
#include "engine/notify/sign.h"
#include "engine/notify/target.h"

#define CONNECT_MS  3000
#define KEEP_ALIVE  256 /* connections, idle ones too */
#define CLOSED_MOST 60  /* seconds that failures in a row close a gate at most */

/* ---- libcurl's callbacks ---- */

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct pxi_flight *flight = ctx;
    const struct px_config_notify *config = &flight->notify->heritage->config->notify;

    if (purpose != CURLSOCKTYPE_IPCXN || !px_target_allowed(&address->addr, config->allowed, config->allowed_count)) {
        flight->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* A reply says little that is of use; it is counted and dropped. */
static size_t take_reply(char *bytes, size_t size, size_t n, void *ctx)
{
    struct pxi_flight *flight = ctx;

    (void)bytes;
    flight->reply_len += size * n;
    return flight->reply_len > PXI_REPLY_MAX ? 0 : size * n;
}

static size_t give_mail(char *to, size_t size, size_t n, void *ctx)
{
    struct pxi_flight *flight = ctx;
    size_t len = PX_MIN(size * n, flight->body_len - flight->body_sent);

    memcpy(to, flight->body + flight->body_sent, len);
    flight->body_sent += len;
    return len;
}

/* ---- setting out ---- */

static void add_header(struct pxi_flight *flight, const char *format, const char *value)
{
    char line[768];

    if (snprintf(line, sizeof line, format, value) >= (int)sizeof line)
        return;
    struct curl_slist *more = curl_slist_append(flight->headers, line);
    PX_CHECK(more != NULL);
    flight->headers = more;
}

static void set_common(struct pxi_flight *flight)
{
    CURL *easy = flight->easy;

    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, flight);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, flight->error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* whatever the environment says */
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)PXI_DEADLINE_MS);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_reply);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, flight);
}

/* Everything by HTTP: no redirects, no other protocols, no cookies, no address that is not checked. */
static void set_http(struct pxi_flight *flight)
{
    const char *ca_file = flight->notify->heritage->config->notify.ca_file;
    CURL *easy = flight->easy;

    curl_easy_setopt(easy, CURLOPT_URL, flight->job.channel.target);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, flight);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "pxengine");
    if (ca_file[0])
        curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, flight->body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)flight->body_len);
    add_header(flight, "%s", "Expect:");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, flight->headers);
}

static const char *set_webhook(struct pxi_flight *flight)
{
    const struct px_channel *channel = &flight->job.channel;
    char name[PX_DELIVERY_NAME_SIZE], timestamp[24];
    int64_t now_s = flight->began_ns / PX_NS_PER_S;
    bool json;

    flight->body_len = pxi_body_write(flight->notify, &flight->job, flight->body, PXI_BODY_MAX, &json);
    struct px_text body = {flight->body, flight->body_len};
    px_delivery_name(&flight->job.delivery, name);
    snprintf(timestamp, sizeof timestamp, "%lld", (long long)now_s);
    flight->signature[0] = '\0';
    if (flight->body_len == 0 || px_webhook_sign(channel->secret, name, now_s, body, flight->signature))
        return "the notification cannot be signed";
    if (channel->before[0] && flight->began_ns < channel->rotated_ns + PX_SECRET_OVERLAP_NS)
        px_webhook_sign(channel->before, name, now_s, body, flight->signature);
    add_header(flight, "Content-Type: %s", json ? "application/json" : "text/plain; charset=utf-8");
    add_header(flight, "webhook-id: %s", name);
    add_header(flight, "webhook-timestamp: %s", timestamp);
    add_header(flight, "webhook-signature: %s", flight->signature);
    set_http(flight);
    return NULL;
}

static const char *set_push(struct pxi_flight *flight)
{
    const struct px_channel *channel = &flight->job.channel;
    const struct px_push_keys keys = {.p256dh = channel->p256dh, .auth = channel->auth};
    char text[PX_PUSH_MAX + 1], authorization[700], ttl[16];
    bool json;

    if (!flight->notify->vapid.key)
        return "the configuration has no notify.vapid";
    size_t len = pxi_body_write(flight->notify, &flight->job, text, sizeof text, &json);
    if (len == 0 || px_push_encrypt(&keys, (struct px_text){text, len}, (uint8_t *)flight->body,
                                    sizeof flight->body, &flight->body_len))
        return "the subscription's keys cannot be used";
    if (pxi_vapid_header(&flight->notify->vapid, flight->notify->heritage->config->notify.vapid_subject, channel->target,
                         flight->began_ns / PX_NS_PER_S, authorization, sizeof authorization))
        return "the subscription's endpoint cannot be used";
    snprintf(ttl, sizeof ttl, "%u", channel->ttl_s);
    add_header(flight, "%s", authorization);
    add_header(flight, "%s", "Content-Encoding: aes128gcm");
    add_header(flight, "%s", "Content-Type: application/octet-stream");
    add_header(flight, "%s", "Urgency: high");
    add_header(flight, "TTL: %s", ttl);
    set_http(flight);
    return NULL;
}

/* The mail server is the operator's choice, so its address is not checked. */
static const char *set_mail(struct pxi_flight *flight)
{
    const struct px_config_smtp *smtp = &flight->notify->heritage->config->notify.smtp;
    CURL *easy = flight->easy;

    if (!smtp->url[0] || !smtp->from[0])
        return "the configuration has no notify.smtp";
    flight->body_len = pxi_mail_write(flight->notify, &flight->job, flight->began_ns, flight->body, sizeof flight->body);
    if (flight->body_len == 0)
        return "the mail is too long";
    flight->headers = curl_slist_append(flight->headers, flight->job.channel.target);
    PX_CHECK(flight->headers != NULL);
    curl_easy_setopt(easy, CURLOPT_URL, smtp->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(easy, CURLOPT_USE_SSL, (long)CURLUSESSL_TRY);
    if (smtp->ca_file[0])
        curl_easy_setopt(easy, CURLOPT_CAINFO, smtp->ca_file);
    if (smtp->user[0]) {
        curl_easy_setopt(easy, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
        curl_easy_setopt(easy, CURLOPT_USERNAME, smtp->user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, flight->notify->smtp_password);
    }
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, smtp->from);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, flight->headers);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_mail);
    curl_easy_setopt(easy, CURLOPT_READDATA, flight);
    return NULL;
}

/* NULL, or why nothing can be sent to this channel, today or later. */
static const char *set_out(struct pxi_flight *flight)
{
    set_common(flight);
    switch (flight->job.channel.type) {
    case PX_CHANNEL_WEBHOOK:
        return set_webhook(flight);
    case PX_CHANNEL_EMAIL:
        return set_mail(flight);
    case PX_CHANNEL_WEBPUSH:
        return set_push(flight);
    default:
        return "a channel of an unknown type";
    }
}

/* ---- coming back ---- */

/* What the end of an attempt means. */
struct landing {
    long status;
    const char *error; /* NULL: it was taken */
    bool hopeless, gone, slow;
    int64_t retry_after_ns;
};

static struct landing judge_http(struct pxi_flight *flight, CURLcode code)
{
    struct landing landing = {.error = "the receiver answered with an error"};
    curl_off_t retry_after = 0;

    curl_easy_getinfo(flight->easy, CURLINFO_RESPONSE_CODE, &landing.status);
    curl_easy_getinfo(flight->easy, CURLINFO_RETRY_AFTER, &retry_after);
    landing.retry_after_ns = PX_MIN((int64_t)retry_after, 86400) * PX_NS_PER_S;
    landing.slow = landing.status == 429 || landing.status == 502 || landing.status == 504;
    landing.gone = landing.status == 410 || (landing.status == 404 && flight->job.channel.type == PX_CHANNEL_WEBPUSH);
    if (landing.status >= 200 && landing.status < 300)
        landing.error = NULL;
    else if (landing.status >= 300 && landing.status < 400)
        landing.error = "redirects are not followed";
    else if (landing.gone)
        landing.error = "the receiver wants no more";
    if (code != CURLE_OK)
        landing.error = flight->reply_len > PXI_REPLY_MAX ? "the reply is too long" : curl_easy_strerror(code);
    return landing;
}

static struct landing judge(struct pxi_flight *flight, CURLcode code)
{
    struct landing landing = {.error = curl_easy_strerror(code)};

    if (flight->refused && code != CURLE_OK) {
        px_stat_add(flight->notify->stats, PX_STAT_NOTIFY_REFUSED, 1);
        landing.error = "the address is not a public one";
        return landing;
    }
    if (flight->job.channel.type != PX_CHANNEL_EMAIL)
        return judge_http(flight, code);
    curl_easy_getinfo(flight->easy, CURLINFO_RESPONSE_CODE, &landing.status);
    if (code == CURLE_OK)
        landing.error = NULL;
    landing.hopeless = code != CURLE_OK && landing.status >= 500 && landing.status < 600;
    return landing;
}

static uint64_t chance(void)
{
    uint64_t bits;

    PX_CHECK(getrandom(&bits, sizeof bits, 0) == sizeof bits);
    return bits;
}

/* A receiver that fails is left alone for a while by all that is meant for it: one probe a pause, not a crowd. */
static void close_gate(struct pxi_notify *notify, const struct pxi_flight *flight, const struct landing *landing,
                       int64_t now_ns, int64_t until_ns)
{
    struct pxi_gate *gate = pxi_gate_of(&notify->gates, flight->job.channel.id, now_ns);

    if (!gate)
        return;
    gate->flying -= gate->flying > 0;
    gate->failures = landing->error ? gate->failures + 1 : 0;
    if (landing->error && (landing->retry_after_ns > 0 || landing->slow || gate->failures >= 5))
        gate->closed_until_ns = PX_MIN(until_ns, now_ns + CLOSED_MOST * PX_NS_PER_S);
    else if (!landing->error)
        gate->closed_until_ns = 0;
}

static enum px_outcome outcome_of(const struct landing *landing, const struct px_delivery *delivery, int64_t due_ns)
{
    if (!landing->error)
        return PX_OUTCOME_DELIVERED;
    return landing->hopeless || landing->gone || due_ns > delivery->expires_ns ? PX_OUTCOME_DEAD : PX_OUTCOME_AGAIN;
}

static void count(struct pxi_notify *notify, enum px_outcome outcome)
{
    px_stat_add(notify->stats,
                outcome == PX_OUTCOME_DELIVERED ? PX_STAT_NOTIFY_DELIVERED
                : outcome == PX_OUTCOME_DEAD    ? PX_STAT_NOTIFY_DEAD
                                                : PX_STAT_NOTIFY_FAILED,
                1);
}

static void land(struct pxi_flight *flight, const struct landing *landing)
{
    struct pxi_notify *notify = flight->notify;
    const struct px_delivery *delivery = &flight->job.delivery;
    int64_t now_ns = px_wall_now();
    struct px_backoff backoff = {delivery->attempts + 1, landing->retry_after_ns, landing->slow};
    struct px_report report = {.number = delivery->number,
                               .attempt = delivery->attempts + 1,
                               .gone = landing->gone,
                               .due_ns = now_ns + (landing->error ? px_backoff_ns(&backoff, chance()) : 0)};

    report.outcome = (uint16_t)outcome_of(landing, delivery, report.due_ns);
    report.what.time_ns = flight->began_ns;
    report.what.latency_us = (uint32_t)PX_MIN(px_mono_since(px_mono_now(), flight->began) / PX_NS_PER_US, UINT32_MAX);
    report.what.status = (int32_t)landing->status;
    px_text_copy(report.what.error, sizeof report.what.error, px_text_of(landing->error ? landing->error : ""));
    close_gate(notify, flight, landing, now_ns, report.due_ns);
    count(notify, (enum px_outcome)report.outcome);
    pxi_report(notify, &report);
    curl_slist_free_all(flight->headers);
    flight->headers = NULL;
    flight->used = false;
    notify->flying--;
}

static struct pxi_flight *free_flight(struct pxi_notify *notify)
{
    for (unsigned i = 0; i < PXI_FLIGHTS; i++)
        if (!notify->flight[i].used)
            return &notify->flight[i];
    return NULL;
}

void pxi_flight_start(struct pxi_notify *notify, const struct px_job *job)
{
    struct pxi_flight *flight = free_flight(notify);

    PX_CHECK(flight != NULL); /* no more are claimed than there is room for */
    if (!flight->easy)
        flight->easy = curl_easy_init();
    PX_CHECK(flight->easy != NULL);
    flight->notify = notify;
    flight->job = *job;
    flight->used = true;
    flight->refused = false;
    flight->reply_len = flight->body_len = flight->body_sent = 0;
    flight->began_ns = px_wall_now();
    flight->began = px_mono_now();
    notify->flying++;
    px_stat_add(notify->stats, PX_STAT_NOTIFY_SENT, 1);
    struct landing stillborn = {.error = set_out(flight), .hopeless = true};
    if (stillborn.error)
        land(flight, &stillborn);
    else
        PX_CHECK(curl_multi_add_handle(notify->multi, flight->easy) == CURLM_OK);
}

void pxi_flights_collect(struct pxi_notify *notify)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(notify->multi, &left)) != NULL) {
        struct pxi_flight *flight = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &flight);
        struct landing landing = judge(flight, code);
        curl_multi_remove_handle(notify->multi, flight->easy);
        land(flight, &landing);
    }
}

bool pxi_flight_has(const struct pxi_notify *notify, uint64_t number)
{
    for (unsigned i = 0; i < PXI_FLIGHTS; i++)
        if (notify->flight[i].used && notify->flight[i].job.delivery.number == number)
            return true;
    return false;
}

int pxi_flights_init(struct pxi_notify *notify)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return PX_E_SYSTEM;
    notify->multi = curl_multi_init();
    if (!notify->multi)
        return PX_E_MEMORY;
    curl_multi_setopt(notify->multi, CURLMOPT_MAXCONNECTS, (long)KEEP_ALIVE);
    curl_multi_setopt(notify->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)PXI_FLIGHTS);
    curl_multi_setopt(notify->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    return 0;
}

void pxi_flights_fini(struct pxi_notify *notify)
{
    for (unsigned i = 0; i < PXI_FLIGHTS; i++) {
        struct pxi_flight *flight = &notify->flight[i];

        if (flight->used)
            curl_multi_remove_handle(notify->multi, flight->easy);
        curl_slist_free_all(flight->headers);
        curl_easy_cleanup(flight->easy);
    }
    if (notify->multi)
        curl_multi_cleanup(notify->multi);
}
