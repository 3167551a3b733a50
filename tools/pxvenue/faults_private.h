/*
 * What goes wrong between a venue and its clients, on purpose and from a seed. Every frame passes here on its way:
 *
 *   source ──► dropped? ──► garbled? ──► duplicated? ──► delayed? ──► reordered? ──► clients
 *
 * Each kind of fault rolls its own dice once per frame, so the same seed strikes the same frames whatever else is
 * switched on. Frames held back (delayed, reordered) are copies, at most PXI_HELD_MAX of them; beyond that they go at
 * once.
 */
#pragma once

#include "base/clock.h"
#include "tools/pxvenue/clients_private.h"
#include "tools/pxvenue/frame_private.h"

#define PXI_HELD_MAX 65536

struct pxi_faults;

struct pxi_faults_setup {
    uint64_t seed;
    uint32_t drop, duplicate, delay, reorder, garble; /* frames in a million */
    uint32_t delay_ms;
    uint32_t stall_every_ms, stall_ms; /* 0 = never */
    uint32_t disconnect_every_ms;      /* 0 = never */
};

struct pxi_faults_stats {
    uint64_t fates[8];             /* by enum pxi_fate, all frames */
    uint64_t trades[8], quotes[8]; /* of them */
    uint64_t stalls, disconnects;
};

/* PX_E_MEMORY. */
int pxi_faults_create(const struct pxi_faults_setup *setup, struct pxi_clients *clients, struct pxi_faults **faultsp);
void pxi_faults_destroy(struct pxi_faults **faultsp);

/* Sends the frame, or what is left of it, to the clients' batches. The texts are not kept. */
enum pxi_fate pxi_faults_send(struct pxi_faults *faults, const struct pxi_frame *frame);

/*
 * Releases held frames that are due, starts and ends stalls, cuts connections. Returns when to come again (px_mono ns),
 * or INT64_MAX. The clock of stalls and disconnections starts with the first call.
 */
int64_t pxi_faults_pump(struct pxi_faults *faults, px_mono now);

bool pxi_faults_stalled(const struct pxi_faults *faults); /* the source must wait */
bool pxi_faults_idle(const struct pxi_faults *faults);    /* nothing is held back */
const struct pxi_faults_stats *pxi_faults_stats(const struct pxi_faults *faults);
