/* Address space, files and pages of the region. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "shm/region_private.h"

#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3; where vm.memfd_noexec is 2 there are no others */
#define MFD_NOEXEC_SEAL 8u
#endif

#define HUGE_BYTES ((size_t)2 << 20)
#define GAPS       1024 /* places for a view, HUGE_BYTES apart, before it repeats one */

static size_t to_huge(size_t bytes)
{
    return (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
}

/*
 * Address space for both files with the data on the border of a huge page, at another place in every process: who
 * stores an address in the region, or relies on one, is found out at once.
 */
static char *reserve(size_t yard_bytes, size_t data_bytes)
{
    uint64_t dice = ((uint64_t)getpid() << 20 ^ (uint64_t)px_mono_now().ns) * UINT64_C(0x9e3779b97f4a7c15);
    size_t gap = (size_t)(dice >> 54) % GAPS * HUGE_BYTES, bytes = gap + yard_bytes + data_bytes + HUGE_BYTES;
    char *at = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *base, *end;

    if (at == MAP_FAILED)
        return NULL;
    base = (char *)to_huge((size_t)at + yard_bytes) - yard_bytes; /* low, for the kernel fills from the top */
    end = base + yard_bytes + data_bytes;
    if (base > at)
        munmap(at, (size_t)(base - at));
    if (end < at + bytes)
        munmap(end, (size_t)(at + bytes - end));
    return base;
}

int pxi_memory_map(struct px_shm *shm, struct px_shm_files files, size_t yard_bytes, size_t data_bytes,
                   enum px_shm_access access)
{
    int data = access == PX_SHM_READ_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
    char *base = reserve(yard_bytes, data_bytes);
    int error;

    if (base == NULL)
        return PX_E_MEMORY;
    if (mmap(base, yard_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, files.yard, 0) == MAP_FAILED ||
        mmap(base + yard_bytes, data_bytes, data, MAP_SHARED | MAP_FIXED, files.data, 0) == MAP_FAILED) {
        error = errno;
        munmap(base, yard_bytes + data_bytes);
        return error == EPERM || error == EACCES ? PX_E_FORBIDDEN : PX_E_MEMORY;
    }
    shm->base = base;
    shm->size = yard_bytes + data_bytes;
    return 0;
}

int pxi_memory_move(struct px_shm *shm, size_t yard_bytes)
{
    size_t data_bytes = shm->size - yard_bytes;
    char *from = shm->base, *to = reserve(yard_bytes, data_bytes);

    if (to == NULL)
        return PX_E_MEMORY;
    if (mremap(from, yard_bytes, yard_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED ||
        mremap(from + yard_bytes, data_bytes, data_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to + yard_bytes) == MAP_FAILED)
        return PX_E_MEMORY;
    shm->base = to;
    return 0;
}

/* ---- pages ---- */

static int make_file(const char *name, size_t bytes, unsigned flags)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | flags);

    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/*
 * Every page now, and none of them later: a sparse file dies of SIGBUS on a full machine. The touch comes first,
 * because only a page fault makes huge pages; the reservation says what a kernel without MADV_POPULATE_WRITE could not.
 */
static int populate(void *at, size_t bytes, int fd)
{
    int error;

    if (madvise(at, bytes, MADV_POPULATE_WRITE) < 0 && errno != EINVAL)
        return PX_E_MEMORY;
    error = posix_fallocate(fd, 0, (off_t)bytes);
    if (error != 0)
        return error == ENOSPC || error == ENOMEM ? PX_E_MEMORY : PX_E_SYSTEM;
    return 0;
}

void pxi_files_close(struct px_shm_files *files)
{
    if (files->yard >= 0)
        close(files->yard);
    if (files->data >= 0)
        close(files->data);
    *files = PX_SHM_NO_FILES;
}

static int create(struct px_shm *shm, size_t yard_bytes, size_t data_bytes, unsigned data_flags)
{
    int result;

    shm->files.yard = make_file("pxengine-yard", yard_bytes, 0);
    shm->files.data = make_file("pxengine", data_bytes, data_flags);
    if (shm->files.yard < 0 || shm->files.data < 0) {
        pxi_files_close(&shm->files);
        return PX_E_SYSTEM;
    }
    result = pxi_memory_map(shm, shm->files, yard_bytes, data_bytes, PX_SHM_READ_WRITE);
    if (result == 0) {
        char *data = (char *)shm->base + yard_bytes;

        if (data_flags == 0)
            madvise(data, data_bytes, MADV_HUGEPAGE); /* a wish */
        result = populate(shm->base, yard_bytes, shm->files.yard);
        if (result == 0)
            result = populate(data, data_bytes, shm->files.data);
        if (result < 0)
            munmap(shm->base, shm->size);
    }
    if (result < 0)
        pxi_files_close(&shm->files);
    return result;
}

/* Did the wish for huge pages come true? Only the kernel's own listing says. */
static bool has_huge_pages(const void *at)
{
    FILE *from = fopen("/proc/self/smaps", "re");
    unsigned long begin, end, kib = 0;
    bool here = false;
    char line[256];

    while (from != NULL && kib == 0 && fgets(line, sizeof(line), from) != NULL) {
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
            here = begin == (unsigned long)at;
        else if (here)
            (void)sscanf(line, "ShmemPmdMapped: %lu kB", &kib);
    }
    if (from != NULL)
        fclose(from);
    return kib > 0;
}

int pxi_memory_create(struct px_shm *shm, size_t yard_bytes, size_t data_bytes, uint32_t *flagsp)
{
    int result = PX_E_MEMORY;

    *flagsp = 0;
    if (data_bytes >= HUGE_BYTES) /* from the pool that the administrator set aside, if there is one */
        result = create(shm, yard_bytes, to_huge(data_bytes), MFD_HUGETLB);
    if (result == 0)
        *flagsp |= PX_SHM_HUGE_RESERVED;
    else
        result = create(shm, yard_bytes, data_bytes, 0);
    if (result < 0)
        return result;
    if (!(*flagsp & PX_SHM_HUGE_RESERVED) && has_huge_pages((char *)shm->base + yard_bytes))
        *flagsp |= PX_SHM_HUGE_TRANSPARENT;
    if (mlock(shm->base, shm->size) == 0) /* LimitMEMLOCK may not allow it */
        *flagsp |= PX_SHM_LOCKED;
    return 0;
}
