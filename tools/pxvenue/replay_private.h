/* Sends a recording: at its own pace, faster, or as fast as it goes. */
#pragma once

#include "tools/pxvenue/faults_private.h"
#include "tools/pxvenue/recording_private.h"
#include "tools/pxvenue/source_private.h"

struct pxi_replay_setup {
    const struct pxi_recording *recording;
    struct pxi_faults *faults;
    struct pxi_clients *clients;
    uint64_t speed_milli; /* 1000 = as recorded; 0 = as fast as all clients read */
    unsigned settle_ms;   /* with speed 0: how long after a subscription to go on */
    bool loop;            /* begin again at the end */
    bool restamp;         /* put the present into the times */
    bool everything;      /* send every stream to whoever has subscribed to any */
};

struct pxi_replay {
    struct pxi_source source; /* first: the source is the replay */
    struct pxi_replay_setup setup;
    uint32_t next;
    bool started;
    int64_t began; /* px_mono ns of the first frame of this round */
    char *scratch; /* a restamped frame */
    size_t scratch_size;
};

/* `replay` must not move afterwards. */
struct pxi_source *pxi_replay_init(struct pxi_replay *replay, const struct pxi_replay_setup *setup);
void pxi_replay_fini(struct pxi_replay *replay);

/*
 * Writes the frame with "E" and "T" (13 digits: ms, 16: us) and "time" (RFC 3339) replaced by `now_ns`; nothing else
 * changes. `to` has room for frame.len + PXI_RESTAMP_EXTRA bytes. Returns the new length.
 */
size_t pxi_restamp(struct px_text frame, int64_t now_ns, char *to);
#define PXI_RESTAMP_EXTRA 4096
