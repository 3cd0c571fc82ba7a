// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-agent/mounts: made-up tables of mounts */
#include "guest-agent/mounts.h"
#include "tests/check-run.h"
#include "tests/unit/fake-root.h"

#include <check.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* "PATH TYPE MAJOR:MINOR" of each, with | between. */
static void expect(const char *mountinfo, const char *expected)
{
    fake_root_file("/proc/self/mountinfo", mountinfo, 0644);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) mounts = mounts_list(fake_root, &error);
    ck_assert_msg(mounts != NULL, "%s", error ? error->message : "");
    g_autoptr(GString) got = g_string_new(NULL);
    for (guint i = 0; i < mounts->len; i++) {
        const Mount *mount = mounts->pdata[i];
        g_string_append_printf(got, "%s%s %s %u:%u", i ? "|" : "", mount->path, mount->type, mount->major,
                               mount->minor);
    }
    ck_assert_str_eq(got->str, expected);
}

START_TEST (file_systems_on_devices_once_each) {
    expect("22 27 0:21 / /proc rw,relatime - proc proc rw\n"
           "27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n"
           "30 27 254:2 /home /home rw shared:2 master:1 - xfs /dev/vda2 rw\n"
           "31 27 254:2 / /mnt rw - xfs /dev/vda2 rw\n"
           "32 27 7:0 / /snap ro - squashfs /dev/loop0 ro\n",
           "/ ext4 254:1|/home xfs 254:2|/snap squashfs 7:0");
}
END_TEST

START_TEST (escaped_names_are_read) {
    expect("1 0 8:1 / /a\\040b\\011c\\134d\\012e rw - ext4 /dev/x rw\n", "/a b\tc\\d\ne ext4 8:1");
    expect("1 0 8:1 / /a\\04 rw - ext4 /dev/x rw\n", "/a\\04 ext4 8:1");
    expect("1 0 8:1 / /a\\777 rw - ext4 /dev/x rw\n", "/a\\777 ext4 8:1");
}
END_TEST

START_TEST (btrfs_is_on_the_device_it_was_mounted_from) {
    fake_root_folder("/dev");
    g_autofree char *node = g_strconcat(fake_root, "/dev/sda2", NULL);
    if (mknod(node, S_IFBLK | 0600, makedev(8, 2)) < 0)
        return; /* not root */
    expect("1 0 0:40 / / rw - btrfs /dev/sda2 rw\n2 1 0:40 /home /home rw - btrfs /dev/sda2 rw\n"
           "3 1 0:41 / /x rw - btrfs /dev/gone rw\n",
           "/ btrfs 8:2");
}
END_TEST

START_TEST (odd_lines_are_left_out) {
    expect("", "");
    expect("\n\n - \n1 2 3\n1 0 8:1 / /a rw ext4 /dev/x rw\n1 0 8 / /a rw - ext4 /dev/x rw\n"
           "1 0 8:1 / /a rw -\n1 0 8:1 / /a rw - ext4\n1 0 8:1 / /b rw - ext4 x\n",
           "/b ext4 8:1");
}
END_TEST

START_TEST (no_table_is_an_error) {
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(mounts_list(fake_root, &error));
    ck_assert_ptr_nonnull(error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent-mounts");
    TCase *tcase = tcase_create("mounts");
    tcase_add_checked_fixture(tcase, fake_root_setup, fake_root_teardown);
    tcase_add_test(tcase, file_systems_on_devices_once_each);
    tcase_add_test(tcase, escaped_names_are_read);
    tcase_add_test(tcase, btrfs_is_on_the_device_it_was_mounted_from);
    tcase_add_test(tcase, odd_lines_are_left_out);
    tcase_add_test(tcase, no_table_is_an_error);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
