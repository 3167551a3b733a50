/* base/config: what a good file becomes, presets, overrides, limits of size and depth, and speed at ten thousand
 * assets. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/config_private.h"
#include "base/error.h"
#include "feed/dialect.h"

static char path[] = "/tmp/px-config-test-XXXXXX";

static void write_file(const char *text, size_t len)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, len, file), len);
    fclose(file);
}

static int load(const char *text, const char *const *overrides, struct px_config **configp,
                struct px_config_errors *errorsp)
{
    write_file(text, strlen(text));
    return px_config_load(path, overrides, configp, errorsp);
}

static const char full[] =
    "assets:\n"
    "  - symbol: BTC-USDT\n"
    "    tick: \"0.01\"\n"
    "    decimals: 2\n"
    "    size_decimals: 5\n"
    "    max_jump: 12.5%\n"
    "    aliases: [BTCUSDT, BTC/USDT]\n"
    "    sources: {kraken: BTC/USDT, binance: BTCUSDT}\n"
    "  - {symbol: BRK.B-USD, decimals: 4, sources: {binance: BRKB}}\n"
    "venues:\n"
    "  - {name: binance, dialect: binance, url: 'wss://stream.binance.com:9443/ws', stale_after: 1.5s}\n"
    "  - {name: kraken, dialect: kraken, url: 'ws://[::1]/v2', clock: receipt, ca_file: /etc/ca.pem}\n"
    "listen: '[::1]:9000'\n"
    "data: /tmp/px data\n"
    "log_level: warn\n"
    "web_workers: 2\n"
    "limits: {alerts_per_owner: 5, body_kib: 2MiB, connections: 7}\n";

START_TEST(reads_everything)
{
    struct px_config *config;
    struct px_config_errors errors;
    int error = load(full, NULL, &config, &errors);
    ck_assert_msg(error == 0, "%s", errors.list[0].message);
    ck_assert_str_eq(config->listen_host, "::1");
    ck_assert_uint_eq(config->listen_port, 9000);
    ck_assert_str_eq(config->data, "/tmp/px data");
    ck_assert_int_eq(config->log_level, PX_LOG_WARN);
    ck_assert_uint_eq(config->web_workers, 2);
    ck_assert_uint_eq(config->limits.body_bytes, 2 * 1024 * 1024);
    ck_assert_uint_eq(config->limits.alerts_per_owner, 5);
    ck_assert_uint_eq(config->limits.requests_per_second, 100);
    ck_assert_uint_eq(config->venue_count, 2);
    ck_assert_uint_eq(config->venues[0].stale_after_ms, 1500);
    ck_assert_uint_eq(config->venues[0].line, 11);
    ck_assert_int_eq(config->venues[1].clock, PX_CLOCK_RECEIPT);
    ck_assert_str_eq(config->venues[1].ca_file, "/etc/ca.pem");
    ck_assert_uint_eq(px_config_venue_find(config, "kraken"), 1);
    ck_assert_uint_eq(px_config_venue_find(config, "none"), PX_VENUE_NONE);

    const struct px_config_asset *asset = &config->assets[0];
    ck_assert_uint_eq(config->asset_count, 2);
    ck_assert_uint_eq(asset->scale, 2);
    ck_assert_uint_eq(asset->size_scale, 5);
    ck_assert_int_eq(asset->tick, 1);
    ck_assert_uint_eq(asset->max_jump_bp, 1250);
    ck_assert_uint_eq(asset->alias_count, 2);
    ck_assert_str_eq(asset->aliases[1], "BTC/USDT");
    ck_assert_uint_eq(asset->source_count, 2);
    ck_assert_uint_eq(asset->sources[0].venue, 1);
    ck_assert_str_eq(asset->sources[1].symbol, "BTCUSDT");
    ck_assert_uint_eq(asset[1].size_scale, 8);
    ck_assert_uint_eq(asset[1].max_jump_bp, 2000);
    ck_assert_int_eq(asset[1].tick, 0);
    px_config_destroy(&config);
    ck_assert_ptr_null(config);
    px_config_destroy(&config);
}
END_TEST

#define SMALL                                                                                                          \
    "venues: [{name: a, dialect: kraken, url: ws://h}]\nassets: [{symbol: A-B, decimals: 0, sources: {a: x}}]\n"

START_TEST(presets_stand_without_a_word)
{
    struct px_config *config;
    struct px_config_errors errors;
    ck_assert_int_eq(load(SMALL, NULL, &config, &errors), 0);
    ck_assert_str_eq(config->listen_host, "127.0.0.1");
    ck_assert_uint_eq(config->listen_port, 8080);
    ck_assert_str_eq(config->data, "/var/lib/pxengine");
    ck_assert_int_eq(config->log_level, PX_LOG_INFO);
    ck_assert_uint_eq(config->web_workers, 1);
    ck_assert_uint_eq(config->limits.connections, 10000);
    ck_assert_uint_eq(config->venues[0].stale_after_ms, 10000);
    px_config_destroy(&config);
}
END_TEST

START_TEST(overrides_win)
{
    static const char *const good[] = {"listen=0.0.0.0:1", "data=/d", "web_workers=16", NULL};
    struct px_config *config;
    struct px_config_errors errors;
    ck_assert_int_eq(load(SMALL "listen: 1.2.3.4:5\n", good, &config, &errors), 0);
    ck_assert_str_eq(config->listen_host, "0.0.0.0");
    ck_assert_uint_eq(config->listen_port, 1);
    ck_assert_str_eq(config->data, "/d");
    ck_assert_uint_eq(config->web_workers, 16);
    px_config_destroy(&config);

    static const char *const bad[] = {"venues=x", "web_workers", "web_workers=17", "=", NULL};
    ck_assert_int_eq(load(SMALL, bad, &config, &errors), PX_E_CONFIG);
    ck_assert_ptr_null(config);
    ck_assert_uint_eq(errors.count, 4);
    ck_assert_uint_eq(errors.list[0].line, 0);
}
END_TEST

START_TEST(refuses_large_and_deep_files_at_once)
{
    struct px_config *config;
    struct px_config_errors errors;
    size_t size = 1024 * 1024 + 1;
    char *text = malloc(size);
    memset(text, '[', size);
    write_file(text, size);
    ck_assert_int_eq(px_config_load(path, NULL, &config, &errors), PX_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(errors.list[0].message, "larger than"));

    px_mono start = px_mono_now();
    write_file(text, size - 1);
    ck_assert_int_eq(px_config_load(path, NULL, &config, &errors), PX_E_CONFIG);
    for (size_t i = 0; i + 4 <= size; i += 4)
        memcpy(text + i, "{a: ", 4);
    write_file(text, size - 1);
    ck_assert_int_eq(px_config_load(path, NULL, &config, &errors), PX_E_CONFIG);
    memset(text, '#', size);
    write_file(text, size - 1);
    ck_assert_int_eq(px_config_load(path, NULL, &config, &errors), PX_E_CONFIG);
    ck_assert_int_lt(px_mono_since(px_mono_now(), start), 2 * PX_NS_PER_S);
    free(text);
}
END_TEST

START_TEST(says_which_file_is_missing)
{
    struct px_config *config;
    struct px_config_errors errors;
    ck_assert_int_eq(px_config_load("/nowhere/px.yaml", NULL, &config, &errors), PX_E_CONFIG);
    char text[300];
    px_config_error_format("/nowhere/px.yaml", &errors.list[0], text, sizeof text);
    ck_assert_str_eq(text, "/nowhere/px.yaml: cannot read the file: No such file or directory");
}
END_TEST

START_TEST(keeps_the_first_mistakes_of_many)
{
    char *text = malloc(200000);
    size_t len = (size_t)sprintf(text, "venues: [{name: a, dialect: kraken, url: ws://h}]\nassets:\n");
    for (int i = 0; i < 1000; i++)
        len += (size_t)sprintf(text + len, "  - {symbol: A%d-B, decimals: 0, sources: {b%d: x}, bogus: 1}\n", i, i);
    struct px_config *config;
    struct px_config_errors errors;
    ck_assert_int_eq(load(text, NULL, &config, &errors), PX_E_CONFIG);
    ck_assert_uint_eq(errors.count, 2000);
    ck_assert_uint_eq(errors.list[0].line, 3);
    ck_assert_uint_eq(errors.list[PX_CONFIG_ERRORS_MAX - 1].line, 10);
    free(text);
}
END_TEST

START_TEST(ten_thousand_assets_load_fast)
{
    char *text = malloc(1024 * 1024);
    size_t len = (size_t)sprintf(text, "venues: [{name: a, dialect: binance, url: ws://h}]\nassets: [\n");
    for (int i = 0; i < 10000; i++)
        len += (size_t)sprintf(text + len,
                               "{symbol: A%05d-USD, decimals: 2, tick: \"0.01\", sources: {a: A%05dUSD}},\n", i, i);
    len += (size_t)sprintf(text + len, "]\n");
    struct px_config *config;
    struct px_config_errors errors;
    write_file(text, len);
    px_mono start = px_mono_now();
    ck_assert_int_eq(px_config_load(path, NULL, &config, &errors), 0);
    int64_t took = px_mono_since(px_mono_now(), start);
    ck_assert_uint_eq(config->asset_count, 10000);
    ck_assert_str_eq(config->assets[9999].symbol, "A09999-USD");
    printf("10000 assets, %zu KiB: %d ms\n", len / 1024, (int)(took / PX_NS_PER_MS));
    ck_assert_int_lt(took, 2 * PX_NS_PER_S);
    px_config_destroy(&config);
    free(text);
}
END_TEST

START_TEST(feed_speaks_what_the_configuration_offers)
{
    for (size_t i = 0; pxi_dialects[i]; i++) {
        const struct px_dialect *dialect;
        ck_assert_msg(px_dialect_find(pxi_dialects[i], &dialect) == 0, "%s", pxi_dialects[i]);
    }
}
END_TEST

int main(void)
{
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, reads_everything);
    tcase_add_test(tests, presets_stand_without_a_word);
    tcase_add_test(tests, overrides_win);
    tcase_add_test(tests, refuses_large_and_deep_files_at_once);
    tcase_add_test(tests, says_which_file_is_missing);
    tcase_add_test(tests, keeps_the_first_mistakes_of_many);
    tcase_add_test(tests, ten_thousand_assets_load_fast);
    tcase_add_test(tests, feed_speaks_what_the_configuration_offers);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    unlink(path);
    return failed != 0;
}
