#include "store/reader.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "store/wire.h"

struct px_reader {
    struct sockaddr_un address;
    int fd; /* -1: not connected */
    uint32_t timeout_ms;
    uint64_t last_id;
    px_mono deadline; /* of the call under way */
    const void *extra; /* what follows the request of the call under way */
    size_t extra_len;
    struct px_wire_head turn_head; /* of the exchange under way */
    uint32_t turn_want;
};

/* Where the rows of an answer go: the caller's own array, so that nothing is copied twice and nothing grows. */
struct rows {
    void *at;
    size_t size;
    uint32_t max;
};

int px_reader_create(const char *data, struct px_reader **readerp)
{
    struct px_reader *reader = calloc(1, sizeof *reader);

    *readerp = NULL;
    if (!reader)
        return PX_E_MEMORY;
    reader->address.sun_family = AF_UNIX;
    int n = snprintf(reader->address.sun_path, sizeof reader->address.sun_path, "%s/%s", data, PX_KEEPER_SOCKET);
    if (n < 0 || (size_t)n >= sizeof reader->address.sun_path) {
        free(reader);
        return PX_E_TOO_LARGE;
    }
    reader->fd = -1;
    reader->timeout_ms = PX_READER_TIMEOUT_MS;
    *readerp = reader;
    return 0;
}

static void disconnect(struct px_reader *reader)
{
    if (reader->fd >= 0)
        close(reader->fd);
    reader->fd = -1;
}

void px_reader_destroy(struct px_reader **readerp)
{
    if (!*readerp)
        return;
    disconnect(*readerp);
    free(*readerp);
    *readerp = NULL;
}

void px_reader_timeout_set(struct px_reader *reader, uint32_t timeout_ms)
{
    reader->timeout_ms = timeout_ms;
}

static int64_t left_ns(const struct px_reader *reader)
{
    return px_mono_since(reader->deadline, px_mono_now());
}

/* PX_E_TIMEOUT at the deadline. */
static int wait_for(struct px_reader *reader, short events)
{
    for (;;) {
        struct pollfd poll_fd = {reader->fd, events, 0};
        int64_t left = left_ns(reader);
        struct timespec timeout = {left / PX_NS_PER_S, left % PX_NS_PER_S};

        if (left <= 0)
            return PX_E_TIMEOUT;
        if (ppoll(&poll_fd, 1, &timeout, NULL) > 0)
            return 0;
    }
}

/* One attempt. PX_E_CLOSED when there is no keeper right now. */
static int connect_once(struct px_reader *reader)
{
    if (reader->fd >= 0)
        return 0;
    reader->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (reader->fd < 0)
        return PX_E_SYSTEM;
    if (connect(reader->fd, (struct sockaddr *)&reader->address, sizeof reader->address) == 0)
        return 0;
    disconnect(reader); /* refused, no such file, or its backlog is full (EAGAIN) */
    return PX_E_CLOSED;
}

static int send_all(struct px_reader *reader, const void *bytes, size_t n)
{
    const char *at = bytes;

    while (n > 0) {
        ssize_t sent = send(reader->fd, at, n, MSG_NOSIGNAL);

        if (sent < 0 && errno == EAGAIN) {
            int error = wait_for(reader, POLLOUT);
            if (error)
                return error;
        } else if (sent < 0 && errno != EINTR) {
            return PX_E_CLOSED;
        } else if (sent > 0) {
            at += sent;
            n -= (size_t)sent;
        }
    }
    return 0;
}

static int receive_all(struct px_reader *reader, void *bytes, size_t n)
{
    char *at = bytes;

    while (n > 0) {
        ssize_t got = recv(reader->fd, at, n, 0);

        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return PX_E_CLOSED;
        if (got < 0) {
            int error = wait_for(reader, POLLIN);
            if (error)
                return error;
        } else {
            at += got;
            n -= (size_t)got;
        }
    }
    return 0;
}

static int receive_answer(struct px_reader *reader, const struct px_wire_head *asked, const struct rows *rows,
                          struct px_wire_answer *answer)
{
    struct px_wire_head head;
    int error = receive_all(reader, &head, sizeof head);

