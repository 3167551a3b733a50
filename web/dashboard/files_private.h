/* The table that pack.cmake writes at build time. */
#pragma once

#include "web/dashboard/files.h"

extern const struct px_static_file pxi_static_files[];
extern const size_t pxi_static_count;
