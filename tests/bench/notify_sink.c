#include "tests/bench/notify_sink.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

/* ---- what a request says ---- */

static int64_t time_after(const char *body, const char *key)
{
    const char *at = strstr(body, key), *end;
    int64_t ns;

    if (!at)
        return 0;
    at += strlen(key);
    end = strchr(at, '"');
    return end && px_rfc3339_parse((struct px_text){at, (size_t)(end - at)}, &ns) == 0 ? ns : 0;
}

/* True when the id is new. */
static bool note_id(struct sink *sink, const char *head)
{
    const char *at = strstr(head, "webhook-id: "), *end = at ? strstr(at, "\r\n") : NULL;
    uint64_t hash = 14695981039346656037ULL;

    if (!end)
        return false;
    for (at += 12; at < end; at++)
        hash = (hash ^ (uint8_t)*at) * 1099511628211ULL;
    hash |= 1;
    for (uint64_t i = hash >> 20;; i++) {
        uint64_t *place = &sink->ids[i % SINK_IDS];

        if (*place == hash)
            return false;
        if (*place != 0)
            continue;
        *place = hash;
        return true;
    }
}

static void add(uint64_t *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static void take(struct sink *sink, const char *head, const char *body, int64_t now_ns)
{
    int64_t price_ns = time_after(body, "\"price_time\":\""), received_ns = time_after(body, "\"recv_time\":\"");
    int64_t matched_ns = time_after(body, "\"matched_time\":\"");

    add(&sink->requests);
    if (!note_id(sink, head)) {
        add(&sink->repeats);
        return;
    }
    add(&sink->distinct);
    if (price_ns == 0 || received_ns == 0 || matched_ns == 0) {
        add(&sink->errors);
    } else if (__atomic_load_n(&sink->measuring, __ATOMIC_ACQUIRE)) {
        histogram_add(&sink->tick_to_request, now_ns - price_ns);
        histogram_add(&sink->received_to_request, now_ns - received_ns);
        histogram_add(&sink->tick_to_match, matched_ns - price_ns);
    }
}

/* ---- connections ---- */

static void hang_up(struct sink *sink, struct sink_connection *connection)
{
    for (unsigned i = 0; i < SINK_CONNECTIONS; i++)
        if (sink->connection[i] == connection)
            sink->connection[i] = NULL;
    close(connection->fd);
    free(connection);
}

static void welcome(struct sink *sink)
{
    struct sink_connection *connection = calloc(1, sizeof *connection);
    int one = 1, fd = accept4(sink->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    unsigned i = 0;

    while (i < SINK_CONNECTIONS && sink->connection[i])
        i++;
    if (fd < 0 || !connection || i == SINK_CONNECTIONS) {
        add(&sink->errors);
        free(connection);
        if (fd >= 0)
            close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection->fd = fd;
    sink->connection[i] = connection;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    PX_CHECK(epoll_ctl(sink->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
    add(&sink->connections);
}

/* Bytes of the first whole request, or 0. */
static size_t whole(struct sink_connection *connection, const char **bodyp)
{
    connection->bytes[connection->len] = '\0';
    char *end = strstr(connection->bytes, "\r\n\r\n"), *length = strcasestr(connection->bytes, "\r\nContent-Length: ");
    size_t n = end && length && length < end ? strtoul(length + 18, NULL, 10) : 0;

    *bodyp = end ? end + 4 : NULL;
    return end && connection->len >= (size_t)(*bodyp - connection->bytes) + n ? (size_t)(*bodyp - connection->bytes) + n : 0;
}

static void hear(struct sink *sink, struct sink_connection *connection)
{
    static const char answer[] = "HTTP/1.1 204 No Content\r\n\r\n";
    ssize_t got = recv(connection->fd, connection->bytes + connection->len, SINK_REQUEST_MAX - connection->len, 0);
    int64_t now_ns = px_wall_now();
    const char *body;
    size_t n;

    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            hang_up(sink, connection);
        return;
    }
    connection->len += (size_t)got;
    while ((n = whole(connection, &body)) > 0) {
        if (send(connection->fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
            add(&sink->errors);
        take(sink, connection->bytes, body, now_ns);
        connection->len -= n;
        memmove(connection->bytes, connection->bytes + n, connection->len);
    }
}

static void *run(void *argument)
{
    struct sink *sink = argument;
    struct epoll_event events[64];

    while (!__atomic_load_n(&sink->stop, __ATOMIC_ACQUIRE)) {
        int n = epoll_wait(sink->epoll_fd, events, PX_COUNT_OF(events), 50);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                welcome(sink);
            else
                hear(sink, events[i].data.ptr);
        }
    }
    return NULL;
}

int sink_start(struct sink *sink)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN};
    socklen_t len = sizeof address;

    histogram_clear(&sink->tick_to_request);
    histogram_clear(&sink->received_to_request);
    histogram_clear(&sink->tick_to_match);
    sink->ids = calloc(SINK_IDS, sizeof *sink->ids);
    sink->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    sink->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!sink->ids || sink->epoll_fd < 0 || sink->listen_fd < 0 || bind(sink->listen_fd, (struct sockaddr *)&address, len) < 0 ||
        listen(sink->listen_fd, 512) < 0 || getsockname(sink->listen_fd, (struct sockaddr *)&address, &len) < 0 ||
        epoll_ctl(sink->epoll_fd, EPOLL_CTL_ADD, sink->listen_fd, &event) < 0)
        return PX_E_SYSTEM;
    sink->port = ntohs(address.sin_port);
    return pthread_create(&sink->thread, NULL, run, sink) == 0 ? 0 : PX_E_SYSTEM;
}

void sink_stop(struct sink *sink)
{
    __atomic_store_n(&sink->stop, 1, __ATOMIC_RELEASE);
    pthread_join(sink->thread, NULL);
    for (unsigned i = 0; i < SINK_CONNECTIONS; i++)
        if (sink->connection[i])
            hang_up(sink, sink->connection[i]);
    close(sink->listen_fd);
    close(sink->epoll_fd);
    free(sink->ids);
}
