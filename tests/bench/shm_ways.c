#include "tests/bench/shm_ways.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/bench/shm_resp.h"

#define MESSAGE "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$64\r\n"

struct way_end {
    enum way way;
    const struct way_stage *stage;
    struct resp *resp;
    uint64_t position; /* in the ring */
    uint64_t free_to;  /* the producer: positions below it may be written without looking at cursors */
    unsigned number;
    struct px_wait_set set;
    char last_id[32]; /* in the stream */
};

const char *way_name(enum way way)
{
    static const char *const names[] = {
#define WAY_NAME(NAME, name) name,
        WAYS(WAY_NAME)
#undef WAY_NAME
    };

    return names[way];
}

static bool is_streams(enum way way)
{
    return way == WAY_STREAMS_UNIX || way == WAY_STREAMS_TCP;
}

static struct resp *connect_to(const struct way_stage *stage, enum way way)
{
    return resp_open(stage->unix_path, way == WAY_PUBSUB_TCP || way == WAY_STREAMS_TCP ? stage->port : 0);
}

void way_reset(const struct way_stage *stage, enum way way)
{
    struct resp *resp;

    if (way == WAY_RING)
        return;
    resp = connect_to(stage, way);
    resp_command(resp, 1, &PX_TEXT("FLUSHALL"));
    resp_flush(resp);
    resp_number(resp);
    resp_close(resp);
}

static struct way_end *open_end(const struct way_stage *stage, enum way way)
{
    struct way_end *end = calloc(1, sizeof(*end));

    PX_CHECK(end);
    end->way = way;
    end->stage = stage;
    if (way != WAY_RING)
        end->resp = connect_to(stage, way);
    return end;
}

struct way_end *way_open_producer(const struct way_stage *stage, enum way way)
{
    return open_end(stage, way);
}

struct way_end *way_open_consumer(const struct way_stage *stage, enum way way, unsigned number)
{
    const struct px_text subscribe[] = {PX_TEXT("SUBSCRIBE"), PX_TEXT("c")};
    struct way_end *end = open_end(stage, way);

    end->number = number;
    snprintf(end->last_id, sizeof(end->last_id), "0-0");
    if (way == WAY_RING) {
        end->position = px_ring_tail(stage->ring);
        px_ring_report(stage->yard, number, end->position);
        px_wait_add(&end->set, &stage->yard->need_wake);
    } else if (!is_streams(way)) {
        resp_command(end->resp, PX_COUNT_OF(subscribe), subscribe);
        resp_flush(end->resp);
        resp_number(end->resp);
        resp_bulk(end->resp);
        resp_bulk(end->resp);
        resp_number(end->resp);
    }
    return end;
}

void way_close(struct way_end *end)
{
    if (end->resp)
        resp_close(end->resp);
    free(end);
}

/* Waits until the slowest consumer leaves room: in the benchmark alone, so that the ring loses as little as Redis does.
 */
static void gate(struct way_end *end, uint64_t to)
{
    const struct way_stage *stage = end->stage;

    while (to > end->free_to) {
        uint64_t oldest = UINT64_MAX;

        for (unsigned i = 0; i < stage->consumers; i++)
            oldest = PX_MIN(oldest, px_load_acquire(&stage->yard->cursor[i].position));
        end->free_to = oldest + stage->ring->capacity;
        if (to > end->free_to)
            sched_yield();
    }
}

void way_send(struct way_end *end, const struct px_tick *events, unsigned n)
{
    const struct way_stage *stage = end->stage;

    if (end->way == WAY_RING) {
        gate(end, px_ring_tail(stage->ring) + n);
        px_ring_publish(stage->ring, stage->yard, events, n);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        struct px_text event = {(const char *)&events[i], sizeof(events[i])};
        struct px_text publish[] = {PX_TEXT("PUBLISH"), PX_TEXT("c"), event};
        struct px_text add[] = {PX_TEXT("XADD"), PX_TEXT("s"), PX_TEXT("*"), PX_TEXT("e"), event};

        if (is_streams(end->way))
            resp_command(end->resp, PX_COUNT_OF(add), add);
        else
            resp_command(end->resp, PX_COUNT_OF(publish), publish);
    }
    resp_flush(end->resp);
    for (unsigned i = 0; i < n; i++)
        if (is_streams(end->way))
            resp_bulk(end->resp);
        else
            resp_number(end->resp);
}

