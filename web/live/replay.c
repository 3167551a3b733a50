/* Stored alert events, fetched from the keeper by a thread that may wait for it. At most 64 questions are under way. */
#include "base/error.h"
#include "store/reader.h"
#include "web/live/live_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#define QUESTIONS_MAX 64
#define PAGE          100

struct question {
    struct cds_list_head list; /* in asked or answered */
    uint64_t session, since;
    char owner[PX_OWNER_SIZE];
    int error;
    bool more;
    uint32_t count;
    struct px_alert_event events[PAGE];
};

struct pxi_replay {
    struct px_live *live;
    struct px_reader *reader;
    pthread_t thread;
    pthread_mutex_t lock; /* for all below; held for a few instructions */
    pthread_cond_t news;
    struct cds_list_head asked, answered;
    unsigned under_way;
    bool stop;
};

static void answer(struct pxi_replay *replay, struct question *question)
{
    struct px_event_query query = {.owner = question->owner, .since = question->since, .limit = PAGE};

    question->error = px_reader_events(replay->reader, &query, question->events, &question->count, &question->more);
}

static struct question *wait_for_question(struct pxi_replay *replay)
{
    struct question *question = NULL;

    pthread_mutex_lock(&replay->lock);
    while (!replay->stop && cds_list_empty(&replay->asked))
        pthread_cond_wait(&replay->news, &replay->lock);
    if (!replay->stop) {
        question = cds_list_first_entry(&replay->asked, struct question, list);
        cds_list_del(&question->list);
    }
    pthread_mutex_unlock(&replay->lock);
    return question;
}

static void *replay_run(void *arg)
{
    struct pxi_replay *replay = arg;
    struct question *question;

    while ((question = wait_for_question(replay)) != NULL) {
        answer(replay, question);
        pthread_mutex_lock(&replay->lock);
        cds_list_add_tail(&question->list, &replay->answered);
        pthread_mutex_unlock(&replay->lock);
        (void)eventfd_write(replay->live->replay_fd, 1);
    }
    return NULL;
}

bool pxi_replay_ask(void *user, uint64_t session, const char *owner, uint64_t since)
{
    struct px_live *live = user;
    struct pxi_replay *replay = live->replay;
    struct question *question;

    if (replay == NULL || replay->under_way == QUESTIONS_MAX)
        return false;
    question = calloc(1, sizeof(*question));
    if (question == NULL)
        return false;
    question->session = session;
    question->since = since;
    snprintf(question->owner, sizeof(question->owner), "%s", owner);
    replay->under_way++; /* the loop's own count */
    pthread_mutex_lock(&replay->lock);
    cds_list_add_tail(&question->list, &replay->asked);
    pthread_cond_signal(&replay->news);
    pthread_mutex_unlock(&replay->lock);
    return true;
}

static struct question *take_answer(struct pxi_replay *replay)
{
    struct question *question = NULL;

    pthread_mutex_lock(&replay->lock);
    if (!cds_list_empty(&replay->answered)) {
        question = cds_list_first_entry(&replay->answered, struct question, list);
        cds_list_del(&question->list);
    }
    pthread_mutex_unlock(&replay->lock);
    return question;
}

void pxi_replay_collect(struct px_live *live)
{
    struct question *question;

    while ((question = take_answer(live->replay)) != NULL) {
        live->replay->under_way--;
        px_hub_replayed(live->hub, question->session, question->error, question->events, question->count,
                        question->more, live->now);
        free(question);
    }
}

int pxi_replay_start(struct px_live *live, struct pxi_replay **replayp)
{
    struct pxi_replay *replay = calloc(1, sizeof(*replay));
    int error;

    if (replay == NULL)
        return PX_E_MEMORY;
    replay->live = live;
    CDS_INIT_LIST_HEAD(&replay->asked);
    CDS_INIT_LIST_HEAD(&replay->answered);
    pthread_mutex_init(&replay->lock, NULL);
    pthread_cond_init(&replay->news, NULL);
    error = px_reader_create(live->options.data, &replay->reader);
    if (error == 0 && pthread_create(&replay->thread, NULL, replay_run, replay) != 0)
        error = PX_E_SYSTEM;
    if (error != 0) {
        px_reader_destroy(&replay->reader);
        free(replay);
        return error;
    }
    *replayp = replay;
    return 0;
}

static void free_all(struct cds_list_head *list)
{
    struct question *question, *after;

    cds_list_for_each_entry_safe(question, after, list, list) free(question);
}

void pxi_replay_stop(struct pxi_replay **replayp)
{
    struct pxi_replay *replay = *replayp;

    if (replay == NULL)
        return;
    pthread_mutex_lock(&replay->lock);
    replay->stop = true;
    pthread_cond_signal(&replay->news);
    pthread_mutex_unlock(&replay->lock);
    pthread_join(replay->thread, NULL); /* waits for the reader's own deadline at most */
    px_reader_destroy(&replay->reader);
    free_all(&replay->asked);
    free_all(&replay->answered);
    pthread_cond_destroy(&replay->news);
    pthread_mutex_destroy(&replay->lock);
    free(replay);
    *replayp = NULL;
}
