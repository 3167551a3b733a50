/*
 * <data>/keeper.sock: one thread, at most CLIENTS connections, one request at a time on each. Reads are answered here,
 * since RocksDB's readers need no lock; alert writes go to the main thread and come back as finished tasks. A client
 * that breaks the rules, or does not take its answer while it asks for more, hurts itself alone.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "engine/keeper/keeper_private.h"

#define CLIENTS    64
#define TAG_LISTEN UINT64_C(1) << 32
#define TAG_DONE   UINT64_C(2) << 32
#define TAG_STOP   UINT64_C(3) << 32

struct request {
    struct px_wire_head head;
    struct px_wire_request body;
};

struct client {
    int fd; /* -1: the place is free */
    uint32_t serial;
    pid_t pid; /* who connected */
    bool waits; /* for a task */
    size_t got;
    struct request in;
    void *rows; /* of an import or a batch: what follows the request */
    size_t rows_len, rows_got;
    char *out;
    size_t out_len, out_sent;
};

struct pxi_server {
    struct pxi_keeper *keeper;
    pthread_t thread;
    int listen_fd, epoll_fd, stop_fd;
    unsigned importer; /* the client whose import is under way */
    uint32_t importer_serial;
    struct client client[CLIENTS];
};

static void watch(const struct pxi_server *server, int operation, int fd, uint32_t events, uint64_t tag)
{
    struct epoll_event event = {.events = events, .data.u64 = tag};

    PX_CHECK(epoll_ctl(server->epoll_fd, operation, fd, &event) == 0);
}

static void drop(struct client *client)
{
    close(client->fd); /* leaves the epoll set by itself */
    free(client->out);
    free(client->rows);
    client->fd = -1;
    client->out = NULL;
    client->rows = NULL;
    client->waits = false;
    client->serial++;
    client->got = 0;
}

/* ---- answers ---- */

struct answer {
    struct px_wire_head head;
    struct px_wire_answer body;
};

static const size_t row_sizes[PX_WIRE_KINDS] = {0,
#define ROW_SIZE(NAME, row) sizeof(row),
                                                PX_WIRE_TABLE(ROW_SIZE)
#undef ROW_SIZE
};

/* Sends what the socket takes; the rest when it is writable again. */
static void flush(struct pxi_server *server, struct client *client)
{
    uint64_t tag = (uint64_t)(client - server->client);

    while (client->out_sent < client->out_len) {
        ssize_t n = send(client->fd, client->out + client->out_sent, client->out_len - client->out_sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            watch(server, EPOLL_CTL_MOD, client->fd, EPOLLOUT, tag);
            return;
        }
        if (n < 0) {
            drop(client);
            return;
        }
        client->out_sent += (size_t)n;
    }
    free(client->out);
    client->out = NULL;
    watch(server, EPOLL_CTL_MOD, client->fd, EPOLLIN, tag);
}

/* Takes `frame`, which has room for the head, the answer and its rows. */
static void reply(struct pxi_server *server, struct client *client, const struct px_wire_head *asked, char *frame)
{
    struct answer *answer = (struct answer *)(void *)frame;

    answer->head = *asked;
    answer->head.bytes = (uint32_t)(sizeof answer->body + answer->body.count * row_sizes[asked->kind]);
    client->out = frame;
    client->out_len = sizeof answer->head + answer->head.bytes;
    client->out_sent = 0;
    flush(server, client);
}

/* ---- reads ---- */

static int read_candles(const struct pxi_keeper *keeper, const struct px_wire_request *request, void *rows,
                        struct px_wire_answer *answer)
{
    const struct pxi_history *history = &keeper->history;
    struct px_page page;

    answer->position = __atomic_load_n(&history->readable, __ATOMIC_ACQUIRE);
    if (request->asset >= history->assets)
        return PX_E_INVALID;
    int64_t final_ns = __atomic_load_n(&history->final_ns[request->asset], __ATOMIC_ACQUIRE);
    int result = px_hist_candles(history->hist, request->asset, request->interval_s, request->flag, final_ns,
                                 &request->range, rows, &page, &answer->prior);
    answer->count = page.count;
    answer->more = page.more;
    answer->next = page.next;
    answer->final_ns = page.final_ns;
    return result;
}

static int read_ticks(const struct pxi_keeper *keeper, const struct px_wire_request *request, void *rows,
                      struct px_wire_answer *answer)
{
    struct px_page page;

    answer->position = __atomic_load_n(&keeper->history.readable, __ATOMIC_ACQUIRE);
    int result = px_hist_ticks(keeper->history.hist, request->asset, request->flag, &request->range, rows, &page);