    if (error)
        return error;
    if (head.version != PX_WIRE_VERSION || head.kind != asked->kind || head.id != asked->id ||
        head.bytes < sizeof *answer || head.bytes > PX_WIRE_BODY_MAX)
        return PX_E_FORMAT;
    error = receive_all(reader, answer, sizeof *answer);
    if (error)
        return error;
    if (answer->count > rows->max || head.bytes != sizeof *answer + answer->count * rows->size)
        return PX_E_FORMAT;
    return receive_all(reader, rows->at, answer->count * rows->size);
}

static int send_request(struct px_reader *reader, enum px_wire_kind kind, const struct px_wire_request *request, struct px_wire_head *headp)
{
    char frame[sizeof *headp + sizeof *request];

    *headp = (struct px_wire_head){(uint32_t)(sizeof *request + reader->extra_len), PX_WIRE_VERSION, (uint16_t)kind, ++reader->last_id};
    memcpy(frame, headp, sizeof *headp);
    memcpy(frame + sizeof *headp, request, sizeof *request);
    int error = send_all(reader, frame, sizeof frame);
    return error ? error : send_all(reader, reader->extra, reader->extra_len);
}

/* One request over one connection; any failure leaves none behind, since a late answer must not meet the next request.
 */
static int ask_once(struct px_reader *reader, enum px_wire_kind kind, const struct px_wire_request *request,
                    const struct rows *rows, struct px_wire_answer *answer, bool *sentp)
{
    struct px_wire_head head;
    int error = connect_once(reader);

    if (error)
        return error;
    *sentp = true;
    error = send_request(reader, kind, request, &head);
    if (error == 0)
        error = receive_answer(reader, &head, rows, answer);
    if (error)
        disconnect(reader);
    return error;
}

static px_mono deadline_of(const struct px_reader *reader)
{
    px_mono deadline = px_mono_now();

    deadline.ns += reader->timeout_ms * PX_NS_PER_MS;
    return deadline;
}

/* Until an answer or the deadline. *againp: an earlier attempt may have taken effect before the connection was lost. */
static int ask(struct px_reader *reader, enum px_wire_kind kind, const struct px_wire_request *request,
               const struct rows *rows, struct px_wire_answer *answer, bool *againp)
{
    struct timespec pause = {0, 2 * PX_NS_PER_MS};
    bool sent = false;

    reader->deadline = deadline_of(reader);
    for (;;) {
        *againp = sent;
        int error = ask_once(reader, kind, request, rows, answer, &sent);

        if (error == 0)
            return answer->result;
        if (error != PX_E_CLOSED)
            return error;
        if (left_ns(reader) <= pause.tv_nsec)
            return sent ? PX_E_TIMEOUT : PX_E_CLOSED;
        nanosleep(&pause, NULL);
        pause.tv_nsec = PX_MIN(2 * pause.tv_nsec, 32 * (long)PX_NS_PER_MS);
    }
}

static const struct rows no_rows = {.size = 1};

static void set_owner(struct px_wire_request *request, const char *owner)
{
    if (owner)
        px_text_copy(request->alert.owner, sizeof request->alert.owner, px_text_of(owner));
}

static bool limit_ok(uint32_t limit)
{
    return limit > 0 && limit <= PX_PAGE_MAX;
}

int px_reader_ping(struct px_reader *reader)
{
    struct px_wire_request request;
    struct px_wire_answer answer;
    bool again;

    memset(&request, 0, sizeof request);
    return ask(reader, PX_WIRE_PING, &request, &no_rows, &answer, &again);
}

int px_reader_alert_create(struct px_reader *reader, const struct px_alert *alert, struct px_alert *storedp)
{
    struct px_wire_request request;
    struct px_wire_answer answer;
    struct rows rows = {.at = storedp, .size = sizeof *storedp, .max = 1};
    bool again;
    int result = px_alert_check(alert);

    if (result)
        return result;
    memset(&request, 0, sizeof request);
    request.alert = *alert;
    result = ask(reader, PX_WIRE_ALERT_CREATE, &request, &rows, &answer, &again);
    if ((result == 0 || result == PX_E_EXISTS) && answer.count != 1)
        return PX_E_FORMAT;
    return result == PX_E_EXISTS && again ? 0 : result; /* it was this very call that made it */
}

