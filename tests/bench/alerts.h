/*
 * The alerts of the bench: half of them near the price, where a part is crossed, half out of reach. What must have
 * fired is told from the venue's journal.
 */
#pragma once

#include "base/types.h"

struct bench_asset {
    char symbol[32]; /* BASE-QUOTE */
    char venue_name[32];
    unsigned scale;
    int64_t tick, price; /* mantissas; the price at the venue's start */
    uint32_t first_alert, alert_count;
};

struct bench_alert {
    uint32_t asset;
    bool up;
    int64_t level;
    int64_t asked_us, armed_us; /* wall time before the request and after its answer; armed 0 = not created */
    char id[40];
    bool must, may, fired; /* told by the journal: surely crossed while armed, perhaps; told by the engine */
};

struct bench_alerts {
    struct bench_asset *assets;
    struct bench_alert *list;
    uint32_t asset_count, count, created, refused;
    int64_t ticks_sent; /* by the journal */
};

/* Reads `pxvenue --list` and chooses levels for `count` alerts. PX_E_IO, PX_E_FORMAT, PX_E_MEMORY. */
int bench_alerts_plan(const char *list_file, uint32_t count, struct bench_alerts *alertsp);
void bench_alerts_fini(struct bench_alerts *alerts);

/* Creates them on a few connections at a time. Blocks until all are answered. */
int bench_alerts_create(struct bench_alerts *alerts, const char *host, uint16_t port, const char *key);

/* A fire was heard. False when no alert has that id. */
bool bench_alerts_fired(struct bench_alerts *alerts, struct px_text id);

/* Reads the venue's journal: counts the trades sent, and decides for each alert whether it must or may have fired. */
int bench_alerts_judge(struct bench_alerts *alerts, const char *journal_file);
