/*
 * Judging: what the evaluator has told may reach something is looked up, and what fires or moves becomes durable.
 *
 *   hit queue ──► book (match/book.h) ──► one synced batch {index, outbox, checkpoint} ──► near, heard; queue; tell.c
 *
 *   killed before the sync      the hits are still in the queue, the index stands where it stood
 *   after it, before the queue  the checkpoint says how far the hits have been worked off
 *   in the middle of a hit      the same: a batch of a part carries the position of the hit that is not done
 *   of a storm                  it is stored itself, and goes on in masses.c
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "engine/keeper/keeper_private.h"

#define BOOK_BYTES   (96u << 20)
#define FIRST_TOLD   64  /* of a storm, before the rest of it is judged */
#define MOVES        2   /* by one hit; the rest of it is for masses.c, and behind hits that wait */
#define GROUP_NS     (25 * PX_NS_PER_MS) /* judged for so long, those of a group are stored and told, however many wait: an index that is cold */
#define EXPIRY_NS    (PX_NS_PER_S / 2)
#define EXPIRED_MAX  256
#define LOOKED_AT    256 /* hits in the queue, for each alert that is armed */

/* ---- what the book says ---- */

static int on_fire(void *ctx, const struct px_fired *fired)
{
    struct pxi_keeper *keeper = ctx;
    const struct px_hit *hit = fired->hit;
    bool about_last = px_series_is_about_last((unsigned)hit->series);
    struct px_judged judged = {.fire = {.alert = fired->alert,
                                        .asset = hit->asset,
                                        .venue = hit->venue,
                                        .flags = hit->flags & PX_HIT_LATE ? PX_FIRE_LATE : 0,
                                        .price = about_last ? hit->last : fired->value,
                                        .prev = about_last ? hit->last_prev : fired->prev,
                                        .time_ns = fired->time_ns,
                                        .recv_ns = hit->recv_ns,
                                        .matched_ns = hit->matched_ns,
                                        .position = hit->tick,
                                        .sseq = hit->sseq},
                               .fire_number = fired->fire_number,
                               .op = fired->op,
                               .series = (uint16_t)(about_last ? PX_SERIES_LAST : hit->series),
                               .level = fired->level,
                               .last = fired->last};

    if (!px_alerts_fires_room(keeper->alerts))
        return PX_E_AGAIN;
    px_alerts_fire(keeper->alerts, &judged);
    return 0;
}

/* Its row says so once the clock has passed over it: pxi_judge_expire. */
static void on_expired(void *ctx, struct px_alert_id alert)
{
    (void)ctx;
    (void)alert;
}

static void on_near(void *ctx, px_asset_id asset, unsigned series, int64_t up, int64_t down)
{
    struct pxi_keeper *keeper = ctx;
    struct px_watch *watch = px_shm_watch(keeper->shm, asset);
    uint32_t bit = 1u << series, interest = px_load_relaxed(&watch->interest);
    bool waits = up != INT64_MAX || down != INT64_MIN;

    px_store_relaxed(&watch->near[series].up, up);
    px_store_relaxed(&watch->near[series].down, down);
    px_store_release(&watch->interest, waits ? interest | bit : interest & ~bit);
    pxi_depth_touch(keeper, asset, series);
}

/* ---- the group ---- */

static void consume(struct pxi_keeper *keeper)
{
    struct pxi_judge *judge = &keeper->judge;

    for (unsigned i = 0; i < judge->heard_count; i++) {
        const struct pxi_heard *heard = &judge->heard[i];
        px_store_release(&px_shm_watch(keeper->shm, heard->asset)->near[heard->series].heard, heard->position);
    }
    judge->heard_count = 0;
    pxi_hits_consume(&keeper->hits);
}

int pxi_judge_commit(struct pxi_keeper *keeper, bool sync)
{
    struct pxi_judge *judge = &keeper->judge;
    struct px_alerts_checkpoint checkpoint = {.generation = keeper->heritage->generation};
    px_mono before = px_mono_now();

    pxi_masses_note(keeper);
    if (px_alerts_dirty(keeper->alerts)) {
        pxi_hits_note(&keeper->hits, &checkpoint);
        px_alerts_checkpoint_put(keeper->alerts, &checkpoint);
        pxi_crash_point("judge-before-sync");
        int error = px_alerts_commit(keeper->alerts, sync);
        if (error)
            return error;
        pxi_crash_point("judge-after-sync");
        px_stat_add(keeper->stats, PX_STAT_KEEP_SYNCS, 1);
        px_stat_add(keeper->stats, PX_STAT_KEEP_SYNC_NS, (uint64_t)px_mono_since(px_mono_now(), before));
    }
    px_book_settled(judge->book);
    consume(keeper);
    pxi_crash_point("judge-after-consume");
    return 0;
}

