// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-agent/power: which command shuts a guest down, with made-up guests in a folder. Nothing is run. */
#include "guest-agent/power.h"
#include "tests/check-run.h"
#include "tests/unit/fake-root.h"

#include <check.h>
#include <stdlib.h>

#define SEARCH_PATH "/usr/sbin:/bin"

static void add_init(const char *caught, const char *blocked)
{
    g_autofree char *text = g_strdup_printf(
        "Name:\tinit\nSigBlk:\t%s\nSigIgn:\t0000000000000000\nSigCgt:\t%s\n", blocked, caught);
    fake_root_file("/proc/1/status", text, 0644);
}

static void expect(PowerAction action, const char *expected)
{
    g_auto(GStrv) command = power_command(action, fake_root, SEARCH_PATH);
    g_autofree char *joined = command ? g_strjoinv("|", command) : NULL;
    ck_assert_pstr_eq(joined, expected);
}

START_TEST (shutdown_comes_first) {
    fake_root_file("/sbin/shutdown", "", 0755);
    fake_root_file("/bin/poweroff", "", 0755);
    expect(POWER_DOWN, "/sbin/shutdown|-h|-P|+0|hypervisor initiated shutdown");
    expect(POWER_HALT, "/sbin/shutdown|-h|-H|+0|hypervisor initiated shutdown");
    expect(POWER_REBOOT, "/sbin/shutdown|-h|-r|+0|hypervisor initiated shutdown");
}
END_TEST

START_TEST (what_cannot_run_does_not_count) {
    fake_root_file("/sbin/shutdown", "", 0644);
    fake_root_folder("/bin/poweroff");
    expect(POWER_DOWN, NULL);
}
END_TEST

START_TEST (systemctl_only_where_systemd_runs) {
    fake_root_file("/bin/systemctl", "", 0755);
    expect(POWER_DOWN, NULL);
    fake_root_folder("/run/systemd/system");
    expect(POWER_DOWN, "/bin/systemctl|poweroff");
    expect(POWER_HALT, "/bin/systemctl|halt");
    expect(POWER_REBOOT, "/bin/systemctl|reboot");
}
END_TEST

START_TEST (tools_of_other_inits_are_taken) {
    fake_root_file("/usr/sbin/reboot", "", 0755);
    expect(POWER_REBOOT, "/usr/sbin/reboot");
    expect(POWER_DOWN, NULL);
}
END_TEST

START_TEST (busybox_is_taken_if_its_init_runs) {
    fake_root_file("/bin/busybox", "", 0755);
    fake_root_link("/bin/poweroff", "busybox");
    fake_root_link("/bin/reboot", "/bin/busybox");
    add_init("0000000000000000", "0000000000004a00"); /* blocked to be waited for: 10, 12, 15 */
    /* a link to /bin/busybox in a made-up root leads nowhere, so that the program itself is named */
    expect(POWER_DOWN, "/bin/poweroff");
    expect(POWER_HALT, "/bin/busybox|halt");
}
END_TEST

START_TEST (a_shell_as_init_does_not_listen_to_busybox) {
    fake_root_file("/bin/busybox", "", 0755);
    fake_root_link("/bin/poweroff", "busybox");
    add_init("0000000000010002", "0000000000000000");
    expect(POWER_DOWN, NULL);
    expect(POWER_REBOOT, NULL);
}
END_TEST

START_TEST (nothing_there_leaves_the_kernel) {
    expect(POWER_DOWN, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent power");
    TCase *tcase = tcase_create("power");
    tcase_add_checked_fixture(tcase, fake_root_setup, fake_root_teardown);
    tcase_add_test(tcase, shutdown_comes_first);
    tcase_add_test(tcase, what_cannot_run_does_not_count);
    tcase_add_test(tcase, systemctl_only_where_systemd_runs);
    tcase_add_test(tcase, tools_of_other_inits_are_taken);
    tcase_add_test(tcase, busybox_is_taken_if_its_init_runs);
    tcase_add_test(tcase, a_shell_as_init_does_not_listen_to_busybox);
    tcase_add_test(tcase, nothing_there_leaves_the_kernel);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