int px_reader_alert_get(struct px_reader *reader, const char *owner, struct px_alert_id id, struct px_alert *alertp)
{
    struct px_wire_request request;
    struct px_wire_answer answer;
    struct rows rows = {.at = alertp, .size = sizeof *alertp, .max = 1};
    bool again;

    memset(&request, 0, sizeof request);
    set_owner(&request, owner);
    request.alert.id = id;
    int result = ask(reader, PX_WIRE_ALERT_GET, &request, &rows, &answer, &again);
    return result == 0 && answer.count != 1 ? PX_E_FORMAT : result;
}

int px_reader_alert_delete(struct px_reader *reader, const char *owner, struct px_alert_id id, uint32_t version)
{
    struct px_wire_request request;
    struct px_wire_answer answer;
    bool again;

    memset(&request, 0, sizeof request);
    set_owner(&request, owner);
    request.alert.id = id;
    request.alert.version = version;
    int result = ask(reader, PX_WIRE_ALERT_DELETE, &request, &no_rows, &answer, &again);
    return result == PX_E_NOT_FOUND && again ? 0 : result; /* gone, by this very call */
}

int px_reader_alert_batch(struct px_reader *reader, const struct px_alert *alerts, uint32_t count, struct px_alert_result *results)
{
    struct rows rows = {.at = results, .size = sizeof *results, .max = count};
    struct px_wire_request request;
    struct px_wire_answer answer;
    bool again;

    if (count < 1 || count > PX_BATCH_MAX)
        return PX_E_INVALID;
    memset(&request, 0, sizeof request);
    request.range.limit = count;
    reader->extra = alerts;
    reader->extra_len = count * sizeof *alerts;
    int result = ask(reader, PX_WIRE_ALERT_BATCH, &request, &rows, &answer, &again);
    reader->extra = NULL;
    reader->extra_len = 0;
    if (result == 0 && answer.count != count)
        return PX_E_FORMAT;
    for (uint32_t i = 0; result == 0 && again && i < count; i++)
        if (results[i].result == PX_E_EXISTS) /* it was this very call that made it */
            results[i].result = 0;
    return result;
}

/* What its owner has chosen, in bytes that are equal when that is. */
static size_t wishes_of(const struct px_alert *alert, uint8_t bytes[PX_ALERT_ENCODED_MAX])
{
    struct px_alert only = *alert;

    only.state = PX_ALERT_ARMED;
    only.version = 0;
    only.created_ns = only.last_fired_ns = 0;
    only.fires = only.rearmed_fires = 0;
    return px_alert_encode(&only, bytes);
}

/* Does it stand as the call wanted it? */
static bool is_done(enum px_wire_kind kind, const struct px_alert *wanted, const struct px_alert *stored)
{
    uint8_t bytes[2][PX_ALERT_ENCODED_MAX];

    switch (kind) {
    case PX_WIRE_ALERT_UPDATE: {
        size_t len = wishes_of(wanted, bytes[0]);
        return len == wishes_of(stored, bytes[1]) && memcmp(bytes[0], bytes[1], len) == 0;
    }
    case PX_WIRE_ALERT_PAUSE:
        return stored->state == PX_ALERT_PAUSED;
    case PX_WIRE_ALERT_RESUME:
        return stored->state != PX_ALERT_PAUSED && stored->state != PX_ALERT_EXPIRED;
    default: /* rearm */
        return stored->state != PX_ALERT_PAUSED && stored->rearmed_fires == stored->fires;
    }
}

/* A refusal for the version may be this very call's own doing, before its connection was lost. But a fire gives a new version too: so what stands
 * there must be what was asked for. */
static int look_again(struct px_reader *reader, enum px_wire_kind kind, const struct px_alert *wanted, int refusal, struct px_alert *storedp)
{
    int result = px_reader_alert_get(reader, wanted->owner, wanted->id, storedp);

    return result == 0 && !is_done(kind, wanted, storedp) ? refusal : result;
}

