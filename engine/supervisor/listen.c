/*
 * The public socket. It is the supervisor's, so that it outlives every web worker: a connection that comes while one is
 * started again waits in the backlog.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/supervisor/supervisor_private.h"

#define EXIT_TAKEN  1  /* may pass: try again */
#define EXIT_CONFIG 78 /* EX_CONFIG of sysexits.h: a restart will not help */

static int use_passed(struct pxi_supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->passed_count; i++) {
        struct pxi_passed *passed = &supervisor->passed[i];
        int listening = 0;
        socklen_t size = sizeof(listening);

        if (strcmp(passed->name, PXI_NAME_HTTP) != 0 || passed->fd < 0)
            continue;
        if (getsockopt(passed->fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 || !listening ||
            fcntl(passed->fd, F_SETFL, O_NONBLOCK) < 0) {
            px_log(PX_LOG_WARN, "socket-unusable name=%s reason=\"it does not listen\"", passed->name);
            continue;
        }
        supervisor->listen_fd = passed->fd;
        supervisor->listen_is_passed = true;
        passed->fd = -1;
        px_log(PX_LOG_INFO, "listening socket=%s", PXI_NAME_HTTP);
        return 0;
    }
    return -1;
}

/* 0 or errno. */
static int open_at(struct pxi_supervisor *supervisor, const struct addrinfo *address)
{
    int on = 1, error = 0;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
        error = errno;
        close(fd);
        return error;
    }
    supervisor->listen_fd = fd;
    return 0;
}

static int refuse(const struct px_config *config, int code, const char *reason, const char *hint)
{
    px_log(PX_LOG_ERROR, "listen-failed address=%s:%u reason=\"%s\" hint=\"%s\"", config->listen_host,
           config->listen_port, reason, hint);
    return code;
}

static int explain(const struct px_config *config, int error)
{
    switch (error) {
    case EADDRINUSE:
        return refuse(config, EXIT_TAKEN, "the port is taken",
                      "stop the program that listens there (ss -ltnp shows it), or choose another port with listen: "
                      "in the configuration");
    case EADDRNOTAVAIL:
        return refuse(config, EXIT_CONFIG, "no interface of this machine has the address",
                      "set listen: to 127.0.0.1:PORT for this machine alone, or 0.0.0.0:PORT for all interfaces");
    case EACCES:
    case EPERM:
        return refuse(config, EXIT_CONFIG, "not allowed to listen there",
                      "choose a port from 1024 up with listen: in the configuration");
    default:
        return refuse(config, EXIT_TAKEN, strerror(error), "try again");
    }
}

int pxi_listen_open(struct pxi_supervisor *supervisor)
{
    const struct px_config *config = supervisor->config;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
    char port[8];
    int error;

    if (use_passed(supervisor) == 0)
        return 0;
    snprintf(port, sizeof(port), "%u", config->listen_port);
    if (getaddrinfo(config->listen_host, port, &hints, &found) != 0)
        return refuse(config, EXIT_CONFIG, "no address has this name",
                      "write a numeric address with listen: in the configuration, such as 127.0.0.1:8080");
    error = open_at(supervisor, found);
    freeaddrinfo(found);
    return error == 0 ? 0 : explain(config, error);
}
