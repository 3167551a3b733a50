/*
 * civetweb, within the limits that were measured: handlers are registered before its threads start, or the first
 * connections find none; an auth handler on every path saves a stat() of .htpasswd a request; there is no document root
 * and no form parser; and an answer is one mg_write.
 */
#include "web/server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/log.h"
#include "web/rcu.h"

struct px_server {
    struct px_rest *rest;
    struct mg_context *context;
    uint16_t port;
};

/* ---- a request as web/rest sees it ---- */

static const char *header(void *ctx, const char *name)
{
    return mg_get_header(ctx, name);
}

static int read_some(void *ctx, char *to, size_t size)
{
    return mg_read(ctx, to, size);
}

/* A short count is an answer cut in the middle: nothing may follow it on this connection. */
static int write_all(void *ctx, const char *at, size_t len)
{
    return mg_write(ctx, at, len) == (int)len ? 0 : PX_E_CLOSED;
}

/* Is the socket this connection's? The relay's end of the same connection has the two ports the other way round. */
static bool is_socket_of(int fd, const struct mg_request_info *info)
{
    struct sockaddr_in peer = {0}, own = {0};
    socklen_t peer_len = sizeof peer, own_len = sizeof own;

    return getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 && peer.sin_family == AF_INET &&
           ntohs(peer.sin_port) == info->remote_port && getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
           ntohs(own.sin_port) == info->server_port;
}

/*
 * civetweb reads a body to its end before it closes, however slowly it trickles in, and 32 such bodies would be all
 * threads. With the reading side shut it finds the end at the first pause. Its interface has no socket, so it is looked
 * up; this is the path of who is shown the door.
 */
static void stop_reading(const struct mg_request_info *info)
{
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;

    while (folder && (entry = readdir(folder))) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && is_socket_of(fd, info)) {
            shutdown(fd, SHUT_RD);
            break;
        }
    }
    if (folder)
        closedir(folder);
}

static void hang_up(void *ctx)
{
    mg_disable_connection_keep_alive(ctx);
    stop_reading(mg_get_request_info(ctx));
}

static struct px_exchange exchange_of(struct mg_connection *connection)
{
    const struct mg_request_info *info = mg_get_request_info(connection);

    return (struct px_exchange){
        .method = info->request_method ? info->request_method : "",
        .path = px_text_of(info->request_uri ? info->request_uri : ""),
        .query = px_text_of(info->query_string ? info->query_string : ""),
        .peer = info->remote_addr,
        .content_length = info->content_length,
        .old = info->http_version && strcmp(info->http_version, "1.0") == 0,
        .ctx = connection,
        .header = header,
        .read = read_some,
        .write = write_all,
        .hang_up = hang_up,
    };
}

/* ---- callbacks of civetweb ---- */

static int serve(struct mg_connection *connection, void *user)
{
    static const char sorry[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n";
    struct px_rest_thread *thread = mg_get_thread_pointer(connection);
    struct px_exchange exchange = exchange_of(connection);

    if (thread)
        return px_rest_serve(thread, &exchange);
    mg_write(connection, sorry, sizeof sorry - 1);
    return 503;
}

/* Who may what is decided in web/rest, which knows the route. */
static int allow(struct mg_connection *connection, void *user)
{
    return 1;
}

/* What civetweb refuses by itself becomes a problem like any other. 0: done; 1: let civetweb answer. */
static int refuse(struct mg_connection *connection, int status, const char *message)
{
    struct px_rest_thread *thread = mg_get_thread_pointer(connection);
    struct px_exchange exchange = exchange_of(connection);

    if (!thread)
        return 1;
    px_rest_refuse(thread, &exchange, status, "The request could not be read");
    return 0;
}

static int log_message(const struct mg_connection *connection, const char *message)
{
    px_log_limited(PX_LOG_WARN, 5, "http_server message=\"%s\"", message);
    return 1;
}

static void register_handlers(const struct mg_context *context)
{
    struct mg_context *writable = (struct mg_context *)context;

    mg_set_auth_handler(writable, "/**", allow, NULL);
    mg_set_request_handler(writable, "/**", serve, NULL);
}

enum { THREAD_MASTER, THREAD_WORKER };

static void *thread_begin(const struct mg_context *context, int type)
{
    struct px_server *server = mg_get_user_data(context);
    struct px_rest_thread *thread = NULL;

    if (type != THREAD_WORKER)
        return NULL;
    urcu_memb_register_thread();
    int rc = px_rest_thread_create(server->rest, &thread);
    if (rc < 0)
        px_log(PX_LOG_ERROR, "http_thread_failed error=\"%s\"", px_error_text(rc));
    return thread;
}

static void thread_end(const struct mg_context *context, int type, void *pointer)
{
    struct px_rest_thread *thread = pointer;

    if (type != THREAD_WORKER)
        return;
    px_rest_thread_destroy(&thread);
    urcu_memb_unregister_thread();
}

/* ---- start and stop ---- */

static struct mg_context *start(struct px_server *server, const char *host, uint16_t port)
{
    static const struct mg_callbacks callbacks = {
        .init_context = register_handlers,
        .init_thread = thread_begin,
        .exit_thread = thread_end,
        .http_error = refuse,
        .log_message = log_message,
    };
    char address[96], threads[8];
    const char *options[] = {
        "listening_ports",
        address,
        "num_threads",
        threads,
        "enable_keep_alive",
        "yes",
        "keep_alive_timeout_ms",
        "1000", /* a thread is held as long */
        "request_timeout_ms",
        "10000",
        "tcp_nodelay",
        "1",
        "decode_url",
        "no", /* routes are found in the raw path, so that %2F is no separator */
        "access_control_allow_origin",
        "", /* preflights are ours */
        "access_control_allow_methods",
        "",
        NULL,
    };

    snprintf(address, sizeof address, "%s:%u", host, port);
    snprintf(threads, sizeof threads, "%d", PX_SERVER_THREADS);
    return mg_start(&callbacks, server, options);
}

int px_server_start(struct px_rest *rest, const char *host, uint16_t port, struct px_server **serverp)
{
    struct px_server *server = calloc(1, sizeof *server);
    struct mg_server_port ports[1];

    if (!server)
        return PX_E_MEMORY;
    server->rest = rest;
    mg_init_library(0);
    server->context = start(server, host, port);
    if (!server->context || mg_get_server_ports(server->context, 1, ports) != 1) {
        px_server_stop(&server);
        return PX_E_EXISTS;
    }
    server->port = (uint16_t)ports[0].port;
    *serverp = server;
    return 0;
}

uint16_t px_server_port(const struct px_server *server)
{
    return server->port;
}

void px_server_stop(struct px_server **serverp)
{
    if (!*serverp)
        return;
    if ((*serverp)->context)
        mg_stop((*serverp)->context);
    mg_exit_library();
    free(*serverp);
    *serverp = NULL;
}
