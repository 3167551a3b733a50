/* Writes that the web asks for: taken in groups, made durable with one sync, and answered. */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "engine/keeper/keeper_private.h"

#define LOOK_NS     (PX_NS_PER_S / 2) /* at the disk, and for answers that are old enough to go */
#define FORGET_MAX  256
#define PATIENCE_NS (2 * PX_NS_PER_S) /* of a task, with a storm over its alert's asset */

static void fifo_put(struct pxi_fifo *fifo, uint16_t number)
{
    PX_CHECK(fifo->count < PXI_TASKS);
    fifo->number[(fifo->first + fifo->count++) % PXI_TASKS] = number;
}

static uint16_t fifo_take(struct pxi_fifo *fifo)
{
    uint16_t number = fifo->number[fifo->first];

    fifo->first = (fifo->first + 1) % PXI_TASKS;
    fifo->count--;
    return number;
}

int pxi_tasks_init(struct pxi_keeper *keeper)
{
    struct pxi_tasks *tasks = &keeper->tasks;

    tasks->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (tasks->done_fd < 0)
        return PX_E_SYSTEM;
    PX_CHECK(pthread_mutex_init(&tasks->lock, NULL) == 0);
    tasks->space = px_space_look(keeper->heritage->config->data);
    return 0;
}

void pxi_tasks_fini(struct pxi_keeper *keeper)
{
    if (keeper->tasks.done_fd < 0)
        return;
    close(keeper->tasks.done_fd);
    pthread_mutex_destroy(&keeper->tasks.lock);
}

/* The owner of a task moves it on; others only look whether it is theirs. */
static enum pxi_task_state state_of(const struct pxi_task *task)
{
    return __atomic_load_n(&task->state, __ATOMIC_RELAXED);
}

static void set_state(struct pxi_task *task, enum pxi_task_state state)
{
    __atomic_store_n(&task->state, state, __ATOMIC_RELAXED);
}

/* ---- kinds ---- */

bool pxi_answers_alert(unsigned kind)
{
    return kind == PX_WIRE_ALERT_CREATE || kind == PX_WIRE_ALERT_UPDATE || kind == PX_WIRE_ALERT_PAUSE ||
           kind == PX_WIRE_ALERT_RESUME || kind == PX_WIRE_ALERT_REARM;
}

bool pxi_is_write(unsigned kind)
{
    return pxi_answers_alert(kind) || kind == PX_WIRE_ALERT_DELETE || kind == PX_WIRE_ALERT_BATCH || pxi_is_notice(kind);
}

/* ---- the server thread's side ---- */

int pxi_task_submit(struct pxi_tasks *tasks, const struct px_wire_head *head, const struct px_wire_request *request,
                    struct px_alert **batchp, unsigned client, uint32_t serial)
{
    struct pxi_task *task = NULL;

    pthread_mutex_lock(&tasks->lock);
    for (unsigned i = 0; i < PXI_TASKS && !task; i++)
        if (state_of(&tasks->task[i]) == PXI_TASK_FREE)
            task = &tasks->task[i];
    if (task) {
        set_state(task, PXI_TASK_QUEUED);
        task->head = *head;
        task->request = *request;
        task->batch = *batchp;
        task->since = px_mono_now();
        task->behind = 0;
        *batchp = NULL;
        task->rows = NULL;
        task->row_count = 0;
        task->more = task->parked = false;
        task->prior = 0;
        task->client = client;
        task->serial = serial;
        fifo_put(&tasks->queued, (uint16_t)(task - tasks->task));
    }
    pthread_mutex_unlock(&tasks->lock);
    if (task)
        px_wait_wake(&tasks->news);
    return task ? 0 : PX_E_AGAIN;
}

bool pxi_task_take(struct pxi_tasks *tasks, struct pxi_task *taskp)
{
    bool any;

    pthread_mutex_lock(&tasks->lock);
    any = tasks->done.count > 0;
    if (any) {
        struct pxi_task *task = &tasks->task[fifo_take(&tasks->done)];

        *taskp = *task;
        set_state(task, PXI_TASK_FREE);
    }
    pthread_mutex_unlock(&tasks->lock);
    return any;
}

/* ---- the main thread's side ---- */

