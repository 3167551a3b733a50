/* Alert writes: taken in groups, made durable with one sync, told to the evaluator, and answered when it has heard. */
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "engine/keeper/keeper_private.h"

#define LOOK_NS (PX_NS_PER_S / 2) /* at the disk */

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

/* ---- the server thread's side ---- */

int pxi_task_submit(struct pxi_tasks *tasks, const struct px_wire_head *head, const struct px_wire_request *request,
                    unsigned client, uint32_t serial)
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
        task->rows = NULL;
        task->row_count = 0;
        task->more = false;
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

static void finish(struct pxi_tasks *tasks, struct pxi_task *task, int result)
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
        task->since = px_mono_now();
    }
    return task;
}

static int put_into_group(struct pxi_keeper *keeper, struct pxi_task *task)
{
    const struct px_config_limits *limits = &keeper->heritage->config->limits;
    const struct px_alert *alert = &task->request.alert;

    if (pxi_is_notice(task->head.kind))
        return pxi_notice_put(keeper, task);
    if (task->head.kind == PX_WIRE_ALERT_DELETE)
        return px_alerts_delete(keeper->alerts, alert->owner, alert->id, alert->version, &task->stored);
    if (keeper->tasks.space != PX_SPACE_FINE)
        return px_alerts_get(keeper->alerts, alert->owner, alert->id, &task->stored) == 0 ? PX_E_EXISTS : PX_E_DISK;
    return px_alerts_create(keeper->alerts, alert, limits->alerts_per_owner, &task->stored);
}

/* notify's own writes may be lost with the power: then it sends again, under the same name. */
static bool wants_sync(struct pxi_task *const *group, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (group[i]->head.kind != PX_WIRE_NOTIFY_TURN)
            return true;
    return false;
}

static bool concerns_evaluator(const struct pxi_task *task)
{
    return !pxi_is_notice(task->head.kind) &&
           (task->result == 0 || (task->result == PX_E_EXISTS && task->stored.state == PX_ALERT_ARMED));
}

/* A durable write is now told to the evaluator; one that found its alert there waits until everything before has been
 * heard. */
static void wait_for_evaluator(struct pxi_keeper *keeper, struct pxi_task *task)
{
    struct pxi_arms *arms = &keeper->arms;

    if (task->arms)
        task->record =
            pxi_arms_put(keeper, &task->stored, task->head.kind == PX_WIRE_ALERT_DELETE ? PX_ARM_REMOVE : PX_ARM_ADD);
    else if (arms->stream != PXI_STREAM_NONE || arms->served == 0)
        task->record = PXI_BY_STREAM;
    else
        task->record = arms->tail - 1;
    bool pushed = !task->arms && task->record != PXI_BY_STREAM && arms->head == arms->tail;
    set_state(task, pushed ? PXI_TASK_PUSHED : PXI_TASK_UNPUSHED);
    task->position = px_queue_tail(keeper->shm->arms) - 1;
    keeper->tasks.waiting++;
}

static int commit_group(struct pxi_keeper *keeper, struct pxi_task **group, unsigned count)
{
    bool dirty = px_alerts_dirty(keeper->alerts);
    px_mono before = px_mono_now();
    int error;

    pxi_crash_point("write-before-sync");
    error = dirty ? px_alerts_commit(keeper->alerts, wants_sync(group, count)) : 0;
    if (error)
        return error;
    pxi_crash_point("write-after-sync");
    if (dirty) {
        px_stat_add(keeper->stats, PX_STAT_KEEP_SYNCS, 1);
        px_stat_add(keeper->stats, PX_STAT_KEEP_SYNC_NS, (uint64_t)px_mono_since(px_mono_now(), before));
        px_stat_set(keeper->stats, PX_STAT_KEEP_ALERTS, px_alerts_count(keeper->alerts));
    }
    for (unsigned i = 0; i < count; i++) {
        if (concerns_evaluator(group[i]))
            wait_for_evaluator(keeper, group[i]);
        else
            finish(&keeper->tasks, group[i], group[i]->result);
    }
    return 0;
}

