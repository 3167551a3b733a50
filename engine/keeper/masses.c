/*
 * Hits that fire more than a group should hold. Such a hit is stored as it is, and the checkpoint passes it: from then on all of it has happened, whoever
 * dies. It is worked off in slices, between the hits of other assets; what follows of its own asset is stored behind it.
 *
 *   hit queue ──► first slice of a hit, the hit  ─┐ one batch        asset: mass ─► mass ─► mass       in the order of their numbers
 *             ──► hits of that asset             ─┘                         └ a slice at a time; the last one takes its row away
 *
 *   killed in the middle     the rows are found again. What has fired of a hit has moved in the index, and is not found again
 *
 * Until an asset has none any more: its series are not heard, so every value of them is told (shm/levels.h); who changes one of its alerts waits; and
 * an alert that is armed hears of none of them.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "engine/keeper/keeper_private.h"

#define SLICE       24 /* moves, and fires that may wait to be told: those of another asset come behind them */
#define SLICES      256 /* in a group, of hits that fire little: an asset that moves on fast in a storm brings many of these */
#define PATIENCE_NS (5 * PX_NS_PER_MS) /* then a slice comes before the hits that wait */
#define TURN_NS     (1 * PX_NS_PER_MS) /* so long they wait for more slices than one */
#define MASSES_MOST 8192

struct pxi_mass {
    struct px_mass stored;
    uint32_t stage; /* how far it has been, if that is more than what is stored */
    struct pxi_mass *next;
};

bool pxi_masses_busy(const struct pxi_keeper *keeper, px_asset_id asset)
{
    return asset != PX_ASSET_NONE && keeper->masses.first[asset] != NULL;
}

bool pxi_masses_room(const struct pxi_keeper *keeper)
{
    return keeper->masses.count < MASSES_MOST;
}

/* ---- the lists ---- */

static int append(struct pxi_masses *masses, const struct px_mass *stored)
{
    struct pxi_mass *mass = calloc(1, sizeof *mass), **end = &masses->first[stored->hit.asset];

    if (!mass)
        return PX_E_MEMORY;
    mass->stored = *stored;
    mass->stage = stored->stage;
    if (masses->busy_count == 0)
        masses->worked = px_mono_now(); /* its first slice has just been worked off */
    if (!*end)
        masses->busy[masses->busy_count++] = stored->hit.asset;
    else
        end = &masses->last[stored->hit.asset]->next;
    *end = masses->last[stored->hit.asset] = mass;
    masses->count++;
    masses->number = PX_MAX(masses->number, stored->number);
    return 0;
}

static void take_first(struct pxi_masses *masses, unsigned at)
{
    px_asset_id asset = masses->busy[at];
    struct pxi_mass *mass = masses->first[asset];

    masses->first[asset] = mass->next;
    masses->count--;
    free(mass);
    if (!masses->first[asset])
        masses->busy[at] = masses->busy[--masses->busy_count];
}

int pxi_masses_add(struct pxi_keeper *keeper, const struct px_hit *hit, uint32_t stage, uint64_t behind)
{
    struct px_mass mass = {.number = keeper->masses.number + 1,
                           .generation = keeper->heritage->generation,
                           .behind = behind,
                           .stage = stage,
                           .hit = *hit};

    px_alerts_mass_put(keeper->alerts, &mass);
    return append(&keeper->masses, &mass);
}

/* ---- work ---- */

void pxi_masses_note(struct pxi_keeper *keeper)
{
    struct pxi_mass *mass = keeper->masses.current;

    if (!mass || mass->stage == mass->stored.stage)
        return;
    mass->stored.stage = mass->stage;
    px_alerts_mass_put(keeper->alerts, &mass->stored);
}

/* A slice of the oldest hit of busy[at]; with `moves` 0 all of it. */
static int work(struct pxi_keeper *keeper, unsigned at, uint32_t moves)
{
    struct pxi_masses *masses = &keeper->masses;
    struct pxi_mass *mass = masses->current = masses->first[masses->busy[at]];
    const struct px_mass *stored = &mass->stored;

    px_book_slice(keeper->judge.book, moves);
    int error = px_book_apply(keeper->judge.book, &stored->hit, stored->generation, &mass->stage);
    px_book_slice(keeper->judge.book, 0);
    pxi_masses_note(keeper);
    masses->current = NULL;
    if (error)
        return error == PX_E_AGAIN ? 0 : error;
    px_alerts_mass_drop(keeper->alerts, stored->number);
    if (stored->generation == keeper->heritage->generation)
        pxi_judge_heard(keeper, &stored->hit, stored->behind);
    take_first(masses, at);
    return 0;
}

