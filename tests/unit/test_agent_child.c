// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-agent/child: real processes */
#include "guest-agent/child.h"
#include "tests/check-run.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 20000

static gboolean too_late(gpointer user_data)
{
    ck_abort_msg("the process has not ended");
    return G_SOURCE_REMOVE;
}

static void on_ended(Child *child, gpointer user_data)
{
    (*(int *)user_data)++;
}

static void wait_for(int *ended)
{
    guint timer = g_timeout_add(PATIENCE_MS, too_late, NULL);
    while (!*ended)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
    ck_assert_int_eq(*ended, 1);
}

/* Runs a shell script to its end. */
static Child *run(const char *script, ChildOutput output, GBytes *input, gsize limit)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    ChildSpec spec = {.argv = argv, .input = input, .output = output, .limit = limit};
    GError *error = NULL;
    int ended = 0;
    Child *child = child_start(&spec, on_ended, &ended, &error);
    ck_assert_msg(child != NULL, "%s", error ? error->message : "");
    wait_for(&ended);
    ck_assert(child_has_ended(child));
    return child;
}

static void expect_captured(const Child *child, ChildStream stream, const char *text)
{
    const GByteArray *data = child_captured(child, stream);
    if (!text) {
        ck_assert_ptr_null(data);
        return;
    }
    g_autofree char *got = g_strndup((const char *)data->data, data->len);
    ck_assert_str_eq(got, text);
}

static void expect_output(ChildOutput output, const char *out, const char *err)
{
    Child *child = run("echo out; echo err >&2", output, NULL, 1000);
    expect_captured(child, CHILD_STDOUT, out);
    expect_captured(child, CHILD_STDERR, err);
    child_free(child);
}

START_TEST (captures_what_is_asked_for) {
    expect_output(CHILD_OUTPUT_NONE, NULL, NULL);
    expect_output(CHILD_OUTPUT_STDOUT, "out\n", NULL);
    expect_output(CHILD_OUTPUT_STDERR, NULL, "err\n");
    expect_output(CHILD_OUTPUT_SEPARATE, "out\n", "err\n");
    expect_output(CHILD_OUTPUT_MERGED, "out\nerr\n", NULL);
}
END_TEST

START_TEST (tells_how_it_ended) {
    Child *child = run("exit 42", CHILD_OUTPUT_NONE, NULL, 0);
    ck_assert(WIFEXITED(child_wait_status(child)));
    ck_assert_int_eq(WEXITSTATUS(child_wait_status(child)), 42);
    child_free(child);
    child = run("kill -9 $$", CHILD_OUTPUT_NONE, NULL, 0);
    ck_assert(WIFSIGNALED(child_wait_status(child)));
    ck_assert_int_eq(WTERMSIG(child_wait_status(child)), SIGKILL);
    child_free(child);
}
END_TEST

START_TEST (keeps_no_more_than_the_limit) {
    Child *child = run("head -c 300000 /dev/zero; printf x >&2", CHILD_OUTPUT_SEPARATE, NULL, 100001);
    ck_assert_uint_eq(child_captured(child, CHILD_STDOUT)->len, 100001);
    ck_assert(child_was_truncated(child, CHILD_STDOUT));
    ck_assert(!child_was_truncated(child, CHILD_STDERR));
    child_free(child);
    child = run("head -c 5000 /dev/zero", CHILD_OUTPUT_STDOUT, NULL, 5000);
    ck_assert(!child_was_truncated(child, CHILD_STDOUT));
    child_free(child);
}
END_TEST

START_TEST (feeds_more_input_than_a_pipe_holds) {
    g_autofree char *data = g_malloc(3000000);
    memset(data, 'a', 3000000);
    g_autoptr(GBytes) input = g_bytes_new_static(data, 3000000);
    Child *child = run("sleep 0.1; wc -c", CHILD_OUTPUT_STDOUT, input, 100);
    expect_captured(child, CHILD_STDOUT, "3000000\n");
    child_free(child);
    child = run("exit 0", CHILD_OUTPUT_STDOUT, input, 100); /* reads none of it */
    ck_assert_int_eq(child_wait_status(child), 0);
    child_free(child);
}
END_TEST

START_TEST (an_heir_of_the_pipe_does_not_keep_it_alive) {
    gint64 start = g_get_monotonic_time();
    Child *child = run("sleep 30 & echo $!", CHILD_OUTPUT_STDOUT, NULL, 100);
    ck_assert_int_lt(g_get_monotonic_time() - start, 10 * G_USEC_PER_SEC);
    const GByteArray *data = child_captured(child, CHILD_STDOUT);
    g_autofree char *text = g_strndup((const char *)data->data, data->len);
    pid_t heir = atoi(text);
    ck_assert_int_gt(heir, 1);
    child_free(child);
    /* nor does letting go kill the heir */
    for (int i = 0; i < 10; i++)
        g_main_context_iteration(NULL, FALSE);
    ck_assert_int_eq(kill(heir, 0), 0);
    kill(heir, SIGKILL);
}
END_TEST

