#include "shm/wait.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

struct waitv { /* struct futex_waitv of Linux 5.16, for headers that are older */
    uint64_t val, uaddr;
    uint32_t flags, reserved;
};

#define WAIT_SIZE_32 2

static void wake_all(uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void px_wait_arm(const struct px_wait_set *set)
{
    for (unsigned i = 0; i < set->count; i++)
        px_store_relaxed(set->word[i], 1);
    px_smp_mb(); /* pairs with the barrier in px_wait_wake: either we see the news or the producer sees the flag */
}

/* A kernel before 5.16, or a filter that forbids futex_waitv: sleep on the first word alone, and briefly. */
static void sleep_on_first(const struct px_wait_set *set, int64_t timeout_ns)
{
    int64_t ns = set->count > 1 ? PX_MIN(timeout_ns, PX_NS_PER_MS) : timeout_ns;
    struct timespec relative = {ns / PX_NS_PER_S, ns % PX_NS_PER_S};

    syscall(SYS_futex, set->word[0], FUTEX_WAIT, 1, &relative, NULL, 0);
}

void px_wait_sleep(const struct px_wait_set *set, int64_t timeout_ns)
{
    static bool no_waitv;
    struct waitv list[PX_WAIT_MAX];
    int64_t until = px_mono_now().ns + timeout_ns;
    struct timespec absolute = {until / PX_NS_PER_S, until % PX_NS_PER_S};

    if (set->count == 1 || __atomic_load_n(&no_waitv, __ATOMIC_RELAXED)) {
        sleep_on_first(set, timeout_ns);
        return;
    }
    for (unsigned i = 0; i < set->count; i++)
        list[i] = (struct waitv){1, (uint64_t)(uintptr_t)set->word[i], WAIT_SIZE_32, 0};
    if (syscall(SYS_futex_waitv, list, set->count, 0, &absolute, CLOCK_MONOTONIC) < 0 &&
        (errno == ENOSYS || errno == EPERM))
        __atomic_store_n(&no_waitv, true, __ATOMIC_RELAXED);
}

void px_wait_wake(uint32_t *word)
{
    px_smp_mb(); /* pairs with px_wait_arm */
    if (!px_wait_pending(word))
        return;
    px_wait_wake_always(word);
}

void px_wait_wake_always(uint32_t *word)
{
    px_store_relaxed(word, 0);
    wake_all(word);
}
