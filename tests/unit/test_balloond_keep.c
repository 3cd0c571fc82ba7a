// SPDX-License-Identifier: GPL-2.0-or-later
/* What balloond changes on the host and puts back: keep.c, with the files of /sys/kernel/mm/ksm made up. */
#include <glib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "balloon/daemon/keep.h"
#include "balloon/daemon/ksm.h"
#include "tests/check-run.h"
#include "tests/unit/fake-root.h"

#define RUN     "/sys/kernel/mm/ksm/run"
#define PAGES   "/sys/kernel/mm/ksm/pages_to_scan"
#define ADVISOR "/sys/kernel/mm/ksm/advisor_mode"
#define STATE   "/run/balloond.state"

static const KeepKind *const KINDS[] = {&KSM_SETTINGS, NULL};

static void setup(void)
{
    fake_root_setup();
    fake_root_file("/proc/sys/kernel/random/boot_id", "this-boot\n", 0444);
    fake_root_file(RUN, "0\n", 0644);
    fake_root_file(PAGES, "100\n", 0644);
    fake_root_file(ADVISOR, "none [scan-time]\n", 0644);
}

static void expect(const char *name, const char *value)
{
    g_autofree char *text = fake_root_read(name);
    ck_assert_str_eq(g_strstrip(text), value);
}

static void set(Keep *keep, const char *name, const char *value)
{
    g_autoptr(GError) error = NULL;
    gboolean good = keep_set(keep, &KSM_SETTINGS, name, value, &error);
    ck_assert_msg(good, "%s", error != NULL ? error->message : "");
}

/* A daemon that changes settings and is killed. */
static void changed_and_killed(void)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        Keep *keep = keep_open(fake_root, KINDS, FALSE);
        set(keep, "advisor_mode", "none");
        set(keep, "pages_to_scan", "5000");
        set(keep, "pages_to_scan", "9000");
        set(keep, "run", "1");
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    expect(PAGES, "9000");
    expect(RUN, "1");
}