void pxi_task_finish(struct pxi_tasks *tasks, struct pxi_task *task, int result)
{
    uint64_t one = 1;

    task->result = result;
    pthread_mutex_lock(&tasks->lock);
    set_state(task, PXI_TASK_DONE);
    fifo_put(&tasks->done, (uint16_t)(task - tasks->task));
    pthread_mutex_unlock(&tasks->lock);
    if (write(tasks->done_fd, &one, sizeof one) < 0)
        px_log_limited(PX_LOG_WARN, 1, "eventfd_failed");
}

bool pxi_tasks_queued(struct pxi_tasks *tasks)
{
    pthread_mutex_lock(&tasks->lock);
    bool any = tasks->queued.count > 0;
    pthread_mutex_unlock(&tasks->lock);
    return any;
}

static struct pxi_task *next_task(struct pxi_tasks *tasks)
{
    struct pxi_task *task = NULL;

    pthread_mutex_lock(&tasks->lock);
    if (tasks->queued.count > 0)
        task = &tasks->task[fifo_take(&tasks->queued)];
    pthread_mutex_unlock(&tasks->lock);
    if (task) {
        set_state(task, PXI_TASK_COMMITTING);
    }
    return task;
}

/* Behind all others, for a later turn. */
static void put_back(struct pxi_tasks *tasks, struct pxi_task *task)
{
    pthread_mutex_lock(&tasks->lock);
    set_state(task, PXI_TASK_QUEUED);
    fifo_put(&tasks->queued, (uint16_t)(task - tasks->task));
    pthread_mutex_unlock(&tasks->lock);
}

static int create(struct pxi_keeper *keeper, const struct px_alert *alert, struct px_alert *storedp)
{
    if (keeper->tasks.space != PX_SPACE_FINE)
        return px_alerts_answered(keeper->alerts, alert, storedp) == 0 ? PX_E_EXISTS : PX_E_DISK;
    int error = px_alerts_create(keeper->alerts, alert, keeper->heritage->config->limits.alerts_per_owner, storedp);

    return error ? error : pxi_judge_arm(keeper, storedp);
}

static int begin_batch(struct pxi_task *task)
{
    struct px_alert_result *rows = calloc(task->request.range.limit, sizeof *rows);

    if (!rows)
        return PX_E_MEMORY;
    task->rows = rows;
    task->row_count = task->request.range.limit;
    for (uint32_t i = 0; i < task->row_count; i++)
        rows[i].result = PX_E_AGAIN;
    return 0;
}

/* PX_E_AGAIN when some have to wait for the next group, such as one that is named twice; then only those are tried again. */
static int create_batch(struct pxi_keeper *keeper, struct pxi_task *task)
{
    bool first = task->rows == NULL;
    uint32_t waiting = 0;
    int error = first ? begin_batch(task) : 0;

    struct px_alert_result *rows = task->rows;
    for (uint32_t i = 0; i < task->row_count && !error; i++) {
        if (rows[i].result != PX_E_AGAIN)
            continue;
        rows[i].result = create(keeper, &task->batch[i], &rows[i].alert);
        waiting += rows[i].result == PX_E_AGAIN;
        error = rows[i].result == PX_E_IO ? PX_E_IO : 0;
    }
    return !error && first && waiting > 0 ? PX_E_AGAIN : error;
}

static int delete(struct pxi_keeper *keeper, const struct px_alert *alert, struct px_alert *gonep)
{
    int error = px_alerts_delete(keeper->alerts, alert->owner, alert->id, alert->version, gonep);

    return error ? error : pxi_judge_disarm(keeper, gonep);
}

/* What it waits for stays as it is when only its words change. */
static int update(struct pxi_keeper *keeper, const struct px_alert *changed, struct px_alert *storedp)
{
    struct px_alert before;

    if (keeper->tasks.space != PX_SPACE_FINE)
        return PX_E_DISK;
    int error = px_alerts_update(keeper->alerts, changed, storedp, &before);
    if (error || storedp->state != PX_ALERT_ARMED ||
        (strcmp(before.symbol, storedp->symbol) == 0 && memcmp(&before.rule, &storedp->rule, sizeof before.rule) == 0))
        return error;
    error = pxi_judge_disarm(keeper, &before);
    return error ? error : pxi_judge_arm(keeper, storedp);
}

