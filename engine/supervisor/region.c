/*
 * The region at a start: the one that the supervisor before us has left with the service manager, if it is this
 * engine's and nobody uses it any more; else a new one, of a new generation.
 *
 *   copy the old one, seal, ready · give the copy to the manager · note boots in the data folder · have the old one
 * dropped · fork
 *
 * Killed between any two steps, the data folder says which of the regions that the manager holds is the last that
 * workers have had.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/supervisor/supervisor_private.h"

#define TICK_CAPACITY  (UINT64_C(1) << 18) /* 16 MiB: 26 s at 10,000 a second */
#define EVENT_CAPACITY (UINT64_C(1) << 13)
#define HIT_CAPACITY  (UINT64_C(1) << 16)
#define SEED_CAPACITY   (UINT64_C(1) << 15)

#define ENDING_MS 2000 /* for the workers of a supervisor that was killed; the kernel kills them with it */

static struct px_shm_params params_of(const struct px_config *config)
{
    return (struct px_shm_params){.assets = config->asset_count,
                                  .evaluators = config->evaluators,
                                  .tick_capacity = TICK_CAPACITY,
                                  .event_capacity = EVENT_CAPACITY,
                                  .hit_capacity = HIT_CAPACITY,
                                  .seed_capacity = SEED_CAPACITY};
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;

    while (n-- > 0) /* FNV-1a */
        hash = (hash ^ *at++) * UINT64_C(1099511628211);
    return hash;
}

/* What a number in the region means: which asset, at which scale, of which venue, in whose data folder. */
static uint64_t config_hash(const struct pxi_supervisor *supervisor)
{
    const struct px_config *config = supervisor->config;
    uint64_t hash = UINT64_C(14695981039346656037);
    struct stat st = {.st_ino = 0};

    for (uint32_t i = 0; i < config->asset_count; i++) {
        const struct px_config_asset *asset = &config->assets[i];

        hash = mix(hash, asset->symbol, strlen(asset->symbol) + 1);
        hash = mix(hash, &asset->scale, sizeof(asset->scale));
        hash = mix(hash, &asset->size_scale, sizeof(asset->size_scale));
    }
    for (uint32_t i = 0; i < config->venue_count; i++)
        hash = mix(hash, config->venues[i].name, strlen(config->venues[i].name) + 1);
    fstat(supervisor->lock_fd, &st);
    hash = mix(hash, &st.st_dev, sizeof(st.st_dev));
    return mix(hash, &st.st_ino, sizeof(st.st_ino));
}

/* ---- taking over ---- */

static int refuse(char reason[PX_SHM_REASON_SIZE], const char *what, uint64_t found, uint64_t wanted)
{
    snprintf(reason, PX_SHM_REASON_SIZE, "%s: found %" PRIx64 ", wanted %" PRIx64, what, found, wanted);
    return PX_E_LAYOUT;
}

/* Whoever wrote in it must have gone. */
static int check_processes(const struct px_shm *old, char reason[PX_SHM_REASON_SIZE])
{
    for (unsigned i = 0; i < PX_ROLE_SLOTS; i++) {
        const struct px_rcu_reader *reader = &old->rcu_slots->reader[i];
        pid_t pid = px_load_acquire(&old->roles[i].pid);

        if (pid > 0 && i > 0 && !pxi_process_ended(pid, reader->start_time, ENDING_MS)) {
            snprintf(reason, PX_SHM_REASON_SIZE, "its %s, pid %d, still lives", px_role_name(old->roles[i].role), pid);
            return PX_E_EXISTS;
        }
    }
    return 0;
}

static int check_ours(const struct pxi_supervisor *supervisor, const struct px_shm *old,
                      char reason[PX_SHM_REASON_SIZE])
{
    const struct px_shm_header *header = old->header;
    struct px_shm_params params = params_of(supervisor->config);

    if (header->config_hash != config_hash(supervisor))
        return refuse(reason, "other assets, venues or data folder", header->config_hash, config_hash(supervisor));
    if (px_shm_evaluators_of(&header->params) != px_shm_evaluators_of(&params))
        return refuse(reason, "another number of evaluators", header->params.evaluators, params.evaluators);
    if (memcmp(&header->params, &params, sizeof(params)) != 0)
        return refuse(reason, "other capacities, assets", header->params.assets, params.assets);
    if (header->generation != supervisor->generation)
        return refuse(reason, "another generation", header->generation, supervisor->generation);
    if (header->boots != supervisor->boots)
        return refuse(reason, "not the last copy, boots", header->boots, supervisor->boots);
    return check_processes(old, reason);
}

static int take_over(struct pxi_supervisor *supervisor, struct px_shm_files files)
{
    char reason[PX_SHM_REASON_SIZE] = "";
    px_mono began = px_mono_now();
    struct px_shm old;
    int result = px_shm_attach(files, PX_SHM_READ_ONLY, &old, reason);

    if (result == 0) {
        result = check_ours(supervisor, &old, reason);
        if (result == 0) {
            result = px_shm_inherit(&old, &supervisor->shm);
            if (result < 0)
                snprintf(reason, sizeof(reason), "%s", px_error_text(result));
        }
        px_shm_detach(&old);
    }
    if (result < 0) {
        px_log(PX_LOG_INFO, "region-not-taken-over reason=\"%s\"", reason);
        return result;
    }
    supervisor->boots = supervisor->shm.header->boots;
    px_log(PX_LOG_INFO, "region-taken-over epoch=k%" PRIu64 " boots=%u us=%lld", supervisor->generation,
           supervisor->boots, (long long)(px_mono_since(px_mono_now(), began) / PX_NS_PER_US));
    return 0;
}

static ino_t inode_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

