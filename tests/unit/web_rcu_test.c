/* liburcu in the web process: threads that read while the snapshot is replaced and while the table of watchers churns.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "shm/atomic.h"
#include "tests/unit/urcu_tsan.h"
#include "web/rcu.h"
#include "web/snapshot.h"
#include "web/watchers.h"

#define READERS      3
#define REPLACEMENTS 10000
#define ASSETS       100
#define ROUNDS       3000

static char data[64];
static struct px_config config;
static struct px_snapshots *snapshots;
static struct px_watchers *watchers;
static uint32_t ended; /* the writer has */

static void begin(void)
{
    snprintf(data, sizeof data, "/tmp/px_web_rcu_test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(data));
    snprintf(config.data, sizeof config.data, "%s", data);
    config.limits = (struct px_config_limits){1, 1, 1, 1, 1, 1};
    px_store_relaxed(&ended, 0);
    urcu_memb_register_thread();
    ck_assert_int_eq(px_snapshots_open(&config, &snapshots), 0);
    ck_assert_int_eq(px_watchers_create(ASSETS, &watchers), 0);
}

static void end(void)
{
    char command[100];

    px_watchers_destroy(&watchers);
    px_snapshots_close(&snapshots);
    urcu_memb_unregister_thread();
    snprintf(command, sizeof command, "rm -r %s", data);
    ck_assert_int_eq(system(command), 0);
}

static void with_readers(void *(*read)(void *), void (*write)(void))
{
    pthread_t thread[READERS];
    void *seen;

    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, read, NULL), 0);
    write();
    px_store_release(&ended, 1);
    for (int i = 0; i < READERS; i++) {
        pthread_join(thread[i], &seen);
        ck_assert_uint_gt((uintptr_t)seen, 0);
    }
}

/* ---- snapshots ---- */

/* Everything in a snapshot carries its number: all of the old or all of the new. */
static void fill(uint32_t number, struct px_config_limits *limits, struct px_keys *keys)
{
    *limits = (struct px_config_limits){number, number, number, number, number, number};
    keys->count = 1 + number % PX_KEYS_MAX;
    keys->list[0].scopes = keys->list[keys->count - 1].scopes = number;
}

static void replace(void)
{
    struct px_keys *keys = calloc(1, sizeof *keys);
    struct px_config_limits limits;

    for (uint32_t i = 2; i <= REPLACEMENTS; i++) {
        fill(i, &limits, keys);
        PX_CHECK(px_snapshots_publish(snapshots, &limits, keys) == 0);
        PX_CHECK(px_snapshots_pending(snapshots) <= PX_SNAPSHOTS_PENDING);
    }
    free(keys);
}

static void check_whole(const struct px_snapshot *snapshot)
{
    uint32_t number = (uint32_t)snapshot->number;

    if (number == 1)
        return;
    PX_CHECK(snapshot->limits.alerts_per_owner == number && snapshot->limits.requests_per_second == number);
    PX_CHECK(snapshot->keys.count == 1 + number % PX_KEYS_MAX);
    PX_CHECK(snapshot->keys.list[0].scopes == number);
    PX_CHECK(snapshot->keys.list[snapshot->keys.count - 1].scopes == number);
}

static void *read_snapshots(void *unused)
{
    uint64_t last = 0;
    uintptr_t count = 0;

    urcu_memb_register_thread();
    do {
        const struct px_snapshot *snapshot = px_snapshot_enter(snapshots);
        check_whole(snapshot);
        PX_CHECK(snapshot->number >= last);
        last = snapshot->number;
        if (count++ % 64 == 0)
            usleep(100); /* and it stays what it was */
        check_whole(snapshot);
        px_snapshot_leave(snapshot);
    } while (!px_load_acquire(&ended));
    urcu_memb_unregister_thread();
    return (void *)count;
}

START_TEST(a_snapshot_is_whole_while_it_is_replaced)
{
    with_readers(read_snapshots, replace);
    urcu_memb_barrier();
    ck_assert_uint_eq(px_snapshots_pending(snapshots), 0);
}
END_TEST

static void *stay_inside(void *told)
{
    urcu_memb_register_thread();
    const struct px_snapshot *snapshot = px_snapshot_enter(snapshots);
    px_store_release((uint32_t *)told, 1);
    while (!px_load_acquire(&ended))
        usleep(1000);
    PX_CHECK(snapshot->number == 1);
    px_snapshot_leave(snapshot);
    urcu_memb_unregister_thread();
    return NULL;
}

START_TEST(a_snapshot_is_freed_behind_its_last_reader)
{
    uint32_t inside = 0;
    pthread_t reader;

    ck_assert_int_eq(pthread_create(&reader, NULL, stay_inside, &inside), 0);
    while (!px_load_acquire(&inside))
        usleep(1000);
    ck_assert_int_eq(px_snapshots_publish(snapshots, NULL, NULL), 0);
    usleep(50000);
    ck_assert_uint_eq(px_snapshots_pending(snapshots), 1);
    px_store_release(&ended, 1);
    pthread_join(reader, NULL);
    urcu_memb_barrier();
    ck_assert_uint_eq(px_snapshots_pending(snapshots), 0);
}
END_TEST