    answer->count = page.count;
    answer->more = page.more;
    answer->next = page.next;
    return result;
}

static int read_alert(const struct pxi_keeper *keeper, const struct px_alert *asked, void *rows,
                      struct px_wire_answer *answer)
{
    int result = px_alerts_get(keeper->alerts, asked->owner, asked->id, rows);
    if (result == 0)
        px_alerts_live(keeper->alerts, rows);

    answer->count = result == 0;
    return result;
}

static int read_rows(const struct pxi_keeper *keeper, const struct request *request, void *rows,
                     struct px_wire_answer *answer)
{
    const struct px_wire_request *body = &request->body;

    switch (request->head.kind) {
    case PX_WIRE_PING:
        return 0;
    case PX_WIRE_ALERT_GET:
        return read_alert(keeper, &body->alert, rows, answer);
    case PX_WIRE_ALERT_LIST:
        return px_alerts_list(keeper->alerts, &body->alert, &body->after, body->range.limit, rows, &answer->count,
                              &answer->more, &answer->next_alert);
    case PX_WIRE_EVENTS:
        return px_alerts_events(keeper->alerts,
                                &(struct px_event_query){.owner = body->alert.owner,
                                                         .alert = body->alert.id,
                                                         .since = body->since,
                                                         .limit = body->range.limit,
                                                         .descending = body->range.descending},
                                rows, &answer->count, &answer->more);
    case PX_WIRE_CANDLES:
        return read_candles(keeper, body, rows, answer);
    case PX_WIRE_TICKS:
        return read_ticks(keeper, body, rows, answer);
    default:
        return pxi_notice_read(keeper, request->head.kind, body, rows, answer);
    }
}

/* Room for as many rows as were asked for; a request that asks for too many is broken. */
static char *frame_for(const struct request *request)
{
    uint32_t limit = request->body.range.limit;

    return limit > PX_PAGE_MAX ? NULL : calloc(1, sizeof(struct answer) + (limit + 1) * row_sizes[request->head.kind]);
}

static void serve_read(struct pxi_server *server, struct client *client)
{
    char *frame = frame_for(&client->in);

    if (!frame) {
        drop(client);
        return;
    }
    struct answer *answer = (struct answer *)(void *)frame;
    answer->body.result = read_rows(server->keeper, &client->in, frame + sizeof *answer, &answer->body);
    if (answer->body.result)
        answer->body.count = 0;
    reply(server, client, &client->in.head, frame);
}

/* ---- writes ---- */

static void reply_task(struct pxi_server *server, struct client *client, const struct pxi_task *task)
{
    bool good = task->result == 0 || task->result == PX_E_EXISTS;
    bool has_row = good && pxi_answers_alert(task->head.kind);
    const void *rows = has_row ? &task->stored : task->rows;
    uint32_t count = has_row ? 1 : good && task->rows ? task->row_count : 0;
    char *frame = calloc(1, sizeof(struct answer) + count * row_sizes[task->head.kind]);

    if (!frame) {
        drop(client);
        return;
    }
    struct answer *answer = (struct answer *)(void *)frame;
    answer->body.result = task->result;
    answer->body.count = count;
    answer->body.more = task->more;
    answer->body.prior = task->prior;
    if (count > 0)
        memcpy(frame + sizeof *answer, rows, count * row_sizes[task->head.kind]);
    client->waits = false;
    reply(server, client, &task->head, frame);
}

static void serve_write(struct pxi_server *server, struct client *client)
{
    static struct pxi_task refused; /* large; this thread is the one that refuses */
    struct px_alert *batch = client->rows;

    client->waits = true;
    watch(server, EPOLL_CTL_MOD, client->fd, 0, (uint64_t)(client - server->client));
    refused.head = client->in.head;
    refused.result = pxi_task_submit(&server->keeper->tasks, &client->in.head, &client->in.body,
                                     &batch, (unsigned)(client - server->client), client->serial);
    free(batch);
    client->rows = NULL;
    if (refused.result)
        reply_task(server, client, &refused);
}

/* ---- imports ---- */

static void reply_import(struct pxi_server *server, struct client *client, int result, const struct px_import_report *report)
{
    char *frame = calloc(1, sizeof(struct answer) + sizeof *report);

    if (!frame) {
        drop(client);
        return;
    }
    struct answer *answer = (struct answer *)(void *)frame;
    answer->body.result = result;
    answer->body.count = result == 0;
    if (result == 0)
        memcpy(frame + sizeof *answer, report, sizeof *report);
    client->waits = false;
    reply(server, client, &client->in.head, frame);
}

