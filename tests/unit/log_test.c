/* base/log, base/error, base/types: one line per event, limited lines, the error table, last words. */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

#define CAPTURE_SIZE 8192

/* What `body` writes to standard error, terminated. */
static void capture(void (*body)(void), char text[CAPTURE_SIZE])
{
    int ends[2], kept = dup(STDERR_FILENO);
    ck_assert_int_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    body();
    dup2(kept, STDERR_FILENO);
    close(kept);
    size_t len = 0;
    for (ssize_t got; (got = read(ends[0], text + len, CAPTURE_SIZE - 1 - len)) > 0;)
        len += (size_t)got;
    text[len] = '\0';
    close(ends[0]);
}

static void one_line(void)
{
    px_log_init("keeper", PX_LOG_INFO);
    px_log(PX_LOG_DEBUG, "hidden");
    px_log(PX_LOG_WARN, "venue_down venue=%s tries=%d", "coin\nbase\x1b", 3);
}

START_TEST(writes_one_line)
{
    char text[CAPTURE_SIZE];
    capture(one_line, text);
    ck_assert_uint_gt(strlen(text), 28);
    ck_assert_str_eq(text + 27, " warn  keeper venue_down venue=coin?base? tries=3\n");
}
END_TEST

static void long_line(void)
{
    px_log(PX_LOG_ERROR, "long value=%0*d", 5000, 7);
}

START_TEST(cuts_long_lines)
{
    char text[CAPTURE_SIZE];
    capture(long_line, text);
    ck_assert_uint_eq(strlen(text), 1024);
    ck_assert_int_eq(text[1023], '\n');
}
END_TEST

static void many_lines(void)
{
    struct px_log_limit limit = {.second = -1};
    for (int i = 0; i < 100; i++)
        if (px_log_allowed(&limit, 3))
            px_log(PX_LOG_INFO, "busy n=%d", i);
    limit.second = -1; /* as if a second had gone by */
    if (px_log_allowed(&limit, 3))
        px_log(PX_LOG_INFO, "busy n=100");
    px_log(PX_LOG_INFO, "other");
}

START_TEST(limits_and_tells_what_it_held_back)
{
    char text[CAPTURE_SIZE];
    capture(many_lines, text);
    int lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    ck_assert_int_ge(lines, 5);
    ck_assert_int_le(lines, 8); /* a second may turn in the middle */
    ck_assert_ptr_nonnull(strstr(text, "busy n=100 suppressed="));
    ck_assert_ptr_null(strstr(text, "other suppressed"));
}
END_TEST

START_TEST(errors_have_texts)
{
    ck_assert_str_eq(px_error_text(PX_E_DIGITS), "more digits after the point than the asset has");
    ck_assert_str_eq(px_error_code(PX_E_RANGE), "validation");
    ck_assert_str_eq(px_error_code(PX_E_DISK), "not_ready");
    static const int unknown[] = {0, 1, -1000, -27, INT_MIN, INT_MAX};
    for (size_t i = 0; i < PX_COUNT_OF(unknown); i++) {
        ck_assert_str_eq(px_error_text(unknown[i]), "unknown error");
        ck_assert_str_eq(px_error_code(unknown[i]), "internal");
    }
}
END_TEST

START_TEST(copies_text_within_bounds)
{
    char to[4] = "zzz";
    ck_assert(px_text_copy(to, sizeof to, PX_TEXT("abc")));
    ck_assert_str_eq(to, "abc");
    ck_assert(!px_text_copy(to, sizeof to, PX_TEXT("abcd")));
    ck_assert_str_eq(to, "abc");
    ck_assert(px_text_copy(to, sizeof to, (struct px_text){NULL, 0}));
    ck_assert_str_eq(to, "");
    ck_assert(!px_text_copy(to, 1, PX_TEXT("x")));
    ck_assert_str_eq(to, "");
}
END_TEST

#define LAST_WORDS_SIZE 48

static char *last_words; /* shared with the child that dies */

static void die(void)
{
    last_words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(last_words, MAP_FAILED);
    memset(last_words, 0x55, 4096);
    pid_t child = fork();
    if (child == 0) {
        px_last_words_set(last_words, LAST_WORDS_SIZE);
        PX_CHECK(1 + 1 == 3);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

START_TEST(last_words_are_written)
{
    char text[CAPTURE_SIZE];
    capture(die, text);
    ck_assert_ptr_nonnull(strstr(text, "log_test.c:"));
    ck_assert_ptr_nonnull(strstr(text, "!(1 + 1 == 3)\n"));
    ck_assert_uint_eq(strlen(last_words), LAST_WORDS_SIZE - 1);
    ck_assert_int_eq(strncmp(last_words, text, LAST_WORDS_SIZE - 1), 0);
    ck_assert_int_eq(last_words[LAST_WORDS_SIZE], 0x55);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tests = tcase_create("log");
    tcase_add_test(tests, writes_one_line);
    tcase_add_test(tests, cuts_long_lines);
    tcase_add_test(tests, limits_and_tells_what_it_held_back);
    tcase_add_test(tests, errors_have_texts);
    tcase_add_test(tests, copies_text_within_bounds);
    tcase_add_test(tests, last_words_are_written);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
