#include "net/stream.h"
#include "base/error.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#define BACKLOG 1024

/* public API */

int px_address_resolve(const char *host, uint16_t port, struct px_address *addressp)
{
    char service[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;

    snprintf(service, sizeof(service), "%u", (unsigned)port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return PX_E_NOT_FOUND;
    memset(addressp, 0, sizeof(*addressp));
    memcpy(&addressp->sockaddr, found->ai_addr, found->ai_addrlen);
    addressp->len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static int bind_and_listen(int fd, const struct px_address *address, unsigned flags)
{
    int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
        return PX_E_SYSTEM;
    if ((flags & PX_LISTEN_REUSEPORT) != 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
        return PX_E_SYSTEM;
    if (bind(fd, (const struct sockaddr *)&address->sockaddr, address->len) != 0)
        return errno == EADDRINUSE ? PX_E_EXISTS : PX_E_SYSTEM;
    return listen(fd, BACKLOG) == 0 ? 0 : PX_E_SYSTEM;
}

int px_listen(const char *host, uint16_t port, unsigned flags, int *fdp)
{
    struct px_address address;
    int fd, error;

    error = px_address_resolve(host, port, &address);
    if (error != 0)
        return error;
    fd = socket(address.sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return PX_E_SYSTEM;
    error = bind_and_listen(fd, &address, flags);
    if (error != 0) {
        close(fd);
        return error;
    }
    *fdp = fd;
    return 0;
}

uint16_t px_listen_port(int fd)
{
    struct px_address address = {.len = sizeof(address.sockaddr)};

    if (getsockname(fd, (struct sockaddr *)&address.sockaddr, &address.len) != 0)
        return 0;
    if (address.sockaddr.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&address.sockaddr)->sin6_port);
    return ntohs(((const struct sockaddr_in *)&address.sockaddr)->sin_port);
}
