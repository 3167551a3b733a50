/* Which histogram a request counts in, by its path alone: the live loop knows no more of it. Pure. */
#pragma once

#include "shm/stats.h"

/* `ranged`: there is a query, which makes history of averages. */
enum px_time_class px_time_class_of(struct px_text path, bool ranged);

/* The same for the first bytes of a request; false when it is no GET. */
bool px_time_class_of_head(const char *bytes, size_t len, enum px_time_class *classp);