/* The book wants to see what it has put, or the group is full: in the middle of a hit, or of a task. */
static int settle(void *ctx)
{
    struct pxi_keeper *keeper = ctx;
    int error = pxi_judge_commit(keeper, true);

    if (!error && keeper->judge.first_told < FIRST_TOLD) {
        int told = pxi_tell_turn(keeper, FIRST_TOLD);

        error = told < 0 ? told : 0;
        keeper->judge.first_told += FIRST_TOLD;
    }
    return error;
}

void pxi_judge_heard(struct pxi_keeper *keeper, const struct px_hit *hit, uint64_t behind)
{
    struct pxi_judge *judge = &keeper->judge;

    PX_CHECK(judge->heard_count < PX_COUNT_OF(judge->heard));
    judge->heard[judge->heard_count++] = (struct pxi_heard){hit->asset, (uint32_t)hit->series, behind};
}

bool pxi_judge_waits(const struct pxi_keeper *keeper)
{
    return pxi_hits_wait(&keeper->hits);
}

/* The hit is over, or stored as it is: the checkpoint passes it. */
static int put_off(struct pxi_keeper *keeper)
{
    uint32_t stage = keeper->hits.stage;

    return pxi_masses_add(keeper, &keeper->judge.hit, stage, pxi_hits_pass(&keeper->hits));
}

static int judge_hit(struct pxi_keeper *keeper)
{
    struct pxi_judge *judge = &keeper->judge;
    px_asset_id asset = judge->hit.asset;

    if (pxi_masses_busy(keeper, asset) && pxi_masses_room(keeper))
        return put_off(keeper);
    int error = pxi_masses_finish(keeper, asset);
    if (error)
        return error;
    px_book_slice(judge->book, MOVES);
    error = px_book_apply(judge->book, &judge->hit, keeper->heritage->generation, &keeper->hits.stage);
    px_book_slice(judge->book, 0);
    if (error)
        return error == PX_E_AGAIN ? put_off(keeper) : error;
    pxi_judge_heard(keeper, &judge->hit, pxi_hits_pass(&keeper->hits));
    return 0;
}

int pxi_judge_turn(struct pxi_keeper *keeper)
{
    struct pxi_judge *judge = &keeper->judge;
    px_mono began = px_mono_now();
    unsigned count = 0;
    int error = 0;

    judge->first_told = 0;
    for (; count < PXI_HITS && !error && pxi_hits_next(&keeper->hits, &judge->hit); count++) {
        if (count > 0 && px_mono_since(px_mono_now(), began) > GROUP_NS)
            break;
        error = judge_hit(keeper);
    }
    if (!error && count > 0)
        error = pxi_judge_commit(keeper, true);
    return error ? error : count > 0;
}

/* ---- arming ---- */

/* May there be hits of the asset that are not newer than the values of this position, and would bring others? To say so costs some bytes. */
static bool has_older_hits(const struct pxi_keeper *keeper, px_asset_id asset, uint64_t position)
{
    return pxi_masses_busy(keeper, asset) || pxi_hits_older(&keeper->hits, asset, position, LOOKED_AT);
}

/* What it was armed against made it true: a fire by the last tick. */
static void fire_at_create(struct pxi_keeper *keeper, const struct px_alert *alert, const struct px_plan *plan,
                           const struct px_levels_value *levels, bool last)
{
    const struct px_leg *leg = &plan->leg[alert->rule.conditions - 1]; /* the plan has none any more when it has ended */
    unsigned series = px_series_is_about_last(leg->series) ? PX_SERIES_LAST : leg->series;
    struct px_detail_value detail;
    struct px_average_value average;

    px_latch_read(px_shm_detail(keeper->shm, alert->asset), &detail);
    px_latch_read(px_shm_average(keeper->shm, alert->asset), &average);
    px_alerts_fire(keeper->alerts,
                   &(struct px_judged){.fire = {.alert = alert->id,
                                                .asset = alert->asset,
                                                .venue = (px_venue_id)detail.venue,
                                                .flags = PX_FIRE_AT_CREATE,
                                                .price = levels->value[series],
                                                .prev = levels->value[series],
                                                .time_ns = average.last_ns,
                                                .recv_ns = detail.recv_ns,
                                                .matched_ns = px_wall_now(),
                                                .position = average.position,
                                                .sseq = detail.sseq},
                                       .fire_number = (uint32_t)plan->fires,
                                       .op = leg->op,
                                       .series = (uint16_t)series,
                                       .level = leg->a != INT64_MIN ? leg->a : leg->b,
                                       .last = last});
}

