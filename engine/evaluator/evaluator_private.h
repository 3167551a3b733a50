/* What the evaluator's files share. */
#pragma once

#include "engine/evaluator/matcher.h"
#include "engine/evaluator/windows.h"
#include "engine/heritage.h"

#define PXI_BATCH 256

struct pxi_evaluator {
    const struct px_heritage *heritage;
    struct px_shm *shm;
    struct px_stats *stats;
    struct px_matcher *matcher;
    struct px_series_state *state; /* one an asset: what stands in the latch, privately */
    struct px_window_cache *cache; /* one an asset */
    struct px_steps *steps;        /* one an asset */
    uint32_t assets;
    uint64_t position;  /* next to read from the tick ring */
    bool awaits_ingest; /* which is at work on what this process has missed */
    bool ready;         /* every armed alert has arrived */
    bool meant;         /* the arm records that come now are for this incarnation */
    bool fired;         /* records were pushed that the keeper has not been woken for */
    px_asset_id sweep;  /* the next asset whose windows move with time */
    px_mono swept;
    struct px_tick tick[PXI_BATCH];
};

/* series.c */
void pxi_series_takeover(struct pxi_evaluator *evaluator);
void pxi_series_seed(struct pxi_evaluator *evaluator, px_asset_id asset, int64_t price);
void pxi_series_seed_field(struct pxi_evaluator *evaluator, const struct px_arm *seed);
void pxi_series_seeded(struct pxi_evaluator *evaluator); /* all seeds have come: shows them */
bool pxi_series_counts(const struct pxi_evaluator *evaluator, const struct px_tick *tick); /* an accepted trade */
void pxi_series_tick(struct pxi_evaluator *evaluator, const struct px_tick *tick, uint64_t position);
void pxi_series_sweep(struct pxi_evaluator *evaluator);

/* One latch write for all that a missed stretch says of the asset. */
void pxi_series_missed(struct pxi_evaluator *evaluator, px_asset_id asset, const struct px_extremes_value *missed);

/* overrun.c: after PX_E_OVERRUN; true if it made progress, else ingest is not done yet. */
bool pxi_overrun(struct pxi_evaluator *evaluator);

/* fires.c */
void pxi_fires_of_missed(struct pxi_evaluator *evaluator, px_asset_id asset, const struct px_extremes_value *missed);
void pxi_fires_of_tick(struct pxi_evaluator *evaluator, const struct px_tick *tick, uint64_t position);
void pxi_arms_take(struct pxi_evaluator *evaluator);