/* All of its rows are here. */
static void serve_import(struct pxi_server *server, struct client *client)
{
    uint32_t count = (uint32_t)(client->rows_len / pxi_import_row_size(&client->in.body));

    client->waits = true;
    watch(server, EPOLL_CTL_MOD, client->fd, 0, (uint64_t)(client - server->client));
    int result = pxi_import_submit(server->keeper, &client->in.body, &client->rows, count);
    if (result == 0) { /* it comes back to this thread: not before this line */
        server->importer = (unsigned)(client - server->client);
        server->importer_serial = client->serial;
    }
    free(client->rows);
    client->rows = NULL;
    if (result)
        reply_import(server, client, result, NULL);
}

static void take_import(struct pxi_server *server)
{
    struct client *client = &server->client[server->importer];
    struct px_import_report report;
    int result;

    if (pxi_import_take(server->keeper, &result, &report) && client->fd >= 0 &&
        client->serial == server->importer_serial && client->waits)
        reply_import(server, client, result, &report);
}

static void take_finished(struct pxi_server *server)
{
    struct pxi_task task;
    uint64_t count;

    if (read(server->keeper->tasks.done_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        px_log_limited(PX_LOG_WARN, 1, "eventfd_failed");
    take_import(server);
    while (pxi_task_take(&server->keeper->tasks, &task)) {
        struct client *client = &server->client[task.client];

        if (client->fd >= 0 && client->serial == task.serial && client->waits)
            reply_task(server, client, &task);
        free(task.rows);
        free(task.batch);
    }
}

/* ---- clients ---- */

/* Whole rows, and not too many. */
static bool rows_fit(const struct px_wire_head *head, const struct px_wire_request *body)
{
    size_t size = pxi_import_row_size(body);

    return head->bytes > sizeof *body && head->bytes <= PX_WIRE_BODY_MAX && (head->bytes - sizeof *body) % size == 0;
}

static bool records_fit(const struct px_wire_head *head, const struct px_wire_request *body)
{
    uint32_t count = body->range.limit;

    return count >= 1 && count <= PX_BATCH_MAX && head->bytes == sizeof *body + count * sizeof(struct px_alert);
}

static bool request_ok(struct request *request)
{
    const struct px_wire_head *head = &request->head;
    struct px_wire_request *body = &request->body;

    body->alert.owner[PX_OWNER_SIZE - 1] = body->alert.symbol[PX_SYMBOL_SIZE - 1] = '\0';
    body->alert.tags[0][PX_ALERT_TAG_SIZE - 1] = '\0';
    return head->version == PX_WIRE_VERSION && head->kind > PX_WIRE_NONE && head->kind < PX_WIRE_KINDS &&
           (head->kind == PX_WIRE_IMPORT        ? rows_fit(head, body)
            : head->kind == PX_WIRE_ALERT_BATCH ? records_fit(head, body)
                                                : head->bytes == sizeof *body);
}

/*
 * notify reads what strangers send, and should one of them take it over, then this socket must not give him more than what notify itself is
 * given. Its cage lets it start no process, so whoever has its pid is it.
 */
static bool may_ask(const struct pxi_server *server, const struct client *client)
{
    const struct px_role_slot *notify = &server->keeper->shm->roles[PX_ROLE_SLOT_NOTIFY];

    return client->in.head.kind == PX_WIRE_NOTIFY_TURN || client->pid != px_load_relaxed(&notify->pid);
}

static void take_request(struct pxi_server *server, struct client *client)
{
    client->got = 0;
    if (!request_ok(&client->in) || !may_ask(server, client)) {
        px_log_limited(PX_LOG_WARN, 1, "request_refused kind=%u bytes=%u", client->in.head.kind, client->in.head.bytes);
        drop(client);
        return;
    }
    px_stat_add(server->keeper->stats, PX_STAT_KEEP_REQUESTS, 1);
    if (client->in.head.kind == PX_WIRE_IMPORT || client->in.head.kind == PX_WIRE_ALERT_BATCH) {
        client->rows_len = client->in.head.bytes - sizeof client->in.body;
        client->rows_got = 0;
        client->rows = malloc(client->rows_len);
        if (!client->rows)
            drop(client);
    } else if (pxi_is_write(client->in.head.kind))
        serve_write(server, client);
    else
        serve_read(server, client);
}

static void on_client(struct pxi_server *server, struct client *client, uint32_t events)
{
    if (client->out) {
        flush(server, client);
        return;
    }
    if (client->waits) { /* only its end is news now */
        if (events & (EPOLLHUP | EPOLLERR))
            drop(client);
        return;
    }
    char *to = client->rows ? (char *)client->rows + client->rows_got : (char *)&client->in + client->got;
    size_t room = client->rows ? client->rows_len - client->rows_got : sizeof client->in - client->got;
    ssize_t n = recv(client->fd, to, room, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(client);
        return;
    }
    if (client->rows) {
        client->rows_got += (size_t)n;
        if (client->rows_got < client->rows_len)
            return;
        if (client->in.head.kind == PX_WIRE_IMPORT)
            serve_import(server, client);
        else
            serve_write(server, client);
        return;
    }
    client->got += (size_t)n;
    if (client->got == sizeof client->in)
        take_request(server, client);
}

static pid_t peer_of(int fd)
{
    struct ucred who = {.pid = -1};
    socklen_t len = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 ? who.pid : -1;
}

static void on_listen(struct pxi_server *server)
{
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (server->client[i].fd >= 0)
            continue;
        server->client[i].fd = fd;
        server->client[i].pid = peer_of(fd);
        watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, i);
        return;
    }
    px_log_limited(PX_LOG_WARN, 1, "clients_full max=%d", CLIENTS);
    close(fd);
}