int pxi_judge_arm(struct pxi_keeper *keeper, const struct px_alert *alert)
{
    struct px_levels_value levels;
    struct px_average_value average;
    struct px_plan plan;

    if (alert->asset == PX_ASSET_NONE)
        return 0;
    int error = px_alerts_plan(keeper->alerts, alert, &plan);
    if (error)
        return error;
    for (unsigned i = 0; i < plan.legs; i++)
        px_book_attend(keeper->judge.book, alert->asset, plan.leg[i].series);
    px_smp_mb(); /* pairs with the evaluator's, between levels and near */
    px_latch_read(px_shm_levels(keeper->shm, alert->asset), &levels);
    px_latch_read(px_shm_average(keeper->shm, alert->asset), &average);
    for (unsigned s = 0; s < PX_SERIES && levels.position == 0; s++)
        levels.value[s] = PX_PRICE_NONE;
    if (has_older_hits(keeper, alert->asset, levels.position)) {
        plan.young_generation = keeper->heritage->generation;
        plan.young_position = levels.position + 1; /* a span of that very moment has other values too */
    }
    struct px_moment moment = {levels.position, average.last_ns, px_wall_now()};
    enum px_verdict verdict = px_plan_arm(&plan, levels.value, &moment);
    if (verdict == PX_VERDICT_FIRES || verdict == PX_VERDICT_LAST)
        fire_at_create(keeper, alert, &plan, &levels, verdict == PX_VERDICT_LAST);
    return verdict == PX_VERDICT_LAST || verdict == PX_VERDICT_EXPIRED
               ? 0
               : px_book_add(keeper->judge.book, alert->id, alert->asset, &plan);
}

int pxi_judge_disarm(struct pxi_keeper *keeper, const struct px_alert *alert)
{
    struct px_plan plan;

    if (alert->asset == PX_ASSET_NONE || px_alerts_plan(keeper->alerts, alert, &plan) != 0)
        return 0;
    return px_book_remove(keeper->judge.book, alert->id, alert->asset, &plan);
}

bool pxi_judge_unsettled(const struct pxi_keeper *keeper, px_asset_id asset)
{
    return pxi_masses_busy(keeper, asset) || px_alerts_untold(keeper->alerts, asset);
}

/* ---- by the clock ---- */

static int expire(struct pxi_keeper *keeper, const struct px_alert *alert)
{
    struct px_alert stored;

    if (pxi_judge_unsettled(keeper, alert->asset))
        return 0; /* it may have fired: later */
    int error = px_alerts_act(keeper->alerts, PX_ALERT_EXPIRE, alert->owner, alert->id, 0, &stored);

    return error == 0 ? pxi_judge_disarm(keeper, alert) : error == PX_E_IO ? error : 0;
}

int pxi_judge_expire(struct pxi_keeper *keeper)
{
    struct pxi_judge *judge = &keeper->judge;
    unsigned count;

    if (px_mono_since(px_mono_now(), judge->expired) < EXPIRY_NS)
        return 0;
    int error = px_alerts_expired(keeper->alerts, px_wall_now(), EXPIRED_MAX, judge->list, &count);
    for (unsigned i = 0; i < count && !error; i++)
        error = expire(keeper, &judge->list[i]);
    if (!error && count > 0)
        error = pxi_judge_commit(keeper, true);
    if (count < EXPIRED_MAX)
        judge->expired = px_mono_now();
    return error ? error : count > 0;
}

int pxi_judge_tend(struct pxi_keeper *keeper)
{
    return px_book_tend(keeper->judge.book);
}

/* ---- start ---- */

struct loading {
    struct pxi_keeper *keeper;
    uint32_t *interest;
};

static void on_series(void *ctx, px_asset_id asset, unsigned series)
{
    struct loading *loading = ctx;

    loading->interest[asset] |= 1u << series;
    pxi_depth_touch(loading->keeper, asset, series);
    px_heritage_beat(loading->keeper->heritage);
}

