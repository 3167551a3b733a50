/* The ingest process as a whole. Private to engine/ingest. */
#pragma once

#include "engine/heritage.h"
#include "engine/ingest/arbitrate_private.h"
#include "engine/ingest/filter_private.h"
#include "engine/ingest/gate_private.h"
#include "engine/ingest/normalise_private.h"
#include "engine/ingest/publish_private.h"
#include "feed/connector.h"

struct pxi_ingest;

/* One connection. A venue with more symbols than its dialect allows on one has several. */
struct pxi_link {
    struct pxi_ingest *ingest;
    px_venue_id venue;
    struct px_connector *connector;
    struct px_connector_counters told; /* what has been added to the stats already */
};

#define PXI_LINKS_MAX 128

struct pxi_ingest {
    const struct px_heritage *heritage;
    const struct px_config *config;
    struct px_stats *stats;
    int epoll_fd;
    int64_t recv_ns; /* wall clock of the socket read under way */
    px_mono now;     /* likewise */
    struct pxi_normaliser *normaliser;
    struct pxi_filter *filter;
    struct pxi_arbiter *arbiter;
    struct pxi_publisher *publisher;
    struct pxi_gate gate;
    uint32_t link_count;
    struct pxi_link links[PXI_LINKS_MAX];
};

/* Makes the links that the configuration asks for. A venue that cannot be used is told in the log and left out.
 * PX_E_MEMORY. */
int pxi_links_open(struct pxi_ingest *ingest);
void pxi_links_close(struct pxi_ingest *ingest);

/* Adds what the links have counted to the stats. */
void pxi_links_count(struct pxi_ingest *ingest);

/* The tick path: one event of a dialect through normalise, filter, arbitrate, publish. `context` is the link. */
void pxi_ingest_event(void *context, const struct px_feed_event *event);