static void *serve(void *context)
{
    struct pxi_server *server = context;
    struct epoll_event events[16];

    for (;;) {
        int n = epoll_wait(server->epoll_fd, events, PX_COUNT_OF(events), -1);

        for (int i = 0; i < n; i++) {
            uint64_t tag = events[i].data.u64;

            if (tag == (TAG_STOP))
                return NULL;
            if (tag == (TAG_LISTEN))
                on_listen(server);
            else if (tag == (TAG_DONE))
                take_finished(server);
            else if (server->client[tag].fd >= 0)
                on_client(server, &server->client[tag], events[i].events);
        }
    }
}

/* ---- start and end ---- */

/* notify may have a user of its own: it and nobody else is let in besides. */
static int let_in(const struct px_config *config, const char *path)
{
    const struct passwd *user = config->notify.user[0] && geteuid() == 0 ? getpwnam(config->notify.user) : NULL;

    return user && (chown(path, (uid_t)-1, user->pw_gid) < 0 || chmod(path, 0660) < 0) ? PX_E_SYSTEM : 0;
}

static int listen_on(const struct px_config *config, int *fdp)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", config->data, PX_KEEPER_SOCKET);

    if (n < 0 || (size_t)n >= sizeof address.sun_path)
        return PX_E_TOO_LARGE;
    unlink(address.sun_path); /* a dead keeper's; there is one keeper a data folder */
    *fdp = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fdp < 0)
        return PX_E_SYSTEM;
    if (bind(*fdp, (struct sockaddr *)&address, sizeof address) < 0 || listen(*fdp, CLIENTS) < 0) {
        px_log(PX_LOG_ERROR, "listen_failed path=%s errno=%d", address.sun_path, errno);
        close(*fdp);
        return PX_E_SYSTEM;
    }
    return let_in(config, address.sun_path);
}

int pxi_server_create(struct pxi_keeper *keeper, struct pxi_server **serverp)
{
    struct pxi_server *server = calloc(1, sizeof *server);

    *serverp = NULL;
    if (!server)
        return PX_E_MEMORY;
    server->keeper = keeper;
    for (unsigned i = 0; i < CLIENTS; i++)
        server->client[i].fd = -1;
    int error = listen_on(keeper->heritage->config, &server->listen_fd);
    if (error) {
        free(server);
        return error;
    }
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    PX_CHECK(server->epoll_fd >= 0 && server->stop_fd >= 0);
    watch(server, EPOLL_CTL_ADD, server->listen_fd, EPOLLIN, TAG_LISTEN);
    watch(server, EPOLL_CTL_ADD, server->stop_fd, EPOLLIN, TAG_STOP);
    watch(server, EPOLL_CTL_ADD, keeper->tasks.done_fd, EPOLLIN, TAG_DONE);
    PX_CHECK(pthread_create(&server->thread, NULL, serve, server) == 0);
    *serverp = server;
    return 0;
}

void pxi_server_destroy(struct pxi_server **serverp)
{
    struct pxi_server *server = *serverp;
    uint64_t one = 1;

    if (!server)
        return;
    PX_CHECK(write(server->stop_fd, &one, sizeof one) == sizeof one);
    pthread_join(server->thread, NULL);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (server->client[i].fd >= 0)
            drop(&server->client[i]);
    close(server->listen_fd);
    close(server->epoll_fd);
    close(server->stop_fd);
    free(server);
    *serverp = NULL;
}
