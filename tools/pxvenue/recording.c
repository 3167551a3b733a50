#include "tools/pxvenue/recording_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "tools/pxvenue/frame_private.h"

struct reader {
    const char *path;
    uint32_t line;
    struct pxi_streams *streams;
    struct pxi_recording *recording;
};

static int complain(const struct reader *reader, const char *what, int error)
{
    fprintf(stderr, "%s:%u: %s\n", reader->path, reader->line, what);
    return error;
}

/* The whole file, unpacked if it is gzipped (zlib reads both), terminated. */
static int slurp(struct reader *reader, char **textp, size_t *lenp)
{
    gzFile file = gzopen(reader->path, "rb");
    size_t size = 1u << 20, len = 0;
    char *text = NULL;
    int got = 1;

    if (!file)
        return complain(reader, "cannot be opened", PX_E_IO);
    while (got > 0) {
        if (!text || size - len < 65536) {
            size *= 2;
            char *more = size <= PXI_RECORDING_BYTES_MAX ? realloc(text, size) : NULL;
            if (!more)
                break;
            text = more;
        }
        got = gzread(file, text + len, (unsigned)(size - len - 1));
        len += got > 0 ? (size_t)got : 0;
    }
    gzclose(file);
    if (got != 0) {
        free(text);
        return complain(reader, got < 0 ? "cannot be read" : "is too large", got < 0 ? PX_E_IO : PX_E_TOO_LARGE);
    }
    text[len] = 0;
    *textp = text;
    *lenp = len;
    return 0;
}

/* Digits, a point perhaps and up to nine digits more: seconds as nanoseconds. Returns how many bytes it took, 0 = no
 * number. */
static size_t read_seconds(struct px_text line, int64_t *nsp)
{
    int64_t whole = 0, fraction = 0, unit = PX_NS_PER_S;
    size_t i = 0;

    for (; i < line.len && line.at[i] >= '0' && line.at[i] <= '9' && i < 19; i++)
        whole = whole * 10 + (line.at[i] - '0');
    if (i == 0)
        return 0;
    if (i < line.len && line.at[i] == '.')
        for (i++; i < line.len && line.at[i] >= '0' && line.at[i] <= '9' && unit > 1; i++) {
            unit /= 10;
            fraction += (line.at[i] - '0') * unit;
        }
    *nsp = whole < INT64_C(100000000000) ? whole * PX_NS_PER_S + fraction : whole;
    return i;
}

/* {"stream":"NAME", … → NAME; empty when the frame begins otherwise. */
static struct px_text stream_of(struct px_text frame)
{
    static const struct px_text head = {"{\"stream\":\"", 11};
    const char *end;

    if (frame.len <= head.len || memcmp(frame.at, head.at, head.len) != 0)
        return (struct px_text){frame.at, 0};
    end = memchr(frame.at + head.len, '"', frame.len - head.len);
    return (struct px_text){frame.at + head.len, end ? (size_t)(end - frame.at) - head.len : 0};
}

static int add_frame(struct reader *reader, int64_t time, struct px_text frame, bool packed)
{
    struct pxi_recording *recording = reader->recording;
    struct px_text name = stream_of(frame);
    uint32_t stream = PXI_STREAM_ALL;

    if (name.len && pxi_streams_add(reader->streams, name, &stream) != 0)
        return complain(reader, "too many streams, or a name too long", PX_E_TOO_LARGE);
    if (packed && !name.len) {
        recording->skipped++; /* the REST answer of hftbacktest's recorder */
        return 0;
    }
    if (recording->count == PXI_RECORDING_FRAMES_MAX)
        return complain(reader, "too many frames", PX_E_TOO_LARGE);
    if ((recording->count & (recording->count - 1)) == 0) {
        uint32_t room = recording->count ? recording->count * 2 : 1;
        struct pxi_recorded *more = realloc(recording->frames, room * sizeof(*more));
        if (!more)
            return complain(reader, "out of memory", PX_E_MEMORY);
        recording->frames = more;
    }
    recording->frames[recording->count++] = (struct pxi_recorded){time, frame.at, (uint32_t)frame.len, stream};
    return 0;
}

