#include "shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "shm/region_private.h"

#define PAGE         4096u
#define ENDIAN_PROBE UINT64_C(0x0102030405060708)

_Static_assert(sizeof(struct px_shm_header) <= PX_SHM_HEADER_BYTES, "the header fits its page");

struct layout {
    uint64_t offset[PX_SHM_SECTIONS], bytes[PX_SHM_SECTIONS], element[PX_SHM_SECTIONS];
    uint64_t yard_bytes, size;
};

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* Every section starts on a line pair; the yard ends on a page, since the data is another file. */
static struct layout layout_of(const struct px_shm_params *p)
{
    struct layout l = {.size = 0};
    uint64_t at = 0;

#define PLACE(name, type, size_of)                                                                                     \
    l.offset[PX_SHM_##name] = at;                                                                                      \
    l.bytes[PX_SHM_##name] = (size_of);                                                                                \
    l.element[PX_SHM_##name] = sizeof(type);                                                                           \
    at = round_up(at + (size_of), PX_FALSE_SHARING);
    PX_SHM_YARD_TABLE(PLACE)
    l.yard_bytes = at = round_up(at, PAGE);
    l.offset[PX_SHM_YARD_END] = at;
    at += PX_SHM_HEADER_BYTES;
    PX_SHM_DATA_TABLE(PLACE)
#undef PLACE
    l.size = round_up(at, PAGE);
    return l;
}

static uint64_t fnv(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;

    while (n-- > 0)
        hash = (hash ^ *at++) * 1099511628211u;
    return hash;
}

uint64_t px_shm_layout_hash(const struct px_shm_params *params)
{
    struct layout l = layout_of(params);
    uint64_t hash = fnv(14695981039346656037u, &l, sizeof(l));

    return fnv(hash, params, sizeof(*params));
}

static uint64_t boot_hash(void)
{
    char id[64] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, id, sizeof(id));

    if (fd >= 0)
        close(fd);
    return fnv(14695981039346656037u, id, n > 0 ? (size_t)n : 0);
}

static void make_view(struct px_shm *shm)
{
    const struct px_shm_header *header = shm->header;

#define POINT(name, type, bytes) shm->name = (type *)(void *)((char *)shm->base + header->offset[PX_SHM_##name]);
    PX_SHM_YARD_TABLE(POINT)
    PX_SHM_DATA_TABLE(POINT)
#undef POINT
    shm->directory = (struct px_symbols){.head = shm->symbol_head,
                                         .block = shm->symbol_block,
                                         .symbol = shm->symbol,
                                         .bucket = shm->symbol_bucket,
                                         .capacity = header->params.assets,
                                         .buckets = px_symbols_buckets(header->params.assets)};
    shm->domain = (struct px_rcu_view){shm->rcu, shm->rcu_slots};
    px_depth_pool_attach(shm->depth_pool, px_depth_pool_bytes(px_depth_blocks(header->params.assets)), &shm->depth);
}

static void fill_header(struct px_shm *shm, const struct px_shm_params *params, const struct layout *l,
                        uint64_t generation)
{
    struct px_shm_header *header = shm->header;

    header->magic = PX_SHM_MAGIC;
    header->abi_major = PX_SHM_ABI_MAJOR;
    header->abi_minor = PX_SHM_ABI_MINOR;
    header->layout_hash = px_shm_layout_hash(params);
    header->size = shm->size;
    header->boot_hash = boot_hash();
    header->generation = generation;
    header->created_ns = px_wall_now();
    header->supervisor_pid = getpid();
    header->word_bits = 8 * sizeof(void *);
    header->endian = ENDIAN_PROBE;
    header->params = *params;
    header->yard_bytes = l->yard_bytes;
    memcpy(header->offset, l->offset, sizeof(header->offset));
}

static uint64_t inode_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

/* Memory and a header; sections are zero. */
static int create(const struct px_shm_params *params, uint64_t generation, struct px_shm *shm)
{
    struct layout l;
    uint32_t flags;
    int result;

    memset(shm, 0, sizeof(*shm));
    shm->files = PX_SHM_NO_FILES;
    if (params->assets > PX_SHM_ASSETS_MAX || params->evaluators > PX_EVALUATORS_MAX)
        return PX_E_RANGE;
    l = layout_of(params);
    result = pxi_memory_create(shm, l.yard_bytes, l.size - l.yard_bytes, &flags);
    if (result < 0)
        return result;
    shm->access = PX_SHM_READ_WRITE;
    shm->header = (struct px_shm_header *)(void *)((char *)shm->base + l.yard_bytes);
    fill_header(shm, params, &l, generation);
    shm->header->flags = flags;
    shm->header->boots = 1;
    shm->header->yard_inode = inode_of(shm->files.yard);
    make_view(shm);
    return 0;
}

int px_shm_create(const struct px_shm_params *params, uint64_t generation, struct px_shm *shm)
{
    int result = create(params, generation, shm);

    if (result < 0)
        return result;
    px_rcu_init(shm->rcu, shm->rcu_slots, 1);
    px_depth_pool_format(shm->depth_pool, px_depth_blocks(params->assets));
    PX_CHECK(px_depth_pool_attach(shm->depth_pool, px_depth_pool_bytes(px_depth_blocks(params->assets)), &shm->depth) == 0);
    px_ring_init(shm->ticks, params->tick_capacity, sizeof(struct px_tick), 0);
    px_ring_init(shm->events, params->event_capacity, sizeof(struct px_alert_event), 0);
    for (unsigned i = 0; i < px_shm_evaluators(shm); i++) {
        px_queue_init(px_shm_hits(shm, i), params->hit_capacity, sizeof(struct px_hit), 0);
        px_queue_init(px_shm_seeds(shm, i), params->seed_capacity, sizeof(struct px_seed), 0);
    }
    return 0;
}

/* Those who wrote here have gone: who they were, what they held and what they slept on means nothing any more. */
static void forget_processes(struct px_shm *shm)
{
    for (unsigned i = 0; i < PX_ROLE_SLOTS; i++) {
        shm->roles[i].pid = 0; /* the incarnation stays: the next one is another */
        shm->roles[i].heartbeat_ns = 0;
        if (shm->roles[i].state != PX_STATE_UNUSED)
            shm->roles[i].state = PX_STATE_DEAD;
        for (unsigned s = 0; s < PX_STATS; s++)
            if (strcmp(px_stat_infos[s].kind, "gauge") == 0)
                shm->stats[i].value[s] = 0;
    }
    for (unsigned i = 0; i < PX_RCU_READERS; i++)
        px_rcu_reaped(shm->domain, i);
    shm->ticks_yard->need_wake = shm->events_yard->need_wake = 0;
    for (unsigned i = 0; i < px_shm_evaluators(shm); i++)
        px_shm_hits(shm, i)->consumer_sleeps = px_shm_seeds(shm, i)->consumer_sleeps = 0;
}

int px_shm_inherit(const struct px_shm *old, struct px_shm *shm)
{
    const struct px_shm_header *header = old->header;
    struct layout l = layout_of(&header->params);
    int result = create(&header->params, header->generation, shm);

    if (result < 0)
        return result;
    px_pool_bare(&old->depth);
    px_pool_bare(&shm->depth);
    memcpy(shm->base, old->base, l.yard_bytes);
    memcpy((char *)shm->header + PX_SHM_HEADER_BYTES, (const char *)header + PX_SHM_HEADER_BYTES,
           l.size - l.yard_bytes - PX_SHM_HEADER_BYTES);
    shm->header->boots = header->boots + 1;
    shm->header->created_ns = header->created_ns;
    shm->header->config_hash = header->config_hash;
    make_view(shm); /* once more: now there are pools in it */
    forget_processes(shm);
    return 0;
}

void px_shm_ready(struct px_shm *shm)
{
    px_store_release(&shm->header->state, PX_SHM_READY); /* pairs with px_shm_attach */
}

static int refuse(char reason[PX_SHM_REASON_SIZE], const char *what, uint64_t found, uint64_t wanted)
{
    snprintf(reason, PX_SHM_REASON_SIZE, "%s: found %llx, this build needs %llx", what, (unsigned long long)found,
             (unsigned long long)wanted);
    return PX_E_LAYOUT;
}

int px_shm_seal(const struct px_shm *shm)
{
    const int size = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

    if (fcntl(shm->files.data, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | size) < 0 ||
        fcntl(shm->files.yard, F_ADD_SEALS, size) < 0)
        return PX_E_SYSTEM;
    return 0;
}

int px_shm_move(struct px_shm *shm)
{
    uint64_t yard_bytes = shm->header->yard_bytes;
    int result = pxi_memory_move(shm, yard_bytes);

    if (result < 0)
        return result;
    pxi_files_close(&shm->files);
    shm->header = (struct px_shm_header *)(void *)((char *)shm->base + yard_bytes);
    make_view(shm);
    return 0;
}

static int check_header(const struct px_shm_header *header, const struct stat *data, const struct stat *yard,
                        char reason[PX_SHM_REASON_SIZE])
{
    uint32_t state = px_load_acquire(&header->state);
    uint64_t boot = boot_hash(), bytes = (uint64_t)data->st_size + (uint64_t)yard->st_size;
    struct layout l;

    if (header->magic != PX_SHM_MAGIC)
        return refuse(reason, "not a pxengine region, wrong magic", header->magic, PX_SHM_MAGIC);
    if (header->endian != ENDIAN_PROBE || header->word_bits != 8 * sizeof(void *))
        return refuse(reason, "a region of another machine, wrong byte order or word", header->endian, ENDIAN_PROBE);
    if (header->abi_major != PX_SHM_ABI_MAJOR)
        return refuse(reason, "a region of another version", header->abi_major, PX_SHM_ABI_MAJOR);
    if (state != PX_SHM_READY)
        return refuse(reason, "a region that is not ready, state", state, PX_SHM_READY);
    if (header->boot_hash != boot)
        return refuse(reason, "a region of another boot", header->boot_hash, boot);
    if (header->size != bytes || header->yard_bytes != (uint64_t)yard->st_size)
        return refuse(reason, "a region of another size than its files", header->size, bytes);
    if (header->yard_inode != yard->st_ino)
        return refuse(reason, "data and yard of different regions", header->yard_inode, yard->st_ino);
    if (header->params.assets > PX_SHM_ASSETS_MAX)
        return refuse(reason, "a region with impossibly many assets", header->params.assets, PX_SHM_ASSETS_MAX);
    if (header->layout_hash != px_shm_layout_hash(&header->params))
        return refuse(reason, "a region of another layout", header->layout_hash, px_shm_layout_hash(&header->params));
    l = layout_of(&header->params); /* offsets are computed again rather than believed */
    if (memcmp(header->offset, l.offset, sizeof(l.offset)) != 0 || header->yard_bytes != l.yard_bytes || l.size > bytes)
        return refuse(reason, "a region whose offsets are not those of its layout, size", header->size, l.size);
    return 0;
}

static int explain(int error, char reason[PX_SHM_REASON_SIZE])
{
    snprintf(reason, PX_SHM_REASON_SIZE, "%s",
             error == PX_E_FORBIDDEN ? "the region is sealed: a writer inherits its mapping from the supervisor"
                                     : "no address space or memory to map the region");
    return error;
}

int px_shm_attach(struct px_shm_files files, enum px_shm_access access, struct px_shm *shm,
                  char reason[PX_SHM_REASON_SIZE])
{
    struct stat data = {.st_size = 0}, yard = {.st_size = 0};
    int result;

    memset(shm, 0, sizeof(*shm));
    shm->files = PX_SHM_NO_FILES;
    if (fstat(files.data, &data) < 0 || data.st_size < PX_SHM_HEADER_BYTES)
        return refuse(reason, "too small for a region, bytes", (uint64_t)data.st_size, PX_SHM_HEADER_BYTES);
    if (fstat(files.yard, &yard) < 0 || yard.st_size == 0 || yard.st_size % PAGE != 0)
        return refuse(reason, "no yard, bytes", (uint64_t)yard.st_size, PAGE);
    result = pxi_memory_map(shm, files, (size_t)yard.st_size, (size_t)data.st_size, access);
    if (result < 0)
        return explain(result, reason);
    shm->header = (struct px_shm_header *)(void *)((char *)shm->base + yard.st_size);
    shm->access = access;
    result = check_header(shm->header, &data, &yard, reason);
    if (result < 0)
        munmap(shm->base, shm->size);
    else
        make_view(shm);
    return result;
}

void px_shm_detach(struct px_shm *shm)
{
    px_pool_bare(&shm->depth);
    munmap(shm->base, shm->size);
    pxi_files_close(&shm->files);
    memset(shm, 0, sizeof(*shm));
    shm->files = PX_SHM_NO_FILES;
}
