/* Token buckets in an 8-way table. A bucket is one number: the time at which it would be full again. */
#include "web/rest/rate.h"

#include <pthread.h>
#include <stdlib.h>

#define SETS  512
#define WAYS  8
#define LOCKS 64

struct bucket {
    uint64_t who; /* hash of the principal; 0 = free */
    int64_t full_ns, seen_ns;
};

struct px_rates {
    pthread_mutex_t lock[LOCKS];
    struct bucket bucket[SETS][WAYS];
};

struct px_rates *px_rates_create(void)
{
    struct px_rates *rates = calloc(1, sizeof *rates);

    if (!rates)
        return NULL;
    for (unsigned i = 0; i < LOCKS; i++)
        pthread_mutex_init(&rates->lock[i], NULL);
    return rates;
}

void px_rates_destroy(struct px_rates **ratesp)
{
    free(*ratesp);
    *ratesp = NULL;
}

/* FNV-1a, stirred. Who finds a collision shares a bucket with a stranger, no more. */
static uint64_t hash_of(struct px_text text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.at[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    return hash ? hash : 1;
}

static struct bucket *bucket_of(struct bucket *set, uint64_t who, int64_t now)
{
    struct bucket *oldest = &set[0];

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].who == who)
            return &set[i];
        if (set[i].seen_ns < oldest->seen_ns)
            oldest = &set[i];
    }
    *oldest = (struct bucket){.who = who, .full_ns = now};
    return oldest;
}

static uint32_t seconds_up(int64_t ns)
{
    return ns <= 0 ? 0 : (uint32_t)((ns + PX_NS_PER_S - 1) / PX_NS_PER_S);
}

/* `count` tokens; `anyhow`, even when they are not there. */
static void take(struct bucket *bucket, uint32_t per_second, uint32_t count, bool anyhow, int64_t now, struct px_rate_state *statep)
{
    int64_t token_ns = PX_NS_PER_S / per_second; /* one token's worth of time */
    int64_t depth = per_second * 2 * token_ns, most = depth + PX_RATE_CHARGE_MAX * token_ns;
    /* A bucket that is deeper in debt than it may be was filled under a higher rate. */
    int64_t full = PX_MIN(PX_MAX(bucket->full_ns, now), now + most) + count * token_ns;

    statep->limit = per_second * 2;
    statep->allowed = anyhow || full - now <= depth;
    if (statep->allowed)
        bucket->full_ns = full;
    bucket->seen_ns = now;
    int64_t missing = PX_MAX(bucket->full_ns - now, 0);
    statep->remaining = (uint32_t)((depth - PX_MIN(missing, depth)) / token_ns);
    statep->reset_s = seconds_up(missing);
    statep->retry_s = statep->allowed ? 0 : PX_MAX(seconds_up(full - now - depth), 1);
}

static void take_of(struct px_rates *rates, struct px_text principal, uint32_t per_second, uint32_t count, bool anyhow, px_mono now,
                    struct px_rate_state *statep)
{
    uint64_t who = hash_of(principal);
    unsigned set = who % SETS;

    pthread_mutex_lock(&rates->lock[set % LOCKS]);
    take(bucket_of(rates->bucket[set], who, now.ns), per_second, count, anyhow, now.ns, statep);
    pthread_mutex_unlock(&rates->lock[set % LOCKS]);
}

void px_rates_take(struct px_rates *rates, struct px_text principal, uint32_t per_second, px_mono now,
                   struct px_rate_state *statep)
{
    take_of(rates, principal, per_second, 1, false, now, statep);
}

void px_rates_charge(struct px_rates *rates, struct px_text principal, uint32_t per_second, uint32_t count, px_mono now,
                     struct px_rate_state *statep)
{
    take_of(rates, principal, per_second, PX_MIN(count, PX_RATE_CHARGE_MAX), true, now, statep);
}