int px_reader_alert_update(struct px_reader *reader, const struct px_alert *changed, struct px_alert *storedp)
{
    struct rows rows = {.at = storedp, .size = sizeof *storedp, .max = 1};
    struct px_wire_request request;
    struct px_wire_answer answer;
    bool again;
    int result = px_alert_check(changed);

    if (result)
        return result;
    memset(&request, 0, sizeof request);
    request.alert = *changed;
    result = ask(reader, PX_WIRE_ALERT_UPDATE, &request, &rows, &answer, &again);
    if (result == PX_E_PRECONDITION && again)
        return look_again(reader, PX_WIRE_ALERT_UPDATE, changed, result, storedp);
    return result == 0 && answer.count != 1 ? PX_E_FORMAT : result;
}

static int act(struct px_reader *reader, enum px_wire_kind kind, const char *owner, struct px_alert_id id, uint32_t version,
               struct px_alert *storedp)
{
    struct rows rows = {.at = storedp, .size = sizeof *storedp, .max = 1};
    struct px_wire_request request;
    struct px_wire_answer answer;
    bool again;

    memset(&request, 0, sizeof request);
    set_owner(&request, owner);
    request.alert.id = id;
    request.alert.version = version;
    int result = ask(reader, kind, &request, &rows, &answer, &again);
    if (again && version != 0 && (result == PX_E_PRECONDITION || result == PX_E_CONFLICT))
        return look_again(reader, kind, &request.alert, result, storedp);
    return result == 0 && answer.count != 1 ? PX_E_FORMAT : result;
}

int px_reader_alert_pause(struct px_reader *reader, const char *owner, struct px_alert_id id, uint32_t version, struct px_alert *storedp)
{
    return act(reader, PX_WIRE_ALERT_PAUSE, owner, id, version, storedp);
}

int px_reader_alert_resume(struct px_reader *reader, const char *owner, struct px_alert_id id, uint32_t version, struct px_alert *storedp)
{
    return act(reader, PX_WIRE_ALERT_RESUME, owner, id, version, storedp);
}

int px_reader_alert_rearm(struct px_reader *reader, const char *owner, struct px_alert_id id, uint32_t version, struct px_alert *storedp)
{
    return act(reader, PX_WIRE_ALERT_REARM, owner, id, version, storedp);
}

int px_reader_alert_list(struct px_reader *reader, const struct px_alert_query *query, struct px_alert *alerts,
                         uint32_t *countp, bool *morep, struct px_alert_cursor *nextp)
{
    struct px_wire_request request;
    struct px_wire_answer answer;
    struct rows rows = {.at = alerts, .size = sizeof *alerts, .max = query->limit};
    bool again;

    if (!limit_ok(query->limit))
        return PX_E_INVALID;
    memset(&request, 0, sizeof request);
    set_owner(&request, query->owner);
    if (query->symbol && !px_text_copy(request.alert.symbol, PX_SYMBOL_SIZE, px_text_of(query->symbol)))
        return PX_E_INVALID;
    if (query->tag && !px_text_copy(request.alert.tags[0], PX_ALERT_TAG_SIZE, px_text_of(query->tag)))
        return PX_E_INVALID;
    request.alert.state = (uint8_t)query->state;
    request.range.limit = query->limit;
    request.after = query->after;
    int result = ask(reader, PX_WIRE_ALERT_LIST, &request, &rows, &answer, &again);
    if (result)
        return result;
    *countp = answer.count;
    *morep = answer.more;
    *nextp = answer.next_alert;
    return 0;
}

int px_reader_events(struct px_reader *reader, const struct px_event_query *query, struct px_alert_event *events,
                     uint32_t *countp, bool *morep)
{
    struct px_wire_request request;
    struct px_wire_answer answer;
    struct rows rows = {.at = events, .size = sizeof *events, .max = query->limit};
    bool again;

    if (!limit_ok(query->limit))
        return PX_E_INVALID;
    memset(&request, 0, sizeof request);
    set_owner(&request, query->owner);
    request.alert.id = query->alert;
    request.since = query->since;
    request.range.limit = query->limit;
    request.range.descending = query->descending;
    int result = ask(reader, PX_WIRE_EVENTS, &request, &rows, &answer, &again);
    if (result)
        return result;
    *countp = answer.count;
    *morep = answer.more;
    return 0;
}