static int load(struct pxi_keeper *keeper)
{
    struct loading loading = {keeper, calloc(keeper->history.assets + 1, sizeof(uint32_t))};
    int error = loading.interest ? px_armed_load(keeper->alerts, keeper->judge.book, on_series, &loading) : PX_E_MEMORY;

    for (px_asset_id asset = 0; asset < keeper->history.assets && !error; asset++)
        px_store_release(&px_shm_watch(keeper->shm, asset)->interest, loading.interest[asset]);
    free(loading.interest);
    return error ? error : pxi_judge_commit(keeper, true);
}

/* Alerts that are not in the index: of an older engine, or of a symbol with other decimals. */
static int index_rest(struct pxi_keeper *keeper)
{
    struct px_alert *alert = &keeper->judge.list[0];
    uint64_t armed = 0;
    bool any = false;
    int error = 0;

    for (px_asset_id asset = 0; asset < keeper->history.assets; asset++) {
        enum px_index_state state = px_alerts_unindexed(keeper->alerts, asset);

        any |= state != PX_INDEX_FINE;
        if (state == PX_INDEX_RESCALED)
            px_armed_drop_asset(keeper->alerts, asset);
    }
    if (!any)
        return 0;
    struct px_alerts_walk *walk = px_alerts_walk_begin(keeper->alerts);
    while (!error && px_alerts_walk_next(walk, alert) == 0) {
        if (px_alerts_unindexed(keeper->alerts, alert->asset) == PX_INDEX_FINE)
            continue;
        error = pxi_judge_arm(keeper, alert);
        error = error == PX_E_INVALID ? 0 : error; /* makes no plan any more */
        if (!error && ++armed % 1000 == 0)
            error = pxi_judge_commit(keeper, false);
        px_heritage_beat(keeper->heritage);
    }
    px_alerts_walk_end(&walk);
    if (error)
        return error;
    px_alerts_indexed(keeper->alerts);
    px_log(PX_LOG_INFO, "alerts_indexed count=%llu", (unsigned long long)armed);
    return pxi_judge_commit(keeper, true);
}

/* Behind what a predecessor has made durable, if that was in these very queues. */
static int resume(struct pxi_keeper *keeper)
{
    struct px_alerts_checkpoint checkpoint;
    int error = px_alerts_checkpoint(keeper->alerts, &checkpoint);

    pxi_hits_init(&keeper->hits, keeper->shm);
    if (error)
        return error == PX_E_NOT_FOUND ? 0 : error;
    if (checkpoint.generation == keeper->heritage->generation)
        pxi_hits_resume(&keeper->hits, &checkpoint);
    return 0;
}

int pxi_judge_init(struct pxi_keeper *keeper)
{
    struct pxi_judge *judge = &keeper->judge;
    struct px_book_out out = {.ctx = keeper, .fire = on_fire, .expired = on_expired, .near = on_near};
    struct px_index index;

    int error = px_alerts_open(keeper->heritage->config->data, keeper->names, &keeper->alerts);
    if (error)
        return error;
    px_alerts_render_set(keeper->alerts, pxi_notice_render, keeper);
    px_stat_set(keeper->stats, PX_STAT_KEEP_ALERTS, px_alerts_count(keeper->alerts));
    judge->list = calloc(EXPIRED_MAX, sizeof *judge->list);
    if (!judge->list)
        return PX_E_MEMORY;
    px_armed_index(keeper->alerts, settle, keeper, &index);
    error = px_book_create(keeper->history.assets, BOOK_BYTES, &index, &out, &judge->book);
    if (!error)
        error = pxi_depth_init(keeper);
    if (!error)
        error = resume(keeper);
    if (!error)
        error = pxi_tell_init(keeper);
    if (!error)
        error = pxi_masses_init(keeper);
    if (!error)
        error = index_rest(keeper); /* before any window stands: rows of other decimals must not get into one */
    if (!error)
        error = load(keeper);
    return error ? error : pxi_masses_finish_old(keeper);
}

void pxi_judge_fini(struct pxi_keeper *keeper)
{
    pxi_tell_fini(keeper);
    pxi_depth_fini(keeper);
    pxi_masses_fini(keeper);
    px_book_destroy(&keeper->judge.book);
    px_alerts_close(&keeper->alerts);
    free(keeper->judge.list);
}
