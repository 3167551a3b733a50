/* What a process in notify's cage can do no more: tried out in children, each of which ends in it. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/notify/cage.h"
#include "shm/region.h"

static char data[64];
static struct px_config config;

static void write_file(const char *path)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs("secret\n", file);
    fclose(file);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    ck_assert(px_text_copy(address.sun_path, sizeof address.sun_path, px_text_of(path)));
    ck_assert(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 4) == 0);
    return fd;
}

static bool connects(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s/keeper.sock", folder);
    bool good = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return good;
}

/* A data folder as the keeper makes it: the store closed, the socket there. */
static int make_folder(void)
{
    char path[128];

    strcpy(data, "/tmp/px-cage-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(data));
    snprintf(config.data, sizeof config.data, "%s", data);
    snprintf(path, sizeof path, "%s/alerts", data);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/alerts/CURRENT", data);
    write_file(path);
    snprintf(path, sizeof path, "%s/keeper.sock", data);
    return listen_at(path);
}

static void remove_folder(int socket)
{
    char command[96];

    close(socket);
    snprintf(command, sizeof command, "rm -rf %s", data);
    ck_assert_int_eq(system(command), 0);
}

/* In a child: enters the cage, tries, and tells what was found wrong by its exit code. */
static int in_cage(int (*attempt)(const struct px_cage *))
{
    pid_t pid = fork();
    int status;

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct px_cage cage;

        if (px_cage_enter(&config, &cage) != 0)
            _exit(100);
        _exit(attempt(&cage));
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static bool opens(const char *path, int flags)
{
    int fd = open(path, flags, 0600);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int has_no_files(const struct px_cage *cage)
{
    char path[128];

    snprintf(path, sizeof path, "%s/alerts/CURRENT", data);
    if (opens(path, O_RDONLY) || opens(path, O_RDWR))
        return 1;
    snprintf(path, sizeof path, "%s/alerts/new", data);
    if (opens(path, O_WRONLY | O_CREAT))
        return 2;
    snprintf(path, sizeof path, "%s/alerts", data);
    if (opens(path, O_RDONLY | O_DIRECTORY) || unlink(path) == 0 || rmdir(path) == 0)
        return 3;
    if (opens("/tmp/px-cage-file", O_WRONLY | O_CREAT) && (cage->bars & PX_CAGE_LANDLOCK))
        return 4;
    if (!opens("/etc/hosts", O_RDONLY)) /* names and certificates it must read */
        return 5;
    return connects(cage->data[0] ? cage->data : data) ? 0 : 6;
}

static int has_no_calls(const struct px_cage *cage)
{
    char name[] = "true", *const words[] = {name, NULL}, *const no_environment[] = {NULL};
    struct rlimit limit;

    (void)cage;
    execve("/bin/true", words, no_environment);
    if (errno != EPERM)
        return 1;
    if (kill(getppid(), 0) == 0 || errno != EPERM)
        return 2;
    if (mount("none", "/mnt", "tmpfs", 0, NULL) == 0 || errno != EPERM)
        return 3;
    if (syscall(SYS_setresuid, 0, 0, 0) == 0 || errno != EPERM) /* the library's would ask a sanitizer's thread too, which is not caged */
        return 4;
    if (syscall(SYS_bpf, 0, NULL, 0) == 0 || errno != EPERM)
        return 5;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 6;
    if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0)
        return 7;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max <= 1024 ? 0 : 8;
}

static bool has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 1;
}

START_TEST(test_files)
{
    int socket = make_folder();

    if (has_landlock()) { /* without it and without a user of its own, notify has the engine's rights to files */
        int wrong = in_cage(has_no_files);

        ck_assert_msg(wrong == 0, "%d", wrong);
    }
    remove_folder(socket);
}
END_TEST

START_TEST(test_calls)
{
    int socket = make_folder(), wrong = in_cage(has_no_calls);

    ck_assert_msg(wrong == 0, "%d", wrong);
    remove_folder(socket);
}
END_TEST

static int is_nobody(const struct px_cage *cage)
{
    uid_t real, effective, saved;

    if (!(cage->bars & PX_CAGE_USER) || getresuid(&real, &effective, &saved) != 0 || real == 0 || effective != real || saved != real)
        return 50;
    return has_no_files(cage);
}

/* Its own user, for which a folder in a closed folder is out of reach but for the way that was opened before. */
START_TEST(test_user)
{
    const struct passwd *nobody = getpwnam("nobody");
    char path[128];
    int socket = make_folder();

    snprintf(config.notify.user, sizeof config.notify.user, "nobody");
    if (geteuid() == 0 && nobody) {
        snprintf(path, sizeof path, "%s/keeper.sock", data);
        ck_assert(chown(path, (uid_t)-1, nobody->pw_gid) == 0 && chmod(path, 0660) == 0);
        int wrong = in_cage(is_nobody);
        ck_assert_msg(wrong == 0, "%d", wrong);
        snprintf(config.notify.user, sizeof config.notify.user, "root");
        ck_assert_int_eq(in_cage(is_nobody), 100);
        snprintf(config.notify.user, sizeof config.notify.user, "no-such-user");
        ck_assert_int_eq(in_cage(is_nobody), 100);
    } else { /* told, and nothing else */
        ck_assert_int_eq(in_cage(is_nobody), 50);
    }
    config.notify.user[0] = '\0';
    remove_folder(socket);
}
END_TEST

static struct px_shm shm, own; /* `own`: as a process gets it that may only read */

static int writes_region(const struct px_cage *cage)
{
    (void)cage;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, shm.files.data, 0) != MAP_FAILED || errno != EPERM)
        return 1;
    if (pwrite(shm.files.data, "x", 1, 0) == 1)
        return 2;
    uintptr_t page = (uintptr_t)own.prices & ~(uintptr_t)4095;
    if (mprotect((void *)page, 4096, PROT_READ | PROT_WRITE) == 0)
        return 3;
    signal(SIGSEGV, SIG_DFL);
    *(volatile int64_t *)(void *)own.prices = 1;
    return 4;
}

START_TEST(test_region)
{
    const struct px_shm_params params = {.assets = 1, .tick_capacity = 256, .event_capacity = 64, .hit_capacity = 64, .seed_capacity = 64};
    char reason[PX_SHM_REASON_SIZE];
    int socket = make_folder();

    ck_assert_int_eq(px_shm_create(&params, 1, &shm), 0);
    px_shm_ready(&shm);
    ck_assert_int_eq(px_shm_seal(&shm), 0);
    ck_assert_int_eq(px_shm_attach(shm.files, PX_SHM_READ_ONLY, &own, reason), 0);
    int wrong = in_cage(writes_region); /* SIGSEGV, of which a sanitizer makes an exit code */
    ck_assert_msg(wrong == 1000 + SIGSEGV || (wrong < 1000 && wrong > 4), "%d", wrong);
    px_shm_detach(&own);
    px_shm_detach(&shm);
    remove_folder(socket);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cage");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, test_files);
    tcase_add_test(tests, test_calls);
    tcase_add_test(tests, test_user);
    tcase_add_test(tests, test_region);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