static int ask_range(struct px_reader *reader, enum px_wire_kind kind, struct px_wire_request *request,
                     const struct rows *rows, struct px_page *pagep, int64_t *priorp)
{
    struct px_wire_answer answer;
    bool again;

    if (!limit_ok(request->range.limit))
        return PX_E_INVALID;
    int result = ask(reader, kind, request, rows, &answer, &again);
    if (result)
        return result;
    *pagep = (struct px_page){answer.count, answer.more, answer.next, answer.final_ns, answer.position};
    if (priorp)
        *priorp = answer.prior;
    return 0;
}

int px_reader_candles(struct px_reader *reader, px_asset_id asset, uint32_t interval_s, bool partial,
                      const struct px_range *range, struct px_candle *candles, struct px_page *pagep, int64_t *priorp)
{
    struct px_wire_request request;
    struct rows rows = {.at = candles, .size = sizeof *candles, .max = range->limit};

    memset(&request, 0, sizeof request);
    request.asset = asset;
    request.interval_s = interval_s;
    request.flag = partial;
    request.range = *range;
    return ask_range(reader, PX_WIRE_CANDLES, &request, &rows, pagep, priorp);
}

int px_reader_ticks(struct px_reader *reader, px_asset_id asset, bool quarantined, const struct px_range *range,
                    struct px_trade *trades, struct px_page *pagep)
{
    struct px_wire_request request;
    struct rows rows = {.at = trades, .size = sizeof *trades, .max = range->limit};

    memset(&request, 0, sizeof request);
    request.asset = asset;
    request.flag = quarantined;
    request.range = *range;
    return ask_range(reader, PX_WIRE_TICKS, &request, &rows, pagep, NULL);
}

/* ---- imports ---- */

#define IMPORT_TIMEOUT_MS 30000

static int import(struct px_reader *reader, px_asset_id asset, uint32_t interval_s, const void *at, size_t size,
                  uint32_t count, struct px_import_report *reportp)
{
    struct px_wire_request request;
    struct px_wire_answer answer;
    struct rows rows = {reportp, sizeof *reportp, 1};
    uint32_t timeout_ms = reader->timeout_ms;
    bool again;

    if (count == 0 || count > PX_IMPORT_MAX)
        return PX_E_INVALID;
    memset(&request, 0, sizeof request);
    request.asset = asset;
    request.interval_s = interval_s;
    reader->extra = at;
    reader->extra_len = count * size;
    reader->timeout_ms = IMPORT_TIMEOUT_MS;
    int result = ask(reader, PX_WIRE_IMPORT, &request, &rows, &answer, &again);
    reader->extra_len = 0;
    reader->timeout_ms = timeout_ms;
    return result == 0 && answer.count != 1 ? PX_E_FORMAT : result;
}

int px_reader_import_trades(struct px_reader *reader, px_asset_id asset, const struct px_trade *trades, uint32_t count,
                            struct px_import_report *reportp)
{
    return import(reader, asset, 0, trades, sizeof *trades, count, reportp);
}

int px_reader_import_candles(struct px_reader *reader, px_asset_id asset, uint32_t interval_s,
                             const struct px_candle *candles, uint32_t count, struct px_import_report *reportp)
{
    return import(reader, asset, interval_s, candles, sizeof *candles, count, reportp);
}

/* ---- channels and deliveries ---- */

static void ask_about(struct px_wire_request *request, const char *owner, struct px_alert_id id)
{
    memset(request, 0, sizeof *request);
    set_owner(request, owner);
    request->alert.id = id;
}

/* A request whose good answer is one row. */
static int ask_one(struct px_reader *reader, enum px_wire_kind kind, const struct px_wire_request *request, void *rowp,
                   size_t size, bool *againp)
{
    struct px_wire_answer answer;
    struct rows rows = {.at = rowp, .size = size, .max = 1};
    int result = ask(reader, kind, request, &rows, &answer, againp);

    return (result == 0 || result == PX_E_EXISTS) && answer.count != 1 ? PX_E_FORMAT : result;
}

