/* The processor time of an engine's processes between two moments, from /proc. */
#pragma once

#include "base/types.h"

#define PROCESSES_MAX 64

struct process {
    int pid;
    char title[64];
    uint64_t before_ticks, after_ticks; /* of the kernel's clock */
};

struct processes {
    size_t count;
    struct process list[PROCESSES_MAX];
};

/* Finds `parent` and its children, and notes what they have used so far. */
void processes_begin(struct processes *processes, int parent);

/* Notes it again. A process that has ended keeps what it had at the beginning; one born since counts from zero. */
void processes_end(struct processes *processes, int parent);

/* Cores used, as a fraction of `seconds`. */
double process_cores(const struct process *process, double seconds);
