/*
 * The few memory operations that shared memory needs, under names that say their order.
 *
 * Loads and stores are the compiler's __atomic built-ins, so that a thread sanitizer sees them; read and write barriers and
 * read-modify-write operations are liburcu's, which cost nothing where the hardware orders by itself. A TSan build takes the built-ins
 * for these too, because it cannot look into liburcu's assembly. The full barrier is the compiler's everywhere: on x86-64 a locked
 * operation on the stack, which orders all that ordinary memory needs; liburcu's mfence waits for more and costs 18 ns more.
 */
#pragma once

#include <stdint.h>

#define px_load_relaxed(p)      __atomic_load_n((p), __ATOMIC_RELAXED)
#define px_load_acquire(p)      __atomic_load_n((p), __ATOMIC_ACQUIRE)
#ifndef px_store_relaxed /* the crash tests bring their own, which count and die */
#define px_store_relaxed(p, v)  __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define px_store_release(p, v)  __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#endif

#define px_smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#ifdef PX_TSAN
#pragma GCC diagnostic ignored "-Wtsan" /* fences are no-ops for TSan; every word they order is atomic itself */
#define px_smp_wmb()       __atomic_thread_fence(__ATOMIC_RELEASE)
#define px_smp_rmb()       __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define px_xchg(p, v)      __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define px_add_return(p,v) __atomic_add_fetch((p), (v), __ATOMIC_SEQ_CST)
#else
#include <urcu/arch.h>
#include <urcu/uatomic.h>
#define px_smp_wmb()        cmm_smp_wmb()
#define px_smp_rmb()        cmm_smp_rmb()
#define px_xchg(p, v)       uatomic_xchg((p), (v))
#define px_add_return(p, v) uatomic_add_return((p), (v))
#endif

/*
 * Copies whole 64-bit words, each relaxed. A copy may be torn as a whole; whoever uses it validates a sequence afterwards. This is
 * the one way in which payload crosses between processes.
 */
static inline void px_words_store(uint64_t *to, const uint64_t *from, unsigned words)
{
    for (unsigned i = 0; i < words; i++)
        px_store_relaxed(&to[i], from[i]);
}

static inline void px_words_load(uint64_t *to, const uint64_t *from, unsigned words)
{
    for (unsigned i = 0; i < words; i++)
        to[i] = px_load_relaxed(&from[i]);
}