static unsigned receive_ring(struct way_end *end, struct px_tick *events)
{
    const struct px_ring *ring = end->stage->ring;
    uint64_t count;

    for (;;) {
        PX_CHECK(px_ring_read(ring, end->position, events, WAY_RECEIVE_MAX, &count) == 0);
        if (count > 0)
            break;
        px_wait_arm(&end->set);
        if (px_ring_tail(ring) == end->position)
            px_wait_sleep(&end->set, 50 * PX_NS_PER_MS);
    }
    end->position += count;
    px_ring_report(end->stage->yard, end->number, end->position);
    return (unsigned)count;
}

/* Messages have one length, which saves the parsing: as fast as a client of Redis can be. */
static unsigned receive_pubsub(struct way_end *end, struct px_tick *events)
{
    enum { HEAD = sizeof(MESSAGE) - 1, WHOLE = HEAD + sizeof(struct px_tick) + 2 };
    struct resp *resp = end->resp;
    unsigned n = 0;

    do {
        const char *message = resp_need(resp, WHOLE);

        PX_CHECK(memcmp(message, MESSAGE, HEAD) == 0);
        memcpy(&events[n++], message + HEAD, sizeof(struct px_tick));
        resp_skip(resp, WHOLE);
    } while (n < WAY_RECEIVE_MAX && resp->end - resp->at >= WHOLE);
    return n;
}

static unsigned receive_stream(struct way_end *end, struct px_tick *events)
{
    struct px_text read[] = {PX_TEXT("XREAD"), PX_TEXT("COUNT"),   PX_TEXT("1024"), PX_TEXT("BLOCK"),
                             PX_TEXT("0"),     PX_TEXT("STREAMS"), PX_TEXT("s"),    px_text_of(end->last_id)};
    struct resp *resp = end->resp;
    struct px_text text;
    unsigned n;

    resp_command(resp, PX_COUNT_OF(read), read);
    resp_flush(resp);
    resp_number(resp); /* one stream */
    resp_number(resp); /* name, entries */
    resp_bulk(resp);
    n = (unsigned)resp_number(resp);
    PX_CHECK(n > 0 && n <= WAY_RECEIVE_MAX);
    for (unsigned i = 0; i < n; i++) {
        resp_number(resp);
        text = resp_bulk(resp);
        px_text_copy(end->last_id, sizeof(end->last_id), text);
        resp_number(resp);
        resp_bulk(resp);
        text = resp_bulk(resp);
        PX_CHECK(text.len == sizeof(struct px_tick));
        memcpy(&events[i], text.at, text.len);
    }
    return n;
}

unsigned way_receive(struct way_end *end, struct px_tick *events)
{
    if (end->way == WAY_RING)
        return receive_ring(end, events);
    return is_streams(end->way) ? receive_stream(end, events) : receive_pubsub(end, events);
}

double way_mget_us(const struct way_stage *stage, unsigned keys)
{
    struct resp *resp = resp_open(stage->unix_path, 0);
    struct px_text *arguments = calloc(2 * (size_t)keys + 1, sizeof(*arguments));
    char(*name)[24] = calloc(keys, sizeof(*name));
    px_mono began;
    int64_t ns;

    PX_CHECK(arguments && name);
    arguments[0] = PX_TEXT("MSET");
    for (unsigned i = 0; i < keys; i++) {
        snprintf(name[i], sizeof(name[i]), "price:%u", i);
        arguments[1 + 2 * i] = px_text_of(name[i]);
        arguments[2 + 2 * i] = PX_TEXT("123456789012345678901234");
    }
    resp_command(resp, 2 * keys + 1, arguments);
    resp_flush(resp);
    resp_number(resp);
    arguments[0] = PX_TEXT("MGET");
    for (unsigned i = 0; i < keys; i++)
        arguments[1 + i] = px_text_of(name[i]);
    resp_command(resp, keys + 1, arguments);
    began = px_mono_now();
    resp_flush(resp);
    for (long n = resp_number(resp); n > 0; n--)
        resp_bulk(resp);
    ns = px_mono_since(px_mono_now(), began);
    free(arguments);
    free(name);
    resp_close(resp);
    return (double)ns / 1e3;
}
