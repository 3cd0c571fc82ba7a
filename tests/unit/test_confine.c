// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads that break their lists, in a process of their own: it is stopped, and the log names who did what.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/confine/confine.h"
#include "host-vmm/confine/privileges.h"
#include "lib/log.h"
#include "tests/check-run.h"

typedef struct Attempt {
    const char *call; /* what the log names it */
    long number;
    long arguments[6];
} Attempt;

typedef struct Play {
    Confine *confine;
    ConfineKind kind;
    const Attempt *attempt; /* NULL: what a good thread does */
    int result, error;
} Play;

static long make(const Attempt *attempt)
{
    const long *a = attempt->arguments;
    return syscall(attempt->number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static gpointer nothing(gpointer data)
{
    return NULL;
}

/* A thread of a confined one takes a list of its own besides. */
static gpointer be_worker(gpointer data)
{
    confine_thread(((Play *)data)->confine, CONFINE_IO);
    g_autofree char *memory = g_malloc(1 << 20);
    memset(memory, 1, 1 << 20);
    return NULL;
}

static gpointer play(gpointer data)
{
    Play *self = data;
    pthread_setname_np(pthread_self(), "actor");
    confine_thread(self->confine, self->kind);
    if (self->attempt) {
        errno = 0;
        self->result = (int)make(self->attempt);
        self->error = errno;
    } else { /* what each kind may: memory, a thread, a name, time */
        g_autofree char *memory = g_malloc(8 << 20);
        memset(memory, 1, 8 << 20);
        /* So much in small pieces that the allocator gives some of it back. */
        g_autoptr(GPtrArray) pieces = g_ptr_array_new_with_free_func(g_free);
        for (guint i = 0; i < 200; i++) {
            g_ptr_array_add(pieces, memset(g_malloc(64 << 10), 1, 64 << 10));
        }
        while (pieces->len > 0) {
            g_ptr_array_remove_index(pieces, pieces->len - 1);
        }
        g_thread_join(g_thread_new("another", nothing, NULL));
        pthread_setname_np(pthread_self(), "renamed");
        g_usleep(1000);
        time_t now = time(NULL);
        struct tm parts;
        gmtime_r(&now, &parts);
        localtime_r(&now, &parts);
        ck_assert_ptr_nonnull(g_strerror(ENOSPC));
        struct termios modes; /* a signal's handler may have to put them back */
        ck_assert(tcgetattr(STDERR_FILENO, &modes) < 0 && errno == ENOTTY);
        ck_assert(tcsetattr(STDERR_FILENO, TCSANOW, &modes) < 0 && errno == ENOTTY);
        g_thread_join(g_thread_new("worker", be_worker, self));
    }
    return NULL;
}

#define TIDIED "tidied up\n"

/* Who has set the signal before has his turn, as a terminal's modes have to be put back. */
static void tidy(int number)
{
    if (write(STDERR_FILENO, TIDIED, strlen(TIDIED)) > 0) {
        raise(number);
    }
}

/* In a child: the thread plays. Returns the wait status; *said is what came on stderr. *error: the call's
 * errno + 1 if it returned. */
static int run(ConfineKind kind, const Attempt *attempt, const FilterOptions *options, char **said,
               int *error)
{
    int err[2], out[2];
    ck_assert_int_eq(pipe(err), 0);
    ck_assert_int_eq(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(err[1], STDERR_FILENO);
        close(err[0]);
        struct sigaction action = {.sa_handler = tidy, .sa_flags = SA_RESETHAND | SA_NODEFER};
        sigaction(SIGSYS, &action, NULL);
        ConfineConfig config = {.insist = TRUE, .filter = *options};
        g_autoptr(GError) problem = NULL;
        if (!log_open("test", NULL, LOG_NORMAL, &problem)) {
            _exit(99);
        }
        Play self = {.confine = confine_new(&config, &problem), .kind = kind, .attempt = attempt};
        if (!self.confine) {
            _exit(98);
        }
        g_thread_join(g_thread_new("actor", play, &self));
        gint32 told = self.error + 1;
        _exit(write(out[1], &told, sizeof(told)) == sizeof(told) ? 0 : 97);
    }
    close(err[1]);
    close(out[1]);
    g_autoptr(GString) text = g_string_new(NULL);
    char bytes[256];
    for (gssize got; (got = read(err[0], bytes, sizeof(bytes))) > 0;) {
        g_string_append_len(text, bytes, got);
    }
    gint32 told = 0;
    *error = read(out[0], &told, sizeof(told)) == sizeof(told) ? told : 0;
    close(err[0]);
    close(out[0]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    *said = g_string_free(g_steal_pointer(&text), FALSE);
    return status;
}

static const FilterOptions ALL_ALLOWED = {FALSE, FALSE}, ALL_DENIED = {TRUE, TRUE};

static const char path[] = "/etc/passwd";
#define OPEN                                                                                                 \
    {                                                                                                        \
        "openat", SYS_openat,                                                                                \
        {                                                                                                    \
            AT_FDCWD, (long)path, O_RDONLY                                                                   \
        }                                                                                                    \
    }
#define SOCKET                                                                                               \
    {                                                                                                        \
        "socket", SYS_socket,                                                                                \
        {                                                                                                    \
            AF_UNIX, SOCK_STREAM, 0                                                                          \
        }                                                                                                    \
    }

START_TEST (what_is_not_on_the_list_stops_the_process) {
    if (!filter_is_available()) {
        return; /* a build with sanitizers, or without libseccomp */
    }
    static const Attempt attempts[] = {
        OPEN,
        SOCKET,
        {"open", SYS_open, {(long)path, O_RDONLY}},
        {"openat2", SYS_openat2, {AT_FDCWD, (long)path, 0, 24}},
        {"creat", SYS_creat, {(long)"/dev/null", 0600}},
        {"open_by_handle_at", SYS_open_by_handle_at, {0, 0, 0}},
        {"socketpair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, 0}},
        {"connect", SYS_connect, {0, 0, 0}},
        {"bind", SYS_bind, {0, 0, 0}},
        {"io_uring_setup", SYS_io_uring_setup, {1, 0}},
        {"execve", SYS_execve, {(long)"/bin/true", 0, 0}},
        {"fork", SYS_fork, {0}},
        {"clone", SYS_clone, {SIGCHLD, 0, 0, 0, 0}},
        {"ptrace", SYS_ptrace, {0, 0, 0, 0}},
        {"process_vm_readv", SYS_process_vm_readv, {1, 0, 0, 0, 0, 0}},
        {"kill", SYS_kill, {1, 0}},
        {"tgkill", SYS_tgkill, {1, 1, 0}},
        {"fcntl", SYS_fcntl, {0, F_SETOWN, 1}},
        {"fcntl", SYS_fcntl, {0, F_SETSIG, SIGKILL}},
        {"setuid", SYS_setuid, {0}},
        {"mount", SYS_mount, {0, 0, 0, 0, 0}},
        {"bpf", SYS_bpf, {0, 0, 0}},
        {"unlink", SYS_unlink, {(long)"/nonexistent"}},
        {"newfstatat", SYS_newfstatat, {AT_FDCWD, (long)path, 0, 0}},
        {"prctl", SYS_prctl, {PR_SET_DUMPABLE, 1}},
        {"mmap", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
        {"mprotect", SYS_mprotect, {0, 4096, PROT_EXEC}},
        {"ioctl", SYS_ioctl, {0, 0x5412 /* TIOCSTI */, (long)"x"}},
        {"ioctl", SYS_ioctl, {0, 0xae01 /* KVM_CREATE_VM */, 0}},
    };
    static const ConfineKind kinds[] = {CONFINE_VCPU, CONFINE_IO};
    for (guint kind = 0; kind < G_N_ELEMENTS(kinds); kind++) {
        for (guint i = 0; i < G_N_ELEMENTS(attempts); i++) {
            g_autofree char *said = NULL;
            g_autofree char *wanted =
                g_strdup_printf("test: the %s thread 'actor' called %s (%ld), which is not on its list: it "
                                "is stopped\n" TIDIED,
                                confine_kind_name(kinds[kind]), attempts[i].call, attempts[i].number);
            int error, status = run(kinds[kind], &attempts[i], &ALL_ALLOWED, &said, &error);
            ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s %s: status 0x%x, errno %d",
                          confine_kind_name(kinds[kind]), attempts[i].call, (guint)status, error - 1);
            ck_assert_str_eq(said, wanted);
        }
    }
}
END_TEST

START_TEST (the_main_thread_opens_unless_that_is_denied) {
    if (!filter_is_available()) {
        return;
    }
    static const Attempt attempts[] = {OPEN, SOCKET};
    for (guint i = 0; i < G_N_ELEMENTS(attempts); i++) {
        g_autofree char *said = NULL, *denied = NULL;
        int error;
        ck_assert_int_eq(run(CONFINE_MAIN, &attempts[i], &ALL_ALLOWED, &said, &error), 0);
        ck_assert_int_eq(error, 1);
        /* An error, which a QMP command can report: nobody dies of having been asked. */
        ck_assert_int_eq(run(CONFINE_MAIN, &attempts[i], &ALL_DENIED, &denied, &error), 0);
        ck_assert_int_eq(error - 1, EPERM);
    }
    static const Attempt others[] = {{"ptrace", SYS_ptrace, {0, 0, 0, 0}},
                                     {"mount", SYS_mount, {0, 0, 0, 0, 0}},
                                     {"fork", SYS_fork, {0}},
                                     {"clone", SYS_clone, {SIGCHLD, 0, 0, 0, 0}},
                                     {"kill", SYS_kill, {1, 0}},
                                     {"prlimit64", SYS_prlimit64, {1, 0, 0, 0}},
                                     {"fcntl", SYS_fcntl, {0, F_SETOWN, 1}},
                                     {"ioctl", SYS_ioctl, {0, 0x5412, (long)"x"}}};
    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *said = NULL;
        int error, status = run(CONFINE_MAIN, &others[i], &ALL_ALLOWED, &said, &error);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
        ck_assert_msg(strstr(said, "the main thread 'actor' called") != NULL, "%s", said);
    }
    g_autofree char *said = NULL;
    int error;
    static const Attempt program = {"execve", SYS_execve, {(long)"/bin/false", 0, 0}};
    ck_assert_int_eq(run(CONFINE_MAIN, &program, &ALL_ALLOWED, &said, &error), 0);
    ck_assert_int_eq(error - 1, EPERM);
}
END_TEST

START_TEST (what_threads_do_all_day_is_on_their_lists) {
    for (guint kind = 0; filter_is_available() && kind < CONFINE_KINDS; kind++) {
        g_autofree char *said = NULL;
        int error, status = run((ConfineKind)kind, NULL, &ALL_DENIED, &said, &error);
        ck_assert_msg(status == 0, "%s: 0x%x %s", confine_kind_name((ConfineKind)kind), (guint)status, said);
        ck_assert_str_eq(said, "");
    }
}
END_TEST

/* "CapEff" and the like of this thread. */
static char *status_field(const char *name)
{
    g_autofree char *text = NULL, *prefix = g_strdup_printf("%s:\t", name);
    if (!g_file_get_contents("/proc/thread-self/status", &text, NULL, NULL)) {
        return NULL;
    }
    const char *at = strstr(text, prefix);
    return at ? g_strndup(at + strlen(prefix), strcspn(at + strlen(prefix), "\n")) : NULL;
}

START_TEST (rights_are_given_up) {
    pid_t child = fork();
    if (child == 0) {
        ConfineConfig config = {.user = (char *)(geteuid() == 0 ? "65534:65533" : NULL)};
        g_autoptr(Confine) confine = confine_new(&config, NULL);
        if (!confine || !confine_give_up_rights(confine, NULL)) {
            _exit(1);
        }
        static const char *const fields[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
        for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
            g_autofree char *value = status_field(fields[i]);
            if (g_strcmp0(value, "0000000000000000") != 0) {
                _exit(2);
            }
        }
        g_autofree char *gaining = status_field("NoNewPrivs"), *uid = status_field("Uid"),
                        *gid = status_field("Gid");
        if (g_strcmp0(gaining, "1") != 0) {
            _exit(3);
        }
        if (config.user && (strcmp(uid, "65534\t65534\t65534\t65534") != 0 ||
                            strcmp(gid, "65533\t65533\t65533\t65533") != 0 || getgroups(0, NULL) != 1)) {
            _exit(4);
        }
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    g_autoptr(GError) error = NULL;
    ck_assert(!privileges_set_user("nobody-of-that-name", &error));
    ck_assert_str_eq(error->message, "-run-with user=nobody-of-that-name: there is no such user");
}
END_TEST

/* Calls that are newer than the lists do not exist, for any thread; another ABI (x32) is not on any list. */
START_TEST (newer_calls_do_not_exist) {
    static const Attempt newer[] = {
        {"the first", SYSCALLS_UNKNOWN, {0}}, {"mseal", 462, {0}}, {"one of the future", 5000, {0}}};
    static const Attempt x32 = {"", 0x40000000 | 41, {AF_UNIX, SOCK_STREAM, 0}};
    for (guint kind = 0; filter_is_available() && kind < CONFINE_KINDS; kind++) {
        int error, status;
        for (guint i = 0; i < G_N_ELEMENTS(newer); i++) {
            g_autofree char *said = NULL;
            status = run((ConfineKind)kind, &newer[i], &ALL_ALLOWED, &said, &error);
            ck_assert_msg(status == 0 && error - 1 == ENOSYS, "%s, %s: 0x%x, %d",
                          confine_kind_name((ConfineKind)kind), newer[i].call, (guint)status, error - 1);
        }
        g_autofree char *said = NULL;
        status = run((ConfineKind)kind, &x32, &ALL_ALLOWED, &said, &error);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS && strstr(said, "it is stopped"),
                      "%s, x32: 0x%x", confine_kind_name((ConfineKind)kind), (guint)status);
    }
}
END_TEST

/* The table of docs/security.md is -sandbox help's, to the letter: no row more, none less. */
START_TEST (the_manual_lists_each_call) {
    /* tests/run says the one, automake the other. */
    const char *source = g_getenv("top_srcdir") ? g_getenv("top_srcdir") : g_getenv("srcdir");
    g_autofree char *file = g_build_filename(source ? source : ".", "docs/security.md", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    ck_assert_msg(g_file_get_contents(file, &text, NULL, &error), "%s", error ? error->message : "");
    const char *at = strstr(text, "\n| --- | --- | --- |\n");
    ck_assert_ptr_nonnull(at);
    at += strlen("\n| --- | --- | --- |\n");
    for (const SyscallRow *row = SYSCALL_ROWS; row->calls; row++) {
        const char *rule = syscalls_rule_text(row);
        g_autofree char *wanted = g_strdup_printf(
            "|%s%s%s | %s%s%s%s | %s%s |\n", row->kinds & 1 ? " main" : "", row->kinds & 2 ? " vcpu" : "",
            row->kinds & 4 ? " io" : "", row->calls, rule ? " (" : "", rule ? rule : "", rule ? ")" : "",
            row->reason, syscalls_unless_text(row));
        ck_assert_msg(g_str_has_prefix(at, wanted), "docs/security.md: there is\n%.*snot\n%s",
                      (int)strcspn(at, "\n") + 1, at, wanted);
        at += strlen(wanted);
    }
    ck_assert_msg(at[0] == '\n', "docs/security.md has rows that -sandbox help has not");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("confine");
    TCase *tcase = tcase_create("confine");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, what_is_not_on_the_list_stops_the_process);
    tcase_add_test(tcase, the_main_thread_opens_unless_that_is_denied);
    tcase_add_test(tcase, what_threads_do_all_day_is_on_their_lists);
    tcase_add_test(tcase, rights_are_given_up);
    tcase_add_test(tcase, newer_calls_do_not_exist);
    tcase_add_test(tcase, the_manual_lists_each_call);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