/* All of it is durable as it is, so it need not become fires faster than these are told. */
static bool may_go_on(const struct pxi_keeper *keeper)
{
    return keeper->masses.busy_count > 0 && px_alerts_eseq(keeper->alerts) - px_alerts_told(keeper->alerts) < SLICE;
}

/* Do others wait, and has it been that long? */
static bool wait_longer(const struct pxi_keeper *keeper, px_mono since, int64_t most_ns)
{
    return pxi_judge_waits(keeper) && px_mono_since(px_mono_now(), since) >= most_ns;
}

int pxi_masses_turn(struct pxi_keeper *keeper)
{
    struct pxi_masses *masses = &keeper->masses;
    px_mono began = px_mono_now();
    int error = 0;

    if (!may_go_on(keeper) || (pxi_judge_waits(keeper) && px_mono_since(began, masses->worked) < PATIENCE_NS))
        return 0;
    for (unsigned i = 0; i < SLICES && may_go_on(keeper) && !error && (i == 0 || !wait_longer(keeper, began, TURN_NS)); i++)
        error = work(keeper, masses->hand++ % masses->busy_count, SLICE);
    pxi_crash_point("mass-before-sync");
    if (!error)
        error = pxi_judge_commit(keeper, true);
    pxi_crash_point("mass-after-sync");
    masses->worked = px_mono_now();
    return error ? error : 1;
}

static unsigned place_of(const struct pxi_masses *masses, px_asset_id asset)
{
    unsigned at = 0;

    while (masses->busy[at] != asset)
        at++;
    return at;
}

int pxi_masses_finish(struct pxi_keeper *keeper, px_asset_id asset)
{
    unsigned done = 0;
    int error = 0;

    for (; !error && pxi_masses_busy(keeper, asset); done++) {
        if (done % SLICES == 0) /* what has been heard goes with the group; so does what was in it before */
            error = pxi_judge_commit(keeper, true);
        if (!error)
            error = work(keeper, place_of(&keeper->masses, asset), 0);
        px_heritage_beat(keeper->heritage);
    }
    return done > 0 && !error ? pxi_judge_commit(keeper, true) : error;
}

/* ---- start ---- */

/* Levels of a symbol whose decimals have changed are other numbers now: its alerts are armed anew. */
static int found(void *ctx, const struct px_mass *mass)
{
    struct pxi_keeper *keeper = ctx;

    if (mass->hit.asset != PX_ASSET_NONE && px_alerts_unindexed(keeper->alerts, mass->hit.asset) == PX_INDEX_FINE)
        return append(&keeper->masses, mass);
    px_alerts_mass_drop(keeper->alerts, mass->number);
    return 0;
}

int pxi_masses_init(struct pxi_keeper *keeper)
{
    struct pxi_masses *masses = &keeper->masses;

    masses->first = calloc(keeper->history.assets + 1, sizeof(*masses->first));
    masses->last = calloc(keeper->history.assets + 1, sizeof(*masses->last));
    masses->busy = calloc(keeper->history.assets + 1, sizeof *masses->busy);
    if (!masses->first || !masses->last || !masses->busy)
        return PX_E_MEMORY;
    int error = px_alerts_masses(keeper->alerts, found, keeper);
    if (masses->count > 0)
        px_log(PX_LOG_INFO, "hits_resumed count=%u assets=%u", masses->count, masses->busy_count);
    return error;
}

/* Of a region that is gone: its positions say nothing beside today's, so it is over before anything new is armed. */
int pxi_masses_finish_old(struct pxi_keeper *keeper)
{
    struct pxi_masses *masses = &keeper->masses;
    int error = 0;

    for (px_asset_id asset = 0; asset < keeper->history.assets && !error; asset++)
        if (masses->first[asset] && masses->first[asset]->stored.generation != keeper->heritage->generation)
            error = pxi_masses_finish(keeper, asset);
    return error;
}

void pxi_masses_fini(struct pxi_keeper *keeper)
{
    struct pxi_masses *masses = &keeper->masses;

    while (masses->first && masses->busy_count > 0)
        take_first(masses, 0);
    free(masses->first);
    free(masses->last);
    free(masses->busy);
}
