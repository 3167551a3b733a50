#include "tests/bench/shm_resp.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "shm_bench: redis: ");
    perror(what);
    exit(1);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (!px_text_copy(address.sun_path, sizeof(address.sun_path), px_text_of(path)) || fd < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail(path);
    return fd;
}

static int connect_tcp(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    return fd;
}

struct resp *resp_open(const char *unix_path, uint16_t port)
{
    struct resp *resp = calloc(1, sizeof(*resp));

    PX_CHECK(resp);
    resp->fd = port == 0 ? connect_unix(unix_path) : connect_tcp(port);
    return resp;
}

void resp_close(struct resp *resp)
{
    close(resp->fd);
    free(resp);
}

static void put(struct resp *resp, const char *bytes, size_t n)
{
    PX_CHECK(resp->out_len + n <= sizeof(resp->out));
    memcpy(resp->out + resp->out_len, bytes, n);
    resp->out_len += n;
}

static void put_number(struct resp *resp, char mark, size_t number)
{
    char line[32];

    put(resp, line, (size_t)snprintf(line, sizeof(line), "%c%zu\r\n", mark, number));
}

void resp_command(struct resp *resp, unsigned count, const struct px_text *arguments)
{
    put_number(resp, '*', count);
    for (unsigned i = 0; i < count; i++) {
        put_number(resp, '$', arguments[i].len);
        put(resp, arguments[i].at, arguments[i].len);
        put(resp, "\r\n", 2);
    }
}

void resp_flush(struct resp *resp)
{
    for (size_t done = 0; done < resp->out_len;) {
        ssize_t n = write(resp->fd, resp->out + done, resp->out_len - done);

        if (n <= 0)
            fail("write");
        done += (size_t)n;
    }
    resp->out_len = 0;
}

static void fill(struct resp *resp)
{
    ssize_t n;

    if (resp->at > 0) {
        memmove(resp->buffer, resp->buffer + resp->at, resp->end - resp->at);
        resp->end -= resp->at;
        resp->at = 0;
    }
    PX_CHECK(resp->end < sizeof(resp->buffer));
    n = read(resp->fd, resp->buffer + resp->end, sizeof(resp->buffer) - resp->end);
    if (n <= 0)
        fail("read");
    resp->end += (size_t)n;
}

const char *resp_need(struct resp *resp, size_t n)
{
    while (resp->end - resp->at < n)
        fill(resp);
    return resp->buffer + resp->at;
}

void resp_skip(struct resp *resp, size_t n)
{
    resp->at += n;
}

long resp_number(struct resp *resp)
{
    const char *line = resp_need(resp, 4), *end;
    long number;

    while (!(end = memchr(line, '\n', resp->end - resp->at))) {
        fill(resp);
        line = resp->buffer + resp->at;
    }
    if (line[0] == '-') {
        fprintf(stderr, "shm_bench: redis says %.*s\n", (int)(end - line), line);
        exit(1);
    }
    number = line[0] == '+' ? 0 : strtol(line + 1, NULL, 10);
    resp_skip(resp, (size_t)(end - line) + 1);
    return number;
}

struct px_text resp_bulk(struct resp *resp)
{
    long len = resp_number(resp);
    struct px_text text = {"", 0};

    if (len < 0)
        return text;
    text.at = resp_need(resp, (size_t)len + 2);
    text.len = (size_t)len;
    resp_skip(resp, (size_t)len + 2);
    return text;
}
