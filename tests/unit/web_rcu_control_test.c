/*
 * The negative control of web_rcu_test: the same code with a free that waits for nobody. It is freed under a reader,
 * and the address sanitizer must see that; without it we can only see that the free came too early.
 */
#include <check.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned freed;

#define px_memb_free_later(head, function) (freed++, (function)(head))
#include "web/snapshot.c"
#include "web/watchers.c"

#define NOTICED 77

/* Code of a child that reads what has been freed; the sanitizer ends it with NOTICED. */
static int child_of(void (*read_freed)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        urcu_memb_register_thread();
        read_freed();
        _exit(freed > 0 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

#ifdef PX_ASAN
#define EXPECTED NOTICED
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "exitcode=77";
}
#define LOOK(value) (*(volatile __typeof__(value) *)&(value))
#else
#define EXPECTED    0
#define LOOK(value) sizeof(value)
#endif

static void read_snapshot(void)
{
    static struct px_config config = {.data = "/nowhere"};
    struct px_snapshots *snapshots;

    if (px_snapshots_open(&config, &snapshots) < 0)
        _exit(3);
    const struct px_snapshot *snapshot = px_snapshot_enter(snapshots);
    px_snapshots_publish(snapshots, NULL, NULL);
    (void)LOOK(snapshot->number);
    px_snapshot_leave(snapshot);
}

static void read_watchers(void)
{
    struct px_watchers *watchers;

    if (px_watchers_create(4, &watchers) < 0 || px_watchers_add(watchers, 1) < 0)
        _exit(3);
    urcu_memb_read_lock();
    struct entry *entry = find(watchers, 1);
    px_watchers_remove(watchers, 1);
    px_watchers_sweep(watchers);
    (void)LOOK(entry->count);
    urcu_memb_read_unlock();
}

START_TEST(a_snapshot_freed_under_its_reader_is_noticed)
{
    ck_assert_int_eq(child_of(read_snapshot), EXPECTED);
}
END_TEST

START_TEST(an_entry_freed_under_its_reader_is_noticed)
{
    ck_assert_int_eq(child_of(read_watchers), EXPECTED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("web_rcu_control");
    TCase *tests = tcase_create("all");

    tcase_add_test(tests, a_snapshot_freed_under_its_reader_is_noticed);
    tcase_add_test(tests, an_entry_freed_under_its_reader_is_noticed);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
