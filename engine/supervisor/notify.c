/*
 * The service manager's protocol: sd_notify(3), one datagram to the socket that $NOTIFY_SOCKET names, and
 * sd_listen_fds(3), descriptors from 3 on that $LISTEN_FDS counts and $LISTEN_FDNAMES names.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/supervisor/supervisor_private.h"

#define FIRST_PASSED 3 /* SD_LISTEN_FDS_START */
#define FILES_MAX    4

static bool manager_address(struct sockaddr_un *address, socklen_t *lengthp)
{
    const char *path = getenv("NOTIFY_SOCKET");

    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address->sun_path))
        return false;
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, strlen(path));
    if (path[0] == '@')
        address->sun_path[0] = '\0';
    *lengthp = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    return true;
}

void pxi_notify_files(const char *state, const int *fds, unsigned count)
{
    struct sockaddr_un address;
    struct iovec text = {.iov_base = (void *)(uintptr_t)state, .iov_len = strlen(state)};
    union {
        struct cmsghdr head; /* for its alignment */
        char bytes[CMSG_SPACE(FILES_MAX * sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr message = {.msg_name = &address, .msg_iov = &text, .msg_iovlen = 1};
    int fd;

    PX_CHECK(count <= FILES_MAX);
    if (!manager_address(&address, &message.msg_namelen))
        return;
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), fds, count * sizeof(int));
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
        px_log(PX_LOG_WARN, "notify-failed state=\"%.20s\"", state);
    close(fd);
}

void pxi_notify(const char *state)
{
    pxi_notify_files(state, NULL, 0);
}

/* ---- what was passed ---- */

static unsigned number_of(const char *variable)
{
    const char *text = getenv(variable);

    return text == NULL ? 0 : (unsigned)strtoul(text, NULL, 10);
}

/* The text before the next colon. */
static const char *next_name(const char *at, char name[PXI_NAME_SIZE])
{
    size_t length = strcspn(at, ":");

    px_text_copy(name, PXI_NAME_SIZE, (struct px_text){at, length});
    return at[length] == ':' ? at + length + 1 : at + length;
}

void pxi_passed_take(struct pxi_supervisor *supervisor)
{
    unsigned count = number_of("LISTEN_PID") == (unsigned)getpid() ? number_of("LISTEN_FDS") : 0;
    const char *names = getenv("LISTEN_FDNAMES");

    for (unsigned i = 0; i < count; i++) {
        int fd = FIRST_PASSED + (int)i;

        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            break;
        if (i >= PXI_PASSED_MAX) { /* more than we ever asked it to keep */
            close(fd);
            continue;
        }
        supervisor->passed[i].fd = fd;
        names = next_name(names == NULL ? "" : names, supervisor->passed[i].name);
        supervisor->passed_count = i + 1;
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

void pxi_passed_close(struct pxi_supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->passed_count; i++)
        if (supervisor->passed[i].fd >= 0)
            close(supervisor->passed[i].fd);
    supervisor->passed_count = 0;
}