static int act(struct pxi_keeper *keeper, enum px_alert_action action, const struct px_alert *asked, struct px_alert *storedp)
{
    struct px_alert before;
    int error = px_alerts_get(keeper->alerts, asked->owner, asked->id, &before);

    if (!error)
        error = px_alerts_act(keeper->alerts, action, asked->owner, asked->id, asked->version, storedp);
    if (error || (action == PX_ALERT_RESUME && before.state == PX_ALERT_ARMED)) /* it goes on waiting where it was */
        return error;
    if (before.state == PX_ALERT_ARMED)
        error = pxi_judge_disarm(keeper, &before);
    return !error && storedp->state == PX_ALERT_ARMED ? pxi_judge_arm(keeper, storedp) : error;
}

static int put_into_group(struct pxi_keeper *keeper, struct pxi_task *task)
{
    const struct px_alert *alert = &task->request.alert;

    switch (task->head.kind) {
    case PX_WIRE_ALERT_CREATE:
        return create(keeper, alert, &task->stored);
    case PX_WIRE_ALERT_DELETE:
        return delete(keeper, alert, &task->stored);
    case PX_WIRE_ALERT_BATCH:
        return create_batch(keeper, task);
    case PX_WIRE_ALERT_UPDATE:
        return update(keeper, alert, &task->stored);
    case PX_WIRE_ALERT_PAUSE:
        return act(keeper, PX_ALERT_PAUSE, alert, &task->stored);
    case PX_WIRE_ALERT_RESUME:
        return act(keeper, PX_ALERT_RESUME, alert, &task->stored);
    case PX_WIRE_ALERT_REARM:
        return act(keeper, PX_ALERT_REARM, alert, &task->stored);
    default:
        return pxi_is_notice(task->head.kind) ? pxi_notice_put(keeper, task) : PX_E_INVALID;
    }
}

/* notify's own writes may be lost with the power: then it sends again, under the same name. */
static bool wants_sync(struct pxi_task *const *group, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (group[i]->head.kind != PX_WIRE_NOTIFY_TURN)
            return true;
    return count == 0; /* what a batch has put that goes on in the next group */
}

static int commit_group(struct pxi_keeper *keeper, struct pxi_task **group, unsigned count)
{
    pxi_crash_point("write-before-sync");
    int error = pxi_judge_commit(keeper, wants_sync(group, count));
    if (error)
        return error;
    pxi_crash_point("write-after-sync");
    px_stat_set(keeper->stats, PX_STAT_KEEP_ALERTS, px_alerts_count(keeper->alerts));
    for (unsigned i = 0; i < count; i++)
        pxi_task_finish(&keeper->tasks, group[i], group[i]->result);
    return 0;
}

static bool changes_alert(unsigned kind)
{
    return kind == PX_WIRE_ALERT_DELETE || (pxi_answers_alert(kind) && kind != PX_WIRE_ALERT_CREATE);
}

static int tell_rest(struct pxi_keeper *keeper)
{
    while (px_alerts_told(keeper->alerts) != px_alerts_eseq(keeper->alerts)) {
        int error = pxi_tell_turn(keeper, PXI_TELL_MAX);

        if (error < 0)
            return error;
        px_heritage_beat(keeper->heritage);
    }
    return 0;
}

static void look_at_disk(struct pxi_keeper *keeper)
{
    struct pxi_tasks *tasks = &keeper->tasks;
    enum px_space before = tasks->space;

    tasks->space = px_space_look(keeper->heritage->config->data);
    if (tasks->space != before)
        px_log(tasks->space > before ? PX_LOG_ERROR : PX_LOG_INFO, "disk_space state=%s",
               tasks->space == PX_SPACE_FINE  ? "fine"
               : tasks->space == PX_SPACE_LOW ? "low"
                                              : "none");
}

struct tasks_group {
    struct pxi_task *task[PXI_TASKS];
    unsigned count;
};

static bool is_open(const struct pxi_keeper *keeper, const struct tasks_group *group)
{
    return group->count > 0 || px_alerts_dirty(keeper->alerts);
}

static int end_group(struct pxi_keeper *keeper, struct tasks_group *group)
{
    int error = commit_group(keeper, group->task, group->count);

    group->count = 0;
    return error;
}

/* Rows know of fires when these have been told; that is between two groups. */
static int tell_few(struct pxi_keeper *keeper)
{
    return px_alerts_eseq(keeper->alerts) - px_alerts_told(keeper->alerts) <= PXI_TELL_MAX ? tell_rest(keeper) : 0;
}

