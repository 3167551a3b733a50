/* The data folder: one engine at a time in it, and a number that grows with every start. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/supervisor/supervisor_private.h"

#define LOCK_NS (2 * PX_NS_PER_S)

static int path_of(const struct pxi_supervisor *supervisor, const char *name, char *path, size_t size)
{
    int n = snprintf(path, size, "%s/%s", supervisor->config->data, name);

    return n > 0 && (size_t)n < size ? 0 : PX_E_TOO_LARGE;
}

static int make_folders(const char *path)
{
    char part[512];

    if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
        return PX_E_TOO_LARGE;
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return PX_E_SYSTEM;
        *slash = '/';
    }
    return mkdir(part, 0750) < 0 && errno != EEXIST ? PX_E_SYSTEM : 0;
}

/* Held by an engine and every worker of it: those of one that was killed are about to go. */
static int take_lock(int fd)
{
    const struct timespec pause = {0, 10 * PX_NS_PER_MS};
    px_mono began = px_mono_now();

    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (px_mono_since(px_mono_now(), began) > LOCK_NS)
            return PX_E_EXISTS;
        nanosleep(&pause, NULL);
    }
    return 0;
}

static int lock(struct pxi_supervisor *supervisor)
{
    char path[512];

    if (path_of(supervisor, "lock", path, sizeof(path)) < 0)
        return PX_E_TOO_LARGE;
    supervisor->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (supervisor->lock_fd < 0) {
        px_log(PX_LOG_ERROR, "data-unwritable path=%s error=%d hint=\"choose another with data: in the configuration\"",
               path, errno);
        return PX_E_SYSTEM;
    }
    if (take_lock(supervisor->lock_fd) < 0) {
        px_log(PX_LOG_ERROR, "data-in-use path=%s hint=\"another pxengine runs on this folder; stop it first\"",
               supervisor->config->data);
        return PX_E_EXISTS;
    }
    return 0;
}

static int replace_file(const char *path, const char *text)
{
    char temporary[520];
    ssize_t n = (ssize_t)strlen(text);
    int fd, result = 0;

    snprintf(temporary, sizeof(temporary), "%s.new", path);
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return PX_E_SYSTEM;
    if (write(fd, text, (size_t)n) != n || fsync(fd) < 0)
        result = PX_E_IO;
    close(fd);
    if (result == 0 && rename(temporary, path) < 0)
        result = PX_E_SYSTEM;
    return result;
}

/* The file holds the generation, and how many supervisors its region has had. */
static int read_mark(struct pxi_supervisor *supervisor)
{
    char path[512], text[64] = "", *end = text;
    int fd;

    if (path_of(supervisor, "generation", path, sizeof(path)) < 0)
        return PX_E_TOO_LARGE;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, text, sizeof(text) - 1) < 0)
            text[0] = '\0';
        close(fd);
    }
    supervisor->generation = strtoull(text, &end, 10);
    supervisor->boots = (uint32_t)strtoul(end, NULL, 10);
    return 0;
}

int pxi_data_mark(const struct pxi_supervisor *supervisor)
{
    char path[512], text[64];

    if (path_of(supervisor, "generation", path, sizeof(path)) < 0)
        return PX_E_TOO_LARGE;
    snprintf(text, sizeof(text), "%" PRIu64 " %u\n", supervisor->generation, supervisor->boots);
    return replace_file(path, text);
}

int pxi_data_open(struct pxi_supervisor *supervisor)
{
    int result = make_folders(supervisor->config->data);

    if (result < 0) {
        px_log(PX_LOG_ERROR, "data-unwritable path=%s hint=\"choose another with data: in the configuration\"",
               supervisor->config->data);
        return result;
    }
    result = lock(supervisor);
    return result < 0 ? result : read_mark(supervisor);
}
