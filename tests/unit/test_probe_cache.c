// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/kvm/probe-cache.h"
#include "tests/check-run.h"

static char *folder, *device, *note;
static guint probes;
static gboolean fit;

static gboolean probe(GError **error)
{
    probes++;
    if (!fit) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "not fit");
    }
    return fit;
}

static void setup(void)
{
    folder = g_dir_make_tmp("probe-XXXXXX", NULL);
    device = g_build_filename(folder, "device", NULL);
    note = g_build_filename(folder, "run", ".kvm-fit", NULL);
    g_autofree char *run = g_build_filename(folder, "run", NULL);
    g_setenv("VIRT_SUITE_RUNTIME_DIR", run, TRUE);
    ck_assert(g_file_set_contents(device, "", 0, NULL));
    probes = 0;
    fit = TRUE;
}

static void teardown(void)
{
    g_autofree char *run = g_path_get_dirname(note);
    g_unlink(note);
    g_rmdir(run);
    g_unlink(device);
    ck_assert_int_eq(g_rmdir(folder), 0);
    g_free(folder);
    g_free(device);
    g_free(note);
}

START_TEST (success_is_noted) {
    ck_assert(probe_once(device, probe, NULL));
    ck_assert(probe_once(device, probe, NULL));
    ck_assert_uint_eq(probes, 1);
}
END_TEST

START_TEST (failure_is_not) {
    g_autoptr(GError) error = NULL;
    fit = FALSE;
    ck_assert(!probe_once(device, probe, &error));
    ck_assert_str_eq(error->message, "not fit");
    fit = TRUE;
    ck_assert(probe_once(device, probe, NULL));
    ck_assert_uint_eq(probes, 2);
}
END_TEST

START_TEST (another_device_or_note_is_not_believed) {
    ck_assert(probe_once(device, probe, NULL));
    /* KVM was loaded anew: its node is another. */
    g_autofree char *other = g_strconcat(device, ".new", NULL);
    ck_assert(g_file_set_contents(other, "", 0, NULL));
    ck_assert_int_eq(g_rename(other, device), 0);
    ck_assert(probe_once(device, probe, NULL));
    ck_assert_uint_eq(probes, 2);
    ck_assert(g_file_set_contents(note, "0.1.0 another-boot 1 2.3\n", -1, NULL));
    ck_assert(probe_once(device, probe, NULL));
    ck_assert_uint_eq(probes, 3);
    /* Nor is a link that somebody has put there. */
    ck_assert_int_eq(g_rename(note, other), 0);
    ck_assert_int_eq(symlink(other, note), 0);
    ck_assert(probe_once(device, probe, NULL));
    ck_assert_uint_eq(probes, 4);
    g_unlink(other);
}
END_TEST

START_TEST (nothing_to_write_to_is_no_error) {
    g_setenv("VIRT_SUITE_RUNTIME_DIR", "/proc/nowhere", TRUE);
    ck_assert(probe_once(device, probe, NULL));
    ck_assert(probe_once(device, probe, NULL));
    ck_assert_uint_eq(probes, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probe-cache");
    TCase *tcase = tcase_create("probe-cache");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, success_is_noted);
    tcase_add_test(tcase, failure_is_not);
    tcase_add_test(tcase, another_device_or_note_is_not_believed);
    tcase_add_test(tcase, nothing_to_write_to_is_no_error);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
