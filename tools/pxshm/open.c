/* Finding a region: a memfd has no name in the file system, but every process that holds it shows it in /proc. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "tools/pxshm/pxshm_private.h"

#define DATA        "/memfd:pxengine (deleted)"
#define YARD        "/memfd:pxengine-yard (deleted)"
#define ENGINES_MAX 16
#define FILES_MAX   4 /* of each kind in one process: a region that is being taken over makes two */

struct found {
    char path[FILES_MAX][64];
    unsigned count;
};

/* Maps both files, the yard as readers of the engine do; then the kernel is told that this mapping is never written to.
 */
static int attach(const char *data, const char *yard, struct px_shm *shm, char reason[PX_SHM_REASON_SIZE])
{
    struct px_shm_files files = {.data = open(data, O_RDONLY | O_CLOEXEC), .yard = open(yard, O_RDWR | O_CLOEXEC)};
    int result = PX_E_SYSTEM;

    if (files.data < 0 || files.yard < 0)
        snprintf(reason, PX_SHM_REASON_SIZE, "%.100s: %s", files.data < 0 ? data : yard, strerror(errno));
    else
        result = px_shm_attach(files, PX_SHM_READ_ONLY, shm, reason);
    if (result == 0 && mprotect(shm->base, shm->size, PROT_READ) < 0) {
        snprintf(reason, PX_SHM_REASON_SIZE, "cannot be protected: %s", strerror(errno));
        px_shm_detach(shm);
        result = PX_E_SYSTEM;
    }
    if (files.data >= 0)
        close(files.data);
    if (files.yard >= 0)
        close(files.yard);
    return result;
}

static void note(struct found *found, const char *folder, const char *name)
{
    if (found->count < FILES_MAX)
        snprintf(found->path[found->count++], sizeof(found->path[0]), "%s/%.20s", folder, name);
}

/* The descriptors of regions that the process holds, as far as we may see them. */
static void list_files(int pid, struct found *data, struct found *yard)
{
    char folder[32], path[300], target[256];
    struct dirent *entry;
    DIR *list;

    data->count = yard->count = 0;
    snprintf(folder, sizeof(folder), "/proc/%d/fd", pid);
    list = opendir(folder);
    while (list && (entry = readdir(list))) {
        ssize_t n;

        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        n = readlink(path, target, sizeof(target) - 1);
        target[PX_MAX(n, 0)] = '\0';
        if (strcmp(target, DATA) == 0)
            note(data, folder, entry->d_name);
        else if (strcmp(target, YARD) == 0)
            note(yard, folder, entry->d_name);
    }
    if (list)
        closedir(list);
}

/* The first pair of files in the process that is a region. */
static int attach_to(int pid, struct px_shm *shm, char reason[PX_SHM_REASON_SIZE])
{
    struct found data, yard;

    snprintf(reason, PX_SHM_REASON_SIZE,
             "process %d holds no region, or this user may not look; a supervisor holds one", pid);
    list_files(pid, &data, &yard);
    for (unsigned d = 0; d < data.count; d++)
        for (unsigned y = 0; y < yard.count; y++)
            if (attach(data.path[d], yard.path[y], shm, reason) == 0)
                return 0;
    return -1;
}

/* An engine may show up in several processes; its supervisor is the one that the header names. */
static int open_only_engine(struct px_shm *shm)
{
    DIR *list = opendir("/proc");
    struct dirent *entry;
    struct px_shm other;
    int supervisor[ENGINES_MAX];
    unsigned found = 0;
    char reason[PX_SHM_REASON_SIZE];

    while (list && found < ENGINES_MAX && (entry = readdir(list))) {
        int pid = atoi(entry->d_name);

        if (pid <= 0 || attach_to(pid, &other, reason) < 0)
            continue;
        if (other.header->supervisor_pid == pid)
            supervisor[found++] = pid;
        px_shm_detach(&other);
    }
    if (list)
        closedir(list);
    if (found == 1)
        return pxi_open(supervisor[0], NULL, NULL, shm);
    if (found == 0)
        fprintf(stderr,
                "pxshm: no engine of this version runs here that this user may look at (its own user and root may)\n");
    else
        fprintf(stderr, "pxshm: several engines run here; say which:\n");
    for (unsigned i = 0; i < found; i++)
        fprintf(stderr, "  --pid %d\n", supervisor[i]);
    return -1;
}

int pxi_open(int pid, const char *data, const char *yard, struct px_shm *shm)
{
    char reason[PX_SHM_REASON_SIZE];
    int result;

    if (pid == 0 && !data)
        return open_only_engine(shm);
    result = data ? attach(data, yard, shm, reason) : attach_to(pid, shm, reason);
    if (result < 0)
        fprintf(stderr, "pxshm: %s\n", reason);
    return result < 0 ? -1 : 0;
}
