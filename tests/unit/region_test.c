/* The region: attach, refuse by name, read-only by seal, moving writers, inheritance; the RCU domain; the symbol
 * directory. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "shm/region.h"

static const struct px_shm_params params = {
    .assets = 10, .tick_capacity = 64, .event_capacity = 8, .hit_capacity = 8, .seed_capacity = 8};

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
    ck_assert_int_eq(px_shm_attach(shm.files, PX_SHM_READ_ONLY, &other, reason), 0);
    ck_assert_ptr_ne(shm.base, other.base);
    px_latch_write(px_shm_price(&shm, 9), &value);
    px_latch_read(px_shm_price(&other, 9), &seen);
    ck_assert_int_eq(seen.price, 100);
    ck_assert_uint_eq(other.header->generation, 3);
    px_shm_detach(&other);
    px_shm_detach(&shm);
}
END_TEST

/* Runs `crime` in a process of its own: it must not come back. */
static void must_die(void (*crime)(struct px_shm *shm), struct px_shm *shm)
{
    int status;

    fflush(NULL);
    if (fork() == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL) /* a sanitizer has much to say about what follows */
            _exit(0);
        crime(shm);
        _exit(0);
    }
    wait(&status);
    ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0); /* SIGSEGV; a sanitizer turns it into an exit code */
}

static void write_price(struct px_shm *shm)
{
    shm->prices[0].v[0].price = 1;
}
static void write_header(struct px_shm *shm)
{
    shm->header->generation++;
}

