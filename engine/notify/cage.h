/*
 * What notify may do, before it speaks to strangers: nothing but reach out. In order, each as far as the kernel and the rights go:
 *
 *   user       of the configuration, when root has started the engine; no way back
 *   limits     1,024 descriptors, no core: it holds secrets
 *   no_new_privs
 *   landlock   files: the system's libraries and certificates, to read; the data folder not at all; no signals to others
 *   seccomp    no programs, no other processes, mounts, modules, namespaces, keys, changes of identity
 *
 * The keeper's socket stays in reach: a way to it is opened before.
 */
#pragma once

#include "base/config.h"

#define PX_CAGE_USER     1u
#define PX_CAGE_LANDLOCK 2u
#define PX_CAGE_SECCOMP  4u

struct px_cage {
    unsigned bars;     /* PX_CAGE_*: what holds */
    unsigned landlock; /* its version; 0 = this kernel has none */
    char data[64];     /* the data folder by another name, if the user could not reach it by its own; else "" */
};

/* Closes it. 0, or PX_E_SYSTEM / PX_E_CONFIG after a line in the log when what the configuration asks for cannot be had. Before threads. */
int px_cage_enter(const struct px_config *config, struct px_cage *cagep);
