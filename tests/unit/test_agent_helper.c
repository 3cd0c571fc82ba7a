// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-agent/helper, and what rights says: real processes */
#include "guest-agent/helper.h"
#include "guest-agent/rights.h"
#include "tests/check-run.h"

#include <check.h>
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 30000

typedef struct Outcome {
    gboolean done;
    int status;
    char *message; /* NULL: no error */
} Outcome;

static void on_done(int status, GError *error, gpointer user_data)
{
    Outcome *outcome = user_data;
    ck_assert(!outcome->done);
    ck_assert((status == 0) == (error == NULL));
    outcome->done = TRUE;
    outcome->status = status;
    outcome->message = error ? g_strdup(error->message) : NULL;
    g_clear_error(&error);
}

static gboolean too_late(gpointer user_data)
{
    ck_abort_msg("the helper is not done");
    return G_SOURCE_REMOVE;
}

static void expect(const char *const *argv, const char *input, guint timeout_ms, int status,
                   const char *message)
{
    g_autoptr(GBytes) bytes = input ? g_bytes_new(input, strlen(input)) : NULL;
    HelperSpec spec = {.argv = argv, .input = bytes, .action = "do it", .timeout_ms = timeout_ms};
    Outcome outcome = {0};
    helper_run(&spec, on_done, &outcome);
    ck_assert(!outcome.done); /* never from within */
    guint timer = g_timeout_add(PATIENCE_MS, too_late, NULL);
    while (!outcome.done)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
    ck_assert_int_eq(outcome.status, status);
    ck_assert_pstr_eq(outcome.message, message);
    g_free(outcome.message);
}

static void expect_script(const char *script, const char *input, int status, const char *message)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    expect(argv, input, PATIENCE_MS, status, message);
}

START_TEST (the_texts_are_those_of_the_protocol) {
    expect_script("exit 0", NULL, 0, NULL);
    expect_script("echo fine", NULL, 0, NULL);
    expect_script("exit 3", NULL, 3, "child process has failed to do it: exit status 3");
    expect_script("echo out; echo err >&2; exit 1", NULL, 1, "child process has failed to do it: out\nerr");
    expect_script("kill -9 $$", NULL, HELPER_NO_STATUS, "child process has terminated abnormally");
    expect_script("echo oh; kill -9 $$", NULL, HELPER_NO_STATUS,
                  "child process has terminated abnormally: oh");
}
END_TEST

START_TEST (input_is_given) {
    expect_script("read a && [ \"$a\" = secret ]", "secret\n", 0, NULL);
    expect_script("read a", NULL, 1, "child process has failed to do it: exit status 1");
}
END_TEST

START_TEST (one_that_is_not_there) {
    const char *argv[] = {"/nonexistent/tool", NULL};
    expect(
        argv, NULL, PATIENCE_MS, HELPER_NO_STATUS,
        "child process has failed to do it: failed to exec '/nonexistent/tool': No such file or directory");
}
END_TEST

START_TEST (the_deadline_kills_it_and_its_children) {
    g_autofree char *folder = g_dir_make_tmp("helper-XXXXXX", NULL);
    g_autofree char *name = g_build_filename(folder, "pid", NULL);
    g_autofree char *script = g_strdup_printf("sleep 1000 & echo $! >%s; wait", name);
    const char *argv[] = {"sh", "-c", script, NULL};
    g_autofree char *text = NULL;
    guint timeout_ms = 1000;
    /* on a busy machine the shell may not have come that far in a second */
    while (!text || !strchr(text, '\n')) {
        g_clear_pointer(&text, g_free);
        g_autofree char *message =
            g_strdup_printf("child process has failed to do it: not done in %u s", timeout_ms / 1000);
        expect(argv, NULL, timeout_ms, HELPER_NO_STATUS, message);
        g_file_get_contents(name, &text, NULL, NULL);
        timeout_ms *= 2;
    }
    pid_t pid = atoi(text);
    g_autofree char *stat_name = g_strdup_printf("/proc/%d/stat", pid);
    for (int i = 0; kill(pid, 0) == 0; i++) {
        g_autofree char *stat = NULL;
        if (!g_file_get_contents(stat_name, &stat, NULL, NULL) || strstr(stat, ") Z "))
            break; /* nobody may reap it here */
        ck_assert_int_lt(i, PATIENCE_MS);
        g_usleep(1000);
    }
    unlink(name);
    rmdir(folder);
}
END_TEST

START_TEST (a_missing_right_is_named) {
    g_autofree char *other = rights_explain(ENOENT, CAP_SYS_TIME);
    ck_assert_str_eq(other, "No such file or directory");
    g_autofree char *mine = rights_explain(EPERM, CAP_SYS_TIME);
    ck_assert(g_str_has_prefix(mine, "Operation not permitted ("));
    if (geteuid() == 0 && seteuid(65534) == 0) {
        g_autofree char *lacking = rights_explain(EPERM, CAP_SYS_TIME);
        g_autofree char *reading = rights_explain(EACCES, CAP_DAC_OVERRIDE);
        ck_assert_int_eq(seteuid(0), 0);
        ck_assert_str_eq(lacking, "Operation not permitted (the agent lacks CAP_SYS_TIME)");
        ck_assert_str_eq(reading, "Permission denied (the agent lacks CAP_DAC_OVERRIDE)");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent-helper");
    TCase *tcase = tcase_create("helper");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, the_texts_are_those_of_the_protocol);
    tcase_add_test(tcase, input_is_given);
    tcase_add_test(tcase, one_that_is_not_there);
    tcase_add_test(tcase, the_deadline_kills_it_and_its_children);
    tcase_add_test(tcase, a_missing_right_is_named);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