static void look_at_disk(struct pxi_keeper *keeper)
{
    struct pxi_tasks *tasks = &keeper->tasks;
    enum px_space before = tasks->space;

    if (px_mono_since(px_mono_now(), tasks->looked) < LOOK_NS)
        return;
    tasks->looked = px_mono_now();
    tasks->space = px_space_look(keeper->heritage->config->data);
    if (tasks->space != before)
        px_log(tasks->space > before ? PX_LOG_ERROR : PX_LOG_INFO, "disk_space state=%s",
               tasks->space == PX_SPACE_FINE  ? "fine"
               : tasks->space == PX_SPACE_LOW ? "low"
                                              : "none");
}

int pxi_tasks_turn(struct pxi_keeper *keeper)
{
    struct pxi_task *group[PXI_TASKS], *task;
    unsigned count = 0, all = 0;
    int error = 0;

    look_at_disk(keeper);
    while (all < PXI_TASKS && (task = next_task(&keeper->tasks)) != NULL) {
        all++;
        if (!pxi_arms_room(&keeper->arms,
                           count + 1)) { /* the evaluator is far behind; nothing is promised that cannot be kept */
            finish(&keeper->tasks, task, PX_E_AGAIN);
            continue;
        }
        task->result = put_into_group(keeper, task);
        if (task->result == PX_E_AGAIN && count > 0) { /* touches what the group touches: the next group */
            error = commit_group(keeper, group, count);
            if (error)
                return error;
            count = 0;
            task->result = put_into_group(keeper, task);
        }
        task->arms = task->result == 0 && !pxi_is_notice(task->head.kind) && task->stored.asset != PX_ASSET_NONE;
        if (task->result == PX_E_IO)
            return PX_E_IO;
        group[count++] = task;
    }
    if (count > 0)
        error = commit_group(keeper, group, count);
    return error ? error : all > 0;
}

/* ---- answered when the evaluator has heard ---- */

static void look_at_task(struct pxi_keeper *keeper, struct pxi_task *task, uint64_t head, px_mono now)
{
    bool heard = state_of(task) == PXI_TASK_PUSHED && (int64_t)(head - task->position) > 0;
    bool late = px_mono_since(now, task->since) > PXI_ARMED_NS;

    if (!heard && !late)
        return;
    keeper->tasks.waiting--;
    finish(&keeper->tasks, task, heard ? task->result : PX_E_TIMEOUT);
}

void pxi_tasks_heard(struct pxi_keeper *keeper)
{
    uint64_t head = px_queue_head(keeper->shm->arms);
    px_mono now = px_mono_now();

    for (unsigned i = 0; i < PXI_TASKS && keeper->tasks.waiting > 0; i++) {
        struct pxi_task *task = &keeper->tasks.task[i];
        enum pxi_task_state state = state_of(task);

        if (state == PXI_TASK_UNPUSHED || state == PXI_TASK_PUSHED)
            look_at_task(keeper, task, head, now);
    }
}

void pxi_tasks_pushed(struct pxi_keeper *keeper, uint64_t record, uint64_t position)
{
    for (unsigned i = 0; i < PXI_TASKS && keeper->tasks.waiting > 0; i++) {
        struct pxi_task *task = &keeper->tasks.task[i];

        if (state_of(task) != PXI_TASK_UNPUSHED || task->record != record)
            continue;
        set_state(task, PXI_TASK_PUSHED);
        task->position = position;
    }
}

void pxi_tasks_streamed(struct pxi_keeper *keeper)
{
    for (unsigned i = 0; i < PXI_TASKS && keeper->tasks.waiting > 0; i++) {
        struct pxi_task *task = &keeper->tasks.task[i];
        enum pxi_task_state state = state_of(task);

        if (state != PXI_TASK_UNPUSHED && state != PXI_TASK_PUSHED)
            continue;
        set_state(task, PXI_TASK_UNPUSHED);
        task->record = PXI_BY_STREAM;
    }
}