START_TEST(keys_follow_their_file)
{
    struct px_config_limits limits;
    char text[PX_KEY_TEXT_SIZE];
    struct px_key key;

    ck_assert_int_eq(px_key_create(data, NULL, "prices:read,alerts:write", text), 0);
    ck_assert_int_eq(px_snapshots_verify(snapshots, px_text_of(text), &key), PX_E_FORBIDDEN);
    px_snapshots_poll(snapshots);
    ck_assert_int_eq(px_snapshots_verify(snapshots, px_text_of(text), &key), 0);
    ck_assert_uint_eq(key.scopes, PX_SCOPE_PRICES_READ | PX_SCOPE_ALERTS_WRITE);
    limits = (struct px_config_limits){.body_bytes = 7};
    ck_assert_int_eq(px_snapshots_publish(snapshots, &limits, NULL), 0);
    ck_assert_int_eq(px_snapshots_verify(snapshots, px_text_of(text), &key), 0);
    px_snapshots_limits(snapshots, &limits);
    ck_assert_uint_eq(limits.body_bytes, 7);
}
END_TEST

/* ---- watchers ---- */

START_TEST(watchers_are_counted)
{
    ck_assert_uint_eq(px_watchers_of(watchers, 7), 0);
    ck_assert_uint_eq(px_watchers_of(watchers, PX_ASSET_NONE), 0);
    ck_assert_int_eq(px_watchers_add(watchers, 7), 0);
    ck_assert_int_eq(px_watchers_add(watchers, 7), 0);
    ck_assert_int_eq(px_watchers_add(watchers, 8), 0);
    ck_assert_uint_eq(px_watchers_of(watchers, 7), 2);
    ck_assert_uint_eq(px_watchers_assets(watchers), 2);
    px_watchers_remove(watchers, 7);
    px_watchers_remove(watchers, 7);
    ck_assert_uint_eq(px_watchers_of(watchers, 7), 0);
    ck_assert_uint_eq(px_watchers_assets(watchers), 1);
}
END_TEST

START_TEST(who_comes_and_goes_moves_no_memory)
{
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(px_watchers_add(watchers, 7), 0);
        px_watchers_remove(watchers, 7);
    }
    urcu_memb_read_lock(); /* or the one entry might be freed before it is counted */
    px_watchers_sweep(watchers);
    ck_assert_uint_eq(px_watchers_pending(watchers), 1);
    urcu_memb_read_unlock();
    px_watchers_sweep(watchers);
    urcu_memb_barrier();
    ck_assert_uint_eq(px_watchers_pending(watchers), 0);
}
END_TEST

START_TEST(what_waits_to_be_freed_is_bounded)
{
    urcu_memb_read_lock(); /* nothing is freed meanwhile */
    for (px_asset_id i = 0; i < 3 * ASSETS; i++) {
        ck_assert_int_eq(px_watchers_add(watchers, i % ASSETS), 0);
        px_watchers_remove(watchers, i % ASSETS);
        px_watchers_sweep(watchers);
    }
    ck_assert_uint_eq(px_watchers_pending(watchers), ASSETS);
    urcu_memb_read_unlock();
    urcu_memb_barrier();
    px_watchers_sweep(watchers);
    ck_assert_uint_eq(px_watchers_assets(watchers), 0);
}
END_TEST

/* Even assets have 1 or 2 watchers all the time, odd ones come and go. */
static void churn(void)
{
    for (px_asset_id i = 0; i < ASSETS; i += 2)
        PX_CHECK(px_watchers_add(watchers, i) == 0);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (px_asset_id i = 0; i < ASSETS; i++)
            PX_CHECK(px_watchers_add(watchers, i) == 0);
        for (px_asset_id i = 0; i < ASSETS; i++)
            px_watchers_remove(watchers, i);
        px_watchers_sweep(watchers);
    }
}

static void *read_watchers(void *settled)
{
    uintptr_t count = 0;

    urcu_memb_register_thread();
    do {
        for (px_asset_id i = 0; i < ASSETS; i++) {
            uint32_t seen = px_watchers_of(watchers, i);
            PX_CHECK(seen <= 2 - i % 2);
            count += seen;
        }
        PX_CHECK(px_watchers_assets(watchers) <= ASSETS);
    } while (!px_load_acquire(&ended));
    urcu_memb_unregister_thread();
    return (void *)count;
}

START_TEST(the_table_is_read_while_it_churns)
{
    with_readers(read_watchers, churn);
    for (px_asset_id i = 0; i < ASSETS; i++)
        ck_assert_uint_eq(px_watchers_of(watchers, i), 1 - i % 2);
    ck_assert_uint_eq(px_watchers_assets(watchers), ASSETS / 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("web_rcu");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_snapshot_is_whole_while_it_is_replaced);
    tcase_add_test(tests, a_snapshot_is_freed_behind_its_last_reader);
    tcase_add_test(tests, keys_follow_their_file);
    tcase_add_test(tests, watchers_are_counted);
    tcase_add_test(tests, who_comes_and_goes_moves_no_memory);
    tcase_add_test(tests, what_waits_to_be_freed_is_bounded);
    tcase_add_test(tests, the_table_is_read_while_it_churns);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
