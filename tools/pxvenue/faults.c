#include "tools/pxvenue/faults_private.h"

#include <assert.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "tools/pxvenue/dice_private.h"

#define REORDER_NS (100 * PX_NS_PER_MS) /* a frame waits no longer than this for one that overtakes it */

enum fault { DROP, DUPLICATE, DELAY, REORDER, GARBLE, HOW, FAULTS };

static_assert(PXI_FATES <= PX_COUNT_OF(((struct pxi_faults_stats *)0)->fates), "a counter for each fate");

/* A copy of a frame, its texts behind it in the same piece of memory. */
struct held {
    int64_t due;
    struct pxi_frame frame;
    char text[];
};

struct pxi_faults {
    struct pxi_faults_setup setup;
    struct pxi_clients *clients;
    struct pxi_dice dice[FAULTS];
    struct held *delayed[PXI_HELD_MAX]; /* a ring; all wait equally long, so it is in order of due times */
    uint32_t first, count;
    struct held *overtaken; /* waits until the next frame has gone */
    bool started, stalled;
    int64_t stall_turn, disconnect_turn; /* px_mono ns of the next begin or end of a stall; of the next cut */
    struct pxi_faults_stats stats;
};

const char *pxi_fate_word(enum pxi_fate fate)
{
    static const char *const words[] = {
#define PXI_FATE_WORD(name, word) word,
        PXI_FATE_TABLE(PXI_FATE_WORD)
#undef PXI_FATE_WORD
    };
    return words[fate];
}

int pxi_faults_create(const struct pxi_faults_setup *setup, struct pxi_clients *clients, struct pxi_faults **faultsp)
{
    struct pxi_faults *faults = calloc(1, sizeof(*faults));

    if (!faults)
        return PX_E_MEMORY;
    faults->setup = *setup;
    faults->clients = clients;
    for (unsigned i = 0; i < FAULTS; i++)
        faults->dice[i] = pxi_dice_for(setup->seed, 100 + i);
    *faultsp = faults;
    return 0;
}

void pxi_faults_destroy(struct pxi_faults **faultsp)
{
    struct pxi_faults *faults = *faultsp;

    if (!faults)
        return;
    for (; faults->count; faults->count--)
        free(faults->delayed[faults->first++ % PXI_HELD_MAX]);
    free(faults->overtaken);
    free(faults);
    *faultsp = NULL;
}

static struct held *hold(const struct pxi_frame *frame, int64_t due)
{
    struct held *held = malloc(sizeof(*held) + frame->text[0].len + frame->text[1].len);
    size_t at = 0;

    if (!held)
        return NULL;
    held->due = due;
    held->frame = *frame;
    for (unsigned unit = 0; unit < PXI_UNITS; unit++) {
        memcpy(held->text + at, frame->text[unit].at, frame->text[unit].len);
        held->frame.text[unit].at = held->text + at;
        at += frame->text[unit].len;
    }
    return held;
}

static void let_go(struct pxi_faults *faults, struct held **heldp)
{
    if (*heldp)
        pxi_clients_send(faults->clients, &(*heldp)->frame);
    free(*heldp);
    *heldp = NULL;
}

/* Replaces a few bytes by other printable ones, or cuts the end off: still text, no longer the venue's. */
static void garble(struct pxi_faults *faults, struct held *held)
{
    struct pxi_dice *dice = &faults->dice[HOW];

    for (unsigned unit = 0; unit < PXI_UNITS; unit++) {
        struct px_text *text = &held->frame.text[unit];
        if (text->len == 0)
            continue;
        if (pxi_dice_below(dice, 4) == 0) {
            text->len = pxi_dice_below(dice, text->len);
            continue;
        }
        for (uint64_t n = 1 + pxi_dice_below(dice, 4); n > 0; n--) {
            char *victim = (char *)text->at + pxi_dice_below(dice, text->len);
            if ((unsigned char)*victim < 0x80)
                *victim = (char)(' ' + pxi_dice_below(dice, 95));
        }
    }
}

static bool keep_delayed(struct pxi_faults *faults, const struct pxi_frame *frame)
{
    struct held *held;

    if (faults->count == PXI_HELD_MAX)
        return false;
    held = hold(frame, px_mono_now().ns + faults->setup.delay_ms * PX_NS_PER_MS);
    if (held)
        faults->delayed[(faults->first + faults->count++) % PXI_HELD_MAX] = held;
    return held;
}

static bool keep_overtaken(struct pxi_faults *faults, const struct pxi_frame *frame)
{
    if (faults->overtaken)
        return false;
    faults->overtaken = hold(frame, px_mono_now().ns + REORDER_NS);
    return faults->overtaken;
}

/* Sends now or later; says which. */
static enum pxi_fate pass(struct pxi_faults *faults, const struct pxi_frame *frame, bool twice, bool late, bool swap)
{
    enum pxi_fate fate = PXI_FATE_SENT;

