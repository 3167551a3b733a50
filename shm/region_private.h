/* Inside shm/: where the region's memory comes from. */
#pragma once

#include "shm/region.h"

/*
 * Two new memfds, mapped side by side: shm->base, size, files. Every page is there when this returns 0. PX_E_MEMORY, PX_E_SYSTEM.
 * *flagsp says what kind of memory it became: PX_SHM_LOCKED and so on. The data file may be longer than data_bytes.
 */
int pxi_memory_create(struct px_shm *shm, size_t yard_bytes, size_t data_bytes, uint32_t *flagsp);

/* Maps two memfds side by side. PX_E_FORBIDDEN when the kernel refuses to let this process write, PX_E_MEMORY. */
int pxi_memory_map(struct px_shm *shm, struct px_shm_files files, size_t yard_bytes, size_t data_bytes,
                   enum px_shm_access access);

/* Moves both mappings to another address of the same process. PX_E_MEMORY leaves the process without a region. */
int pxi_memory_move(struct px_shm *shm, size_t yard_bytes);

/* Closes what is open; *files is PX_SHM_NO_FILES after it. */
void pxi_files_close(struct px_shm_files *files);
