#include "shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

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

/* Every section starts on a line pair; the data starts on a page, so that it can be protected on its own. */
static struct layout layout_of(const struct px_shm_params *p)
{
    struct layout l = {.size = 0};
    uint64_t at = PX_SHM_HEADER_BYTES;

#define PLACE(name, type, size_of)                                                                                     \
    l.offset[PX_SHM_##name] = at;                                                                                      \
    l.bytes[PX_SHM_##name] = (size_of);                                                                                \
    l.element[PX_SHM_##name] = sizeof(type);                                                                           \
    at = round_up(at + (size_of), PX_FALSE_SHARING);
    PX_SHM_YARD_TABLE(PLACE)
    l.yard_bytes = at = round_up(at, PAGE);
    l.offset[PX_SHM_YARD_END] = at;
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
}

static void fill_header(struct px_shm *shm, const struct px_shm_params *params, const struct layout *l,
                        uint64_t generation)
{
    struct px_shm_header *header = shm->header;

    header->magic = PX_SHM_MAGIC;
    header->abi_major = PX_SHM_ABI_MAJOR;
    header->abi_minor = PX_SHM_ABI_MINOR;
    header->layout_hash = px_shm_layout_hash(params);
    header->size = l->size;
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

static void format_sections(struct px_shm *shm, const struct px_shm_params *p)
{
    px_rcu_init(shm->rcu, shm->rcu_slots, 1);
    px_ring_init(shm->ticks, p->tick_capacity, sizeof(struct px_tick), 0);
    px_ring_init(shm->events, p->event_capacity, sizeof(struct px_alert_event), 0);
    px_queue_init(shm->fires, p->fire_capacity, sizeof(struct px_fire), 0);
    px_queue_init(shm->arms, p->arm_capacity, sizeof(struct px_arm), 0);
}

int px_shm_create(const struct px_shm_params *params, uint64_t generation, struct px_shm *shm)
{
    struct layout l = layout_of(params);
    int error;

    memset(shm, 0, sizeof(*shm));
    shm->fd = memfd_create("pxengine", MFD_CLOEXEC);
    if (shm->fd < 0)
        return PX_E_SYSTEM;
    error = posix_fallocate(shm->fd, 0, (off_t)l.size); /* a sparse file would die of SIGBUS on a full machine */
    if (error != 0) {
        close(shm->fd);
        return error == ENOSPC || error == ENOMEM ? PX_E_MEMORY : PX_E_SYSTEM;
    }
    shm->base = mmap(NULL, l.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, shm->fd, 0);
    if (shm->base == MAP_FAILED) {
        close(shm->fd);
        return PX_E_MEMORY;
    }
    shm->size = l.size;
    shm->access = PX_SHM_READ_WRITE;
    shm->header = shm->base;
    fill_header(shm, params, &l, generation);
    make_view(shm);
    format_sections(shm, params);
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

static int check_header(const struct px_shm_header *header, uint64_t file_size, char reason[PX_SHM_REASON_SIZE])
{
    uint32_t state = px_load_acquire(&header->state);
    uint64_t boot = boot_hash();

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
    if (header->size != file_size)
        return refuse(reason, "a region of another size than its file", header->size, file_size);
    if (header->layout_hash != px_shm_layout_hash(&header->params))
        return refuse(reason, "a region of another layout", header->layout_hash, px_shm_layout_hash(&header->params));
    return 0;
}

int px_shm_attach(int fd, enum px_shm_access access, struct px_shm *shm, char reason[PX_SHM_REASON_SIZE])
{
    int protection = access == PX_SHM_READ_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
    struct stat st;
    int result;

    memset(shm, 0, sizeof(*shm));
    shm->fd = -1;
    if (fstat(fd, &st) < 0 || st.st_size < PX_SHM_HEADER_BYTES)
        return refuse(reason, "too small for a region, bytes", fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_size,
                      PX_SHM_HEADER_BYTES);
    shm->size = (size_t)st.st_size;
    shm->base = mmap(NULL, shm->size, protection, MAP_SHARED, fd, 0);
    if (shm->base == MAP_FAILED)
        return PX_E_MEMORY;
    shm->header = shm->base;
    shm->access = access;
    result = check_header(shm->header, shm->size, reason);
    if (result == 0 && access == PX_SHM_READ_ONLY &&
        mmap((char *)shm->base + PX_SHM_HEADER_BYTES, shm->header->yard_bytes - PX_SHM_HEADER_BYTES,
             PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, PX_SHM_HEADER_BYTES) == MAP_FAILED)
        result = PX_E_MEMORY;
    if (result < 0)
        munmap(shm->base, shm->size);
    else
        make_view(shm);
    return result;
}

void px_shm_detach(struct px_shm *shm)
{
    munmap(shm->base, shm->size);
    if (shm->fd >= 0)
        close(shm->fd);
    memset(shm, 0, sizeof(*shm));
    shm->fd = -1;
}