static bool is_region(const struct pxi_passed *passed)
{
    return passed->fd >= 0 && strncmp(passed->name, PXI_NAME_REGION, sizeof(PXI_NAME_REGION) - 1) == 0;
}

/* The manager keeps no order: every two files under one name are tried either way round. */
static bool take_over_any(struct pxi_supervisor *supervisor)
{
    for (unsigned d = 0; d < supervisor->passed_count; d++) {
        for (unsigned y = 0; y < supervisor->passed_count; y++) {
            struct pxi_passed *data = &supervisor->passed[d], *yard = &supervisor->passed[y];
            struct stat data_stat, yard_stat;

            if (d == y || !is_region(data) || !is_region(yard) || strcmp(data->name, yard->name) != 0 ||
                inode_of(data->fd) == inode_of(yard->fd))
                continue;
            if (fstat(data->fd, &data_stat) < 0 || fstat(yard->fd, &yard_stat) < 0 ||
                data_stat.st_size < yard_stat.st_size) /* the yard is the small one */
                continue;
            if (take_over(supervisor, (struct px_shm_files){data->fd, yard->fd}) == 0)
                return true;
        }
    }
    return false;
}

/* ---- making ---- */

static int make_new(struct pxi_supervisor *supervisor)
{
    struct px_shm_params params = params_of(supervisor->config);
    int result;

    supervisor->generation++;
    supervisor->boots = 1;
    result = px_shm_create(&params, supervisor->generation, &supervisor->shm);
    if (result < 0)
        px_log(PX_LOG_ERROR, "region-failed error=\"%s\" assets=%u", px_error_text(result), params.assets);
    else
        supervisor->shm.header->config_hash = config_hash(supervisor);
    return result;
}

static void enrol(struct pxi_supervisor *supervisor)
{
    const struct px_shm_header *header = supervisor->shm.header;
    struct px_role_slot *role = &supervisor->shm.roles[0];
    struct px_stats *stats = &supervisor->shm.stats[0];

    role->role = PX_ROLE_SUPERVISOR;
    role->pid = getpid();
    role->incarnation++;
    role->restarts = header->boots - 1;
    role->state = PX_STATE_READY;
    role->started_ns = role->heartbeat_ns = px_mono_now().ns;
    px_stat_set(stats, PX_STAT_REGION_BOOTS, header->boots);
    px_stat_set(stats, PX_STAT_REGION_BYTES, header->size);
    px_stat_set(stats, PX_STAT_REGION_LOCKED, (header->flags & PX_SHM_LOCKED) != 0);
    px_stat_set(stats, PX_STAT_REGION_HUGE, (header->flags & (PX_SHM_HUGE_RESERVED | PX_SHM_HUGE_TRANSPARENT)) != 0);
}

static void log_region(const struct pxi_supervisor *supervisor)
{
    const struct px_shm_header *header = supervisor->shm.header;
    const char *pages = header->flags & PX_SHM_HUGE_RESERVED      ? "huge"
                        : header->flags & PX_SHM_HUGE_TRANSPARENT ? "transparent-huge"
                                                                  : "small";

    px_log(PX_LOG_INFO, "region bytes=%zu assets=%u epoch=k%" PRIu64 " boots=%u pages=%s locked=%s",
           supervisor->shm.size, header->params.assets, header->generation, header->boots, pages,
           header->flags & PX_SHM_LOCKED ? "yes" : "no");
    if (!(header->flags & PX_SHM_LOCKED))
        px_log(PX_LOG_INFO,
               "region-not-locked hint=\"allow it with LimitMEMLOCK= or ulimit -l; it may be swapped out\"");
}

/* ---- keeping ---- */

static void name_region(const struct pxi_supervisor *supervisor, char name[PXI_NAME_SIZE])
{
    snprintf(name, PXI_NAME_SIZE, PXI_NAME_REGION "-k%" PRIu64 "-%u", supervisor->generation, supervisor->boots);
}

static void give_to_manager(const struct pxi_supervisor *supervisor)
{
    const int fds[] = {supervisor->shm.files.data, supervisor->shm.files.yard};
    char name[PXI_NAME_SIZE], state[PXI_NAME_SIZE + 32];

    name_region(supervisor, name);
    snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s", name);
    pxi_notify_files(state, fds, PX_COUNT_OF(fds));
}

/*
 * The manager drops by name, and a supervisor that was killed before it noted its copy has left one under the very name
 * that ours gets. So that one goes before ours is given, and it alone; the rest goes when ours has been noted.
 */
static void drop_passed(const struct pxi_supervisor *supervisor, bool of_our_name)
{
    char name[PXI_NAME_SIZE], state[PXI_NAME_SIZE + 32];

    name_region(supervisor, name);
    for (unsigned i = 0; i < supervisor->passed_count; i++) {
        if (!is_region(&supervisor->passed[i]) || (strcmp(supervisor->passed[i].name, name) == 0) != of_our_name)
            continue;
        snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%s", supervisor->passed[i].name);
        pxi_notify(state);
    }
}

int pxi_region_open(struct pxi_supervisor *supervisor)
{
    int result = take_over_any(supervisor) ? 0 : make_new(supervisor);

    if (result < 0)
        return result;
    px_symbols_publish(&supervisor->shm.directory, supervisor->config, supervisor->boots);
    enrol(supervisor);
    if (px_shm_seal(&supervisor->shm) < 0)
        px_log(PX_LOG_WARN, "region-not-sealed hint=\"this kernel cannot; web workers are kept from writing by their "
                            "mapping alone\"");
    px_shm_ready(&supervisor->shm);
    log_region(supervisor);
    drop_passed(supervisor, true);
    give_to_manager(supervisor);
    result = pxi_data_mark(supervisor);
    drop_passed(supervisor, false);
    return result;
}
