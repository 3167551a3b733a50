/* The region: attach, refuse by name, read-only views; the RCU domain; the symbol directory. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "shm/region.h"

static const struct px_shm_params params = {
    .assets = 10, .tick_capacity = 64, .event_capacity = 8, .fire_capacity = 8, .arm_capacity = 8};

static void create(struct px_shm *shm)
{
    ck_assert_int_eq(px_shm_create(&params, 3, shm), 0);
    px_shm_ready(shm);
}

START_TEST(attach_at_another_address)
{
    struct px_shm shm, other;
    char reason[PX_SHM_REASON_SIZE];
    struct px_price_value value = {100, 5, 1}, seen;

    create(&shm);
    ck_assert_int_eq(px_shm_attach(shm.fd, PX_SHM_READ_ONLY, &other, reason), 0);
    ck_assert_ptr_ne(shm.base, other.base);
    px_latch_write(px_shm_price(&shm, 9), &value);
    px_latch_read(px_shm_price(&other, 9), &seen);
    ck_assert_int_eq(seen.price, 100);
    ck_assert_uint_eq(other.header->generation, 3);
    px_shm_detach(&other);
    px_shm_detach(&shm);
}
END_TEST

/* The yard can be written through a read-only view, and nothing else. */
START_TEST(read_only_is_the_kernels_word)
{
    struct px_shm shm, other;
    char reason[PX_SHM_REASON_SIZE];
    int status;

    create(&shm);
    ck_assert_int_eq(px_shm_attach(shm.fd, PX_SHM_READ_ONLY, &other, reason), 0);
    other.ticks_yard->need_wake = 1;
    other.stats[0].value[0] = 4;
    ck_assert_uint_eq(shm.ticks_yard->need_wake, 1);
    fflush(NULL);
    if (fork() == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL) /* a sanitizer has much to say about what follows */
            _exit(0);
        other.prices[0].v[0].price = 1;
        _exit(0);
    }
    wait(&status);
    ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0); /* SIGSEGV; a sanitizer turns it into an exit code */
    px_shm_detach(&other);
    px_shm_detach(&shm);
}
END_TEST

static void refused(void (*spoil)(struct px_shm_header *header), const char *by_name)
{
    struct px_shm shm, other;
    char reason[PX_SHM_REASON_SIZE] = "";

    create(&shm);
    spoil(shm.header);
    ck_assert_int_eq(px_shm_attach(shm.fd, PX_SHM_READ_WRITE, &other, reason), PX_E_LAYOUT);
    ck_assert_msg(strstr(reason, by_name) != NULL, "'%s' does not say '%s'", reason, by_name);
    px_shm_detach(&shm);
}

static void spoil_magic(struct px_shm_header *header)
{
    header->magic++;
}
static void spoil_version(struct px_shm_header *header)
{
    header->abi_major++;
}
static void spoil_state(struct px_shm_header *header)
{
    header->state = PX_SHM_BUILDING;
}
static void spoil_boot(struct px_shm_header *header)
{
    header->boot_hash++;
}
static void spoil_size(struct px_shm_header *header)
{
    header->size += 4096;
}
static void spoil_layout(struct px_shm_header *header)
{
    header->params.assets++;
}

START_TEST(a_foreign_region_is_refused_by_name)
{
    refused(spoil_magic, "magic");
    refused(spoil_version, "version");
    refused(spoil_state, "not ready");
    refused(spoil_boot, "boot");
    refused(spoil_size, "size");
    refused(spoil_layout, "layout");
}
END_TEST

START_TEST(grace_periods)
{
    struct px_shm shm;
    uint64_t epoch;

    create(&shm);
    px_rcu_assign(shm.domain, 2, 1234, 1);
    px_rcu_online(shm.domain, 2);
    epoch = px_rcu_retire(shm.domain);
    ck_assert_uint_lt(px_rcu_reclaimable(shm.domain), epoch);
    ck_assert_int_eq(px_rcu_synchronize(shm.domain, 1000000), PX_E_TIMEOUT);
    px_rcu_quiesce(shm.domain, 2);
    ck_assert_uint_ge(px_rcu_reclaimable(shm.domain), epoch);
    epoch = px_rcu_retire(shm.domain);
    ck_assert_uint_lt(px_rcu_reclaimable(shm.domain), epoch);
    px_rcu_reaped(shm.domain, 2); /* it died online: its supervisor clears the slot */
    ck_assert_uint_ge(px_rcu_reclaimable(shm.domain), epoch);
    px_shm_detach(&shm);
}
END_TEST

START_TEST(directory)
{
    static struct px_config config;
    struct px_config_asset assets[3] = {{.symbol = "BTC-USD", .scale = 2, .alias_count = 1, .aliases = {"BTCUSD"}},
                                        {.symbol = "ETH-USD", .scale = 4},
                                        {.symbol = "XRP-USD", .scale = 6}};
    struct px_shm shm;

    create(&shm);
    config.assets = assets;
    config.asset_count = 2;
    px_symbols_publish(&shm.directory, &config, 1);
    ck_assert_uint_eq(px_symbols_count(&shm.directory), 2);
    ck_assert_uint_eq(px_symbols_find(&shm.directory, PX_TEXT("BTCUSD")), 0);
    ck_assert_uint_eq(px_symbols_find(&shm.directory, PX_TEXT("ETH-USD")), 1);
    ck_assert_uint_eq(px_symbols_find(&shm.directory, PX_TEXT("XRP-USD")), PX_ASSET_NONE);
    config.asset_count = 3;
    px_symbols_publish(&shm.directory, &config, 2);
    ck_assert_uint_eq(px_symbols_find(&shm.directory, PX_TEXT("XRP-USD")), 2);
    ck_assert_uint_eq(px_symbols_get(&shm.directory, 2)->scale, 6);
    ck_assert_uint_eq(px_symbols_find(&shm.directory, PX_TEXT("")), PX_ASSET_NONE);
    px_shm_detach(&shm);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("region");
    TCase *tcase = tcase_create("region");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, attach_at_another_address);
    tcase_add_test(tcase, read_only_is_the_kernels_word);
    tcase_add_test(tcase, a_foreign_region_is_refused_by_name);
    tcase_add_test(tcase, grace_periods);
    tcase_add_test(tcase, directory);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