int px_reader_channel_put(struct px_reader *reader, const struct px_channel *channel, struct px_channel *storedp)
{
    struct px_wire_request request;
    bool again;
    int result = px_channel_check(channel);

    if (result)
        return result;
    ask_about(&request, channel->owner, channel->id);
    request.channel = *channel;
    result = ask_one(reader, PX_WIRE_CHANNEL_PUT, &request, storedp, sizeof *storedp, &again);
    return result == PX_E_EXISTS && again ? 0 : result;
}

int px_reader_channel_get(struct px_reader *reader, const char *owner, struct px_alert_id id, struct px_channel *channelp)
{
    struct px_wire_request request;
    bool again;

    ask_about(&request, owner, id);
    return ask_one(reader, PX_WIRE_CHANNEL_GET, &request, channelp, sizeof *channelp, &again);
}

int px_reader_channel_delete(struct px_reader *reader, const char *owner, struct px_alert_id id, uint32_t version)
{
    struct px_wire_request request;
    struct px_wire_answer answer;
    bool again;

    ask_about(&request, owner, id);
    request.alert.version = version;
    int result = ask(reader, PX_WIRE_CHANNEL_DELETE, &request, &no_rows, &answer, &again);
    return result == PX_E_NOT_FOUND && again ? 0 : result;
}

/* A page of rows in order of owner and id. */
static int ask_list(struct px_reader *reader, enum px_wire_kind kind, const char *owner, const struct px_alert_cursor *after,
                    const struct rows *rows, uint32_t *countp, bool *morep, struct px_alert_cursor *nextp)
{
    struct px_wire_request request;
    struct px_wire_answer answer;
    bool again;

    if (!limit_ok(rows->max))
        return PX_E_INVALID;
    ask_about(&request, owner, (struct px_alert_id){0, 0});
    request.after = *after;
    request.range.limit = rows->max;
    int result = ask(reader, kind, &request, rows, &answer, &again);
    if (result)
        return result;
    *countp = answer.count;
    *morep = answer.more;
    *nextp = answer.next_alert;
    return 0;
}

int px_reader_channel_list(struct px_reader *reader, const char *owner, const struct px_alert_cursor *after, uint32_t limit,
                           struct px_channel *channels, uint32_t *countp, bool *morep, struct px_alert_cursor *nextp)
{
    struct rows rows = {.at = channels, .size = sizeof *channels, .max = limit};

    return ask_list(reader, PX_WIRE_CHANNEL_LIST, owner, after, &rows, countp, morep, nextp);
}

int px_reader_channel_test(struct px_reader *reader, const char *owner, struct px_alert_id id, struct px_delivery *madep)
{
    struct px_wire_request request;
    bool again;

    ask_about(&request, owner, id);
    return ask_one(reader, PX_WIRE_CHANNEL_TEST, &request, madep, sizeof *madep, &again);
}

int px_reader_alert_test(struct px_reader *reader, const char *owner, struct px_alert_id alert, struct px_alert_id channel,
                         struct px_delivery *madep)
{
    struct px_wire_request request;
    bool again;

    ask_about(&request, owner, alert);
    request.channel.id = channel;
    return ask_one(reader, PX_WIRE_ALERT_TEST, &request, madep, sizeof *madep, &again);
}

int px_reader_delivery_get(struct px_reader *reader, const char *owner, uint64_t number, struct px_delivery *deliveryp)
{
    struct px_wire_request request;
    bool again;

    ask_about(&request, owner, (struct px_alert_id){0, 0});
    request.since = number;
    return ask_one(reader, PX_WIRE_DELIVERY_GET, &request, deliveryp, sizeof *deliveryp, &again);
}

int px_reader_delivery_list(struct px_reader *reader, const char *owner, enum px_delivery_state state, uint64_t before,
                            uint32_t limit, struct px_delivery *list, uint32_t *countp, bool *morep, uint64_t *nextp)
{
    struct px_wire_request request;
    struct px_wire_answer answer;
    struct rows rows = {.at = list, .size = sizeof *list, .max = limit};
    bool again;

    if (!limit_ok(limit))
        return PX_E_INVALID;
    ask_about(&request, owner, (struct px_alert_id){0, 0});
    request.alert.state = (uint8_t)state;
    request.since = before;
    request.range.limit = limit;
    int result = ask(reader, PX_WIRE_DELIVERY_LIST, &request, &rows, &answer, &again);
    if (result)
        return result;
    *countp = answer.count;
    *morep = answer.more;
    *nextp = (uint64_t)answer.prior;
    return 0;
}