/* One line; see the head of recording_private.h for its shapes. */
static int read_line(struct reader *reader, struct px_text line)
{
    int64_t time;
    size_t used = read_seconds(line, &time);
    struct px_text frame;

    if (line.len == 0)
        return 0;
    if (used == 0) {
        if (!memmem(line.at, PX_MIN(line.len, 4096), " <", 2) && !memmem(line.at, line.len, " -> ", 4))
            return complain(reader, "is no line of a recording (<time>: <frame>, or <ns> <frame>)", PX_E_FORMAT);
        reader->recording->skipped++;
        return 0;
    }
    bool packed = used < line.len && line.at[used] == ' ';
    size_t gap = packed ? 1 : 2;
    if (used + gap >= line.len || (!packed && memcmp(line.at + used, ": ", 2) != 0))
        return complain(reader, "has no frame after its time", PX_E_FORMAT);
    frame = (struct px_text){line.at + used + gap, line.len - used - gap};
    if (frame.len > 2 && frame.at[0] == 'b' && frame.at[1] == '\'')
        return complain(reader, "holds binary frames as Python literals, which cannot be replayed", PX_E_FORMAT);
    return add_frame(reader, time, frame, packed);
}

static int read_file(struct reader *reader)
{
    struct pxi_recording *recording = reader->recording;
    size_t len = 0;
    char *text = NULL;
    int error = slurp(reader, &text, &len);

    if (error)
        return error;
    recording->texts[recording->text_count++] = text;
    recording->bytes += len;
    for (size_t at = 0; at < len && !error;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end ? (size_t)(end - text) - at : len - at;
        reader->line++;
        error = read_line(reader, (struct px_text){text + at, line_len});
        at += line_len + 1;
    }
    return error;
}

/* Merging keeps the order of the file where the clock stood still or went back a little: frames of one file never
 * overtake. */
static int merge(struct pxi_recording *recording, const uint32_t *ends, uint32_t file_count)
{
    struct pxi_recorded *merged = calloc(recording->count ? recording->count : 1, sizeof(*merged));
    uint32_t *at = calloc(file_count, sizeof(*at));

    if (!merged || !at) {
        free(merged);
        free(at);
        return PX_E_MEMORY;
    }
    for (uint32_t i = 1; i < file_count; i++)
        at[i] = ends[i - 1];
    for (uint32_t n = 0; n < recording->count; n++) {
        uint32_t best = UINT32_MAX;
        for (uint32_t i = 0; i < file_count; i++)
            if (at[i] < ends[i] &&
                (best == UINT32_MAX || recording->frames[at[i]].time < recording->frames[at[best]].time))
                best = i;
        merged[n] = recording->frames[at[best]++];
    }
    free(recording->frames);
    recording->frames = merged;
    free(at);
    return 0;
}

int pxi_recording_open(char *const *paths, uint32_t path_count, struct pxi_streams *streams,
                       struct pxi_recording *recordingp)
{
    uint32_t *ends = calloc(path_count, sizeof(*ends));
    int error = 0;

    *recordingp = (struct pxi_recording){.texts = calloc(path_count, sizeof(char *))};
    if (!ends || !recordingp->texts)
        error = PX_E_MEMORY;
    for (uint32_t i = 0; i < path_count && !error; i++) {
        struct reader reader = {paths[i], 0, streams, recordingp};
        error = read_file(&reader);
        ends[i] = recordingp->count;
    }
    if (!error)
        error = merge(recordingp, ends, path_count);
    free(ends);
    if (error)
        pxi_recording_close(recordingp);
    return error;
}

void pxi_recording_close(struct pxi_recording *recording)
{
    for (uint32_t i = 0; i < recording->text_count; i++)
        free(recording->texts[i]);
    free(recording->texts);
    free(recording->frames);
    *recording = (struct pxi_recording){0};
}
