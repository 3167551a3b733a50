/* Keys under liburcu: one pointer, replaced whole. */
#include "web/keyring.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <urcu/urcu-memb.h>

#include "base/error.h"
#include "base/log.h"

/* A thread sanitizer cannot look into liburcu: what a grace period orders is said to it in its own words. */
#ifdef PX_TSAN
void __tsan_acquire(void *at);
void __tsan_release(void *at);
#define AFTER_READERS(at) __tsan_acquire(at)
#define READER_DONE(at)   __tsan_release(at)
#else
#define AFTER_READERS(at) (void)(at)
#define READER_DONE(at)   (void)(at)
#endif

struct table {
    struct rcu_head rcu;
    struct px_keys keys;
};

struct px_keyring {
    struct table *current; /* under RCU; NULL before the first load */
    const char *data;
    char path[300];
    struct stat seen; /* zero: no file */
};

static void table_free(struct rcu_head *head)
{
    struct table *table = caa_container_of(head, struct table, rcu);

    AFTER_READERS(table);
    free(table);
}

static void publish(struct px_keyring *ring, struct table *table)
{
    struct table *old = rcu_xchg_pointer(&ring->current, table);

    READER_DONE(old);
    if (old)
        urcu_memb_call_rcu(&old->rcu, table_free);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void load(struct px_keyring *ring)
{
    struct table *table = malloc(sizeof *table);
    int rc = table ? px_keys_load(ring->data, &table->keys) : PX_E_MEMORY;

    if (rc < 0) {
        px_log(PX_LOG_ERROR, "keys_refused file=%s error=\"%s\"", ring->path, px_error_text(rc));
        free(table);
        return;
    }
    px_log(PX_LOG_INFO, "keys_loaded count=%u", table->keys.count);
    publish(ring, table);
}

void px_keyring_poll(struct px_keyring *ring)
{
    struct stat now;

    if (stat(ring->path, &now) != 0)
        now = (struct stat){0};
    if (same_file(&now, &ring->seen))
        return;
    ring->seen = now;
    load(ring);
}

int px_keyring_open(const char *data, struct px_keyring **ringp)
{
    struct px_keyring *ring = calloc(1, sizeof *ring);

    if (!ring)
        return PX_E_MEMORY;
    ring->data = data;
    snprintf(ring->path, sizeof ring->path, "%s/keys", data);
    px_keyring_poll(ring);
    *ringp = ring;
    return 0;
}

void px_keyring_close(struct px_keyring **ringp)
{
    struct px_keyring *ring = *ringp;

    if (!ring)
        return;
    publish(ring, NULL);
    urcu_memb_barrier();
    free(ring);
    *ringp = NULL;
}

int px_keyring_verify(struct px_keyring *ring, struct px_text text, struct px_key *keyp)
{
    const struct px_key *key;
    int rc = PX_E_FORBIDDEN;

    urcu_memb_read_lock();
    struct table *table = rcu_dereference(ring->current);
    if (table)
        rc = px_keys_verify(&table->keys, text, &key);
    if (rc == 0)
        *keyp = *key;
    READER_DONE(table);
    urcu_memb_read_unlock();
    return rc;
}
