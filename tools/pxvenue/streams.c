#include "tools/pxvenue/streams_private.h"

#include <stdlib.h>

#include "base/error.h"

#define SLOTS (PXI_STREAMS_MAX * 2) /* open addressing at half load */

struct pxi_streams {
    uint32_t count;
    char *names[PXI_STREAMS_MAX];
    uint32_t slots[SLOTS]; /* number + 1; 0 = free */
};

int pxi_streams_create(struct pxi_streams **streamsp)
{
    *streamsp = calloc(1, sizeof(**streamsp));
    return *streamsp ? 0 : PX_E_MEMORY;
}

void pxi_streams_destroy(struct pxi_streams **streamsp)
{
    if (!*streamsp)
        return;
    for (uint32_t i = 0; i < (*streamsp)->count; i++)
        free((*streamsp)->names[i]);
    free(*streamsp);
    *streamsp = NULL;
}

/* FNV-1a. */
static uint32_t hash(struct px_text name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < name.len; i++)
        h = (h ^ (uint8_t)name.at[i]) * UINT64_C(0x100000001b3);
    return (uint32_t)(h ^ (h >> 32));
}

/* The slot that holds the name, or the free one where it belongs. */
static uint32_t slot_of(const struct pxi_streams *streams, struct px_text name)
{
    uint32_t at = hash(name) & (SLOTS - 1);

    while (streams->slots[at] && !px_text_is(name, streams->names[streams->slots[at] - 1]))
        at = (at + 1) & (SLOTS - 1);
    return at;
}

int pxi_streams_add(struct pxi_streams *streams, struct px_text name, uint32_t *idp)
{
    uint32_t slot = slot_of(streams, name);

    if (!streams->slots[slot]) {
        if (streams->count == PXI_STREAMS_MAX)
            return PX_E_FULL;
        if (name.len > PXI_STREAM_NAME_MAX)
            return PX_E_TOO_LARGE;
        char *copy = strndup(name.at, name.len);
        if (!copy)
            return PX_E_MEMORY;
        streams->names[streams->count++] = copy;
        streams->slots[slot] = streams->count;
    }
    *idp = streams->slots[slot] - 1;
    return 0;
}

uint32_t pxi_streams_find(const struct pxi_streams *streams, struct px_text name)
{
    return streams->slots[slot_of(streams, name)] - 1; /* 0 - 1 is PXI_STREAM_NONE */
}

uint32_t pxi_streams_count(const struct pxi_streams *streams)
{
    return streams->count;
}

struct px_text pxi_streams_name(const struct pxi_streams *streams, uint32_t id)
{
    return px_text_of(streams->names[id]);
}
