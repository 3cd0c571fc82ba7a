// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "lib/log.h"
#include "tests/check-run.h"

/* Each test is a process of its own (Check forks): log_open() is for once. */
static char *folder;
static char *path;

static void setup(void)
{
    folder = g_dir_make_tmp("log-XXXXXX", NULL);
    ck_assert_ptr_nonnull(folder);
    path = g_build_filename(folder, "log", NULL);
}

static void teardown(void)
{
    g_unlink(path);
    g_rmdir(folder);
    g_free(path);
    g_free(folder);
}

static char **read_lines(void)
{
    g_autofree char *text = NULL;

    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    return g_strsplit(text, "\n", -1);
}

static void log_all(void)
{
    g_critical("a critical");
    g_warning("a warning");
    g_message("a message");
    g_info("an info");
    g_debug("a debug %d", 5);
}

static void ck_lines(const char *const *expected)
{
    g_auto(GStrv) lines = read_lines();
    guint count = g_strv_length((char **)expected);

    ck_assert_uint_eq(g_strv_length(lines), count + 1);
    ck_assert_str_eq(lines[count], "");
    for (guint i = 0; i < count; i++) {
        g_autofree char *pattern = g_strdup_printf("^[0-9]{10,}\\.[0-9]{6}: %s$", expected[i]);

        ck_assert_msg(g_regex_match_simple(pattern, lines[i], 0, 0), "%s", lines[i]);
    }
}

START_TEST (levels_quiet) {
    ck_assert(log_open("test", path, LOG_QUIET, NULL));
    log_all();
    ck_lines((const char *const[]){"critical: a critical", "warning: a warning", NULL});
}
END_TEST

START_TEST (levels_normal) {
    ck_assert(log_open("test", path, LOG_NORMAL, NULL));
    log_all();
    ck_lines((const char *const[]){"critical: a critical", "warning: a warning", "message: a message", NULL});
}
END_TEST

START_TEST (levels_verbose) {
    ck_assert(log_open("test", path, LOG_VERBOSE, NULL));
    log_all();
    g_log("GLib-GIO", G_LOG_LEVEL_DEBUG, "a library's chatter");
    g_log("GLib-GIO", G_LOG_LEVEL_WARNING, "a library's warning");
    ck_lines((const char *const[]){"critical: a critical", "warning: a warning", "message: a message",
                                   "info: an info", "debug: a debug 5", "warning: a library's warning",
                                   NULL});
}
END_TEST

START_TEST (file_is_private_and_appended) {
    struct stat info;

    umask(0);
    ck_assert(g_file_set_contents(path, "", 0, NULL));
    ck_assert_int_eq(g_unlink(path), 0);
    ck_assert(log_open("test", path, LOG_NORMAL, NULL));
    ck_assert_int_eq(g_stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    g_message("one");
    /* somebody else's line must stay */
    FILE *other = g_fopen(path, "a");

    ck_assert_ptr_nonnull(other);
    fputs("0000000000.000000: message: other\n", other);
    fclose(other);
    g_message("two");
    ck_lines((const char *const[]){"message: one", "message: other", "message: two", NULL});
}
END_TEST

START_TEST (lines_stay_lines) {
    ck_assert(log_open("test", path, LOG_NORMAL, NULL));
    g_message("guest said: %s", "x\n1700000000.000000: critical: forged\r\x1b[31m\x7f");
    g_message("%s", "é is text");
    ck_lines((const char *const[]){
        "message: guest said: x\\\\x0a1700000000.000000: critical: forged\\\\x0d\\\\x1b\\[31m\\\\x7f",
        "message: é is text", NULL});
}
END_TEST

START_TEST (pausing) {
    ck_assert(log_open("test", path, LOG_NORMAL, NULL));
    g_message("before");
    log_pause(TRUE);
    log_pause(TRUE);
    g_message("left out");
    g_critical("left out");
    g_debug("not wanted anyway");
    ck_lines((const char *const[]){"message: before", NULL});
    log_pause(FALSE);
    g_message("after");
    log_pause(FALSE);
    ck_lines((const char *const[]){"message: before",
                                   "message: 2 log lines were left out while logging was paused",
                                   "message: after", NULL});
}
END_TEST

START_TEST (standard_error) {
    g_auto(GStrv) lines = NULL;

    ck_assert_ptr_nonnull(freopen(path, "w", stderr));
    ck_assert(log_open("test-program", NULL, LOG_NORMAL, NULL));
    g_message("hello");
    g_info("not this");
    lines = read_lines();
    ck_assert_str_eq(lines[0], "test-program: hello");
    ck_assert_str_eq(lines[1], "");
}
END_TEST

START_TEST (cannot_be_opened) {
    g_autoptr(GError) error = NULL;

    ck_assert(!log_open("test", "/nonexistent/folder/log", LOG_NORMAL, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "'/nonexistent/folder/log'"));
    ck_assert(log_open("test", path, LOG_NORMAL, NULL)); /* may be tried again */
}
END_TEST

static gpointer log_many(gpointer number)
{
    for (guint i = 0; i < 500; i++) {
        g_message("line of thread %u", GPOINTER_TO_UINT(number));
    }
    return NULL;
}

START_TEST (threads_do_not_mix_lines) {
    GThread *threads[4];
    g_auto(GStrv) lines = NULL;

    ck_assert(log_open("test", path, LOG_NORMAL, NULL));
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        threads[i] = g_thread_new("logger", log_many, GUINT_TO_POINTER(i));
    }
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        g_thread_join(threads[i]);
    }
    lines = read_lines();
    ck_assert_uint_eq(g_strv_length(lines), 2001);
    for (guint i = 0; i < 2000; i++) {
        ck_assert(g_regex_match_simple("^[0-9]+\\.[0-9]{6}: message: line of thread [0-3]$", lines[i], 0, 0));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, levels_quiet);
    tcase_add_test(all, levels_normal);
    tcase_add_test(all, levels_verbose);
    tcase_add_test(all, file_is_private_and_appended);
    tcase_add_test(all, lines_stay_lines);
    tcase_add_test(all, pausing);
    tcase_add_test(all, standard_error);
    tcase_add_test(all, cannot_be_opened);
    tcase_add_test(all, threads_do_not_mix_lines);
    suite_add_tcase(suite, all);
    return check_run(suite);
}
