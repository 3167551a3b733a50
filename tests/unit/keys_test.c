/* base/keys: what is made can be verified, nothing else can; the file is private, whole and survives rivals. */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/keys.h"

static char data[64];
static char file[80];
static struct px_keys keys;

static void setup(void)
{
    strcpy(data, "/tmp/px-keys-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(data));
    snprintf(file, sizeof file, "%s/keys", data);
}

static void teardown(void)
{
    unlink(file);
    ck_assert_int_eq(rmdir(data), 0); /* nothing else was left there */
}

static void write_file(const char *text)
{
    FILE *to = fopen(file, "w");
    ck_assert_ptr_nonnull(to);
    fputs(text, to);
    fclose(to);
}

START_TEST(makes_loads_and_verifies)
{
    char text[PX_KEY_TEXT_SIZE], second[PX_KEY_TEXT_SIZE];
    ck_assert_int_eq(px_key_create(data, NULL, "prices:read,alerts:write", text), 0);
    ck_assert_int_eq(px_key_create(data, NULL, "admin", second), 0);
    ck_assert_uint_eq(strlen(text), PX_KEY_TEXT_SIZE - 1);
    ck_assert_str_ne(text, second);
    struct stat stat_of;
    ck_assert_int_eq(stat(file, &stat_of), 0);
    ck_assert_uint_eq(stat_of.st_mode & 0777, 0600);

    ck_assert_int_eq(px_keys_load(data, &keys), 0);
    ck_assert_uint_eq(keys.count, 2);
    const struct px_key *key = NULL;
    ck_assert_int_eq(px_keys_verify(&keys, px_text_of(text), &key), 0);
    ck_assert_int_eq(memcmp(key->id, text + 3, PX_KEY_ID_LEN), 0);
    ck_assert_uint_eq(key->scopes, PX_SCOPE_PRICES_READ | PX_SCOPE_ALERTS_WRITE);
    ck_assert_int_eq(px_keys_verify(&keys, px_text_of(second), &key), 0);
    ck_assert_uint_eq(key->scopes, PX_SCOPE_ADMIN);
}
END_TEST

START_TEST(a_renewed_key_voids_the_old)
{
    char text[PX_KEY_TEXT_SIZE], renewed[PX_KEY_TEXT_SIZE];
    const struct px_key *key = NULL;
    ck_assert_int_eq(px_key_create(data, "dashuser", "admin", text), 0);
    ck_assert_int_eq(px_key_create(data, "dashuser", "prices:read", renewed), 0);
    ck_assert_int_eq(px_key_create(data, "Dash", "admin", renewed), PX_E_INVALID);
    ck_assert_int_eq(px_key_create(data, "dashuser", "prices:read", renewed), 0);
    ck_assert_int_eq(px_keys_load(data, &keys), 0);
    ck_assert_uint_eq(keys.count, 1);
    ck_assert_int_eq(px_keys_verify(&keys, px_text_of(text), &key), PX_E_FORBIDDEN);
    ck_assert_int_eq(px_keys_verify(&keys, px_text_of(renewed), &key), 0);
    ck_assert_str_eq(key->id, "dashuser");
    ck_assert_uint_eq(key->scopes, PX_SCOPE_PRICES_READ);
}
END_TEST

START_TEST(refuses_every_other_text)
{
    char text[PX_KEY_TEXT_SIZE], changed[PX_KEY_TEXT_SIZE];
    ck_assert_int_eq(px_key_create(data, NULL, "prices:read,alerts:write", text), 0);
    ck_assert_int_eq(px_keys_load(data, &keys), 0);
    const struct px_key *key = NULL;
    for (size_t i = 0; i < PX_KEY_TEXT_SIZE - 1; i++) {
        strcpy(changed, text);
        changed[i] = changed[i] == 'x' ? 'y' : 'x';
        ck_assert_int_eq(px_keys_verify(&keys, px_text_of(changed), &key), PX_E_FORBIDDEN);
        ck_assert_int_eq(px_keys_verify(&keys, (struct px_text){text, i}, &key), PX_E_FORBIDDEN);
    }
    ck_assert_int_eq(px_keys_verify(&keys, PX_TEXT(""), &key), PX_E_FORBIDDEN);
    ck_assert_ptr_null(key);
}
END_TEST

START_TEST(keeps_no_secret)
{
    char text[PX_KEY_TEXT_SIZE], line[256];
    ck_assert_int_eq(px_key_create(data, NULL, "prices:read,alerts:write", text), 0);
    FILE *from = fopen(file, "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, from));
    fclose(from);
    ck_assert_ptr_null(strstr(line, text + 3 + PX_KEY_ID_LEN + 1));
    ck_assert_ptr_nonnull(strstr(line, " prices:read,alerts:write\n"));
}
END_TEST

START_TEST(refuses_unknown_scopes)
{
    static const char *const bad[] = {"", "everything", "admin,", ",admin", "admin admin", "ADMIN"};
    char text[PX_KEY_TEXT_SIZE];
    for (size_t i = 0; i < PX_COUNT_OF(bad); i++)
        ck_assert_int_eq(px_key_create(data, NULL, bad[i], text), PX_E_INVALID);
}
END_TEST

START_TEST(an_empty_place_has_no_keys)
{
    ck_assert_int_eq(px_keys_load(data, &keys), 0);
    ck_assert_uint_eq(keys.count, 0);
    ck_assert_int_eq(px_keys_load("/nowhere/at/all", &keys), 0);
    ck_assert_uint_eq(keys.count, 0);
}
END_TEST

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

START_TEST(refuses_a_damaged_file)
{
    static const char *const damaged[] = {
        "abcdefgh\n",
        "abcdefgh " DIGEST "\n",
        "abcdefgh " DIGEST " prices:write\n",
        "abcdefgh " DIGEST " prices:read,\n",
        "abcdefgh " DIGEST " prices:read more\n",
        "ABCDEFGH " DIGEST " prices:read\n",
        "abcdefg " DIGEST " prices:read\n",
        "abcdefgh " DIGEST "0 prices:read\n",
        "abcdefgh " DIGEST " prices:read",
        "abcdefgh " DIGEST " admin\nabcdefgh " DIGEST " admin\n",
    };
    char text[PX_KEY_TEXT_SIZE];
    for (size_t i = 0; i < PX_COUNT_OF(damaged); i++) {
        write_file(damaged[i]);
        ck_assert_msg(px_keys_load(data, &keys) == PX_E_FORMAT, "%s", damaged[i]);
        ck_assert_uint_eq(keys.count, 0);
        ck_assert_int_eq(px_key_create(data, NULL, "admin", text), PX_E_FORMAT);
    }
    write_file("# by hand\n\nabcdefgh " DIGEST " admin,prices:read\n");
    ck_assert_int_eq(px_keys_load(data, &keys), 0);
    ck_assert_uint_eq(keys.list[0].scopes, PX_SCOPE_ADMIN | PX_SCOPE_PRICES_READ);
}
END_TEST

START_TEST(is_full_at_its_bound)
{
    FILE *to = fopen(file, "w");
    for (int i = 0; i < PX_KEYS_MAX; i++)
        fprintf(to, "k%07d " DIGEST " admin\n", i);
    fclose(to);
    char text[PX_KEY_TEXT_SIZE];
    ck_assert_int_eq(px_key_create(data, NULL, "admin", text), PX_E_FULL);
    ck_assert_int_eq(px_keys_load(data, &keys), 0);
    to = fopen(file, "a");
    fprintf(to, "zzzzzzzz " DIGEST " admin\n");
    fclose(to);
    ck_assert_int_eq(px_keys_load(data, &keys), PX_E_FULL);
}
END_TEST

START_TEST(rivals_lose_nothing)
{
    for (int child = 0; child < 4; child++)
        if (fork() == 0) {
            char text[PX_KEY_TEXT_SIZE];
            int failed = 0;
            for (int i = 0; i < 10; i++)
                failed |= px_key_create(data, NULL, "prices:read,alerts:write", text);
            _exit(failed != 0);
        }
    for (int child = 0; child < 4; child++) {
        int status = -1;
        wait(&status);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(px_keys_load(data, &keys), 0);
    ck_assert_uint_eq(keys.count, 40);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keys");
    TCase *tests = tcase_create("keys");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, makes_loads_and_verifies);
    tcase_add_test(tests, a_renewed_key_voids_the_old);
    tcase_add_test(tests, refuses_every_other_text);
    tcase_add_test(tests, keeps_no_secret);
    tcase_add_test(tests, refuses_unknown_scopes);
    tcase_add_test(tests, an_empty_place_has_no_keys);
    tcase_add_test(tests, refuses_a_damaged_file);
    tcase_add_test(tests, is_full_at_its_bound);
    tcase_add_test(tests, rivals_lose_nothing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