static gboolean has_state(void)
{
    g_autofree char *path = g_strconcat(fake_root, STATE, NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

START_TEST (test_everything_is_put_back_at_the_end) {
    Keep *keep = keep_open(fake_root, KINDS, FALSE);
    ck_assert_ptr_null(keep_why_not(keep));
    set(keep, "run", "0"); /* as it is: nothing is kept */
    ck_assert(!has_state());
    set(keep, "advisor_mode", "none");
    set(keep, "pages_to_scan", "5000");
    ck_assert_str_eq(keep_before(keep, &KSM_SETTINGS, "advisor_mode"), "scan-time");
    ck_assert_uint_eq(keep_count(keep, &KSM_SETTINGS), 2);
    ck_assert(has_state());
    keep_free(keep);
    expect(ADVISOR, "scan-time");
    expect(PAGES, "100");
    ck_assert(!has_state());
}
END_TEST

START_TEST (test_and_at_the_next_start_after_a_kill) {
    changed_and_killed();
    keep_free(keep_open(fake_root, KINDS, FALSE));
    expect(PAGES, "100");
    expect(RUN, "0");
    expect(ADVISOR, "scan-time");
    ck_assert(!has_state());
}
END_TEST

/* The file names what was about to be written: killed before or after that write, it is put back. */
START_TEST (test_killed_between_the_file_and_the_write) {
    changed_and_killed();
    fake_root_file(PAGES, "5000\n", 0644);
    keep_free(keep_open(fake_root, KINDS, FALSE));
    expect(PAGES, "100");
}
END_TEST

START_TEST (test_what_somebody_else_has_set_stays) {
    changed_and_killed();
    fake_root_file(PAGES, "777\n", 0644);
    keep_free(keep_open(fake_root, KINDS, FALSE));
    expect(PAGES, "777");
    expect(RUN, "0");
    Keep *keep = keep_open(fake_root, KINDS, FALSE);
    g_autoptr(GError) error = NULL;
    set(keep, "pages_to_scan", "64");
    fake_root_file(PAGES, "65\n", 0644);
    ck_assert(!keep_set(keep, &KSM_SETTINGS, "pages_to_scan", "66", &error));
    ck_assert(g_error_matches(error, KEEP_ERROR, KEEP_ERROR_FOREIGN));
    ck_assert_uint_eq(keep_count(keep, &KSM_SETTINGS), 0);
    keep_free(keep);
    expect(PAGES, "65");
}
END_TEST

START_TEST (test_another_boot_is_another_machine) {
    changed_and_killed();
    fake_root_file("/proc/sys/kernel/random/boot_id", "next-boot\n", 0444);
    keep_free(keep_open(fake_root, KINDS, FALSE));
    expect(PAGES, "9000");
}
END_TEST

START_TEST (test_a_dry_run_puts_nothing_back) {
    g_autoptr(GError) error = NULL;
    changed_and_killed();
    Keep *keep = keep_open(fake_root, KINDS, TRUE);
    ck_assert(!keep_set(keep, &KSM_SETTINGS, "run", "0", &error));
    ck_assert(g_error_matches(error, KEEP_ERROR, KEEP_ERROR_CLOSED));
    keep_free(keep);
    expect(PAGES, "9000");
    ck_assert(has_state());
}
END_TEST

START_TEST (test_one_daemon_alone_changes_settings) {
    Keep *first = keep_open(fake_root, KINDS, FALSE);
    set(first, "run", "1");
    Keep *second = keep_open(fake_root, KINDS, FALSE);
    ck_assert_ptr_nonnull(strstr(keep_why_not(second), "another balloond"));
    keep_free(second);
    expect(RUN, "1");
    keep_free(first);
    expect(RUN, "0");
}
END_TEST

static const char *const GARBAGE[] = {
    "",
    "balloond\tthis-boot",
    "balloond\tthis-boot\nksm\trun\n",
    "balloond\tthis-boot\nwhat\trun\t5\t0\t0\n",
    "balloond\tthis-boot\nksm\t../../../../../victim\t5\t0\t0\n",
    "balloond\tthis-boot\nksm\tfull_scans\t5\t0\t0\n",
    "\xff\xfe\n\t\t\t\t\t\n",
};

START_TEST (test_a_file_that_is_garbage) {
    fake_root_file("/victim", "0\n", 0644);
    fake_root_file("/sys/kernel/mm/ksm/full_scans", "0\n", 0644);
    fake_root_file(STATE, GARBAGE[_i], 0600);
    Keep *keep = keep_open(fake_root, KINDS, FALSE);
    ck_assert_ptr_null(keep_why_not(keep));
    keep_free(keep);
    expect(RUN, "0");
    expect("/victim", "0");
    expect("/sys/kernel/mm/ksm/full_scans", "0");
}
END_TEST

START_TEST (test_a_setting_that_is_not_there) {
    g_autoptr(GError) error = NULL;
    Keep *keep = keep_open(fake_root, KINDS, FALSE);
    ck_assert(!keep_set(keep, &KSM_SETTINGS, "smart_scan", "1", &error));
    ck_assert(g_error_matches(error, KEEP_ERROR, KEEP_ERROR_GONE));
    g_clear_error(&error);
    ck_assert(!keep_set(keep, &KSM_SETTINGS, "full_scans", "1", &error));
    keep_free(keep);
}
END_TEST

/* Nothing may be changed that could not be put back. */
START_TEST (test_a_file_that_cannot_be_written) {
    g_autoptr(GError) error = NULL;
    g_autofree char *state = g_strconcat(fake_root, STATE, NULL);
    Keep *keep = keep_open(fake_root, KINDS, FALSE);
    ck_assert_int_eq(g_mkdir_with_parents(state, 0755), 0);
    ck_assert(!keep_set(keep, &KSM_SETTINGS, "run", "1", &error));
    ck_assert(g_error_matches(error, KEEP_ERROR, KEEP_ERROR_CLOSED));
    keep_free(keep);
    expect(RUN, "0");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("balloond-keep");
    TCase *tcase = tcase_create("keep");
    tcase_add_checked_fixture(tcase, setup, fake_root_teardown);
    tcase_add_test(tcase, test_everything_is_put_back_at_the_end);
    tcase_add_test(tcase, test_and_at_the_next_start_after_a_kill);
    tcase_add_test(tcase, test_killed_between_the_file_and_the_write);
    tcase_add_test(tcase, test_what_somebody_else_has_set_stays);
    tcase_add_test(tcase, test_another_boot_is_another_machine);
    tcase_add_test(tcase, test_a_dry_run_puts_nothing_back);
    tcase_add_test(tcase, test_one_daemon_alone_changes_settings);
    tcase_add_loop_test(tcase, test_a_file_that_is_garbage, 0, G_N_ELEMENTS(GARBAGE));
    tcase_add_test(tcase, test_a_setting_that_is_not_there);
    tcase_add_test(tcase, test_a_file_that_cannot_be_written);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