/* A reader may write in the yard and nowhere else, whatever it tries with the descriptors it was given. */
START_TEST(read_only_is_the_kernels_word)
{
    struct px_shm shm, other, third;
    char reason[PX_SHM_REASON_SIZE], path[64];
    size_t data_bytes;
    void *data;
    int again;

    create(&shm);
    ck_assert_int_eq(px_shm_seal(&shm), 0);
    ck_assert_int_eq(px_shm_attach(shm.files, PX_SHM_READ_ONLY, &other, reason), 0);
    other.ticks_yard->need_wake = 1;
    other.stats[0].value[0] = 4;
    ck_assert_uint_eq(shm.ticks_yard->need_wake, 1);
    must_die(write_price, &other);
    must_die(write_header, &other);
    ck_assert_int_eq(px_shm_attach(shm.files, PX_SHM_READ_WRITE, &third, reason), PX_E_FORBIDDEN);
    ck_assert_ptr_nonnull(strstr(reason, "sealed"));

    data = other.header;
    data_bytes = other.size - other.header->yard_bytes;
    ck_assert(mprotect(data, data_bytes, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
    ck_assert(mmap(NULL, data_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, shm.files.data, 0) == MAP_FAILED &&
              errno == EPERM);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", shm.files.data);
    again = open(path, O_RDWR);
    ck_assert(mmap(NULL, data_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED && errno == EPERM);
    ck_assert(pwrite(shm.files.data, path, 1, 0) < 0 && errno == EPERM);
    ck_assert(ftruncate(shm.files.data, 0) < 0 && errno == EPERM);
    ck_assert(ftruncate(shm.files.yard, 0) < 0 && errno == EPERM);
    ck_assert(fcntl(shm.files.yard, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0 && errno == EPERM);
    close(again);
    shm.prices[0].v[0].price = 1; /* whoever mapped it before the seal goes on writing */
    px_shm_detach(&other);
    px_shm_detach(&shm);
}
END_TEST

/* A writer inherits the mapping and takes it elsewhere; what it writes there, everybody sees. */
START_TEST(a_writer_moves)
{
    struct px_shm shm, reader;
    struct px_price_value value = {100, 5, 1}, seen;
    char reason[PX_SHM_REASON_SIZE];
    const void *before;
    int status;

    create(&shm);
    ck_assert_int_eq(px_shm_seal(&shm), 0);
    ck_assert_int_eq(px_shm_attach(shm.files, PX_SHM_READ_ONLY, &reader, reason), 0);
    before = shm.base;
    fflush(NULL);
    if (fork() == 0) {
        if (px_shm_move(&shm) != 0 || shm.base == before || shm.files.data != -1)
            _exit(1);
        px_latch_write(px_shm_price(&shm, 9), &value);
        _exit(msync((void *)(uintptr_t)before, 4096, MS_ASYNC) == 0); /* nothing may be left at the old address */
    }
    wait(&status);
    ck_assert_int_eq(status, 0);
    px_latch_read(px_shm_price(&reader, 9), &seen);
    ck_assert_int_eq(seen.price, 100);
    px_shm_detach(&reader);
    px_shm_detach(&shm);
}
END_TEST

/* What a successor of the supervisor gets: all that was known, and nobody who held it. */
START_TEST(a_region_is_inherited)
{
    struct px_shm shm, old, heir;
    struct px_price_value value = {100, 5, 1}, seen;
    struct px_alert_event event = {.eseq = 5}, told;
    char reason[PX_SHM_REASON_SIZE];
    uint64_t count;

    create(&shm);
    px_latch_write(px_shm_price(&shm, 9), &value);
    px_ring_publish(shm.events, shm.events_yard, &event, 1);
    px_rcu_retire(shm.domain);
    px_rcu_assign(shm.domain, 2, 1234, 1);
    px_rcu_online(shm.domain, 2);
    shm.roles[2].incarnation = 7;
    shm.roles[2].pid = 1234;
    shm.roles[2].state = PX_STATE_READY;
    shm.ticks_yard->cursor[2].position = 11;
    shm.ticks_yard->need_wake = shm.seeds->consumer_sleeps = 1;
    ck_assert_int_eq(px_shm_seal(&shm), 0);
    ck_assert_int_eq(px_shm_attach(shm.files, PX_SHM_READ_ONLY, &old, reason), 0);
    ck_assert_int_eq(px_shm_inherit(&old, &heir), 0);
    ck_assert_int_eq(px_shm_attach(heir.files, PX_SHM_READ_ONLY, &old, reason), PX_E_LAYOUT); /* not ready yet */
    px_latch_read(px_shm_price(&heir, 9), &seen);
    ck_assert_int_eq(seen.price, 100);
    ck_assert_int_eq(px_ring_read(heir.events, 0, &told, 1, &count), 0);
    ck_assert_uint_eq(told.eseq, 5);
    ck_assert_uint_eq(heir.header->boots, 2);
    ck_assert_uint_eq(heir.header->generation, 3);
    ck_assert_uint_eq(heir.rcu->epoch, shm.rcu->epoch);
    ck_assert_uint_eq(heir.rcu_slots->reader[2].seen, 0);
    ck_assert_uint_eq(heir.roles[2].incarnation, 7);
    ck_assert_int_eq(heir.roles[2].pid, 0);
    ck_assert_uint_eq(heir.roles[2].state, PX_STATE_DEAD);
    ck_assert_uint_eq(heir.ticks_yard->cursor[2].position, 11);
    ck_assert_uint_eq(heir.ticks_yard->need_wake + heir.seeds->consumer_sleeps, 0);
    px_latch_write(px_shm_price(&heir, 9), &value);
    px_shm_detach(&heir);
    px_shm_detach(&shm);
}
END_TEST

START_TEST(data_and_yard_belong_together)
{
    struct px_shm shm, other, third;
    char reason[PX_SHM_REASON_SIZE];

    create(&shm);
    create(&other);
    ck_assert_int_eq(
        px_shm_attach((struct px_shm_files){shm.files.data, other.files.yard}, PX_SHM_READ_ONLY, &third, reason),
        PX_E_LAYOUT);
    ck_assert_ptr_nonnull(strstr(reason, "different regions"));
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
    ck_assert_int_eq(px_shm_attach(shm.files, PX_SHM_READ_WRITE, &other, reason), PX_E_LAYOUT);
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
    ck_assert(px_rcu_behind(shm.domain, 2));
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
    tcase_add_test(tcase, a_writer_moves);
    tcase_add_test(tcase, a_region_is_inherited);
    tcase_add_test(tcase, data_and_yard_belong_together);
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