int px_reader_delivery_replay(struct px_reader *reader, const char *owner, uint64_t number, struct px_delivery *nowp)
{
    struct px_wire_request request;
    bool again;

    ask_about(&request, owner, (struct px_alert_id){0, 0});
    request.since = number;
    int result = ask_one(reader, PX_WIRE_DELIVERY_REPLAY, &request, nowp, sizeof *nowp, &again);
    return result == PX_E_EXISTS && again ? 0 : result;
}

int px_reader_delivery_replay_dead(struct px_reader *reader, const char *owner, uint32_t *countp, bool *morep)
{
    struct px_wire_request request;
    struct px_wire_answer answer;
    bool again;

    ask_about(&request, owner, (struct px_alert_id){0, 0});
    int result = ask(reader, PX_WIRE_DELIVERY_REPLAY_DEAD, &request, &no_rows, &answer, &again);
    if (result)
        return result;
    *countp = (uint32_t)answer.prior;
    *morep = answer.more;
    return 0;
}

int px_reader_silence_put(struct px_reader *reader, const struct px_silence *silence, struct px_silence *storedp)
{
    struct px_wire_request request;
    bool again;
    int result = px_silence_check(silence);

    if (result)
        return result;
    ask_about(&request, silence->owner, silence->id);
    request.silence = *silence;
    result = ask_one(reader, PX_WIRE_SILENCE_PUT, &request, storedp, sizeof *storedp, &again);
    return result == PX_E_EXISTS && again ? 0 : result;
}

int px_reader_silence_get(struct px_reader *reader, const char *owner, struct px_alert_id id, struct px_silence *silencep)
{
    struct px_wire_request request;
    bool again;

    ask_about(&request, owner, id);
    return ask_one(reader, PX_WIRE_SILENCE_GET, &request, silencep, sizeof *silencep, &again);
}

int px_reader_silence_delete(struct px_reader *reader, const char *owner, struct px_alert_id id)
{
    struct px_wire_request request;
    struct px_wire_answer answer;
    bool again;

    ask_about(&request, owner, id);
    int result = ask(reader, PX_WIRE_SILENCE_DELETE, &request, &no_rows, &answer, &again);
    return result == PX_E_NOT_FOUND && again ? 0 : result;
}

int px_reader_silence_list(struct px_reader *reader, const char *owner, const struct px_alert_cursor *after, uint32_t limit,
                           struct px_silence *silences, uint32_t *countp, bool *morep, struct px_alert_cursor *nextp)
{
    struct rows rows = {.at = silences, .size = sizeof *silences, .max = limit};

    return ask_list(reader, PX_WIRE_SILENCE_LIST, owner, after, &rows, countp, morep, nextp);
}

int px_reader_turn_begin(struct px_reader *reader, const struct px_turn *turn)
{
    struct px_wire_request request;

    if (turn->count > PX_REPORTS_MAX || turn->want > PX_JOBS_MAX)
        return PX_E_INVALID;
    ask_about(&request, NULL, (struct px_alert_id){0, 0});
    request.turn = *turn;
    reader->deadline = deadline_of(reader);
    reader->turn_want = turn->want;
    int error = connect_once(reader);
    if (!error)
        error = send_request(reader, PX_WIRE_NOTIFY_TURN, &request, &reader->turn_head);
    if (error)
        disconnect(reader);
    return error;
}

int px_reader_turn_fd(const struct px_reader *reader)
{
    return reader->fd;
}

int px_reader_turn_end(struct px_reader *reader, struct px_job *jobs, uint32_t *countp)
{
    struct rows rows = {.at = jobs, .size = sizeof *jobs, .max = reader->turn_want};
    struct px_wire_answer answer;

    reader->deadline = deadline_of(reader);
    int error = receive_answer(reader, &reader->turn_head, &rows, &answer);
    if (error)
        disconnect(reader);
    *countp = error || answer.result ? 0 : answer.count;
    return error ? error : answer.result;
}

void px_reader_turn_cancel(struct px_reader *reader)
{
    disconnect(reader);
}
