// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "lib/runtime-dir.h"
#include "tests/check-run.h"

static char *base; /* a folder of this test */

static void setup(void)
{
    base = g_dir_make_tmp("runtime-dir-XXXXXX", NULL);
    ck_assert_ptr_nonnull(base);
    g_setenv("VIRT_SUITE_RUNTIME_DIR", base, TRUE);
    g_unsetenv("XDG_RUNTIME_DIR");
}

static void teardown(void)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", base);

    ck_assert_int_eq(system(command), 0);
    g_free(base);
}

static void use(const char *path)
{
    g_setenv("VIRT_SUITE_RUNTIME_DIR", path, TRUE);
}

static void ck_path(const char *expected)
{
    g_autofree char *path = runtime_dir_path();

    ck_assert_str_eq(path, expected);
}

START_TEST (which_folder) {
    g_autofree char *default_path = geteuid() == 0 ? g_strdup("/run/virt-suite")
                                                   : g_strdup_printf("/tmp/virt-suite-%u", (guint)geteuid());
    g_autofree char *here = g_get_current_dir();
    g_autofree char *relative = g_build_filename(here, "rel", NULL);

    g_setenv("XDG_RUNTIME_DIR", "/xdg", TRUE);
    ck_path(base);
    use("rel");
    ck_path(relative);
    use("");
    ck_path("/xdg/virt-suite");
    g_unsetenv("VIRT_SUITE_RUNTIME_DIR");
    ck_path("/xdg/virt-suite");
    g_setenv("XDG_RUNTIME_DIR", "not/absolute", TRUE);
    ck_path(default_path);
    g_unsetenv("XDG_RUNTIME_DIR");
    ck_path(default_path);
}
END_TEST

START_TEST (made_private) {
    g_autofree char *path = g_build_filename(base, "a", "b", NULL);
    g_autoptr(GError) error = NULL;
    struct stat info;

    umask(0);
    use(path);
    ck_assert_msg(runtime_dir_ensure(&error), "%s", error ? error->message : "?");
    ck_assert_int_eq(g_stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0700);
    ck_assert(runtime_dir_ensure(&error)); /* and again */
}
END_TEST

static void expect_refused(const char *path, const char *part)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) list_error = NULL;

    use(path);
    ck_assert(!runtime_dir_ensure(&error));
    ck_assert_msg(strstr(error->message, part) != NULL, "%s", error->message);
    ck_assert_msg(strstr(error->message, path) != NULL, "%s", error->message);
    ck_assert_ptr_null(runtime_dir_list_guests(&list_error));
    ck_assert_ptr_nonnull(list_error);
}

START_TEST (unsafe_folders) {
    g_autofree char *open_folder = g_build_filename(base, "open", NULL);
    g_autofree char *file = g_build_filename(base, "file", NULL);
    g_autofree char *link = g_build_filename(base, "link", NULL);
    g_autofree char *foreign = g_build_filename(base, "foreign", NULL);

    ck_assert_int_eq(g_mkdir(open_folder, 0700), 0);
    ck_assert_int_eq(g_chmod(open_folder, 0777), 0);
    expect_refused(open_folder, "can be written by others");
    ck_assert(g_file_set_contents(file, "", 0, NULL));
    expect_refused(file, "Not a directory");
    ck_assert_int_eq(symlink(base, link), 0);
    expect_refused(link, "is not a folder");
    if (geteuid() == 0) {
        ck_assert_int_eq(g_mkdir(foreign, 0700), 0);
        ck_assert_int_eq(chown(foreign, 12345, 12345), 0);
        expect_refused(foreign, "belongs to user 12345, not to 0");
    }
    ck_assert_int_eq(g_chmod(open_folder, 0755), 0); /* may be looked at */
    use(open_folder);
    ck_assert(runtime_dir_ensure(NULL));
}
END_TEST

START_TEST (cannot_be_made) {
    g_autofree char *file = g_build_filename(base, "file", NULL);
    g_autofree char *below = g_build_filename(file, "x", NULL);
    g_autoptr(GError) error = NULL;

    ck_assert(g_file_set_contents(file, "", 0, NULL));
    use(below);
    ck_assert(!runtime_dir_ensure(&error));
    ck_assert_ptr_nonnull(strstr(error->message, "cannot make runtime folder"));
}
END_TEST

START_TEST (guest_paths) {
    g_autofree char *folder = runtime_dir_guest_path("demo", NULL, NULL);
    g_autofree char *socket = runtime_dir_guest_path("demo", "qmp.sock", NULL);
    g_autofree char *longest = g_strnfill(64, 'n');
    g_autofree char *too_long = g_strnfill(65, 'n');
    g_autofree char *long_folder = runtime_dir_guest_path(longest, NULL, NULL);
    g_autofree char *expected = g_strdup_printf("%s/demo", base);
    g_autofree char *expected_socket = g_strdup_printf("%s/demo/qmp.sock", base);
    g_autofree char *deep = g_strdup_printf("%s/%s", base, longest);
    g_autoptr(GError) error = NULL;

    ck_assert_str_eq(folder, expected);
    ck_assert_str_eq(socket, expected_socket);
    ck_assert_ptr_nonnull(long_folder);
    for (const char *const *bad = (const char *const[]){"", ".", "..", "a/b", "/", ".hidden", "new\nline",
                                                        "\x1b[31m", "\xff", too_long, NULL};
         *bad; bad++) {
        g_clear_error(&error);
        ck_assert_ptr_null(runtime_dir_guest_path(*bad, NULL, &error));
        ck_assert_msg(g_str_has_prefix(error->message, "guest name '"), "%s", error->message);
        ck_assert(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_INVALID_FILENAME));
        g_clear_error(&error);
        ck_assert_ptr_null(runtime_dir_guest_path("demo", *bad, &error));
        ck_assert_ptr_nonnull(error);
    }
    g_clear_error(&error);
    use(deep);
    ck_assert_ptr_null(runtime_dir_guest_path("demo", "console-of-the-guest.sock", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "too long for a socket"));
}
END_TEST

START_TEST (listing) {
    g_autofree char *none = g_build_filename(base, "none", NULL);
    g_autofree char *file = g_build_filename(base, "file", NULL);
    g_autofree char *link = g_build_filename(base, "link", NULL);
    g_auto(GStrv) guests = NULL;
    g_auto(GStrv) nobody = NULL;

    for (const char *const *name = (const char *const[]){"zebra", "Alpha", "beta", ".hidden", NULL}; *name;
         name++) {
        g_autofree char *folder = g_build_filename(base, *name, NULL);

        ck_assert_int_eq(g_mkdir(folder, 0700), 0);
    }
    ck_assert(g_file_set_contents(file, "", 0, NULL));
    ck_assert_int_eq(symlink("zebra", link), 0);
    guests = runtime_dir_list_guests(NULL);
    ck_assert_ptr_nonnull(guests);
    ck_assert_uint_eq(g_strv_length(guests), 3);
    ck_assert_str_eq(guests[0], "Alpha");
    ck_assert_str_eq(guests[1], "beta");
    ck_assert_str_eq(guests[2], "zebra");
    use(none); /* no folder yet is no guest yet */
    nobody = runtime_dir_list_guests(NULL);
    ck_assert_ptr_nonnull(nobody);
    ck_assert_uint_eq(g_strv_length(nobody), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runtime-dir");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, which_folder);
    tcase_add_test(all, made_private);
    tcase_add_test(all, unsafe_folders);
    tcase_add_test(all, cannot_be_made);
    tcase_add_test(all, guest_paths);
    tcase_add_test(all, listing);
    suite_add_tcase(suite, all);
    return check_run(suite);
}
