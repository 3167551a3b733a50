/*
 * Dying between two stores, as a unit test: every store of the code under test goes through a counter, and when it reaches zero the
 * "process" is gone (longjmp). Include this before the code under test, which must be included as source.
 */
#pragma once

#include <setjmp.h>

static jmp_buf crash_here;
static long crash_after = -1; /* stores still to be made; -1: immortal */

static inline void crash_count(void)
{
    if (crash_after >= 0 && crash_after-- == 0)
        longjmp(crash_here, 1);
}

#define px_store_relaxed(p, v) (crash_count(), __atomic_store_n((p), (v), __ATOMIC_RELAXED))
#define px_store_release(p, v) (crash_count(), __atomic_store_n((p), (v), __ATOMIC_RELEASE))

#include "shm/atomic.h"

/* Runs `action`; returns true if it died after `stores` stores, false if it came to its end before. */
#define CRASH_AFTER(stores, action)                                                                                    \
    (__extension__({                                                                                                   \
        volatile int crash_died = 0;                                                                                   \
        if (setjmp(crash_here) == 0) {                                                                                 \
            crash_after = (stores);                                                                                    \
            action;                                                                                                    \
        } else {                                                                                                       \
            crash_died = 1;                                                                                            \
        }                                                                                                              \
        crash_after = -1;                                                                                              \
        crash_died != 0;                                                                                               \
    }))

/* Of the deepest deaths, every one is tried; under a sanitizer, where a store costs many times as much, one of these. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DEEPEST_STRIDE 13
#else
#define DEEPEST_STRIDE 1
#endif
