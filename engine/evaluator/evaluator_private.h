/* What the evaluator's files share. */
#pragma once

#include "engine/evaluator/windows.h"
#include "engine/heritage.h"

#define PXI_BATCH 256
#define PXI_BARS  6 /* lengths of bars that have a series of closes */

/* The series of one asset, privately. */
struct pxi_levels {
    struct px_levels_value value;   /* as it stands in the latch */
    int64_t judged[PX_SERIES];      /* the value that was last held against `near`; PX_PRICE_NONE after a start, so that it is done again */
    uint64_t told[PX_SERIES];       /* hit queue position behind the last hit of the series */
    int64_t closed_until[PXI_BARS]; /* bars that end here or before have been closed */
};

struct pxi_evaluator {
    const struct px_heritage *heritage;
    struct px_shm *shm;
    struct px_stats *stats;
    struct px_series_state *state; /* one an asset: what stands in the latch, privately */
    struct px_window_cache *cache; /* one an asset */
    struct px_steps *steps;        /* one an asset */
    struct pxi_levels *levels;     /* one an asset */
    uint32_t assets;
    uint32_t shard, shards; /* whose assets: those with asset % shards == shard */
    struct px_queue *hits, *seeds; /* of this shard */
    struct px_extremes *extremes;  /* likewise */
    uint64_t position;  /* next to read from the tick ring */
    bool awaits_ingest; /* which is at work on what this process has missed */
    bool ready;         /* all seeds have come */
    bool meant;         /* the seeds that come now are for this incarnation */
    bool told;          /* hits were pushed that the keeper has not been woken for */
    bool ending;        /* a hit found no room until the end: what it belongs to is not committed, and nothing after it */
    px_asset_id sweep;  /* the next asset whose windows move with time */
    px_mono swept;
    struct px_tick tick[PXI_BATCH];
};

/* What made the values of one moment. */
struct pxi_occasion {
    px_asset_id asset;
    px_venue_id venue;
    uint16_t flags; /* enum px_hit_flags */
    int64_t time_ns, recv_ns;
    uint64_t tick, sseq;
    int64_t prev, prev_ns;      /* the last price before, and its event time; 0: from before a restart */
    const struct px_span *span; /* with PX_HIT_SPAN */
};

/* main.c: one tick of the ring. */
void pxi_evaluate(struct pxi_evaluator *evaluator, const struct px_tick *tick, uint64_t position);

/* series.c */
void pxi_series_takeover(struct pxi_evaluator *evaluator);
void pxi_series_seed(struct pxi_evaluator *evaluator, px_asset_id asset, int64_t price);
void pxi_series_seed_field(struct pxi_evaluator *evaluator, const struct px_seed *seed);
void pxi_series_seeded(struct pxi_evaluator *evaluator); /* all seeds have come: shows them */
bool pxi_series_counts(const struct pxi_evaluator *evaluator, const struct px_tick *tick); /* an accepted trade */
void pxi_series_tick(struct pxi_evaluator *evaluator, const struct px_tick *tick, uint64_t position);
void pxi_series_quote(struct pxi_evaluator *evaluator, const struct px_tick *tick, uint64_t position);
void pxi_series_sweep(struct pxi_evaluator *evaluator);

/* One latch write for all that a missed stretch says of the asset. */
void pxi_series_missed(struct pxi_evaluator *evaluator, px_asset_id asset, const struct px_extremes_value *missed);

/* overrun.c: after PX_E_OVERRUN; true if it made progress, else ingest is not done yet. */
bool pxi_overrun(struct pxi_evaluator *evaluator);

/*
 * levels.c: the values of one moment into the latch, then held against what waits (shm/levels.h). False: the process ends and a hit has
 * found no room, so the moment must not be committed.
 */
void pxi_levels_takeover(struct pxi_evaluator *evaluator, px_asset_id asset);
bool pxi_levels_trade(struct pxi_evaluator *evaluator, const struct px_average_value *average, const struct pxi_occasion *occasion);
bool pxi_levels_quote(struct pxi_evaluator *evaluator, int64_t bid, int64_t ask, const struct pxi_occasion *occasion);
/* No tick has come: time itself moves averages, moves and the age, and closes bars. */
bool pxi_levels_time(struct pxi_evaluator *evaluator, px_asset_id asset, const struct px_average_value *average, int64_t wall_ns);

/* seeds.c */
void pxi_seeds_take(struct pxi_evaluator *evaluator);
