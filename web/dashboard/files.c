#include "web/dashboard/files.h"

#include <string.h>

#include "web/dashboard/files_private.h"

const struct px_static_file *
px_static_all(size_t *countp)
{
    *countp = pxi_static_count;
    return pxi_static_files;
}

/* A dozen files: a linear scan is shorter than anything clever, and no tick ever waits for it. */
const struct px_static_file *
px_static_find(const char *path)
{
    if (strcmp(path, "/") == 0)
        path = "/index.html";
    for (size_t i = 0; i < pxi_static_count; i++) {
        if (strcmp(pxi_static_files[i].path, path) == 0)
            return &pxi_static_files[i];
    }
    return NULL;
}
