/*
 * RCU inside a web process: liburcu, memb flavour. (Between processes there is shm/rcu.h, which has nothing to do with
 * it.) Every thread that reads is registered from its start to its end: civetweb's by its callbacks, the live thread by
 * itself, the main thread in px_web_main. liburcu is touched after the fork only.
 *
 *   writer   fill · say PX_MEMB_FILLED · px_memb_assign ........ unlink · px_memb_free_later ─── grace period ──► freed
 *   reader        urcu_memb_read_lock · px_memb_dereference · PX_MEMB_REACHED · use · PX_MEMB_LEFT ·
 * urcu_memb_read_unlock
 *
 * A read section never waits for the keeper or a client: what must outlive it is copied.
 *
 * A thread sanitizer cannot look into liburcu, and what it sees of liburcu's inline functions it takes for races: its
 * build calls the library instead. The four words say to it what the pointer, and later the grace period, order;
 * elsewhere they are nothing.
 */
#pragma once

#ifdef PX_TSAN
#undef _LGPL_SOURCE
#endif
#include <urcu/urcu-memb.h>

#ifdef PX_TSAN
void __tsan_acquire(void *at);
void __tsan_release(void *at);
#define PX_MEMB_FILLED(at)      __tsan_release((void *)(at))
#define PX_MEMB_REACHED(at)     __tsan_acquire((void *)(at))
#define PX_MEMB_LEFT(at)        __tsan_release((void *)(at))
#define PX_MEMB_UNREACHABLE(at) __tsan_acquire((void *)(at))
#define px_memb_assign(p, v)    __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)
#define px_memb_dereference(p)  __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#else
#define PX_MEMB_FILLED(at)      (void)(at)
#define PX_MEMB_REACHED(at)     (void)(at)
#define PX_MEMB_LEFT(at)        (void)(at)
#define PX_MEMB_UNREACHABLE(at) (void)(at)
#define px_memb_assign(p, v)    rcu_assign_pointer((p), (v))
#define px_memb_dereference(p)  rcu_dereference(p)
#endif

#ifndef px_memb_free_later /* the negative control of the tests brings one that does not wait */
#define px_memb_free_later(head, function) urcu_memb_call_rcu((head), (function))
#endif
