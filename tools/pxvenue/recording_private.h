/*
 * Recorded traffic of real venues, in memory and in order of time. Two formats are read, told apart by their first
 * line:
 *
 *   cryptofeed     <seconds>.<fraction>: <frame>            a frame that the venue sent
 *                  <url> <- <time>: <message>               what the recording client said
 *                  <url> <-> <time>, <url> -> <time>: …     the connection; an answer to a REST request
 *   hftbacktest    <ns> <frame>                             the same for a frame; one REST answer a file, without
 * "stream"
 *
 * either of them gzipped or not.
 */
#pragma once

#include "base/types.h"
#include "tools/pxvenue/streams_private.h"

#define PXI_RECORDING_BYTES_MAX  (512u << 20)
#define PXI_RECORDING_FRAMES_MAX (8u << 20)

struct pxi_recorded {
    int64_t time; /* ns since the epoch, by the clock of whoever recorded it */
    const char *at;
    uint32_t len;
    uint32_t stream; /* PXI_STREAM_ALL where the venue's frames do not name one */
};

struct pxi_recording {
    struct pxi_recorded *frames; /* in order of time; files in the order given where times are equal */
    uint32_t count;
    uint32_t skipped; /* lines that were no frames: REST answers, the client's own messages */
    char **texts;     /* the files, owned */
    uint32_t text_count;
    uint64_t bytes;
};

/*
 * Reads all files and adds the stream names found to `streams`. On an error prints file, line and reason to standard
 * error. PX_E_IO, PX_E_FORMAT, PX_E_TOO_LARGE, PX_E_MEMORY. Blocks on the disk.
 */
int pxi_recording_open(char *const *paths, uint32_t path_count, struct pxi_streams *streams,
                       struct pxi_recording *recordingp);
void pxi_recording_close(struct pxi_recording *recording);