    if (late && keep_delayed(faults, frame))
        return PXI_FATE_DELAYED;
    if (swap && keep_overtaken(faults, frame))
        return PXI_FATE_REORDERED;
    if (pxi_clients_send(faults->clients, frame) == 0)
        fate = PXI_FATE_UNHEARD;
    if (twice && pxi_clients_send(faults->clients, frame) > 0)
        fate = PXI_FATE_DUPLICATED;
    let_go(faults, &faults->overtaken);
    return fate;
}

static enum pxi_fate decide(struct pxi_faults *faults, const struct pxi_frame *frame)
{
    const struct pxi_faults_setup *setup = &faults->setup;
    bool drop = pxi_dice_hits(&faults->dice[DROP], setup->drop);
    bool twice = pxi_dice_hits(&faults->dice[DUPLICATE], setup->duplicate);
    bool late = pxi_dice_hits(&faults->dice[DELAY], setup->delay);
    bool swap = pxi_dice_hits(&faults->dice[REORDER], setup->reorder);
    bool spoil = pxi_dice_hits(&faults->dice[GARBLE], setup->garble);
    struct held *copy = spoil && !drop ? hold(frame, 0) : NULL;

    if (drop)
        return PXI_FATE_DROPPED;
    if (!copy)
        return pass(faults, frame, twice, late, swap);
    garble(faults, copy);
    enum pxi_fate fate = pass(faults, &copy->frame, twice, late, swap);
    free(copy);
    return fate == PXI_FATE_UNHEARD ? fate : PXI_FATE_GARBLED;
}

enum pxi_fate pxi_faults_send(struct pxi_faults *faults, const struct pxi_frame *frame)
{
    enum pxi_fate fate = decide(faults, frame);

    faults->stats.fates[fate]++;
    if (frame->kind == PXI_FRAME_TRADE)
        faults->stats.trades[fate]++;
    if (frame->kind == PXI_FRAME_QUOTE)
        faults->stats.quotes[fate]++;
    return fate;
}

static void release(struct pxi_faults *faults, px_mono now)
{
    while (faults->count && faults->delayed[faults->first % PXI_HELD_MAX]->due <= now.ns) {
        let_go(faults, &faults->delayed[faults->first % PXI_HELD_MAX]);
        faults->first = (faults->first + 1) % PXI_HELD_MAX;
        faults->count--;
    }
    if (faults->overtaken && faults->overtaken->due <= now.ns)
        let_go(faults, &faults->overtaken);
}

static void turn_stall(struct pxi_faults *faults, px_mono now)
{
    if (!faults->setup.stall_ms || now.ns < faults->stall_turn)
        return;
    faults->stalled = !faults->stalled;
    faults->stats.stalls += faults->stalled;
    faults->stall_turn =
        now.ns + PX_NS_PER_MS * (faults->stalled ? faults->setup.stall_ms : faults->setup.stall_every_ms);
    px_log(PX_LOG_INFO, "%s", faults->stalled ? "stall_begin" : "stall_end");
}

static void turn_disconnect(struct pxi_faults *faults, px_mono now)
{
    if (!faults->setup.disconnect_every_ms || now.ns < faults->disconnect_turn)
        return;
    faults->disconnect_turn = now.ns + PX_NS_PER_MS * faults->setup.disconnect_every_ms;
    faults->stats.disconnects++;
    pxi_clients_cut(faults->clients);
}

int64_t pxi_faults_pump(struct pxi_faults *faults, px_mono now)
{
    int64_t next = INT64_MAX;

    if (!faults->started) {
        faults->started = true;
        faults->stall_turn = now.ns + faults->setup.stall_every_ms * PX_NS_PER_MS;
        faults->disconnect_turn = now.ns + faults->setup.disconnect_every_ms * PX_NS_PER_MS;
    }
    turn_stall(faults, now);
    turn_disconnect(faults, now);
    if (!faults->stalled)
        release(faults, now);
    if (faults->setup.stall_ms)
        next = PX_MIN(next, faults->stall_turn);
    if (faults->setup.disconnect_every_ms)
        next = PX_MIN(next, faults->disconnect_turn);
    if (faults->count && !faults->stalled)
        next = PX_MIN(next, faults->delayed[faults->first % PXI_HELD_MAX]->due);
    if (faults->overtaken && !faults->stalled)
        next = PX_MIN(next, faults->overtaken->due);
    return next;
}

bool pxi_faults_stalled(const struct pxi_faults *faults)
{
    return faults->stalled;
}

bool pxi_faults_idle(const struct pxi_faults *faults)
{
    return !faults->count && !faults->overtaken;
}

const struct pxi_faults_stats *pxi_faults_stats(const struct pxi_faults *faults)
{
    return &faults->stats;
}