START_TEST (an_heir_that_writes_on_is_not_killed) {
    Child *child = run("(sleep 0.3; echo more; sleep 0.1; echo more; echo done > heir.txt) & exit 0",
                       CHILD_OUTPUT_STDOUT, NULL, 100);
    child_free(child);
    gint64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    while (access("heir.txt", F_OK) < 0 && g_get_monotonic_time() < end) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(10000);
    }
    ck_assert_int_eq(access("heir.txt", F_OK), 0);
    unlink("heir.txt");
}
END_TEST

START_TEST (takes_all_output_of_one_that_has_ended) {
    for (int i = 0; i < 20; i++) {
        Child *child = run("head -c 60000 /dev/zero", CHILD_OUTPUT_STDOUT, NULL, 100000);
        ck_assert_uint_eq(child_captured(child, CHILD_STDOUT)->len, 60000);
        child_free(child);
    }
}
END_TEST

START_TEST (the_process_starts_clean) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int fd = 3; fd < 256; fd++) /* of who runs this test */
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    Child *child = run("for line in Blk Ign; do mask=$(sed -n \"s/^Sig$line:.//p\" /proc/self/status);"
                       "  echo $((0x$mask & 0x7fffffff)); done;" /* 32 and 33 are the C library's own */
                       "test $$ = $(ps -o sid= -p $$) && echo leader;"
                       "ls /proc/self/fd | tr '\\n' ' '",
                       CHILD_OUTPUT_STDOUT, NULL, 1000);
    expect_captured(child, CHILD_STDOUT, "0\n0\nleader\n0 1 2 3 "); /* 3 is the folder that ls reads */
    child_free(child);
}
END_TEST

START_TEST (the_environment_is_replaced_and_argv_kept) {
    const char *argv[] = {"env", NULL};
    const char *env[] = {"A=b", "C=d e", NULL};
    ChildSpec spec = {.argv = argv, .env = env, .output = CHILD_OUTPUT_STDOUT, .limit = 1000};
    int ended = 0;
    Child *child = child_start(&spec, on_ended, &ended, NULL);
    wait_for(&ended);
    expect_captured(child, CHILD_STDOUT, "A=b\nC=d e\n");
    child_free(child);
}
END_TEST

static void expect_failure(const char *program, const char *text)
{
    const char *argv[] = {program, NULL};
    ChildSpec spec = {.argv = argv, .output = CHILD_OUTPUT_SEPARATE, .limit = 10};
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(child_start(&spec, on_ended, NULL, &error));
    ck_assert_str_eq(error->message, text);
}

START_TEST (a_failing_start_says_why_and_leaks_nothing) {
    int before = dup(0);
    close(before);
    expect_failure("no-such-program",
                   "Failed to execute child process “no-such-program” (No such file or directory)");
    expect_failure("/no/such", "Failed to execute child process “/no/such” (No such file or directory)");
    expect_failure("/tmp", "Failed to execute child process “/tmp” (Permission denied)");
    expect_failure("", "Failed to execute child process “” (No such file or directory)");
    int after = dup(0);
    close(after);
    ck_assert_int_eq(after, before);
}
END_TEST

START_TEST (a_script_without_its_first_line_runs) {
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("script-XXXXXX", &path, NULL);
    ck_assert_int_eq(fchmod(fd, 0755), 0);
    ck_assert_int_eq(write(fd, "echo \"$1\"\n", 10), 10);
    close(fd);
    const char *argv[] = {path, "x y", NULL};
    ChildSpec spec = {.argv = argv, .output = CHILD_OUTPUT_STDOUT, .limit = 1000};
    int ended = 0;
    Child *child = child_start(&spec, on_ended, &ended, NULL);
    ck_assert_ptr_nonnull(child);
    wait_for(&ended);
    expect_captured(child, CHILD_STDOUT, "x y\n");
    child_free(child);
    unlink(path);
}
END_TEST

START_TEST (one_let_go_is_reaped) {
    const char *argv[] = {"sh", "-c", "exit 0", NULL};
    ChildSpec spec = {.argv = argv, .output = CHILD_OUTPUT_MERGED, .limit = 1000};
    int ended = 0;
    Child *child = child_start(&spec, on_ended, &ended, NULL);
    GPid pid = child_pid(child);
    child_free(child);
    gint64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    while (kill(pid, 0) == 0 && g_get_monotonic_time() < end) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(1000);
    }
    ck_assert_int_ne(kill(pid, 0), 0);
    ck_assert_int_eq(ended, 0);
}
END_TEST

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in the agent */
    Suite *suite = suite_create("agent child");
    TCase *tcase = tcase_create("child");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, captures_what_is_asked_for);
    tcase_add_test(tcase, tells_how_it_ended);
    tcase_add_test(tcase, keeps_no_more_than_the_limit);
    tcase_add_test(tcase, feeds_more_input_than_a_pipe_holds);
    tcase_add_test(tcase, an_heir_of_the_pipe_does_not_keep_it_alive);
    tcase_add_test(tcase, an_heir_that_writes_on_is_not_killed);
    tcase_add_test(tcase, takes_all_output_of_one_that_has_ended);
    tcase_add_test(tcase, the_process_starts_clean);
    tcase_add_test(tcase, the_environment_is_replaced_and_argv_kept);
    tcase_add_test(tcase, a_failing_start_says_why_and_leaks_nothing);
    tcase_add_test(tcase, a_script_without_its_first_line_runs);
    tcase_add_test(tcase, one_let_go_is_reaped);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
