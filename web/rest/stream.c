/*
 * Answers of any length: pieces of at most 64 KiB in chunked encoding, so that neither the range nor the client's pace changes
 * how much memory one takes, and the last chunk, of no length, is told only when everything was said.
 *
 * A thread is held as long as a stream lasts. So there are few at a time, whoever takes less than it should is cut off, and
 * so is what takes too long altogether.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "web/rest/request_private.h"

#define CHUNK_HEAD  10 /* "0000f000\r\n" */
#define CHUNK_TAIL  7  /* "\r\n", and "0\r\n\r\n" behind the last */
#define ROW_ROOM    1024
#define GRACE_NS    (10 * PX_NS_PER_S)
#define LEAST_RATE  (64 * 1024) /* bytes a second that a client has to take, after that */
#define DEADLINE_NS (15 * 60 * PX_NS_PER_S)

struct pxi_stream {
    struct px_request *request;
    bool packed, told, failed; /* told: the head is out */
    px_mono began;
    int64_t taking_ns; /* that its client took to take `sent` bytes */
    uint64_t sent;
    size_t len;
    char chunk[CHUNK_HEAD + PXI_STREAM_CHUNK + CHUNK_TAIL];
};

/* ---- out ---- */

static bool too_slow(const struct pxi_stream *stream)
{
    return (stream->taking_ns > GRACE_NS && stream->sent < (uint64_t)(stream->taking_ns / PX_NS_PER_S) * LEAST_RATE) ||
           px_mono_since(px_mono_now(), stream->began) > DEADLINE_NS;
}

/* Once it has failed nothing more is written: what follows would look like what is missing. */
static void cut(struct pxi_stream *stream, const char *why)
{
    const struct px_request *request = stream->request;

    stream->failed = true;
    px_stat_add(px_heritage_stats(request->rest->heritage), PX_STAT_WEB_STREAMS_CUT, 1);
    px_log_limited(PX_LOG_WARN, 5, "stream_cut id=%s why=%s sent=%llu", request->id, why, (unsigned long long)stream->sent);
}

static void write_out(struct pxi_stream *stream, const char *at, size_t len)
{
    const struct px_exchange *exchange = stream->request->exchange;
    px_mono began = px_mono_now();

    if (stream->failed)
        return;
    int error = exchange->write(exchange->ctx, at, len);
    stream->taking_ns += px_mono_since(px_mono_now(), began);
    stream->sent += len;
    if (error < 0)
        cut(stream, "client_gone_or_stuck");
    else if (too_slow(stream))
        cut(stream, "client_slow");
}

/* What lies in the chunk, with its length before it. */
static void send_chunk(struct pxi_stream *stream, bool last)
{
    char head[CHUNK_HEAD + 1];
    char *body = stream->chunk + CHUNK_HEAD, *end = body + stream->len, *start = body;

    if (stream->len > 0) {
        snprintf(head, sizeof head, "%08x\r\n", (unsigned)stream->len);
        memcpy(stream->chunk, head, CHUNK_HEAD);
        memcpy(end, "\r\n", 2);
        start = stream->chunk;
        end += 2;
    }
    if (last) {
        memcpy(end, "0\r\n\r\n", 5);
        end += 5;
    }
    write_out(stream, start, (size_t)(end - start));
    stream->len = 0;
}

static void pack(struct pxi_stream *stream, const char *at, size_t len, bool last)
{
    z_stream *zip = &stream->request->thread->zip;
    int rc = Z_OK;

    zip->next_in = (unsigned char *)(uintptr_t)at;
    zip->avail_in = (unsigned)len;
    while (!stream->failed && rc != Z_STREAM_END && (zip->avail_in > 0 || last)) {
        zip->next_out = (unsigned char *)stream->chunk + CHUNK_HEAD + stream->len;
        zip->avail_out = (unsigned)(PXI_STREAM_CHUNK - stream->len);
        rc = deflate(zip, last ? Z_FINISH : Z_NO_FLUSH);
        stream->len = PXI_STREAM_CHUNK - zip->avail_out;
        if (stream->len == PXI_STREAM_CHUNK)
            send_chunk(stream, false);
    }
}

/* Everything that was written as text. */
static void flush(struct pxi_stream *stream, bool last)
{
    struct px_json *json = pxi_json(stream->request);

    if (json->full && !stream->failed)
        cut(stream, "row_too_long");
    if (stream->packed) {
        pack(stream, json->at, json->len, last);
    } else {
        memcpy(stream->chunk + CHUNK_HEAD, json->at, json->len);
        stream->len = json->len;
    }
    if (last || (!stream->packed && stream->len > 0))
        send_chunk(stream, last);
    json->len = 0;
}

/* ---- for handlers ---- */

struct pxi_stream *pxi_stream_begin(struct px_request *request)
{
    unsigned *streams = &request->rest->streams;
    struct pxi_stream *stream;

    if (request->exchange->old) {
        px_problem_set(&request->problem, PX_PROBLEM_BAD_REQUEST, "An answer of that size needs HTTP/1.1");
        return NULL;
    }
    if (__atomic_add_fetch(streams, 1, __ATOMIC_RELAXED) > PXI_STREAMS_MAX) {
        __atomic_sub_fetch(streams, 1, __ATOMIC_RELAXED);
        request->problem.retry_after_s = 5;
        px_problem_set(&request->problem, PX_PROBLEM_RATE_LIMITED, "%d answers of that size are under way; ask for pages, or later",
                       PXI_STREAMS_MAX);
        return NULL;
    }
    stream = calloc(1, sizeof *stream); /* not on the stack, which is small */
    if (!stream) {
        __atomic_sub_fetch(streams, 1, __ATOMIC_RELAXED);
        px_problem_of_error(&request->problem, PX_E_MEMORY);
        return NULL;
    }
    stream->request = request;
    stream->began = px_mono_now();
    return stream;
}

bool pxi_stream_tell(struct pxi_stream *stream)
{
    struct px_request *request = stream->request;
    char *head = request->thread->buffer;

    if (stream->told)
        return !stream->failed;
    stream->told = request->answer.streamed = true;
    px_stat_add(px_heritage_stats(request->rest->heritage), PX_STAT_WEB_STREAMS, 1);
    px_reader_timeout_set(request->thread->reader, PXI_STREAM_PATIENCE_MS); /* a keeper that was killed is back by then */
    stream->packed = pxi_stream_packs(request);
    request->answer.status = 200;
    write_out(stream, head, pxi_stream_head(request, stream->packed, head));
    return !stream->failed && !request->head_only;
}

bool pxi_stream_goes_on(struct pxi_stream *stream)
{
    const struct px_json *json = pxi_json(stream->request);

    if (json->size - json->len < ROW_ROOM || json->full)
        flush(stream, false);
    return !stream->failed;
}

void pxi_stream_lost(struct pxi_stream *stream, int error)
{
    if (stream->told)
        cut(stream, px_error_text(error));
    else
        pxi_keeper_failed(stream->request, error);
}

void pxi_stream_end(struct pxi_stream **streamp)
{
    struct pxi_stream *stream = *streamp;
    struct px_request *request = stream->request;

    if (stream->told && !stream->failed && !request->head_only)
        flush(stream, true);
    if (stream->failed)
        pxi_hang_up(request);
    px_reader_timeout_set(request->thread->reader, PX_READER_TIMEOUT_MS);
    __atomic_sub_fetch(&request->rest->streams, 1, __ATOMIC_RELAXED);
    free(stream);
    *streamp = NULL;
}
