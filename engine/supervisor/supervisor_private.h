#pragma once

#include <sys/types.h>

#include "base/clock.h"
#include "engine/heritage.h"
#include "engine/supervisor/supervisor.h"

/* One worker: what the supervisor knows of it besides its slot in shared memory. */
struct pxi_worker {
    enum px_role role;
    unsigned slot, number;
    int (*main)(const struct px_heritage *heritage);
    enum px_shm_access access;
    int64_t hang_ns;       /* a heartbeat older than this is a hang */
    pid_t pid;             /* 0: not running */
    int pidfd;             /* -1: not running */
    px_mono started, due;  /* `due`: when the next fork may be; meaningful while pid is 0 */
    px_mono aborted;       /* SIGABRT was sent then; .ns 0 = not */
    unsigned failures;     /* deaths in a row without health in between */
    int64_t deaths_ns[10]; /* px_mono of the latest, a ring */
    unsigned death_count;
};

#define PXI_WORKERS_MAX PX_ROLE_SLOTS

struct pxi_supervisor {
    const struct px_config *config;
    struct px_shm shm;
    uint64_t generation;
    int lock_fd, signal_fd, epoll_fd;
    char *title;
    size_t title_size;
    struct pxi_worker worker[PXI_WORKERS_MAX];
    unsigned worker_count;
    bool stopping, announced;
    px_mono stop_began;
};

/* data.c: the data folder. 0 or a negative error after a line in the log that says what to do. */
int pxi_data_open(struct pxi_supervisor *supervisor);

/* worker.c */
void pxi_workers_plan(struct pxi_supervisor *supervisor);
void pxi_worker_fork(struct pxi_supervisor *supervisor, struct pxi_worker *worker);
void pxi_worker_reap(struct pxi_supervisor *supervisor, struct pxi_worker *worker);
void pxi_worker_watch(struct pxi_supervisor *supervisor, struct pxi_worker *worker);

/* notify.c: tells the service manager, if there is one. `state` is "READY=1" or the like. */
void pxi_notify(const char *state);
