#include "tools/pxvenue/replay_private.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/log.h"
#include "tools/pxvenue/pen_private.h"

#define SLICE_AT_MAX 200 /* frames between two looks at how far behind the clients are */

/* How many digits follow, if they are a time: 13 or 16; else 0. */
static size_t time_digits(struct px_text rest)
{
    size_t len = 0;

    while (len < rest.len && isdigit((unsigned char)rest.at[len]))
        len++;
    return len == 13 || len == 16 ? len : 0;
}

/* The length of an RFC 3339 text up to its quote, or 0. */
static size_t rfc3339_len(struct px_text rest)
{
    const char *quote = memchr(rest.at, '"', PX_MIN(rest.len, 40));
    struct px_text text = {rest.at, quote ? (size_t)(quote - rest.at) : 0};
    int64_t ns;

    return px_rfc3339_parse(text, &ns) == 0 ? text.len : 0;
}

static bool starts(struct px_text rest, const char *word)
{
    return rest.len > strlen(word) && memcmp(rest.at, word, strlen(word)) == 0;
}

size_t pxi_restamp(struct px_text frame, int64_t now_ns, char *to)
{
    struct pxi_pen pen = {to, 0, frame.len + PXI_RESTAMP_EXTRA};
    size_t at = 0;

    while (at < frame.len) {
        struct px_text rest = {frame.at + at, frame.len - at};
        size_t key = starts(rest, "\"E\":") || starts(rest, "\"T\":") ? 4 : starts(rest, "\"time\":\"") ? 8 : 0;
        struct px_text value = {rest.at + key, rest.len - key};
        size_t len = key == 4 ? time_digits(value) : key == 8 ? rfc3339_len(value) : 0;

        if (len == 0 || pen.size - pen.len < rest.len + PX_RFC3339_SIZE) {
            pen.at[pen.len++] = rest.at[0];
            at++;
            continue;
        }
        pxi_put(&pen, (struct px_text){rest.at, key});
        if (key == 4)
            pxi_put_int(&pen, (uint64_t)(now_ns / (len == 13 ? PX_NS_PER_MS : PX_NS_PER_US)));
        else
            pxi_put_rfc3339(&pen, now_ns);
        at += key + len;
    }
    return pen.len;
}

/* The frame with new times in the scratch buffer; unchanged when there is no memory for it. */
static struct px_text restamped(struct pxi_replay *replay, struct px_text frame)
{
    size_t need = frame.len + PXI_RESTAMP_EXTRA;

    if (replay->scratch_size < need) {
        char *more = realloc(replay->scratch, need);
        if (!more)
            return frame;
        replay->scratch = more;
        replay->scratch_size = need;
    }
    return (struct px_text){replay->scratch, pxi_restamp(frame, px_wall_now(), replay->scratch)};
}

static void send_next(struct pxi_replay *replay)
{
    const struct pxi_recorded *recorded = &replay->setup.recording->frames[replay->next++];
    struct pxi_frame frame = {.text = {{recorded->at, recorded->len}}, .stream = recorded->stream};

    if (replay->setup.restamp)
        frame.text[0] = restamped(replay, frame.text[0]);
    if (replay->setup.everything)
        frame.stream = PXI_STREAM_ALL;
    pxi_faults_send(replay->setup.faults, &frame);
}

static int64_t due(const struct pxi_replay *replay)
{
    const struct pxi_recording *recording = replay->setup.recording;
    int64_t offset = recording->frames[replay->next].time - recording->frames[0].time;

    if (replay->setup.speed_milli == 0)
        return 0;
    return replay->began + (int64_t)((__int128)offset * 1000 / (__int128)replay->setup.speed_milli);
}

/* As fast as it goes never runs ahead of its slowest client, and stands still while there is none. */
static bool may_go(const struct pxi_replay *replay)
{
    return replay->setup.speed_milli != 0 || (pxi_clients_flush(replay->setup.clients) &&
                                              pxi_clients_ready(replay->setup.clients, 1, replay->setup.settle_ms));
}

static int64_t pump(struct pxi_source *source, px_mono now)
{
    struct pxi_replay *replay = (struct pxi_replay *)source;
    const struct pxi_recording *recording = replay->setup.recording;

    if (!replay->started) {
        replay->started = true;
        replay->began = now.ns;
    }
    if (!may_go(replay))
        return now.ns + PX_NS_PER_MS;
    for (unsigned slice = replay->setup.speed_milli ? PXI_SLICE : SLICE_AT_MAX;
         slice > 0 && replay->next < recording->count && due(replay) <= now.ns; slice--)
        send_next(replay);
    if (replay->next < recording->count)
        return due(replay);
    if (!replay->setup.loop)
        return PXI_DONE;
    px_log(PX_LOG_INFO, "replay_again frames=%u", recording->count);
    replay->next = 0;
    replay->began = now.ns;
    return now.ns;
}

struct pxi_source *pxi_replay_init(struct pxi_replay *replay, const struct pxi_replay_setup *setup)
{
    *replay = (struct pxi_replay){.source = {pump}, .setup = *setup};
    return &replay->source;
}

void pxi_replay_fini(struct pxi_replay *replay)
{
    free(replay->scratch);
    replay->scratch = NULL;
}