/* Are there hits of the asset that had been told when the task was looked at first? They are about the alert as it was. */
static bool is_overtaking(const struct pxi_keeper *keeper, struct pxi_task *task, px_asset_id asset, unsigned most)
{
    struct px_levels_value levels;

    if (asset == PX_ASSET_NONE)
        return false;
    if (task->behind == 0) {
        px_latch_read(px_shm_levels(keeper->shm, asset), &levels);
        task->behind = levels.position + 1;
    }
    return pxi_hits_older(&keeper->hits, asset, task->behind, most);
}

/* A task that has waited long enough: all that it waits for is done now. */
static int make_way(struct pxi_keeper *keeper, struct pxi_task *task, px_asset_id asset)
{
    int error = 0;

    while (error >= 0 && is_overtaking(keeper, task, asset, UINT32_MAX)) {
        px_heritage_beat(keeper->heritage);
        error = pxi_judge_turn(keeper);
    }
    if (error >= 0)
        error = pxi_masses_finish(keeper, asset);
    return error < 0 ? error : tell_rest(keeper);
}

/*
 * Alerts are changed behind the hits that were told before, and by what their rows say, so the rows have to know of every fire. A few are told for it;
 * over a storm, or hits that are queued, the task waits (> 0), and what is new goes on. PX_E_*.
 */
static int must_wait(struct pxi_keeper *keeper, struct tasks_group *group, struct pxi_task *task)
{
    struct px_alert alert;

    if (!changes_alert(task->head.kind) || px_alerts_get(keeper->alerts, NULL, task->request.alert.id, &alert) != 0)
        return 0;
    bool overtaking = is_overtaking(keeper, task, alert.asset, PXI_HITS);
    if (!overtaking && !pxi_judge_unsettled(keeper, alert.asset))
        return 0;
    bool few = !pxi_masses_busy(keeper, alert.asset) && px_alerts_eseq(keeper->alerts) - px_alerts_told(keeper->alerts) <= PXI_TELL_MAX;
    if ((overtaking || !few) && px_mono_since(px_mono_now(), task->since) < PATIENCE_NS)
        return 1;
    int error = is_open(keeper, group) ? end_group(keeper, group) : 0;
    return error ? error : make_way(keeper, task, alert.asset);
}

/* Into the group; > 0: it has to wait. */
static int take_in(struct pxi_keeper *keeper, struct tasks_group *group, struct pxi_task *task)
{
    int waits = must_wait(keeper, group, task);

    if (waits != 0)
        return waits;
    task->result = put_into_group(keeper, task);
    if (task->result == PX_E_AGAIN && (is_open(keeper, group) || task->batch)) { /* touches what the group touches: the next group */
        int error = end_group(keeper, group);

        if (!error)
            error = tell_few(keeper);
        if (!error)
            error = must_wait(keeper, group, task);
        if (error != 0)
            return error;
        task->result = put_into_group(keeper, task);
    }
    if (task->result == PX_E_IO)
        return PX_E_IO;
    if (!task->parked) /* it is answered when something is due, which may be before this group is written */
        group->task[group->count++] = task;
    return 0;
}

static int look_around(struct pxi_keeper *keeper)
{
    unsigned count;

    if (px_mono_since(px_mono_now(), keeper->tasks.looked) < LOOK_NS)
        return 0;
    keeper->tasks.looked = px_mono_now();
    look_at_disk(keeper);
    int error = px_alerts_forget_answers(keeper->alerts, px_wall_now(), FORGET_MAX, &count);
    return !error && count > 0 ? px_alerts_commit(keeper->alerts, false) : error;
}

/* A group that finds hits waiting takes no more: somebody wants to be told. */
int pxi_tasks_turn(struct pxi_keeper *keeper)
{
    struct tasks_group group = {.count = 0};
    struct pxi_task *task, *waiting[PXI_TASKS];
    unsigned all = 0, waits = 0;
    int error = look_around(keeper);

    while (!error && all < PXI_TASKS && (all == 0 || !pxi_hits_queued(&keeper->hits)) &&
           (task = next_task(&keeper->tasks)) != NULL) {
        int result = take_in(keeper, &group, task);

        all++;
        if (result > 0)
            waiting[waits++] = task;
        error = PX_MIN(result, 0);
    }
    if (!error && is_open(keeper, &group))
        error = end_group(keeper, &group);
    for (unsigned i = 0; i < waits; i++)
        put_back(&keeper->tasks, waiting[i]);
    return error ? error : all > 0;
}
