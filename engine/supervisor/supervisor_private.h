#pragma once

#include <sys/types.h>

#include "base/clock.h"
#include "engine/heritage.h"
#include "engine/supervisor/supervisor.h"

#define PXI_READERS_MAX 2

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
    struct {
        uint64_t epoch;    /* the old one at which this reader was seen last, and for how long it has been so */
        int64_t ns;
    } held[PXI_READERS_MAX];
};

#define PXI_WORKERS_MAX PX_ROLE_SLOTS

#define PXI_PASSED_MAX  16
#define PXI_NAME_SIZE   64
#define PXI_NAME_HTTP   "pxengine-http" /* of the public socket, when the service manager listens */
#define PXI_NAME_REGION "pxshm"         /* of the region's memfds: pxshm-k<generation>-<boots> */

/* A descriptor that the service manager has kept or made for us; -1 once it has been used. */
struct pxi_passed {
    int fd;
    char name[PXI_NAME_SIZE];
};

struct pxi_supervisor {
    const struct px_config *config;
    struct px_shm shm;
    uint64_t generation;
    uint32_t boots;         /* of the region in this generation, as the data folder has it; 0 = none yet */
    int lock_fd, signal_fd, epoll_fd;
    int listen_fd;          /* -1 in a stop */
    bool listen_is_passed;  /* the service manager's: connections may wait there for the next start */
    struct pxi_passed passed[PXI_PASSED_MAX];
    unsigned passed_count;
    px_mono watched;        /* when the readers were looked at last */
    char *title;
    size_t title_size;
    struct pxi_worker worker[PXI_WORKERS_MAX];
    unsigned worker_count;
    bool stopping, announced;
    px_mono stop_began;
};

/*
 * data.c: the data folder. 0 or a negative error after a line in the log that says what to do. Opening locks it and reads which region
 * was the last: supervisor->generation and ->boots. Marking makes the present ones durable.
 */
int pxi_data_open(struct pxi_supervisor *supervisor);
int pxi_data_mark(const struct pxi_supervisor *supervisor);

/* region.c: the region, taken over from a dead supervisor or new; sealed, ready, and given to the service manager to keep. */
int pxi_region_open(struct pxi_supervisor *supervisor);

/* listen.c: the public socket. 0, or the code to exit with after a line in the log that says what to do. */
int pxi_listen_open(struct pxi_supervisor *supervisor);

/* process.c: who a pid is. 0 when there is none. */
uint64_t pxi_start_time(pid_t pid);
/* Waits at most timeout_ms for the end of the process, somebody else's child; false: it lives. */
bool pxi_process_ended(pid_t pid, uint64_t start_time, int timeout_ms);

/* worker.c */
void pxi_workers_plan(struct pxi_supervisor *supervisor);
/* Its reader slots: its role's and, of a web worker, its live thread's. Returns how many. */
unsigned pxi_worker_readers(const struct pxi_worker *worker, unsigned slots[PXI_READERS_MAX]);
void pxi_worker_fork(struct pxi_supervisor *supervisor, struct pxi_worker *worker);
void pxi_worker_reap(struct pxi_supervisor *supervisor, struct pxi_worker *worker);

/* watch.c: forks those that are due; ends those that hang, and readers of shared memory that hold on. Every turn. */
void pxi_workers_watch(struct pxi_supervisor *supervisor);

/*
 * notify.c: tells the service manager, if there is one. `state` is "READY=1" or the like; files, if any, go with it and stay ours too.
 * Takes what it has passed to us.
 */
void pxi_notify(const char *state);
void pxi_notify_files(const char *state, const int *fds, unsigned count);
void pxi_passed_take(struct pxi_supervisor *supervisor);
void pxi_passed_close(struct pxi_supervisor *supervisor); /* what nobody has used */
