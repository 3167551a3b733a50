/* Inside match/. */
#pragma once

#include "match/plan_private.h"
#include "match/window_private.h"

#define PXI_WIDTH_FIRST 64u
#define PXI_WIDTH_MOST  4096u
#define PXI_SCAN_MAX    1024u /* rows fetched at once */
#define PXI_SCAN_SLICE  64u   /* by a slice, for which others wait */

struct pxi_series_book { /* of one series of one asset */
    px_asset_id asset;
    uint8_t series;
    bool dirty;    /* stands in book->dirty: near is to be told when the group is committed */
    bool attended; /* everything is told until then */
    int64_t told_up, told_down;
    struct pxi_window window[2]; /* up, down */
};

struct px_book {
    struct px_index index;
    struct px_book_out out;
    uint32_t assets;
    size_t bytes_most, bytes;
    struct pxi_series_book **series; /* asset * PX_SERIES + series; NULL: never touched */
    struct pxi_series_book **list;   /* all of them, for the clock */
    uint32_t list_count, list_size, hand, tend;
    struct pxi_series_book **dirty;
    uint32_t dirty_count, dirty_size;
    uint32_t slice, left; /* moves that one px_book_apply may make, 0 = any; of the one under way */
    bool unsettled; /* something was put that a scan would not see */
    uint64_t generation;
    uint32_t width_first, width_most;
    struct px_row *rows; /* PXI_SCAN_MAX, for scans */
    struct px_book_stats stats;
};

/* lists.c */
int pxi_book_series(struct px_book *book, px_asset_id asset, unsigned series, struct pxi_series_book **seriesp);
int pxi_book_touch(struct px_book *book, struct pxi_series_book *of); /* near may have changed: nearer is told at once */
int pxi_book_refill(struct px_book *book, struct pxi_series_book *of, bool down); /* the next rows behind the edge, or the first ones */
int pxi_book_put(struct px_book *book, px_asset_id asset, struct px_alert_id alert, const struct px_plan *plan,
                 const struct px_place *place);
int pxi_book_drop(struct px_book *book, px_asset_id asset, struct px_alert_id alert, const struct px_place *place);
