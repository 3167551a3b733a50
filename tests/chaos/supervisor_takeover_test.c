/*
 * Which region a supervisor takes over: only one that nobody lives in. The processes named in it are told from others
 * of the same pid by their start time. The end-to-end side of it is supervisor_kill_test.py.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/supervisor/supervisor_private.h"

#define SLOT PX_ROLE_SLOT_KEEPER

static struct px_config config;
static char folder[] = "/tmp/px-takeover-XXXXXX";

#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static int never(void)
{
    return PX_E_SYSTEM;
}
int px_ingest_main(const struct px_heritage *heritage)
{
    return never();
}
int px_evaluator_main(const struct px_heritage *heritage)
{
    return never();
}
int px_keeper_main(const struct px_heritage *heritage)
{
    return never();
}
int px_web_main(const struct px_heritage *heritage)
{
    return never();
}

int px_notify_main(const struct px_heritage *heritage)
{
    return never();
}

/* A supervisor that starts with these files from the manager, in either order. */
static struct pxi_supervisor start(int first, int second)
{
    struct pxi_supervisor supervisor = {.config = &config, .listen_fd = -1};

    supervisor.passed_count = 2;
    supervisor.passed[0] = (struct pxi_passed){.fd = first, .name = PXI_NAME_REGION};
    supervisor.passed[1] = (struct pxi_passed){.fd = second, .name = PXI_NAME_REGION};
    EXPECT(pxi_data_open(&supervisor) == 0 && pxi_region_open(&supervisor) == 0);
    pxi_passed_close(&supervisor);
    return supervisor;
}

/* It dies; the next one gets its files, and a pid and start time in the keeper's slot. */
static struct pxi_supervisor succeed(struct pxi_supervisor *dead, pid_t pid, uint64_t start_time, bool yard_first)
{
    int data = fcntl(dead->shm.files.data, F_DUPFD_CLOEXEC, 3), yard = fcntl(dead->shm.files.yard, F_DUPFD_CLOEXEC, 3);

    dead->shm.roles[SLOT].role = PX_ROLE_KEEPER;
    dead->shm.roles[SLOT].pid = pid;
    dead->shm.roles[SLOT].incarnation = 4;
    px_rcu_assign(dead->shm.domain, SLOT, pid, 4);
    px_rcu_forked(dead->shm.domain, SLOT, pid, start_time);
    px_rcu_online(dead->shm.domain, SLOT);
    close(dead->lock_fd);
    px_shm_detach(&dead->shm);
    return yard_first ? start(yard, data) : start(data, yard);
}

/* Without the lock of the data folder, which a real worker holds: that alone would stop the next supervisor. */
static pid_t sleeper(int lock_fd)
{
    pid_t pid = fork();

    if (pid == 0) {
        close(lock_fd);
        for (;;)
            pause();
    }
    EXPECT(pid > 0);
    return pid;
}

static void expect_taken(const struct pxi_supervisor *supervisor, uint64_t generation, uint32_t boots)
{
    EXPECT(supervisor->generation == generation && supervisor->boots == boots);
    EXPECT(supervisor->shm.header->generation == generation && supervisor->shm.header->boots == boots);
    EXPECT(supervisor->shm.rcu_slots->reader[SLOT].seen == 0 && supervisor->shm.roles[SLOT].pid == 0);
    EXPECT(supervisor->shm.roles[0].pid == getpid() && supervisor->shm.header->state == PX_SHM_READY);
}

int main(void)
{
    static struct px_config_asset asset = {.symbol = "A-USD", .scale = 2};
    struct pxi_supervisor one, two;
    char path[64];
    pid_t pid;

    px_log_init("test", PX_LOG_INFO);
    EXPECT(mkdtemp(folder) != NULL);
    px_text_copy(config.data, sizeof(config.data), px_text_of(folder));
    config.assets = &asset;
    config.asset_count = 1;
    one = start(-1, -1);
    expect_taken(&one, 1, 1);
    two = succeed(&one, 0, 0, false);
    expect_taken(&two, 1, 2);
    one = succeed(&two, getpid(), pxi_start_time(getpid()) + 1, true); /* the pid is used again */
    expect_taken(&one, 1, 3);
    EXPECT(one.shm.roles[SLOT].incarnation == 4);

    pid = sleeper(one.lock_fd);
    two = succeed(&one, pid, pxi_start_time(pid), false); /* one that lives: a new region, of a new generation */
    expect_taken(&two, 2, 1);
    kill(pid, SIGKILL);
    one = succeed(&two, pid, pxi_start_time(pid), true); /* dead or about to be */
    expect_taken(&one, 2, 2);
    waitpid(pid, NULL, 0);
    asset.scale = 3; /* the same numbers mean something else */
    two = succeed(&one, 0, 0, false);
    expect_taken(&two, 3, 1);
    px_shm_detach(&two.shm);
    snprintf(path, sizeof(path), "%s/lock", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/generation", folder);
    unlink(path);
    return rmdir(folder) != 0;
}
