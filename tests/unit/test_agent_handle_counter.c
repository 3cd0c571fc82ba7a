// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-agent/handle-counter */
#include "guest-agent/handle-counter.h"
#include "tests/check-run.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>

static char *folder, *file;

static void setup(void)
{
    folder = g_dir_make_tmp("handles-XXXXXX", NULL);
    file = g_build_filename(folder, "qga.state", NULL);
}

static void teardown(void)
{
    g_unlink(file);
    g_rmdir(folder);
    g_free(file);
    g_free(folder);
}

static gint64 first_of_new(const char *state_dir)
{
    HandleCounter *counter = handle_counter_new(state_dir);
    gint64 first = handle_counter_next(counter);
    handle_counter_free(counter);
    return first;
}

START_TEST (begins_at_1000_and_counts) {
    HandleCounter *counter = handle_counter_new(folder);
    for (gint64 i = 0; i < 300; i++)
        ck_assert_int_eq(handle_counter_next(counter), HANDLE_COUNTER_FIRST + i);
    handle_counter_free(counter);
}
END_TEST

START_TEST (does_not_repeat_after_a_restart) {
    HandleCounter *counter = handle_counter_new(folder);
    gint64 last = 0;
    for (int i = 0; i < 100; i++)
        last = handle_counter_next(counter);
    handle_counter_free(counter);
    ck_assert_int_gt(first_of_new(folder), last);
}
END_TEST

START_TEST (goes_on_from_the_file_of_qemu_ga) {
    g_file_set_contents(file, "[global]\nfd_counter=1042\n", -1, NULL);
    ck_assert_int_eq(first_of_new(folder), 1042);
}
END_TEST

START_TEST (keeps_the_keys_of_others) {
    g_file_set_contents(file, "[global]\nfd_counter=1042\nother=1\n[more]\nx=y\n", -1, NULL);
    first_of_new(folder);
    g_autoptr(GKeyFile) state = g_key_file_new();
    ck_assert(g_key_file_load_from_file(state, file, G_KEY_FILE_NONE, NULL));
    ck_assert_int_eq(g_key_file_get_integer(state, "global", "other", NULL), 1);
    ck_assert(g_key_file_has_key(state, "more", "x", NULL));
}
END_TEST

START_TEST (begins_anew_with_a_file_that_makes_no_sense) {
    static const char *const TEXTS[] = {"",
                                        "garbage",
                                        "[global]\nfd_counter=-7\n",
                                        "[global]\nfd_counter=x\n",
                                        "[global]\nfd_counter=9223372036854775807\n",
                                        "[global]\nfd_counter=12\n"};
    for (gsize i = 0; i < G_N_ELEMENTS(TEXTS); i++) {
        g_file_set_contents(file, TEXTS[i], -1, NULL);
        ck_assert_int_eq(first_of_new(folder), HANDLE_COUNTER_FIRST);
    }
}
END_TEST

START_TEST (works_without_a_folder) {
    HandleCounter *counter = handle_counter_new("/nonexistent/folder");
    ck_assert_int_eq(handle_counter_next(counter), 1000);
    ck_assert_int_eq(handle_counter_next(counter), 1001);
    handle_counter_free(counter);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent handle-counter");
    TCase *tcase = tcase_create("handle-counter");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, begins_at_1000_and_counts);
    tcase_add_test(tcase, does_not_repeat_after_a_restart);
    tcase_add_test(tcase, goes_on_from_the_file_of_qemu_ga);
    tcase_add_test(tcase, keeps_the_keys_of_others);
    tcase_add_test(tcase, begins_anew_with_a_file_that_makes_no_sense);
    tcase_add_test(tcase, works_without_a_folder);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
