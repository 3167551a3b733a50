#include "engine/notify/cage.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

#define FILES_MAX 1024

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* its run-time looks into /proc and stops its own threads */
#else
#define SANITIZED 0
#endif

/* ---- another user ---- */

/* The folder stays closed to everybody; the group of that user may walk through it, to the socket. */
static int open_way(const char *data, gid_t gid, char *way, size_t size)
{
    struct stat there;
    int fd = open(data, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &there) < 0)
        return PX_E_SYSTEM;
    if ((there.st_gid != gid && chown(data, (uid_t)-1, gid) < 0) ||
        (!(there.st_mode & S_IXGRP) && chmod(data, (there.st_mode | S_IXGRP) & 07777) < 0))
        return PX_E_SYSTEM;
    snprintf(way, size, "/proc/self/fd/%d", fd);
    return 0;
}

static int become(const struct px_config *config, struct px_cage *cage)
{
    const char *name = config->notify.user;

    if (!name[0])
        return 0;
    if (geteuid() != 0) {
        px_log(PX_LOG_WARN, "user_ignored user=%s hint=\"only root may change it; notify goes on as the engine's own\"", name);
        return 0;
    }
    const struct passwd *user = getpwnam(name);
    if (!user || user->pw_uid == 0) {
        px_log(PX_LOG_ERROR, "user_unknown user=%s hint=\"notify: user: in the configuration must name one, not root\"", name);
        return PX_E_CONFIG;
    }
    uid_t uid = user->pw_uid;
    gid_t gid = user->pw_gid;
    if (open_way(config->data, gid, cage->data, sizeof cage->data) < 0 || setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
        setresuid(uid, uid, uid) < 0) {
        px_log(PX_LOG_ERROR, "user_refused user=%s errno=%d", name, errno);
        return PX_E_SYSTEM;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the kernel forgets it with the change */
    cage->bars |= PX_CAGE_USER;
    return 0;
}

/* ---- limits ---- */

static void lower(int what, rlim_t most)
{
    struct rlimit limit;

    if (getrlimit(what, &limit) < 0)
        return;
    limit.rlim_max = PX_MIN(limit.rlim_max, most);
    limit.rlim_cur = PX_MIN(limit.rlim_cur, limit.rlim_max);
    setrlimit(what, &limit);
}

/* ---- landlock: the headers of the build may be older than the kernel ---- */

struct ruleset {
    uint64_t files, net, scoped;
};

#define SCOPE_SOCKET_AND_SIGNAL 3u
#define READ                    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FILES_V1                ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

/* All that this version knows of files: one more with versions 2, 3 and 5. */
static uint64_t files_of(unsigned version)
{
    unsigned more = version >= 5 ? 3 : version >= 3 ? 2 : version >= 2 ? 1 : 0;

    return (FILES_V1 + 1) * (UINT64_C(1) << more) - 1;
}

/* What is not there needs no leave. */
static void let_read(int ruleset, const char *path)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = READ};
    struct stat there;

    if (!path[0])
        return;
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return;
    if (fstat(rule.parent_fd, &there) == 0 && !S_ISDIR(there.st_mode))
        rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
}

static void lock_files(const struct px_config *config, struct px_cage *cage)
{
    static const char *const readable[] = {
        "/etc", "/usr", "/lib", "/lib64", "/opt", "/dev/null", "/dev/urandom", "/run/systemd/resolve", "/run/resolvconf",
        "/run/NetworkManager", SANITIZED ? "/proc" : "/proc/self"};
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (version < 1)
        return;
    struct ruleset rules = {.files = files_of((unsigned)version), .scoped = SCOPE_SOCKET_AND_SIGNAL};
    size_t size = version >= 6 ? sizeof rules : offsetof(struct ruleset, net);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (ruleset < 0)
        return;
    for (size_t i = 0; i < PX_COUNT_OF(readable); i++)
        let_read(ruleset, readable[i]);
    let_read(ruleset, config->notify.ca_file);
    let_read(ruleset, config->notify.smtp.ca_file);
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) == 0) {
        cage->bars |= PX_CAGE_LANDLOCK;
        cage->landlock = (unsigned)version;
    }
    close(ruleset);
}

/* ---- seccomp: what no sender of notifications has ever needed ---- */

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

static const uint16_t refused[] = {
    SYS_execve, SYS_execveat, SYS_kill, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_pidfd_open,
    SYS_pidfd_getfd, SYS_pidfd_send_signal, SYS_process_madvise, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_move_mount,
    SYS_open_tree, SYS_fsopen, SYS_fsmount, SYS_fsconfig, SYS_fspick, SYS_mount_setattr, SYS_setns, SYS_unshare, SYS_bpf,
    SYS_perf_event_open, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_kexec_load, SYS_init_module, SYS_finit_module,
    SYS_delete_module, SYS_open_by_handle_at, SYS_name_to_handle_at, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter,
    SYS_io_uring_register, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex,
    SYS_sethostname, SYS_setdomainname, SYS_acct, SYS_quotactl, SYS_syslog, SYS_personality, SYS_mknodat, SYS_setuid, SYS_setgid,
    SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setfsuid, SYS_setfsgid, SYS_setgroups, SYS_capset,
#ifdef SYS_fork
    SYS_fork, SYS_vfork, SYS_mknod, SYS_iopl, SYS_ioperm, SYS_modify_ldt,
#endif
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#if !SANITIZED
    SYS_ptrace,
#endif
};

#ifdef ARCH
static void lock_calls(struct px_cage *cage)
{
    enum { HEAD = 4, COUNT = PX_COUNT_OF(refused), TAIL = 2 };
    struct sock_filter code[HEAD + COUNT + TAIL] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 0, COUNT + 3), /* calls by another table of numbers: all refused */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, COUNT + 1, 0)}; /* x32's numbers likewise */
    struct sock_fprog program = {.len = PX_COUNT_OF(code), .filter = code};

    _Static_assert(COUNT + 3 < 256, "jumps are short");
    for (unsigned i = 0; i < COUNT; i++)
        code[HEAD + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], (uint8_t)(COUNT - i), 0);
    code[HEAD + COUNT] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[HEAD + COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
        cage->bars |= PX_CAGE_SECCOMP;
}
#else
static void lock_calls(struct px_cage *cage)
{
    (void)cage;
    (void)refused;
}
#endif

int px_cage_enter(const struct px_config *config, struct px_cage *cagep)
{
    memset(cagep, 0, sizeof *cagep);
    int error = become(config, cagep);
    if (error)
        return error;
    lower(RLIMIT_NOFILE, FILES_MAX);
    lower(RLIMIT_CORE, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
        lock_files(config, cagep);
        lock_calls(cagep);
    }
    px_log(PX_LOG_INFO, "caged uid=%u landlock=%u seccomp=%s", (unsigned)geteuid(), cagep->landlock,
           cagep->bars & PX_CAGE_SECCOMP ? "yes" : "no");
    return 0;
}
